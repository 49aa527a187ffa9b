#include "kernel/guest_copy.h"

#include "engine/x64/abi.h"

/* From here on the CPU's own string instruction is quicker than a loop. */
#define STRING_BYTES "512"

extern const uint8_t guest_copy_end[];

/* Nothing is pushed, so that a fault anywhere in it can return to its caller. */
__attribute__((naked)) uint64_t guest_copy(__attribute__((unused)) void *to, __attribute__((unused)) const void *from,
                                           __attribute__((unused)) size_t bytes)
{
    __asm__("cmpq $" STRING_BYTES ", %rdx\n"
            "jae 3f\n"
            "1: subq $8, %rdx\n"
            "jb 2f\n"
            "movq (%rsi), %rax\n"
            "movq %rax, (%rdi)\n"
            "addq $8, %rsi\n"
            "addq $8, %rdi\n"
            "jmp 1b\n"
            "2: addq $8, %rdx\n"
            "jz 5f\n"
            "4: movb (%rsi), %al\n"
            "movb %al, (%rdi)\n"
            "incq %rsi\n"
            "incq %rdi\n"
            "decq %rdx\n"
            "jnz 4b\n"
            "5: xorl %eax, %eax\n"
            "retq\n"
            "3: movq %rdx, %rcx\n"
            "rep movsb\n"
            "xorl %eax, %eax\n"
            "retq\n"
            ".globl guest_copy_end\n"
            "guest_copy_end:\n");
}

/* Where a fault continues: rax holds the address. */
__attribute__((naked)) static void guest_copy_stopped(void)
{
    __asm__("retq\n");
}

bool guest_copy_faulted(struct machine_state *state, uint64_t address)
{
    if (state->rip < (uintptr_t)guest_copy || state->rip >= (uintptr_t)guest_copy_end) {
        return false;
    }
    state->rip = (uintptr_t)guest_copy_stopped;
    state->registers[RAX] = address ? address : 1;
    return true;
}
