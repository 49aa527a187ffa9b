/* code_unwind is exact at every instruction: the CPU steps through compiled code one by one, and at each step the
 * frames are walked and compared with the calls and returns that were seen. */
#include <signal.h>
#include <ucontext.h>

#include "tests/engine/code_support.h"

static struct compiled compiled;
static struct machine machine;
static volatile int depth, steps, wrong, stop;
static uintptr_t outside; /* the return address into wasm_enter */

static bool in_text(uintptr_t pc)
{
    return pc - (uintptr_t)compiled.text < compiled.code->text_size;
}

/* The frames from here to the outermost; 0 when the walk does not end in wasm_enter. */
static int walk(uintptr_t pc, uintptr_t rsp)
{
    int frames = 0;
    uint32_t function;
    for (bool at_call = false; code_find_function(compiled.code, at_call ? pc - 1 : pc, &function); at_call = true) {
        if (!code_unwind(compiled.code, &pc, &rsp, at_call) || ++frames > 100)
            return 0;
    }
    return pc == outside ? frames : 0;
}

static void step(int signal, siginfo_t *information, void *context)
{
    (void)signal, (void)information;
    static uint8_t before;
    ucontext_t *state = context;
    uintptr_t pc = (uintptr_t)state->uc_mcontext.gregs[REG_RIP], rsp = (uintptr_t)state->uc_mcontext.gregs[REG_RSP];
    if (stop) {
        state->uc_mcontext.gregs[REG_EFL] &= ~0x100;
        return;
    }
    state->uc_mcontext.gregs[REG_EFL] |= 0x100;
    if (!in_text(pc)) {
        before = 0;
        return;
    }
    if (before == 0) {
        depth = 1;
        outside = *(uintptr_t *)rsp;
    } else if (before == 0xe8) {
        depth++;
    } else if (before == 0xc3) {
        depth--;
    }
    before = *(const uint8_t *)pc;
    steps++;
    if (walk(pc, rsp) != depth && wrong++ == 0)
        printf("at text+%#zx: %d frames, not %d\n", (size_t)(pc - (uintptr_t)compiled.text), walk(pc, rsp), depth);
}

static void test(uint32_t features)
{
    uint32_t result;
    CHECK(compile_bytes(recursion_module, sizeof recursion_module, features, 0, &compiled) == ENGINE_OK);
    stop = steps = wrong = 0;
    CHECK(machine_call(&machine, &compiled, 2, 1, &result) == 0);
    uint32_t expected = result;
    raise(SIGTRAP); /* from here on after every instruction */
    unsigned trap = machine_call(&machine, &compiled, 2, 1, &result);
    stop = 1;
    raise(SIGTRAP);
    CHECK(trap == 0 && result == expected);
    CHECK(steps > 20 && wrong == 0);
    stop = steps = 0;
    raise(SIGTRAP);
    machine_call(&machine, &compiled, 2, 5, &result);
    stop = 1;
    raise(SIGTRAP);
    CHECK(steps > 100 && wrong == 0);
    compiled_release(&compiled);
}

int main(void)
{
    static uint8_t signal_stack[65536];
    sigaltstack(&(stack_t){.ss_sp = signal_stack, .ss_size = sizeof signal_stack}, NULL);
    sigaction(SIGTRAP, &(struct sigaction){.sa_sigaction = step, .sa_flags = SA_SIGINFO | SA_ONSTACK}, NULL);
    machine_create(&machine);
    test(ALL_FEATURES);
    test(0);
    return checks_report();
}
