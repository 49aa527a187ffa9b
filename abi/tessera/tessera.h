/* What the files of this folder share. Each function is in two halves: decode checks and copies all arguments (a range
 * outside of the caller's memory ends the caller, everything else is an error), invoke acts on the copies.
 *
 * No guest memory is touched while a lock is held, or a reference, or a block of the heap: arguments are copied before,
 * results after. For the caller may end where its memory is touched, because a page has no frame, or is a mapping's
 * that was revoked. Where a block has to be there first, caller_copy fills it. */
#ifndef ABI_TESSERA_TESSERA_H
#define ABI_TESSERA_TESSERA_H

#include "kernel/handle.h"
#include "kernel/instance.h"
#include "kernel/instance_parts.h"
#include "sdk/tessera.h"

#define CALLER                                                      struct instance *instance
#define FUNCTION(name, result, signature, parameters, type, rights) result host_##name parameters;
#include "abi/tessera/functions.def"
#undef FUNCTION

/* What the handle in the first parameter must be, for handle_find: NEEDS(event_signal). */
enum { OBJECT_NONE = OBJECT_TYPE_COUNT };
enum {
#define FUNCTION(name, result, signature, parameters, type, rights) NEEDED_TYPE_##name = OBJECT_##type,
#include "abi/tessera/functions.def"
#undef FUNCTION
};
enum {
#define FUNCTION(name, result, signature, parameters, type, rights) NEEDED_RIGHTS_##name = rights,
#include "abi/tessera/functions.def"
#undef FUNCTION
};
#define NEEDS(name) (enum object_type) NEEDED_TYPE_##name, (uint32_t)NEEDED_RIGHTS_##name

static inline struct handle_table *caller_handles(struct instance *instance)
{
    return &instance->process->handles;
}

/* Hold the grant behind a handle of the caller; given back with grant_release, before the guest can be ended. */
enum status caller_hold(struct instance *instance, uint32_t handle, enum object_type type, uint32_t rights,
                        struct grant **result);
/* Wait for signals of what is held; the caller looks again itself (wait_change). */
enum status caller_wait(struct grant *grant, uint32_t signals, uint64_t deadline);
/* A status at the end of a host call that has given everything back: ends the guest if that is due. */
enum status caller_finish(enum status status);

/* As instance_memory_required, for what happens often. */
static inline void *caller_memory(struct instance *instance, uint32_t address, uint64_t bytes, const char *what)
{
    if (!instance_has_memory(instance, address, bytes)) {
        instance_trap(instance, TRAP_MEMORY_OUT_OF_BOUNDS, what);
    }
    return instance->gs_base + address;
}

/* Copy from the caller's memory, a range that was checked, where the kernel holds something for it. False: a page could
 * not be read; the call gives back what it holds and fails with NO_MEMORY. Has preemption points. */
bool caller_copy(void *to, const void *from, uint32_t bytes);

/* When a wait of the caller ends: not between the ticks of the time that it can see. */
static inline uint64_t caller_deadline(struct instance *instance, uint64_t deadline)
{
    return deadline == UINT64_MAX ? deadline : process_visible_deadline(instance->process, deadline);
}
/* What the description's fields `interface` mean for a program that the process starts: `bindings` has room for all,
 * and then a grant each. On failure there is none. */
struct launch_binding;
struct launch_description;
enum status caller_bindings(struct process *process, const struct launch_description *description,
                            struct launch_binding *bindings);
void caller_bindings_drop(const struct launch_binding *bindings, uint32_t count);
/* A new object's first handle, or an error: takes over the reference. */
int32_t caller_give(struct instance *instance, enum status status, struct object *object);

/* Does the caller have a handle like that: caller_check(instance, handle, NEEDS(function))? For functions that do
 * nothing to the object. */
enum status caller_check(struct instance *instance, uint32_t handle, enum object_type type, uint32_t rights);

/* The negative of a TESSERA_E* for what did not work. */
int32_t tessera_error(enum status status);
/* The guest's number of a status: 0, or that. */
static inline int32_t tessera_result(enum status status)
{
    return status == STATUS_OK ? 0 : tessera_error(status);
}
/* The same for functions that return a handle: it, or an error. */
static inline int32_t tessera_handle_result(enum status status, uint32_t handle)
{
    return status == STATUS_OK ? (int32_t)handle : tessera_result(status);
}

#endif
