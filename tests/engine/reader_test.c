/* LEB128: shortest, longest, too long, too large, cut off; and the trusted readers on the same bytes. */
#include "engine/reader.h"

#include "tests/kernel/check.h"

struct case_ {
    const char *bytes;
    size_t size;
    unsigned bits; /* negative numbers are read as signed ones */
    bool is_signed;
    enum reader_fault fault;
    int64_t value;
};

#define BYTES(text) text, sizeof(text) - 1

static const struct case_ cases[] = {
    {BYTES("\x00"), 32, false, READER_OK, 0},
    {BYTES("\x7f"), 32, false, READER_OK, 127},
    {BYTES("\x80\x01"), 32, false, READER_OK, 128},
    {BYTES("\x80\x00"), 32, false, READER_OK, 0},
    {BYTES("\x80\x80\x80\x80\x00"), 32, false, READER_OK, 0},
    {BYTES("\xff\xff\xff\xff\x0f"), 32, false, READER_OK, 0xffffffff},
    {BYTES("\xff\xff\xff\xff\x1f"), 32, false, READER_LARGE, 0},
    {BYTES("\x80\x80\x80\x80\x70"), 32, false, READER_LARGE, 0},
    {BYTES("\x80\x80\x80\x80\x80\x00"), 32, false, READER_LONG, 0},
    {BYTES("\x80\x80"), 32, false, READER_END, 0},
    {BYTES(""), 32, false, READER_END, 0},
    {BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 64, false, READER_OK, -1},
    {BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), 64, false, READER_LARGE, 0},
    {BYTES("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), 64, false, READER_LONG, 0},
    {BYTES("\x7f"), 32, true, READER_OK, -1},
    {BYTES("\x3f"), 32, true, READER_OK, 63},
    {BYTES("\x40"), 32, true, READER_OK, -64},
    {BYTES("\xc0\x00"), 32, true, READER_OK, 64},
    {BYTES("\xff\xff\xff\xff\x07"), 32, true, READER_OK, 0x7fffffff},
    {BYTES("\x80\x80\x80\x80\x78"), 32, true, READER_OK, -2147483648ll},
    {BYTES("\xff\xff\xff\xff\x7f"), 32, true, READER_OK, -1},
    {BYTES("\xff\xff\xff\xff\x0f"), 32, true, READER_LARGE, 0},
    {BYTES("\x80\x80\x80\x80\x70"), 32, true, READER_LARGE, 0},
    {BYTES("\xff\xff\xff\xff\xff\x7f"), 32, true, READER_LONG, 0},
    {BYTES("\xff\xff\xff\xff\x0f"), 33, true, READER_OK, 0xffffffff},
    {BYTES("\x80\x80\x80\x80\x70"), 33, true, READER_OK, -4294967296ll},
    {BYTES("\xff\xff\xff\xff\x1f"), 33, true, READER_LARGE, 0},
    {BYTES("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f"), 64, true, READER_OK, INT64_MIN},
    {BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00"), 64, true, READER_OK, INT64_MAX},
    {BYTES("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7e"), 64, true, READER_LARGE, 0},
    {BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 64, true, READER_LARGE, 0},
};

static void check_case(const struct case_ *c)
{
    const uint8_t *start = (const uint8_t *)c->bytes;
    struct reader reader = {.cursor = start, .limit = start + c->size};
    uint64_t number = 0;
    int64_t integer = 0;
    bool read = c->is_signed ? reader_signed(&reader, c->bits, &integer) : reader_unsigned(&reader, c->bits, &number);
    int64_t value = c->is_signed ? integer : (int64_t)number;
    bool right = read == (c->fault == READER_OK) && reader.fault == c->fault;
    right = right && (!read || (value == c->value && reader.cursor == reader.limit));
    right = right && (read || reader.cursor == start);
    if (read) {
        const uint8_t *cursor = start;
        int64_t trusted = c->is_signed ? read_s64_trusted(&cursor) : (int64_t)read_u64_trusted(&cursor);
        right = right && trusted == c->value && cursor == reader.limit;
    }
    if (!right) {
        printf("case %zu of reader_test\n", (size_t)(c - cases));
    }
    CHECK(right);
}

int main(void)
{
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        check_case(&cases[i]);
    }
    static const uint8_t bytes[] = {0x7f, 0xff, 0x7f, 0xff, 1, 2, 3};
    struct reader reader = {.cursor = bytes, .limit = bytes + sizeof(bytes)};
    int32_t small;
    int64_t block;
    uint32_t index;
    CHECK(reader_s32(&reader, &small) && small == -1);
    CHECK(reader_s33(&reader, &block) && block == -1);
    CHECK(reader_u32(&reader, &index) && index == 255);
    CHECK(reader_bytes(&reader, 2) == bytes + 5 && reader_bytes(&reader, 1) == NULL && reader.fault == READER_END);
    const uint8_t *cursor = bytes;
    CHECK(read_fixed32_trusted(&cursor) == 0xff7fff7f && cursor == bytes + 4);
    return checks_report();
}
