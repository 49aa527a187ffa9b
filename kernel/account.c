#include "kernel/account.h"

#include "kernel/heap.h"

struct account *account_create(uint64_t limit)
{
    struct account *account = kernel_allocate(sizeof(*account));
    if (account) {
        *account = (struct account){.references = 1, .limit = limit};
    }
    return account;
}

void account_release(struct account *account)
{
    if (account && __atomic_fetch_sub(&account->references, 1, __ATOMIC_ACQ_REL) == 1) {
        kernel_free(account, sizeof(*account));
    }
}

bool account_charge(struct account *account, uint64_t bytes)
{
    if (!account) {
        return true;
    }
    uint64_t used = __atomic_add_fetch(&account->used, bytes, __ATOMIC_RELAXED);
    if (used > account->limit) {
        __atomic_fetch_sub(&account->used, bytes, __ATOMIC_RELAXED);
        return false;
    }
    __atomic_fetch_add(&account->references, 1, __ATOMIC_RELAXED);
    return true;
}

void account_credit(struct account *account, uint64_t bytes)
{
    if (account) {
        __atomic_fetch_sub(&account->used, bytes, __ATOMIC_RELAXED);
        account_release(account);
    }
}
