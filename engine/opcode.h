/* The opcode table of engine/opcodes.def as C: identifiers to switch over, and what is known of each instruction.
 *
 * An identifier's value is computed from prefix byte and code (opcode_number), so reading an opcode is an addition and
 * no look-up, and a one-byte instruction's identifier is its byte. */
#ifndef ENGINE_OPCODE_H
#define ENGINE_OPCODE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/types.h"

/* ---- Features: what an instruction needs beyond WebAssembly 2.0 without SIMD (CORE) ---- */
#define ENGINE_FEATURES(X)                                                                                             \
    X(CORE, "core")                                                                                                    \
    X(SIMD, "simd")                                                                                                    \
    X(RELAXED_SIMD, "relaxed-simd")                                                                                    \
    X(THREADS, "threads")                                                                                              \
    X(TAIL_CALL, "tail-call")                                                                                          \
    X(FUNCTION_REFERENCES, "function-references")                                                                      \
    X(GC, "gc")                                                                                                        \
    X(EXCEPTIONS, "exceptions")                                                                                        \
    X(LEGACY_EXCEPTIONS, "legacy-exceptions")                                                                          \
    X(MEMORY64, "memory64")                                                                                            \
    X(MULTI_MEMORY, "multi-memory")                                                                                    \
    X(EXTENDED_CONST, "extended-const")                                                                                \
    X(CUSTOM_PAGE_SIZES, "custom-page-sizes")                                                                          \
    X(WIDE_ARITHMETIC, "wide-arithmetic")

#define FEATURE_ENUM(name, text) FEATURE_##name,
enum feature { ENGINE_FEATURES(FEATURE_ENUM) FEATURE_COUNT };
#undef FEATURE_ENUM

/* What validator, compiler and kernel all have. A feature is added here when the last of the three has it; until then a
 * module that uses it is refused with ENGINE_UNSUPPORTED and the feature's name. */
#define ENGINE_FEATURES_SUPPORTED                                                                                      \
    (1u << FEATURE_CORE |                                                                                              \
     1u << FEATURE_SIMD |                                                                                              \
     1u << FEATURE_RELAXED_SIMD |                                                                                      \
     1u << FEATURE_MULTI_MEMORY |                                                                                      \
     1u << FEATURE_MEMORY64 |                                                                                          \
     1u << FEATURE_THREADS |                                                                                           \
     1u << FEATURE_TAIL_CALL |                                                                                         \
     1u << FEATURE_FUNCTION_REFERENCES |                                                                               \
     1u << FEATURE_GC |                                                                                                \
     1u << FEATURE_EXCEPTIONS |                                                                                        \
     1u << FEATURE_LEGACY_EXCEPTIONS |                                                                                 \
     1u << FEATURE_CUSTOM_PAGE_SIZES |                                                                                 \
     1u << FEATURE_WIDE_ARITHMETIC)

static inline bool feature_supported(unsigned feature)
{
    return (ENGINE_FEATURES_SUPPORTED >> feature & 1) != 0;
}

/* The table's text, a static string; "unknown" for anything out of range. */
const char *feature_text(unsigned feature);

/* ---- Immediates: what follows the opcode (spec 5.4). u32, s32, s33, s64 are LEB128 ---- */
#define ENGINE_IMMEDIATES(X)                                                                                           \
    X(NONE)                                                                                                            \
    X(BLOCK)              /* block type: s33 */                                                                        \
    X(LABEL)              /* u32 */                                                                                    \
    X(LABEL_TABLE)        /* vector of u32, then u32 default */                                                        \
    X(FUNCTION)           /* u32 */                                                                                    \
    X(INDIRECT)           /* u32 type, u32 table */                                                                    \
    X(TYPE)               /* u32 */                                                                                    \
    X(SELECT_TYPES)       /* vector of value types */                                                                  \
    X(LOCAL)              /* u32 */                                                                                    \
    X(GLOBAL)             /* u32 */                                                                                    \
    X(TABLE)              /* u32 */                                                                                    \
    X(MEMORY_ACCESS)      /* u32 alignment exponent (+ 64: u32 memory follows), u64 offset */                          \
    X(MEMORY)             /* u32 */                                                                                    \
    X(I32)                /* s32 */                                                                                    \
    X(I64)                /* s64 */                                                                                    \
    X(F32)                /* 4 bytes */                                                                                \
    X(F64)                /* 8 bytes */                                                                                \
    X(HEAP_TYPE)          /* s33 */                                                                                    \
    X(DATA_MEMORY)        /* u32 data segment, u32 memory */                                                           \
    X(DATA)               /* u32 */                                                                                    \
    X(MEMORY_MEMORY)      /* u32 destination, u32 source */                                                            \
    X(ELEMENT_TABLE)      /* u32 element segment, u32 table */                                                         \
    X(ELEMENT)            /* u32 */                                                                                    \
    X(TABLE_TABLE)        /* u32 destination, u32 source */                                                            \
    X(TAG)                /* u32 */                                                                                    \
    X(TRY_TABLE)          /* block type, vector of catch clauses */                                                    \
    X(V128)               /* 16 bytes */                                                                               \
    X(SHUFFLE)            /* 16 lane numbers, a byte each */                                                           \
    X(LANE)               /* a byte */                                                                                 \
    X(MEMORY_ACCESS_LANE) /* as MEMORY_ACCESS, then a byte */                                                          \
    X(FENCE)              /* a zero byte */                                                                            \
    X(TYPE_FIELD)         /* u32 type, u32 field */                                                                    \
    X(TYPE_LENGTH)        /* u32 type, u32 count */                                                                    \
    X(TYPE_DATA)          /* u32 type, u32 data segment */                                                             \
    X(TYPE_ELEMENT)       /* u32 type, u32 element segment */                                                          \
    X(TYPE_TYPE)          /* u32 destination type, u32 source type */                                                  \
    X(CAST_LABEL)         /* a byte of flags, u32 label, two heap types */

#define IMMEDIATE_ENUM(name) IMMEDIATE_##name,
enum immediate { ENGINE_IMMEDIATES(IMMEDIATE_ENUM) IMMEDIATE_COUNT };
#undef IMMEDIATE_ENUM

/* ---- Signatures: X(name, pops, first, second, third popped in order of pushing, pushed); 0 for none ---- */
#define ENGINE_SIGNATURES(X)                                                                                           \
    X(special, 0, 0, 0, 0, 0)                                                                                          \
    X(_, 0, 0, 0, 0, 0)                                                                                                \
    X(_i, 0, 0, 0, 0, VALUE_I32)                                                                                       \
    X(_I, 0, 0, 0, 0, VALUE_I64)                                                                                       \
    X(_f, 0, 0, 0, 0, VALUE_F32)                                                                                       \
    X(_F, 0, 0, 0, 0, VALUE_F64)                                                                                       \
    X(_v, 0, 0, 0, 0, VALUE_V128)                                                                                      \
    X(i_i, 1, VALUE_I32, 0, 0, VALUE_I32)                                                                              \
    X(i_I, 1, VALUE_I32, 0, 0, VALUE_I64)                                                                              \
    X(i_f, 1, VALUE_I32, 0, 0, VALUE_F32)                                                                              \
    X(i_F, 1, VALUE_I32, 0, 0, VALUE_F64)                                                                              \
    X(i_v, 1, VALUE_I32, 0, 0, VALUE_V128)                                                                             \
    X(I_i, 1, VALUE_I64, 0, 0, VALUE_I32)                                                                              \
    X(I_I, 1, VALUE_I64, 0, 0, VALUE_I64)                                                                              \
    X(I_f, 1, VALUE_I64, 0, 0, VALUE_F32)                                                                              \
    X(I_F, 1, VALUE_I64, 0, 0, VALUE_F64)                                                                              \
    X(I_v, 1, VALUE_I64, 0, 0, VALUE_V128)                                                                             \
    X(f_i, 1, VALUE_F32, 0, 0, VALUE_I32)                                                                              \
    X(f_I, 1, VALUE_F32, 0, 0, VALUE_I64)                                                                              \
    X(f_f, 1, VALUE_F32, 0, 0, VALUE_F32)                                                                              \
    X(f_F, 1, VALUE_F32, 0, 0, VALUE_F64)                                                                              \
    X(f_v, 1, VALUE_F32, 0, 0, VALUE_V128)                                                                             \
    X(F_i, 1, VALUE_F64, 0, 0, VALUE_I32)                                                                              \
    X(F_I, 1, VALUE_F64, 0, 0, VALUE_I64)                                                                              \
    X(F_f, 1, VALUE_F64, 0, 0, VALUE_F32)                                                                              \
    X(F_F, 1, VALUE_F64, 0, 0, VALUE_F64)                                                                              \
    X(F_v, 1, VALUE_F64, 0, 0, VALUE_V128)                                                                             \
    X(v_i, 1, VALUE_V128, 0, 0, VALUE_I32)                                                                             \
    X(v_I, 1, VALUE_V128, 0, 0, VALUE_I64)                                                                             \
    X(v_f, 1, VALUE_V128, 0, 0, VALUE_F32)                                                                             \
    X(v_F, 1, VALUE_V128, 0, 0, VALUE_F64)                                                                             \
    X(v_v, 1, VALUE_V128, 0, 0, VALUE_V128)                                                                            \
    X(ii_i, 2, VALUE_I32, VALUE_I32, 0, VALUE_I32)                                                                     \
    X(II_i, 2, VALUE_I64, VALUE_I64, 0, VALUE_I32)                                                                     \
    X(II_I, 2, VALUE_I64, VALUE_I64, 0, VALUE_I64)                                                                     \
    X(ff_i, 2, VALUE_F32, VALUE_F32, 0, VALUE_I32)                                                                     \
    X(ff_f, 2, VALUE_F32, VALUE_F32, 0, VALUE_F32)                                                                     \
    X(FF_i, 2, VALUE_F64, VALUE_F64, 0, VALUE_I32)                                                                     \
    X(FF_F, 2, VALUE_F64, VALUE_F64, 0, VALUE_F64)                                                                     \
    X(vv_v, 2, VALUE_V128, VALUE_V128, 0, VALUE_V128)                                                                  \
    X(vi_v, 2, VALUE_V128, VALUE_I32, 0, VALUE_V128)                                                                   \
    X(vI_v, 2, VALUE_V128, VALUE_I64, 0, VALUE_V128)                                                                   \
    X(vf_v, 2, VALUE_V128, VALUE_F32, 0, VALUE_V128)                                                                   \
    X(vF_v, 2, VALUE_V128, VALUE_F64, 0, VALUE_V128)                                                                   \
    X(iI_I, 2, VALUE_I32, VALUE_I64, 0, VALUE_I64)                                                                     \
    X(iv_v, 2, VALUE_I32, VALUE_V128, 0, VALUE_V128)                                                                   \
    X(ii_, 2, VALUE_I32, VALUE_I32, 0, 0)                                                                              \
    X(iI_, 2, VALUE_I32, VALUE_I64, 0, 0)                                                                              \
    X(if_, 2, VALUE_I32, VALUE_F32, 0, 0)                                                                              \
    X(iF_, 2, VALUE_I32, VALUE_F64, 0, 0)                                                                              \
    X(iv_, 2, VALUE_I32, VALUE_V128, 0, 0)                                                                             \
    X(iii_i, 3, VALUE_I32, VALUE_I32, VALUE_I32, VALUE_I32)                                                            \
    X(iiI_i, 3, VALUE_I32, VALUE_I32, VALUE_I64, VALUE_I32)                                                            \
    X(iII_i, 3, VALUE_I32, VALUE_I64, VALUE_I64, VALUE_I32)                                                            \
    X(iII_I, 3, VALUE_I32, VALUE_I64, VALUE_I64, VALUE_I64)                                                            \
    X(vvv_v, 3, VALUE_V128, VALUE_V128, VALUE_V128, VALUE_V128)

#define SIGNATURE_ENUM(name, pops, first, second, third, push) SIGNATURE_##name,
enum signature_kind { ENGINE_SIGNATURES(SIGNATURE_ENUM) SIGNATURE_COUNT };
#undef SIGNATURE_ENUM

struct signature {
    uint8_t pop_count;
    uint8_t pops[3]; /* value types, the one pushed first in front */
    uint8_t push;    /* value type, or 0 */
};
extern const struct signature opcode_signatures[SIGNATURE_COUNT];

/* ---- Opcodes ---- */
/* Where the identifiers of a prefix start, and how many codes fit. */
#define OPCODE_BASE_0    0x000
#define OPCODE_BASE_0xfb 0x100
#define OPCODE_BASE_0xfc 0x140
#define OPCODE_BASE_0xfe 0x180
#define OPCODE_BASE_0xfd 0x200
#define OPCODE_COUNT     0x340

enum opcode {
#define OPCODE(prefix, identifier, code, mnemonic, immediate, signature, bytes, feature)                               \
    OP_##identifier = OPCODE_BASE_##prefix + (code),
#include "engine/opcodes.def"
#undef OPCODE
};

/* Identifier for `prefix` (0, or a prefix byte) and `code`: an index of opcode_table[], OPCODE_COUNT when there is no
 * such number at all. */
static inline unsigned opcode_number(uint8_t prefix, uint32_t code)
{
    switch (prefix) {
    case 0:
        return code < 0x100 ? code : OPCODE_COUNT;
    case 0xfb:
        return code < 0x40 ? OPCODE_BASE_0xfb + code : OPCODE_COUNT;
    case 0xfc:
        return code < 0x40 ? OPCODE_BASE_0xfc + code : OPCODE_COUNT;
    case 0xfe:
        return code < 0x80 ? OPCODE_BASE_0xfe + code : OPCODE_COUNT;
    case 0xfd:
        return code < OPCODE_COUNT - OPCODE_BASE_0xfd ? OPCODE_BASE_0xfd + code : OPCODE_COUNT;
    default:
        return OPCODE_COUNT;
    }
}

static inline bool opcode_is_prefix(uint8_t byte)
{
    return byte >= 0xfb && byte <= 0xfe;
}

struct opcode_information {
    const char *mnemonic; /* NULL: no such instruction */
    uint8_t immediate;    /* enum immediate */
    uint8_t signature;    /* enum signature_kind */
    uint8_t bytes;        /* width of the memory access, else 0 */
    uint8_t feature;      /* enum feature */
};
extern const struct opcode_information opcode_table[OPCODE_COUNT];

#endif
