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

static bool read_local_type(struct validator *validator, value_type *type)
{
    unsigned feature = FEATURE_CORE;
    switch (read_value_type(&validator->reader, type, &feature)) {
    case TYPE_READ:
        return true;
    case TYPE_READER_FAULT:
        return validate_reader_fault(validator);
    case TYPE_MALFORMED:
        return validate_fail(validator, ENGINE_MALFORMED, "malformed value type 0x%x", *type);
    case TYPE_NEEDS_FEATURE:
        return validate_unsupported(validator, feature, "local");
    }
    return false;
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
        if (!validate_u32(validator, &count) || !read_local_type(validator, &type)) {
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
    }
    if (total - parameters > UINT32_MAX) {
        return validate_fail(validator, ENGINE_MALFORMED, "too many locals: %llu", (unsigned long long)total);
    }
    if (total > ENGINE_LIMIT_LOCALS) {
        return validate_fail(validator, ENGINE_LIMIT, "too many locals: %llu, limit %u", (unsigned long long)total,
                             ENGINE_LIMIT_LOCALS);
    }
    validator->local_count = (uint32_t)total;
    memset(validator->local_weights, 0, total * sizeof(uint32_t));
    return true;
}

/* ---- The loop ---- */
/* What the loop does with an opcode. One switch decides: instructions without immediate by their signature, others by
 * their opcode. */
enum {
    KIND_ILLEGAL,
    KIND_UNSUPPORTED,
    KIND_LOAD,
    KIND_STORE,
    KIND_PREFIX,
    KIND_SIGNATURE,                                 /* + enum signature_kind */
    KIND_OPCODE = KIND_SIGNATURE + SIGNATURE_COUNT, /* + enum opcode */
};

static const uint16_t kinds[OPCODE_COUNT] = {
#define OPCODE(prefix, identifier, code, mnemonic, immediate, signature, bytes, feature)                               \
    [OP_##identifier] = FEATURE_##feature != FEATURE_CORE ? KIND_UNSUPPORTED                                           \
                        : IMMEDIATE_##immediate == IMMEDIATE_MEMORY_ACCESS                                             \
                            ? ((code) < OP_I32_STORE ? KIND_LOAD : KIND_STORE)                                         \
                        : IMMEDIATE_##immediate == IMMEDIATE_NONE && SIGNATURE_##signature != SIGNATURE_special        \
                            ? KIND_SIGNATURE + SIGNATURE_##signature                                                   \
                            : KIND_OPCODE + OP_##identifier,
#include "engine/opcodes.def"
#undef OPCODE
    [0xfb] = KIND_PREFIX,
    [0xfc] = KIND_PREFIX,
    [0xfd] = KIND_PREFIX,
    [0xfe] = KIND_PREFIX,
};

/* The code behind a prefix byte. */
static bool read_prefixed(struct validator *validator, uint8_t prefix, unsigned *opcode)
{
    uint32_t code;
    if (!validate_u32(validator, &code)) {
        return false;
    }
    *opcode = opcode_number(prefix, code);
    if (*opcode >= OPCODE_COUNT || kinds[*opcode] == KIND_ILLEGAL) {
        return validate_fail(validator, ENGINE_MALFORMED, "illegal opcode 0x%x 0x%x", prefix, code);
    }
    return true;
}

/* Behind a LEB128 number that ends within `free_bytes` bytes, which no rule restricts; NULL when it is longer. */
static inline const uint8_t *skip_number(const uint8_t *cursor, const uint8_t *limit, unsigned free_bytes)
{
    for (unsigned i = 0; i < free_bytes && cursor < limit; i++) {
        if (*cursor++ < 0x80) {
            return cursor;
        }
    }
    return NULL;
}

/* Instructions that the loop does not handle by itself, for one reason or another. */
static bool validate_out_of_line(struct validator *validator, unsigned opcode, bool *finished)
{
    int64_t integer;
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
        return validate_call(validator);
    case OP_CALL_INDIRECT:
        return validate_call_indirect(validator);
    case OP_SELECT:
        return validate_select(validator);
    case OP_I32_CONST:
    case OP_I64_CONST:
        return (reader_signed(&validator->reader, opcode == OP_I32_CONST ? 32 : 64, &integer) ||
                validate_reader_fault(validator)) &&
               validate_by_signature(validator, opcode);
    case OP_F32_CONST:
    case OP_F64_CONST:
        return (reader_bytes(&validator->reader, opcode == OP_F32_CONST ? 4 : 8) != NULL ||
                validate_reader_fault(validator)) &&
               validate_by_signature(validator, opcode);
    default:
        return validate_special(validator, opcode);
    }
}

/* A use of a local, with an index of any length. */
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
    return opcode == OP_LOCAL_SET || validate_push(validator, type);
}

/* The loop's registers and their homes in the validator. */
#define STORE_REGISTERS() (validator->reader.cursor = cursor, validator->top = top)
#define LOAD_REGISTERS()  (cursor = validator->reader.cursor, top = validator->top, floor = validator->floor)

static bool validate_instructions(struct validator *validator)
{
    const uint8_t *cursor = validator->reader.cursor;
    const uint8_t *const limit = validator->reader.limit;
    value_type *top = validator->top;
    value_type *floor = validator->floor;
    const value_type *const local_types = validator->local_types;
    uint32_t *const local_weights = validator->local_weights;
    const uint32_t local_count = validator->local_count;
    const bool has_memory = validator->module->memory_count > 0;
    bool finished = false;

    while (!finished) {
        if (UNLIKELY(cursor >= limit)) {
            return validate_fail(validator, ENGINE_MALFORMED, "unexpected end of function body: end expected");
        }
        validator->instruction = cursor;
        unsigned opcode = *cursor++;
        unsigned kind = kinds[opcode];
        bool valid;
    dispatch:
        switch (kind) {
/* With all operands there as they should be, the signature is applied here; anything else is looked at again outside.
 */
#define SIGNATURE_CASE(name, pops, first, second, third, push)                                                         \
    case KIND_SIGNATURE + SIGNATURE_##name:                                                                            \
        if (LIKELY(pops > 0 && top - floor >= pops && (pops < 1 || top[-(pops)] == (first)) &&                         \
                   (pops < 2 || top[1 - (pops)] == (second)) && (pops < 3 || top[2 - (pops)] == (third)))) {           \
            top -= (pops);                                                                                             \
            if ((push) != 0) {                                                                                         \
                *top++ = (push);                                                                                       \
            }                                                                                                          \
            continue;                                                                                                  \
        }                                                                                                              \
        break;
            ENGINE_SIGNATURES(SIGNATURE_CASE)
#undef SIGNATURE_CASE

        case KIND_LOAD:
        case KIND_STORE: {
            /* Short offset and natural alignment or less, no memory index. */
            const struct opcode_information *row = &opcode_table[opcode];
            const struct signature *signature = &opcode_signatures[row->signature];
            const uint8_t *behind = limit - cursor >= 2 ? skip_number(cursor + 1, limit, 4) : NULL;
            if (LIKELY(has_memory && behind != NULL && (1u << (*cursor & 31)) <= row->bytes && *cursor < 32)) {
                if (kind == KIND_LOAD) {
                    if (LIKELY(top > floor && top[-1] == VALUE_I32)) {
                        top[-1] = signature->push;
                        cursor = behind;
                        continue;
                    }
                } else if (LIKELY(top - floor >= 2 && top[-1] == signature->pops[1] && top[-2] == VALUE_I32)) {
                    top -= 2;
                    cursor = behind;
                    continue;
                }
            }
            STORE_REGISTERS();
            valid = validate_memory_access(validator, opcode);
            goto done;
        }

        case KIND_OPCODE + OP_LOCAL_GET:
        case KIND_OPCODE + OP_LOCAL_SET:
        case KIND_OPCODE + OP_LOCAL_TEE: {
            if (LIKELY(cursor < limit && *cursor < 0x80 && *cursor < local_count)) {
                uint32_t index = *cursor;
                value_type type = local_types[index];
                bool get = opcode == OP_LOCAL_GET;
                if (LIKELY(get ? top < validator->high : top > floor && top[-1] == type)) {
                    uint32_t weight = local_weights[index] + validator->weight;
                    local_weights[index] = weight < validator->weight ? UINT32_MAX : weight;
                    cursor++;
                    if (get) {
                        *top++ = type;
                    } else if (opcode == OP_LOCAL_SET) {
                        top--;
                    }
                    continue;
                }
            }
            STORE_REGISTERS();
            valid = validate_local(validator, opcode);
            goto done;
        }

        case KIND_OPCODE + OP_I32_CONST:
        case KIND_OPCODE + OP_I64_CONST: {
            const uint8_t *behind = skip_number(cursor, limit, opcode == OP_I32_CONST ? 4 : 9);
            if (LIKELY(behind != NULL && top < validator->high)) {
                *top++ = opcode == OP_I32_CONST ? VALUE_I32 : VALUE_I64;
                cursor = behind;
                continue;
            }
            break;
        }

        case KIND_OPCODE + OP_DROP:
            if (LIKELY(top > floor)) {
                top--;
                continue;
            }
            break;

        case KIND_PREFIX:
            STORE_REGISTERS();
            if (!read_prefixed(validator, (uint8_t)opcode, &opcode)) {
                return false;
            }
            cursor = validator->reader.cursor;
            kind = kinds[opcode];
            goto dispatch;

        case KIND_ILLEGAL:
            return validate_fail(validator, ENGINE_MALFORMED, "illegal opcode 0x%x", opcode);

        case KIND_UNSUPPORTED:
            return validate_unsupported(validator, opcode_table[opcode].feature, opcode_table[opcode].mnemonic);
        }

        STORE_REGISTERS();
        valid = kind < KIND_OPCODE ? validate_by_signature(validator, opcode)
                                   : validate_out_of_line(validator, opcode, &finished);
    done:
        if (UNLIKELY(!valid)) {
            return false;
        }
        LOAD_REGISTERS();
    }
    validator->instruction = cursor;
    return cursor == limit ||
           validate_fail(validator, ENGINE_MALFORMED, "section size mismatch: %u bytes behind the end of the function",
                         (unsigned)(limit - cursor));
}

static bool validate_body(struct validator *validator, const struct function_type *type)
{
    if (!reserve_locals(validator, 0, type->parameter_count)) {
        return false;
    }
    memcpy(validator->local_types, function_type_parameters(type), type->parameter_count * sizeof(value_type));
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
