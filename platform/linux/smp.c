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

static uint32_t cpu_count;                          /* 0: not asked for yet */
static pid_t thread_numbers[PLATFORM_CPUS_MAXIMUM]; /* as Linux has them; 0: does not run yet */

static struct start {
    struct cpu *cpu;
    uint32_t number;
} starts[PLATFORM_CPUS_MAXIMUM];

void linux_set_cpu_count(uint32_t count)
{
    cpu_count = (uint32_t)max_u64(min_u64(count, PLATFORM_CPUS_MAXIMUM), 1);
}

/* As many as this process may use. */
uint32_t platform_cpu_count(void)
{
    if (cpu_count == 0) {
        cpu_set_t set;
        bool known = sched_getaffinity(0, sizeof set, &set) == 0;
        linux_set_cpu_count(known ? (uint32_t)CPU_COUNT(&set) : 1);
    }
    return cpu_count;
}

static void *run_cpu(void *argument)
{
    const struct start *start = argument;
    uint8_t signal_stack[LINUX_SIGNAL_STACK_BYTES];
    platform_set_cpu(start->cpu);
    linux_cpu_number = start->number;
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
    thread_numbers[0] = getpid();
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
