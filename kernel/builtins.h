/* The C functions behind the builtins of engine/builtins.h, called by the entry stubs only. */
#ifndef KERNEL_BUILTINS_H
#define KERNEL_BUILTINS_H

#include <stdint.h>

struct instance;

uint64_t builtin_memory_grow(struct instance *instance, uint32_t memory, uint64_t pages);
void builtin_memory_fill(struct instance *instance, uint32_t memory, uint64_t address, uint32_t byte, uint64_t count);
void builtin_memory_copy(struct instance *instance, uint32_t to_memory, uint32_t from_memory, uint64_t to,
                         uint64_t from, uint64_t count);
void builtin_memory_init(struct instance *instance, uint32_t memory, uint32_t segment, uint64_t to, uint32_t from,
                         uint32_t count);
void builtin_data_drop(struct instance *instance, uint32_t segment);
uint64_t builtin_table_grow(struct instance *instance, uint32_t table, uint32_t reference, uint64_t entries);
void builtin_table_fill(struct instance *instance, uint32_t table, uint64_t index, uint32_t reference, uint64_t count);
void builtin_table_copy(struct instance *instance, uint32_t to_table, uint32_t from_table, uint64_t to, uint64_t from,
                        uint64_t count);
void builtin_table_init(struct instance *instance, uint32_t table, uint32_t segment, uint64_t to, uint32_t from,
                        uint32_t count);
void builtin_elem_drop(struct instance *instance, uint32_t segment);
uint32_t builtin_struct_new(struct instance *instance, uint32_t type);
uint32_t builtin_array_new(struct instance *instance, uint32_t type, uint64_t element, uint32_t length);
uint32_t builtin_array_new_default(struct instance *instance, uint32_t type, uint32_t length);
uint32_t builtin_array_new_data(struct instance *instance, uint32_t type, uint32_t segment, uint32_t from,
                                uint32_t length);
uint32_t builtin_array_new_element(struct instance *instance, uint32_t type, uint32_t segment, uint32_t from,
                                   uint32_t length);
void builtin_array_fill(struct instance *instance, uint32_t reference, uint32_t index, uint64_t element,
                        uint32_t count);
void builtin_array_copy(struct instance *instance, uint32_t to_reference, uint32_t to, uint32_t from_reference,
                        uint32_t from, uint32_t count);
void builtin_array_init_data(struct instance *instance, uint32_t segment, uint32_t reference, uint32_t to,
                             uint32_t from, uint32_t count);
void builtin_array_init_element(struct instance *instance, uint32_t segment, uint32_t reference, uint32_t to,
                                uint32_t from, uint32_t count);
/* kernel/exceptions.c; they look at the caller's registers and go on where the exception is caught. */
void builtin_throw(struct instance *instance, uint32_t tag);
void builtin_throw_ref(struct instance *instance, uint32_t reference);
/* futex.c */
uint32_t builtin_memory_notify(struct instance *instance, uint32_t memory, uint64_t address, uint32_t count);
uint32_t builtin_memory_wait32(struct instance *instance, uint32_t memory, uint64_t address, uint32_t expected,
                               uint64_t timeout);
uint32_t builtin_memory_wait64(struct instance *instance, uint32_t memory, uint64_t address, uint64_t expected,
                               uint64_t timeout);

#endif
