/* Canonical numbers of types, one space for the whole kernel: two types are equal (spec 3.2.9) exactly when their
 * numbers are, so that compiled code compares types across modules with one instruction.
 *
 * What is registered are whole recursion groups. A value type inside of a registered type names other types by their
 * numbers ("kernel-wide"), as do the types of tables and globals; value types inside of a module name them by the
 * module's own canonical indices, and type_translate leads from these to those. References are counted by group; a
 * module holds every group of its type section, and with it all that these refer to. */
#ifndef KERNEL_TYPE_REGISTRY_H
#define KERNEL_TYPE_REGISTRY_H

#include "engine/module.h"
#include "engine/x64/abi.h"

/* Numbers are below this, from 1 on. */
#define TYPE_NUMBERS_MAXIMUM (UINT32_C(1) << 22)

struct runtime_type {
    uint8_t kind; /* enum defined_kind */
    bool final;
    bool holds_references; /* objects of it may refer to objects */
    uint16_t depth;        /* number of supertypes above it */
    uint32_t supertype;    /* number, or 0 */
    struct function_type function;
    uint32_t field_count;
    const struct field_type *fields;
    uint32_t bytes;             /* of an object, header included; of an array: of one element */
    const uint32_t *references; /* a structure's fields that may refer to objects: offsets, `reference_count` of them */
    uint32_t reference_count;
    struct type_group *group;
    uint32_t place;          /* in the group */
    const uint32_t *display; /* the supertype at each depth, ending with the type itself; see type_displays */
};

/* Register all types of a module: `numbers` has one element for each. False when there is no room, and nothing is held
 * then. */
bool type_numbers_acquire(const struct module *module, uint32_t *numbers);
void type_numbers_release(const struct module *module, const uint32_t *numbers);

/* One final function type without supertype, as a group of its own; 0 when there is no room. Only types made of numbers
 * and abstract references. */
uint32_t type_number_acquire_function(const struct function_type *type);
void type_number_release(uint32_t number);

/* Valid while somebody holds the number. */
const struct runtime_type *type_of_number(uint32_t number);
/* How many numbers are in use, for leak checks. */
uint32_t type_number_count(void);

/* For compiled code: address of uint64_t[], by number the address of a display. displays[n][-1] is the depth, and a
 * display has at least TYPE_DISPLAY_MINIMUM elements; what is beyond the type itself is 0. Number 0 has one, too. NULL
 * as long as no type was ever registered. */
const uint64_t *type_displays(void);

/* ---- Subtyping of kernel-wide types ---- */
value_type type_translate(const uint32_t *numbers, value_type type);
bool type_number_matches(uint32_t number, uint32_t wanted);
bool type_matches(value_type type, value_type wanted);
/* Of a value type: whether a value of it may be a reference to an object of the collected heap. */
bool type_may_refer_to_objects(value_type type);

#endif
