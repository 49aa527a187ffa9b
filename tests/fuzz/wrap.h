/* A module around one function body, so that fuzzing of code is not lost in damaged section sizes. */
#ifndef TESTS_FUZZ_WRAP_H
#define TESTS_FUZZ_WRAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wrapped {
    uint8_t *bytes; /* from malloc */
    size_t size;
    bool valid; /* must be accepted */
};

/* The module around the body that these choices make when it is to be run: it ends, and does the same everywhere. */
struct wrapped wrap_repeatable(const uint8_t *choices, size_t count);

/* Make a module of `data`. Its first byte is not zero: odd, the rest is the body as it stands, local declarations
 * included; even, the rest are choices from which a valid body is made. */
struct wrapped wrap_body(const uint8_t *data, size_t size);

/* ---- The module's index spaces, as far as the generator uses them ---- */
enum {
    WRAP_TYPE_VOID,   /* [] -> [] */
    WRAP_TYPE_BODY,   /* [i32 i64 f32 f64 funcref externref] -> [i32] */
    WRAP_TYPE_MANY,   /* [i32 i32 i32 i32 i32 i32 i32 f64] -> [i64 f32 i32] */
    WRAP_TYPE_IMPORT, /* [i32 f64] -> [i64] */
    WRAP_TYPE_BLOCK,  /* [i32 i64] -> [f32 f64] */
    WRAP_TYPE_COUNT,
    /* Behind that of "h", and in no module for repeatable bodies: */
    WRAP_TYPE_STRUCTURE = 6, /* i32 i64 i8 f64 anyref v128, all mutable */
    WRAP_TYPE_BYTES,         /* array of i8, mutable */
    WRAP_TYPE_OBJECTS,       /* array of anyref, mutable */
    WRAP_TYPE_TAG,           /* [i32 i64] -> [], of tag 1; tag 0 has none */
};
enum { WRAP_FUNCTION_IMPORT, WRAP_FUNCTION_MANY, WRAP_FUNCTION_VOID, WRAP_FUNCTION_BODY, WRAP_FUNCTION_COUNT };
/* One function more, exported as "h", gives a number made of memory and globals; the body is exported as "b". */
enum { WRAP_TABLE_FUNCREF, WRAP_TABLE_EXTERNREF, WRAP_TABLE_COUNT };
/* Globals 0 to 5 are mutable: one for each type of WRAP_TYPE_BODY's parameters, in that order. Global 6 is an immutable
 * i32, 7 what is left of a repeatable body's fuel. From 8 on, in modules that are not repeatable: one for each other
 * type of value_types[]. */
enum { WRAP_GLOBAL_FUEL = 7, WRAP_MORE_GLOBALS };
enum { WRAP_ELEMENT_FUNCREF, WRAP_ELEMENT_EXTERNREF, WRAP_ELEMENT_OBJECTS };
enum { WRAP_DATA_COUNT = 2 };
/* Locals of a generated body: its parameters, four of each of their types, and one of each for the generator's own use;
 * and four of each other type where the body is not repeatable. */
enum { WRAP_PARAMETER_COUNT = 6, WRAP_VALUE_COUNT = 16, WRAP_OWN_LOCALS = 30, WRAP_MORE_LOCALS = 36 };

#endif
