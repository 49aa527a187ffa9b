/* In the place of wasi-libc's: its library was compiled without threads, so its errno is one variable for all. */
#ifndef TESSERA_THREADS_ERRNO_H
#define TESSERA_THREADS_ERRNO_H

#ifdef __cplusplus
extern "C" {
#endif
extern int errno;
#ifdef __cplusplus
}
#endif
#define errno errno

#endif
