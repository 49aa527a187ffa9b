/* The way from compiled code into the kernel: numbers and entry stubs of host functions and builtins.
 *
 * Every host function has a number, and with it an entry stub that compiled code calls as it calls any function
 * (docs/abi.md): builtins first, then the rows of all tables of abi/, then those made by host_function_create. A stub
 * switches to the thread's kernel stack, passes the calling instance and calls the C function; when that returns and
 * something is pending for the thread (the end of its time slice or of its process), it is done before going back.
 *
 * Of a process with several threads one at a time is in the kernel: the stub takes the process's kernel lock
 * (kernel/process_lock.h) unless the function is said to do without. */
#ifndef KERNEL_HOST_CALL_H
#define KERNEL_HOST_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/types.h"
#include "kernel/host.h"
#include "kernel/status.h"

struct name;

#define HOST_FUNCTIONS_MAXIMUM 1024

/* What a stub needs first; the others are for linking and backtraces. 32 bytes: the stubs scale by shifting. */
struct host_entry {
    void (*function)(void); /* NULL: the number is not in use */
    uint16_t stack_words;   /* 8-byte stack arguments to copy */
    uint16_t unlocked;      /* it may run in several threads of a process at a time: it takes what locks it needs */
    uint32_t signature;     /* canonical number */
    const char *module;
    const char *name;
};

extern struct host_entry host_entries[HOST_FUNCTIONS_MAXIMUM]; /* for the stubs */
/* Once, before all else here. */
void host_calls_initialize(void);

/* The number of the function that the tables of abi/ have under this name, or STATUS_NOT_FOUND. Where several
 * interfaces have the name, one of the `wanted` type; else the first, for the message. */
enum status host_function_find(const struct name *module, const struct name *field, const struct function_type *wanted,
                               uint32_t *number);
/* The number of a function of no table; `module`, for messages, and the name must stay valid for ever. Registering the
 * same again gives the same number. Numbers are never given back. */
enum status host_function_register(const struct host_function *function, const char *module, uint32_t *number);
const struct host_entry *host_function_entry(uint32_t number);
/* Entry address of the stub. */
uint64_t host_function_code(uint32_t number);
/* Address of the switch_instance stub that this CPU can run (docs/abi.md). */
uint64_t host_switch_stub(void);

/* The function type that a signature text such as "iiI:i" describes; it uses `types`. False when malformed or longer.
 */
#define HOST_SIGNATURE_VALUES 64
bool host_signature_parse(const char *text, value_type types[HOST_SIGNATURE_VALUES], struct function_type *type);

#endif
