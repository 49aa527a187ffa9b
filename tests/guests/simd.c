/* Vectors as clang makes them: intrinsics against the same in scalars, loops that it vectorizes, vectors as arguments,
 * results and on the stack. Prints what differs, then a summary. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <wasm_simd128.h>

static unsigned checks, differences;

static void check(const char *name, int right)
{
    checks++;
    if (!right) {
        differences++;
        printf("%s differs\n", name);
    }
}

static uint32_t state = 1;

static uint32_t random_bits(void)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static v128_t random_vector(void)
{
    static const uint32_t edges[] = {0, 0xffffffff, 0x80000000, 0x7fffffff, 0x80008000, 0x7f7f7f7f, 0x01010101};
    uint32_t words[4];
    for (int i = 0; i < 4; i++)
        words[i] = random_bits() & 4 ? random_bits() : edges[random_bits() % 7];
    return wasm_v128_load(words);
}

/* One lane at a time, by an expression of x and y. */
#define LANES(name, type, count, vector, expression)                                                                   \
    static void name(v128_t a, v128_t b)                                                                               \
    {                                                                                                                  \
        type xs[count], ys[count], expected[count];                                                                    \
        v128_t actual = vector;                                                                                        \
        wasm_v128_store(xs, a);                                                                                        \
        wasm_v128_store(ys, b);                                                                                        \
        for (volatile int i = 0; i < (count); i++) {                                                                   \
            type x = xs[i], y = ys[i];                                                                                 \
            (void)x, (void)y;                                                                                          \
            expected[i] = (type)(expression);                                                                          \
        }                                                                                                              \
        check(#name, memcmp(&actual, expected, 16) == 0);                                                              \
    }
#define CLAMP(value, low, high) ((value) < (low) ? (low) : (value) > (high) ? (high) : (value))

LANES(add_sat_s8, int8_t, 16, wasm_i8x16_add_sat(a, b), CLAMP(x + y, -128, 127))
LANES(sub_sat_u8, uint8_t, 16, wasm_u8x16_sub_sat(a, b), CLAMP(x - y, 0, 255))
LANES(average_u8, uint8_t, 16, wasm_u8x16_avgr(a, b), (x + y + 1) / 2)
LANES(shift_s8, int8_t, 16, wasm_i8x16_shr(a, 3), x >> 3)
LANES(shift_u8, uint8_t, 16, wasm_u8x16_shr(a, 5), x >> 5)
LANES(shift_left_8, uint8_t, 16, wasm_i8x16_shl(a, wasm_i32x4_extract_lane(b, 1)), x << (((uint32_t *)ys)[1] & 7))
LANES(popcount, uint8_t, 16, wasm_i8x16_popcnt(a), __builtin_popcount(x))
LANES(greater_u8, uint8_t, 16, wasm_u8x16_gt(a, b), x > y ? 255 : 0)
LANES(maximum_s16, int16_t, 8, wasm_i16x8_max(a, b), x > y ? x : y)
LANES(product_16, uint16_t, 8, wasm_i16x8_mul(a, b), (uint32_t)x *y)
LANES(rounded_product, int16_t, 8, wasm_i16x8_q15mulr_sat(a, b), CLAMP((x * y + 0x4000) >> 15, -32768, 32767))
LANES(less_equal_u16, uint16_t, 8, wasm_u16x8_le(a, b), x <= y ? 0xffff : 0)
LANES(product_32, uint32_t, 4, wasm_i32x4_mul(a, b), x *y)
LANES(absolute_32, uint32_t, 4, wasm_i32x4_abs(a), (int32_t)x < 0 ? 0 - x : x)
LANES(product_64, uint64_t, 2, wasm_i64x2_mul(a, b), x *y)
LANES(shift_s64, int64_t, 2, wasm_i64x2_shr(a, 17), x >> 17)
LANES(absolute_64, uint64_t, 2, wasm_i64x2_abs(a), (int64_t)x < 0 ? 0 - x : x)
LANES(greater_equal_s64, int64_t, 2, wasm_i64x2_ge(a, b), x >= y ? -1 : 0)
LANES(from_u32, uint32_t, 4, wasm_f32x4_convert_u32x4(a),
      ((union {
          float f;
          uint32_t u;
      }){.f = (float)x})
          .u)
LANES(bit_select, uint64_t, 2, wasm_v128_bitselect(a, b, wasm_i64x2_const(0xff00ff00ff00ff00, 0x123456789abcdef)),
      i ? (x & 0x123456789abcdef) | (y & ~UINT64_C(0x123456789abcdef))
        : (x & 0xff00ff00ff00ff00) | (y & ~UINT64_C(0xff00ff00ff00ff00)))
LANES(reversed, uint8_t, 16, wasm_i8x16_shuffle(a, a, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), xs[15 - i])
LANES(mixed, uint8_t, 16, wasm_i8x16_shuffle(a, b, 3, 17, 30, 2, 5, 5, 21, 9, 11, 16, 31, 0, 1, 29, 7, 24),
      ((const uint8_t[]){xs[3], ys[1], ys[14], xs[2], xs[5], xs[5], ys[5], xs[9], xs[11], ys[0], ys[15], xs[0], xs[1],
                         ys[13], xs[7], ys[8]})[i])
LANES(interleaved, uint16_t, 8, wasm_i16x8_shuffle(a, b, 4, 12, 5, 13, 6, 14, 7, 15),
      i % 2 ? ys[4 + i / 2] : xs[4 + i / 2])
LANES(slid, uint32_t, 4, wasm_i32x4_shuffle(a, b, 3, 4, 5, 6), i ? ys[i - 1] : xs[3])
LANES(swizzled, uint8_t, 16, wasm_i8x16_swizzle(a, b), y < 16 ? xs[y] : 0)

static void (*const tests[])(v128_t, v128_t) = {
    add_sat_s8, sub_sat_u8,  average_u8,  shift_s8,          shift_u8,       shift_left_8, popcount,
    greater_u8, maximum_s16, product_16,  rounded_product,   less_equal_u16, product_32,   absolute_32,
    product_64, shift_s64,   absolute_64, greater_equal_s64, from_u32,       bit_select,   reversed,
    mixed,      interleaved, slid,        swizzled};

/* ---- Floats: minimum and maximum of NaN and zeros, conversion of what does not fit ---- */
static void check_floats(void)
{
    v128_t a = wasm_f32x4_make(0.0f, NAN, -1.5f, 3e9f), b = wasm_f32x4_make(-0.0f, 1.0f, -2.5f, -INFINITY);
    v128_t minimum = wasm_f32x4_min(a, b), maximum = wasm_f32x4_max(b, a);
    check("minimum", signbit(wasm_f32x4_extract_lane(minimum, 0)) && isnan(wasm_f32x4_extract_lane(minimum, 1)) &&
                         wasm_f32x4_extract_lane(minimum, 2) == -2.5f);
    check("maximum", !signbit(wasm_f32x4_extract_lane(maximum, 0)) && isnan(wasm_f32x4_extract_lane(maximum, 1)) &&
                         wasm_f32x4_extract_lane(maximum, 3) == 3e9f);
    v128_t truncated = wasm_i32x4_trunc_sat_f32x4(a), large = wasm_u32x4_trunc_sat_f32x4(a);
    check("truncated", wasm_i32x4_extract_lane(truncated, 1) == 0 && wasm_i32x4_extract_lane(truncated, 2) == -1 &&
                           wasm_i32x4_extract_lane(truncated, 3) == INT32_MAX);
    check("truncated unsigned",
          (uint32_t)wasm_i32x4_extract_lane(large, 3) == 3000000000u && wasm_i32x4_extract_lane(large, 2) == 0);
    v128_t sum = wasm_f64x2_relaxed_madd(wasm_f64x2_make(3, -4), wasm_f64x2_make(5, 6), wasm_f64x2_make(7, 0.5));
    check("multiply and add", wasm_f64x2_extract_lane(sum, 0) == 22 && wasm_f64x2_extract_lane(sum, 1) == -23.5);
}

/* ---- Vectors as arguments and results; more than registers hold ---- */
__attribute__((noinline)) static v128_t weighted(v128_t a, int32_t m, v128_t b, v128_t c, double n, v128_t d, v128_t e,
                                                 v128_t f, v128_t g, v128_t h, v128_t i, v128_t j, int32_t depth)
{
    if (depth > 0) {
        v128_t inner = weighted(b, m + 1, c, d, n + 1, e, f, g, h, i, j, a, depth - 1);
        return wasm_i32x4_add(wasm_i32x4_add(inner, a), wasm_i32x4_splat(m + (int32_t)n));
    }
    return wasm_i32x4_sub(wasm_i32x4_add(wasm_i32x4_add(a, i), wasm_i32x4_add(c, j)), wasm_i32x4_add(g, h));
}

/* The same for one lane. */
__attribute__((noinline)) static int32_t weighted_lane(int32_t a, int32_t m, int32_t b, int32_t c, double n, int32_t d,
                                                       int32_t e, int32_t f, int32_t g, int32_t h, int32_t i, int32_t j,
                                                       int32_t depth)
{
    if (depth > 0)
        return weighted_lane(b, m + 1, c, d, n + 1, e, f, g, h, i, j, a, depth - 1) + a + m + (int32_t)n;
    return a + i + c + j - (g + h);
}

static void check_calls(void)
{
    v128_t v[11];
    for (int i = 0; i < 11; i++)
        v[i] = wasm_i32x4_make(i, 10 * i, 100 * i * i, -i);
    v128_t result = weighted(v[0], 1, v[1], v[2], 0.5, v[3], v[4], v[5], v[6], v[7], v[8], v[9], 5);
    int32_t lanes[4], from[11][4];
    wasm_v128_store(lanes, result);
    memcpy(from, v, sizeof from);
    for (int k = 0; k < 4; k++)
        check("calls", lanes[k] == weighted_lane(from[0][k], 1, from[1][k], from[2][k], 0.5, from[3][k], from[4][k],
                                                 from[5][k], from[6][k], from[7][k], from[8][k], from[9][k], 5));
}

/* ---- Loops that clang vectorizes, and the same without ---- */
enum { COUNT = 1003 };
static int32_t integers[COUNT];
static int16_t shorts[COUNT];
static uint8_t bytes[COUNT];
static float floats[COUNT];

#define LOOPS(suffix, pragma)                                                                                          \
    __attribute__((noinline)) static uint64_t loops_##suffix(void)                                                     \
    {                                                                                                                  \
        uint64_t sum = 0;                                                                                              \
        int32_t largest = INT32_MIN, dot = 0;                                                                          \
        _Pragma(pragma) for (int i = 0; i < COUNT; i++) sum += (uint64_t)bytes[i] * (uint32_t)integers[i];             \
        _Pragma(pragma) for (int i = 0; i < COUNT; i++) largest = integers[i] > largest ? integers[i] : largest;       \
        _Pragma(pragma) for (int i = 0; i < COUNT; i++) dot += shorts[i] * shorts[COUNT - 1 - i];                      \
        _Pragma(pragma) for (int i = 0; i < COUNT; i++) bytes[i] = (uint8_t)((bytes[i] * 77 + shorts[i]) >> 3);        \
        _Pragma(pragma) for (int i = 0; i < COUNT; i++) floats[i] = floats[i] * 0.5f + (float)integers[i];             \
        for (int i = 0; i < COUNT; i++)                                                                                \
            sum = sum * 31 + bytes[i] + (uint64_t)(int64_t)floats[i];                                                  \
        return sum * 31 + (uint32_t)largest + ((uint64_t)(uint32_t)dot << 32);                                         \
    }
LOOPS(vector, "clang loop vectorize(enable)")
LOOPS(scalar, "clang loop vectorize(disable)")

static void fill(void)
{
    state = 7;
    for (int i = 0; i < COUNT; i++) {
        integers[i] = (int32_t)random_bits();
        shorts[i] = (int16_t)random_bits();
        bytes[i] = (uint8_t)random_bits();
        floats[i] = (float)(int32_t)random_bits();
    }
}

int main(void)
{
    for (int round = 0; round < 200; round++)
        for (unsigned i = 0; i < sizeof tests / sizeof *tests; i++) {
            v128_t a = random_vector(), b = random_vector();
            tests[i](a, b);
        }
    check_floats();
    check_calls();
    fill();
    uint64_t vector = loops_vector();
    fill();
    check("loops", vector == loops_scalar());
    printf("%u checks, %u different\n", checks, differences);
    return 0;
}
