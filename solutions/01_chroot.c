/*
 * 01_chroot - a jail that holds.
 *
 *     01_chroot copy PROGRAM ROOT                     copy PROGRAM and all that it needs below ROOT
 *     01_chroot chroot [--climb] ROOT COMMAND...      run COMMAND with ROOT as its root
 *     01_chroot pivot [--climb] ROOT COMMAND...       the same, with a wall around it
 *
 * The lab asks ldd(1), which starts the program to find out. Here the program file is read instead:
 * the loader's path in the segment PT_INTERP, the names of the libraries in the entries DT_NEEDED
 * of the segment PT_DYNAMIC. With --climb the process then tries to get out before it runs COMMAND.
 */
#include <elf.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <link.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "exercise.h"

/* A program file in memory, as it lies on disk. */
struct image {
    const char *bytes;
    const ElfW(Phdr) * segments; /* elf(5), "Program header" */
    int segment_count;
};

static void read_image(struct image *image, const char *path)
{
    struct stat status;
    lab_fd fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd == -1 || fstat(fd, &status) == -1)
        lab_die("open %s", path);
    image->bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (image->bytes == MAP_FAILED)
        lab_die("mmap %s", path);
    const ElfW(Ehdr) *header = (const void *)image->bytes;
    if ((size_t)status.st_size < sizeof(*header) || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
        lab_exit(EXIT_FAILURE, "%s is no ELF program", path);
    image->segments = (const void *)(image->bytes + header->e_phoff);
    image->segment_count = header->e_phnum;
}

/* The addresses in the file are those that the program will have in memory: where in the file is
 * the byte that will be at ADDRESS? */
static const char *at_address(const struct image *image, size_t address)
{
    const ElfW(Phdr) *segment = image->segments;

    for (; segment < image->segments + image->segment_count; segment++)
        if (segment->p_type == PT_LOAD && address >= segment->p_vaddr &&
            address < segment->p_vaddr + segment->p_filesz)
            return image->bytes + segment->p_offset + (address - segment->p_vaddr);
    lab_exit(EXIT_FAILURE, "an address leads out of the program file");
}

/* The path of the loader; NULL where there is none, in a static program or a library. */
static const char *loader_of(const struct image *image)
{
    const char *loader = NULL;

    // BEGIN SOLUTION 1.1 find the path of the loader: the segment PT_INTERP
    for (int i = 0; i < image->segment_count; i++)
        if (image->segments[i].p_type == PT_INTERP)
            loader = image->bytes + image->segments[i].p_offset;
    // END SOLUTION
    return loader;
}

/* Call EACH with the name of every library that IMAGE needs itself. */
static void each_needed(const struct image *image, void (*each)(const char *name))
{
    // BEGIN SOLUTION 1.2 find the names of the libraries: DT_NEEDED, offsets into DT_STRTAB
    const ElfW(Dyn) *dynamic = NULL;
    const char *names = NULL;

    for (int i = 0; i < image->segment_count; i++)
        if (image->segments[i].p_type == PT_DYNAMIC)
            dynamic = (const void *)(image->bytes + image->segments[i].p_offset);
    for (const ElfW(Dyn) *entry = dynamic; entry && entry->d_tag != DT_NULL; entry++)
        if (entry->d_tag == DT_STRTAB)
            names = at_address(image, entry->d_un.d_ptr);
    for (const ElfW(Dyn) *entry = dynamic; names && entry->d_tag != DT_NULL; entry++)
        if (entry->d_tag == DT_NEEDED)
            each(names + entry->d_un.d_val);
    // END SOLUTION
}

/* The list of files, which grows while it is gone through: a library needs libraries. */
static char *files[256];
static int file_count;

static void add_file(const char *path)
{
    for (int i = 0; i < file_count; i++)
        if (strcmp(files[i], path) == 0)
            return;
    if (file_count == 256 || !(files[file_count++] = strdup(path)))
        lab_exit(EXIT_FAILURE, "too many files, at %s", path);
}

/* Libraries lie beside the loader (our second file), or where they have always been. */
static void add_library(const char *name)
{
    const char *directories[] = {"", "/lib64", "/usr/lib64", "/lib", "/usr/lib"};
    char loader[PATH_MAX], path[PATH_MAX];

    if (file_count > 1 && realpath(files[1], loader))
        directories[0] = dirname(loader);
    for (int i = 0; i < 5; i++) {
        snprintf(path, sizeof(path), "%.2048s/%.255s", directories[i], name);
        if (access(path, R_OK) == 0)
            return add_file(path);
    }
    lab_exit(EXIT_FAILURE, "there is no library %s", name);
}

static void copy_program(const char *program, const char *directory)
{
    struct image image;
    lab_fd root = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);

    add_file(program);
    for (int i = 0; i < file_count; i++) {
        const char *path = files[i];
        if (root == -1 || lab_copy_file_in(root, path, path, 0755) == -1)
            lab_die("copy %s into %s", path, directory);
        puts(path);
        read_image(&image, path);
        const char *loader = loader_of(&image);
        if (loader)
            add_file(loader);
        each_needed(&image, add_library);
    }
}

/* Out of a chroot: the kernel stops ".." at the root, so pass the root by. */
static void climb(void)
{
    // BEGIN SOLUTION 1.3 climb out: hold a directory, move the root below it, go up
    int held = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    mkdir("below", 0700); /* it may be there */
    if (held == -1 || chroot("below") == -1 || fchdir(held) == -1)
        lab_die("move the root below a directory that is held");
    for (int level = 0; level < 64; level++)
        if (chdir("..") == -1)
            lab_die("chdir ..");
    if (chroot(".") == -1) /* the real root now, or as far up as it goes */
        lab_die("chroot .");
    // END SOLUTION
}

/* A mount namespace whose root is ROOT, with nothing of the old tree left in it. */
static void enter_by_pivot_root(const char *root)
{
    // BEGIN SOLUTION 1.4 pivot_root into a mount namespace without the old root
    if (unshare(CLONE_NEWNS) == -1 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1)
        lab_die("a mount namespace of our own");
    /* What pivot_root takes must be a mount, so ROOT is bound onto itself. */
    if (mount(root, root, NULL, MS_BIND | MS_REC, NULL) == -1 || chdir(root) == -1)
        lab_die("bind %s", root);
    /* The old root comes to lie on the new one, and is taken off. */
    if (syscall(SYS_pivot_root, ".", ".") == -1 || umount2(".", MNT_DETACH) == -1 ||
        chdir("/") == -1)
        lab_die("pivot_root %s", root);
    // END SOLUTION
}

int main(int argc, char *argv[])
{
    const char *verb = argc > 3 ? argv[1] : "";
    bool climbs = argc > 4 && strcmp(argv[2], "--climb") == 0;

    if (strcmp(verb, "copy") == 0) {
        copy_program(argv[2], argv[3]);
        return EXIT_SUCCESS;
    }
    if (strcmp(verb, "pivot") == 0)
        enter_by_pivot_root(argv[2 + climbs]);
    else if (strcmp(verb, "chroot") != 0)
        lab_exit(EXIT_USAGE, "usage: copy PROGRAM ROOT | chroot|pivot [--climb] ROOT COMMAND");
    else if (chroot(argv[2 + climbs]) == -1 || chdir("/") == -1)
        lab_die("chroot %s", argv[2 + climbs]);
    if (climbs)
        climb();
    lab_exec(argv + 3 + climbs);
}
