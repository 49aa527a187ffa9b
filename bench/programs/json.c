/* Writing and parsing JSON: byte-wise recursive descent, a switch per character, numbers. */
#include "bench.h"

enum { RECORDS = 800 };

struct parser {
    const char *cursor;
    uint64_t sum;
};

static size_t write_document(char *text, size_t size)
{
    char *end = text + size, *cursor = text;
    uint32_t random = 2024;
    *cursor++ = '[';
    for (uint32_t i = 0; i < RECORDS; i++)
        cursor += snprintf(cursor, (size_t)(end - cursor),
                           "%s\n  { \"id\": %u, \"name\": \"item \\\"%u\\\"\", \"price\": %u.%02u, \"tags\": "
                           "[\"a%u\", \"b\", null, true], \"inner\": { \"x\": -%u, \"y\": 1e%u, \"ok\": false } }",
                           i == 0 ? "" : ",", i, next_random(&random) % 1000, next_random(&random) % 10000,
                           next_random(&random) % 100, i, next_random(&random) % 77777, next_random(&random) % 9);
    *cursor++ = ']';
    *cursor = 0;
    return (size_t)(cursor - text);
}

static void skip_space(struct parser *parser)
{
    while (*parser->cursor == ' ' || *parser->cursor == '\n' || *parser->cursor == '\t' || *parser->cursor == '\r')
        parser->cursor++;
}

static void parse_string(struct parser *parser)
{
    uint32_t hash = 5381;
    parser->cursor++;
    while (*parser->cursor != '"') {
        if (*parser->cursor == '\\')
            parser->cursor++;
        hash = hash * 33 + (uint8_t)*parser->cursor++;
    }
    parser->cursor++;
    parser->sum = mix(parser->sum, hash);
}

static void parse_number(struct parser *parser)
{
    int negative = *parser->cursor == '-';
    double value = 0, unit = 1;
    parser->cursor += negative;
    for (; *parser->cursor >= '0' && *parser->cursor <= '9'; parser->cursor++)
        value = value * 10 + (*parser->cursor - '0');
    if (*parser->cursor == '.')
        for (parser->cursor++; *parser->cursor >= '0' && *parser->cursor <= '9'; parser->cursor++)
            value += (*parser->cursor - '0') * (unit /= 10);
    if (*parser->cursor == 'e')
        for (int exponent = parser->cursor[1] - '0'; exponent > 0; exponent--)
            value *= 10;
    if (*parser->cursor == 'e')
        parser->cursor += 2;
    parser->sum = mix_double(parser->sum, negative ? -value : value);
}

static void parse_value(struct parser *parser)
{
    skip_space(parser);
    char first = *parser->cursor;
    switch (first) {
    case '{':
    case '[':
        do {
            parser->cursor++;
            if (first == '{') {
                skip_space(parser);
                parse_string(parser);
                skip_space(parser);
                parser->cursor++;
            }
            parse_value(parser);
            skip_space(parser);
        } while (*parser->cursor == ',');
        parser->cursor++;
        break;
    case '"':
        parse_string(parser);
        break;
    case 't':
    case 'n':
        parser->cursor += 4;
        parser->sum = mix(parser->sum, (uint64_t)first);
        break;
    case 'f':
        parser->cursor += 5;
        parser->sum = mix(parser->sum, 5);
        break;
    default:
        parse_number(parser);
    }
}

uint64_t compute(uint32_t scale)
{
    static char text[RECORDS * 256];
    uint64_t sum = write_document(text, sizeof text);
    for (uint32_t round = 0; round < 900 * scale; round++) {
        struct parser parser = {text, round};
        parse_value(&parser);
        sum = mix(sum, parser.sum);
    }
    return sum;
}
