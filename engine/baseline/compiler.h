/* The baseline compiler's state, and what its files give each other.
 *
 * One pass over a validated body. The operand stack is a stack of descriptions (struct value): constants and locals
 * stay where they are until an instruction needs them, so most `local.get` and `const` emit nothing, and most
 * operations become one machine instruction.
 *
 * Locals: those used most (counted by the validator, weighted by loop depth) live in a register for the whole function,
 * the others in the frame ("home"). A home's value may be known to be in a temporary register as well ("cached") until
 * the next label or call.
 *
 * Rules between the files:
 *  - vpop gives a value that is off the stack but "held": its register is not given away before the next wasm
 *    instruction (c->held). A register that no stack entry uses any more may be overwritten: value_own decides.
 *  - Registers hold i32 zero-extended, always.
 *  - At a label, every entry below the label's results is a constant or in its own slot, and no local is cached or
 *    stale.
 *  - Between a compare that left CPU flags for the next instruction and its jump, setcc or cmov, only moves are emitted
 *    (c->flags_live).
 *  - The text has INSTRUCTION_ROOM bytes left before each instruction; longer code asks for more as it goes. */
#ifndef ENGINE_BASELINE_COMPILER_H
#define ENGINE_BASELINE_COMPILER_H

#include "engine/allocator.h"
#include "engine/base.h"
#include "engine/baseline/baseline.h"
#include "engine/module.h"
#include "engine/opcode.h"
#include "engine/reader.h"
#include "engine/trap.h"
#include "engine/validate.h"
#include "engine/x64/assembler.h"

/* ---- Registers ---- */
#define SCRATCH      R11 /* free between any two instructions; never holds a value of the stack */
#define SCRATCH_XMM  XMM(15)
#define NO_LOCAL     UINT32_MAX
#define GENERAL_MASK UINT32_C(0x0000ffff)
#define FLOAT_MASK   UINT32_C(0xffff0000)
#define CALLEE_SAVED_MASK                                                                                              \
    (REGISTER_BIT(RBX) | REGISTER_BIT(RBP) | REGISTER_BIT(R12) | REGISTER_BIT(R13) | REGISTER_BIT(R14) |               \
     REGISTER_BIT(R15))
/* Never given to a local: what instructions need in fixed places. Three general registers are enough for any
 * instruction: at most three are held at a time, and entries of the stack can be sent to their slots. */
#define ALWAYS_TEMPORARY                                                                                               \
    (REGISTER_BIT(RAX) | REGISTER_BIT(RCX) | REGISTER_BIT(RDX) | REGISTER_BIT(XMM(0)) | REGISTER_BIT(XMM(1)) |         \
     REGISTER_BIT(XMM(2)) | REGISTER_BIT(XMM(3)))

/* What is left in the text before each instruction: enough to send a window of stack entries to their slots (16 bytes
 * each), save, reload and move all registers, and compute. Whatever depends on a count asks for ROOM as it goes, at the
 * latest after 16 elements. */
#define INSTRUCTION_ROOM 2048
#define ROOM             512

#define POOL_CONSTANTS 128
#define POOL_VECTORS   128

enum type { TYPE_I32, TYPE_I64, TYPE_F32, TYPE_F64, TYPE_V128 };

/* In an xmm register. */
static inline bool type_is_float(unsigned type)
{
    return type >= TYPE_F32;
}
static inline bool type_is_wide(unsigned type)
{
    return type == TYPE_I64 || type == TYPE_F64;
}

static inline unsigned type_of(value_type type)
{
    switch (type) {
    case VALUE_I64:
        return TYPE_I64;
    case VALUE_F32:
        return TYPE_F32;
    case VALUE_F64:
        return TYPE_F64;
    case VALUE_V128:
        return TYPE_V128;
    default: /* references are 32-bit numbers */
        return TYPE_I32;
    }
}

/* ---- Operand stack ---- */
enum place {
    PLACE_CONSTANT, /* `constant` */
    PLACE_LOCAL,    /* `index` is a local, in its register or home */
    PLACE_HOME,     /* in the home of local `index`; not on the stack, only while arguments are placed */
    PLACE_REGISTER, /* `reg` */
    PLACE_SLOT,     /* in the frame slot of stack position `index` */
    PLACE_FLAGS,    /* CPU flags, `condition`; only as the top, for the very next instruction */
    PLACE_MEMORY,   /* linear memory at gs:[reg + offset]; only as the top, for the very next instruction */
};

struct value {
    uint8_t place;
    uint8_t type;
    uint8_t reg; /* PLACE_MEMORY: NO_REGISTER for an absolute address */
    union {
        uint8_t condition; /* PLACE_FLAGS */
        uint8_t bits;      /* else, when not 0: the value is below 2^bits */
    };
    uint32_t index;
    uint64_t constant; /* floats: the bit pattern; i32: zero-extended; v128: where its bytes stand in the module;
                          PLACE_MEMORY: the offset */
};

struct local {
    uint8_t type;
    uint8_t pinned; /* register for the whole function, or NO_REGISTER */
    uint8_t cached; /* temporary register that holds the same value, or NO_REGISTER */
    uint32_t lazy;  /* entries of the operand stack that are PLACE_LOCAL of this local */
    int32_t home;   /* displacement from rsp */
};

/* ---- Control ---- */
enum control_kind {
    CONTROL_FUNCTION,
    CONTROL_BLOCK,
    CONTROL_LOOP,
    CONTROL_IF,
    CONTROL_ELSE,
    CONTROL_TRY,       /* the older encoding's, before its first catch */
    CONTROL_CATCH,     /* behind it; the slot at `height` keeps the reference to the exception */
    CONTROL_TRY_TABLE,
};
struct control {
    uint8_t kind;
    uint32_t height;      /* operand stack below its parameters */
    uint32_t chain;       /* jumps to its end */
    uint32_t table_chain; /* entries of jump tables for its end */
    uint32_t else_chain;  /* CONTROL_IF: jumps to the else branch */
    uint32_t target;      /* CONTROL_LOOP: position of its head */
    uint32_t stub;        /* code of a jump table for this target: of the one at position stub_table */
    uint32_t stub_table;
    uint32_t inner_try;    /* that calls inside are in: its own, or the one around it */
    uint32_t own_try;      /* CONTROL_TRY and on */
    uint32_t last_clause;   /* CONTROL_TRY, CONTROL_CATCH: of those so far, or CODE_NO_CLAUSE */
    const uint8_t *clauses; /* CONTROL_TRY_TABLE: their number and they */
    uint32_t parameter_count, result_count;
    const value_type *types; /* parameters, then results; NULL when there is at most one result, of `result` */
    value_type result;
};

/* ---- Code behind the function ---- */
enum cold_kind {
    COLD_TRAP,           /* ud2 */
    COLD_INDIRECT,       /* the record in rax: null reference, wrong type, or another instance's */
    COLD_REFERENCE,      /* the record in rax: null, or another instance's, which is in r11d */
    COLD_TAIL_REFERENCE, /* as COLD_REFERENCE, for a tail call */
    COLD_SWITCH,         /* call of an import of another instance */
    COLD_TAIL,           /* as COLD_INDIRECT, for a tail call */
    COLD_MIN_MAX,        /* operands equal or unordered */
    COLD_TRUNCATE,       /* a float that did not convert: NaN, overflow, or the minimum after all */
    COLD_CONVERT,        /* u64 above the signed maximum to float */
};
struct cold {
    uint8_t kind;
    uint8_t a, b, c; /* registers, trap numbers, operations: see cold.c */
    uint8_t type;
    bool maximum;
    int32_t slot;   /* COLD_SWITCH: the import's slot in the header; COLD_INDIRECT, COLD_TAIL: of a type that
                       is not final, and so may be called as a subtype, its depth + 1 */
    uint32_t chain; /* jumps to it */
    union {
        uint32_t resume; /* where it goes back to */
        uint32_t callee; /* COLD_TAIL, COLD_TAIL_REFERENCE: its type */
    };
    uint32_t try_index; /* around the instruction */
    uint32_t position; /* module offset of the wasm instruction */
};

struct compiler {
    struct assembler as;
    const struct engine_allocator *allocator;
    const struct module *module;
    const struct header_layout *layout;
    uint32_t features; /* CPU_* */
    uint32_t *calls;   /* positions of call targets, so far indices: functions that were not compiled yet */
    uint32_t call_count, call_capacity;
    const struct code_function *functions; /* offsets of those that are compiled */
    uint32_t functions_done;
    struct code_exceptions exceptions; /* growing arrays */
    uint32_t call_site_capacity, try_capacity, clause_capacity;

    /* Reading */
    const uint8_t *pc;
    const uint8_t *instruction; /* where the current one starts */
    const struct function_type *type;
    const struct function_summary *summary;
    uint32_t function;
    bool dead;            /* after an unconditional branch */
    uint32_t current_try; /* around the instruction, or CODE_NO_TRY */

    struct local *locals;
    uint32_t local_count, local_capacity;
    struct value *stack;
    uint32_t count, stack_capacity;
    uint32_t stable; /* entries below are constants or in their slots */
    struct control *controls;
    uint32_t control_count, control_capacity;
    struct cold *cold;
    uint32_t cold_count, cold_capacity;
    uint64_t pool[POOL_CONSTANTS]; /* float constants, in memory behind the function */
    uint32_t pool_chains[POOL_CONSTANTS + POOL_VECTORS];
    uint32_t pool_count;
    uint64_t vectors[POOL_VECTORS][2]; /* v128 constants; number n of the pool is POOL_CONSTANTS + n */
    uint32_t vector_count;

    /* Registers, as masks by number */
    uint32_t temporaries;     /* may hold values of the stack */
    uint32_t used;            /* some stack entry is in it */
    uint32_t held;            /* taken by the current instruction */
    uint32_t cached;          /* holds a local's value, see cached_local */
    uint32_t pinned;          /* belong to locals */
    uint32_t pinned_volatile; /* of these, the ones that calls destroy */
    uint32_t stale;           /* pinned, but the value is in the home only (after a call) */
    uint32_t home_valid;      /* pinned, and the home has the same value */
    uint32_t saved;           /* callee-saved registers in use */
    uint8_t uses[32];         /* number of stack entries (saturated well above what the window allows) */
    uint32_t cached_local[32];
    uint32_t pinned_local[32];
    uint32_t next_victim;
    bool flags_live;

    /* An arithmetic instruction that ended at flags_position left the flags of its result. */
    uint32_t flags_position;
    uint8_t flags_type, flags_reg;
    bool flags_logical; /* carry and overflow are clear, as after a comparison with 0 */

    /* Frame; displacements from rsp behind the prologue */
    bool leaf;            /* calls nothing: rsp does not move, the frame lies below it */
    uint32_t frame_bytes; /* by which rsp moves */
    int32_t saved_home;
    int32_t zeroed_home; /* locals in memory that start as zero */
    uint32_t zeroed_bytes;
    int32_t instance_home;
    int32_t slots;            /* of operand stack position 0 */
    uint8_t slot_shift;       /* of a slot's size: 3, or 4 in functions that use vectors */
    int32_t outgoing;         /* stack results and arguments of calls; of tail calls, the arguments alone */
    int32_t incoming_results; /* first stack result of this function */
    int32_t incoming;         /* first stack argument, behind them */
    uint32_t entry;           /* position */
    uint32_t prologue_end;
    uint32_t incoming_words; /* stack arguments of this function */

    bool plain_memory; /* memory 0 has 32-bit addresses and pages of 64 KiB */
    bool no_memory, too_large;
    struct position_log *log;
};

/* ---- registers.c: values and where they are ---- */
static inline bool compiler_room(struct compiler *c, size_t bytes); /* false: c->too_large, stop */
/* Make room for `needed` elements in a growing array; false: c->no_memory, stop. */
bool compiler_grow(struct compiler *c, void **array, uint32_t *capacity, uint32_t needed, size_t size);
static inline struct operand slot_operand(const struct compiler *c, uint32_t index);

static inline void push_constant(struct compiler *c, unsigned type, uint64_t bits);
static inline void push_local(struct compiler *c, uint32_t index);
static inline void push_register(struct compiler *c, unsigned type, unsigned reg);
void push_slot(struct compiler *c, unsigned type);
void push_memory(struct compiler *c, unsigned type, unsigned reg, uint32_t offset);
void push_flags(struct compiler *c, unsigned condition);
void push_value(struct compiler *c, struct value value); /* of vpop, unchanged */
static inline struct value vpop(struct compiler *c);

/* The register that a value is in already, or NO_REGISTER. */
static inline unsigned value_in(struct compiler *c, const struct value *value);
/* A register to read the value from. */
unsigned value_register(struct compiler *c, struct value *value);
/* A register with the value that may be overwritten. */
unsigned value_own(struct compiler *c, struct value *value);
/* True when vpop's value sits in a temporary that nothing else needs. */
static inline bool value_is_free(const struct compiler *c, const struct value *value);
/* Move it to this register (which the caller owns). */
void value_load(struct compiler *c, unsigned reg, const struct value *value);
/* The value as an r/m operand: in place if it is in a register or in memory, else through a register. */
struct operand value_operand(struct compiler *c, struct value *value);
/* True for a constant that fits in a sign-extended 32-bit immediate of its operation. */
static inline bool value_is_immediate(const struct value *value, int32_t *immediate);
void store_value(struct compiler *c, struct operand memory, const struct value *value);

unsigned take_register(struct compiler *c,
                       bool is_float);                 /* a temporary to overwrite; held until the next instruction */
void claim_register(struct compiler *c, unsigned reg); /* this one: whatever the stack has there moves away */
void forget_cache(struct compiler *c, unsigned reg);
static inline void forget_caches(struct compiler *c, uint32_t mask);
void remember_cache(struct compiler *c, unsigned reg, uint32_t index); /* reg holds the local's value */
static inline void hold(struct compiler *c, unsigned reg);
static inline void unhold(struct compiler *c, unsigned reg); /* its value was copied: others may have it */

/* Where a result goes: into the pinned local that the next instruction sets, or a temporary. */
struct target {
    uint8_t reg; /* of the local; NO_REGISTER: the operation chooses */
    bool tee;
    uint32_t local;
    const uint8_t *next;
};
void reload_local(struct compiler *c, uint32_t index);            /* of a stale local: for local_register */
void entry_to_slot(struct compiler *c, uint32_t index);           /* for flush_stack */
struct target target_of_local(struct compiler *c, unsigned type); /* for target_find, where a local is set next */
void set_local(struct compiler *c, uint32_t index, bool tee);     /* local.set, local.tee */
static inline unsigned local_register(struct compiler *c, uint32_t index); /* of a pinned local, with its value in it */
void local_written(struct compiler *c, uint32_t index); /* a pinned local's register was overwritten */
void release_local(struct compiler *c, uint32_t index); /* copy away lazy entries: its value will change */
static inline void flush_stack(struct compiler *c,
                               uint32_t below);           /* entries below this index to slots (constants stay) */
void flush_registers(struct compiler *c, uint32_t below); /* those in temporaries to slots */
void settle(struct compiler *c);                          /* reload stale locals: control goes elsewhere */
void save_pinned(struct compiler *c);                     /* before a call */
void forget_pinned(struct compiler *c);                   /* behind a call */
void emit_load_slot(struct compiler *c, unsigned type, unsigned reg, struct operand memory);
void emit_store_slot(struct compiler *c, unsigned type, unsigned reg, struct operand memory);
/* From memory to memory through a scratch register; 16 bytes for TYPE_V128, else 8. */
void copy_value(struct compiler *c, unsigned type, struct operand to, struct operand from);
void move_register(struct compiler *c, unsigned type, unsigned to, unsigned from);

static inline struct target target_find(struct compiler *c, unsigned type);
/* The result is in `reg`. */
void target_finish(struct compiler *c, const struct target *target, unsigned type, unsigned reg);
/* target.reg, or a fresh temporary. */
static inline unsigned target_register(struct compiler *c, const struct target *target, unsigned type);

/* Directly behind target_finish: the value is below 2^bits (0: not known). */
static inline void push_bits(struct compiler *c, const struct target *target, unsigned bits);

/* ---- Instructions ----
 * Each is compiled by a function that reads its immediates and takes two constants of the table in instructions.c: an
 * operation and a type, mostly. */
#define UNUSED     __attribute__((unused)) unsigned unused
#define UNUSED_TOO __attribute__((unused)) unsigned unused_too

struct instruction {
    void (*compile)(struct compiler *c, unsigned first, unsigned second);
    uint32_t first;
    uint32_t second;
};
extern const struct instruction instructions[256];

/* integer.c */
void compile_alu(struct compiler *c, unsigned alu, unsigned type);
void compile_multiply(struct compiler *c, unsigned type, unsigned);
void compile_shift(struct compiler *c, unsigned shift, unsigned type);
void compile_unary(struct compiler *c, unsigned opcode, unsigned type);
void compile_bit_scan(struct compiler *c, unsigned leading, unsigned type);
void compile_extend_signed(struct compiler *c, unsigned bits, unsigned type);
void compile_extend_unsigned(struct compiler *c, unsigned, unsigned);
void compile_wrap(struct compiler *c, unsigned, unsigned);
void compile_compare(struct compiler *c, unsigned condition, unsigned type);
void compile_zero_test(struct compiler *c, unsigned type, unsigned);
void compile_select(struct compiler *c, unsigned, unsigned);
void finish_condition(struct compiler *c, unsigned condition); /* the CPU flags are an i32 result */
unsigned pop_condition(struct compiler *c); /* set CPU flags by the top value; gives the condition for "not 0" */

/* wide.c: an instruction of wide-arithmetic */
void compile_wide(struct compiler *c, unsigned opcode);

/* divide.c */
enum division { DIVIDE_SIGNED, DIVIDE_UNSIGNED, REMAINDER_SIGNED, REMAINDER_UNSIGNED };
void compile_divide(struct compiler *c, unsigned division, unsigned type);

/* float.c */
void compile_float_compare(struct compiler *c, unsigned condition, unsigned type);
void compile_float_binary(struct compiler *c, unsigned operation, unsigned type);
void compile_min_max(struct compiler *c, unsigned maximum, unsigned type);
void compile_round(struct compiler *c, unsigned mode, unsigned type);
void compile_sqrt(struct compiler *c, unsigned type, unsigned);
void compile_absolute(struct compiler *c, unsigned type, unsigned);
void compile_negate(struct compiler *c, unsigned type, unsigned);
void compile_copysign(struct compiler *c, unsigned type, unsigned);
/* A float constant as a memory operand, or as a register where the pool is full. */
struct operand float_constant_operand(struct compiler *c, unsigned type, uint64_t bits);
void emit_float_constant(struct compiler *c, unsigned type, unsigned reg, uint64_t bits);

/* convert.c */
enum { TRUNCATE_F64 = 1, TRUNCATE_UNSIGNED = 2, TRUNCATE_SATURATE = 4 };
void compile_truncate(struct compiler *c, unsigned flags, unsigned type);
void compile_from_integer(struct compiler *c, unsigned is_signed, unsigned type);
void compile_float_width(struct compiler *c, unsigned type, unsigned);
void compile_reinterpret(struct compiler *c, unsigned type, unsigned);

/* address.c: what the immediates of a memory access say, and where the access goes */
struct memory_argument {
    uint64_t offset;
    uint32_t memory;
};
static inline struct memory_argument read_memory_argument(const uint8_t **cursor);
/* The access is gs:[address + offset] as it stands: no check, no scratch register. */
static inline bool memory_is_plain(const struct compiler *c, struct memory_argument argument);
/* The place of `bytes` bytes at `address` + offset, behind all checks. It may need the scratch register: that one must
 * keep its value until the access. */
struct operand address_operand(struct compiler *c, struct value *address, struct memory_argument argument,
                               unsigned bytes);
void compile_memory_size(struct compiler *c, unsigned, unsigned);
void compile_memory_grow(struct compiler *c, unsigned, unsigned);

/* memory.c */
void compile_load(struct compiler *c, unsigned opcode, unsigned);
void compile_store(struct compiler *c, unsigned opcode, unsigned);
bool compile_scaled_load(struct compiler *c, struct value *index, unsigned scale);
bool compile_indexed_load(struct compiler *c, struct value *base, struct value *index, unsigned scale);
void compile_global_get(struct compiler *c, unsigned, unsigned);
void compile_global_set(struct compiler *c, unsigned, unsigned);
void compile_table_get(struct compiler *c, unsigned, unsigned);
void compile_table_set(struct compiler *c, unsigned, unsigned);
void compile_table_size(struct compiler *c, uint32_t table);
unsigned table_address_type(const struct compiler *c, uint32_t table); /* of its indices */
void compile_reference_function(struct compiler *c, unsigned, unsigned);

/* simd.c: the instructions behind the prefix 0xfd */
void compile_prefix_fd(struct compiler *c, unsigned, unsigned);
/* A v128 constant, given by its place in the module. */
struct operand vector_constant_operand(struct compiler *c, uint64_t constant);
void emit_vector_constant(struct compiler *c, unsigned reg, uint64_t constant);

/* call.c */
void compile_call(struct compiler *c, unsigned, unsigned);
void compile_call_indirect(struct compiler *c, unsigned, unsigned);
void compile_call_reference(struct compiler *c, unsigned, unsigned);
void emit_reference_record(struct compiler *c); /* eax: a reference; rax: its record; r11d and flags: is it of here? */
/* Call a builtin: `constants` first, then the top `operands` entries of the stack. `result` is the type that goes to
 * the stack, or NO_RESULT. */
#define NO_RESULT 0xff
void compile_builtin(struct compiler *c, enum builtin builtin, const uint32_t *constants, unsigned constant_count,
                     unsigned operands, unsigned result);

/* Words of stack that arguments and results of a call need. */
uint32_t argument_words(const struct function_type *type);
uint32_t result_words(const struct function_type *type);
/* For other files that call: eax is an index of the table; afterwards rax is the function's record, r10 the signature
 * slot of the type, and the flags tell whether the record has that signature and is of this instance. */
void emit_table_record(struct compiler *c, uint32_t type, uint32_t table);
/* Call or jump, X64_CALL_DIRECT or X64_JUMP_DIRECT, to a function of the module that is not an import. */
void emit_direct_branch(struct compiler *c, unsigned opcode, uint32_t function);

/* tail.c */
void compile_return_call(struct compiler *c, unsigned, unsigned);
void compile_return_call_indirect(struct compiler *c, unsigned, unsigned);
void compile_return_call_reference(struct compiler *c, unsigned, unsigned);
void emit_tail_elsewhere(struct compiler *c, const struct function_type *type); /* for cold.c */

/* atomics.c */
void compile_prefix_fe(struct compiler *c, unsigned, unsigned);

/* Several moves at once: no destination is written before its old value was read. */
struct move {
    struct value value;
    uint8_t to;
    uint8_t from; /* NO_REGISTER: `value` is a constant or in memory */
    bool done;
};
#define MOVES_MAXIMUM (ABI_INTEGER_ARGUMENTS + ABI_FLOAT_ARGUMENTS + 1)
void run_moves(struct compiler *c, struct move *moves, unsigned count);
/* Arguments from the top of the stack to their places, those on the stack from rsp + `words` upwards; `moves` may hold
 * more moves already. */
void place_arguments(struct compiler *c, const struct function_type *type, struct move *moves, unsigned moves_count,
                     int32_t words);
void argument_move(struct compiler *c, struct move *move, unsigned to, const struct value *value);
/* Where the next argument of a type goes: a register, or NO_REGISTER and the number of its stack word. */
struct arguments {
    unsigned integers, floats, words;
};
unsigned next_argument(struct arguments *arguments, value_type type, uint32_t *word);
unsigned next_result(struct arguments *arguments, value_type type, uint32_t *word);

/* control.c */
void compile_block(struct compiler *c, unsigned, unsigned);
void compile_loop(struct compiler *c, unsigned, unsigned);
void compile_if(struct compiler *c, unsigned, unsigned);
void compile_else(struct compiler *c, unsigned, unsigned);
void compile_end(struct compiler *c, unsigned, unsigned);
void compile_br(struct compiler *c, unsigned, unsigned);
void compile_br_if(struct compiler *c, unsigned, unsigned);
void compile_br_table(struct compiler *c, unsigned, unsigned);
void compile_return(struct compiler *c, unsigned, unsigned);
/* A branch to the label at `depth`, which takes its values from the top of the stack, when the CPU flags, which the
 * last instruction set, say `condition`; the values stay there. */
void branch_if(struct compiler *c, uint32_t depth, unsigned condition);
/* The register that branch_if may overwrite, or NO_REGISTER. */
unsigned branch_register(const struct compiler *c, uint32_t depth);
void compile_unreachable(struct compiler *c, unsigned, unsigned);
void skip_dead_code(struct compiler *c);
/* For exceptions.c: the block that a label means, its kind, and the steps at its end. */
struct control *label(struct compiler *c, uint32_t depth);
struct control read_block(struct compiler *c, enum control_kind kind);
value_type result_type(const struct control *control, uint32_t i);
uint32_t label_arity(const struct control *control);
value_type label_type(const struct control *control, uint32_t i);
bool is_single(const struct control *control); /* its one value goes to a register, rax or xmm0 */
void constants_to_slots(struct compiler *c, uint32_t from); /* all entries to slots, constants from there on, too */
void forget_at_label(struct compiler *c);
void settle_for(struct compiler *c, const struct control *control);
void move_results(struct compiler *c, const struct control *control);
void drop_to(struct compiler *c, uint32_t height);
void jump(struct compiler *c, struct control *control);
bool push_control(struct compiler *c, struct control control);

/* references.c */
void compile_as_non_null(struct compiler *c, unsigned trap, unsigned);
void compile_br_on_null(struct compiler *c, unsigned, unsigned);
void compile_br_on_non_null(struct compiler *c, unsigned, unsigned);

/* exceptions.c */
void compile_throw(struct compiler *c, unsigned, unsigned);
void compile_throw_ref(struct compiler *c, unsigned, unsigned);
void compile_rethrow(struct compiler *c, unsigned, unsigned);
void compile_try(struct compiler *c, unsigned, unsigned);
void compile_catch(struct compiler *c, unsigned all, unsigned);
void compile_delegate(struct compiler *c, unsigned, unsigned);
void compile_try_table(struct compiler *c, unsigned, unsigned);
void end_try_table(struct compiler *c, struct control *control); /* for compile_end: the landing pads */
void skip_clauses(const uint8_t **cursor);
void call_site_add(struct compiler *c, uint32_t try_index); /* for call_site */

/* Right behind the code of a call that may throw. */
static inline void call_site(struct compiler *c, uint32_t try_index)
{
    if (UNLIKELY(try_index != CODE_NO_TRY))
        call_site_add(c, try_index);
}

/* objects.c */
void compile_prefix_fb(struct compiler *c, unsigned, unsigned);

/* cold.c */
struct cold *cold_add(struct compiler *c, enum cold_kind kind); /* NULL when memory is out */
void trap_if(struct compiler *c, enum condition condition, enum trap trap);
void emit_cold(struct compiler *c);

/* frame.c */
bool choose_places(struct compiler *c);
void prologue(struct compiler *c);
void epilogue(struct compiler *c);
void restore_saved(struct compiler *c); /* the callee-saved registers */
bool epilogue_is_trivial(const struct compiler *c);

void log_position(struct compiler *c, uint32_t module_offset); /* baseline.c */

/* Text that all functions share, at its start: masks and constants for floats and vectors, 16-byte aligned. */
#define SHARED_ABS32      0
#define SHARED_ABS64      16
#define SHARED_SIGN32     32
#define SHARED_SIGN64     48
#define SHARED_TWO63_F32  64
#define SHARED_ZERO       72
#define SHARED_TWO63_F64  80
#define SHARED_VECTORS    96 /* enum shared_vector: constants of simd*.c, all lanes equal but for the last */
#define SHARED_TEXT_BYTES (SHARED_VECTORS + 16 * SHARED_VECTOR_COUNT)
#define SHARED_VECTOR(name) operand_text(SHARED_VECTORS + 16 * SHARED_##name)

#define SHARED_VECTOR_LIST(X)                                                                                          \
    X(BYTES_01, 0x0101010101010101)   /* ones of 8 bits */                                                             \
    X(BYTES_0F, 0x0f0f0f0f0f0f0f0f)   /* low halves of bytes */                                                        \
    X(BYTES_70, 0x7070707070707070)   /* makes lane numbers above 15 negative bytes, saturating */                     \
    X(WORDS_ONE, 0x0001000100010001)  /* ones of 16 bits */                                                            \
    X(WORDS_SIGN, 0x8000800080008000) /* signs of 16 bits */                                                           \
    X(TWO16, 0x0001000000010000)      /* 2^16, 32 bits */                                                              \
    X(TWO31_F32, 0x4f0000004f000000)  /* 2^31 */                                                                       \
    X(MAX_S32_F64, 0x41dfffffffc00000) /* 2^31 - 1 */                                                                  \
    X(MAX_U32_F64, 0x41efffffffe00000) /* 2^32 - 1 */                                                                  \
    X(TWO52_F64, 0x4330000000000000)  /* 2^52 */                                                                       \
    X(TWO52_HIGH, 0x4330000043300000) /* high words of 2^52 */                                                         \
    X(BIT_COUNTS, 0x0302020102010100) /* number of bits in 0 to 7; then in 8 to 15 */
#define SHARED_VECTOR_ENUM(name, bits) SHARED_##name,
enum shared_vector { SHARED_VECTOR_LIST(SHARED_VECTOR_ENUM) SHARED_VECTOR_COUNT };
#undef SHARED_VECTOR_ENUM
#define SHARED_BIT_COUNTS_HIGH UINT64_C(0x0403030203020201)

#include "engine/baseline/values.h"

#endif
