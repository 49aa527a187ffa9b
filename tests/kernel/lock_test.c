/* The order of locks is looked at in the checked build: what breaks it is a panic, which ends a child of this test. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/lock.h"
#include "tests/kernel/check.h"
#include "tests/kernel/guest.h"

static struct spinlock outer = SPINLOCK(LOCK_OBJECT), inner = SPINLOCK(LOCK_RUN_QUEUE), same = SPINLOCK(LOCK_OBJECT);

NO_LOCK_ANALYSIS static void in_order(void)
{
    spinlock_acquire(&outer);
    spinlock_acquire(&inner);
    spinlock_release(&outer); /* given back in any order */
    spinlock_release(&inner);
    CHECK(spinlock_try_acquire(&inner));
    CHECK(!spinlock_try_acquire(&inner));
    spinlock_release(&inner);
}

NO_LOCK_ANALYSIS static void against_order(void)
{
    spinlock_acquire(&inner);
    spinlock_acquire(&outer);
}

NO_LOCK_ANALYSIS static void twice_of_a_rank(void)
{
    spinlock_acquire(&outer);
    spinlock_acquire(&same);
}

NO_LOCK_ANALYSIS static void not_held(void)
{
    spinlock_release(&outer);
}

NO_LOCK_ANALYSIS static void wait_with_lock(void)
{
    spinlock_acquire(&outer);
    thread_sleep_until(0);
}

/* Status of a child that does it; 0 when nothing was wrong with it. */
static int status_of(void (*breaks)(void))
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        close(STDERR_FILENO);
        breaks();
        _exit(0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int main(int argc, char **argv)
{
    (void)argc;
    guest_initialize(argv);
    in_order();
    CHECK(status_of(in_order) == 0);
    CHECK(status_of(against_order) == 125);
    CHECK(status_of(twice_of_a_rank) == 125);
    CHECK(status_of(not_held) == 125);
    CHECK(status_of(wait_with_lock) == 125);
    return checks_report();
}
