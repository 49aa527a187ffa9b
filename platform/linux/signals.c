/* Signals as the exceptions and interrupts of this machine.
 *
 * A handler copies the interrupted registers to a struct machine_state, asks the kernel, and writes the result back,
 * so returning from the signal continues where the kernel wants. The extended state in the signal frame is left as it
 * is. GS is not part of the frame: what the kernel sets in a handler stays. */
#include "platform/linux/linux.h"
#include "kernel/platform.h"
#include "kernel/sanitizer.h"
#include "engine/base.h"
#include "engine/format.h"

#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id /* glibc has the member, but not its name */
#define sigev_notify_thread_id _sigev_un._tid
#endif

__thread volatile sig_atomic_t linux_interrupt_seen;
__thread uint32_t linux_cpu_number;

static uint8_t boot_signal_stack[LINUX_SIGNAL_STACK_BYTES] __attribute__((aligned(64)));
static int interrupt_requests; /* atomic */
static __thread int timer; /* as Linux numbers them */
static __thread bool timer_exists;

/* By hardware number. */
static const int context_registers[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                          REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

SANITIZER_AT_INTERRUPT static void state_from_context(struct machine_state *state, const ucontext_t *context)
{
    for (size_t i = 0; i < ARRAY_COUNT(context_registers); i++)
        state->registers[i] = (uint64_t)context->uc_mcontext.gregs[context_registers[i]];
    state->rip = (uint64_t)context->uc_mcontext.gregs[REG_RIP];
    state->rflags = (uint64_t)context->uc_mcontext.gregs[REG_EFL];
}

SANITIZER_AT_INTERRUPT static void state_to_context(const struct machine_state *state, ucontext_t *context)
{
    for (size_t i = 0; i < ARRAY_COUNT(context_registers); i++)
        context->uc_mcontext.gregs[context_registers[i]] = (greg_t)state->registers[i];
    context->uc_mcontext.gregs[REG_RIP] = (greg_t)state->rip;
    context->uc_mcontext.gregs[REG_EFL] = (greg_t)state->rflags;
}

_Noreturn static void panic_with_state(const struct machine_state *state, int signal, uint64_t address)
{
    static const char *const names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                          "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    char line[160];
    size_t length = format_text(line, sizeof line, "fault in the kernel: signal %d at rip=%016llx, address %016llx\n",
                                signal, (unsigned long long)state->rip, (unsigned long long)address);
    platform_log(line, length);
    for (size_t i = 0; i < ARRAY_COUNT(names); i += 4) {
        length = 0;
        for (size_t j = i; j < i + 4; j++)
            length += format_text(line + length, sizeof line - length, "%3s=%016llx%c", names[j],
                                  (unsigned long long)state->registers[j], j == i + 3 ? '\n' : ' ');
        platform_log(line, length);
    }
    platform_panic("unexpected fault");
}

/* Vectors of the CPU, as Linux reports them in the signal frame. */
enum { VECTOR_DIVIDE = 0, VECTOR_INVALID_OPCODE = 6, VECTOR_PAGE_FAULT = 14 };

static enum exception exception_of(greg_t vector)
{
    switch (vector) {
    case VECTOR_DIVIDE:
        return EXCEPTION_DIVIDE;
    case VECTOR_INVALID_OPCODE:
        return EXCEPTION_INVALID_OPCODE;
    case VECTOR_PAGE_FAULT:
        return EXCEPTION_PAGE_FAULT;
    default:
        return EXCEPTION_OTHER;
    }
}

static void exception_handler(int signal, siginfo_t *information, void *frame)
{
    ucontext_t *context = frame;
    struct machine_state state;
    state_from_context(&state, context);
    enum exception exception = exception_of(context->uc_mcontext.gregs[REG_TRAPNO]);
    uint64_t address = exception == EXCEPTION_PAGE_FAULT ? (uint64_t)context->uc_mcontext.gregs[REG_CR2] : 0;
    bool from_cpu = information->si_code > 0; /* and not from kill() */
    if (!from_cpu || !kernel_exception(&state, exception, address))
        panic_with_state(&state, signal, address);
    state_to_context(&state, context);
}

SANITIZER_AT_INTERRUPT static void timer_handler(int signal, siginfo_t *information, void *frame)
{
    (void)signal, (void)information;
    struct machine_state state;
    linux_interrupt_seen = 1;
    state_from_context(&state, frame);
    kernel_timer_interrupt(&state);
    state_to_context(&state, frame);
}

SANITIZER_AT_INTERRUPT static void cpu_handler(int signal, siginfo_t *information, void *frame)
{
    (void)signal, (void)information;
    struct machine_state state;
    linux_interrupt_seen = 1;
    state_from_context(&state, frame);
    kernel_cpu_interrupt(&state);
    state_to_context(&state, frame);
}

/* The first request asks the program to end, the second one ends everything. */
SANITIZER_AT_INTERRUPT static void request_handler(int signal, siginfo_t *information, void *frame)
{
    (void)information;
    struct machine_state state;
    linux_interrupt_seen = 1;
    if (__atomic_fetch_add(&interrupt_requests, 1, __ATOMIC_RELAXED) > 0)
        _exit(128 + signal);
    state_from_context(&state, frame);
    kernel_interrupt_request(&state);
    state_to_context(&state, frame);
}

void linux_interrupt_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGALRM);
    sigaddset(set, LINUX_CPU_SIGNAL);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
}

/* No SA_RESTART: a note for the kernel must end whatever wait it came into. */
#define HANDLER_FLAGS (SA_SIGINFO | SA_ONSTACK)

#if __has_feature(thread_sanitizer)
/* The sanitizer would keep signals back until the next call of the C library, and drop what handlers do to the
 * interrupted registers. So it does not hear of them. */
__attribute__((naked)) static void signal_return(void)
{
    __asm__("movl %0, %%eax\n"
            "syscall\n"
            :
            : "i"(SYS_rt_sigreturn));
}

static void handle(int signal, void (*handler)(int, siginfo_t *, void *))
{
    struct {
        void (*handler)(int, siginfo_t *, void *);
        unsigned long flags;
        void (*restorer)(void);
        uint64_t mask;
    } action = {.handler = handler, .flags = HANDLER_FLAGS | 0x04000000 /* SA_RESTORER */, .restorer = signal_return};
    sigset_t mask;
    linux_interrupt_signals(&mask);
    memcpy(&action.mask, &mask, sizeof(action.mask));
    syscall(SYS_rt_sigaction, signal, &action, NULL, sizeof(action.mask));
}
#else
static void handle(int signal, void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = HANDLER_FLAGS};
    linux_interrupt_signals(&action.sa_mask);
    sigaction(signal, &action, NULL);
}
#endif

/* A request that our parent had switched off (nohup, a background job) stays off. */
static void handle_request(int signal)
{
    struct sigaction old;
    if (sigaction(signal, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
        handle(signal, request_handler);
}

void linux_signal_stack_set(void *stack)
{
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = LINUX_SIGNAL_STACK_BYTES}, NULL);
}

void linux_signals_initialize(void)
{
    linux_signal_stack_set(boot_signal_stack);
    handle(SIGSEGV, exception_handler);
    handle(SIGBUS, exception_handler);
    handle(SIGFPE, exception_handler);
    handle(SIGILL, exception_handler);
    handle(SIGALRM, timer_handler);
    handle(LINUX_CPU_SIGNAL, cpu_handler);
    handle_request(SIGINT);
    handle_request(SIGTERM);
    sigset_t interrupts;
    linux_interrupt_signals(&interrupts);
    sigprocmask(SIG_UNBLOCK, &interrupts, NULL);
}

/* By system calls: at interrupt time no sanitizer may stand between. */
SANITIZER_AT_INTERRUPT void platform_timer_arm(uint64_t monotonic_nanoseconds)
{
    if (!timer_exists) {
        if (monotonic_nanoseconds == UINT64_MAX)
            return;
        struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM};
        event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
        if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer) != 0)
            platform_panic("no timer");
        timer_exists = true;
    }
    struct itimerspec time = {0};
    if (monotonic_nanoseconds != UINT64_MAX) {
        /* A time of zero would mean none. */
        monotonic_nanoseconds = max_u64(monotonic_nanoseconds, 1);
        time.it_value.tv_sec = (time_t)(monotonic_nanoseconds / 1000000000);
        time.it_value.tv_nsec = (long)(monotonic_nanoseconds % 1000000000);
    }
    syscall(SYS_timer_settime, timer, TIMER_ABSTIME, &time, NULL);
}
