#include "kernel/module_object.h"

#include "kernel/account.h"
#include "kernel/instance.h"

/* Of the kernel for any module, however small it is: what is known of it, and pages of code and of tables for them. */
#define MODULE_BYTES_LEAST 16384

struct module_object {
    struct object object;
    struct compiled_module *module;
    struct account *account; /* that pays for the module's bytes, too; NULL: the kernel */
    uint64_t charged;
};

enum status module_object_create(struct account *account, struct compiled_module *module, size_t size,
                                 struct object **result)
{
    struct object *object;
    uint64_t charge = size + MODULE_BYTES_LEAST;
    enum status status = account_charge(account, charge) ? STATUS_OK : STATUS_LIMIT;
    if (status == STATUS_OK) {
        status = object_allocate(OBJECT_MODULE, sizeof(struct module_object), account, 0, &object);
        if (status != STATUS_OK) {
            account_credit(account, charge);
        }
    }
    if (status != STATUS_OK) {
        compiled_module_release(module);
        return status;
    }
    struct module_object *made = (struct module_object *)object;
    made->module = module;
    made->account = account;
    made->charged = charge;
    *result = object;
    return STATUS_OK;
}

struct compiled_module *module_object_module(struct object *object)
{
    return ((struct module_object *)object)->module;
}

void module_object_closed(struct object *object)
{
    (void)object; /* processes have references of their own */
}

void module_object_destroy(struct object *object)
{
    struct module_object *module = (struct module_object *)object;
    compiled_module_release(module->module);
    account_credit(module->account, module->charged);
    object_free(object);
}
