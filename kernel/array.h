/* Arrays of the kernel's that a guest can make large, and that grow in short time: small ones are copied to a larger
 * block, ARRAY_COPIED_BYTES at the most; from then on the array lies in a reservation as large as it can ever become,
 * and only more of that is committed, whose pages take frames when they are touched. */
#ifndef KERNEL_ARRAY_H
#define KERNEL_ARRAY_H

#include <stddef.h>

#define ARRAY_COPIED_BYTES (16 << 10)

/* More room for an array of `before` bytes (0: there is none yet, `array` is not looked at): `after` bytes, of which
 * those that are new are zeros; never more than `maximum`, which is the same each time and a multiple of the page size.
 * Returns where it lies now; NULL: no memory, and nothing happened. With locks held below rank HEAP_CACHE. */
void *array_grow(void *array, size_t before, size_t after, size_t maximum);
/* The end of one with `bytes` bytes; 0: there is none. */
void array_free(void *array, size_t bytes, size_t maximum);

#endif
