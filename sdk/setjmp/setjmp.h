/* setjmp and longjmp for wasm32-wasi, whose libc has none: clang makes exceptions of them
 * (-mllvm -wasm-enable-sjlj; sdk/setjmp/README.md). A signal mask does not exist, so all forms are the same. */
#ifndef SDK_SETJMP_H
#define SDK_SETJMP_H

#ifdef __cplusplus
extern "C" {
#endif

/* What sdk/setjmp/setjmp.c keeps in it. */
typedef struct {
    void *invocation;     /* of the function that called setjmp; dead when it returned */
    unsigned int label;   /* which of its setjmp calls */
    struct {
        void *environment;
        int value;
    } argument;           /* of the longjmp that is under way */
} jmp_buf[1];
typedef jmp_buf sigjmp_buf;

int setjmp(jmp_buf environment) __attribute__((__returns_twice__));
void longjmp(jmp_buf environment, int value) __attribute__((__noreturn__));

#define setjmp(environment)                    setjmp(environment)
#define _setjmp(environment)                   setjmp(environment)
#define _longjmp(environment, value)           longjmp((environment), (value))
#define sigsetjmp(environment, save_signals)   ((void)(save_signals), setjmp(environment))
#define siglongjmp(environment, value)         longjmp((environment), (value))

#ifdef __cplusplus
}
#endif

#endif
