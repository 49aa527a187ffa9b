/* The baseline tier: native code for one function in one pass (engine/baseline/compiler.h tells how). */
#ifndef ENGINE_BASELINE_H
#define ENGINE_BASELINE_H

#include "engine/compile.h"
#include "engine/validate.h"

struct compiler;

/* Where instructions end up, for code_positions. */
struct position_log {
    struct code_position *positions;
    uint32_t count, capacity;
};

struct compiler *baseline_create(const struct module *module, const struct header_layout *layout, uint32_t cpu_features,
                                 const struct engine_allocator *allocator);
void baseline_destroy(struct compiler *compiler);

/* The buffer that code goes to; its first byte is at `origin` of the text. */
void baseline_set_text(struct compiler *compiler, uint8_t *text, size_t capacity, uint32_t origin);
/* What all functions share; goes to the start of the text. */
void baseline_emit_shared(struct compiler *compiler);

/* Compile a function that function_validate accepted; `functions` holds those before it (in index order). `log` may be
 * NULL. ENGINE_LIMIT when the buffer is full. */
enum engine_status baseline_compile(struct compiler *compiler, uint32_t function,
                                    const struct function_summary *summary, struct code_function *functions,
                                    struct position_log *log, struct engine_error *error);
/* When all functions are compiled: let calls lead to those that come behind their callers. */
void baseline_patch_calls(struct compiler *compiler);
/* The tables for exceptions, copied to `arena`; false when memory is out. */
bool baseline_exceptions(const struct compiler *compiler, struct arena *arena, struct code_exceptions *exceptions);
size_t baseline_text_size(const struct compiler *compiler);

#endif
