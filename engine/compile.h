/* From a decoded module to native code.
 *
 * A code object is immutable after code_compile and is shared by all instances of its module. The text holds no
 * absolute address and no address of any instance, so it may be mapped anywhere and written to a cache. */
#ifndef ENGINE_COMPILE_H
#define ENGINE_COMPILE_H

#include "engine/module.h"
#include "engine/x64/abi.h"

/* CPU features that the compiler may use; found at start by platform code and never guessed. x86-64-v2 (SSE4.2,
 * POPCNT) is required everywhere. */
#define CPU_FEATURES(X)                        \
    X(AVX, "avx")                              \
    X(AVX2, "avx2")                            \
    X(BMI1, "bmi1")                            \
    X(BMI2, "bmi2")                            \
    X(LZCNT, "lzcnt")                          \
    X(FMA, "fma")                              \
    X(FSGSBASE, "fsgsbase")

#define CPU_FEATURE_NUMBER(name, text) CPU_FEATURE_NUMBER_##name,
enum { CPU_FEATURES(CPU_FEATURE_NUMBER) CPU_FEATURE_COUNT };
#undef CPU_FEATURE_NUMBER
#define CPU_FEATURE_BIT(name, text) CPU_##name = 1u << CPU_FEATURE_NUMBER_##name,
enum { CPU_FEATURES(CPU_FEATURE_BIT) };
#undef CPU_FEATURE_BIT

/* One function of the text. Frames have a fixed size: rsp moves once in the prologue, so the caller of any pc inside
 * the function is found at rsp + frame_bytes (code_unwind knows the exceptions at both ends). */
struct code_function {
    uint32_t offset;      /* of the entry, from code.text */
    uint32_t frame_bytes; /* between the return address and rsp after the prologue */
    uint32_t prologue_bytes; /* length of the code before which rsp has not moved: see code_unwind */
    uint16_t saved;          /* callee-saved registers that the frame keeps, by hardware number ... */
    uint16_t saved_word;     /* ... in a row from [rsp + 8 * saved_word] on, the lowest number first */
};

/* What exceptions need, and nothing else reads: no code runs for a try that nothing is thrown in. */
#define CODE_NO_TRY    UINT32_MAX
#define CODE_NO_CLAUSE UINT32_MAX
#define CODE_TAG_ALL   UINT32_MAX

struct code_call_site { /* of each call inside a try; sorted */
    uint32_t offset;    /* of the return address, from code.text */
    uint32_t try_index; /* the innermost one */
};

struct code_try {
    uint32_t parent;       /* the next one to look at, or CODE_NO_TRY: the caller's */
    uint32_t first_clause; /* or CODE_NO_CLAUSE */
};

struct code_clause {
    uint32_t tag;     /* index in the module, or CODE_TAG_ALL */
    uint32_t pad;     /* text offset where a caught exception goes on; docs/abi.md tells how */
    uint32_t next;    /* of the same try, or CODE_NO_CLAUSE */
    bool reference;   /* the pad wants a reference to the exception */
};

struct code_exceptions {
    struct code_call_site *call_sites;
    struct code_try *tries;
    struct code_clause *clauses;
    uint32_t call_site_count, try_count, clause_count;
};

struct code {
    const struct module *module; /* not owned; outlives the code */
    uint8_t *text;               /* constants that all share, then functions in index order */
    size_t text_size;            /* bytes in use */
    struct code_function *functions; /* one for each function that is not an import, in index order */
    uint32_t function_count;
    struct code_exceptions exceptions;
    struct header_layout layout; /* where an instance header of this module keeps what */
    struct arena arena;
};

struct compile_options {
    uint32_t cpu_features; /* CPU_* */
    /* Address space for the text: at least text_reserve_bytes(module) bytes, writable, zero pages on demand, owned by
     * the caller, who makes it executable (and no longer writable) after the call. */
    uint8_t *text;
    size_t text_capacity;
    /* Called now and then with the number of body bytes done, for progress on large modules; may be NULL. Returning
     * false abandons the compilation (ENGINE_NO_MEMORY). */
    bool (*progress)(void *context, uint64_t done, uint64_t total);
    void *progress_context;
};

size_t text_reserve_bytes(const struct module *module);

/* Validate and compile all functions of `module`. `*result` is written only on ENGINE_OK; free with code_release
 * (which leaves the text to its owner). Uses no static state: any number of threads may compile at once. */
enum engine_status code_compile(const struct module *module, const struct compile_options *options,
                                const struct engine_allocator *allocator, struct code **result,
                                struct engine_error *error);
void code_release(struct code *code);

/* Which function (index in the module's function index space) holds `pc`; false when none does. */
bool code_find_function(const struct code *code, uintptr_t pc, uint32_t *function);

/* One step of a backtrace: from a pc and rsp inside `code` to the caller's. `at_call` says that pc is a return address
 * (every frame but the first). Exact at every instruction, prologue and `ret` included. Reads the stack at *rsp and
 * nothing else. False when pc is not in this code. */
bool code_unwind(const struct code *code, uintptr_t *pc, uintptr_t *rsp, bool at_call);

/* The innermost try around the call that returns to `pc`, or CODE_NO_TRY. */
uint32_t code_find_try(const struct code *code, uintptr_t pc);

/* One step of an exception's way: as code_unwind at a call, and the registers that the frame keeps get their values back
 * in `registers`, by hardware number. False when pc is not in this code. */
bool code_unwind_registers(const struct code *code, uintptr_t *pc, uintptr_t *rsp, uint64_t registers[16]);

/* Is `pc`, the return address of a call that was made from the frame at rsp, that of a call of another instance? Then
 * `*instance` is the index of the instance that this frame belongs to. */
bool code_instance_switch(uintptr_t pc, uintptr_t rsp, uint32_t *instance);

/* What kind of trap a fault at `pc` is, for `ud2` and divide faults. `registers` are the general registers by their
 * hardware number. TRAP_NONE when the instruction raises no trap of ours. */
unsigned code_trap_at(const uint8_t *pc, const uint64_t registers[16]);

/* The map from text to wasm, made by compiling one function again: for each instruction that emitted code, in order
 * of address. For `inspect --code`, backtraces with byte offsets, and debuggers. */
struct code_position {
    uint32_t text_offset;   /* from the function's entry */
    uint32_t module_offset; /* of the wasm instruction */
};
enum engine_status code_positions(const struct code *code, uint32_t function, uint32_t cpu_features,
                                  const struct engine_allocator *allocator, struct arena *arena,
                                  struct code_position **positions, uint32_t *count, struct engine_error *error);

#endif
