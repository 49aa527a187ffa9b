/* The ABI of compiled code on x86-64, as C sees it. The full text is docs/abi.md; this file is what the compiler, the
 * kernel and the assembly stubs share, so each offset stands once.
 *
 * Below linear memory 0 of an instance, ending exactly at its base (= GS base), lies the instance header: the fixed
 * part `struct instance_header` nearest to the base, then, growing downwards, the parts whose size depends on the
 * module (struct header_layout). All of it is at negative offsets from GS, which no wasm index can form. */
#ifndef ENGINE_X64_ABI_H
#define ENGINE_X64_ABI_H

#include <stddef.h>
#include <stdint.h>

#include "engine/builtins.h"

/* ---- General registers, by hardware number ---- */
enum register64 { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };

/* Integer and reference arguments go to these in order, then to the stack; rdi is left for the host's context.
 * Floats and vectors go to xmm0..xmm7, then to the stack. Stack arguments are 8-byte slots in order of parameters, two
 * for a vector, behind those of the results, which begin at rsp + 8 on entry (rsp + 0 before the call). */
#define ABI_INTEGER_ARGUMENTS          5
#define ABI_INTEGER_ARGUMENT_REGISTERS {RSI, RDX, RCX, R8, R9}
#define ABI_FLOAT_ARGUMENTS            8
/* Results: integers in rax then rdx, floats and vectors in xmm0 then xmm1, each class counted on its own; all further
 * results in 8-byte slots (two for a vector) directly above the return address, in order: a function that is tail-called
 * finds its caller's there, whatever the arguments are. */
#define ABI_INTEGER_RESULTS 2
#define ABI_FLOAT_RESULTS   2
/* Callee-saved: rbx, rbp, r12-r15. All else, and every xmm register, belongs to the callee. MXCSR is never changed. */

/* ---- What one thread keeps for the code that it runs ---- */
struct thread_area {
    uint64_t kernel_rsp;  /* where host calls put rsp: inside the frame of wasm_enter, 16-byte aligned */
    uint64_t wasm_rsp;    /* rsp of the wasm code at its last host call (there lies the return address): for backtraces
                             and nested entries; 0 outside of wasm_enter, where the kernel starts it */
    uint64_t stack_limit; /* lowest usable address of the wasm stack */
    uint64_t stack_base;  /* highest */
    /* Both are looked at when a host call returns, in one step: */
    uint32_t pending;       /* not 0: something waits for this thread */
    uint32_t switched;      /* not 0: others ran meanwhile, and the CPU would predict their returns */
    uint64_t payload;       /* address of ABI_PAYLOAD_VALUES values: where `throw` leaves what it throws */
    uint32_t host_function; /* number of the host function that was called last, for backtraces */
};

_Static_assert(offsetof(struct thread_area, switched) == offsetof(struct thread_area, pending) + 4 &&
                   offsetof(struct thread_area, pending) % 8 == 0,
               "compared as one word");

/* The values of an exception lie in 16 bytes each. A tag has at most as many as a function type has parameters. */
#define ABI_PAYLOAD_VALUES      1000
#define ABI_PAYLOAD_VALUE_BYTES 16

/* ---- A function that can be called through a reference ----
 * A reference (funcref) is a 32-bit index into the process's array of these; 0 is the null reference, whose record has
 * signature 0, which no type has. */
struct function_reference {
    uint64_t code;      /* entry address */
    uint32_t signature; /* canonical number of the function type, equal for equal types in the whole kernel; not 0 */
    uint32_t instance;  /* index in the process's instance directory; 0 for host functions */
    uint32_t function;  /* index in the instance's module, or the host function's number */
    uint32_t padding[3];
};
#define FUNCTION_REFERENCE_SHIFT 5
_Static_assert(sizeof(struct function_reference) == 1 << FUNCTION_REFERENCE_SHIFT, "compiled code scales by shifting");

/* An imported function, in the importer's header. `instance` is the importer's own index when no switch of GS is
 * needed (host functions, functions of the same instance), so one comparison decides. */
struct import_slot {
    uint64_t code;
    uint32_t instance;
    uint32_t reference; /* funcref of the import, for ref.func and element segments; made at instantiation */
};

/* A table. Defined ones are in their instance's header; importers point there. */
struct table_slot {
    uint64_t entries; /* address of uint32_t references; reserved for the maximum, so it never moves */
    uint64_t length;  /* in entries */
};

/* A memory beyond what GS gives: size of memory 0, base and size of the others. */
struct memory_slot {
    uint64_t base;
    uint64_t bytes;
};

/* ---- Tail calls ----
 * A tail call whose callee needs more stack arguments than this function was given, or is another instance's or the
 * host's, leaves a tail frame below the return address: room for stack results and arguments, and a word that says what
 * is to be done when the callee returns to `tail_return`. From low to high: the area, struct tail_frame. A tail call
 * that finds this return address uses the frame that is there, so a chain of tail calls needs at most one of each size.
 * The large area has room for all that the limits allow. */
enum tail_area { TAIL_AREA_SMALL, TAIL_AREA_LARGE, TAIL_AREA_COUNT };
#define ABI_TAIL_SMALL_WORDS 16
#define ABI_TAIL_LARGE_WORDS 4000

struct tail_frame {
    uint32_t instance; /* to which GS is set back */
    uint32_t results;  /* number of stack results, which are copied to the outer caller's; and TAIL_FRAME_EXTEND */
};
#define TAIL_FRAME_EXTEND UINT32_C(0x80000000) /* the first result is an i32, which a host function need not extend */

/* ---- The fixed part of the header, ending at the base ---- */
struct instance_header {
    uint64_t builtins[BUILTIN_COUNT]; /* entry addresses of the stubs of engine/builtins.h */
    uint64_t instance_directory;      /* address of uint64_t[]: GS base of each instance of the process, by index */
    uint64_t function_references;     /* address of the process's struct function_reference[] */
    uint64_t switch_instance; /* stub: GS base = directory[r11d], unless r11d is 0; changes r11 and flags only */
    uint64_t tail_return[TAIL_AREA_COUNT]; /* where tail frames return: engine/x64/tail.h */
    uint64_t thread;          /* struct thread_area * */
    uint64_t kernel_instance; /* struct instance * of the kernel */
    uint64_t gs_base;         /* own GS base: readable where rdgsbase is not */
    uint64_t type_displays;   /* address of uint64_t[]: by type number, the address of the type's display */
    uint64_t vector[2];       /* a v128 on its way to a builtin, which follows at once */
    uint64_t heap;            /* address of the process's collected heap; 0 while it has none */
    uint32_t instance_index;  /* own index in the directory, from 1 */
    uint32_t reference_base;  /* funcref of function f = reference_base + module.functions[f].reference */
    uint32_t padding[2 + 2 * (BUILTIN_COUNT % 2)];
    struct memory_slot memory; /* memory 0; {0, 0} without one */
};
_Static_assert(sizeof(struct instance_header) % 16 == 0, "globals below must be 16-byte aligned");

/* Displacement from GS of a member of the fixed part. */
#define HEADER_OFFSET(member)                                                                                          \
    ((int32_t)offsetof(struct instance_header, member) - (int32_t)sizeof(struct instance_header))

/* What the record of a function of this type holds when it can be called through a table without a switch of instance:
 * compared with `signature` and `instance` of struct function_reference in one instruction. */
struct signature_slot {
    uint32_t signature; /* canonical number of the type, which may be any */
    uint32_t instance;  /* own index in the directory */
};
_Static_assert(offsetof(struct function_reference, instance) ==
                   offsetof(struct function_reference, signature) + offsetof(struct signature_slot, instance),
               "compared as one word");

/* ---- References other than those to functions ----
 * Null is 0. The low bits tell what else it is: an object of the process's collected heap, by its distance from the
 * heap's base; a 31-bit number, doubled, with bit 0 set; or a number of the host's, times 4, with bit 1 set. An
 * externref and an anyref of the same thing are the same.
 *
 * An object begins with its type's number and, for an array, its length; for a structure OBJECT_NO_LENGTH. Fields lie at
 * struct field_type.offset, elements from OBJECT_HEADER_BYTES on. The heap's first HEAP_NULL_BYTES are never
 * accessible, so that an access through null faults. */
#define REFERENCE_TAG_MASK   3
#define REFERENCE_TAG_I31    1
#define REFERENCE_TAG_HOST   2
#define OBJECT_LENGTH_OFFSET 4
#define OBJECT_NO_LENGTH     UINT32_MAX
#define HEAP_NULL_BYTES      UINT64_C(262144)
#define HEAP_BYTES           (UINT64_C(1) << 32)

/* ---- Types at run time ----
 * A type's display is an array of type numbers: its supertype at each depth, last itself. It has at least
 * TYPE_DISPLAY_MINIMUM elements, those behind the type's own being 0, and its depth stands directly before it. So a type
 * is `t` or below, when its display has t's number at t's depth. */
#define TYPE_DISPLAY_MINIMUM 8

/* Where the variable parts start: displacements from GS, all negative. Element i of a part is at start + i * size. */
struct header_layout {
    int32_t signatures; /* struct signature_slot[type_count] */
    int32_t imports;    /* struct import_slot[function_import_count] */
    int32_t globals;    /* 16 bytes for each global: the value, or, for an imported mutable one, its address */
    int32_t tables;     /* 16 bytes for each table: struct table_slot, or, for an imported one, its address */
    int32_t memories;   /* struct memory_slot[memory_count - 1], for memories beyond the first */
    uint32_t bytes;     /* whole header, fixed part included; a multiple of 16 */
};
#define HEADER_GLOBAL_BYTES 16
#define HEADER_TABLE_BYTES  16

/* ---- Linear memory ----
 * An index is at most 2^32 - 1; static offsets below ABI_OFFSET_MAXIMUM are folded into the instruction, larger ones
 * are added to the index and compared with the size. So header, 4 GiB and this guard are one reservation. */
#define ABI_MEMORY_RESERVE_BYTES (UINT64_C(1) << 32)
#define ABI_OFFSET_MAXIMUM       (UINT64_C(1) << 31)
#define ABI_MEMORY_GUARD_BYTES   (ABI_OFFSET_MAXIMUM + UINT64_C(65536))

/* A memory with 64-bit addresses is as large as it may grow, but at most this, and has the guard behind it; each access
 * compares its address. Declared sizes beyond it are valid; growing there is refused. */
#define ABI_MEMORY64_MAXIMUM_BYTES (UINT64_C(1) << 34)

/* ---- The wasm stack ----
 * Below stack_limit lies a guard of this size. A frame that is larger than ABI_FRAME_UNCHECKED compares with
 * stack_limit before it moves rsp; smaller ones run into the guard. */
#define ABI_STACK_GUARD_BYTES 65536
#define ABI_FRAME_UNCHECKED   32768

/* ---- Entering compiled code (engine/x64/enter.h) ----
 * Argument block for wasm_enter, filled from a signature by call_frame_prepare. The caller sets GS. */
struct call_frame {
    uint64_t code; /* entry address */
    uint64_t integers[ABI_INTEGER_ARGUMENTS];
    uint64_t floats[ABI_FLOAT_ARGUMENTS][2];
    uint64_t *stack;      /* space for stack results, then stack arguments; copied to and fro */
    uint64_t stack_words; /* arguments plus results */
    uint64_t has_floats;  /* not 0: there are arguments in `floats`, which is not looked at else */
    uint64_t integer_results[ABI_INTEGER_RESULTS];
    uint64_t float_results[ABI_FLOAT_RESULTS][2];
};

#endif
