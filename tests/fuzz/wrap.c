/* The module around a fuzzed body: a little of everything that instructions can refer to. */
#include "tests/fuzz/wrap.h"

#include "tests/fuzz/buffer.h"
#include "tests/fuzz/generate.h"

/* Everything before the code section, up to WRAP_*_COUNT of each. */
static const uint8_t before_code[] = {
    0x00,
    'a',
    's',
    'm',
    1,
    0,
    0,
    0,
    /* types */
    1,
    41,
    5,
    0x60,
    0,
    0,
    0x60,
    6,
    0x7f,
    0x7e,
    0x7d,
    0x7c,
    0x70,
    0x6f,
    1,
    0x7f,
    0x60,
    8,
    0x7f,
    0x7f,
    0x7f,
    0x7f,
    0x7f,
    0x7f,
    0x7f,
    0x7c,
    3,
    0x7e,
    0x7d,
    0x7f,
    0x60,
    2,
    0x7f,
    0x7c,
    1,
    0x7e,
    0x60,
    2,
    0x7f,
    0x7e,
    2,
    0x7d,
    0x7c,
    /* import "m" "f": function of type 3 */
    2,
    7,
    1,
    1,
    'm',
    1,
    'f',
    0,
    3,
    /* functions: MANY, VOID, BODY */
    3,
    4,
    3,
    2,
    0,
    1,
    /* tables: 10 to 20 funcref, 5 externref */
    4,
    8,
    2,
    0x70,
    1,
    10,
    20,
    0x6f,
    0,
    5,
    /* memory: 1 to 3 pages */
    5,
    4,
    1,
    1,
    1,
    3,
    /* globals */
    6,
    46,
    7,
    0x7f,
    1,
    0x41,
    7,
    0x0b,
    0x7e,
    1,
    0x42,
    7,
    0x0b,
    0x7d,
    1,
    0x43,
    0,
    0,
    0x80,
    0x3f,
    0x0b,
    0x7c,
    1,
    0x44,
    0,
    0,
    0,
    0,
    0,
    0,
    0xf0,
    0x3f,
    0x0b,
    0x70,
    1,
    0xd0,
    0x70,
    0x0b,
    0x6f,
    1,
    0xd0,
    0x6f,
    0x0b,
    0x7f,
    0,
    0x41,
    9,
    0x0b,
    /* export "b": BODY */
    7,
    5,
    1,
    1,
    'b',
    0,
    3,
    /* elements: active, functions 0 to 2 at 0; passive, one null externref */
    9,
    15,
    2,
    0,
    0x41,
    0,
    0x0b,
    3,
    0,
    1,
    2,
    5,
    0x6f,
    1,
    0xd0,
    0x6f,
    0x0b,
    /* data count */
    12,
    1,
    2,
};

/* Bodies of MANY and VOID: no locals, unreachable. */
static const uint8_t other_bodies[] = {3, 0, 0x00, 0x0b, 2, 0, 0x0b};

/* Two passive data segments. */
static const uint8_t data_section[] = {11, 9, 2, 1, 3, 'a', 'b', 'c', 1, 1, 'd'};

struct wrapped wrap_body(const uint8_t *data, size_t size)
{
    struct buffer body = {0}, section = {0}, module = {0};
    if (data[0] & 1) {
        put_bytes(&body, data + 1, size - 1);
    } else {
        generate_body(&body, data + 1, size - 1);
    }
    put_unsigned(&section, 3);
    put_bytes(&section, other_bodies, sizeof(other_bodies));
    put_unsigned(&section, body.size);
    put_bytes(&section, body.bytes, body.size);
    put_bytes(&module, before_code, sizeof(before_code));
    put_byte(&module, 10);
    put_unsigned(&module, section.size);
    put_bytes(&module, section.bytes, section.size);
    put_bytes(&module, data_section, sizeof(data_section));
    free(body.bytes);
    free(section.bytes);
    /* An exact copy, so that reading one byte beyond is seen. */
    struct wrapped wrapped = {malloc(module.size), module.size, !(data[0] & 1)};
    if (wrapped.bytes == NULL) {
        abort();
    }
    memcpy(wrapped.bytes, module.bytes, module.size);
    free(module.bytes);
    return wrapped;
}
