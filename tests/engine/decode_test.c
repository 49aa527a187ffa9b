/* The decoder: exact messages for damaged modules, limits, names, numbering of references, large modules. */
#include "tests/engine/support.h"

#include "engine/decode.h"
#include "engine/limits.h"
#include "tests/fuzz/buffer.h"

struct refusal {
    const char *bytes;
    size_t size;
    enum engine_status status;
    const char *message;
};

#define MODULE(text) PREAMBLE text, sizeof(PREAMBLE text) - 1
/* One type [] -> [], one function of it, and its body. */
#define TYPE     "\1\4\1\x60\0\0"
#define FUNCTION "\3\2\1\0"

static const struct refusal refusals[] = {
    {"", 0, ENGINE_MALFORMED, "offset 0x0: magic header not detected: not a WebAssembly binary"},
    {"\0asm\2\0\0\0", 8, ENGINE_MALFORMED, "offset 0x4: unknown binary version"},
    {MODULE("\x0e\0"), ENGINE_MALFORMED, "offset 0x8: malformed section id 14"},
    {MODULE("\1\5\0"), ENGINE_MALFORMED, "offset 0x8: unexpected end: section of 5 bytes, but 1 are left"},
    {MODULE("\1\2\0\0"), ENGINE_MALFORMED, "offset 0xb: section size mismatch: 1 bytes left in the type section"},
    {MODULE("\3\1\0\1\1\0"), ENGINE_MALFORMED, "offset 0xb: unexpected content: type section out of order or repeated"},
    {MODULE("\1\1\0\1\1\0"), ENGINE_MALFORMED, "offset 0xb: unexpected content: type section out of order or repeated"},
    {MODULE("\1\6\xff\xff\xff\xff\x0f\0"), ENGINE_MALFORMED,
     "offset 0xa: unexpected end: 4294967295 types do not fit into the section"},
    {MODULE("\1\5\1\x60\1\x7a\0"), ENGINE_MALFORMED, "offset 0xd: malformed value type 0x7a"},
    {MODULE("\0\3\2\xc3\x28"), ENGINE_MALFORMED, "offset 0xa: malformed UTF-8 encoding in custom section name"},
    {MODULE(TYPE FUNCTION), ENGINE_MALFORMED,
     "offset 0x12: function and code section have inconsistent lengths: 1 and 0"},
    {MODULE("\3\2\1\0"), ENGINE_INVALID, "offset 0xb: unknown type 0"},
    {MODULE("\5\4\1\1\2\1"), ENGINE_INVALID, "offset 0xb: size minimum must not be greater than maximum"},
    {MODULE("\5\5\1\0\x81\x80\x04"), ENGINE_INVALID, "offset 0xb: memory size must be at most 65536"},
    {MODULE("\5\3\1\x10\0"), ENGINE_MALFORMED, "offset 0xb: malformed limits flags 0x10"},
    {MODULE("\6\6\1\x7f\0\x42\0\x0b"), ENGINE_INVALID,
     "offset 0xd: type mismatch: constant expression is i64, expected i32"},
    {MODULE("\6\5\1\x7f\0\x45\x0b"), ENGINE_INVALID,
     "offset 0xd: constant expression required: i32.eqz is not constant"},
    {MODULE("\6\4\1\x7f\0\x0b"), ENGINE_INVALID,
     "offset 0xd: type mismatch: constant expression gives 0 values, not 1"},
    {MODULE("\6\x07\1\x7f\0\x41\0\x6a\x0b"), ENGINE_INVALID,
     "offset 0xf: type mismatch: i32.add in a constant expression"},
    {MODULE("\6\6\1\x7f\0\x23\0\x0b"), ENGINE_INVALID, "offset 0xd: unknown global 0"},
    {MODULE("\5\3\1\0\0\7\x0d\2\3mem\2\0\3mem\2\0"), ENGINE_INVALID, "offset 0x17: duplicate export name \"mem\""},
    {MODULE("\7\5\1\1x\0\0"), ENGINE_INVALID, "offset 0xd: unknown function 0"},
    {MODULE("\x0c\1\1"), ENGINE_MALFORMED,
     "offset 0xb: data count and data section have inconsistent lengths: 1 and 0"},
    {MODULE(TYPE FUNCTION "\x0a\4\1\2\0\x16"), ENGINE_MALFORMED, "offset 0x17, function 0: illegal opcode 0x16"},
    {MODULE(TYPE FUNCTION "\x0a\5\1\3\0\x6a\x0b"), ENGINE_INVALID,
     "offset 0x17, function 0: type mismatch: i32.add expects i32, but nothing is on the stack"},
    {MODULE(TYPE FUNCTION "\x0a\x08\1\6\0\x42\0\x45\x1a\x0b"), ENGINE_INVALID,
     "offset 0x19, function 0: type mismatch: i32.eqz expects i32, found i64"},
    {MODULE(TYPE FUNCTION "\x0a\6\1\4\0\x41\0\x0b"), ENGINE_INVALID,
     "offset 0x19, function 0: type mismatch: 1 values too many at the end of the block"},
    {MODULE(TYPE FUNCTION "\x0a\5\1\3\0\x0b\x0b"), ENGINE_MALFORMED,
     "offset 0x18, function 0: unexpected content: 1 bytes behind the end of the function"},
    {MODULE(TYPE FUNCTION "\x0a\4\1\2\0\x01"), ENGINE_MALFORMED,
     "offset 0x18, function 0: unexpected end of function body: end expected"},
    {MODULE(TYPE FUNCTION "\x0a\x0a\1\x08\1\xd1\x86\x03\x7f\x0b\0\0"), ENGINE_LIMIT,
     "offset 0x17, function 0: too many locals: 50001, limit 50000"},
    {MODULE(TYPE FUNCTION "\x0a\x08\1\6\0\x43\0\0\0\0"), ENGINE_MALFORMED,
     "offset 0x1c, function 0: unexpected end of function body: end expected"},
};

static void check_refusals(void)
{
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        struct engine_error error;
        enum engine_status status = check_module((const uint8_t *)refusals[i].bytes, refusals[i].size, &error);
        bool same = status == refusals[i].status && strcmp(error.message, refusals[i].message) == 0;
        if (!same) {
            printf("%zu: status %d, \"%s\"\n   expected %d, \"%s\"\n", i, status, error.message, refusals[i].status,
                   refusals[i].message);
        }
        CHECK(same);
        CHECK((error.feature != NULL) == (status == ENGINE_UNSUPPORTED));
    }
    CHECK(memory_outstanding == 0);
}

/* What a module gets that uses a feature to come, by whatever name that has. */
static void check_unsupported(void)
{
    struct engine_error error = {0};
    CHECK(engine_unsupported(&error, 7, 0x17, "simd", "i8x16.splat") == ENGINE_UNSUPPORTED);
    CHECK(strcmp(error.message,
                 "offset 0x17, function 7: i8x16.splat needs the feature simd, which is not supported") == 0);
    CHECK(strcmp(error.feature, "simd") == 0);
}

static void global_plus_100(const void *context, uint32_t index, uint64_t value[2])
{
    (void)context;
    value[0] = index + 100;
    value[1] = 0;
}

/* Arithmetic in constant expressions: done at once, or left until globals are known. */
static void check_constants(void)
{
    static const uint8_t bytes[] = {
        0,    'a', 's',  'm',  1,    0,    0,    0,    2,    8,    1,
        1,    'm', 1,    'g',  3,    0x7f, 0,                            /* import global 0: i32 */
        6,    36,  4,    0x7f, 0,    0x41, 7,    0x41, 9,    0x6b, 0x0b, /* 7 - 9 */
        0x7e, 0,   0x42, 5,    0x42, 6,    0x42, 7,    0x7e, 0x7c, 0x0b, /* 5 + 6 * 7 */
        0x7f, 0,   0x23, 0,    0x41, 3,    0x6c, 0x23, 1,    0x6a, 0x0b, /* global 0 * 3 + global 1 */
        0x7f, 0,   0x23, 0,    0x0b, 0,
    };
    struct engine_error error = {0};
    struct module *module;
    CHECK(module_decode(bytes, sizeof(bytes) - 1, &test_allocator, &module, &error) == ENGINE_OK);
    if (error.status != ENGINE_OK) {
        printf("%s\n", error.message);
        return;
    }
    const struct constant_expression *constant = module->globals[1].initializer;
    CHECK(constant->kind == CONSTANT_VALUE && constant->bits[0] == 0xfffffffe);
    constant = module->globals[2].initializer;
    CHECK(constant->kind == CONSTANT_VALUE && constant->bits[0] == 47 && constant->type == VALUE_I64);
    constant = module->globals[3].initializer;
    CHECK(constant->kind == CONSTANT_CODE);
    uint64_t value[2], values[CONSTANT_DEPTH_MAXIMUM][2];
    constant_evaluate(module, constant,
                      &(struct constant_environment){.values = values, .read_global = global_plus_100}, value);
    CHECK(value[0] == 100 * 3 + 101);
    constant = module->globals[4].initializer;
    CHECK(constant->kind == CONSTANT_GLOBAL_GET && constant->index == 0);
    module_release(module);
    CHECK(memory_outstanding == 0);
}

static void put_section(struct buffer *module, unsigned id, struct buffer *contents)
{
    put_byte(module, id);
    put_unsigned(module, contents->size);
    put_bytes(module, contents->bytes, contents->size);
    free(contents->bytes);
    *contents = (struct buffer){0};
}

/* Functions with names, exports and an element segment. */
static const uint8_t small_module[] = {
    0,  'a', 's', 'm',  1,   0,    0,   0,    1,    4, 1, 0x60, 0,   0,           /* type */
    2,  7,   1,   1,    'm', 1,    'f', 0,    0,                                  /* import function 0 */
    3,  5,   4,   0,    0,   0,    0,                                             /* functions 1 to 4 */
    4,  4,   1,   0x70, 0,   4,                                                   /* table */
    6,  6,   1,   0x70, 0,   0xd2, 4,   0x0b,                                     /* global: ref.func 4 */
    7,  9,   2,   1,    'b', 0,    1,   1,    'a',  0, 3,                         /* exports of 1 and 3 */
    9,  6,   1,   3,    0,   2,    0,   3,                                        /* declarative: 0 and 3 */
    10, 13,  4,   2,    0,   0x0b, 2,   0,    0x0b, 2, 0, 0x0b, 2,   0, 0x0b,     /* code */
    0,  14,  4,   'n',  'a', 'm',  'e', 1,    7,    2, 1, 1,    'x', 2, 1,    'y' /* names of 1 and 2 */
};

static void check_small_module(void)
{
    struct engine_error error = {0};
    struct module *module;
    enum engine_status status = module_decode(small_module, sizeof(small_module), &test_allocator, &module, &error);
    CHECK(status == ENGINE_OK);
    if (status != ENGINE_OK) {
        printf("%s\n", error.message);
        return;
    }
    CHECK(module->function_reference_count == 4);
    CHECK(module->functions[0].reference == 0 && module->functions[1].reference == 1);
    CHECK(module->functions[2].reference == NO_REFERENCE);
    CHECK(module->functions[3].reference == 2 && module->functions[4].reference == 3);
    struct name name = module_function_name(module, 1);
    CHECK(name.length == 1 && name.text[0] == 'x');
    name = module_function_name(module, 2);
    CHECK(name.length == 1 && name.text[0] == 'y');
    name = module_function_name(module, 3);
    CHECK(name.length == 1 && name.text[0] == 'a');
    name = module_function_name(module, 0);
    CHECK(name.length == 1 && name.text[0] == 'f');
    CHECK(module_function_name(module, 4).length == 0 && module_function_name(module, 99).length == 0);
    CHECK(module_find_export(module, "a", 1)->index == 3 && module_find_export(module, "b", 1)->index == 1);
    CHECK(module_find_export(module, "c", 1) == NULL && module_find_export(module, "", 0) == NULL);
    CHECK(module->custom_section_count == 1 && module->section_count == 9);
    module_release(module);
    CHECK(memory_outstanding == 0);
}

/* Every allocation of a decoding refused once: no leak, no crash, the right status. */
static void check_refused_memory(void)
{
    unsigned refused = 0;
    enum engine_status status;
    do {
        struct engine_error error = {0};
        struct module *module = NULL;
        memory_refuse_at = ++refused;
        status = module_decode(small_module, sizeof(small_module), &test_allocator, &module, &error);
        CHECK(status == ENGINE_OK || status == ENGINE_NO_MEMORY);
        if (status == ENGINE_OK) {
            module_release(module);
        } else {
            CHECK(strncmp(error.message, "out of memory", 13) == 0);
        }
        CHECK(memory_outstanding == 0);
    } while (status != ENGINE_OK && refused < 1000);
    memory_refuse_at = 0;
    CHECK(refused > 2);
}

/* As many exports as there may be: all are found, and one name that is there twice is noticed. */
static void check_many_exports(unsigned count, bool twice)
{
    struct buffer module = {0}, section = {0};
    char name[16];
    put_bytes(&module, PREAMBLE "\5\3\1\0\0", 13);
    put_unsigned(&section, count);
    for (unsigned i = 0; i < count; i++) {
        int length = snprintf(name, sizeof(name), "%08x", (twice && i == count - 1 ? 7 : i) * 2654435761u);
        put_unsigned(&section, (unsigned)length);
        put_bytes(&section, name, (size_t)length);
        put_bytes(&section, "\2\0", 2);
    }
    put_section(&module, 7, &section);
    struct engine_error error = {0};
    struct module *decoded;
    enum engine_status status = module_decode(module.bytes, module.size, &test_allocator, &decoded, &error);
    CHECK(status == (count > ENGINE_LIMIT_EXPORTS ? ENGINE_LIMIT : twice ? ENGINE_INVALID : ENGINE_OK));
    if (status == ENGINE_OK) {
        unsigned missing = 0;
        for (unsigned i = 0; i < count; i += 97) {
            snprintf(name, sizeof(name), "%08x", i * 2654435761u);
            missing += module_find_export(decoded, name, 8) != &decoded->exports[i];
        }
        CHECK(missing == 0);
        module_release(decoded);
    }
    free(module.bytes);
    CHECK(memory_outstanding == 0);
}

/* Letters are looked at eight at a time: what is none is seen wherever it is, and nothing behind the end is read. */
static void check_utf8(void)
{
    static const struct {
        const char *text;
        bool good;
    } sequences[] = {
        {"", true},      {"\xc3\xa4", true},  {"\xe2\x82\xac", true},  {"\xf0\x9f\x98\x80", true},  {"\x80", false},
        {"\xc3", false}, {"\xc0\x80", false}, {"\xed\xa0\x80", false}, {"\xf4\x90\x80\x80", false}, {"\xff", false}};
    for (size_t i = 0; i < sizeof sequences / sizeof *sequences; i++) {
        size_t length = strlen(sequences[i].text);
        for (size_t before = 0; before < 20; before++) {
            for (size_t after = 0; after < 20; after++) {
                uint8_t *text = malloc(before + length + after + !(before + length + after));
                memset(text, 'a', before + length + after);
                memcpy(text + before, sequences[i].text, length);
                CHECK(decode_utf8_valid(text, before + length + after) == sequences[i].good);
                free(text);
            }
        }
    }
}

int main(void)
{
    check_utf8();
    check_refusals();
    check_unsupported();
    check_small_module();
    check_constants();
    check_refused_memory();
    check_many_exports(1000000, false);
    check_many_exports(100000, true);
    check_many_exports(1000001, false);
    return checks_report();
}
