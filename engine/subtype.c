/* Subtyping of references and of defined types. */
#include "engine/subtype.h"

#include "engine/opcode.h"

heap_type heap_type_of_kind(unsigned kind)
{
    static const heap_type heaps[] = {
        [DEFINED_FUNCTION] = HEAP_FUNC, [DEFINED_STRUCT] = HEAP_STRUCT, [DEFINED_ARRAY] = HEAP_ARRAY};
    return heaps[kind];
}

heap_type heap_type_bottom(unsigned kind)
{
    return kind == DEFINED_FUNCTION ? HEAP_NOFUNC : HEAP_NONE;
}

heap_type heap_type_top(const struct module *module, heap_type heap)
{
    if (!heap_type_is_abstract(heap)) {
        heap = heap_type_of_kind(module->defined_types[heap].kind);
    }
    switch (heap) {
    case HEAP_FUNC:
    case HEAP_NOFUNC:
        return HEAP_FUNC;
    case HEAP_EXTERN:
    case HEAP_NOEXTERN:
        return HEAP_EXTERN;
    case HEAP_EXN:
    case HEAP_NOEXN:
        return HEAP_EXN;
    default:
        return HEAP_ANY;
    }
}

bool heap_type_abstract_matches(heap_type a, heap_type b)
{
    switch (b) {
    case HEAP_ANY:
        return a == HEAP_EQ || a == HEAP_I31 || a == HEAP_STRUCT || a == HEAP_ARRAY || a == HEAP_NONE;
    case HEAP_EQ:
        return a == HEAP_I31 || a == HEAP_STRUCT || a == HEAP_ARRAY || a == HEAP_NONE;
    case HEAP_I31:
    case HEAP_STRUCT:
    case HEAP_ARRAY:
        return a == HEAP_NONE;
    case HEAP_FUNC:
        return a == HEAP_NOFUNC;
    case HEAP_EXTERN:
        return a == HEAP_NOEXTERN;
    case HEAP_EXN:
        return a == HEAP_NOEXN;
    default:
        return false;
    }
}

bool heap_type_matches(const struct module *module, heap_type a, heap_type b)
{
    if (a == b) {
        return true;
    }
    if (heap_type_is_abstract(a)) {
        if (heap_type_is_abstract(b)) {
            return heap_type_abstract_matches(a, b);
        }
        return a == heap_type_bottom(module->defined_types[b].kind);
    }
    if (heap_type_is_abstract(b)) {
        heap_type above = heap_type_of_kind(module->defined_types[a].kind);
        return above == b || heap_type_abstract_matches(above, b);
    }
    for (uint32_t type = module->defined_types[a].supertype; type != NO_TYPE;
         type = module->defined_types[type].supertype) {
        if (type == b) {
            return true;
        }
    }
    return false;
}

bool value_type_matches(const struct module *module, value_type a, value_type b)
{
    if (a == b || a == VALUE_BOTTOM) {
        return true;
    }
    if (!value_type_is_reference(a) || !value_type_is_reference(b) ||
        (value_type_is_nullable(a) && !value_type_is_nullable(b))) {
        return false;
    }
    return heap_type_matches(module, value_type_heap(a), value_type_heap(b));
}

value_type function_reference_value_type(const struct module *module, uint32_t function)
{
    if (!feature_supported(FEATURE_FUNCTION_REFERENCES)) {
        return VALUE_FUNCREF;
    }
    return reference_type(module->defined_types[module->functions[function].type].canonical, false);
}

static bool field_matches(const struct module *module, const struct field_type *a, const struct field_type *b)
{
    if (a->mutable_ != b->mutable_) {
        return false;
    }
    return a->mutable_ ? a->storage == b->storage : value_type_matches(module, a->storage, b->storage);
}

static bool function_matches(const struct module *module, const struct function_type *a, const struct function_type *b)
{
    if (a->parameter_count != b->parameter_count || a->result_count != b->result_count) {
        return false;
    }
    for (uint32_t i = 0; i < a->parameter_count; i++) {
        if (!value_type_matches(module, b->types[i], a->types[i])) {
            return false;
        }
    }
    for (uint32_t i = a->parameter_count; i < a->parameter_count + a->result_count; i++) {
        if (!value_type_matches(module, a->types[i], b->types[i])) {
            return false;
        }
    }
    return true;
}

bool defined_type_extends(const struct module *module, uint32_t type, uint32_t supertype)
{
    const struct defined_type *a = &module->defined_types[type], *b = &module->defined_types[supertype];
    if (b->final || a->kind != b->kind) {
        return false;
    }
    if (a->kind == DEFINED_FUNCTION) {
        return function_matches(module, &module->types[type], &module->types[supertype]);
    }
    if (a->field_count < b->field_count) {
        return false;
    }
    for (uint32_t i = 0; i < b->field_count; i++) {
        if (!field_matches(module, &a->fields[i], &b->fields[i])) {
            return false;
        }
    }
    return true;
}
