/* Builtins: what compiled code asks of its embedder, other than calling imports. One table.
 *
 * X(NAME, function, parameters, result): letters as in signatures (i = i32 or reference, I = i64, - = none). Each is
 * called like an imported host function: arguments in the ABI's registers, context in rdi, on the kernel stack. A
 * builtin that traps does not return. Indices of tables and segments are constants of the instruction. */
#ifndef ENGINE_BUILTINS_H
#define ENGINE_BUILTINS_H

#define ENGINE_BUILTINS(X)                                                                                    \
    X(MEMORY_GROW, memory_grow, "iI", "I")     /* memory, pages -> old pages, or -1 (sign-extended)       */ \
    X(MEMORY_FILL, memory_fill, "iIiI", "-")   /* memory, address, byte, count                            */ \
    X(MEMORY_COPY, memory_copy, "iiIII", "-")  /* to memory, from memory, to, from, count                 */ \
    X(MEMORY_INIT, memory_init, "iiIii", "-")  /* memory, segment, to, from, count                        */ \
    X(DATA_DROP, data_drop, "i", "-")          /* segment                                                 */ \
    X(TABLE_GROW, table_grow, "iiI", "I")      /* table, reference, entries -> old length, or -1          */ \
    X(TABLE_FILL, table_fill, "iIiI", "-")     /* table, index, reference, count                          */ \
    X(TABLE_COPY, table_copy, "iiIII", "-")    /* to table, from table, to, from, count                   */ \
    X(TABLE_INIT, table_init, "iiIii", "-")    /* table, segment, to, from, count                         */ \
    X(ELEM_DROP, elem_drop, "i", "-")          /* segment                                                 */ \
    X(THROW, throw, "i", "-")                  /* tag; its values are in the thread's payload; no return  */ \
    X(THROW_REF, throw_ref, "i", "-")          /* reference to an exception; does not return              */ \
    X(MEMORY_NOTIFY, memory_notify, "iIi", "i") /* memory, address, count -> threads that were woken      */ \
    X(MEMORY_WAIT32, memory_wait32, "iIiI", "i") /* memory, address, expected, nanoseconds (signed; below 0: for ever) \
                                                    -> 0 woken, 1 not as expected, 2 too late */                       \
    X(MEMORY_WAIT64, memory_wait64, "iIII", "i") \
    X(STRUCT_NEW, struct_new, "i", "i")        /* type -> structure, all of it zero                       */ \
    X(ARRAY_NEW, array_new, "iIi", "i")        /* type, element's bits, length -> array                   */ \
    X(ARRAY_NEW_DEFAULT, array_new_default, "ii", "i")       /* type, length -> array                     */ \
    X(ARRAY_NEW_DATA, array_new_data, "iiii", "i")           /* type, segment, from, length -> array      */ \
    X(ARRAY_NEW_ELEMENT, array_new_element, "iiii", "i")     /* type, segment, from, length -> array      */ \
    X(ARRAY_FILL, array_fill, "iiIi", "-")     /* array, index, element's bits, count                     */ \
    X(ARRAY_COPY, array_copy, "iiiii", "-")    /* to array, to, from array, from, count                   */ \
    X(ARRAY_INIT_DATA, array_init_data, "iiiii", "-")        /* segment, array, to, from, count           */ \
    X(ARRAY_INIT_ELEMENT, array_init_element, "iiiii", "-")  /* segment, array, to, from, count           */

#define BUILTIN_ENUM(name, function, parameters, result) BUILTIN_##name,
enum builtin { ENGINE_BUILTINS(BUILTIN_ENUM) BUILTIN_COUNT };
#undef BUILTIN_ENUM

#endif
