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
