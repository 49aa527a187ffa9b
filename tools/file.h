/* Whole files in memory. */
#ifndef TOOLS_FILE_H
#define TOOLS_FILE_H

#include <stddef.h>
#include <stdint.h>

/* The contents of a file, mapped (or read, when it is a pipe) for as long as the command runs. Exits with
 * EXIT_NOT_FOUND or EXIT_REFUSED and a message when it cannot be read. */
const uint8_t *file_contents(const char *path, size_t *size);

/* The same for a module; `-` is standard input. What is plainly something else (a component, the text format, a program
 * of this system) is refused with a hint. Whether it is a good module is for the engine to say. */
const uint8_t *module_contents(const char *path, size_t *size);

#endif
