#ifndef ABI_TESSERA_DESCRIPTION_H
#define ABI_TESSERA_DESCRIPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/status.h"

struct launch;
struct launch_description;
struct launch_directory;

/* A whole module, by a path below the caller's directories, in kernel memory; free it with *size bytes. */
enum status module_file_read(const struct launch *caller, const char *path, uint8_t **bytes, size_t *size);
/* The caller's own directories, by the names that the description asks for. False: there is no such one. */
bool description_directories(const struct launch *caller, const struct launch_description *description,
                             struct launch_directory *chosen);

#endif
