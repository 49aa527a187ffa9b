/* Does KVM really work here? */
#ifndef TOOLS_ACCELERATOR_H
#define TOOLS_ACCELERATOR_H

#include <stdbool.h>

/* Run a short loop on a virtual CPU in 64-bit mode. False when /dev/kvm is missing or refused, when it does not finish,
 * or when it is so slow that instructions must be interpreted (nested virtualization without hardware support: there
 * QEMU's own translation is faster). `*reason` is a static text for messages either way. */
bool kvm_works(const char **reason);

#endif
