/* Traps: the ways in which compiled code ends early. One table; the text is what users and the official suite see.
 *
 * Compiled code raises a trap by a fault and keeps no table of fault addresses:
 *  - an access outside of linear memory faults in the reservation's guard (the kernel knows the range);
 *  - a frame below the wasm stack faults in the stack's guard;
 *  - `div`/`idiv` fault with #DE; the divisor's register, read from the instruction, tells zero from overflow;
 *  - everything else executes `ud2` followed by one byte, the trap kind (TRAP_OPCODE_BYTES before it). */
#ifndef ENGINE_TRAP_H
#define ENGINE_TRAP_H

#define ENGINE_TRAPS(X)                                                         \
    X(UNREACHABLE, "unreachable")                                               \
    X(MEMORY_OUT_OF_BOUNDS, "out of bounds memory access")                      \
    X(TABLE_OUT_OF_BOUNDS, "out of bounds table access")                        \
    X(INDIRECT_OUT_OF_BOUNDS, "undefined element")                              \
    X(INDIRECT_NULL, "uninitialized element")                                   \
    X(INDIRECT_SIGNATURE, "indirect call type mismatch")                        \
    X(DIVIDE_BY_ZERO, "integer divide by zero")                                 \
    X(INTEGER_OVERFLOW, "integer overflow")                                     \
    X(INVALID_CONVERSION, "invalid conversion to integer")                      \
    X(STACK_OVERFLOW, "call stack exhausted")                                   \
    X(NULL_REFERENCE, "null reference")                                         \
    X(NULL_FUNCTION, "null function reference")                                 \
    X(NULL_STRUCTURE, "null structure reference")                               \
    X(NULL_ARRAY, "null array reference")                                       \
    X(NULL_EXCEPTION, "null exception reference")                                 \
    X(NULL_I31, "null i31 reference")                                           \
    X(CAST_FAILURE, "cast failure")                                             \
    X(ARRAY_OUT_OF_BOUNDS, "out of bounds array access")                        \
    X(UNALIGNED_ATOMIC, "unaligned atomic")                                     \
    X(EXPECTED_SHARED, "expected shared memory")                                \
    X(OUT_OF_MEMORY, "out of memory")                                           \
    X(TIMEOUT, "time limit exceeded")                                           \
    X(INTERRUPTED, "interrupted")                                               \
    X(EXCEPTION, "uncaught exception")                                           \
    X(SERVICE, "service failed")                                                \
    X(KILLED, "killed")                                                         \
    X(MAPPING, "access that a mapping does not allow")                          \
    X(EXIT, "exit")

#define ENGINE_TRAP_ENUM(name, text) TRAP_##name,
enum trap { TRAP_NONE = 0, ENGINE_TRAPS(ENGINE_TRAP_ENUM) TRAP_COUNT };
#undef ENGINE_TRAP_ENUM

/* Bytes of `ud2`, after which the kind stands. */
#define TRAP_OPCODE_BYTES 2

/* The table's text, for example "integer divide by zero"; "unknown trap" for anything out of range. */
const char *trap_text(unsigned trap);

#endif
