/* Errors of the engine: a small closed set, with one message that says what was wrong and where.
 *
 * Every engine function that can refuse its input returns `enum engine_status` and fills a caller-owned
 * `struct engine_error` when the status is not ENGINE_OK. The message is complete English without a final
 * newline and starts with the place ("offset 0x2f, function 3: type mismatch: ..."), except for ENGINE_NO_MEMORY, which
 * has none. The first error wins: a filled error is not overwritten by the callers above. So an error starts out as
 * `struct engine_error error = {0};`. */
#ifndef ENGINE_ERROR_H
#define ENGINE_ERROR_H

#include <stdarg.h>
#include <stdint.h>

enum engine_status {
    ENGINE_OK = 0,
    ENGINE_MALFORMED,   /* the bytes are not a module of the binary format (spec chapter 5) */
    ENGINE_INVALID,     /* a module, but it does not validate (spec chapter 3) */
    ENGINE_UNSUPPORTED, /* needs a feature that this engine does not have yet; `feature` names it */
    ENGINE_LIMIT,       /* larger than an implementation limit (engine/limits.h) */
    ENGINE_NO_MEMORY,   /* the embedder's allocator refused */
};

#define ENGINE_NO_FUNCTION UINT32_MAX

struct engine_error {
    enum engine_status status;
    uint32_t function; /* index in the function index space, or ENGINE_NO_FUNCTION outside of code */
    uint64_t offset;   /* byte offset in the module where the offending item starts */
    const char *feature; /* static string ("simd", "gc", ...) with ENGINE_UNSUPPORTED, else NULL */
    char message[160];
};

/* Fill `error` (unless it already holds one) and return `status`, so that a refusal is one line. */
enum engine_status engine_fail(struct engine_error *error, enum engine_status status, uint32_t function,
                               uint64_t offset, const char *format, ...)
    __attribute__((format(printf, 5, 6), cold));

/* The same for ENGINE_UNSUPPORTED: `feature` is a static string such as "simd", `item` says what needs it. */
enum engine_status engine_unsupported(struct engine_error *error, uint32_t function, uint64_t offset,
                                      const char *feature, const char *item) __attribute__((cold));

#endif
