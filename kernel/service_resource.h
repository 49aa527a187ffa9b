/* Resources that services define: things of a program's own that others have by handles.
 *
 * A module that exports an interface with a resource makes one of it from a number of its own, the *representation*
 * (`[resource-new]`): a kernel object whose first handle it gets, which it gives away as `own` and which goes from hand
 * to hand as every handle does, with rights and revocation. Whoever has one can lend it in calls to who defined it,
 * who then is told the representation and nothing else; so nobody else can make one, and nobody can choose the number.
 * When the last handle is gone, however that happens, the destructor that the module exports is called once with the
 * representation, on a thread that serves; but at once if it was the module itself that dropped it.
 *
 * What a process made is its *home's*, so that a representation never goes to another process, also not to one that
 * serves the same port later. When the process ends, its resources are dead: SIGNAL_PEER_CLOSED is set, and calls with
 * them find that the other end is closed.
 *
 * The account of the process that made it pays for a resource, until the destructor was called: who closes all handles to
 * what it makes, and never serves, has as many that are due as it likes.
 *
 * Lock: the home's guards its lists (rank PROCESS). */
#ifndef KERNEL_SERVICE_RESOURCE_H
#define KERNEL_SERVICE_RESOURCE_H

#include "kernel/handle.h"
#include "kernel/instance.h"
#include "kernel/service_module.h"

struct resource_home;

/* With one reference, the process's. NULL: no memory. */
struct resource_home *resource_home_create(void);
/* The process ends, and no thread runs for it any more. Gives the reference back. */
void resource_home_close(struct resource_home *home);
/* Whoever serves this port (a reference is taken) calls destructors; he is woken for them as for a revoked handle. The
 * last one counts. */
void resource_home_serve(struct resource_home *home, struct object *port);
/* A resource that nobody has any more, whose destructor the caller now calls; false: there is none. */
bool resource_home_next(struct resource_home *home, const struct service_resource **type, uint32_t *representation);

/* Call it on the current thread; TRAP_NONE, or what ended the guest. */
enum trap service_call_destructor(struct instance *instance, const struct service_resource *resource,
                                  uint32_t representation);

/* A new resource with one reference and no handle. `account` pays until its destructor was called. STATUS_LIMIT,
 * STATUS_NO_MEMORY. */
enum status resource_create(struct resource_home *home, const struct service_resource *type, uint32_t representation,
                            struct account *account, struct object **result);
/* Is the object a resource of this type (component_resource.identity), whoever made it? */
bool resource_is(const struct object *object, uint64_t identity);
/* Of its type; 0: the object is no resource. */
uint64_t resource_identity(const struct object *object);
/* Did this home make it? */
bool resource_is_of(const struct object *object, const struct resource_home *home);
uint32_t resource_representation(const struct object *object);
/* True, once: nobody has it any more, and the caller, who has a reference, calls its destructor now. */
bool resource_take(struct object *object);

#endif
