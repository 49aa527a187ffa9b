/* What the files of the decoder share; not for use outside of the engine's front end.
 *
 * Errors are sticky: the first failing call notes the error and the status, and every later call returns zeros without
 * reading. So a run of reads is checked once, at the end of an item, and loops ask decode_ok. */
#ifndef ENGINE_DECODE_H
#define ENGINE_DECODE_H

#include "engine/module.h"
#include "engine/reader.h"

struct decoder {
    struct module *module;
    struct reader reader; /* over the section that is being decoded */
    struct engine_error *error;
    enum engine_status status;
    uint32_t data_count; /* of the data count section */
    uint32_t body_count; /* of the code section */
    uint32_t steps;      /* of the loops over items */
};

#define DECODE_PAUSE_STEPS 256

static inline bool decode_ok(const struct decoder *decoder)
{
    return decoder->status == ENGINE_OK;
}

/* The same in a loop over items: now and then with a pause (struct engine_allocator). */
static inline bool decode_goes_on(struct decoder *decoder)
{
    const struct engine_allocator *allocator = decoder->module->arena.allocator;
    if (++decoder->steps % DECODE_PAUSE_STEPS == 0 && allocator->pause) {
        allocator->pause(allocator->context);
    }
    return decode_ok(decoder);
}

/* Module offset of the next byte. */
static inline uint32_t decode_offset(const struct decoder *decoder)
{
    return (uint32_t)(decoder->reader.cursor - decoder->module->bytes);
}

void decode_fail(struct decoder *decoder, enum engine_status status, uint32_t offset, const char *format, ...)
    __attribute__((format(printf, 4, 5), cold));
/* ENGINE_UNSUPPORTED: `item` needs enum feature `feature`. */
void decode_unsupported(struct decoder *decoder, unsigned feature, uint32_t offset, const char *item)
    __attribute__((cold));

/* ---- Elements of the format. `what` names the item in messages ---- */
uint8_t decode_byte(struct decoder *decoder, const char *what);
uint32_t decode_u32(struct decoder *decoder, const char *what);
uint64_t decode_u64(struct decoder *decoder, const char *what);
/* The length of a vector whose elements take at least `element_bytes` each; refused when the section cannot hold them
 * or `total`, which are there already, and they exceed `limit`. */
uint32_t decode_count(struct decoder *decoder, uint32_t total, uint32_t limit, uint32_t element_bytes,
                      const char *what);
struct name decode_name(struct decoder *decoder, const char *what);
/* Zeroed memory of the module's arena; NULL after an error. */
void *decode_allocate(struct decoder *decoder, size_t count, size_t size);
/* The array of an index space with `count` more elements behind the `used` first ones. */
void *decode_extend(struct decoder *decoder, const void *array, size_t used, size_t count, size_t size);
bool decode_utf8_valid(const uint8_t *text, size_t length);

/* ---- Types (decode_types.c) ---- */
/* Types that stand in the format as themselves or in the long form of 3.0, (ref null func) and (ref null extern). */
value_type decode_value_type(struct decoder *decoder);
value_type decode_reference_type(struct decoder *decoder);
struct table_type decode_table_type(struct decoder *decoder);
struct memory_type decode_memory_type(struct decoder *decoder);
struct global_type decode_global_type(struct decoder *decoder);
void decode_type_section(struct decoder *decoder);
void decode_import_section(struct decoder *decoder);
/* A tag: the index of its function type. */
uint32_t decode_tag_type(struct decoder *decoder);
/* Whether one more memory may be there. */
void decode_check_memory_count(struct decoder *decoder, uint32_t count, uint32_t offset);

/* The outcome of reading one value or reference type, for decoder and validator. */
enum type_reading { TYPE_READ, TYPE_READER_FAULT, TYPE_MALFORMED, TYPE_UNKNOWN, TYPE_NEEDS_FEATURE };
/* `*feature` is set with TYPE_NEEDS_FEATURE. Type indices below `type_limit` are known (TYPE_UNKNOWN otherwise) and
 * become canonical, but for those of the group that is being decoded. */
enum type_reading read_value_type(const struct module *module, struct reader *reader, value_type *type,
                                  unsigned *feature);
/* A heap type (spec 5.3.3). */
enum type_reading read_heap_type(const struct module *module, struct reader *reader, heap_type *type,
                                 unsigned *feature);
/* A type index that must be a function type's; 0 after an error. */
uint32_t decode_function_type_index(struct decoder *decoder);

/* ---- Constant expressions (constant.c) ---- */
/* Globals below `global_limit` may be read. */
void decode_constant(struct decoder *decoder, value_type expected, uint32_t global_limit,
                     struct constant_expression *result);
/* Note that the function's reference can be taken. False when there is no such function. */
bool decode_mark_reference(struct decoder *decoder, uint32_t function);

/* ---- Segments and exports (decode_segments.c) ---- */
void decode_export_section(struct decoder *decoder);
void decode_element_section(struct decoder *decoder);
void decode_data_section(struct decoder *decoder);

#endif
