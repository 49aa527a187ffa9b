#include "kernel/account.h"

#include "kernel/heap.h"

struct account *account_create(uint64_t limit)
{
    struct account *account = kernel_allocate(sizeof(*account));
    if (account) {
        *account = (struct account){.state = ACCOUNT_OWNED, .limit = limit};
    }
    return account;
}

/* Whoever takes away the last of what it is kept for, frees it. */
static void take_away(struct account *account, uint64_t what)
{
    if (__atomic_sub_fetch(&account->state, what, __ATOMIC_ACQ_REL) == 0) {
        kernel_free(account, sizeof(*account));
    }
}

void account_release(struct account *account)
{
    if (account) {
        take_away(account, ACCOUNT_OWNED);
    }
}

bool account_charge(struct account *account, uint64_t bytes)
{
    if (!account) {
        return true;
    }
    uint64_t state = __atomic_add_fetch(&account->state, bytes, __ATOMIC_RELAXED);
    if ((state & ~ACCOUNT_OWNED) > account->limit) {
        take_away(account, bytes);
        return false;
    }
    return true;
}

void account_credit(struct account *account, uint64_t bytes)
{
    if (account) {
        take_away(account, bytes);
    }
}
