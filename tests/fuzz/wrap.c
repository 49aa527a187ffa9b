/* The module around a fuzzed body: a little of everything that instructions can refer to. */
#include "tests/fuzz/wrap.h"

#include "tests/fuzz/buffer.h"
#include "tests/fuzz/generate.h"

static void put_section(struct buffer *module, unsigned id, const void *contents, size_t size)
{
    put_byte(module, id);
    put_unsigned(module, size);
    put_bytes(module, contents, size);
}

#define SECTION(id, contents) put_section(module, id, contents, sizeof(contents) - 1)

/* The same with a count and further items in front of which a module for repeatable bodies ends. */
#define SECTION_MORE(id, count, items, more_count, more)                                                               \
    do {                                                                                                               \
        static const char plain[] = count items, whole[] = more_count items more;                                      \
        put_section(module, id, repeatable ? plain : whole, (repeatable ? sizeof(plain) : sizeof(whole)) - 1);         \
    } while (0)

static void put_before_code(struct buffer *module, bool repeatable)
{
    put_bytes(module, "\0asm\1\0\0\0", 8);
    /* types; the sixth one, of the function "h", is for the wrapper only */
    SECTION_MORE(1, "\6",
                 "\x60\0\0"
                 "\x60\6\x7f\x7e\x7d\x7c\x70\x6f\1\x7f"
                 "\x60\x08\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7c\3\x7e\x7d\x7f"
                 "\x60\2\x7f\x7c\1\x7e"
                 "\x60\2\x7f\x7e\2\x7d\x7c"
                 "\x60\0\1\x7e",
                 "\x0a",
                 "\x5f\6\x7f\1\x7e\1\x78\1\x7c\1\x6e\1\x7b\1"
                 "\x5e\x78\1"
                 "\x5e\x6e\1"
                 "\x60\2\x7f\x7e\0");
    /* import "m" "f": function of type 3 */
    SECTION(2, "\1\1m\1f\0\3");
    /* functions: MANY, VOID, BODY, h */
    SECTION(3, "\4\2\0\1\5");
    /* tables: 10 to 20 funcref, 5 to 8 externref */
    SECTION(4, "\2"
               "\x70\1\x0a\x14"
               "\x6f\1\5\x08");
    /* memory: 1 to 3 pages */
    SECTION(5, "\1\1\1\3");
    if (!repeatable) { /* tags: of types VOID and TAG */
        SECTION(13, "\2\0\0\0\x09");
    }
    /* globals: one of each type, an immutable one, fuel; and one of each further type */
    SECTION_MORE(6, "\x08",
                 "\x7f\1\x41\7\x0b"
                 "\x7e\1\x42\7\x0b"
                 "\x7d\1\x43\0\0\x80\x3f\x0b"
                 "\x7c\1\x44\0\0\0\0\0\0\xf0\x3f\x0b"
                 "\x70\1\xd0\x70\x0b"
                 "\x6f\1\xd0\x6f\x0b"
                 "\x7f\0\x41\x09\x0b"
                 "\x7f\1\x41\xd0\x0f\x0b",
                 "\x12",
                 "\x7b\1\xfd\x0c\1\2\3\4\5\6\7\x08\0\0\0\0\0\0\0\0\x0b"
                 "\x6e\1\xd0\x6e\x0b"
                 "\x6d\1\xd0\x6d\x0b"
                 "\x63\6\1\xd0\6\x0b"
                 "\x63\7\1\xd0\7\x0b"
                 "\x63\x08\1\xd0\x08\x0b"
                 "\x6c\1\xd0\x6c\x0b"
                 "\x69\1\xd0\x69\x0b"
                 "\x63\0\1\xd0\0\x0b"
                 "\x63\1\1\xd0\1\x0b");
    /* exports: body, h */
    SECTION(7, "\2"
               "\1b\0\3"
               "\1h\0\4");
    /* elements: active, functions 0 to 2 at 0; passive, one null externref; passive, one null anyref */
    SECTION_MORE(9, "\2",
                 "\0\x41\0\x0b\3\0\1\2"
                 "\5\x6f\1\xd0\x6f\x0b",
                 "\3", "\5\x6e\1\xd0\x6e\x0b");
    /* data count */
    SECTION(12, "\2");
}

/* MANY: uses parameters in registers and on the stack, gives results of several classes. */
static const uint8_t body_many[] = {0, 0x20, 0, 0x20, 5,    0x6a, 0x20, 6,    0x73, 0xad, 0x20,
                                    7, 0xfc, 6, 0x85, 0x20, 3,    0xb2, 0x20, 4,    0x0b};
/* VOID: adds 1 to global 1. */
static const uint8_t body_void[] = {0, 0x23, 1, 0x42, 1, 0x7c, 0x24, 1, 0x0b};
/* h: for each word of memory, hash = hash * 251 ^ word; then the same with the globals. */
static const uint8_t body_hash[] = {
    2,    1,    0x7f, 1,    0x7e, 0x03, 0x40, 0x20, 1,    0x42, 0xfb, 0x01, 0x7e, 0x20, 0,    0x29, 3,    0,
    0x85, 0x21, 1,    0x20, 0,    0x41, 8,    0x6a, 0x22, 0,    0x3f, 0,    0x41, 16,   0x74, 0x49, 0x0d, 0,
    0x0b, 0x20, 1,    0x42, 0xfb, 0x01, 0x7e, 0x23, 0,    0xad, 0x85, 0x42, 0xfb, 0x01, 0x7e, 0x23, 1,    0x85,
    0x42, 0xfb, 0x01, 0x7e, 0x23, 2,    0xbc, 0xad, 0x85, 0x42, 0xfb, 0x01, 0x7e, 0x23, 3,    0xbd, 0x85, 0x0b,
};

static void put_body(struct buffer *section, const uint8_t *body, size_t size)
{
    put_unsigned(section, size);
    put_bytes(section, body, size);
}

/* The whole module around `body`, which is freed. */
static struct wrapped wrap(struct buffer *body, bool valid, bool repeatable)
{
    struct buffer code = {0}, whole = {0}, *module = &whole;
    put_before_code(module, repeatable);
    put_unsigned(&code, 4);
    put_body(&code, body_many, sizeof(body_many));
    put_body(&code, body_void, sizeof(body_void));
    put_body(&code, body->bytes, body->size);
    put_body(&code, body_hash, sizeof(body_hash));
    put_section(module, 10, code.bytes, code.size);
    SECTION(11, "\2"
                "\1\3abc"
                "\1\1d");
    free(body->bytes);
    free(code.bytes);
    /* An exact copy, so that reading one byte beyond is seen. */
    struct wrapped wrapped = {malloc(whole.size), whole.size, valid};
    if (wrapped.bytes == NULL) {
        abort();
    }
    memcpy(wrapped.bytes, whole.bytes, whole.size);
    free(whole.bytes);
    return wrapped;
}

struct wrapped wrap_repeatable(const uint8_t *choices, size_t count)
{
    struct buffer body = {0};
    generate_body(&body, choices, count, true);
    return wrap(&body, true, true);
}

struct wrapped wrap_body(const uint8_t *data, size_t size)
{
    struct buffer body = {0};
    bool raw = data[0] & 1, repeatable = !raw && (data[0] & 2);
    if (raw) {
        put_bytes(&body, data + 1, size - 1);
    } else {
        generate_body(&body, data + 1, size - 1, repeatable);
    }
    return wrap(&body, !raw, repeatable);
}
