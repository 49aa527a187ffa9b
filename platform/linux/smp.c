/* Several CPUs: each is a thread of the process, made when the kernel asks for it. An interrupt from another CPU is a
 * signal. */
#include "platform/linux/linux.h"
#include "kernel/platform.h"
#include "engine/base.h"

#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#define THREAD_STACK_BYTES (256 << 10) /* with its signal stack */

/* In a virtual machine it takes 50 us until a processor that halted runs again, so two that wait for each other need
 * twice as long for the first answer. */
#define POLL_NANOSECONDS 100000

static uint32_t cpu_count;       /* 0: not asked for yet */
static uint32_t processor_count; /* that this process may use; 0: not asked for yet */
static cpu_set_t processor_set;  /* these */
static bool pinned;
static pid_t thread_numbers[PLATFORM_CPUS_MAXIMUM]; /* as Linux has them; 0: does not run yet */

static struct start {
    struct cpu *cpu;
    uint32_t number;
} starts[PLATFORM_CPUS_MAXIMUM];

void linux_set_cpu_count(uint32_t count)
{
    cpu_count = (uint32_t)max_u64(min_u64(count, PLATFORM_CPUS_MAXIMUM), 1);
}

static void count_processors(void)
{
    bool known = sched_getaffinity(0, sizeof processor_set, &processor_set) == 0;
    processor_count = known ? (uint32_t)CPU_COUNT(&processor_set) : 1;
}

static uint32_t processors(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, count_processors);
    return processor_count;
}

static void pin(uint32_t number)
{
    cpu_set_t own;
    uint32_t passed = 0;
    CPU_ZERO(&own);
    for (uint32_t i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, &processor_set) && passed++ == number)
            CPU_SET(i, &own);
    }
    if (CPU_COUNT(&own) > 0)
        sched_setaffinity(0, sizeof own, &own);
}

void linux_pin_cpus(void)
{
    processors();
    pinned = true;
    pin(0);
}

/* As many as this process may use. */
uint32_t platform_cpu_count(void)
{
    if (cpu_count == 0)
        linux_set_cpu_count(processors());
    return cpu_count;
}

/* Polling pays if the one that is waited for has a processor of its own meanwhile. */
uint64_t platform_poll_nanoseconds(void)
{
    return processors() > 1 && platform_cpu_count() <= processors() ? POLL_NANOSECONDS : 0;
}

static void *run_cpu(void *argument)
{
    const struct start *start = argument;
    uint8_t signal_stack[LINUX_SIGNAL_STACK_BYTES];
    platform_set_cpu(start->cpu);
    linux_cpu_number = start->number;
    if (pinned)
        pin(start->number);
    linux_signal_stack_set(signal_stack);
    __atomic_store_n(&thread_numbers[start->number], (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
    kernel_cpu_main(start->cpu);
}

/* The stack is the thread's own, which the C library knows. */
enum status platform_start_cpu(uint32_t number, struct cpu *cpu, void *stack_top)
{
    (void)stack_top;
    pthread_t thread;
    pthread_attr_t attributes;
    __atomic_store_n(&thread_numbers[0], getpid(), __ATOMIC_RELAXED);
    starts[number] = (struct start){cpu, number};
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    int error = pthread_create(&thread, &attributes, run_cpu, &starts[number]);
    pthread_attr_destroy(&attributes);
    return error ? STATUS_NO_MEMORY : STATUS_OK;
}

/* One that does not run yet looks for work before it idles. */
void platform_interrupt_cpu(uint32_t number)
{
    pid_t thread = __atomic_load_n(&thread_numbers[number], __ATOMIC_ACQUIRE);
    if (thread)
        syscall(SYS_tgkill, getpid(), thread, LINUX_CPU_SIGNAL);
}
