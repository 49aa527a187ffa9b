/* A generator of valid bodies: it keeps the types on the operand stack, takes an opcode from the table for each choice
 * and supplies the operands that are missing. Here is WebAssembly 2.0; generate_more.c has what came later. */
#include "tests/fuzz/generate.h"

#include "tests/fuzz/generate_internal.h"

#define OPERANDS_BUSY 200 /* from here on, blocks are cleared before more is pushed */

#define REFERENCE_TO(type) ((value_type)WRAP_TYPE_##type << 8 | VALUE_REF_NULL)
const value_type value_types[WRAP_VALUE_COUNT] = {
    VALUE_I32,           VALUE_I64,
    VALUE_F32,           VALUE_F64,
    VALUE_FUNCREF,       VALUE_EXTERNREF,
    VALUE_V128,          HEAP_ANY & 0xff,
    HEAP_EQ & 0xff,      REFERENCE_TO(STRUCTURE),
    REFERENCE_TO(BYTES), REFERENCE_TO(OBJECTS),
    HEAP_I31 & 0xff,     HEAP_EXN & 0xff,
    REFERENCE_TO(VOID),  REFERENCE_TO(BODY),
};

static const struct {
    struct types parameters, results;
} wrap_types[WRAP_TYPE_COUNT] = {
    [WRAP_TYPE_BODY] = {{6, {VALUE_I32, VALUE_I64, VALUE_F32, VALUE_F64, VALUE_FUNCREF, VALUE_EXTERNREF}},
                        {1, {VALUE_I32}}},
    [WRAP_TYPE_MANY] = {{8, {VALUE_I32, VALUE_I32, VALUE_I32, VALUE_I32, VALUE_I32, VALUE_I32, VALUE_I32, VALUE_F64}},
                        {3, {VALUE_I64, VALUE_F32, VALUE_I32}}},
    [WRAP_TYPE_IMPORT] = {{2, {VALUE_I32, VALUE_F64}}, {1, {VALUE_I64}}},
    [WRAP_TYPE_BLOCK] = {{2, {VALUE_I32, VALUE_I64}}, {2, {VALUE_F32, VALUE_F64}}},
};

static const uint8_t function_types[WRAP_FUNCTION_COUNT] = {WRAP_TYPE_IMPORT, WRAP_TYPE_MANY, WRAP_TYPE_VOID,
                                                            WRAP_TYPE_BODY};

/* ---- Choices ---- */
/* A number below `count`; 0 once the choices are used up. */
unsigned choose(struct generator *generator, unsigned count)
{
    if (generator->left == 0) {
        return 0;
    }
    generator->left--;
    return *generator->choices++ % count;
}

/* Types of a repeatable body are those of WebAssembly 2.0. */
static value_type choose_type(struct generator *generator)
{
    return value_types[choose(generator, generator->repeatable ? WRAP_PARAMETER_COUNT : WRAP_VALUE_COUNT)];
}

static void put_value_type(struct buffer *code, value_type type)
{
    put_byte(code, type & 0xff);
    if ((type & 0xff) == VALUE_REF_NULL) {
        put_signed(code, type >> 8);
    }
}

static unsigned type_number(value_type type)
{
    unsigned number = 0;
    while (value_types[number] != type) {
        number++;
    }
    return number;
}

/* Edges of every width, and small numbers. */
static uint64_t choose_integer(struct generator *generator)
{
    unsigned choice = choose(generator, 256);
    if (choice < 128) {
        return choice;
    }
    unsigned shift = choice & 63;
    uint64_t edge = UINT64_C(1) << shift;
    return choice < 192 ? edge : edge - 1;
}

/* ---- Operands ---- */
void push(struct generator *generator, value_type type)
{
    generator->operands[generator->height++] = type;
}

void push_all(struct generator *generator, const struct types *types)
{
    for (unsigned i = 0; i < types->count; i++) {
        push(generator, types->list[i]);
    }
}

struct frame *innermost(struct generator *generator)
{
    return &generator->frames[generator->depth - 1];
}

static unsigned choose_local(struct generator *generator, value_type type)
{
    unsigned number = type_number(type);
    if (number >= WRAP_PARAMETER_COUNT) {
        return WRAP_MORE_LOCALS + 4 * (number - WRAP_PARAMETER_COUNT) + choose(generator, 4);
    }
    unsigned choice = choose(generator, 5);
    return choice == 0 ? number : WRAP_PARAMETER_COUNT + 4 * number + choice - 1;
}

static unsigned global_number(value_type type)
{
    unsigned number = type_number(type);
    return number < WRAP_PARAMETER_COUNT ? number : WRAP_MORE_GLOBALS + number - WRAP_PARAMETER_COUNT;
}

static void put_constant(struct generator *generator, value_type type)
{
    struct buffer *code = generator->code;
    uint64_t bits = choose_integer(generator);
    switch (type) {
    case VALUE_I32:
        put_byte(code, OP_I32_CONST);
        put_signed(code, (int32_t)bits);
        break;
    case VALUE_I64:
        put_byte(code, OP_I64_CONST);
        put_signed(code, (int64_t)bits);
        break;
    case VALUE_F32:
        put_byte(code, OP_F32_CONST);
        put_bytes(code, &bits, 4);
        break;
    case VALUE_F64:
        put_byte(code, OP_F64_CONST);
        put_bytes(code, &bits, 8);
        break;
    case VALUE_V128:
        put_opcode(generator, OP_V128_CONST);
        put_bytes(code, &bits, 8);
        bits *= UINT64_C(0x9e3779b97f4a7c15);
        put_bytes(code, &bits, 8);
        break;
    default:
        put_byte(code, OP_REF_NULL);
        if ((type & 0xff) == VALUE_REF_NULL) {
            put_signed(code, type >> 8);
        } else {
            put_byte(code, type);
        }
    }
}

/* Push a value of the type, from somewhere. */
static void supply(struct generator *generator, value_type type)
{
    struct buffer *code = generator->code;
    switch (choose(generator, 4)) {
    case 0:
    case 1:
        put_byte(code, OP_LOCAL_GET);
        put_unsigned(code, choose_local(generator, type));
        break;
    case 2:
        put_constant(generator, type);
        break;
    default:
        put_byte(code, OP_GLOBAL_GET);
        put_unsigned(code, global_number(type));
    }
    push(generator, type);
}

/* Have the types on top of the stack: leave what is right, or put new values above. */
void want(struct generator *generator, const value_type *types, unsigned count)
{
    unsigned floor = innermost(generator)->height;
    for (unsigned present = count; present > 0; present--) {
        unsigned i = 0;
        while (generator->height >= floor + present && i < present &&
               generator->operands[generator->height - present + i] == types[i]) {
            i++;
        }
        if (i == present) {
            for (; i < count; i++) {
                supply(generator, types[i]);
            }
            return;
        }
    }
    for (unsigned i = 0; i < count; i++) {
        supply(generator, types[i]);
    }
}

void want_all(struct generator *generator, const struct types *types)
{
    want(generator, types->list, types->count);
}

static void drop_to(struct generator *generator, unsigned height)
{
    for (; generator->height > height; generator->height--) {
        put_byte(generator->code, OP_DROP);
    }
}

/* ---- Blocks ---- */
/* Leave exactly the results of the innermost block. */
void settle_block(struct generator *generator)
{
    const struct frame *frame = innermost(generator);
    unsigned count = frame->results.count;
    bool exact = generator->height == frame->height + count;
    for (unsigned i = 0; exact && i < count; i++) {
        exact = generator->operands[frame->height + i] == frame->results.list[i];
    }
    if (exact) {
        return;
    }
    if (count == 1 && generator->height > frame->height &&
        generator->operands[generator->height - 1] == frame->results.list[0]) {
        unsigned local = choose_local(generator, frame->results.list[0]);
        put_byte(generator->code, OP_LOCAL_SET);
        put_unsigned(generator->code, local);
        generator->height--;
        drop_to(generator, frame->height);
        put_byte(generator->code, OP_LOCAL_GET);
        put_unsigned(generator->code, local);
        push(generator, frame->results.list[0]);
        return;
    }
    drop_to(generator, frame->height);
    want_all(generator, &frame->results);
}

static void begin_else(struct generator *generator)
{
    struct frame *frame = innermost(generator);
    settle_block(generator);
    put_byte(generator->code, OP_ELSE);
    frame->opcode = OP_ELSE;
    generator->height = frame->height;
    push_all(generator, &frame->parameters);
}

/* Take fuel, and trap when there is none left. */
static void put_fuel(struct generator *generator, int amount)
{
    static const uint8_t check[] = {OP_GLOBAL_GET, WRAP_GLOBAL_FUEL, OP_I32_CONST, 0, OP_I32_LT_S, OP_IF,
                                    0x40,          OP_UNREACHABLE,   OP_END};
    struct buffer *code = generator->code;
    put_byte(code, OP_GLOBAL_GET);
    put_unsigned(code, WRAP_GLOBAL_FUEL);
    put_byte(code, OP_I32_CONST);
    put_signed(code, amount);
    put_byte(code, OP_I32_SUB);
    put_byte(code, OP_GLOBAL_SET);
    put_unsigned(code, WRAP_GLOBAL_FUEL);
    put_bytes(code, check, sizeof(check));
}

static void end_block(struct generator *generator)
{
    if (innermost(generator)->opcode == OP_IF) {
        begin_else(generator);
    }
    settle_block(generator);
    put_byte(generator->code, OP_END);
    struct frame *frame = innermost(generator);
    generator->height = frame->height;
    generator->depth--;
    push_all(generator, &frame->results);
}

void begin_block(struct generator *generator, unsigned opcode)
{
    if (generator->depth == CONTROLS_MAXIMUM) {
        return;
    }
    struct frame frame = {.opcode = opcode};
    unsigned kind = choose(generator, 8);
    if (kind == 7) {
        frame.parameters = wrap_types[WRAP_TYPE_BLOCK].parameters;
        frame.results = wrap_types[WRAP_TYPE_BLOCK].results;
    } else if (kind < 6) {
        frame.results = (struct types){1, {choose_type(generator)}};
    }
    value_type wanted[3] = {VALUE_I32, VALUE_I64, VALUE_I32};
    unsigned first = frame.parameters.count == 0 ? 2 : 0;
    want(generator, wanted + first, 2 - first + (opcode == OP_IF));
    generator->height -= frame.parameters.count + (opcode == OP_IF);
    put_byte(generator->code, opcode);
    if (kind < 6) {
        put_value_type(generator->code, frame.results.list[0]);
    } else {
        put_byte(generator->code, kind == 7 ? WRAP_TYPE_BLOCK : 0x40);
    }
    if (opcode == OP_TRY_TABLE) {
        put_clauses(generator);
    }
    frame.height = generator->height;
    generator->frames[generator->depth++] = frame;
    push_all(generator, &frame.parameters);
    if (generator->repeatable && opcode == OP_LOOP) {
        put_fuel(generator, 1);
    }
}

/* ---- Branches and calls ---- */
const struct types *label_types(struct generator *generator, unsigned label)
{
    const struct frame *frame = &generator->frames[generator->depth - 1 - label];
    return frame->opcode == OP_LOOP ? &frame->parameters : &frame->results;
}

void cut_off(struct generator *generator)
{
    generator->height = innermost(generator)->height;
}

static bool same_types(const struct types *a, const struct types *b)
{
    return a->count == b->count && memcmp(a->list, b->list, a->count * sizeof(value_type)) == 0;
}

static void branch(struct generator *generator, unsigned opcode)
{
    struct buffer *code = generator->code;
    unsigned label = choose(generator, generator->depth);
    struct types wanted = *label_types(generator, label);
    if (opcode != OP_BR) {
        wanted.list[wanted.count++] = VALUE_I32;
    }
    want_all(generator, &wanted);
    put_byte(code, opcode);
    if (opcode == OP_BR_TABLE) {
        unsigned count = choose(generator, 6);
        put_unsigned(code, count);
        for (unsigned i = 0; i < count; i++) {
            unsigned other = choose(generator, generator->depth);
            bool same = same_types(label_types(generator, other), label_types(generator, label));
            put_unsigned(code, same ? other : label);
        }
    }
    put_unsigned(code, label);
    if (opcode == OP_BR_IF) {
        generator->height--;
    } else {
        cut_off(generator);
    }
}

static void call(struct generator *generator, bool indirect)
{
    struct buffer *code = generator->code;
    unsigned target = choose(generator, indirect ? WRAP_TYPE_COUNT : WRAP_FUNCTION_COUNT);
    unsigned type = indirect ? target : function_types[target];
    const struct types *parameters = &wrap_types[type].parameters;
    if (indirect) {
        value_type wanted[9] = {0};
        memcpy(wanted, parameters->list, parameters->count * sizeof(value_type));
        wanted[parameters->count] = VALUE_I32;
        want(generator, wanted, parameters->count + 1);
        generator->height--;
        put_byte(code, OP_CALL_INDIRECT);
        put_unsigned(code, type);
        put_unsigned(code, WRAP_TABLE_FUNCREF);
    } else {
        want_all(generator, parameters);
        put_byte(code, OP_CALL);
        put_unsigned(code, target);
    }
    generator->height -= parameters->count;
    push_all(generator, &wrap_types[type].results);
}

/* ---- All other instructions ---- */
void put_opcode(struct generator *generator, unsigned opcode)
{
    static const struct {
        uint16_t base;
        uint8_t prefix;
    } prefixes[] = {
        {OPCODE_BASE_0xfd, 0xfd}, {OPCODE_BASE_0xfe, 0xfe}, {OPCODE_BASE_0xfc, 0xfc}, {OPCODE_BASE_0xfb, 0xfb}};
    for (unsigned i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
        if (opcode >= prefixes[i].base) {
            put_byte(generator->code, prefixes[i].prefix);
            put_unsigned(generator->code, opcode - prefixes[i].base);
            return;
        }
    }
    put_byte(generator->code, opcode);
}

/* Want the operands, put the opcode, replace them by the result (0 for none). */
void apply(struct generator *generator, unsigned opcode, const value_type *pops, unsigned count, value_type push_)
{
    want(generator, pops, count);
    put_opcode(generator, opcode);
    generator->height -= count;
    if (push_ != 0) {
        push(generator, push_);
    }
}

/* ---- Repeatable bodies ---- */
static unsigned own_local(value_type type)
{
    return WRAP_OWN_LOCALS + type_number(type);
}

static void put_local(struct generator *generator, unsigned opcode, value_type type)
{
    put_byte(generator->code, opcode);
    put_unsigned(generator->code, own_local(type));
}

/* Replace any NaN on top of the stack by the canonical one. */
static void put_canonical(struct generator *generator, value_type type)
{
    static const uint8_t nan32[] = {OP_F32_CONST, 0, 0, 0xc0, 0x7f},
                         nan64[] = {OP_F64_CONST, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f};
    put_local(generator, OP_LOCAL_TEE, type);
    put_bytes(generator->code, type == VALUE_F32 ? nan32 : nan64, type == VALUE_F32 ? sizeof(nan32) : sizeof(nan64));
    put_local(generator, OP_LOCAL_GET, type);
    put_local(generator, OP_LOCAL_GET, type);
    put_byte(generator->code, type == VALUE_F32 ? OP_F32_EQ : OP_F64_EQ);
    put_byte(generator->code, OP_SELECT);
}

/* Whether the instruction calculates with floats, so that a NaN's bits are anyone's choice. */
static bool makes_nan(unsigned opcode)
{
    const struct signature *signature = &opcode_signatures[opcode_table[opcode].signature];
    bool bits_only = opcode == OP_F32_ABS || opcode == OP_F32_NEG || opcode == OP_F32_COPYSIGN ||
                     opcode == OP_F64_ABS || opcode == OP_F64_NEG || opcode == OP_F64_COPYSIGN;
    return !bits_only && signature->pop_count > 0 && value_type_is_float(signature->pops[0]) &&
           value_type_is_float(signature->push);
}

/* With the operands on the stack, change the one of type i32 below `above` (0 for none) so that it is a small address.
 */
static void put_mask(struct generator *generator, value_type above, int mask)
{
    if (above != 0) {
        put_local(generator, OP_LOCAL_SET, above);
    }
    put_byte(generator->code, OP_I32_CONST);
    put_signed(generator->code, mask);
    put_byte(generator->code, OP_I32_AND);
    if (above != 0) {
        put_local(generator, OP_LOCAL_GET, above);
    }
}

/* Make a trap less likely: small addresses, divisors that are not zero. */
static void tame_operands(struct generator *generator, unsigned opcode)
{
    const struct opcode_information *row = &opcode_table[opcode];
    const struct signature *signature = &opcode_signatures[row->signature];
    if (row->immediate == IMMEDIATE_MEMORY_ACCESS) {
        put_mask(generator, signature->pop_count == 2 ? signature->pops[1] : 0, 0xffff);
    } else if (opcode >= OP_I32_DIV_S && opcode <= OP_I32_REM_U) {
        put_byte(generator->code, OP_I32_CONST);
        put_signed(generator->code, 1);
        put_byte(generator->code, OP_I32_OR);
    } else if (opcode >= OP_I64_DIV_S && opcode <= OP_I64_REM_U) {
        put_byte(generator->code, OP_I64_CONST);
        put_signed(generator->code, 1);
        put_byte(generator->code, OP_I64_OR);
    }
}

/* Whether to leave out an instruction that most likely traps. */
static bool is_wild(struct generator *generator, unsigned opcode)
{
    bool trapping = opcode == OP_UNREACHABLE || opcode == OP_CALL_INDIRECT ||
                    (opcode >= OP_I32_TRUNC_F32_S && opcode <= OP_I32_TRUNC_F64_U) ||
                    (opcode >= OP_I64_TRUNC_F32_S && opcode <= OP_I64_TRUNC_F64_U) || opcode == OP_TABLE_GET ||
                    opcode == OP_TABLE_SET || (opcode >= OP_MEMORY_INIT && opcode <= OP_TABLE_COPY) ||
                    opcode == OP_TABLE_FILL;
    return trapping && choose(generator, 16) != 0;
}

/* "i32x4.extract_lane" has 4. */
static unsigned lane_count(const char *mnemonic)
{
    return (unsigned)strtoul(strchr(mnemonic, 'x') + 1, NULL, 10);
}

/* What follows the opcode of an instruction that has a signature. */
static void put_immediates(struct generator *generator, const struct opcode_information *row, bool tame)
{
    struct buffer *code = generator->code;
    unsigned natural = row->bytes ? (unsigned)__builtin_ctz(row->bytes) : 0;
    switch (row->immediate) {
    case IMMEDIATE_MEMORY_ACCESS:
    case IMMEDIATE_MEMORY_ACCESS_LANE:
        put_unsigned(code, row->feature == FEATURE_THREADS ? natural : choose(generator, natural + 1));
        put_unsigned(code, tame ? choose(generator, 250) : (uint32_t)choose_integer(generator));
        if (row->immediate == IMMEDIATE_MEMORY_ACCESS_LANE) {
            put_byte(code, choose(generator, 16 / row->bytes));
        }
        break;
    case IMMEDIATE_LANE:
        put_byte(code, choose(generator, lane_count(row->mnemonic)));
        break;
    case IMMEDIATE_SHUFFLE:
        for (unsigned i = 0; i < 16; i++) {
            put_byte(code, choose(generator, 32));
        }
        break;
    case IMMEDIATE_FENCE:
        put_byte(code, 0);
        break;
    default:
        break;
    }
}

void by_signature(struct generator *generator, unsigned opcode)
{
    const struct opcode_information *row = &opcode_table[opcode];
    const struct signature *signature = &opcode_signatures[row->signature];
    if (signature->pop_count == 0 && signature->push != 0) {
        put_constant(generator, signature->push);
        push(generator, signature->push);
        return;
    }
    value_type pops[3] = {signature->pops[0], signature->pops[1], signature->pops[2]};
    bool tame = generator->repeatable && choose(generator, 32) != 0;
    if (tame) {
        want(generator, pops, signature->pop_count);
        tame_operands(generator, opcode);
    }
    apply(generator, opcode, pops, signature->pop_count, signature->push);
    put_immediates(generator, row, tame);
    if (generator->repeatable && makes_nan(opcode)) {
        put_canonical(generator, signature->push);
    }
}

static void local_or_global(struct generator *generator, unsigned opcode)
{
    value_type type = choose_type(generator);
    bool get = opcode == OP_LOCAL_GET || opcode == OP_GLOBAL_GET;
    bool tee = opcode == OP_LOCAL_TEE;
    bool global = opcode == OP_GLOBAL_GET || opcode == OP_GLOBAL_SET;
    apply(generator, opcode, &type, !get, get || tee ? type : 0);
    put_unsigned(generator->code, global ? global_number(type) : choose_local(generator, type));
}

static void table(struct generator *generator, unsigned opcode)
{
    struct buffer *code = generator->code;
    unsigned index = choose(generator, WRAP_TABLE_COUNT);
    value_type element = index == WRAP_TABLE_FUNCREF ? VALUE_FUNCREF : VALUE_EXTERNREF;
    value_type get[] = {VALUE_I32}, set[] = {VALUE_I32, element}, grow[] = {element, VALUE_I32},
               fill[] = {VALUE_I32, element, VALUE_I32}, bulk[] = {VALUE_I32, VALUE_I32, VALUE_I32};
    switch (opcode) {
    case OP_TABLE_GET:
        apply(generator, opcode, get, 1, element);
        break;
    case OP_TABLE_SET:
        apply(generator, opcode, set, 2, 0);
        break;
    case OP_TABLE_SIZE:
        apply(generator, opcode, NULL, 0, VALUE_I32);
        break;
    case OP_TABLE_GROW:
        apply(generator, opcode, grow, 2, VALUE_I32);
        break;
    case OP_TABLE_FILL:
        apply(generator, opcode, fill, 3, 0);
        break;
    default: /* table.copy, table.init: segments and tables of a type have the same number */
        apply(generator, opcode, bulk, 3, 0);
        put_unsigned(code, index);
    }
    put_unsigned(code, index);
}

static void memory(struct generator *generator, unsigned opcode)
{
    value_type bulk[] = {VALUE_I32, VALUE_I32, VALUE_I32};
    switch (opcode) {
    case OP_MEMORY_SIZE:
        apply(generator, opcode, NULL, 0, VALUE_I32);
        break;
    case OP_MEMORY_GROW:
        apply(generator, opcode, bulk, 1, VALUE_I32);
        break;
    case OP_DATA_DROP:
    case OP_ELEM_DROP:
        put_opcode(generator, opcode);
        put_unsigned(generator->code, choose(generator, 2));
        return;
    default:
        apply(generator, opcode, bulk, 3, 0);
        if (opcode == OP_MEMORY_INIT) {
            put_unsigned(generator->code, choose(generator, WRAP_DATA_COUNT));
        } else if (opcode == OP_MEMORY_COPY) {
            put_unsigned(generator->code, 0);
        }
    }
    put_unsigned(generator->code, 0);
}

static void select_value(struct generator *generator, unsigned opcode)
{
    bool typed = opcode == OP_SELECT_TYPED;
    value_type type = typed ? choose_type(generator) : value_types[choose(generator, 4)];
    value_type pops[] = {type, type, VALUE_I32};
    apply(generator, opcode, pops, 3, type);
    if (typed) {
        put_unsigned(generator->code, 1);
        put_value_type(generator->code, type);
    }
}

static void reference(struct generator *generator, unsigned opcode)
{
    value_type type = choose(generator, 2) ? VALUE_FUNCREF : VALUE_EXTERNREF;
    switch (opcode) {
    case OP_REF_NULL:
        apply(generator, opcode, NULL, 0, type);
        put_byte(generator->code, type);
        break;
    case OP_REF_IS_NULL:
        apply(generator, opcode, &type, 1, VALUE_I32);
        break;
    default:
        apply(generator, opcode, NULL, 0, VALUE_FUNCREF);
        put_unsigned(generator->code, choose(generator, WRAP_FUNCTION_COUNT));
    }
}

static void special(struct generator *generator, unsigned opcode)
{
    switch (opcode) {
    case OP_UNREACHABLE:
        put_byte(generator->code, opcode);
        cut_off(generator);
        break;
    case OP_BLOCK:
    case OP_LOOP:
    case OP_IF:
        begin_block(generator, opcode);
        break;
    case OP_ELSE:
        if (innermost(generator)->opcode == OP_IF) {
            begin_else(generator);
        }
        break;
    case OP_END:
        if (generator->depth > 1) {
            end_block(generator);
        }
        break;
    case OP_BR:
    case OP_BR_IF:
    case OP_BR_TABLE:
        branch(generator, opcode);
        break;
    case OP_RETURN:
        want_all(generator, &generator->frames[0].results);
        put_byte(generator->code, opcode);
        cut_off(generator);
        break;
    case OP_CALL:
    case OP_CALL_INDIRECT:
        call(generator, opcode == OP_CALL_INDIRECT);
        break;
    case OP_DROP:
        drop_to(generator, generator->height - (generator->height > innermost(generator)->height));
        break;
    case OP_SELECT:
    case OP_SELECT_TYPED:
        select_value(generator, opcode);
        break;
    case OP_REF_NULL:
    case OP_REF_IS_NULL:
    case OP_REF_FUNC:
        reference(generator, opcode);
        break;
    case OP_NOP:
        put_byte(generator->code, opcode);
        break;
    default:
        if (opcode >= OP_LOCAL_GET && opcode <= OP_GLOBAL_SET) {
            local_or_global(generator, opcode);
        } else if (opcode_table[opcode].mnemonic[0] == 't') {
            table(generator, opcode);
        } else {
            memory(generator, opcode);
        }
    }
}

/* The n-th instruction of WebAssembly 2.0 without SIMD, counted round and round. */
static unsigned core_opcode(unsigned n)
{
    for (;;) {
        for (unsigned opcode = 0; opcode < OPCODE_COUNT; opcode++) {
            bool core = opcode_table[opcode].mnemonic != NULL && opcode_table[opcode].feature == FEATURE_CORE;
            if (core && n-- == 0) {
                return opcode;
            }
        }
    }
}

void generate_body(struct buffer *buffer, const uint8_t *choices, size_t count, bool repeatable)
{
    struct generator generator = {.code = buffer, .choices = choices, .left = count, .repeatable = repeatable};
    unsigned more = repeatable ? 0 : WRAP_VALUE_COUNT - WRAP_PARAMETER_COUNT;
    put_unsigned(buffer, 2 * WRAP_PARAMETER_COUNT + more);
    for (unsigned i = 0; i < 2 * WRAP_PARAMETER_COUNT + more; i++) {
        bool own = i >= WRAP_PARAMETER_COUNT && i < 2 * WRAP_PARAMETER_COUNT;
        put_unsigned(buffer, own ? 1 : 4);
        put_value_type(buffer, value_types[i < WRAP_PARAMETER_COUNT ? i : i - WRAP_PARAMETER_COUNT]);
    }
    if (repeatable) {
        put_fuel(&generator, 100);
    }
    generator.frames[generator.depth++] = (struct frame){.opcode = OP_BLOCK, .results = {1, {VALUE_I32}}};
    while (generator.left > 0) {
        if (generator.height > OPERANDS_BUSY) {
            drop_to(&generator, innermost(&generator)->height);
        }
        if (!repeatable && choose(&generator, 2)) {
            generate_more(&generator);
            continue;
        }
        unsigned opcode = core_opcode(choose(&generator, 256));
        if (repeatable && is_wild(&generator, opcode)) {
            continue;
        }
        if (opcode_table[opcode].signature != SIGNATURE_special) {
            by_signature(&generator, opcode);
        } else {
            special(&generator, opcode);
        }
    }
    while (generator.depth > 1) {
        end_block(&generator);
    }
    settle_block(&generator);
    put_byte(buffer, OP_END);
}
