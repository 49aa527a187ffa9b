/* A program that keeps things in buckets of the store (docs/services.md). */
#include <stdio.h>

#include "interfaces/generated/store_client.h"

static void put(store_borrow_bucket_t bucket, char *key, char *value)
{
    store_client_string_t texts[2];
    store_problem_t problem;
    store_client_string_set(&texts[0], key);
    store_client_string_set(&texts[1], value);
    store_method_bucket_put(bucket, &texts[0], &texts[1], &problem);
}

static void show(store_borrow_bucket_t bucket, char *key)
{
    store_client_string_t text, value;
    store_problem_t problem;
    store_client_string_set(&text, key);
    if (store_method_bucket_get(bucket, &text, &value, &problem)) {
        printf("%s: %.*s\n", key, (int)value.len, (char *)value.ptr);
        store_client_string_free(&value);
    } else {
        printf("%s is %s\n", key, problem == STORE_PROBLEM_MISSING ? "not there" : "out of reach");
    }
}

int main(void)
{
    store_problem_t problem;
    uint32_t before = 0, after = 0;
    store_own_bucket_t animals = store_constructor_bucket(), birds = store_constructor_bucket();
    put(store_borrow_bucket(animals), "lion", "roars");
    put(store_borrow_bucket(birds), "raven", "croaks");
    show(store_borrow_bucket(animals), "raven");
    store_method_bucket_absorb(store_borrow_bucket(animals), birds, &problem); /* birds is gone */
    show(store_borrow_bucket(animals), "raven");
    show(store_borrow_bucket(animals), "lion");
    store_count(&before, &problem);
    store_bucket_drop_own(animals);
    store_count(&after, &problem);
    printf("buckets: %u, then %u\n", before, after);
    return 0;
}
