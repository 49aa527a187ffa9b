/* The start of a C or C++ program of which others call functions: a service, and a client too, whose cabi_realloc is called
 * for results. Link it with
 *
 *     -nostartfiles sdk/service/start.c
 *
 * wasi-libc's own start leaves constructors to the linker, which then puts them, and destructors, around every exported
 * function: static objects would be made and destroyed in each call. This one runs them itself, once. */
#include <stdlib.h>

extern void __wasm_call_ctors(void);
extern int __main_void(void); /* main, with the arguments that it wants */

__attribute__((export_name("_start"))) void _start(void)
{
    __wasm_call_ctors();
    exit(__main_void());
}
