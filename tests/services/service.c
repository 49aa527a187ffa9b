/* The service of tests/services/run: gives back what it gets, or misbehaves. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sdk/tessera.h"
#include "tests/services/generated/exchange_service.h"

/* In place of the tool's: what it does wrong, 1: trap, 2: exit, 3: memory that is none, 4: memory that is not aligned,
 * 5: memory that is lost.
 */
static int realloc_how;
static unsigned allocations;

/* Memory that is this program's, but not to be touched: what was shown there was taken back. */
static uint8_t *lost_memory(void)
{
    static _Alignas(TESSERA_PAGE_BYTES) uint8_t place[8192];
    int32_t memory = tessera_memory_create(sizeof place);
    int32_t lent = tessera_handle_duplicate((uint32_t)memory, TESSERA_RIGHTS_SAME);
    tessera_memory_map((uint32_t)lent, place, 0, sizeof place, TESSERA_MAP_WRITE);
    tessera_handle_revoke((uint32_t)memory);
    return place;
}

__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size, size_t alignment,
                                                                size_t size)
{
    (void)old_size, (void)alignment;
    allocations += old == NULL;
    if (realloc_how == 1)
        __builtin_trap();
    if (realloc_how == 2)
        exit(9);
    if (realloc_how == 5)
        return lost_memory();
    return realloc_how == 3 ? (void *)0xfffffff0 : (char *)realloc(old, size) + (realloc_how == 4);
}

/* Arguments belong to the service and results to the caller's side, so what is given back is not copied. */

void exports_exchange_scalars(bool a, uint8_t b, int8_t c, uint16_t d, int16_t e, uint32_t f, int32_t g, uint64_t h,
                              int64_t i, float j, double k, uint32_t l, exports_exchange_numbers_t *ret)
{
    *ret = (exports_exchange_numbers_t){a, b, c, d, e, f, g, h, i, j, k, l == 0x1f4a5 ? 0xd800 : l};
}

double exports_exchange_mixed(uint32_t a, float b, uint64_t c, double d, int8_t e, float f, uint16_t g, double h,
                              int32_t i, float j, int64_t k, double l, float m, double n, float o, uint32_t p)
{
    return a + 2.0 * b + 3.0 * (double)c + 4 * d + 5 * e + 6.0 * f + 7 * g + 8 * h + 9 * i + 10.0 * j +
           11.0 * (double)k + 12 * l + 13.0 * m + 14 * n + 15.0 * o + 16.0 * p;
}

static void append(exchange_service_string_t *to, exchange_service_string_t *from)
{
    to->ptr = realloc(to->ptr, to->len + from->len + 1);
    memcpy(to->ptr + to->len, from->ptr, from->len);
    to->len += from->len;
    exchange_service_string_free(from);
}

void exports_exchange_join(exchange_service_string_t *a, exchange_service_string_t *b, exchange_service_string_t *c,
                           exchange_service_string_t *d, exchange_service_string_t *e, exchange_service_string_t *f,
                           exchange_service_string_t *g, exchange_service_string_t *h, exchange_service_string_t *i,
                           exchange_service_string_t *ret)
{
    exchange_service_string_t *all[] = {a, b, c, d, e, f, g, h, i};
    *ret = (exchange_service_string_t){NULL, 0};
    for (unsigned n = 0; n < 9; n++)
        append(ret, all[n]);
}

void exports_exchange_values(exports_exchange_list_value_t *v, exports_exchange_color_t c, exports_exchange_mode_t m,
                             exports_exchange_tuple3_list_value_color_mode_t *ret)
{
    *ret = (exports_exchange_tuple3_list_value_color_mode_t){*v, c, m};
}

void exports_exchange_bytes(exchange_service_list_u8_t *data, exchange_service_list_u8_t *ret)
{
    *ret = *data;
}

void exports_exchange_maybe(exchange_service_string_t *maybe_a, exports_exchange_result_u32_color_t *b,
                            exports_exchange_tuple2_option_string_result_u32_color_t *ret)
{
    ret->f0.is_some = maybe_a != NULL;
    if (maybe_a)
        ret->f0.val = *maybe_a;
    ret->f1 = *b;
}

float exports_exchange_single(float a)
{
    return a / 2;
}

bool exports_exchange_negate(bool a)
{
    return !a;
}

void exports_exchange_nothing(void) {}

/* ---- Handles ---- */

static uint32_t kept, lent;

static uint32_t describe(uint32_t handle)
{
    struct tessera_handle_information information;
    return tessera_handle_information(handle, &information, sizeof information) < 0 ? 0 : information.type;
}

uint32_t exports_exchange_keep(exports_exchange_own_handle_t it)
{
    kept = (uint32_t)it.__handle;
    return describe(kept);
}

/* What was lent before must be gone: then the type is given plus 100. */
uint32_t exports_exchange_look(exports_exchange_borrow_handle_t it)
{
    uint32_t gone = !lent || describe(lent) == 0 ? 100 : 0;
    int32_t copy = tessera_handle_duplicate((uint32_t)it.__handle, TESSERA_RIGHTS_SAME);
    lent = copy > 0 ? (uint32_t)copy : 0;
    return gone + describe((uint32_t)it.__handle);
}

bool exports_exchange_fetch(exports_exchange_own_handle_t *ret, exports_exchange_problem_t *err)
{
    *err = EXPORTS_EXCHANGE_PROBLEM_REFUSED;
    ret->__handle = (int32_t)kept;
    kept = 0;
    return ret->__handle != 0;
}

/* ---- Misbehaving ---- */

void exports_exchange_misbehave(uint32_t how, exchange_service_string_t *ret)
{
    exchange_service_string_dup(ret, "as it should be");
    if (how == 0)
        __builtin_trap();
    if (how == 1)
        exit(7);
    if (how == 2)
        ret->ptr[3] = 0xff;
    if (how == 3)
        ret->len = UINT32_MAX;
    while (how == 8)
        continue;
    if (how == 10)
        *ret = (exchange_service_string_t){lost_memory(), 8000};
    if (how == 12)
        ret->len = (size_t)sprintf((char *)ret->ptr, "%u", allocations % 1000000);
    if (how == 11)
        realloc_how = 5;
    if (how >= 4 && how < 8)
        realloc_how = (int)how - 3; /* from now on */
}

bool exports_exchange_misbehave_politely(uint32_t how, exchange_service_string_t *ret, exports_exchange_problem_t *err)
{
    (void)err;
    exports_exchange_misbehave(how, ret);
    return true;
}

int main(void)
{
    int32_t status = tessera_port_serve(TESSERA_PORT);
    printf("served until the end: %d\n", status);
    return 0;
}
