#include "unpack.h"

#include <sys/utsname.h>

#include "report.h"

enum {
    MAXIMUM_LAYERS = 256,    /* docker has 128 at most */
    JSON_SIZE = 4 << 20,     /* bytes; the specification asks for no more */
    MAXIMUM_INDEX_DEPTH = 4, /* an index may name another one */
    WORD = 256,
    DEEPEST_JSON = 64,
};

static struct {
    const char *name;
    int layers[MAXIMUM_LAYERS], count;
} image;

/*
 * Values found in JSON, RFC 8259.
 */

static const char *skip_space(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

static const char *skip_string(const char *at)
{
    for (at++; *at && *at != '"'; at++)
        if (*at == '\\' && at[1])
            at++;
    return *at ? at + 1 : NULL;
}

/* What follows the value that AT begins with, and space; NULL where it is not a value. */
static const char *skip_value(const char *at, int depth)
{
    at = skip_space(at);
    if (*at == '"')
        at = skip_string(at);
    else if ((*at == '{' || *at == '[') && depth < DEEPEST_JSON) {
        const char end = *at == '{' ? '}' : ']';
        at = skip_space(at + 1);
        while (at && *at != end) {
            at = skip_value(at, depth + 1);
            if (at && (*at == ',' || *at == ':'))
                at++;
            else if (at && *at != end)
                return NULL;
        }
        at = at ? at + 1 : NULL;
    } else {
        size_t length = strspn(at, "+-.0123456789abcdefghijklmnopqrstuvwxyzE");
        at = length > 0 ? at + length : NULL;
    }
    return at ? skip_space(at) : NULL;
}

static bool is_json(const char *text)
{
    const char *end = skip_value(text, 0);

    return end && *end == '\0';
}

/* The member KEY of the OBJECT that JSON text begins with: where its value begins, or NULL where
 * there is none, the text is NULL or begins with something else, or is not JSON. KEY is compared as
 * it is written. */
static const char *json_member(const char *object, const char *key)
{
    const char *at = object ? skip_space(object) : "";

    if (*at != '{')
        return NULL;
    for (at = skip_space(at + 1); *at == '"'; at = skip_space(at + 1)) {
        const char *name = at + 1, *end = skip_value(at, 0);
        if (!end || *end != ':')
            return NULL;
        const char *value = skip_space(end + 1);
        if (strncmp(name, key, strlen(key)) == 0 && name[strlen(key)] == '"')
            return value;
        at = skip_value(value, 0);
        if (!at || *at != ',')
            return NULL;
    }
    return NULL;
}

/* What follows MARK, if AT begins with it: an element of an array; NULL at its end. */
static const char *element_after(const char *at, char mark)
{
    if (!at || *at != mark)
        return NULL;
    at = skip_space(at + 1);
    return *at && *at != ']' ? at : NULL;
}

/* The same of the first element of an ARRAY, and of the one after ELEMENT: an index of some MiB has
 * 100000 of them, and is read once. */
static const char *json_first(const char *array)
{
    return element_after(array ? skip_space(array) : NULL, '[');
}

static const char *json_next(const char *element)
{
    return element_after(skip_value(element, 0), ',');
}

/* Copy the string that VALUE, or NULL, begins with to TEXT (SIZE bytes, ended by NUL). Returns
 * false where it is not a string, does not fit or has a character that is written as \u. */
static bool json_copy(const char *value, char *text, size_t size)
{
    size_t length = 0;

    if (!value || *value != '"')
        return false;
    for (const char *at = value + 1; *at != '"'; at++) {
        const bool escaped = *at == '\\';
        at += escaped;
        if (!*at || (escaped && !strchr("\"\\/", *at)) || length + 1 >= size)
            return false;
        text[length++] = *at;
    }
    text[length] = '\0';
    return true;
}

/*
 * The image.
 */

/* The file PATH of the image; NULL where it is not there, or larger than one can be. */
static char *read_text(const char *path)
{
    struct stat status;
    char *text;

    const int found = stat(path, &status);
    if (found == -1 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
        fail("look for %s of the image '%s'", path, image.name);
    if (found == -1 || !S_ISREG(status.st_mode))
        return NULL;
    if (status.st_size >= JSON_SIZE) /* of something else */
        return NULL;
    text = malloc(JSON_SIZE);
    if (!text || lab_read_file(path, text, JSON_SIZE) == -1)
        fail("read %s of the image '%s'", path, image.name);
    return text;
}

static void add_layer(const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    if (fd == -1 || fstat(fd, &status) == -1)
        fail("layer %s of the image '%s'", path, image.name);
    if (!S_ISREG(status.st_mode) || image.count == MAXIMUM_LAYERS)
        give_up("layer %s of the image '%s' is not a file, or is more than the %dth", path,
                image.name, MAXIMUM_LAYERS);
    image.layers[image.count++] = fd;
}

__attribute__((noreturn)) static void refuse(const char *what)
{
    give_up("the image '%s' %s", image.name, what);
}

/* The path of the blob that DESCRIPTOR, an object of JSON, names by its digest "sha256:...". */
static void blob_path(const char *descriptor, char path[2 * WORD])
{
    char digest[WORD];

    if (!json_copy(json_member(descriptor, "digest"), digest, sizeof(digest)) ||
        !strchr(digest, ':') || strchr(digest, '/'))
        refuse("has a description without a digest");
    *strchr(digest, ':') = '/';
    snprintf(path, sizeof("/blobs/") + WORD, "/blobs/%s", digest);
}

/* What docker, since 2013, and podman write: [{"Layers": ["abc/layer.tar", ...]}] */
static bool find_docker_layers(void)
{
    lab_string text = read_text("/manifest.json");
    const char *first = json_first(text), *layers = json_member(first, "Layers");
    char path[WORD] = "/";

    if (!json_first(layers))
        return false;
    if (!is_json(text))
        refuse("has a manifest that is not JSON");
    if (json_next(first))
        refuse("is more than one image; save one alone");
    for (const char *layer = json_first(layers); layer; layer = json_next(layer)) {
        if (!json_copy(layer, path + 1, sizeof(path) - 1))
            refuse("has a layer without a name");
        add_layer(path);
    }
    return true;
}

/* Whether DESCRIPTOR names an image for this machine, or does not name a platform. */
static bool is_for_us(const char *descriptor)
{
    static const char *const NAMES[][2] = {{"x86_64", "amd64"}, {"aarch64", "arm64"}};
    const char *platform = json_member(descriptor, "platform");
    char architecture[WORD], os[WORD];
    struct utsname machine;

    must(uname(&machine), "uname");
    const char *ours = machine.machine;
    for (int i = 0; i < LAB_COUNT(NAMES); i++)
        if (strcmp(ours, NAMES[i][0]) == 0)
            ours = NAMES[i][1];
    return (!json_copy(json_member(platform, "os"), os, sizeof(os)) || strcmp(os, "linux") == 0) &&
           (!json_copy(json_member(platform, "architecture"), architecture, sizeof(architecture)) ||
            strcmp(architecture, ours) == 0);
}

/* The OCI layout: an index names manifests or further indices, a manifest names layers. */
static bool find_oci_layers(const char *path, int depth)
{
    lab_string text = read_text(path);
    const char *manifests = json_member(text, "manifests");
    const char *layers = json_member(text, "layers");
    char blob[2 * WORD];

    if (!manifests && !layers)
        return false;
    if (!is_json(text))
        refuse("has an index or a manifest that is not JSON");
    for (const char *item = json_first(layers); item; item = json_next(item)) {
        blob_path(item, blob);
        add_layer(blob);
    }
    if (image.count > 0)
        return true;
    for (const char *item = json_first(manifests); item && depth > 0; item = json_next(item)) {
        if (!is_for_us(item))
            continue;
        blob_path(item, blob);
        if (!find_oci_layers(blob, depth - 1))
            refuse("lacks the manifest that its index names");
        return true;
    }
    refuse("has nothing for this machine's architecture");
}

void image_apply(const char *name)
{
    image.name = name;
    if (!find_docker_layers()) {
        const int oci =
            must(lab_is_there("/oci-layout"), "look for /oci-layout of the image '%s'", name);
        if (oci == 0 || !find_oci_layers("/index.json", MAXIMUM_INDEX_DEPTH))
            return;
    }
    /* The layers stay open; nothing but what they hold is to be in the root file system. */
    empty_directory("/");
    for (int i = 0; i < image.count; i++) {
        apply_whiteouts(image.layers[i], name);
        must(lseek(image.layers[i], 0, SEEK_SET), "read a layer of '%s'", name);
        extract_archive(image.layers[i], name, ARCHIVE_LAYER);
        close(image.layers[i]);
    }
}
