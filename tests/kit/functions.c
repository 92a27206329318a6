#include "functions.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "file.h"

const char ANY_FUNCTION[] = "any function";

/* The file comes from a student: no offset in it is followed before it is checked. */
static struct {
    const char *bytes;
    size_t size;
    const ElfW(Sym) * symbols;
    uint64_t count;
    const char *names;
    uint64_t names_size;
    char file[64];  /* its name, and that of the source file without .c */
    uint64_t end;   /* of the last function, an address of the file */
    uint64_t moved; /* the address in memory less that in the file */
} image;

/* COUNT objects of SIZE bytes at OFFSET of the file; NULL where it does not have them. */
static const void *objects_at(uint64_t offset, size_t size, uint64_t count)
{
    return offset > image.size || count > (image.size - offset) / size ? NULL
                                                                       : image.bytes + offset;
}

static void find_symbols(void)
{
    const ElfW(Ehdr) *header = objects_at(0, sizeof(*header), 1);

    if (!header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
        return;
    const ElfW(Shdr) *sections = objects_at(header->e_shoff, sizeof(*sections), header->e_shnum);
    for (int i = 0; sections && i < header->e_shnum; i++) {
        const ElfW(Shdr) *table = &sections[i];
        if (table->sh_type != SHT_SYMTAB || table->sh_link >= header->e_shnum)
            continue;
        image.count = table->sh_size / sizeof(*image.symbols);
        image.symbols = objects_at(table->sh_offset, sizeof(*image.symbols), image.count);
        image.names_size = sections[table->sh_link].sh_size;
        image.names = objects_at(sections[table->sh_link].sh_offset, 1, image.names_size);
    }
    if (!image.names || image.names_size == 0 || image.names[image.names_size - 1] != '\0')
        image.symbols = NULL;
    for (uint64_t i = 0; image.symbols && i < image.count; i++)
        if (ELF64_ST_TYPE(image.symbols[i].st_info) == STT_FUNC &&
            image.symbols[i].st_value + image.symbols[i].st_size > image.end)
            image.end = image.symbols[i].st_value + image.symbols[i].st_size;
}

void functions_read(const char *path)
{
    struct stat status;
    lab_fd file = open(path, O_RDONLY | O_CLOEXEC);

    if (file == -1 || fstat(file, &status) == -1)
        lab_die("open %s", path);
    snprintf(image.file, sizeof(image.file), "%.60s", basename(path));
    image.size = (size_t)status.st_size;
    image.bytes = mmap(NULL, image.size, PROT_READ, MAP_PRIVATE, file, 0);
    if (image.bytes == MAP_FAILED)
        lab_die("mmap %s", path);
    find_symbols();
}

void functions_placed(uint64_t entry)
{
    const ElfW(Ehdr) *header = objects_at(0, sizeof(*header), 1);

    image.moved = header ? entry - header->e_entry : 0;
}

const char *function_at(uint64_t address)
{
    char file[sizeof(image.file) + sizeof(".c")];
    bool own = false;

    snprintf(file, sizeof(file), "%s.c", image.file);
    address -= image.moved;
    if (address >= image.end)
        return NULL;
    /* Local symbols come first, those of a source file behind its name. */
    for (uint64_t i = 0; image.symbols && i < image.count; i++) {
        const ElfW(Sym) *symbol = &image.symbols[i];
        if (symbol->st_name >= image.names_size)
            continue;
        const char *name = image.names + symbol->st_name;
        if (ELF64_ST_TYPE(symbol->st_info) == STT_FILE)
            own = strcmp(name, file) == 0;
        else if (ELF64_ST_TYPE(symbol->st_info) == STT_FUNC && address >= symbol->st_value &&
                 address - symbol->st_value < symbol->st_size &&
                 (own || ELF64_ST_BIND(symbol->st_info) != STB_LOCAL ||
                  strncmp(name, "lab_", strlen("lab_")) == 0))
            return name;
    }
    return NULL;
}

/* Where the call instruction at the end of CODE leads; 0: no call; 1: wherever a register says. */
static uint64_t target_of(const unsigned char code[8], uint64_t return_address)
{
#ifdef __x86_64__
    int32_t distance;

    memcpy(&distance, code + 4, sizeof(distance));
    if (code[3] == 0xe8)
        return return_address + (uint64_t)(int64_t)distance;
    for (int length = 2; length <= 7; length++)
        if (code[8 - length] == 0xff && (code[9 - length] & 0x38) == 0x10)
            return 1;
#elif defined(__aarch64__)
    uint32_t instruction;

    memcpy(&instruction, code + 4, sizeof(instruction));
    if (instruction >> 26 == 0x25)
        return return_address - 4 + (uint64_t)((int64_t)((uint64_t)instruction << 38) >> 36);
    if ((instruction & 0xfffffc1f) == 0xd63f0000)
        return 1;
#else
    (void)code, (void)return_address;
    return 1;
#endif
    return 0;
}

bool function_called(const unsigned char code[8], uint64_t return_address, const char **called)
{
    uint64_t target = target_of(code, return_address);

    *called = target == 1 ? ANY_FUNCTION : target ? function_at(target) : NULL;
    return target != 0;
}
