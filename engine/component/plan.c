/* Types to plans: one walk over the types in the order of the fields. Programs of list elements and of cases are
 * compiled after the program that refers to them, from a queue, so that each program's steps lie in a row. */
#include "engine/component/plan.h"

/* A program to be compiled. */
struct pending {
    const struct component_type *type; /* NULL: an empty one */
    uint32_t place;                    /* of the value: offset or flat slot */
    uint32_t *reference;               /* gets the program's number */
    bool flat;
};

struct component_planner {
    const struct engine_allocator *allocator;
    enum engine_status status;
    uint32_t step_count, case_count;
    uint32_t queue_first, queue_count;
    uint32_t steps_left; /* for all plans that are kept */
    struct component_step steps[COMPONENT_STEPS_MAXIMUM];
    uint32_t cases[COMPONENT_STEPS_MAXIMUM];
    struct pending queue[COMPONENT_STEPS_MAXIMUM];
};

static void refuse(struct component_planner *planner)
{
    planner->status = planner->status == ENGINE_OK ? ENGINE_LIMIT : planner->status;
}

/* The next step; one that is not used any more when there are too many. */
static struct component_step *add_step(struct component_planner *planner, enum component_step_kind kind, uint32_t place)
{
    if (planner->step_count == COMPONENT_STEPS_MAXIMUM) {
        refuse(planner);
        planner->step_count--;
    }
    struct component_step *step = &planner->steps[planner->step_count++];
    *step = (struct component_step){.kind = (uint8_t)kind, .place = place};
    return step;
}

static void enqueue(struct component_planner *planner, const struct component_type *type, uint32_t place, bool flat,
                    uint32_t *reference)
{
    if (planner->queue_count == COMPONENT_STEPS_MAXIMUM) {
        refuse(planner);
        return;
    }
    planner->queue[planner->queue_count++] = (struct pending){type, place, reference, flat};
}

/* Bytes in memory, together with the ones before them when nothing lies between. */
static void add_copy(struct component_planner *planner, uint32_t program, uint32_t place, uint32_t bytes)
{
    if (planner->step_count > program) {
        struct component_step *last = &planner->steps[planner->step_count - 1];
        if (last->kind == COMPONENT_STEP_COPY && last->place + last->bytes == place) {
            last->bytes += bytes;
            return;
        }
    }
    add_step(planner, COMPONENT_STEP_COPY, place)->bytes = bytes;
}

static void add_variant(struct component_planner *planner, const struct component_type *type, uint32_t place, bool flat)
{
    struct component_step *step = add_step(planner, COMPONENT_STEP_VARIANT, place);
    if (planner->case_count + type->field_count > COMPONENT_STEPS_MAXIMUM) {
        refuse(planner);
        return;
    }
    step->bytes = component_discriminant_bytes(type);
    step->count = type->field_count;
    step->target = planner->case_count;
    step->flat_end = flat ? (uint8_t)(place + type->flat_count) : 0;
    uint32_t payload = place + (flat ? 1 : component_payload_offset(type));
    for (uint32_t i = 0; i < type->field_count; i++) {
        uint32_t *reference = &planner->cases[planner->case_count++];
        *reference = 0;
        if (type->fields[i].type) {
            enqueue(planner, type->fields[i].type, payload, flat, reference);
        }
    }
}

static void add_list(struct component_planner *planner, const struct component_type *type, uint32_t place)
{
    struct component_step *step = add_step(planner, COMPONENT_STEP_LIST, place);
    step->bytes = type->element->bytes;
    step->alignment = type->element->alignment;
    if (!type->element->is_copied) {
        enqueue(planner, type->element, 0, false, &step->target);
    }
}

static void add_type(struct component_planner *planner, const struct component_type *type, uint32_t program,
                     uint32_t place, bool flat);

static void add_fields(struct component_planner *planner, const struct component_type *type, uint32_t program,
                       uint32_t place, bool flat)
{
    uint32_t end = 0;
    for (uint32_t i = 0; i < type->field_count && planner->status == ENGINE_OK; i++) {
        const struct component_type *field = type->fields[i].type;
        if (!flat) {
            end = component_field_offset(end, field);
        }
        add_type(planner, field, program, place + end, flat);
        end += flat ? field->flat_count : field->bytes;
    }
}

static void add_number(struct component_planner *planner, const struct component_type *type, uint32_t place)
{
    struct component_step *step = add_step(planner, COMPONENT_STEP_COPY, place);
    step->bytes = type->bytes;
    step->is_signed = type->kind == COMPONENT_S8 || type->kind == COMPONENT_S16;
}

static void add_flags(struct component_planner *planner, const struct component_type *type, uint32_t place)
{
    struct component_step *step = add_step(planner, COMPONENT_STEP_FLAGS, place);
    step->bytes = type->bytes;
    step->mask = (uint32_t)((UINT64_C(1) << type->field_count) - 1);
}

static void add_type(struct component_planner *planner, const struct component_type *type, uint32_t program,
                     uint32_t place, bool flat)
{
    if (planner->status != ENGINE_OK) {
        return;
    }
    if (type->is_copied && !flat) { /* at once, so that the work is in proportion to the steps */
        add_copy(planner, program, place, type->bytes);
        return;
    }
    switch (type->kind) {
    case COMPONENT_RECORD:
    case COMPONENT_TUPLE:
        add_fields(planner, type, program, place, flat);
        break;
    case COMPONENT_VARIANT:
    case COMPONENT_ENUM:
    case COMPONENT_OPTION:
    case COMPONENT_RESULT:
        add_variant(planner, type, place, flat);
        break;
    case COMPONENT_LIST:
        add_list(planner, type, place);
        break;
    case COMPONENT_FLAGS:
        add_flags(planner, type, place);
        break;
    case COMPONENT_BOOL:
        add_step(planner, COMPONENT_STEP_BOOL, place);
        break;
    case COMPONENT_CHAR:
        add_step(planner, COMPONENT_STEP_CHAR, place);
        break;
    case COMPONENT_STRING:
        add_step(planner, COMPONENT_STEP_STRING, place);
        break;
    case COMPONENT_OWN:
        add_step(planner, COMPONENT_STEP_OWN, place)->resource = type->resource;
        break;
    case COMPONENT_BORROW:
        add_step(planner, COMPONENT_STEP_BORROW, place)->resource = type->resource;
        break;
    default:
        add_number(planner, type, place);
        break;
    }
}

/* Compile one program and, behind it, all that it refers to; `*start` gets its number. */
static void compile(struct component_planner *planner, const struct component_type *type, bool flat, uint32_t *start)
{
    enqueue(planner, type, 0, flat, start);
    while (planner->queue_first < planner->queue_count && planner->status == ENGINE_OK) {
        const struct pending *next = &planner->queue[planner->queue_first++];
        uint32_t program = planner->step_count;
        *next->reference = program;
        if (next->type) {
            add_type(planner, next->type, program, next->place, next->flat);
        }
        add_step(planner, COMPONENT_STEP_END, 0);
    }
}

static void plan(struct component_planner *planner, const struct component_type *type, uint32_t flat_maximum,
                 struct component_plan *result)
{
    *result = (struct component_plan){.alignment = 1};
    if (type) {
        result->in_memory = type->flat_count > flat_maximum;
        result->scalars = !result->in_memory && !type->has_pointers && !type->has_handles;
        result->has_handles = type->has_handles;
        result->has_pointers = type->has_pointers;
        result->alignment = type->alignment;
        result->bytes = type->bytes;
        result->flat_count = result->in_memory ? 1 : type->flat_count;
    } else {
        result->scalars = true;
    }
    compile(planner, type, !result->in_memory, &result->start);
    result->numbers = result->scalars;
    for (uint32_t i = result->start; i < planner->step_count; i++) {
        const struct component_step *step = &planner->steps[i];
        result->numbers = result->numbers && (step->kind == COMPONENT_STEP_COPY || step->kind == COMPONENT_STEP_END);
    }
}

/* Only what was filled is kept. */
static bool keep(struct component_planner *planner, struct arena *arena, struct component_call *call)
{
    struct component_step *steps = arena_allocate_array(arena, planner->step_count, sizeof(*steps));
    uint32_t *cases = arena_allocate_array(arena, planner->case_count, sizeof(*cases));
    if (!steps || !cases) {
        return false;
    }
    memcpy(steps, planner->steps, planner->step_count * sizeof(*steps));
    memcpy(cases, planner->cases, planner->case_count * sizeof(*cases));
    call->parameters.steps = call->result.steps = steps;
    call->parameters.cases = call->result.cases = cases;
    call->parameters.step_count = call->result.step_count = planner->step_count;
    return true;
}

struct component_planner *component_planner_create(const struct engine_allocator *allocator)
{
    struct component_planner *planner = allocator->allocate(allocator->context, sizeof(*planner));
    if (planner) {
        planner->allocator = allocator;
        planner->steps_left = COMPONENT_ALL_STEPS_MAXIMUM;
    }
    return planner;
}

void component_planner_destroy(struct component_planner *planner)
{
    if (planner) {
        planner->allocator->release(planner->allocator->context, planner, sizeof(*planner));
    }
}

enum engine_status component_call_plan(struct component_planner *planner, const struct component_function *function,
                                       struct arena *arena, struct component_call *call)
{
    planner->status = ENGINE_OK;
    planner->step_count = planner->case_count = planner->queue_first = planner->queue_count = 0;
    add_step(planner, COMPONENT_STEP_END, 0); /* program 0 */
    plan(planner, &function->parameters, COMPONENT_FLAT_PARAMETERS, &call->parameters);
    plan(planner, function->result, COMPONENT_FLAT_RESULTS, &call->result);
    uint32_t kept = planner->step_count + planner->case_count;
    if (planner->status == ENGINE_OK && kept > planner->steps_left) {
        planner->status = ENGINE_LIMIT;
    }
    if (planner->status == ENGINE_OK && !keep(planner, arena, call)) {
        planner->status = ENGINE_NO_MEMORY;
    }
    planner->steps_left -= planner->status == ENGINE_OK ? kept : 0;
    return planner->status;
}
