/* The stub that sets GS on CPUs without FSGSBASE: it must change r11 and flags only, as compiled code relies on. The
 * file under test is included, since which stub serves is decided by the machine. */
#include "platform/linux/cpu.c"

#include <stdio.h>
#include <string.h>

/* rax rcx rdx rbx rsi rdi r8 r9 r10 r12 r13 r14 r15 */
#define REGISTERS 13

static uint64_t before[REGISTERS] __asm__("registers_before");
static uint64_t after[REGISTERS] __asm__("registers_after") __attribute__((used));

/* Call `stub` with `base` in r11 and `before` in all the others; what they hold then goes to `after`. */
__attribute__((naked)) static void call_stub(__attribute__((unused)) uint64_t stub,
                                             __attribute__((unused)) uint64_t base)
{
    __asm__ volatile("pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n\t"
                     "movq %rdi, %rbp\n\t"
                     "movq %rsi, %r11\n\t"
                     "leaq registers_before(%rip), %rsi\n\t"
                     "movq 0(%rsi), %rax; movq 8(%rsi), %rcx; movq 16(%rsi), %rdx; movq 24(%rsi), %rbx\n\t"
                     "movq 40(%rsi), %rdi; movq 48(%rsi), %r8; movq 56(%rsi), %r9; movq 64(%rsi), %r10\n\t"
                     "movq 72(%rsi), %r12; movq 80(%rsi), %r13; movq 88(%rsi), %r14; movq 96(%rsi), %r15\n\t"
                     "movq 32(%rsi), %rsi\n\t"
                     "call *%rbp\n\t"
                     "leaq registers_after(%rip), %rbp\n\t"
                     "movq %rax, 0(%rbp); movq %rcx, 8(%rbp); movq %rdx, 16(%rbp); movq %rbx, 24(%rbp)\n\t"
                     "movq %rsi, 32(%rbp); movq %rdi, 40(%rbp); movq %r8, 48(%rbp); movq %r9, 56(%rbp)\n\t"
                     "movq %r10, 64(%rbp); movq %r12, 72(%rbp); movq %r13, 80(%rbp); movq %r14, 88(%rbp)\n\t"
                     "movq %r15, 96(%rbp)\n\t"
                     "popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp\n\t"
                     "ret");
}

static uint64_t gs_base(void)
{
    uint64_t base;
    syscall(SYS_arch_prctl, ARCH_GET_GS, &base);
    return base;
}

int main(void)
{
    int failures = 0;
    linux_cpu_initialize();
    for (unsigned i = 0; i < REGISTERS; i++)
        before[i] = UINT64_C(0x0101010101010101) * (i + 1);
    features &= ~(uint32_t)CPU_FSGSBASE;
    platform_set_gs(0x123456789000);
    failures += gs_base() != 0x123456789000;
    call_stub(platform_gs_stub(), 0x7654321000);
    failures += gs_base() != 0x7654321000;
    failures += memcmp(before, after, sizeof before) != 0;
    if (getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_ENABLED) {
        features |= CPU_FSGSBASE;
        call_stub(platform_gs_stub(), 0x11111000);
        failures += gs_base() != 0x11111000 || memcmp(before, after, sizeof before) != 0;
    }
    if (failures > 0)
        printf("%d checks of the GS stubs failed\n", failures);
    return failures > 0;
}
