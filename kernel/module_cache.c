#include "kernel/module_cache.h"

#include "engine/base.h"
#include "kernel/heap.h"
#include "kernel/instance_parts.h"
#include "kernel/lock.h"
#include "kernel/pieces.h"
#include "kernel/thread.h"

/* What nobody uses is kept up to here. */
#define IDLE_MAXIMUM       8
#define IDLE_BYTES_MAXIMUM (UINT64_C(64) << 20)
#define HASH_PIECE_BYTES   65536 /* between two preemption points */
#define CHAINS             1024  /* a power of two */

/* With the bytes of the module, and its name, behind it. */
struct shared_module {
    struct shared_module *next; /* of its chain */
    struct shared_module *idle_next;
    struct compiled_module *module;
    uint64_t hash;
    uint64_t idle_since; /* a number that grows; 0: in use */
    size_t size;         /* of the bytes */
    size_t name_bytes;   /* terminated */
};

/* Guarded by `lock`, as is the last reference of each module in a chain: one without references stays. */
static struct spinlock lock = SPINLOCK(LOCK_LEAF);
static struct shared_module *chains[CHAINS] GUARDED_BY(lock); /* by hash */
static struct shared_module *idle GUARDED_BY(lock); /* those that nobody uses: one more than is kept, at most */
static uint32_t idle_count GUARDED_BY(lock);
static uint64_t idle_bytes GUARDED_BY(lock), idle_clock GUARDED_BY(lock);

static uint8_t *bytes_of(struct shared_module *shared)
{
    return (uint8_t *)(shared + 1);
}

static const char *name_of(struct shared_module *shared)
{
    return (const char *)bytes_of(shared) + shared->size;
}

/* Only to find candidates: what is used is compared. */
static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

/* Made when it is wanted first, so that nobody can choose modules that all come into one chain. */
static uint64_t hash_key(void)
{
    static uint64_t made;
    uint64_t key = __atomic_load_n(&made, __ATOMIC_RELAXED), fresh;
    if (!key) {
        platform_random(&fresh, sizeof(fresh));
        fresh |= 1;
        key = __atomic_compare_exchange_n(&made, &key, fresh, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED) ? fresh : key;
    }
    return key;
}

static uint64_t hash_of(const uint8_t *bytes, size_t size)
{
    uint64_t hash = hash_key() + size, word;
    size_t at = 0;
    for (; at + sizeof(word) <= size; at += sizeof(word)) {
        memcpy(&word, bytes + at, sizeof(word));
        hash = mix(hash, word);
        if (at % HASH_PIECE_BYTES == 0) {
            thread_preemption_point();
        }
    }
    word = 0;
    memcpy(&word, bytes + at, size - at);
    return mix(hash, word);
}

static struct shared_module **chain_of(uint64_t hash) REQUIRES(lock)
{
    return &chains[hash % CHAINS];
}

static void unlink_module(struct shared_module *shared) REQUIRES(lock)
{
    struct shared_module **link = chain_of(shared->hash);
    while (*link != shared) {
        link = &(*link)->next;
    }
    *link = shared->next;
}

static void make_idle(struct shared_module *shared) REQUIRES(lock)
{
    shared->idle_since = ++idle_clock;
    shared->idle_next = idle;
    idle = shared;
    idle_count++;
    idle_bytes += shared->size;
}

static void make_used(struct shared_module *shared) REQUIRES(lock)
{
    struct shared_module **link = &idle;
    while (*link != shared) {
        link = &(*link)->idle_next;
    }
    *link = shared->idle_next;
    shared->idle_since = 0;
    idle_count--;
    idle_bytes -= shared->size;
}

/* The one that is idle for longest, taken out of its chain; NULL: none. */
static struct shared_module *take_idle(void) REQUIRES(lock)
{
    struct shared_module *oldest = idle;
    for (struct shared_module *shared = idle; shared; shared = shared->idle_next) {
        oldest = shared->idle_since < oldest->idle_since ? shared : oldest;
    }
    if (oldest) {
        make_used(oldest);
        unlink_module(oldest);
    }
    return oldest;
}

static void shared_free(struct shared_module *shared)
{
    kernel_free(shared, sizeof(*shared) + shared->size + shared->name_bytes);
}

static void destroy(struct shared_module *shared)
{
    compiled_module_destroy(shared->module);
    shared_free(shared);
}

void module_cache_release(struct compiled_module *module)
{
    struct shared_module *victim = NULL;
    spinlock_acquire(&lock);
    if (__atomic_sub_fetch(&module->reference_count, 1, __ATOMIC_ACQ_REL) == 0) {
        make_idle(module->shared);
        victim = idle_count > IDLE_MAXIMUM || idle_bytes > IDLE_BYTES_MAXIMUM ? take_idle() : NULL;
    }
    spinlock_release(&lock);
    if (victim) {
        destroy(victim);
    }
}

void module_cache_trim(void)
{
    for (;;) {
        spinlock_acquire(&lock);
        struct shared_module *shared = take_idle();
        spinlock_release(&lock);
        if (!shared) {
            return;
        }
        destroy(shared);
    }
}

/* The newest candidate, with a reference; NULL: none. */
static struct shared_module *find(uint64_t hash, size_t size, size_t name_bytes)
{
    spinlock_acquire(&lock);
    struct shared_module *shared = *chain_of(hash);
    while (shared && (shared->hash != hash || shared->size != size || shared->name_bytes != name_bytes)) {
        shared = shared->next;
    }
    if (shared) {
        if (shared->idle_since) {
            make_used(shared);
        }
        __atomic_add_fetch(&shared->module->reference_count, 1, __ATOMIC_RELAXED);
    }
    spinlock_release(&lock);
    return shared;
}

static struct shared_module *make(const uint8_t *bytes, size_t size, const char *name, size_t name_bytes,
                                  enum status *status, struct engine_error *error)
{
    struct shared_module *shared = kernel_allocate(sizeof(*shared) + size + name_bytes);
    *error = (struct engine_error){.function = ENGINE_NO_FUNCTION};
    *status = STATUS_NO_MEMORY;
    if (!shared) {
        return NULL;
    }
    *shared = (struct shared_module){.size = size, .name_bytes = name_bytes};
    copy_in_pieces(bytes_of(shared), bytes, size);
    memcpy(bytes_of(shared) + size, name, name_bytes);
    *status = compiled_module_create(bytes_of(shared), size, name_of(shared), &shared->module, error);
    if (*status != STATUS_OK) {
        shared_free(shared);
        return NULL;
    }
    shared->module->shared = shared;
    return shared;
}

enum status compiled_module_share(const uint8_t *bytes, size_t size, const char *name, struct compiled_module **result,
                                  struct engine_error *error)
{
    size_t name_bytes = strlen(name) + 1;
    uint64_t hash = hash_of(bytes, size);
    struct shared_module *shared = find(hash, size, name_bytes);
    if (shared && equal_in_pieces(bytes_of(shared), bytes, size) && memcmp(name_of(shared), name, name_bytes) == 0) {
        *result = shared->module;
        return STATUS_OK;
    }
    if (shared) { /* equal hashes: so it is for good, and this one is never found */
        module_cache_release(shared->module);
    }
    enum status status;
    shared = make(bytes, size, name, name_bytes, &status, error);
    if (!shared) {
        return status;
    }
    shared->hash = hash;
    spinlock_acquire(&lock);
    struct shared_module **chain = chain_of(hash);
    shared->next = *chain;
    *chain = shared;
    spinlock_release(&lock);
    *result = shared->module;
    return STATUS_OK;
}
