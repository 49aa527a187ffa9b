/* Whole files in memory. */
#include "tools/file.h"
#include "tools/message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

_Noreturn static void cannot_read(const char *path)
{
    int error = errno;
    complain("cannot read %s: %s", path, strerror(error));
    exit(error == ENOENT || error == ENOTDIR ? EXIT_NOT_FOUND : EXIT_REFUSED);
}

static uint8_t *read_to_end(int file, const char *path, size_t *size)
{
    size_t capacity = 1 << 16, used = 0;
    uint8_t *bytes = allocate(capacity);
    for (;;) {
        ssize_t got = read(file, bytes + used, capacity - used);
        if (got < 0)
            cannot_read(path);
        if (got == 0)
            break;
        used += (size_t)got;
        if (used == capacity)
            bytes = reallocate(bytes, capacity *= 2);
    }
    *size = used;
    return bytes;
}

const uint8_t *file_contents(const char *path, size_t *size)
{
    struct stat information;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &information) != 0)
        cannot_read(path);
    const uint8_t *bytes;
    if (S_ISREG(information.st_mode) && information.st_size > 0) {
        void *mapping = mmap(NULL, (size_t)information.st_size, PROT_READ, MAP_PRIVATE, file, 0);
        if (mapping == MAP_FAILED)
            cannot_read(path);
        bytes = mapping;
        *size = (size_t)information.st_size;
    } else {
        bytes = read_to_end(file, path, size);
    }
    close(file);
    return bytes;
}

/* What somebody may take for a module; NULL: it has a module's magic number, or nobody knows what it is. */
static const char *not_a_module(const uint8_t *bytes, size_t size)
{
    static const uint8_t magic[] = {0, 'a', 's', 'm'}, component[] = {0x0d, 0, 1, 0}, elf[] = {0x7f, 'E', 'L', 'F'};
    if (size == 0)
        return "the file is empty";
    if (size >= 8 && memcmp(bytes, magic, 4) == 0)
        return memcmp(bytes + 4, component, 4) != 0 ? NULL
                                                    : "a component, not a module: Tessera runs core modules, such as "
                                                      "compilers make for wasm32-wasi (WASI preview 1)";
    if (size >= 4 && memcmp(bytes, elf, 4) == 0)
        return "a native (ELF) program, not WebAssembly: compile it with --target=wasm32-wasi";
    size_t start = 0;
    while (start < size &&
           (bytes[start] == ' ' || bytes[start] == '\t' || bytes[start] == '\n' || bytes[start] == '\r'))
        start++;
    if (start < size && (bytes[start] == '(' || (bytes[start] == ';' && start + 1 < size && bytes[start + 1] == ';')))
        return "WebAssembly's text format: make a module of it first, with wat2wasm or `wasm-tools parse`";
    return NULL;
}

const uint8_t *module_contents(const char *path, size_t *size)
{
    const uint8_t *bytes = file_contents(strcmp(path, "-") == 0 ? "/dev/stdin" : path, size);
    const char *what = not_a_module(bytes, *size);
    if (what) {
        complain("%s: %s", path, what);
        exit(EXIT_REFUSED);
    }
    return bytes;
}
