/* What clang's form of setjmp and longjmp needs: it turns the calls of setjmp in a function into a loop around its
 * calls, which catches the tag __c_longjmp; the value is the address of `argument`. */
#include "setjmp.h"

__asm__(".globl __c_longjmp\n"
        ".tagtype __c_longjmp i32\n"
        "__c_longjmp:\n");

void __wasm_setjmp(void *environment, unsigned int label, void *invocation);
unsigned int __wasm_setjmp_test(void *environment, void *invocation);
_Noreturn void __wasm_longjmp(void *environment, int value);

/* Call number `label` (from 1) of setjmp; `invocation` is an address in the caller's frame. */
void __wasm_setjmp(void *environment, unsigned int label, void *invocation)
{
    jmp_buf *buffer = environment;
    (*buffer)->invocation = invocation;
    (*buffer)->label = label;
}

/* Is it this invocation's? Then which call of setjmp; else 0, and the jump goes on outwards. */
unsigned int __wasm_setjmp_test(void *environment, void *invocation)
{
    jmp_buf *buffer = environment;
    return (*buffer)->invocation == invocation ? (*buffer)->label : 0;
}

_Noreturn void __wasm_longjmp(void *environment, int value)
{
    jmp_buf *buffer = environment;
    (*buffer)->argument.environment = environment;
    (*buffer)->argument.value = value ? value : 1;
    __builtin_wasm_throw(1, &(*buffer)->argument);
}
