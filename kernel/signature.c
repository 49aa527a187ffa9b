#include "kernel/signature.h"

#include "kernel/type_registry.h"

uint32_t signature_acquire(const struct function_type *type)
{
    return type_number_acquire_function(type);
}

void signature_release(uint32_t number)
{
    type_number_release(number);
}

const struct function_type *signature_type(uint32_t number)
{
    return &type_of_number(number)->function;
}

uint32_t signature_count(void)
{
    return type_number_count();
}
