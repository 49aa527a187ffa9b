/* Instantiation (spec 4.5.4): the instance header, function references, segments, exports. */
#include "kernel/instance.h"

#include "engine/base.h"
#include "engine/format.h"
#include "engine/x64/tail.h"
#include "kernel/cpu.h"
#include "kernel/gc.h"
#include "kernel/host_call.h"
#include "kernel/instance_parts.h"
#include "kernel/pieces.h"
#include "kernel/place.h"
#include "kernel/platform.h"
#include "kernel/trace.h"
#include "kernel/type_registry.h"

#define PIECE_ENTRIES 4096 /* of a table, between two checkpoints */

static void *header_part(const struct instance *instance, int32_t displacement)
{
    return instance->gs_base + displacement;
}

static struct import_slot *import_slots(const struct instance *instance)
{
    return header_part(instance, instance->module->code->layout.imports);
}

/* ---- Functions ---- */

uint64_t instance_function_code(const struct instance *instance, uint32_t index)
{
    const struct code *code = instance->module->code;
    return (uintptr_t)code->text + code->functions[index - instance->types->function_import_count].offset;
}

uint32_t instance_function_reference(const struct instance *instance, uint32_t index)
{
    if (index < instance->types->function_import_count) {
        return import_slots(instance)[index].reference;
    }
    return instance->reference_base + instance->types->functions[index].reference;
}

/* A record for each function whose reference can be taken; those of imports are copies of the imported function's. */
static void fill_references(struct instance *instance)
{
    const struct module *module = instance->types;
    struct function_reference *records = instance->process->references;
    for (uint32_t i = 0; i < module->function_count; i++) {
        if (module->functions[i].reference == NO_REFERENCE) {
            continue;
        }
        struct function_reference *record = &records[instance->reference_base + module->functions[i].reference];
        if (i < module->function_import_count) {
            *record = records[import_slots(instance)[i].reference];
            continue;
        }
        *record = (struct function_reference){
            .code = instance_function_code(instance, i),
            .signature = instance->module->signatures[module->functions[i].type],
            .instance = instance->index,
            .function = i,
        };
    }
}

/* ---- The parts of an instance ---- */

/* A process's first instance has the stack of its thread below it; so has that of a further thread. */
static bool wants_stack(const struct instance *instance)
{
    return instance->index == 1 || thread_current()->member == instance->process;
}

/* The place of the header, and what is memory 0 there. */
static enum status create_memories(struct instance *instance, const struct external *const imported[])
{
    const struct module *module = instance->types;
    struct memory_home home = {
        .header_bytes = instance->module->code->layout.bytes,
        .stack = wants_stack(instance),
        .pool = instance->module->places,
    };
    for (uint32_t i = 0; i < module->memory_count; i++) {
        if (i < module->memory_import_count) {
            instance->memories[i] = imported[i]->memory;
            continue;
        }
        home.image = i == 0 ? place_pool_image(home.pool, module) : NULL;
        instance->imaged |= home.image != NULL;
        enum status status = memory_object_create(instance->process, &module->memories[i],
                                                  i == 0 ? &home : &(struct memory_home){0}, &instance->memories[i]);
        if (status != STATUS_OK) {
            return status;
        }
    }
    if (module->memory_count && !module->memory_import_count) {
        instance->place = instance->memories[0]->place;
    } else if (module->memory_count) {
        struct memory_window *window;
        enum status status = memory_object_window(instance->memories[0], &home, &window);
        if (status != STATUS_OK) {
            return status;
        }
        instance->place = window->place;
    } else {
        struct place_shape shape = {.header_bytes = home.header_bytes, .stack = home.stack};
        instance->place = place_take(home.pool, &shape);
        instance->owns_place = instance->place != NULL;
    }
    instance->gs_base = instance->place ? instance->place->base : NULL;
    return instance->place ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status fill_header(struct instance *instance)
{
    const struct module *module = instance->types;
    const struct header_layout *layout = &instance->module->code->layout;
    struct instance_header *header = (struct instance_header *)instance->gs_base - 1;
    instance->header = header;
    memset(instance->gs_base - layout->bytes, 0, layout->bytes);
    for (uint32_t i = 0; i < BUILTIN_COUNT; i++) {
        header->builtins[i] = host_function_code(i);
    }
    header->instance_directory = (uintptr_t)instance->process->directory;
    header->type_displays = (uintptr_t)type_displays();
    header->heap = instance->process->heap ? gc_heap_base(instance->process) : 0;
    header->function_references = (uintptr_t)instance->process->references;
    header->switch_instance = host_switch_stub();
    header->tail_return[TAIL_AREA_SMALL] = (uintptr_t)tail_return_small;
    header->tail_return[TAIL_AREA_LARGE] = (uintptr_t)tail_return_large;
    instance->own_thread = thread_current()->member == instance->process;
    header->thread = (uintptr_t)(instance->own_thread ? thread_current() : instance->process->thread);
    header->kernel_instance = (uintptr_t)instance;
    header->gs_base = (uintptr_t)instance->gs_base;
    header->instance_index = instance->index;
    header->reference_base = instance->reference_base;
    instance->process->directory[instance->index] = (uintptr_t)instance->gs_base;
    struct signature_slot *signatures = header_part(instance, layout->signatures);
    for (uint32_t i = 0; i < module->type_count; i++) {
        bool is_function = module->defined_types[i].kind == DEFINED_FUNCTION;
        signatures[i] = (struct signature_slot){
            .signature = instance->module->signatures[i],
            .instance = is_function ? instance->index : 0,
        };
    }
    struct memory_slot *further = header_part(instance, layout->memories);
    for (uint32_t i = 0; i < module->memory_count; i++) {
        enum status status = memory_object_view(instance->memories[i], i ? &further[i - 1] : &header->memory,
                                                i ? instance->memories[i]->base : instance->gs_base);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static enum status create_tables(struct instance *instance, const struct external *const imported[])
{
    const struct module *module = instance->types;
    uint8_t *slots = header_part(instance, instance->module->code->layout.tables);
    for (uint32_t i = 0; i < module->table_count; i++, slots += HEADER_TABLE_BYTES) {
        if (i < module->table_import_count) {
            instance->tables[i] = imported[i]->table;
            *(uint64_t *)slots = (uintptr_t)instance->tables[i]->slot;
            continue;
        }
        struct table_type type = module->tables[i].type;
        type.element = type_translate(instance->module->signatures, type.element);
        enum status status =
            table_object_create(instance->process, &type, (struct table_slot *)slots, &instance->tables[i]);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

/* What a table starts with; after the globals, which the initializer may read. */
static void initialize_tables(const struct instance *instance)
{
    const struct module *module = instance->types;
    for (uint32_t i = module->table_import_count; i < module->table_count; i++) {
        const struct table_object *table = instance->tables[i];
        if (!module->tables[i].initializer) {
            continue;
        }
        uint32_t reference = instance_constant(instance, module->tables[i].initializer).i32;
        if (reference) {
            fill_elements(table_entries(table), sizeof(reference), &reference, table->slot->length);
        }
    }
}

/* Globals in order: an initializer may read those before it. */
static enum status create_globals(struct instance *instance, const struct external *const imported[])
{
    const struct module *module = instance->types;
    uint32_t own = module->global_count - module->global_import_count;
    struct global_object *objects = arena_allocate_array(&instance->process->arena, max_u64(own, 1), sizeof(*objects));
    uint64_t *cells = header_part(instance, instance->module->code->layout.globals);
    if (!objects) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < module->global_count; i++, cells += HEADER_GLOBAL_BYTES / sizeof(*cells)) {
        const struct global_type *type = &module->globals[i].type;
        if (i >= module->global_import_count) {
            struct global_object *global = objects++;
            *global = (struct global_object){.type = *type, .cell = cells};
            global->type.value = type_translate(instance->module->signatures, type->value);
            global_object_register(instance->process, global);
            union value value = instance_constant(instance, module->globals[i].initializer);
            memcpy(cells, &value, HEADER_GLOBAL_BYTES);
            instance->globals[i] = global;
            continue;
        }
        instance->globals[i] = imported[i]->global;
        if (type->mutable_) {
            *cells = (uintptr_t)instance->globals[i]->cell;
        } else {
            memcpy(cells, instance->globals[i]->cell, HEADER_GLOBAL_BYTES);
        }
    }
    return STATUS_OK;
}

static enum status create_tags(struct instance *instance, const struct external *imports)
{
    const struct module *module = instance->types;
    for (uint32_t i = 0; i < module->import_count; i++) {
        if (module->imports[i].kind == EXTERNAL_TAG) {
            instance->tags[module->imports[i].index] = imports[i].tag;
        }
    }
    enum status status = STATUS_OK;
    for (uint32_t i = module->tag_import_count; i < module->tag_count && status == STATUS_OK; i++) {
        status =
            tag_object_create(instance->process, instance->module->signatures[module->tags[i]], &instance->tags[i]);
    }
    return status;
}

/* ---- Segments ---- */

bool instance_table_init(struct instance *instance, uint32_t table, uint32_t segment_index, uint64_t to, uint64_t from,
                         uint64_t count)
{
    const struct element_segment *segment = &instance->types->element_segments[segment_index];
    struct table_object *object = instance->tables[table];
    uint64_t available = instance->dropped_elements[segment_index] ? 0 : segment->count;
    if (!range_is_inside(from, count, available) || !range_is_inside(to, count, object->slot->length)) {
        return false;
    }
    for (uint64_t done = 0, piece; done < count; done += piece) {
        piece = min_u64(count - done, PIECE_ENTRIES);
        instance_element_references(instance, segment_index, (uint32_t)(from + done), (uint32_t)piece,
                                    table_entries(object) + to + done);
        if (done + piece < count) {
            thread_checkpoint();
        }
    }
    return true;
}

bool instance_memory_init(struct instance *instance, uint32_t memory, uint32_t segment_index, uint64_t to,
                          uint64_t from, uint64_t count)
{
    const struct data_segment *segment = &instance->types->data_segments[segment_index];
    struct memory_object *object = instance->memories[memory];
    uint64_t available = instance->dropped_data[segment_index] ? 0 : segment->size;
    if (!range_is_inside(from, count, available) || !range_is_inside(to, count, memory_object_bytes(object))) {
        return false;
    }
    move_bytes(object->base + to, segment->bytes + from, count);
    return true;
}

/* Where an active segment goes; `limits` are those of its table or memory. */
static uint64_t segment_offset(const struct instance *instance, const struct constant_expression *offset,
                               const struct limits *limits)
{
    union value value = instance_constant(instance, offset);
    return limits->is_64 ? value.i64 : value.i32;
}

/* As if no data segment had been written. */
static void forget_image(struct instance *instance)
{
    if (instance->imaged) {
        memset(instance->gs_base, 0, instance->place->shape.image->bytes);
    }
}

/* Active segments are written and, like declarative ones, dropped; the first that does not fit ends it. */
static enum trap run_segments(struct instance *instance)
{
    const struct module *module = instance->types;
    for (uint32_t i = 0; i < module->element_segment_count; i++) {
        const struct element_segment *segment = &module->element_segments[i];
        if (segment->mode == SEGMENT_ACTIVE &&
            !instance_table_init(instance, segment->table, i,
                                 segment_offset(instance, segment->offset, &module->tables[segment->table].type.limits),
                                 0, segment->count)) {
            forget_image(instance);
            return TRAP_TABLE_OUT_OF_BOUNDS;
        }
        instance->dropped_elements[i] = segment->mode != SEGMENT_PASSIVE;
    }
    for (uint32_t i = 0; i < module->data_segment_count; i++) {
        const struct data_segment *segment = &module->data_segments[i];
        bool there = instance->imaged && segment->memory == 0;
        if (segment->mode == SEGMENT_ACTIVE && !there &&
            !instance_memory_init(instance, segment->memory, i,
                                  segment_offset(instance, segment->offset, &module->memories[segment->memory].limits),
                                  0, segment->size)) {
            return TRAP_MEMORY_OUT_OF_BOUNDS;
        }
        instance->dropped_data[i] = segment->mode != SEGMENT_PASSIVE;
    }
    return TRAP_NONE;
}

/* ---- The whole ---- */

/* The imports by kind, each list in the order of its index space; one array holds all of them. */
struct imports_by_kind {
    const struct external **tables, **memories, **globals;
};

static bool sort_imports(const struct instance *instance, const struct external *imports,
                         struct imports_by_kind *sorted)
{
    const struct module *module = instance->types;
    struct arena *arena = &instance->process->arena;
    uint64_t count = (uint64_t)module->table_import_count + module->memory_import_count + module->global_import_count;
    sorted->tables = arena_allocate_array(arena, max_u64(count, 1), sizeof(*sorted->tables));
    if (!sorted->tables) {
        return false;
    }
    sorted->memories = sorted->tables + module->table_import_count;
    sorted->globals = sorted->memories + module->memory_import_count;
    for (uint32_t i = 0; i < module->import_count; i++) {
        const struct import *import = &module->imports[i];
        if (import->kind == EXTERNAL_TABLE) {
            sorted->tables[import->index] = &imports[i];
        } else if (import->kind == EXTERNAL_MEMORY) {
            sorted->memories[import->index] = &imports[i];
        } else if (import->kind == EXTERNAL_GLOBAL) {
            sorted->globals[import->index] = &imports[i];
        }
    }
    return true;
}

static void fill_import_slots(struct instance *instance, const struct external *imports)
{
    for (uint32_t i = 0; i < instance->types->import_count; i++) {
        const struct import *import = &instance->types->imports[i];
        if (import->kind != EXTERNAL_FUNCTION) {
            continue;
        }
        const struct function_reference *record = &instance->process->references[imports[i].function];
        import_slots(instance)[import->index] = (struct import_slot){
            .code = record->code,
            .instance = record->instance ? record->instance : instance->index,
            .reference = imports[i].function,
        };
    }
}

static void *instance_array(struct instance *instance, uint32_t count, size_t size)
{
    return arena_allocate_array(&instance->process->arena, max_u64(count, 1), size);
}

/* An instance without parts, with its lists and its numbers. */
static struct instance *instance_allocate(struct process *process, struct compiled_module *module)
{
    struct instance *instance = arena_allocate(&process->arena, sizeof(*instance));
    if (!instance) {
        return NULL;
    }
    const struct module *types = module->module;
    instance->process = process;
    instance->module = module;
    instance->types = types;
    instance->memories = instance_array(instance, types->memory_count, sizeof(*instance->memories));
    instance->tables = instance_array(instance, types->table_count, sizeof(*instance->tables));
    instance->globals = instance_array(instance, types->global_count, sizeof(*instance->globals));
    instance->tags = instance_array(instance, types->tag_count, sizeof(*instance->tags));
    instance->dropped_elements = instance_array(instance, types->element_segment_count, 1);
    instance->elements = instance_array(instance, types->element_segment_count, sizeof(*instance->elements));
    instance->dropped_data = instance_array(instance, types->data_segment_count, 1);
    instance->reference_base = process_allocate_references(process, types->function_reference_count);
    instance->index = process_allocate_instance(process);
    if (!instance->memories || !instance->tables || !instance->globals || !instance->tags || !instance->elements ||
        !instance->dropped_elements || !instance->dropped_data || !instance->reference_base || !instance->index) {
        return NULL;
    }
    compiled_module_acquire(module);
    instance->next = process->instances;
    process->instances = instance;
    return instance;
}

static bool makes_objects(const struct module *module)
{
    for (uint32_t i = 0; i < module->type_count; i++) {
        if (module->defined_types[i].kind != DEFINED_FUNCTION) {
            return true;
        }
    }
    return false;
}

/* All parts, in the order in which they need each other. */
static enum status instance_build(struct instance *instance, const struct external *imports)
{
    struct imports_by_kind sorted;
    if (!sort_imports(instance, imports, &sorted)) {
        return STATUS_NO_MEMORY;
    }
    enum status status = create_memories(instance, sorted.memories);
    if (status == STATUS_OK) {
        status = fill_header(instance);
    }
    if (status == STATUS_OK && makes_objects(instance->types)) {
        status = gc_heap_require(instance->process);
    }
    if (status == STATUS_OK) {
        fill_import_slots(instance, imports);
        fill_references(instance);
        status = create_tables(instance, sorted.tables);
    }
    if (status == STATUS_OK) {
        status = create_globals(instance, sorted.globals);
    }
    if (status == STATUS_OK) {
        initialize_tables(instance);
        status = create_tags(instance, imports);
    }
    if (status == STATUS_OK) {
        status = instance_prepare_elements(instance);
    }
    return status;
}

struct creation {
    struct process *process;
    struct compiled_module *module;
    const struct external *imports;
    struct instance *instance;
    enum status status;
    enum trap trap;
};

static void create(void *argument)
{
    struct creation *creation = argument;
    creation->instance = instance_allocate(creation->process, creation->module);
    creation->status = creation->instance ? instance_build(creation->instance, creation->imports) : STATUS_NO_MEMORY;
    if (creation->status == STATUS_OK && creation->process->constants_failed) {
        creation->status = STATUS_NO_MEMORY;
    }
    if (creation->status == STATUS_OK) {
        creation->trap = run_segments(creation->instance);
        creation->status = creation->trap ? STATUS_TRAPPED : STATUS_OK;
    }
}

/* The same where no guest runs: memory without a frame, or the end of the process, is the guest's affair there, too. */
static void create_outside(struct creation *creation)
{
    enum trap trap = run_for_process(creation->process, create, creation);
    if (trap != TRAP_NONE) {
        creation->trap = trap;
        creation->status = trap == TRAP_OUT_OF_MEMORY ? STATUS_NO_MEMORY : STATUS_TRAPPED;
    }
}

/* For the error message: a limit that the memories alone exceed is what people meet. */
static void say_why(const struct creation *creation, struct link_error *error)
{
    const struct module *module = creation->module->module;
    uint64_t bytes = 0, limit = creation->process->memory_limit;
    for (uint32_t i = module->memory_import_count; i < module->memory_count; i++) {
        bytes += module->memories[i].limits.minimum * memory_page_bytes(&module->memories[i]);
    }
    if (creation->status == STATUS_LIMIT && bytes > limit) {
        format_text(error->message, sizeof(error->message),
                    "cannot be instantiated: its memories begin with %llu KiB, and it may have %llu KiB",
                    (unsigned long long)bytes / 1024, (unsigned long long)limit / 1024);
    } else {
        format_text(error->message, sizeof(error->message), "cannot be instantiated: %s",
                    status_text(creation->status));
    }
}

enum status instance_create(struct process *process, struct compiled_module *module, const struct external *imports,
                            struct instance **result, enum trap *trap, struct link_error *error)
{
    *trap = TRAP_NONE;
    enum status status = link_check_imports(process, module, imports, error);
    if (status != STATUS_OK) {
        return status;
    }
    struct creation creation = {.process = process, .module = module, .imports = imports};
    TRACE(INSTANTIATE_BEGIN, 0, 0);
    process->constants_failed = false;
    gc_hold(process); /* what constants make is held by nobody at first */
    if (thread_current()->activation) {
        create(&creation);
    } else {
        create_outside(&creation);
    }
    gc_release_hold(process);
    TRACE(INSTANTIATE_END, 0, 0);
    if (creation.status == STATUS_OK) {
        *result = creation.instance;
    } else if (creation.status == STATUS_TRAPPED) {
        *trap = creation.trap;
    } else {
        say_why(&creation, error);
    }
    return creation.status;
}

enum trap instance_renew(struct instance *instance)
{
    const struct module *module = instance->types;
    struct process *process = instance->process;
    process->constants_failed = false;
    gc_hold(process);
    for (uint32_t i = module->table_import_count; i < module->table_count; i++) {
        struct table_object *table = instance->tables[i];
        memset(table_entries(table), 0, table->slot->length * sizeof(uint32_t));
        table->slot->length = table->type.limits.minimum;
    }
    for (uint32_t i = module->global_import_count; i < module->global_count; i++) {
        union value value = instance_constant(instance, module->globals[i].initializer);
        memcpy(instance->globals[i]->cell, &value, HEADER_GLOBAL_BYTES);
    }
    memset(instance->dropped_elements, 0, module->element_segment_count);
    memset(instance->dropped_data, 0, module->data_segment_count);
    initialize_tables(instance);
    enum trap trap = instance_prepare_elements(instance) == STATUS_OK ? run_segments(instance) : TRAP_OUT_OF_MEMORY;
    gc_release_hold(process);
    return process->constants_failed ? TRAP_OUT_OF_MEMORY : trap;
}

void instance_imports(const struct instance *instance, struct external *imports)
{
    for (uint32_t i = 0; i < instance->types->import_count; i++) {
        const struct import *import = &instance->types->imports[i];
        imports[i].kind = import->kind;
        switch (import->kind) {
        case EXTERNAL_FUNCTION:
            imports[i].function = import_slots(instance)[import->index].reference;
            break;
        case EXTERNAL_TABLE:
            imports[i].table = instance->tables[import->index];
            break;
        case EXTERNAL_MEMORY:
            imports[i].memory = instance->memories[import->index];
            break;
        case EXTERNAL_GLOBAL:
            imports[i].global = instance->globals[import->index];
            break;
        case EXTERNAL_TAG:
            imports[i].tag = instance->tags[import->index];
            break;
        }
    }
}

enum status instance_create_with_host(struct process *process, struct compiled_module *module, struct instance **result,
                                      enum trap *trap, struct link_error *error)
{
    struct external *imports;
    enum status status = link_host_imports(process, module, &imports, error);
    return status == STATUS_OK ? instance_create(process, module, imports, result, trap, error) : status;
}

void instance_destroy(struct instance *instance)
{
    if (instance->owns_place) {
        place_release(instance->place);
    }
    compiled_module_release(instance->module);
}

struct process *instance_process(const struct instance *instance)
{
    return instance->process;
}

bool instance_find_export(struct instance *instance, const char *name, size_t length, struct external *result)
{
    const struct export *export = module_find_export(instance->types, name, length);
    if (!export) {
        return false;
    }
    result->kind = export->kind;
    switch (export->kind) {
    case EXTERNAL_FUNCTION:
        result->function = instance_function_reference(instance, export->index);
        return true;
    case EXTERNAL_TABLE:
        result->table = instance->tables[export->index];
        return true;
    case EXTERNAL_MEMORY:
        result->memory = instance->memories[export->index];
        return true;
    case EXTERNAL_GLOBAL:
        result->global = instance->globals[export->index];
        return true;
    case EXTERNAL_TAG:
        result->tag = instance->tags[export->index];
        return true;
    }
    return false;
}

void *instance_memory(struct instance *instance, uint64_t address, uint64_t bytes)
{
    return instance_has_memory(instance, address, bytes) ? instance->gs_base + address : NULL;
}

void *instance_memory_required(struct instance *instance, uint64_t address, uint64_t bytes, const char *what)
{
    void *memory = instance_memory(instance, address, bytes);
    if (!memory) {
        instance_trap(instance, TRAP_MEMORY_OUT_OF_BOUNDS, what);
    }
    return memory;
}
