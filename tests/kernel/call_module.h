/* For the tests of this folder: a module with host functions as imports, each with an export of its own, `f0`, `f1` and
 * so on, that passes its arguments on to it; and a memory of two pages. */
#ifndef TESTS_KERNEL_CALL_MODULE_H
#define TESTS_KERNEL_CALL_MODULE_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine/types.h"
#include "kernel/host.h"
#include "kernel/host_call.h"

#define CALL_MODULE_MEMORY_BYTES (2 * 65536)

static uint8_t call_module_bytes[1 << 16];
static size_t call_module_size;

static inline void call_module_byte(uint32_t value)
{
    call_module_bytes[call_module_size++] = (uint8_t)value;
}

/* A number in LEB128 of three bytes: one size for all. */
static inline void call_module_number_at(size_t at, uint32_t value)
{
    call_module_bytes[at] = (uint8_t)(0x80 | (value & 0x7f));
    call_module_bytes[at + 1] = (uint8_t)(0x80 | (value >> 7 & 0x7f));
    call_module_bytes[at + 2] = (uint8_t)(value >> 14);
}

static inline void call_module_number(uint32_t value)
{
    call_module_number_at(call_module_size, value);
    call_module_size += 3;
}

static inline void call_module_text(const char *value)
{
    call_module_number((uint32_t)strlen(value));
    for (; *value; value++)
        call_module_byte((uint8_t)*value);
}

/* Gives where its size stands. */
static inline size_t call_module_section(uint32_t id, uint32_t count)
{
    call_module_byte(id);
    size_t start = call_module_size;
    call_module_number(0);
    call_module_number(count);
    return start;
}

static inline void call_module_section_end(size_t start)
{
    call_module_number_at(start, (uint32_t)(call_module_size - start - 3));
}

static inline void call_module_type(const struct function_type *type)
{
    call_module_byte(0x60);
    call_module_number(type->parameter_count);
    for (uint32_t i = 0; i < type->parameter_count + type->result_count; i++) {
        if (i == type->parameter_count)
            call_module_number(type->result_count);
        value_type value = type->types[i];
        call_module_byte(value == VALUE_I32 ? 0x7f : value == VALUE_I64 ? 0x7e : value == VALUE_F32 ? 0x7d : 0x7c);
    }
    if (!type->result_count)
        call_module_number(0);
}

/* Of `count` functions of an interface, from `first` on. */
static inline void call_module_make(const struct host_interface *interface, const struct host_function *first,
                                    uint32_t count)
{
    value_type types[HOST_SIGNATURE_VALUES];
    struct function_type type;
    memcpy(call_module_bytes, "\0asm\1\0\0\0", 8);
    call_module_size = 8;
    size_t start = call_module_section(1, count);
    for (uint32_t i = 0; i < count; i++) {
        host_signature_parse(first[i].signature, types, &type);
        call_module_type(&type);
    }
    call_module_section_end(start);
    start = call_module_section(2, count);
    for (uint32_t i = 0; i < count; i++) {
        call_module_text(interface->module);
        call_module_text(first[i].name);
        call_module_byte(0);
        call_module_number(i);
    }
    call_module_section_end(start);
    start = call_module_section(3, count);
    for (uint32_t i = 0; i < count; i++)
        call_module_number(i);
    call_module_section_end(start);
    start = call_module_section(5, 1);
    call_module_byte(0);
    call_module_number(CALL_MODULE_MEMORY_BYTES / 65536);
    call_module_section_end(start);
    start = call_module_section(7, count);
    for (uint32_t i = 0; i < count; i++) {
        char name[12];
        snprintf(name, sizeof name, "f%u", i);
        call_module_text(name);
        call_module_byte(0);
        call_module_number(count + i);
    }
    call_module_section_end(start);
    start = call_module_section(10, count);
    for (uint32_t i = 0; i < count; i++) {
        host_signature_parse(first[i].signature, types, &type);
        size_t body = call_module_size;
        call_module_number(0);
        call_module_number(0); /* no locals */
        for (uint32_t parameter = 0; parameter < type.parameter_count; parameter++) {
            call_module_byte(0x20);
            call_module_number(parameter);
        }
        call_module_byte(0x10);
        call_module_number(i);
        call_module_byte(0x0b);
        call_module_number_at(body, (uint32_t)(call_module_size - body - 3));
    }
    call_module_section_end(start);
}

#endif
