/* Validation of one function body: local declarations, then one loop over the instructions. */
#include "engine/validate_internal.h"

#include "engine/decode.h"
#include "engine/format.h"
#include "engine/limits.h"

/* ---- Errors ---- */
bool validate_fail(struct validator *validator, enum engine_status status, const char *format, ...)
{
    char reason[128];
    va_list arguments;
    va_start(arguments, format);
    format_text_list(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    uint64_t offset = (uint64_t)(validator->instruction - validator->module->bytes);
    validator->status = engine_fail(validator->error, status, validator->function, offset, "%s", reason);
    return false;
}

bool validate_unsupported(struct validator *validator, unsigned feature, const char *item)
{
    uint64_t offset = (uint64_t)(validator->instruction - validator->module->bytes);
    validator->status = engine_unsupported(validator->error, validator->function, offset, feature_text(feature), item);
    return false;
}

bool validate_reader_fault(struct validator *validator)
{
    return validate_fail(validator, ENGINE_MALFORMED, "%s", reader_fault_text(validator->reader.fault));
}

/* ---- Life of a validator ---- */
#define OPERANDS_AT_START 256
#define CONTROLS_AT_START 64
#define LOCALS_AT_START   256

struct validator *validator_create(const struct engine_allocator *allocator)
{
    struct validator *validator = allocator->allocate(allocator->context, sizeof(*validator));
    if (validator == NULL) {
        return NULL;
    }
    *validator = (struct validator){
        .allocator = allocator,
        .operand_capacity = OPERANDS_AT_START,
        .control_capacity = CONTROLS_AT_START,
        .local_capacity = LOCALS_AT_START,
    };
    validator->operands = allocator->allocate(allocator->context, OPERANDS_AT_START * sizeof(value_type));
    validator->controls = allocator->allocate(allocator->context, CONTROLS_AT_START * sizeof(struct control));
    validator->local_types = allocator->allocate(allocator->context, LOCALS_AT_START * sizeof(value_type));
    validator->local_weights = allocator->allocate(allocator->context, LOCALS_AT_START * sizeof(uint32_t));
    if (validator->operands == NULL || validator->controls == NULL || validator->local_types == NULL ||
        validator->local_weights == NULL) {
        validator_destroy(validator);
        return NULL;
    }
    return validator;
}

static void release(struct validator *validator, void *memory, size_t bytes)
{
    if (memory != NULL) {
        validator->allocator->release(validator->allocator->context, memory, bytes);
    }
}

void validator_destroy(struct validator *validator)
{
    release(validator, validator->operands, validator->operand_capacity * sizeof(value_type));
    release(validator, validator->controls, validator->control_capacity * sizeof(struct control));
    release(validator, validator->local_types, validator->local_capacity * sizeof(value_type));
    release(validator, validator->local_weights, validator->local_capacity * sizeof(uint32_t));
    release(validator, validator->initialized, validator->initialized_capacity * sizeof(uint32_t));
    validator->allocator->release(validator->allocator->context, validator, sizeof(*validator));
}

/* ---- Locals ---- */
/* Make the two arrays hold `count` locals, keeping the first `used` types. */
static bool reserve_locals(struct validator *validator, size_t used, size_t count)
{
    if (count <= validator->local_capacity) {
        return true;
    }
    const struct engine_allocator *allocator = validator->allocator;
    size_t capacity = max_u64(count, validator->local_capacity * 2);
    value_type *types = allocator->allocate(allocator->context, capacity * sizeof(*types));
    uint32_t *weights = allocator->allocate(allocator->context, capacity * sizeof(*weights));
    if (types == NULL || weights == NULL) {
        release(validator, types, capacity * sizeof(*types));
        release(validator, weights, capacity * sizeof(*weights));
        return validate_fail(validator, ENGINE_NO_MEMORY, "out of memory while validating");
    }
    memcpy(types, validator->local_types, used * sizeof(*types));
    release(validator, validator->local_types, validator->local_capacity * sizeof(*types));
    release(validator, validator->local_weights, validator->local_capacity * sizeof(*weights));
    validator->local_types = types;
    validator->local_weights = weights;
    validator->local_capacity = capacity;
    return true;
}

static bool type_was_read(struct validator *validator, enum type_reading reading, uint32_t type, unsigned feature,
                          const char *item)
{
    switch (reading) {
    case TYPE_READ:
        return true;
    case TYPE_READER_FAULT:
        return validate_reader_fault(validator);
    case TYPE_MALFORMED:
        return validate_fail(validator, ENGINE_MALFORMED, "malformed type 0x%x of %s", type & 0xff, item);
    case TYPE_UNKNOWN:
        return validate_fail(validator, ENGINE_INVALID, "unknown type %u", type);
    case TYPE_NEEDS_FEATURE:
        return validate_unsupported(validator, feature, item);
    }
    return false;
}

bool validate_read_value_type(struct validator *validator, value_type *type, const char *item)
{
    unsigned feature = FEATURE_CORE;
    return type_was_read(validator, read_value_type(validator->module, &validator->reader, type, &feature), *type,
                         feature, item);
}

bool validate_read_heap_type(struct validator *validator, heap_type *type, const char *item)
{
    unsigned feature = FEATURE_CORE;
    return type_was_read(validator, read_heap_type(validator->module, &validator->reader, type, &feature), *type,
                         feature, item);
}

/* The declared locals behind the parameters: groups of a count and a type. */
static bool read_locals(struct validator *validator, uint64_t parameters)
{
    uint32_t groups, count;
    uint64_t total = parameters;
    value_type type;
    if (!validate_u32(validator, &groups)) {
        return false;
    }
    for (uint32_t i = 0; i < groups; i++) {
        validator->instruction = validator->reader.cursor;
        if (!validate_u32(validator, &count) || !validate_read_value_type(validator, &type, "local")) {
            return false;
        }
        uint64_t first = total;
        total += count;
        if (total > ENGINE_LIMIT_LOCALS) {
            continue; /* only the sum matters now: too many by the format, or by our limit */
        }
        if (!reserve_locals(validator, first, total)) {
            return false;
        }
        for (uint64_t local = first; local < total; local++) {
            validator->local_types[local] = type;
        }
        validator->summary->has_vectors |= type == VALUE_V128;
    }
    if (total - parameters > UINT32_MAX) {
        return validate_fail(validator, ENGINE_MALFORMED, "too many locals: %llu", (unsigned long long)total);
    }
    if (total > ENGINE_LIMIT_LOCALS) {
        return validate_fail(validator, ENGINE_LIMIT, "too many locals: %llu, limit %u", (unsigned long long)total,
                             ENGINE_LIMIT_LOCALS);
    }
    validator->local_count = (uint32_t)total;
    validator->plain_locals = validator->local_count;
    for (uint64_t local = parameters; local < total; local++) {
        if (!value_type_is_nullable(validator->local_types[local])) {
            validator->plain_locals = (uint32_t)local;
            break;
        }
    }
    memset(validator->local_weights, 0, total * sizeof(uint32_t));
    return true;
}

/* ---- Instructions one at a time ---- */
/* A local that may have no default value: is it set, or is it being set? (spec 3.3.5, local types) */
static bool check_initialized(struct validator *validator, uint32_t index, bool setting)
{
    const struct function_type *type =
        &validator->module->types[validator->module->functions[validator->function].type];
    if (index < type->parameter_count || value_type_is_nullable(validator->local_types[index])) {
        return true;
    }
    for (uint32_t i = 0; i < validator->initialized_count; i++) {
        if (validator->initialized[i] == index) {
            return true;
        }
    }
    if (!setting) {
        return validate_fail(validator, ENGINE_INVALID, "uninitialized local %u", index);
    }
    if (validator->initialized_capacity < validator->local_capacity) {
        const struct engine_allocator *allocator = validator->allocator;
        uint32_t *larger = allocator->allocate(allocator->context, validator->local_capacity * sizeof(*larger));
        if (larger == NULL) {
            return validate_fail(validator, ENGINE_NO_MEMORY, "out of memory while validating");
        }
        if (validator->initialized_count > 0) {
            memcpy(larger, validator->initialized, validator->initialized_count * sizeof(*larger));
        }
        release(validator, validator->initialized, validator->initialized_capacity * sizeof(*larger));
        validator->initialized = larger;
        validator->initialized_capacity = validator->local_capacity;
    }
    validator->initialized[validator->initialized_count++] = index;
    return true;
}

/* A use of a local. */
static bool validate_local(struct validator *validator, unsigned opcode)
{
    uint32_t index;
    if (!validate_u32(validator, &index)) {
        return false;
    }
    if (index >= validator->local_count) {
        return validate_fail(validator, ENGINE_INVALID, "unknown local %u", index);
    }
    uint32_t *weight = &validator->local_weights[index];
    if (__builtin_add_overflow(*weight, validator->weight, weight)) {
        *weight = UINT32_MAX;
    }
    value_type type = validator->local_types[index];
    if (opcode != OP_LOCAL_GET && !validate_pop_expect(validator, type)) {
        return false;
    }
    if (UNLIKELY(index >= validator->plain_locals) && !check_initialized(validator, index, opcode != OP_LOCAL_GET)) {
        return false;
    }
    return opcode == OP_LOCAL_SET || validate_push(validator, type);
}

static bool validate_constant(struct validator *validator, unsigned opcode)
{
    int64_t integer;
    bool read;
    switch (opcode) {
    case OP_I32_CONST:
        read = reader_signed(&validator->reader, 32, &integer);
        break;
    case OP_I64_CONST:
        read = reader_signed(&validator->reader, 64, &integer);
        break;
    default:
        read = reader_bytes(&validator->reader, opcode == OP_F32_CONST ? 4 : 8) != NULL;
    }
    return (read || validate_reader_fault(validator)) && validate_by_signature(validator, opcode);
}

/* atomic.fence: a byte for orders to come. */
static bool validate_fence(struct validator *validator)
{
    const uint8_t *order = reader_bytes(&validator->reader, 1);
    if (order == NULL) {
        return validate_reader_fault(validator);
    }
    return *order == 0 || validate_fail(validator, ENGINE_MALFORMED, "zero byte expected, found 0x%x", *order);
}

static bool validate_instruction(struct validator *validator, unsigned opcode, bool *finished);

/* An instruction with a prefix byte. */
static bool validate_prefixed(struct validator *validator, uint8_t prefix, bool *finished)
{
    uint32_t code;
    if (!validate_u32(validator, &code)) {
        return false;
    }
    validator->summary->has_vectors |= prefix == 0xfd;
    unsigned opcode = opcode_number(prefix, code);
    if (opcode >= OPCODE_COUNT || opcode_table[opcode].mnemonic == NULL) {
        return validate_fail(validator, ENGINE_MALFORMED, "illegal opcode 0x%x 0x%x", prefix, code);
    }
    return validate_instruction(validator, opcode, finished);
}

/* Any instruction, the reader standing behind its opcode. */
static bool validate_instruction(struct validator *validator, unsigned opcode, bool *finished)
{
    const struct opcode_information *row = &opcode_table[opcode];
    switch (opcode) {
    case OP_BLOCK:
    case OP_LOOP:
    case OP_IF:
        return validate_block(validator, opcode);
    case OP_ELSE:
        return validate_else(validator);
    case OP_END:
        return validate_end(validator, finished);
    case OP_BR:
    case OP_BR_IF:
        return validate_branch(validator, opcode);
    case OP_BR_TABLE:
        return validate_branch_table(validator);
    case OP_RETURN:
        return validate_return(validator);
    case OP_CALL:
        return validate_call(validator, opcode);
    case OP_CALL_INDIRECT:
        return validate_call_indirect(validator, opcode);
    case OP_SELECT:
        return validate_select(validator);
    case OP_LOCAL_GET:
    case OP_LOCAL_SET:
    case OP_LOCAL_TEE:
        return validate_local(validator, opcode);
    case OP_I32_CONST:
    case OP_I64_CONST:
    case OP_F32_CONST:
    case OP_F64_CONST:
        return validate_constant(validator, opcode);
    }
    if (opcode < 0x100 && opcode_is_prefix((uint8_t)opcode)) {
        return validate_prefixed(validator, (uint8_t)opcode, finished);
    }
    if (row->mnemonic == NULL) {
        return validate_fail(validator, ENGINE_MALFORMED, "illegal opcode 0x%x", opcode);
    }
    if (!feature_supported(row->feature)) {
        return validate_unsupported(validator, row->feature, row->mnemonic);
    }
    if (row->immediate == IMMEDIATE_MEMORY_ACCESS) {
        return validate_memory_access(validator, opcode);
    }
    if (opcode == OP_ATOMIC_FENCE) {
        return validate_fence(validator);
    }
    if (opcode >= OPCODE_BASE_0xfd) {
        return validate_vector(validator, opcode);
    }
    if (row->signature != SIGNATURE_special) {
        return validate_by_signature(validator, opcode);
    }
    return validate_special(validator, opcode);
}

/* ---- The loop ----
 * Plain operators, memory accesses, constants and uses of locals are most of real code. The loop handles their common
 * form by itself; whatever is different, be it legal or not, it leaves to validate_instruction. */
enum {
    LOOP_OTHER, /* nothing for the loop */
    LOOP_LOAD,
    LOOP_STORE,
    LOOP_LOCAL_GET,
    LOOP_LOCAL_SET,
    LOOP_LOCAL_TEE,
    LOOP_CONSTANT,
    LOOP_SIGNATURE, /* + enum signature_kind: no immediate */
};

/* What the loop does with an opcode, by its row in the table. */
#define LOOP_KIND(opcode, immediate, signature, feature)                                                               \
    (FEATURE_##feature != FEATURE_CORE                      ? LOOP_OTHER                                               \
     : (opcode) == OP_LOCAL_GET                             ? LOOP_LOCAL_GET                                           \
     : (opcode) == OP_LOCAL_SET                             ? LOOP_LOCAL_SET                                           \
     : (opcode) == OP_LOCAL_TEE                             ? LOOP_LOCAL_TEE                                           \
     : (opcode) == OP_I32_CONST || (opcode) == OP_I64_CONST ? LOOP_CONSTANT                                            \
     : SIGNATURE_##signature == SIGNATURE_special           ? LOOP_OTHER                                               \
     : IMMEDIATE_##immediate == IMMEDIATE_NONE              ? LOOP_SIGNATURE + SIGNATURE_##signature                   \
     : IMMEDIATE_##immediate == IMMEDIATE_MEMORY_ACCESS     ? (PUSH_##signature ? LOOP_LOAD : LOOP_STORE)              \
                                                            : LOOP_OTHER)

/* The types that the signatures push, as constants. */
#define SIGNATURE_PUSH(name, pops, first, second, third, push) PUSH_##name = (push),
enum { ENGINE_SIGNATURES(SIGNATURE_PUSH) };
#undef SIGNATURE_PUSH

static const uint8_t loop_kinds[OPCODE_COUNT] = {
#define OPCODE(prefix, identifier, code, mnemonic, immediate, signature, bytes, feature)                               \
    [OP_##identifier] = LOOP_KIND(OP_##identifier, immediate, signature, feature),
#include "engine/opcodes.def"
#undef OPCODE
};

/* How far behind an opcode the loop reads without looking at the limit. */
#define LOOP_READ_AHEAD 16

/* Length of the LEB128 number at `bytes`, of which eight can be read; 9 when it is longer than that. */
static inline unsigned number_length(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
    uint64_t ends = ~word & UINT64_C(0x8080808080808080);
    return LIKELY(ends != 0) ? (unsigned)__builtin_ctzll(ends) / 8 + 1 : 9;
}

/* Length of a memory access's immediates when they need no closer look (natural alignment or less, no memory index, an
 * offset of less than 2^28), else 0. */
static inline unsigned access_length(const uint8_t *bytes, unsigned width)
{
    unsigned length = number_length(bytes + 1);
    return LIKELY(bytes[0] < 32 && (1u << (bytes[0] & 31)) <= width && length <= 4) ? 1 + length : 0;
}

/* Index of a local in one or two bytes, which `length` counts; UINT32_MAX when it is longer. */
static inline uint32_t read_short_index(const uint8_t *bytes, unsigned *length)
{
    uint32_t index = bytes[0];
    *length = 1;
    if (LIKELY(index < 0x80)) {
        return index;
    }
    *length = 2;
    return bytes[1] < 0x80 ? (index & 0x7f) | (uint32_t)bytes[1] << 7 : UINT32_MAX;
}

/* Note a use of the local. */
static inline void add_weight(uint32_t *weight, uint32_t added)
{
    uint32_t sum = *weight + added;
    *weight = sum < added ? UINT32_MAX : sum;
}

/* Where the next pause is, or the end. */
static const uint8_t *pause_position(const struct validator *validator, const uint8_t *cursor)
{
    const uint8_t *end = validator->reader.limit;
    return validator->allocator->pause && end - cursor > ENGINE_PAUSE_BYTES ? cursor + ENGINE_PAUSE_BYTES : end;
}

static bool validate_instructions(struct validator *validator)
{
    const uint8_t *cursor = validator->reader.cursor;
    const uint8_t *const end = validator->reader.limit;
    const uint8_t *limit = pause_position(validator, cursor); /* up to which it goes on without a pause */
    const uint8_t *const module_limit = validator->module->bytes + validator->module->size;
    /* A first memory with 64-bit addresses is left to the slow way. */
    const bool has_memory = validator->module->memory_count > 0 && !validator->module->memories[0].limits.is_64;
    const value_type *const local_types = validator->local_types;
    uint32_t *const local_weights = validator->local_weights;
    const uint32_t local_count = validator->plain_locals; /* all others go the slow way */
    value_type *top = validator->top;
    value_type *floor = validator->floor;
    bool finished = false;

    for (;;) {
        const uint8_t *const start = cursor;
        if (UNLIKELY(start >= limit)) {
            if (start >= end) {
                break;
            }
            validator->allocator->pause(validator->allocator->context);
            limit = pause_position(validator, start);
        }
        const unsigned opcode = *start;
        const unsigned kind = UNLIKELY(module_limit - start < LOOP_READ_AHEAD) ? LOOP_OTHER : loop_kinds[opcode];
        uint32_t index;
        unsigned length;
        switch (kind) {
#define SIGNATURE_CASE(name, pops, first, second, third, push)                                                         \
    case LOOP_SIGNATURE + SIGNATURE_##name:                                                                            \
        if (LIKELY((pops) > 0 && top - floor >= (pops) && ((pops) < 1 || top[-(pops)] == (first)) &&                   \
                   ((pops) < 2 || top[1 - (pops)] == (second)) && ((pops) < 3 || top[2 - (pops)] == (third)))) {       \
            top -= (pops);                                                                                             \
            if ((push) != 0) {                                                                                         \
                *top++ = (push);                                                                                       \
            }                                                                                                          \
            cursor = start + 1;                                                                                        \
            continue;                                                                                                  \
        }                                                                                                              \
        break;
            ENGINE_SIGNATURES(SIGNATURE_CASE)
#undef SIGNATURE_CASE

        case LOOP_LOAD:
            length = access_length(start + 1, opcode_table[opcode].bytes);
            if (LIKELY(length != 0 && has_memory && start + length < limit && top > floor && top[-1] == VALUE_I32)) {
                top[-1] = opcode_signatures[opcode_table[opcode].signature].push;
                cursor = start + 1 + length;
                continue;
            }
            break;

        case LOOP_STORE:
            length = access_length(start + 1, opcode_table[opcode].bytes);
            if (LIKELY(length != 0 && has_memory && start + length < limit && top - floor >= 2 &&
                       top[-1] == opcode_signatures[opcode_table[opcode].signature].pops[1] && top[-2] == VALUE_I32)) {
                top -= 2;
                cursor = start + 1 + length;
                continue;
            }
            break;

        case LOOP_LOCAL_GET:
            index = read_short_index(start + 1, &length);
            if (LIKELY(index < local_count && start + length < limit && top < validator->high)) {
                *top++ = local_types[index];
                add_weight(&local_weights[index], validator->weight);
                cursor = start + 1 + length;
                continue;
            }
            break;

        case LOOP_LOCAL_SET:
        case LOOP_LOCAL_TEE:
            index = read_short_index(start + 1, &length);
            if (LIKELY(index < local_count && start + length < limit && top > floor && top[-1] == local_types[index])) {
                top -= kind == LOOP_LOCAL_SET;
                add_weight(&local_weights[index], validator->weight);
                cursor = start + 1 + length;
                continue;
            }
            break;

        case LOOP_CONSTANT:
            length = number_length(start + 1);
            if (LIKELY(length <= (opcode == OP_I32_CONST ? 4 : 8) && start + length < limit && top < validator->high)) {
                *top++ = opcode == OP_I32_CONST ? VALUE_I32 : VALUE_I64;
                cursor = start + 1 + length;
                continue;
            }
            break;
        }

        validator->instruction = start;
        validator->reader.cursor = start + 1;
        validator->top = top;
        if (UNLIKELY(!validate_instruction(validator, opcode, &finished))) {
            return false;
        }
        cursor = validator->reader.cursor;
        if (UNLIKELY(finished)) {
            break;
        }
        top = validator->top;
        floor = validator->floor;
    }
    validator->instruction = cursor;
    if (!finished) {
        return validate_fail(validator, ENGINE_MALFORMED, "unexpected end of function body: end expected");
    }
    return cursor == end ||
           validate_fail(validator, ENGINE_MALFORMED, "unexpected content: %u bytes behind the end of the function",
                         (unsigned)(end - cursor));
}

static bool validate_body(struct validator *validator, const struct function_type *type)
{
    if (!reserve_locals(validator, 0, type->parameter_count)) {
        return false;
    }
    memcpy(validator->local_types, function_type_parameters(type), type->parameter_count * sizeof(value_type));
    validate_note_vectors(validator, (struct type_list){function_type_parameters(type), type->parameter_count});
    if (!read_locals(validator, type->parameter_count)) {
        return false;
    }
    validator->summary->code_offset = (uint32_t)(validator->reader.cursor - validator->module->bytes);
    struct type_list results = {function_type_results(type), type->result_count};
    return validate_push_control(validator, OP_BLOCK, (struct type_list){NULL, 0}, results) &&
           validate_instructions(validator);
}

enum engine_status function_validate(struct validator *validator, const struct module *module, uint32_t index,
                                     struct function_summary *summary, struct engine_error *error)
{
    const struct function *function = &module->functions[index];
    const uint8_t *body = module->bytes + function->body_offset;
    *summary = (struct function_summary){0};
    validator->module = module;
    validator->summary = summary;
    validator->error = error;
    validator->status = ENGINE_OK;
    validator->function = index;
    validator->control_count = 0;
    validator->catch_count = 0;
    validator->initialized_count = 0;
    validator->reader = (struct reader){.cursor = body, .limit = body + function->body_size};
    validator->instruction = body;
    validator->top = validator->floor = validator->high = validator->operands;
    validator->weight = 1;
    if (!validate_body(validator, &module->types[function->type])) {
        return validator->status;
    }
    summary->local_count = validator->local_count;
    summary->local_types = validator->local_types;
    summary->local_weights = validator->local_weights;
    summary->maximum_operands = (uint32_t)(validator->high - validator->operands);
    return ENGINE_OK;
}
