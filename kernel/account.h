/* Accounts: how much of the kernel's memory the objects of a process take: objects, entries of wait sets, messages on
 * their way. Who makes something pays for it until it is freed, whoever has it then; so a flood of messages, or of
 * objects hidden in messages, ends at the limit of who made it. An account lives as long as something is charged to it,
 * which may be longer than its process. */
#ifndef KERNEL_ACCOUNT_H
#define KERNEL_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

struct account {
    uint32_t references; /* atomic */
    uint64_t used;       /* bytes; atomic */
    uint64_t limit;
};

/* One reference, the caller's; NULL when there is no memory. */
struct account *account_create(uint64_t limit);
void account_release(struct account *account);
/* Take `bytes`, if they are within the limit, and a reference. An account that is NULL is the kernel's own, without
 * limit. */
bool account_charge(struct account *account, uint64_t bytes);
/* Give both back. */
void account_credit(struct account *account, uint64_t bytes);

#endif
