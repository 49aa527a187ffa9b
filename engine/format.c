/* A small printf: one loop over the format, one output that counts everything and keeps what fits. */
#include "engine/format.h"

#include "engine/base.h"

struct output {
    char *buffer;
    size_t size;
    size_t length; /* of the whole text, also of what did not fit */
};

struct conversion {
    bool left; /* `-` */
    bool zero; /* `0` */
    unsigned width;
    bool has_precision;
    unsigned precision;
    unsigned length; /* bytes of the integer argument */
};

/* Bounds hostile widths: no message needs more. */
#define FORMAT_WIDTH_MAXIMUM 4096

static void put(struct output *output, char character)
{
    if (output->length + 1 < output->size) {
        output->buffer[output->length] = character;
    }
    output->length++;
}

static void put_repeated(struct output *output, char character, unsigned count)
{
    while (count-- > 0) {
        put(output, character);
    }
}

/* `sign` is 0 or the character in front of the digits; zeros are put between the two, spaces outside. */
static void put_padded(struct output *output, const struct conversion *conversion, char sign, const char *text,
                       size_t length)
{
    size_t whole = length + (sign != 0);
    unsigned padding = conversion->width > whole ? conversion->width - (unsigned)whole : 0;
    bool zeros = conversion->zero && !conversion->left;
    if (!conversion->left && !zeros) {
        put_repeated(output, ' ', padding);
    }
    if (sign != 0) {
        put(output, sign);
    }
    if (zeros) {
        put_repeated(output, '0', padding);
    }
    for (size_t i = 0; i < length; i++) {
        put(output, text[i]);
    }
    if (conversion->left) {
        put_repeated(output, ' ', padding);
    }
}

static void put_number(struct output *output, const struct conversion *conversion, uint64_t value, unsigned base,
                       char sign)
{
    char digits[20];
    unsigned first = sizeof(digits);
    do {
        digits[--first] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    put_padded(output, conversion, sign, digits + first, sizeof(digits) - first);
}

static void put_string(struct output *output, struct conversion *conversion, const char *text)
{
    if (text == NULL) {
        text = "(null)";
    }
    size_t length = 0;
    while ((!conversion->has_precision || length < conversion->precision) && text[length] != 0) {
        length++;
    }
    conversion->zero = false;
    put_padded(output, conversion, 0, text, length);
}

/* A decimal number of the format; `*cursor` moves behind it. */
static unsigned parse_number(const char **cursor)
{
    unsigned number = 0;
    while (**cursor >= '0' && **cursor <= '9') {
        number = number * 10 + (unsigned)(*(*cursor)++ - '0');
        if (number > FORMAT_WIDTH_MAXIMUM) {
            number = FORMAT_WIDTH_MAXIMUM;
        }
    }
    return number;
}

static const char *parse_length(const char *cursor, struct conversion *conversion)
{
    conversion->length = sizeof(int);
    while (*cursor == 'l' || *cursor == 'z' || *cursor == 'j') {
        conversion->length = sizeof(uint64_t);
        cursor++;
    }
    return cursor;
}

/* Flags, width, precision and length; `cursor` stands behind the `%`, the result at the conversion's letter. The
 * arguments are passed by address because `*` takes some of them. */
static const char *parse_conversion(const char *cursor, struct conversion *conversion, va_list *arguments)
{
    for (; *cursor == '-' || *cursor == '0'; cursor++) {
        conversion->left |= *cursor == '-';
        conversion->zero |= *cursor == '0';
    }
    if (*cursor == '*') {
        int width = va_arg(*arguments, int);
        conversion->left |= width < 0;
        conversion->width = (unsigned)min_u64(width < 0 ? 0u - (unsigned)width : (unsigned)width, FORMAT_WIDTH_MAXIMUM);
        cursor++;
    } else {
        conversion->width = parse_number(&cursor);
    }
    if (*cursor == '.') {
        cursor++;
        conversion->has_precision = true;
        if (*cursor == '*') {
            int precision = va_arg(*arguments, int);
            conversion->has_precision = precision >= 0;
            conversion->precision = (unsigned)precision;
            cursor++;
        } else {
            conversion->precision = parse_number(&cursor);
        }
    }
    return parse_length(cursor, conversion);
}

/* Put the argument that `kind` asks for; false when it is no conversion. */
static bool put_conversion(struct output *output, struct conversion *conversion, char kind, va_list *arguments)
{
    bool is_int = conversion->length == sizeof(int);
    switch (kind) {
    case 'd': {
        int64_t value = is_int ? va_arg(*arguments, int) : va_arg(*arguments, int64_t);
        uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
        put_number(output, conversion, magnitude, 10, value < 0 ? '-' : 0);
        return true;
    }
    case 'u':
    case 'x': {
        uint64_t value = is_int ? va_arg(*arguments, unsigned) : va_arg(*arguments, uint64_t);
        put_number(output, conversion, value, kind == 'u' ? 10 : 16, 0);
        return true;
    }
    case 'c': {
        char character = (char)va_arg(*arguments, int);
        conversion->zero = false;
        put_padded(output, conversion, 0, &character, 1);
        return true;
    }
    case 's':
        put_string(output, conversion, va_arg(*arguments, const char *));
        return true;
    case 'p':
        put(output, '0');
        put(output, 'x');
        put_number(output, conversion, (uintptr_t)va_arg(*arguments, void *), 16, 0);
        return true;
    case '%':
        put(output, '%');
        return true;
    default:
        return false;
    }
}

size_t format_text_list(char *buffer, size_t size, const char *format, va_list arguments)
{
    struct output output = {.buffer = buffer, .size = size};
    va_list copy;
    va_copy(copy, arguments);
    while (*format != 0) {
        if (*format != '%') {
            put(&output, *format++);
            continue;
        }
        struct conversion conversion = {0};
        const char *end = parse_conversion(format + 1, &conversion, &copy);
        if (put_conversion(&output, &conversion, *end, &copy)) {
            format = end + 1;
            continue;
        }
        while (format < end) { /* not a conversion: copied as it stands */
            put(&output, *format++);
        }
    }
    va_end(copy);
    if (size > 0) {
        buffer[min_u64(output.length, size - 1)] = 0;
    }
    return output.length;
}

size_t format_text(char *buffer, size_t size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t length = format_text_list(buffer, size, format, arguments);
    va_end(arguments);
    return length;
}
