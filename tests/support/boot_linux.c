/* Boot the kernel as a Linux program with a boot archive, as a machine would: PROGRAM ARCHIVE [COMMAND_LINE [CPUS]]. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "kernel/platform.h"
#include "platform/linux/linux.h"

int main(int argc, char **argv)
{
    struct stat information;
    int file = argc >= 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0 || fstat(file, &information) != 0) {
        fprintf(stderr, "usage: %s ARCHIVE [COMMAND_LINE [CPUS]]\n", argv[0]);
        return 2;
    }
    size_t size = (size_t)information.st_size;
    const uint8_t *archive = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    if (archive == MAP_FAILED) {
        perror(argv[1]);
        return 2;
    }
    linux_platform_initialize();
    if (argc >= 4) {
        linux_set_cpu_count((uint32_t)atoi(argv[3]));
    }
    kernel_main(&(struct boot_information){
        .archive = archive,
        .archive_bytes = size,
        .command_line = argc >= 3 ? argv[2] : "",
        .platform_name = "linux",
    });
}
