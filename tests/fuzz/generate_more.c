/* Instructions that came after WebAssembly 2.0: vectors, atomics, references, objects, exceptions, tail calls. Those
 * whose types are in the opcode table are made from it; the others have a row here, or, where a label decides, a
 * function. */
#include "tests/fuzz/generate_internal.h"

/* Letters for types, in the order of value_types[]: funcref, externref, v128; any, eq, structure, bytes, objects,
 * i31, exception; functions of type VOID and of type BODY. */
static const char letters[] = "iIfFpxvaesyrtnqQ";

/* Flags of a row. */
enum { NEXT, CUTS = 1 };

struct row {
    uint16_t opcode;
    uint8_t flags;
    uint8_t immediate_size;
    const char *pops, *pushes;
    const char *immediates;
};
#define ROW(opcode, pops, pushes, immediates) {OP_##opcode, NEXT, sizeof(immediates) - 1, pops, pushes, immediates}
#define END(opcode, pops, immediates)         {OP_##opcode, CUTS, sizeof(immediates) - 1, pops, "", immediates}
/* The same value taken for one of a supertype. */
#define AS(from, to) ROW(NOP, from, to, "")

static const struct row rows[] = {
    /* structures: type 6 */
    ROW(STRUCT_NEW, "iIiFav", "s", "\6"),
    ROW(STRUCT_NEW_DEFAULT, "", "s", "\6"),
    ROW(STRUCT_GET, "s", "i", "\6\0"),
    ROW(STRUCT_GET, "s", "I", "\6\1"),
    ROW(STRUCT_GET_S, "s", "i", "\6\2"),
    ROW(STRUCT_GET_U, "s", "i", "\6\2"),
    ROW(STRUCT_GET, "s", "F", "\6\3"),
    ROW(STRUCT_GET, "s", "a", "\6\4"),
    ROW(STRUCT_GET, "s", "v", "\6\5"),
    ROW(STRUCT_SET, "si", "", "\6\0"),
    ROW(STRUCT_SET, "sI", "", "\6\1"),
    ROW(STRUCT_SET, "si", "", "\6\2"),
    ROW(STRUCT_SET, "sF", "", "\6\3"),
    ROW(STRUCT_SET, "sa", "", "\6\4"),
    ROW(STRUCT_SET, "sv", "", "\6\5"),
    /* arrays: of bytes, type 7; of objects, type 8 */
    ROW(ARRAY_NEW, "ii", "y", "\7"),
    ROW(ARRAY_NEW, "ai", "r", "\10"),
    ROW(ARRAY_NEW_DEFAULT, "i", "y", "\7"),
    ROW(ARRAY_NEW_DEFAULT, "i", "r", "\10"),
    ROW(ARRAY_NEW_FIXED, "iii", "y", "\7\3"),
    ROW(ARRAY_NEW_FIXED, "", "y", "\7\0"),
    ROW(ARRAY_NEW_FIXED, "aa", "r", "\10\2"),
    ROW(ARRAY_NEW_DATA, "ii", "y", "\7\0"),
    ROW(ARRAY_NEW_ELEM, "ii", "r", "\10\2"),
    ROW(ARRAY_GET_S, "yi", "i", "\7"),
    ROW(ARRAY_GET_U, "yi", "i", "\7"),
    ROW(ARRAY_GET, "ri", "a", "\10"),
    ROW(ARRAY_SET, "yii", "", "\7"),
    ROW(ARRAY_SET, "ria", "", "\10"),
    ROW(ARRAY_LEN, "y", "i", ""),
    ROW(ARRAY_LEN, "r", "i", ""),
    ROW(ARRAY_FILL, "yiii", "", "\7"),
    ROW(ARRAY_FILL, "riai", "", "\10"),
    ROW(ARRAY_COPY, "yiyii", "", "\7\7"),
    ROW(ARRAY_COPY, "ririi", "", "\10\10"),
    ROW(ARRAY_INIT_DATA, "yiii", "", "\7\1"),
    ROW(ARRAY_INIT_ELEM, "riii", "", "\10\2"),
    /* references */
    ROW(REF_I31, "i", "t", ""),
    ROW(I31_GET_S, "t", "i", ""),
    ROW(I31_GET_U, "t", "i", ""),
    ROW(REF_TEST, "a", "i", "\6"),
    ROW(REF_TEST, "a", "i", "\x6c"),
    ROW(REF_TEST_NULL, "e", "i", "\7"),
    ROW(REF_TEST_NULL, "a", "i", "\x6d"),
    ROW(REF_CAST, "a", "s", "\6"),
    ROW(REF_CAST_NULL, "a", "y", "\7"),
    ROW(REF_CAST_NULL, "e", "r", "\10"),
    ROW(REF_CAST, "a", "t", "\x6c"),
    ROW(REF_CAST_NULL, "a", "e", "\x6d"),
    ROW(REF_EQ, "ee", "i", ""),
    ROW(REF_IS_NULL, "a", "i", ""),
    ROW(REF_IS_NULL, "n", "i", ""),
    ROW(REF_AS_NON_NULL, "s", "s", ""),
    ROW(REF_AS_NON_NULL, "q", "q", ""),
    ROW(REF_FUNC, "", "q", "\2"),
    ROW(REF_FUNC, "", "Q", "\3"),
    ROW(ANY_CONVERT_EXTERN, "x", "a", ""),
    ROW(EXTERN_CONVERT_ANY, "a", "x", ""),
    AS("s", "e"),
    AS("y", "e"),
    AS("r", "a"),
    AS("t", "e"),
    AS("e", "a"),
    AS("q", "p"),
    AS("Q", "p"),
    /* calls */
    ROW(CALL_REF, "q", "", "\0"),
    ROW(CALL_REF, "iIfFpxQ", "i", "\1"),
    END(RETURN_CALL, "iIfFpx", "\3"),
    END(RETURN_CALL_INDIRECT, "iIfFpxi", "\1\0"),
    END(RETURN_CALL_REF, "iIfFpxQ", "\1"),
    /* exceptions */
    END(THROW, "", "\0"),
    END(THROW, "iI", "\1"),
    END(THROW_REF, "n", ""),
    /* wide arithmetic */
    ROW(I64_ADD128, "IIII", "II", ""),
    ROW(I64_SUB128, "IIII", "II", ""),
    ROW(I64_MUL_WIDE_S, "II", "II", ""),
    ROW(I64_MUL_WIDE_U, "II", "II", ""),
};

static value_type type_of(char letter)
{
    return value_types[strchr(letters, letter) - letters];
}

static struct types types_of(const char *text)
{
    struct types types = {0};
    for (; *text; text++) {
        types.list[types.count++] = type_of(*text);
    }
    return types;
}

static void by_row(struct generator *generator, const struct row *row)
{
    struct types pops = types_of(row->pops), pushes = types_of(row->pushes);
    apply(generator, row->opcode, pops.list, pops.count, 0);
    put_bytes(generator->code, row->immediates, row->immediate_size);
    push_all(generator, &pushes);
    if (row->flags & CUTS) {
        cut_off(generator);
    }
}

/* ---- Branches ---- */
static bool is_object(value_type type)
{
    return type == type_of('a') || type == type_of('e') || type == type_of('s');
}

/* A label whose last type is a reference to an object; false: none was found. */
static bool choose_object_label(struct generator *generator, unsigned *label, struct types *types)
{
    *label = choose(generator, generator->depth);
    *types = *label_types(generator, *label);
    return types->count > 0 && is_object(types->list[types->count - 1]);
}

/* br_on_null: the label's types, below a reference that stays when it is not null. */
static void branch_on_null(struct generator *generator)
{
    unsigned label = choose(generator, generator->depth);
    struct types types = *label_types(generator, label);
    value_type wanted[LIST_MAXIMUM + 1] = {0};
    memcpy(wanted, types.list, sizeof(types.list));
    wanted[types.count] = type_of("aesyrqx"[choose(generator, 7)]);
    want(generator, wanted, types.count + 1);
    put_opcode(generator, OP_BR_ON_NULL);
    put_unsigned(generator->code, label);
}

static void branch_on_non_null(struct generator *generator)
{
    unsigned label;
    struct types types;
    if (choose_object_label(generator, &label, &types)) {
        apply(generator, OP_BR_ON_NON_NULL, types.list, types.count, 0);
        put_unsigned(generator->code, label);
        types.count--;
        push_all(generator, &types);
    }
}

/* From any to a nullable structure. */
static void branch_on_cast(struct generator *generator, bool fail)
{
    static const uint8_t heap_types[] = {HEAP_ANY & 0xff, WRAP_TYPE_STRUCTURE};
    unsigned label;
    struct types types;
    if (!choose_object_label(generator, &label, &types) || (fail && types.list[types.count - 1] != type_of('a'))) {
        return;
    }
    types.list[types.count - 1] = type_of('a');
    want_all(generator, &types);
    put_opcode(generator, fail ? OP_BR_ON_CAST_FAIL : OP_BR_ON_CAST);
    put_byte(generator->code, 3); /* both are nullable */
    put_unsigned(generator->code, label);
    put_bytes(generator->code, heap_types, sizeof(heap_types));
    generator->height--;
    push(generator, type_of(fail ? 's' : 'a'));
}

/* ---- Exceptions ---- */
enum { CATCH, CATCH_REFERENCE, CATCH_ALL, CATCH_ALL_REFERENCE };

static const char *const tag_types[] = {"", "iI"};

static bool types_are(const struct types *types, const char *text)
{
    struct types wanted = types_of(text);
    return types->count == wanted.count && memcmp(types->list, wanted.list, sizeof(value_type) * wanted.count) == 0;
}

static unsigned put_clause(struct generator *generator, struct buffer *clauses, unsigned label)
{
    const struct types *types = label_types(generator, label);
    bool other = choose(generator, 2);
    unsigned kind, tag = 0;
    if (types_are(types, "")) {
        kind = other ? CATCH : CATCH_ALL;
    } else if (types_are(types, "n")) {
        kind = other ? CATCH_REFERENCE : CATCH_ALL_REFERENCE;
    } else if (types_are(types, tag_types[1])) {
        kind = CATCH;
        tag = 1;
    } else {
        return 0;
    }
    put_byte(clauses, kind);
    if (kind == CATCH || kind == CATCH_REFERENCE) {
        put_unsigned(clauses, tag);
    }
    put_unsigned(clauses, label);
    return 1;
}

void put_clauses(struct generator *generator)
{
    struct buffer clauses = {0};
    unsigned count = 0;
    for (unsigned i = 0; i < generator->depth; i++) {
        if (choose(generator, 2)) {
            count += put_clause(generator, &clauses, i);
        }
    }
    put_unsigned(generator->code, count);
    put_bytes(generator->code, clauses.bytes, clauses.size);
    free(clauses.bytes);
}

/* `catch` and `catch_all` of the older encoding; both end what stands before. */
static void begin_catch(struct generator *generator, unsigned opcode)
{
    struct frame *frame = innermost(generator);
    unsigned tag = choose(generator, 2);
    if (frame->opcode != OP_TRY && frame->opcode != OP_CATCH) {
        return;
    }
    settle_block(generator);
    put_opcode(generator, opcode);
    frame->opcode = opcode;
    generator->height = frame->height;
    if (opcode == OP_CATCH) {
        struct types types = types_of(tag_types[tag]);
        put_unsigned(generator->code, tag);
        push_all(generator, &types);
    }
}

static void delegate(struct generator *generator)
{
    struct frame *frame = innermost(generator);
    if (frame->opcode != OP_TRY || generator->depth < 2) {
        return;
    }
    settle_block(generator);
    put_opcode(generator, OP_DELEGATE);
    generator->height = frame->height;
    generator->depth--;
    put_unsigned(generator->code, choose(generator, generator->depth));
    push_all(generator, &frame->results);
}

static void rethrow(struct generator *generator)
{
    unsigned label = choose(generator, generator->depth);
    unsigned opcode = generator->frames[generator->depth - 1 - label].opcode;
    if (opcode == OP_CATCH || opcode == OP_CATCH_ALL) {
        put_opcode(generator, OP_RETHROW);
        put_unsigned(generator->code, label);
        cut_off(generator);
    }
}

static void by_label(struct generator *generator)
{
    switch (choose(generator, 9)) {
    case 0:
        branch_on_null(generator);
        break;
    case 1:
        branch_on_non_null(generator);
        break;
    case 2:
        branch_on_cast(generator, false);
        break;
    case 3:
        branch_on_cast(generator, true);
        break;
    case 4:
        begin_block(generator, choose(generator, 2) ? OP_TRY_TABLE : OP_TRY);
        break;
    case 5:
        begin_catch(generator, OP_CATCH);
        break;
    case 6:
        begin_catch(generator, OP_CATCH_ALL);
        break;
    case 7:
        delegate(generator);
        break;
    default:
        rethrow(generator);
    }
}

/* The n-th opcode with a signature that is not of WebAssembly 2.0 without vectors, counted round and round. */
static unsigned later_opcode(unsigned n)
{
    for (;;) {
        for (unsigned opcode = 0; opcode < OPCODE_COUNT; opcode++) {
            const struct opcode_information *row = &opcode_table[opcode];
            bool later = row->mnemonic && row->feature != FEATURE_CORE && row->signature != SIGNATURE_special &&
                         feature_supported(row->feature);
            if (later && n-- == 0) {
                return opcode;
            }
        }
    }
}

void generate_more(struct generator *generator)
{
    switch (choose(generator, 4)) {
    case 0:
        by_label(generator);
        break;
    case 1:
    case 2:
        by_row(generator, &rows[choose(generator, sizeof(rows) / sizeof(*rows))]);
        break;
    default: {
        unsigned half = choose(generator, 256);
        by_signature(generator, later_opcode(half * 2 + choose(generator, 2)));
    }
    }
}
