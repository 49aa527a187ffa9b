/* code_unwind is exact at every instruction: the CPU steps through compiled code one by one, and at each step the
 * frames are walked and compared with the calls and returns that were seen. */
#include <signal.h>
#include <ucontext.h>

#include "engine/x64/tail.h"
#include "tests/engine/code_support.h"

/* Tail calls with more stack arguments than there is room for, with fewer, and out of a frame.
(module
  (memory 1)
  (func $narrow (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (return (i32.const 1))))
    (return_call $broad (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5) (i32.const 6)
      (local.get 0)))
  (func $broad (param i32 i32 i32 i32 i32 i32 i32) (result i32)
    (i32.store (i32.const 8) (local.get 5))
    (return_call $framed (i32.sub (local.get 6) (i32.const 1))))
  (func $framed (param i32) (result i32) (local i32 i32)
    (local.set 1 (i32.mul (local.get 0) (i32.const 3)))
    (local.set 2 (call $leaf (local.get 1)))
    (if (i32.gt_u (local.get 2) (i32.add (local.get 1) (local.get 1))) (then (return (i32.const 0))))
    (return_call $narrow (local.get 0)))
  (func $leaf (param i32) (result i32) (i32.add (local.get 0) (i32.const 0)))
  (func (export "outer") (param i32) (result i32)
    (i32.add (call $narrow (local.get 0)) (call $narrow (local.get 0)))))
*/
static const uint8_t tail_module[] = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x11, 0x02, 0x60, 0x01, 0x7f, 0x01, 0x7f, 0x60, 0x07,
    0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x01, 0x7f, 0x03, 0x06, 0x05, 0x00, 0x01, 0x00, 0x00, 0x00, 0x05,
    0x03, 0x01, 0x00, 0x01, 0x07, 0x09, 0x01, 0x05, 0x6f, 0x75, 0x74, 0x65, 0x72, 0x00, 0x04, 0x0a, 0x66, 0x05,
    0x1b, 0x00, 0x20, 0x00, 0x45, 0x04, 0x40, 0x41, 0x01, 0x0f, 0x0b, 0x41, 0x01, 0x41, 0x02, 0x41, 0x03, 0x41,
    0x04, 0x41, 0x05, 0x41, 0x06, 0x20, 0x00, 0x12, 0x01, 0x0b, 0x10, 0x00, 0x41, 0x08, 0x20, 0x05, 0x36, 0x02,
    0x00, 0x20, 0x06, 0x41, 0x01, 0x6b, 0x12, 0x02, 0x0b, 0x23, 0x01, 0x02, 0x7f, 0x20, 0x00, 0x41, 0x03, 0x6c,
    0x21, 0x01, 0x20, 0x01, 0x10, 0x03, 0x21, 0x02, 0x20, 0x02, 0x20, 0x01, 0x20, 0x01, 0x6a, 0x4b, 0x04, 0x40,
    0x41, 0x00, 0x0f, 0x0b, 0x20, 0x00, 0x12, 0x00, 0x0b, 0x07, 0x00, 0x20, 0x00, 0x41, 0x00, 0x6a, 0x0b, 0x0b,
    0x00, 0x20, 0x00, 0x10, 0x00, 0x20, 0x00, 0x10, 0x00, 0x6a, 0x0b,
};

static struct compiled compiled;
static struct machine machine;
static volatile int depth, steps, wrong, stop;
static uintptr_t outside; /* the return address into wasm_enter */

/* In the code behind a tail frame, which knows its caller only at its start. */
static bool in_tail_return(uintptr_t pc)
{
    return pc - (uintptr_t)tail_return_small < 96 || pc - (uintptr_t)tail_return_large < 96;
}

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
        while (tail_frame_unwind(&pc, &rsp, NULL)) {
        }
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
    if (in_tail_return(pc))
        return;
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

static void test(const uint8_t *bytes, size_t size, uint32_t function, uint32_t features)
{
    uint32_t result;
    CHECK(compile_bytes(bytes, size, features, 0, &compiled) == ENGINE_OK);
    stop = steps = wrong = 0;
    CHECK(machine_call(&machine, &compiled, function, 1, &result) == 0);
    uint32_t expected = result;
    raise(SIGTRAP); /* from here on after every instruction */
    unsigned trap = machine_call(&machine, &compiled, function, 1, &result);
    stop = 1;
    raise(SIGTRAP);
    CHECK(trap == 0 && result == expected);
    CHECK(steps > 20 && wrong == 0);
    stop = steps = 0;
    raise(SIGTRAP);
    machine_call(&machine, &compiled, function, 5, &result);
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
    test(recursion_module, sizeof recursion_module, 2, ALL_FEATURES);
    test(recursion_module, sizeof recursion_module, 2, 0);
    test(tail_module, sizeof tail_module, 4, ALL_FEATURES);
    test(tail_module, sizeof tail_module, 4, 0);
    return checks_report();
}
