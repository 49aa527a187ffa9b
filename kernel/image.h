/* Prepared images: what a module's memory 0 holds right after instantiation, in pages that every instance shows
 * copy-on-write. */
#ifndef KERNEL_IMAGE_H
#define KERNEL_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

struct module;

struct image {
    uint8_t *pages;
    uint64_t bytes; /* of pages; what follows in the memory is zero */
};

/* Can the active data segments be written before there is an instance: are all at constant places inside memories that
 * the module defines, with so much in memory 0 that it is worth it? */
bool image_is_possible(const struct module *module);
/* False: no memory. */
bool image_create(const struct module *module, struct image *image);
void image_destroy(struct image *image);

#endif
