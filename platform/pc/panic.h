/* The end by a mistake of our own: registers, and what on the stack looks like return addresses. */
#ifndef PLATFORM_PC_PANIC_H
#define PLATFORM_PC_PANIC_H

#include "platform/pc/cpu.h"

/* `reason` may be NULL: the exception's name. */
_Noreturn void panic_exception(const struct interrupt_frame *frame, uint64_t address, const char *reason);

#endif
