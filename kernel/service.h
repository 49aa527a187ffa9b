/* Services: functions of interfaces written in WIT, which one program exports and others import. A call of such an
 * import is a call through a port (kernel/port.h): the arguments are lifted from the caller's memory by the canonical
 * ABI of the component model (engine/component/), carried in a message, and lowered into the server's, on its own
 * thread; and the result likewise.
 *
 * Each side's part runs on its own thread and touches its own memory only: what crosses is the message, in memory of
 * the kernel's. So no side waits for the other one's cabi_realloc, nothing is read that another process may change, and
 * a message is hostile bytes for who gets it: anybody with a client end can send any bytes.
 *
 * Client: for each interface that the process was given it has a *binding*, the interface's name and the number of a
 * handle to a client end with the right EXECUTE. Linking a module binds its imports of that interface to it. The handle
 * is looked up in each call, so closing or revoking it counts at once.
 *
 * A function is named in a message by an identity that depends on interface, name and type, so that a caller whose
 * interface differs is refused, and no function is called with the wrong types.
 *
 * A service may define resources (kernel/service_resource.h), which clients hold as handles.
 *
 * Who is to blame ends with a trap: the caller whose arguments are none, the server whose result is none. When the
 * service cannot be reached (it is gone, it has no such function, the handle is revoked), the caller's result is the
 * error "unavailable" if the function's result type has that case, else the caller ends. When the caller's deadline
 * comes first, it is "timed-out" if there is that case, else the same. */
#ifndef KERNEL_SERVICE_H
#define KERNEL_SERVICE_H

#include "kernel/instance.h"
#include "kernel/service_module.h"

struct object;
struct resource_home;

#define SERVICE_BINDINGS_MAXIMUM 64 /* of a process */
#define SERVICE_MESSAGE_BYTES    65536

struct host_entry;
struct service_process; /* what a process has of it */

/* The number of the first of SERVICE_FUNCTIONS_MAXIMUM host functions, each of which is an import of a service in every
 * process that has so many. Once, before the first process. */
void service_initialize(uint32_t first_host_function);
/* What their entries are. */
void service_fill_entry(struct host_entry *entry);

/* The process ends: its resources are dead (kernel/service_resource.h). */
void service_process_end(struct process *process);
/* Where its resources are at home, which is made if it is not there; NULL: no memory. */
struct resource_home *service_home(struct process *process);

/* From now on imports of `interface` (copied) are bound to this handle of the process. STATUS_EXISTS: the interface is
 * bound already; STATUS_LIMIT; STATUS_NO_MEMORY. Before instances are made. */
enum status service_bind(struct process *process, struct name interface, uint32_t handle);
/* The handle that an interface is bound to; 0: it is not bound. */
uint32_t service_binding(const struct process *process, struct name interface);
/* The same for each interface that a module exports. */
enum status service_bind_exports(struct process *process, const struct compiled_module *module, uint32_t handle);

/* The import of a module as a function of the process. STATUS_NOT_FOUND: it is none of a bound interface;
 * STATUS_INVALID: it cannot be bound, and `message` says why; STATUS_LIMIT, STATUS_NO_MEMORY. */
enum status service_link(struct process *process, const struct compiled_module *module, uint32_t import,
                         struct external *result, char *message, size_t size);

/* The guest of an activation ends where it is, in a host function too: what one of those here holds is given back. */
struct activation;
void service_abandon(struct activation *activation);

/* Calls to services that the current thread makes from now on end with an error at this time (UINT64_MAX: never), until
 * the guest's function that the kernel called returns. */
void service_set_deadline(uint64_t deadline);

/* Give back to the platform what is only kept for the next calls. */
void service_buffers_trim(void);

/* Answer the calls that come to a port with the interfaces that the instance's module exports, until the last client
 * end is gone or the handle is: STATUS_OK; a call that came before that is answered. STATUS_TIMED_OUT: none came up to
 * `deadline`. STATUS_NOT_FOUND: it exports none;
 * STATUS_BUSY: this thread answers a call already; STATUS_NO_MEMORY; STATUS_BAD_HANDLE, STATUS_DENIED: not a handle to
 * a port with RIGHT_READ. Ends the guest. */
enum status service_serve(struct instance *instance, uint32_t handle, uint64_t deadline);

#endif
