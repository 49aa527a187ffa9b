/* Compiled modules, and the map from a pc to the module whose text holds it.
 *
 * The map is a sorted array that is never changed in place: a new one is made and published with one store, so that who
 * looks, also an interrupt, sees the old or the new one. Every CPU counts the look-ups that it is in; the old map is
 * used again when each of them was seen outside of one. There are two of the same capacity, which take turns, so that
 * removing needs no memory. */
#include "engine/base.h"
#include "kernel/cpu.h"
#include "kernel/heap.h"
#include "kernel/instance_parts.h"
#include "kernel/module_cache.h"
#include "kernel/place.h"
#include "kernel/profile_hooks.h"
#include "kernel/service_module.h"
#include "kernel/stack.h"
#include "kernel/trace.h"
#include "kernel/type_registry.h"

/* The compiler takes no less room for text. */
#define TEXT_BYTES_MINIMUM 65536

struct text_range {
    uintptr_t start, end;
    struct compiled_module *module;
};

struct text_map {
    uint32_t count;
    struct text_range ranges[];
};

#define TEXT_CAPACITY_MINIMUM 4

static struct spinlock text_lock = SPINLOCK(LOCK_TEXT_MAP); /* for changing the map */
static struct text_map *_Atomic text_map;                   /* NULL: without capacity */
static struct text_map *text_map_spare GUARDED_BY(text_lock);
static uint32_t text_capacity GUARDED_BY(text_lock); /* of both */

static size_t text_map_bytes(uint32_t count)
{
    return sizeof(struct text_map) + count * sizeof(struct text_range);
}

/* How many ranges start at or below `pc`. */
SANITIZER_AT_INTERRUPT static uint32_t text_ranges_below(const struct text_map *map, uintptr_t pc)
{
    uint32_t low = 0, high = map->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (map->ranges[middle].start <= pc) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

SANITIZER_AT_INTERRUPT struct compiled_module *text_find(uintptr_t pc)
{
    struct cpu *cpu = platform_cpu();
    if (!cpu) {
        return NULL;
    }
    /* One instruction each, so an interrupt in between finds and leaves the count right. The first is a fence: the map
     * is looked at behind it. */
    __atomic_add_fetch(&cpu->text_lookups, 1, __ATOMIC_SEQ_CST);
    const struct text_map *map = text_map;
    uint32_t below = map ? text_ranges_below(map, pc) : 0;
    struct compiled_module *module = below && pc < map->ranges[below - 1].end ? map->ranges[below - 1].module : NULL;
    __atomic_sub_fetch(&cpu->text_lookups, 1, __ATOMIC_RELEASE);
    return module;
}

/* The old one, which nobody looks at any more then, becomes the spare one. */
static void text_map_publish(struct text_map *map) REQUIRES(text_lock)
{
    text_map_spare = text_map;
    text_map = map;
    const struct cpu *cpu;
    for (uint32_t i = 0; (cpu = cpu_if_started(i)); i++) {
        for (uint32_t round = 0; __atomic_load_n(&cpu->text_lookups, __ATOMIC_SEQ_CST); round++) {
            platform_relax(round);
        }
    }
}

/* Twice the capacity. */
static bool text_maps_grow(void) REQUIRES(text_lock)
{
    uint32_t capacity = (uint32_t)max_u64(text_capacity * UINT64_C(2), TEXT_CAPACITY_MINIMUM);
    struct text_map *map = kernel_allocate(text_map_bytes(capacity));
    struct text_map *spare = kernel_allocate(text_map_bytes(capacity));
    if (!map || !spare) {
        kernel_free(map, text_map_bytes(capacity));
        kernel_free(spare, text_map_bytes(capacity));
        return false;
    }
    map->count = 0;
    if (text_map) {
        memcpy(map, text_map, text_map_bytes(text_map->count));
    }
    kernel_free(text_map_spare, text_map_bytes(text_capacity));
    text_map_publish(map);
    kernel_free(text_map_spare, text_map_bytes(text_capacity));
    text_map_spare = spare;
    text_capacity = capacity;
    return true;
}

/* Without ranges, there are no maps. */
static void text_maps_free(void) REQUIRES(text_lock)
{
    kernel_free(text_map_spare, text_map_bytes(text_capacity));
    text_map_publish(NULL);
    kernel_free(text_map_spare, text_map_bytes(text_capacity));
    text_map_spare = NULL;
    text_capacity = 0;
}

static bool text_insert(struct compiled_module *module)
{
    spinlock_acquire(&text_lock);
    bool room = (text_map && text_map->count < text_capacity) || text_maps_grow();
    if (room) {
        const struct text_map *old = text_map;
        struct text_map *map = text_map_spare;
        uintptr_t start = (uintptr_t)module->code->text;
        uint32_t index = text_ranges_below(old, start);
        map->count = old->count + 1;
        memcpy(map->ranges, old->ranges, index * sizeof(map->ranges[0]));
        memcpy(map->ranges + index + 1, old->ranges + index, (old->count - index) * sizeof(map->ranges[0]));
        map->ranges[index] = (struct text_range){start, start + module->code->text_size, module};
        text_map_publish(map);
    }
    spinlock_release(&text_lock);
    return room;
}

static void text_remove(const struct compiled_module *module)
{
    spinlock_acquire(&text_lock);
    const struct text_map *old = text_map;
    struct text_map *map = text_map_spare;
    uint32_t index = text_ranges_below(old, (uintptr_t)module->code->text) - 1;
    map->count = old->count - 1;
    memcpy(map->ranges, old->ranges, index * sizeof(map->ranges[0]));
    memcpy(map->ranges + index, old->ranges + index + 1, (map->count - index) * sizeof(map->ranges[0]));
    text_map_publish(map);
    if (map->count == 0) {
        text_maps_free();
    }
    spinlock_release(&text_lock);
}

static uint32_t allowed_cpu_features = UINT32_MAX;

uint32_t compiled_module_cpu_features(void)
{
    return platform_cpu_features() & allowed_cpu_features;
}

void compiled_module_limit_cpu_features(uint32_t allowed)
{
    allowed_cpu_features = allowed;
}

/* Not on a further one, behind which the collector would not find the stacks below. */
static bool is_on_its_large_stack(void)
{
    uint8_t here;
    return (uintptr_t)&here - (uintptr_t)thread_current()->large_stack < KERNEL_LARGE_STACK_BYTES;
}

void compiled_module_pause(void *context)
{
    (void)context;
    if (!platform_cpu()) { /* `tessera inspect`: nobody else is there */
        return;
    }
    if (is_on_its_large_stack()) {
        thread_preemption_point();
    } else {
        scheduler_serve();
    }
}

/* Between functions: is anybody still waiting for the result? */
static bool compile_progress(void *context, uint64_t done, uint64_t total)
{
    (void)context, (void)done, (void)total;
    return !thread_end_is_due(thread_current());
}

/* What the compiler may need is far more than what it usually needs. Where memory is short, it gets what there is, and
 * says so when it was not enough. Returns the bytes committed, or 0. */
static size_t commit_text(uint8_t *text, size_t bytes)
{
    while (platform_commit(text, bytes, PROTECTION_READ_WRITE) != STATUS_OK) {
        bytes = bytes / 2 / PLATFORM_PAGE_BYTES * PLATFORM_PAGE_BYTES;
        if (bytes < TEXT_BYTES_MINIMUM) {
            return 0;
        }
    }
    return bytes;
}

/* Compile into a reservation of its own, which ends up executable and cut to size. */
static enum status compile_text(struct compiled_module *module, struct engine_error *error)
{
    module->text_reserved = align_up(max_u64(text_reserve_bytes(module->module), 1), PLATFORM_PAGE_BYTES);
    uint8_t *text = platform_reserve(module->text_reserved);
    if (!text) {
        return STATUS_NO_MEMORY;
    }
    size_t committed = commit_text(text, module->text_reserved);
    struct compile_options options = {
        .cpu_features = compiled_module_cpu_features(),
        .text = text,
        .text_capacity = committed,
        .progress = compile_progress,
    };
    enum status status = committed ? STATUS_OK : STATUS_NO_MEMORY;
    if (status == STATUS_OK && code_compile(module->module, &options, &kernel_engine_allocator, &module->code, error)) {
        bool cramped = error->status == ENGINE_LIMIT && committed < module->text_reserved;
        status = error->status == ENGINE_NO_MEMORY || cramped ? STATUS_NO_MEMORY : STATUS_BAD_MODULE;
    }
    if (status == STATUS_OK) {
        size_t used = align_up(max_u64(module->code->text_size, 1), PLATFORM_PAGE_BYTES);
        platform_decommit(text + used, committed - used);
        status = platform_protect(text, used, PROTECTION_READ_EXECUTE);
    }
    if (status == STATUS_OK && !text_insert(module)) {
        status = STATUS_NO_MEMORY;
    }
    if (status != STATUS_OK) {
        if (module->code) {
            code_release(module->code);
            module->code = NULL;
        }
        platform_release(text, module->text_reserved);
    }
    return status;
}

static bool acquire_signatures(struct compiled_module *module)
{
    size_t bytes = module->module->type_count * sizeof(uint32_t);
    module->signatures = kernel_allocate_zeroed(bytes);
    if (module->signatures && !type_numbers_acquire(module->module, module->signatures)) {
        kernel_free(module->signatures, bytes);
        module->signatures = NULL;
    }
    return module->signatures != NULL;
}

void compiled_module_destroy(struct compiled_module *module)
{
    if (module->code) {
        uint8_t *text = module->code->text;
        text_remove(module);
        code_release(module->code);
        platform_release(text, module->text_reserved);
    }
    if (module->signatures) {
        type_numbers_release(module->module, module->signatures);
        kernel_free(module->signatures, module->module->type_count * sizeof(uint32_t));
    }
    if (module->host_functions) {
        kernel_free(module->host_functions, module->module->import_count * sizeof(uint32_t));
    }
    service_module_destroy(module->services);
    if (module->places) {
        place_pool_close(module->places);
    }
    if (module->module) {
        module_release(module->module);
    }
    kernel_free(module, sizeof(*module));
}

static enum status make_code(struct compiled_module *module, const uint8_t *bytes, size_t size,
                             struct engine_error *error)
{
    if (module_decode(bytes, size, &kernel_engine_allocator, &module->module, error)) {
        return error->status == ENGINE_NO_MEMORY ? STATUS_NO_MEMORY : STATUS_BAD_MODULE;
    }
    module->host_functions = kernel_allocate_zeroed(module->module->import_count * sizeof(uint32_t));
    enum status status = module->host_functions && acquire_signatures(module) ? STATUS_OK : STATUS_NO_MEMORY;
    if (status == STATUS_OK) {
        status = service_module_create(module->module, &module->services);
    }
    return status == STATUS_OK ? compile_text(module, error) : status;
}

static enum status create(const uint8_t *bytes, size_t size, const char *name, struct compiled_module **result,
                          struct engine_error *error)
{
    struct compiled_module *module = kernel_allocate_zeroed(sizeof(*module));
    if (!module) {
        return STATUS_NO_MEMORY;
    }
    module->name = name;
    module->reference_count = 1;
    module->places = place_pool_create();
    TRACE(COMPILE_BEGIN, size, 0);
    uint32_t phase = profile_phase_begin(PROFILE_COMPILE);
    enum status status = module->places ? make_code(module, bytes, size, error) : STATUS_NO_MEMORY;
    profile_phase_end(phase);
    TRACE(COMPILE_END, 0, 0);
    if (status != STATUS_OK) {
        compiled_module_destroy(module);
        return status;
    }
    *result = module;
    return STATUS_OK;
}

struct creation {
    const uint8_t *bytes;
    size_t size;
    const char *name;
    struct compiled_module **result;
    struct engine_error *error;
    enum status status;
};

/* A collector that runs while this thread has given way finds its small stack (gc_mark.c). */
static void create_on_large_stack(void *argument, void *stack)
{
    struct creation *creation = argument;
    struct thread *thread = platform_cpu() ? thread_current() : NULL;
    bool outermost = thread && !thread->large_stack;
    if (outermost) {
        thread->large_stack = stack;
        thread->small_stack_rsp = (uintptr_t)creation;
    }
    creation->status = create(creation->bytes, creation->size, creation->name, creation->result, creation->error);
    if (outermost) {
        thread->large_stack = NULL;
    }
}

enum status compiled_module_create(const uint8_t *bytes, size_t size, const char *name, struct compiled_module **result,
                                   struct engine_error *error)
{
    struct creation creation = {bytes, size, name, result, error, STATUS_NO_MEMORY};
    *error = (struct engine_error){.function = ENGINE_NO_FUNCTION};
    kernel_stack_call_large(create_on_large_stack, &creation);
    return creation.status;
}

void compiled_module_acquire(struct compiled_module *module)
{
    __atomic_add_fetch(&module->reference_count, 1, __ATOMIC_RELAXED);
}

void compiled_module_release(struct compiled_module *module)
{
    if (module->shared) {
        module_cache_release(module);
    } else if (__atomic_sub_fetch(&module->reference_count, 1, __ATOMIC_ACQ_REL) == 0) {
        compiled_module_destroy(module);
    }
}
