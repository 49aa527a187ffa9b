/* Numbers of function types: equal types get equal numbers, references are counted, numbers are used again. */
#include "kernel/signature.h"

#include "kernel/cpu.h"
#include "kernel/heap.h"
#include "platform/linux/linux.h"
#include "tests/kernel/check.h"

#define TYPES 5000
#define TYPES_FULL 8192 /* a size of the tables of numbers */

static value_type letters[] = {VALUE_I32, VALUE_I64, VALUE_F32, VALUE_F64, VALUE_FUNCREF};

/* Type number `n`: its digits in base 5 as parameters, and n % 2 results. */
static struct function_type make_type(unsigned n, value_type types[16])
{
    struct function_type type = {.types = types};
    unsigned digits = n;
    do {
        types[type.parameter_count++] = letters[digits % 5];
        digits /= 5;
    } while (digits);
    types[type.parameter_count++] = VALUE_I32; /* so that leading zeros count */
    type.result_count = n % 2;
    types[type.parameter_count] = VALUE_F64;
    return type;
}

/* As many numbers as the tables have room for, and all given back: then one more needs no larger tables. */
static void check_reuse(void)
{
    static uint32_t numbers[TYPES_FULL];
    value_type types[16];
    struct heap_statistics before, after;
    unsigned count = 0;
    do {
        struct function_type type = make_type(count, types);
        numbers[count] = signature_acquire(&type);
    } while (numbers[count++] != TYPES_FULL - 1 && count < TYPES_FULL);
    CHECK(numbers[count - 1] == TYPES_FULL - 1);
    for (unsigned i = 0; i < count; i++)
        signature_release(numbers[i]);
    kernel_heap_statistics(&before);
    struct function_type type = make_type(3, types);
    signature_release(signature_acquire(&type));
    kernel_heap_statistics(&after);
    CHECK(after.bytes == before.bytes);
}

int main(void)
{
    static uint32_t numbers[TYPES];
    value_type types[16], other_types[16];
    linux_platform_initialize();
    cpu_initialize();
    uint32_t count = signature_count();
    struct heap_statistics before, after;
    kernel_heap_statistics(&before);

    int wrong = 0;
    for (unsigned i = 0; i < TYPES; i++) {
        struct function_type type = make_type(i, types);
        numbers[i] = signature_acquire(&type);
        wrong += numbers[i] == 0 || !function_type_equal(signature_type(numbers[i]), &type);
    }
    for (unsigned i = 0; i < TYPES; i++) {
        struct function_type type = make_type(i, types);
        wrong += signature_acquire(&type) != numbers[i];
        signature_release(numbers[i]);
    }
    CHECK(wrong == 0);
    CHECK(signature_count() == count + TYPES);

    /* Parameters and results are told apart. */
    struct function_type a = {.types = types, .parameter_count = 2, .result_count = 0};
    struct function_type b = {.types = other_types, .parameter_count = 1, .result_count = 1};
    types[0] = types[1] = other_types[0] = other_types[1] = VALUE_I32;
    uint32_t number_a = signature_acquire(&a), number_b = signature_acquire(&b);
    CHECK(number_a != number_b);
    signature_release(number_a);
    signature_release(number_b);

    /* Half of them go; the others stay what they are. */
    for (unsigned i = 0; i < TYPES; i += 2)
        signature_release(numbers[i]);
    for (unsigned i = 1; i < TYPES; i += 2) {
        struct function_type type = make_type(i, types);
        wrong += signature_acquire(&type) != numbers[i];
        signature_release(numbers[i]);
        signature_release(numbers[i]);
    }
    signature_release(0);
    CHECK(wrong == 0);
    CHECK(signature_count() == count);
    struct function_type type = make_type(3, types);
    uint32_t again = signature_acquire(&type);
    CHECK(again && again <= TYPES + 64); /* a number that was free */
    signature_release(again);
    kernel_heap_statistics(&after);
    CHECK(after.blocks <= before.blocks + 2); /* the two tables */
    check_reuse();
    return checks_report();
}
