#include "tests/soak/soak.h"

struct slot *me;
uint64_t random_state;
static uint8_t place[BOARD_BYTES] __attribute__((aligned(PAGE)));

void attach(const char *slot, const char *seed)
{
    if (tessera_memory_map(named("board"), place, 0, BOARD_BYTES, TESSERA_MAP_WRITE)) {
        exit(97);
    }
    me = &((struct board *)(void *)place)->slots[atoi(slot)];
    random_state = strtoull(seed, NULL, 0) | 1;
}

uint64_t now(void)
{
    int64_t time = tessera_clock_read(TESSERA_CLOCK);
    return (uint64_t)(time < 0 ? tessera_time_coarse() : time);
}

uint32_t random_below(uint32_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 20) % limit);
}

uint32_t named(const char *name)
{
    int32_t handle = tessera_handle_named(name, (uint32_t)strlen(name));
    return handle > 0 ? (uint32_t)handle : 0;
}

void spin(uint32_t rounds)
{
    for (volatile uint32_t i = 0; i < rounds; i++) {
    }
}

void fail(int line, const char *what, int64_t value)
{
    snprintf(me->note, sizeof(me->note), "%s (%lld)", what, (long long)value);
    me->failed = (uint32_t)line;
    exit(1);
}

uint32_t handle_of(int line, int32_t result)
{
    if (result <= 0) {
        fail(line, "a handle", result);
    }
    return (uint32_t)result;
}
