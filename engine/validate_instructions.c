/* Instructions other than control and those that a signature describes: variables, tables, memories, references
 * (spec 3.3.4 to 3.3.7). */
#include "engine/validate_internal.h"

#include "engine/decode.h"
#include "engine/subtype.h"

/* ---- Memory ---- */
/* `*address` is the type of the memory's addresses. */
static bool check_memory(struct validator *validator, uint32_t memory, value_type *address)
{
    if (UNLIKELY(memory >= validator->module->memory_count)) {
        return validate_fail(validator, ENGINE_INVALID, "unknown memory %u", memory);
    }
    *address = limits_address_type(&validator->module->memories[memory].limits);
    return true;
}

static bool read_memory_index(struct validator *validator, value_type *address)
{
    uint32_t memory;
    return validate_u32(validator, &memory) && check_memory(validator, memory, address);
}

enum {
    ACCESS_ALIGNMENT_MASK = 0x3f,
    ACCESS_HAS_MEMORY = 0x40, /* an index of a memory follows */
};

/* Alignment, memory and offset (spec 5.4.6). */
static bool read_memory_access(struct validator *validator, unsigned opcode, value_type *address)
{
    uint32_t flags, memory = 0;
    uint64_t offset;
    if (!validate_u32(validator, &flags)) {
        return false;
    }
    if (flags > (ACCESS_ALIGNMENT_MASK | ACCESS_HAS_MEMORY)) {
        return validate_fail(validator, ENGINE_MALFORMED, "malformed memop flags 0x%x", flags);
    }
    if ((flags & ACCESS_HAS_MEMORY) && !validate_u32(validator, &memory)) {
        return false;
    }
    if (!reader_u64(&validator->reader, &offset)) {
        return validate_reader_fault(validator);
    }
    if (!check_memory(validator, memory, address)) {
        return false;
    }
    uint32_t alignment = flags & ACCESS_ALIGNMENT_MASK, natural = (uint32_t)__builtin_ctz(opcode_table[opcode].bytes);
    if (alignment > natural) {
        return validate_fail(validator, ENGINE_INVALID, "alignment must not be larger than natural");
    }
    if (alignment < natural && opcode_table[opcode].feature == FEATURE_THREADS) {
        return validate_fail(validator, ENGINE_INVALID, "atomic alignment must be natural");
    }
    return offset <= UINT32_MAX || *address == VALUE_I64 ||
           validate_fail(validator, ENGINE_INVALID, "offset out of range: 0x%llx", (unsigned long long)offset);
}

/* The instruction by its signature, whose first operand is the address. */
static bool access_by_signature(struct validator *validator, unsigned opcode, value_type address)
{
    const struct signature *signature = &opcode_signatures[opcode_table[opcode].signature];
    for (unsigned i = signature->pop_count; i > 1; i--) {
        if (!validate_pop_expect(validator, signature->pops[i - 1])) {
            return false;
        }
    }
    return validate_pop_expect(validator, address) &&
           (signature->push == 0 || validate_push(validator, signature->push));
}

void validate_note_builtin(struct validator *validator)
{
    struct function_summary *summary = validator->summary;
    summary->has_calls = true;
    if (__builtin_add_overflow(summary->call_weight, validator->weight, &summary->call_weight)) {
        summary->call_weight = UINT32_MAX;
    }
}

bool validate_memory_access(struct validator *validator, unsigned opcode)
{
    value_type address;
    if (opcode >= OP_MEMORY_ATOMIC_NOTIFY && opcode <= OP_MEMORY_ATOMIC_WAIT64) {
        validate_note_builtin(validator);
    }
    return read_memory_access(validator, opcode, &address) && access_by_signature(validator, opcode, address);
}

/* ---- Vectors (spec 3.3.2.2) ---- */
/* The number of lanes that the mnemonic names: 4 for "f32x4.extract_lane". */
static uint32_t lane_count(const char *mnemonic)
{
    while (*mnemonic++ != 'x') {
    }
    uint32_t count = 0;
    while (*mnemonic >= '0' && *mnemonic <= '9') {
        count = count * 10 + (uint32_t)(*mnemonic++ - '0');
    }
    return count;
}

/* `count` lane numbers, a byte each, all below `limit`. */
static bool read_lanes(struct validator *validator, size_t count, uint32_t limit)
{
    const uint8_t *lanes = reader_bytes(&validator->reader, count);
    if (lanes == NULL) {
        return validate_reader_fault(validator);
    }
    for (size_t i = 0; i < count; i++) {
        if (lanes[i] >= limit) {
            return validate_fail(validator, ENGINE_INVALID, "invalid lane index %u", lanes[i]);
        }
    }
    return true;
}

bool validate_vector(struct validator *validator, unsigned opcode)
{
    const struct opcode_information *row = &opcode_table[opcode];
    value_type address;
    bool read = true;
    switch (row->immediate) {
    case IMMEDIATE_V128:
        read = reader_bytes(&validator->reader, 16) != NULL || validate_reader_fault(validator);
        break;
    case IMMEDIATE_SHUFFLE:
        read = read_lanes(validator, 16, 32);
        break;
    case IMMEDIATE_LANE:
        read = read_lanes(validator, 1, lane_count(row->mnemonic));
        break;
    case IMMEDIATE_MEMORY_ACCESS_LANE:
        return read_memory_access(validator, opcode, &address) && read_lanes(validator, 1, 16u / row->bytes) &&
               access_by_signature(validator, opcode, address);
    }
    return read && validate_by_signature(validator, opcode);
}

/* The operands of a bulk instruction: where to, where from (or what), how much. */
static bool pop_bulk(struct validator *validator, value_type to, value_type from, value_type count)
{
    return validate_pop_expect(validator, count) && validate_pop_expect(validator, from) &&
           validate_pop_expect(validator, to);
}

/* A count fits both sides: i64 only when both are. */
static value_type narrower(value_type a, value_type b)
{
    return a == VALUE_I64 ? b : a;
}

/* ---- Variables ---- */
static bool validate_global(struct validator *validator, unsigned opcode)
{
    const struct module *module = validator->module;
    uint32_t index;
    if (!validate_u32(validator, &index)) {
        return false;
    }
    if (index >= module->global_count) {
        return validate_fail(validator, ENGINE_INVALID, "unknown global %u", index);
    }
    const struct global_type *type = &module->globals[index].type;
    if (opcode == OP_GLOBAL_GET) {
        validator->summary->has_vectors |= type->value == VALUE_V128;
        return validate_push(validator, type->value);
    }
    if (!type->mutable_) {
        return validate_fail(validator, ENGINE_INVALID, "immutable global %u", index);
    }
    return validate_pop_expect(validator, type->value);
}

/* ---- Segments ---- */
static bool read_data_index(struct validator *validator)
{
    uint32_t index;
    if (!validate_u32(validator, &index)) {
        return false;
    }
    if (!validator->module->has_data_count) {
        return validate_fail(validator, ENGINE_MALFORMED, "data count section required");
    }
    return index < validator->module->data_segment_count ||
           validate_fail(validator, ENGINE_INVALID, "unknown data segment %u", index);
}

static bool read_element_index(struct validator *validator, uint32_t *index)
{
    if (!validate_u32(validator, index)) {
        return false;
    }
    return *index < validator->module->element_segment_count ||
           validate_fail(validator, ENGINE_INVALID, "unknown elem segment %u", *index);
}

/* ---- Tables ---- */
static bool read_table_type(struct validator *validator, value_type *element, value_type *address)
{
    uint32_t index;
    if (!validate_u32(validator, &index)) {
        return false;
    }
    if (index >= validator->module->table_count) {
        return validate_fail(validator, ENGINE_INVALID, "unknown table %u", index);
    }
    *element = validator->module->tables[index].type.element;
    *address = limits_address_type(&validator->module->tables[index].type.limits);
    return true;
}

static bool check_same_element(struct validator *validator, value_type to, value_type from)
{
    char wanted[24], found[24];
    return value_type_matches(validator->module, from, to) ||
           validate_fail(validator, ENGINE_INVALID, "type mismatch: elements of %s for a table of %s",
                         value_type_text(from, found), value_type_text(to, wanted));
}

static bool validate_table_init(struct validator *validator)
{
    uint32_t segment;
    value_type element, address;
    return read_element_index(validator, &segment) && read_table_type(validator, &element, &address) &&
           check_same_element(validator, element, validator->module->element_segments[segment].type) &&
           pop_bulk(validator, address, VALUE_I32, VALUE_I32);
}

static bool validate_table_copy(struct validator *validator)
{
    value_type to, from, to_address, from_address;
    return read_table_type(validator, &to, &to_address) && read_table_type(validator, &from, &from_address) &&
           check_same_element(validator, to, from) &&
           pop_bulk(validator, to_address, from_address, narrower(to_address, from_address));
}

static bool validate_table(struct validator *validator, unsigned opcode)
{
    value_type element, address;
    if (!read_table_type(validator, &element, &address)) {
        return false;
    }
    switch (opcode) {
    case OP_TABLE_GET:
        return validate_pop_expect(validator, address) && validate_push(validator, element);
    case OP_TABLE_SET:
        return validate_pop_expect(validator, element) && validate_pop_expect(validator, address);
    case OP_TABLE_SIZE:
        return validate_push(validator, address);
    case OP_TABLE_GROW:
        validate_note_builtin(validator);
        return validate_pop_expect(validator, address) && validate_pop_expect(validator, element) &&
               validate_push(validator, address);
    default: /* OP_TABLE_FILL */
        validate_note_builtin(validator);
        return pop_bulk(validator, address, element, address);
    }
}

/* ---- References ---- */
static bool validate_ref_null(struct validator *validator)
{
    heap_type heap;
    return validate_read_heap_type(validator, &heap, "ref.null") &&
           validate_push(validator, reference_type(heap, true));
}

static bool validate_ref_is_null(struct validator *validator)
{
    value_type type;
    if (!validate_pop(validator, VALUE_BOTTOM, &type)) {
        return false;
    }
    if (type != VALUE_BOTTOM && !value_type_is_reference(type)) {
        char found[24];
        return validate_fail(validator, ENGINE_INVALID, "type mismatch: expected a reference, found %s",
                             value_type_text(type, found));
    }
    return validate_push(validator, VALUE_I32);
}

static bool validate_ref_func(struct validator *validator)
{
    uint32_t index;
    if (!validate_u32(validator, &index)) {
        return false;
    }
    if (index >= validator->module->function_count) {
        return validate_fail(validator, ENGINE_INVALID, "unknown function %u", index);
    }
    if (validator->module->functions[index].reference == NO_REFERENCE) {
        return validate_fail(validator, ENGINE_INVALID, "undeclared function reference to function %u", index);
    }
    return validate_push(validator, function_reference_value_type(validator->module, index));
}

/* ---- Wide arithmetic ---- */
/* `operands` halves give the two of the result. */
static bool validate_wide(struct validator *validator, unsigned operands)
{
    for (unsigned i = 0; i < operands; i++) {
        if (!validate_pop_expect(validator, VALUE_I64)) {
            return false;
        }
    }
    return validate_push(validator, VALUE_I64) && validate_push(validator, VALUE_I64);
}

/* ---- Select ---- */
static bool validate_select_typed(struct validator *validator)
{
    uint32_t count;
    value_type type;
    if (!validate_u32(validator, &count)) {
        return false;
    }
    if (count != 1) {
        return validate_fail(validator, ENGINE_INVALID, "invalid result arity: select of %u types", count);
    }
    return validate_read_value_type(validator, &type, "select") && validate_pop_expect(validator, VALUE_I32) &&
           validate_pop_expect(validator, type) && validate_pop_expect(validator, type) &&
           validate_push(validator, type);
}

bool validate_select(struct validator *validator)
{
    value_type second, first;
    if (!validate_pop_expect(validator, VALUE_I32) || !validate_pop(validator, VALUE_BOTTOM, &second) ||
        !validate_pop(validator, second, &first)) {
        return false;
    }
    if (value_type_is_reference(first) || value_type_is_reference(second)) {
        return validate_fail(validator, ENGINE_INVALID, "type mismatch: select of references must give its type");
    }
    return validate_push(validator, first == VALUE_BOTTOM ? second : first);
}

bool validate_special(struct validator *validator, unsigned opcode)
{
    uint32_t index;
    value_type type, to, from; /* of addresses */
    switch (opcode) {
    case OP_NOP:
        return true;
    case OP_UNREACHABLE:
        validate_set_unreachable(validator);
        return true;
    case OP_DROP:
        return validate_pop(validator, VALUE_BOTTOM, &type);
    case OP_SELECT_TYPED:
        return validate_select_typed(validator);
    case OP_GLOBAL_GET:
    case OP_GLOBAL_SET:
        return validate_global(validator, opcode);
    case OP_TABLE_GET:
    case OP_TABLE_SET:
    case OP_TABLE_SIZE:
    case OP_TABLE_GROW:
    case OP_TABLE_FILL:
        return validate_table(validator, opcode);
    case OP_TABLE_INIT:
        validate_note_builtin(validator);
        return validate_table_init(validator);
    case OP_TABLE_COPY:
        validate_note_builtin(validator);
        return validate_table_copy(validator);
    case OP_ELEM_DROP:
        validate_note_builtin(validator);
        return read_element_index(validator, &index);
    case OP_MEMORY_SIZE:
        return read_memory_index(validator, &to) && validate_push(validator, to);
    case OP_MEMORY_GROW:
        validate_note_builtin(validator);
        return read_memory_index(validator, &to) && validate_pop_expect(validator, to) && validate_push(validator, to);
    case OP_MEMORY_FILL:
        validate_note_builtin(validator);
        return read_memory_index(validator, &to) && pop_bulk(validator, to, VALUE_I32, to);
    case OP_MEMORY_COPY:
        validate_note_builtin(validator);
        return read_memory_index(validator, &to) && read_memory_index(validator, &from) &&
               pop_bulk(validator, to, from, narrower(to, from));
    case OP_MEMORY_INIT:
        validate_note_builtin(validator);
        return read_data_index(validator) && read_memory_index(validator, &to) &&
               pop_bulk(validator, to, VALUE_I32, VALUE_I32);
    case OP_DATA_DROP:
        validate_note_builtin(validator);
        return read_data_index(validator);
    case OP_REF_NULL:
        return validate_ref_null(validator);
    case OP_REF_IS_NULL:
        return validate_ref_is_null(validator);
    case OP_REF_FUNC:
        return validate_ref_func(validator);
    case OP_I64_ADD128:
    case OP_I64_SUB128:
        return validate_wide(validator, 4);
    case OP_I64_MUL_WIDE_S:
    case OP_I64_MUL_WIDE_U:
        return validate_wide(validator, 2);
    case OP_RETURN_CALL:
        return validate_call(validator, opcode);
    case OP_RETURN_CALL_INDIRECT:
        return validate_call_indirect(validator, opcode);
    case OP_TRY:
    case OP_CATCH:
    case OP_CATCH_ALL:
    case OP_DELEGATE:
    case OP_RETHROW:
    case OP_THROW:
    case OP_THROW_REF:
    case OP_TRY_TABLE:
        return validate_exception(validator, opcode);
    default:
        return validate_reference(validator, opcode);
    }
}
