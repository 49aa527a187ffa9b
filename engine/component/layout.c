/* Sizes, alignments and flat types of the component model's types (CanonicalABI.md). Every type is laid out once, from
 * those in it, so that the work is linear even where types are shared. */
#include "engine/component/types.h"

struct kind_row {
    const char *text;
    uint8_t bytes;
    uint8_t core;
};

static const struct kind_row kinds[] = {
#define KIND(name, text, code, bytes, core) {text, bytes, core},
#include "engine/component/kinds.def"
#undef KIND
};

const char *component_kind_text(enum component_kind kind)
{
    return kinds[kind].text;
}

uint32_t component_discriminant_bytes(const struct component_type *type)
{
    return type->field_count <= 1u << 8 ? 1 : type->field_count <= 1u << 16 ? 2 : 4;
}

uint32_t component_payload_offset(const struct component_type *type)
{
    return (uint32_t)align_up(component_discriminant_bytes(type), type->alignment);
}

/* ---- Identities: FNV-1a over what makes the type, with the identities of the types in it ---- */
#define IDENTITY_START UINT64_C(0xcbf29ce484222325)

static uint64_t mix(uint64_t identity, const void *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        identity = (identity ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
    }
    return identity;
}

static uint64_t mix_number(uint64_t identity, uint64_t number)
{
    return mix(identity, &number, sizeof(number));
}

static uint64_t mix_name(uint64_t identity, struct name name)
{
    return mix(mix_number(identity, name.length), name.text, name.length);
}

static uint64_t identify(const struct component_type *type)
{
    uint64_t identity = mix_number(mix_number(IDENTITY_START, type->kind), type->field_count);
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct component_type *field = type->fields[i].type;
        identity = mix_number(mix_name(identity, type->fields[i].name), field ? field->identity : 0);
    }
    if (type->element) {
        identity = mix_number(identity, type->element->identity);
    }
    if (type->resource) {
        identity = mix_name(identity, type->resource->name); /* its interface is not known yet */
    }
    return identity;
}

void component_function_identify(struct component_function *function, struct name interface)
{
    uint64_t identity = mix_name(mix_name(IDENTITY_START, interface), function->name);
    identity = mix_number(identity, function->parameters.identity);
    function->identity = mix_number(identity, function->result ? function->result->identity : 0);
}

void component_resource_identify(struct component_resource *resource, struct name interface)
{
    resource->interface = interface;
    resource->identity = mix_name(mix_name(IDENTITY_START, interface), resource->name);
}

/* ---- Sizes and flat types ---- */
static void set_scalar(struct component_type *type, uint32_t bytes, value_type core)
{
    type->bytes = bytes;
    type->alignment = (uint8_t)bytes;
    type->flat_count = 1;
    type->flat[0] = (uint8_t)core;
}

/* A pointer and a length. */
static void set_sequence(struct component_type *type)
{
    type->bytes = 8;
    type->alignment = 4;
    type->flat_count = 2;
    type->flat[0] = type->flat[1] = VALUE_I32;
}

static void append_flat(struct component_type *type, const struct component_type *field)
{
    for (uint32_t i = 0; i < field->flat_count && type->flat_count <= COMPONENT_FLAT_PARAMETERS; i++) {
        if (type->flat_count < COMPONENT_FLAT_PARAMETERS && i < COMPONENT_FLAT_PARAMETERS) {
            type->flat[type->flat_count] = field->flat[i];
        }
        type->flat_count++;
    }
}

static uint8_t join(uint8_t a, uint8_t b)
{
    if (a == b) {
        return a;
    }
    bool narrow = (a == VALUE_I32 || a == VALUE_F32) && (b == VALUE_I32 || b == VALUE_F32);
    return narrow ? VALUE_I32 : VALUE_I64;
}

/* The values of a case lie behind the discriminant, together with those of the other cases. */
static void join_flat(struct component_type *type, const struct component_type *payload)
{
    for (uint32_t i = 0; i < payload->flat_count && i < COMPONENT_FLAT_PARAMETERS; i++) {
        uint32_t slot = i + 1;
        if (slot >= type->flat_count) {
            type->flat_count = (uint8_t)(slot + 1);
            if (slot < COMPONENT_FLAT_PARAMETERS) {
                type->flat[slot] = payload->flat[i];
            }
        } else if (slot < COMPONENT_FLAT_PARAMETERS) {
            type->flat[slot] = join(type->flat[slot], payload->flat[i]);
        }
    }
}

static void set_record(struct component_type *type)
{
    uint64_t end = 0, bytes = 0;
    type->alignment = 1;
    type->is_copied = true;
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct component_type *field = type->fields[i].type;
        end = align_up(end, field->alignment) + field->bytes;
        end = min_u64(end, UINT32_MAX / 2);
        type->alignment = (uint8_t)max_u64(type->alignment, field->alignment);
        type->is_copied &= field->is_copied;
        bytes += field->bytes;
        append_flat(type, field);
    }
    type->bytes = (uint32_t)align_up(end, type->alignment);
    type->is_copied &= bytes == type->bytes;
}

static void set_variant(struct component_type *type)
{
    uint32_t bytes = 0, alignment = component_discriminant_bytes(type);
    type->flat_count = 1;
    type->flat[0] = VALUE_I32;
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct component_type *payload = type->fields[i].type;
        if (payload) {
            bytes = (uint32_t)max_u64(bytes, payload->bytes);
            alignment = (uint32_t)max_u64(alignment, payload->alignment);
            join_flat(type, payload);
        }
    }
    type->alignment = (uint8_t)alignment;
    type->bytes = (uint32_t)align_up((uint64_t)component_payload_offset(type) + bytes, alignment);
}

static void include(struct component_type *type, const struct component_type *inner)
{
    type->usable &= inner->usable;
    type->has_handles |= inner->has_handles;
    type->has_borrows |= inner->has_borrows;
    type->has_pointers |= inner->has_pointers;
    type->depth = (uint8_t)max_u64(type->depth, inner->depth + 1u);
}

bool component_type_lay_out(struct component_type *type)
{
    const struct kind_row *row = &kinds[type->kind];
    type->usable = true;
    type->depth = 1;
    type->flat_count = 0;
    type->has_borrows = type->kind == COMPONENT_BORROW;
    type->has_handles = type->has_borrows || type->kind == COMPONENT_OWN;
    type->has_pointers = type->kind == COMPONENT_STRING || type->kind == COMPONENT_LIST;
    type->is_copied = type->kind >= COMPONENT_S8 && type->kind <= COMPONENT_F64;
    for (uint32_t i = 0; i < type->field_count; i++) {
        if (type->fields[i].type) {
            include(type, type->fields[i].type);
        }
    }
    if (type->element) {
        include(type, type->element);
    }
    if (row->bytes) {
        set_scalar(type, row->bytes, row->core);
    } else if (type->kind == COMPONENT_STRING || type->kind == COMPONENT_LIST) {
        set_sequence(type);
    } else if (type->kind == COMPONENT_RECORD || type->kind == COMPONENT_TUPLE) {
        set_record(type);
    } else if (type->kind == COMPONENT_FLAGS) {
        set_scalar(type, type->field_count <= 8 ? 1 : type->field_count <= 16 ? 2 : 4, VALUE_I32);
    } else if (component_kind_has_cases(type->kind)) {
        set_variant(type);
    } else { /* cannot be passed; a place holder */
        type->usable = false;
        set_scalar(type, 4, VALUE_I32);
    }
    type->identity = identify(type);
    return type->bytes <= COMPONENT_TYPE_BYTES_MAXIMUM && type->depth <= COMPONENT_DEPTH_MAXIMUM;
}

static uint32_t put_flat(value_type *types, const struct component_type *type)
{
    for (uint32_t i = 0; i < type->flat_count; i++) {
        types[i] = type->flat[i];
    }
    return type->flat_count;
}

void component_core_type(const struct component_function *function, enum component_role role, value_type *types,
                         struct function_type *type)
{
    const struct component_type *parameters = &function->parameters, *result = function->result;
    uint32_t count = 0;
    *type = (struct function_type){.types = types};
    if (parameters->flat_count > COMPONENT_FLAT_PARAMETERS) {
        types[count++] = VALUE_I32;
    } else {
        count = put_flat(types, parameters);
    }
    bool by_pointer = result && result->flat_count > COMPONENT_FLAT_RESULTS;
    if (by_pointer && role == COMPONENT_IMPORTED) {
        types[count++] = VALUE_I32;
    }
    type->parameter_count = count;
    if (by_pointer && role == COMPONENT_EXPORTED) {
        types[count++] = VALUE_I32;
    } else if (result && !by_pointer) {
        count += put_flat(types + count, result);
    }
    type->result_count = count - type->parameter_count;
}
