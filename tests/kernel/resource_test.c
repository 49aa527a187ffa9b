/* Resources of services: what nobody has any more waits for its destructor, and is paid for until then. */
#include "engine/base.h"
#include "kernel/account.h"
#include "kernel/handle.h"
#include "kernel/service_resource.h"
#include "tests/kernel/check.h"
#include "tests/kernel/guest.h"

static const struct component_resource component = {.identity = 7};
static const struct service_resource type = {.type = &component};

/* As a program does that closes each handle to its resources, and never serves. */
static uint32_t make_and_close(struct resource_home *home, struct account *account, uint32_t most)
{
    for (uint32_t i = 0; i < most; i++) {
        struct object *object;
        struct grant *grant;
        if (resource_create(home, &type, i, account, &object) != STATUS_OK)
            return i;
        CHECK(grant_create(object, RIGHTS_ALL, &grant) == STATUS_OK);
        object_release(object);
        grant_drop(grant);
    }
    return most;
}

int main(int argc, char **argv)
{
    (void)argc;
    guest_initialize(argv);
    struct account *account = account_create(65536);
    struct resource_home *home = resource_home_create();
    const struct service_resource *found;
    uint32_t representation, made = make_and_close(home, account, 10000);
    CHECK(made > 100 && made < 1000);
    for (uint32_t i = 0; i < 10; i++)
        CHECK(resource_home_next(home, &found, &representation) && found == &type && representation == i);
    CHECK(make_and_close(home, account, 100) == 10);
    resource_home_close(home);
    CHECK(account_used(account) == 0 && object_count(OBJECT_RESOURCE) == 0);
    account_release(account);
    return checks_report();
}
