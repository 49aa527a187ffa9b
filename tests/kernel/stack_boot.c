/* A kernel that, instead of programs, gives address space back from threads whose stacks come to their next page, which
 * nobody touched, at every place of that. Platform code must not meet it with a lock held that giving the page a frame
 * needs: it would wait for ever. The last line is `N passed, N failed`. */
#include "engine/base.h"
#include "engine/format.h"
#include "kernel/cpu.h"
#include "kernel/stack.h"

#define STEP  16
#define BYTES 16384

static uint32_t passed, failed;

static void check(bool condition)
{
    passed += condition;
    failed += !condition;
}

__attribute__((noinline)) static void reserve_and_release(void)
{
    uint8_t *place = platform_reserve(BYTES);
    bool good = place && platform_commit(place, BYTES, PROTECTION_READ_WRITE) == STATUS_OK;
    for (size_t at = 0; good && at < BYTES; at += PLATFORM_PAGE_BYTES) {
        place[at] = 1;
    }
    check(good);
    platform_release(place, BYTES);
}

static void run(void *argument)
{
    uint8_t *untouched = __builtin_alloca((uintptr_t)argument);
    __asm__ volatile("" ::"r"(untouched));
    reserve_and_release();
}

_Noreturn void kernel_main(const struct boot_information *boot)
{
    char line[64];
    (void)boot;
    cpu_initialize();
    for (uintptr_t depth = 0; depth < PLATFORM_PAGE_BYTES; depth += STEP) {
        struct thread *thread;
        kernel_stacks_trim(); /* the next stack is a new one */
        check(thread_start(run, (void *)(depth + 1), &thread) == STATUS_OK);
        thread_join(thread);
    }
    platform_log(line, format_text(line, sizeof(line), "%u passed, %u failed\n", passed, failed));
    platform_power_off(failed > 0);
}
