/* A service that keeps buckets of keys and values for its clients (docs/services.md). */
#include <stdlib.h>
#include <string.h>

#include "interfaces/generated/store_service.h"
#include "sdk/tessera.h"

typedef store_service_string_t text;
struct exports_store_bucket_t { /* what a client's handle stands for */
    struct exports_store_bucket_t *next;
    text key, value;
};
static uint32_t buckets;

exports_store_own_bucket_t exports_store_constructor_bucket(void)
{
    buckets++;
    return exports_store_bucket_new(calloc(1, sizeof(exports_store_bucket_t)));
}

void exports_store_bucket_destructor(exports_store_bucket_t *bucket) /* nobody has it any more */
{
    buckets--;
    for (exports_store_bucket_t *next; bucket; bucket = next) {
        next = bucket->next;
        store_service_string_free(&bucket->key);
        store_service_string_free(&bucket->value);
        free(bucket);
    }
}

bool exports_store_method_bucket_put(exports_store_bucket_t *bucket, text *key, text *value,
                                     exports_store_problem_t *problem)
{
    (void)problem;
    exports_store_bucket_t *entry = malloc(sizeof *entry);
    *entry = (exports_store_bucket_t){bucket->next, *key, *value}; /* arguments belong to the service */
    bucket->next = entry;
    return true;
}

bool exports_store_method_bucket_get(exports_store_bucket_t *bucket, text *key, text *value,
                                     exports_store_problem_t *problem)
{
    const exports_store_bucket_t *entry = bucket->next;
    while (entry && (entry->key.len != key->len || memcmp(entry->key.ptr, key->ptr, key->len) != 0))
        entry = entry->next;
    *problem = EXPORTS_STORE_PROBLEM_MISSING;
    if (entry)
        store_service_string_dup_n(value, (char *)entry->value.ptr, entry->value.len);
    store_service_string_free(key);
    return entry != NULL;
}

bool exports_store_method_bucket_absorb(exports_store_bucket_t *bucket, exports_store_own_bucket_t other,
                                        exports_store_problem_t *problem)
{
    (void)problem;
    exports_store_bucket_t *taken = exports_store_bucket_rep(other), *last = bucket;
    while (last->next)
        last = last->next;
    last->next = taken->next;
    taken->next = NULL;
    exports_store_bucket_drop_own(other); /* the service has it now; this calls the destructor */
    return true;
}

bool exports_store_count(uint32_t *count, exports_store_problem_t *problem)
{
    (void)problem;
    *count = buckets;
    return true;
}

int main(void)
{
    return tessera_port_serve(TESSERA_PORT) == 0 ? 0 : 1;
}
