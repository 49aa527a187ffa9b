/* Accounts: how much of the kernel's memory the objects of a process take: objects, entries of wait sets, messages on
 * their way. Who makes something pays for it until it is freed, whoever has it then; so a flood of messages, or of
 * objects hidden in messages, ends at the limit of who made it. An account lives as long as something is charged to it,
 * which may be longer than its process. */
#ifndef KERNEL_ACCOUNT_H
#define KERNEL_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#define ACCOUNT_OWNED (UINT64_C(1) << 63)

struct account {
    uint64_t
        state; /* the bytes in use, and ACCOUNT_OWNED until it was released: it goes with the last of them. Atomic */
    uint64_t limit;
};
static inline uint64_t account_used(const struct account *account)
{
    return __atomic_load_n(&account->state, __ATOMIC_RELAXED) & ~ACCOUNT_OWNED;
}

/* The caller owns it; NULL when there is no memory. */
struct account *account_create(uint64_t limit);
void account_release(struct account *account);
/* Take `bytes` (not 0), if they are within the limit. An account that is NULL is the kernel's own, without limit. */
bool account_charge(struct account *account, uint64_t bytes);
/* Give them back. */
void account_credit(struct account *account, uint64_t bytes);

#endif
