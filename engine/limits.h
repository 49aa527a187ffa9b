/* Implementation limits: those of the JavaScript embedding (WebAssembly JS API, "Implementation-defined limits"),
 * so that what loads in a browser loads here. The last two are our own: they bound what validation and compilation of one
 * body take, far beyond what any compiler emits. Each refusal names its limit (ENGINE_LIMIT). */
#ifndef ENGINE_LIMITS_H
#define ENGINE_LIMITS_H

#define LIMIT(name, value, text) ENGINE_LIMIT_##name = (value),
#define ENGINE_LIMITS(X)                                                  \
    X(MODULE_BYTES, 1 << 30, "module size")                               \
    X(TYPES, 1000000, "types")                                            \
    X(FUNCTIONS, 1000000, "functions")                                    \
    X(IMPORTS, 1000000, "imports")                                        \
    X(EXPORTS, 1000000, "exports")                                        \
    X(GLOBALS, 1000000, "globals")                                        \
    X(TAGS, 1000000, "tags")                                              \
    X(DATA_SEGMENTS, 100000, "data segments")                             \
    X(ELEMENT_SEGMENTS, 10000000, "element segments")                     \
    X(TABLES, 100000, "tables")                                           \
    X(TABLE_ENTRIES, 10000000, "table entries")                           \
    X(MEMORIES, 100, "memories")                                          \
    X(PARAMETERS, 1000, "parameters")                                     \
    X(RESULTS, 1000, "results")                                           \
    X(LOCALS, 50000, "locals")                                            \
    X(FUNCTION_BYTES, 7654321, "function body size")                      \
    X(BR_TABLE_TARGETS, 65520, "br_table targets")                        \
    X(NAME_BYTES, 100000, "name length")                                  \
    X(OPERANDS, 1000000, "operands on the stack")                         \
    X(BLOCK_DEPTH, 100000, "nested blocks")

enum { ENGINE_LIMITS(LIMIT) };
#undef LIMIT

#endif
