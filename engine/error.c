/* Filling struct engine_error. */
#include "engine/error.h"

#include "engine/base.h"
#include "engine/format.h"

enum engine_status engine_fail(struct engine_error *error, enum engine_status status, uint32_t function,
                               uint64_t offset, const char *format, ...)
{
    if (error == NULL || error->status != ENGINE_OK) {
        return status;
    }
    error->status = status;
    error->function = function;
    error->offset = offset;
    error->feature = NULL;
    size_t size = sizeof(error->message);
    size_t length = 0;
    if (status == ENGINE_NO_MEMORY) {
        error->message[0] = 0;
    } else if (function == ENGINE_NO_FUNCTION) {
        length = format_text(error->message, size, "offset 0x%llx: ", (unsigned long long)offset);
    } else {
        length =
            format_text(error->message, size, "offset 0x%llx, function %u: ", (unsigned long long)offset, function);
    }
    va_list arguments;
    va_start(arguments, format);
    format_text_list(error->message + length, size - length, format, arguments);
    va_end(arguments);
    return status;
}

enum engine_status engine_unsupported(struct engine_error *error, uint32_t function, uint64_t offset,
                                      const char *feature, const char *item)
{
    if (error != NULL && error->status == ENGINE_OK) {
        engine_fail(error, ENGINE_UNSUPPORTED, function, offset, "%s needs the feature %s, which is not supported",
                    item, feature);
        error->feature = feature;
    }
    return ENGINE_UNSUPPORTED;
}
