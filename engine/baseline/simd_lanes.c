/* Lanes of vectors: making, reading and replacing them, their order, and tests of all of them (spec 4.3.5). */
#include "engine/baseline/simd.h"

/* ---- Splats ---- */
/* The lowest lane of `from` to all lanes. */
static void splat(struct compiler *c, unsigned bits, unsigned reg, unsigned from)
{
    static const uint8_t broadcasts[] = {[1] = 0x78, [2] = 0x79, [4] = 0x58, [8] = 0x59};
    struct operand source = operand_register(from);
    if (c->as.avx && c->features & CPU_AVX2) {
        vector_single(c, V38(broadcasts[bits / 8]), reg, source, NO_IMMEDIATE);
    } else if (bits == 64) {
        vector_single(c, X64_PSHUFD, reg, source, 0x44);
    } else if (bits == 32) {
        vector_single(c, X64_PSHUFD, reg, source, 0);
    } else if (bits == 16) {
        vector_single(c, X64_PSHUFLW, reg, source, 0);
        vector_registers(c, X64_PUNPCKLQDQ, reg, reg, reg);
    } else {
        vector_zero(c, SCRATCH_XMM);
        vector_registers(c, X64_PSHUFB, reg, from, SCRATCH_XMM);
    }
}

void compile_vector_splat(struct compiler *c, unsigned bits, unsigned type)
{
    struct value a = vpop(c);
    struct target target = target_find(c, TYPE_V128);
    unsigned from = value_register(c, &a);
    unsigned reg = vector_result(c, &target, type_is_float(type) ? &a : NULL, NULL, 0);
    if (type == TYPE_F32) {
        vector_operate_immediate(c, X64_SHUFPS, reg, from, operand_register(from), 0);
    } else if (type == TYPE_F64) {
        vector_single(c, X64_MOVDDUP, reg, operand_register(from), NO_IMMEDIATE);
    } else {
        emit_float_single(&c->as, X64_MOVD_TO_XMM | X64_IF(bits == 64, X64_WIDE), reg, operand_register(from));
        splat(c, bits, reg, reg);
    }
    target_finish(c, &target, TYPE_V128, reg);
}

/* ---- Single lanes ---- */
static void extract_float(struct compiler *c, unsigned lane, unsigned type)
{
    struct value a = vpop(c);
    if (lane == 0 && a.place == PLACE_REGISTER) { /* it is there: what is above does not matter to floats */
        a.type = (uint8_t)type;
        push_value(c, a);
        return;
    }
    struct target target = target_find(c, type);
    unsigned from = value_register(c, &a), reg = vector_result(c, &target, &a, NULL, 0);
    if (lane == 0)
        move_register(c, type, reg, from);
    else
        vector_single(c, X64_PSHUFD, reg, operand_register(from), type == TYPE_F64 ? 0xee : lane);
    target_finish(c, &target, type, reg);
}

void compile_vector_extract(struct compiler *c, unsigned bits, unsigned type)
{
    bool is_signed = bits & LANE_SIGNED;
    unsigned lane = *c->pc++;
    bits &= ~(unsigned)LANE_SIGNED;
    if (type_is_float(type)) {
        extract_float(c, lane, type);
        return;
    }
    struct value a = vpop(c);
    struct target target = target_find(c, type);
    unsigned from = value_register(c, &a), reg = target_register(c, &target, type);
    uint32_t wide = X64_IF(bits == 64, X64_WIDE);
    if (bits >= 32 && lane == 0)
        emit_float_single(&c->as, X64_MOVD_FROM_XMM | wide, from, operand_register(reg));
    else if (bits == 16)
        vector_single(c, V0F(0xc5), reg, operand_register(from), lane);
    else
        vector_single(c, V3A(bits == 8 ? 0x14 : 0x16) | wide, from, operand_register(reg), lane);
    if (is_signed)
        emit_registers(&c->as, bits == 8 ? X64_MOVSX8 : X64_MOVSX16, reg, reg);
    target_finish(c, &target, type, reg);
    push_bits(c, &target, bits < 32 && !is_signed ? bits : 0);
}

void compile_vector_replace(struct compiler *c, unsigned bits, unsigned type)
{
    unsigned lane = *c->pc++;
    struct value b = vpop(c), a = vpop(c);
    struct target target = target_find(c, TYPE_V128);
    unsigned first = value_register(c, &a);
    struct operand second = operand_register(value_register(c, &b));
    unsigned reg = vector_result(c, &target, &a, NULL, operand_bit(second));
    if (type == TYPE_F32)
        vector_operate_immediate(c, V3A(0x21), reg, first, second, lane << 4);
    else if (type == TYPE_F64) /* movsd, movlhps */
        vector_operate(c, lane ? PACKED(false, 0x16) : X64_FLOAT(true, X64_FLOAT_LOAD), reg, first, second);
    else
        vector_operate_immediate(c,
                                 (bits == 8    ? V3A(0x20)
                                  : bits == 16 ? V0F(0xc4)
                                               : V3A(0x22)) |
                                     X64_IF(bits == 64, X64_WIDE),
                                 reg, first, second, lane);
    target_finish(c, &target, TYPE_V128, reg);
}

/* ---- Tests ---- */
void compile_vector_any_true(struct compiler *c, UNUSED, UNUSED_TOO)
{
    struct value a = vpop(c);
    unsigned from = value_register(c, &a);
    emit_float_single(&c->as, X64_PTEST, from, operand_register(from));
    finish_condition(c, CONDITION_NE);
}

void compile_vector_all_true(struct compiler *c, unsigned equal, UNUSED)
{
    struct value a = vpop(c);
    unsigned from = value_register(c, &a);
    vector_zero(c, SCRATCH_XMM);
    vector_registers(c, equal, SCRATCH_XMM, SCRATCH_XMM, from);
    emit_float_single(&c->as, X64_PTEST, SCRATCH_XMM, operand_register(SCRATCH_XMM));
    finish_condition(c, CONDITION_E);
}

void compile_vector_bitmask(struct compiler *c, unsigned opcode, unsigned bits)
{
    struct value a = vpop(c);
    struct target target = target_find(c, TYPE_I32);
    unsigned from = value_register(c, &a), reg = target_register(c, &target, TYPE_I32);
    if (bits == 8) { /* of words: packed with zeros */
        vector_zero(c, SCRATCH_XMM);
        vector_registers(c, X64_PACKSSWB, SCRATCH_XMM, SCRATCH_XMM, from);
        emit_float_single(&c->as, opcode, reg, operand_register(SCRATCH_XMM));
        emit_shift_immediate(&c->as, SHIFT_SHR, false, reg, 8);
    } else {
        emit_float_single(&c->as, opcode, reg, operand_register(from));
    }
    target_finish(c, &target, TYPE_I32, reg);
    push_bits(c, &target, bits);
}

/* ---- Swizzle: lane numbers above 15 give 0; the instruction does so for those above 127 ---- */
void compile_vector_swizzle(struct compiler *c, unsigned relaxed, UNUSED)
{
    struct value lanes = vpop(c), a = vpop(c);
    struct target target = target_find(c, TYPE_V128);
    unsigned from = value_register(c, &a);
    struct operand order;
    if (relaxed) {
        order = vector_operand(c, &lanes);
    } else if (lanes.place == PLACE_CONSTANT) {
        uint64_t bits[2];
        read_vector_constant(c, lanes.constant, bits);
        for (unsigned i = 0; i < 16; i++) {
            uint64_t *word = &bits[i / 8], byte = *word >> i % 8 * 8 & 0xff;
            if (byte >= 16)
                *word |= UINT64_C(0x80) << i % 8 * 8;
        }
        order = vector_pool(c, bits);
    } else {
        vector_operate(c, V0F(0xdc), SCRATCH_XMM, value_register(c, &lanes), SHARED_VECTOR(BYTES_70));
        order = operand_register(SCRATCH_XMM);
    }
    unsigned reg = vector_result(c, &target, &a, NULL, 0);
    vector_operate(c, X64_PSHUFB, reg, from, order);
    target_finish(c, &target, TYPE_V128, reg);
}

/* ---- Shuffle ---- */
struct shuffle {
    uint8_t lanes[16]; /* 0 to 15 of a, 16 to 31 of b */
    bool single;       /* all of a */
};

/* Lanes of `bytes` bytes that stay together: their numbers. False when they do not. */
static bool wider_lanes(const struct shuffle *shuffle, unsigned bytes, uint8_t *lanes)
{
    for (unsigned i = 0; i < 16; i += bytes) {
        if (shuffle->lanes[i] % bytes)
            return false;
        for (unsigned k = 1; k < bytes; k++) {
            if (shuffle->lanes[i + k] != shuffle->lanes[i] + k)
                return false;
        }
        lanes[i / bytes] = shuffle->lanes[i] / (uint8_t)bytes;
    }
    return true;
}

/* Four lane numbers of two bits. */
static unsigned shuffle_immediate(const uint8_t lanes[4])
{
    return (lanes[0] & 3u) | (lanes[1] & 3u) << 2 | (lanes[2] & 3u) << 4 | (lanes[3] & 3u) << 6;
}

/* Lanes in turn from both operands. `*swapped`: b's comes first. */
static bool is_interleave(const struct shuffle *shuffle, uint32_t *opcode, bool *swapped)
{
    static const uint8_t low[] = {0x60, 0x61, 0x62, 0x6c}, high[] = {0x68, 0x69, 0x6a, 0x6d};
    for (unsigned width = 0; width < 8; width++) {
        unsigned bytes = 1u << (width & 3), start = width & 4 ? 8 : 0;
        for (unsigned order = 0; order < (shuffle->single ? 1 : 2); order++) {
            bool match = true;
            for (unsigned i = 0; i < 16 && match; i++) {
                unsigned pair = i / bytes, lane = start + pair / 2 * bytes + i % bytes;
                bool second = (pair & 1) != order && !shuffle->single;
                match = shuffle->lanes[i] == lane + (second ? 16 : 0);
            }
            if (match) {
                *opcode = V0F(width & 4 ? high[width & 3] : low[width & 3]);
                *swapped = order;
                return true;
            }
        }
    }
    return false;
}

/* Sixteen bytes in a row of b:a, or of a:b. */
static bool is_rotation(const struct shuffle *shuffle, unsigned *count, bool *swapped)
{
    unsigned modulus = shuffle->single ? 16 : 32;
    for (unsigned i = 1; i < 16; i++) {
        if (shuffle->lanes[i] != (shuffle->lanes[0] + i) % modulus)
            return false;
    }
    *swapped = shuffle->lanes[0] >= 16;
    *count = shuffle->lanes[0] & 15;
    return true;
}

/* A word of 16 bits of either at each place: a bit for each that is b's. */
static bool is_blend(const struct shuffle *shuffle, unsigned *mask)
{
    *mask = 0;
    for (unsigned i = 0; i < 16; i++) {
        if ((shuffle->lanes[i] & 15) != i || shuffle->lanes[i] >> 4 != shuffle->lanes[i & ~1u] >> 4)
            return false;
        *mask |= (unsigned)(shuffle->lanes[i] >> 4) << i / 2;
    }
    return true;
}

/* One lane everywhere, and it is the lowest of its width. */
static unsigned splat_bits(const struct shuffle *shuffle)
{
    for (unsigned bytes = 1; bytes <= 8; bytes *= 2) {
        bool match = true;
        for (unsigned i = 0; i < 16 && match; i++)
            match = shuffle->lanes[i] == i % bytes;
        if (match)
            return 8 * bytes;
    }
    return 0;
}

/* One half of the words in another order, the other half as it is. */
static bool is_half(const uint8_t words[8], uint32_t *opcode, unsigned *immediate)
{
    bool low = true, high = true;
    for (unsigned i = 0; i < 4; i++) {
        low &= words[i] < 4 && words[4 + i] == 4 + i;
        high &= words[i] == i && words[4 + i] >= 4;
    }
    *opcode = low ? X64_PSHUFLW : X64_PSHUFHW;
    *immediate = shuffle_immediate(low ? words : words + 4);
    return low || high;
}

/* By the bytes of `lanes` that are below 16 after subtracting `first`; all others give 0. */
static struct operand shuffle_mask(struct compiler *c, const struct shuffle *shuffle, unsigned first)
{
    uint64_t bits[2] = {0, 0};
    for (unsigned i = 0; i < 16; i++) {
        unsigned lane = shuffle->lanes[i] - first;
        bits[i / 8] |= (uint64_t)(lane < 16 ? lane : 0x80) << i % 8 * 8;
    }
    return vector_pool(c, bits);
}

static void shuffle_single(struct compiler *c, const struct shuffle *shuffle, struct value *a)
{
    uint8_t lanes[16];
    uint32_t opcode;
    unsigned immediate, bits = splat_bits(shuffle);
    bool swapped;
    struct target target = target_find(c, TYPE_V128);
    unsigned from = value_register(c, a), reg = vector_result(c, &target, a, NULL, 0);
    if (wider_lanes(shuffle, 4, lanes)) {
        vector_single(c, X64_PSHUFD, reg, operand_register(from), shuffle_immediate(lanes));
    } else if (bits && c->features & CPU_AVX2) {
        splat(c, bits, reg, from);
    } else if (wider_lanes(shuffle, 2, lanes) && is_half(lanes, &opcode, &immediate)) {
        vector_single(c, opcode, reg, operand_register(from), immediate);
    } else if (is_interleave(shuffle, &opcode, &swapped)) {
        vector_registers(c, opcode, reg, from, from);
    } else if (is_rotation(shuffle, &immediate, &swapped)) {
        vector_operate_immediate(c, X64_PALIGNR, reg, from, operand_register(from), immediate);
    } else {
        vector_operate(c, X64_PSHUFB, reg, from, shuffle_mask(c, shuffle, 0));
    }
    target_finish(c, &target, TYPE_V128, reg);
}

/* Of both, by a mask for each. */
static unsigned shuffle_general(struct compiler *c, const struct shuffle *shuffle, const struct target *target,
                                struct value *a, struct value *b)
{
    unsigned first = value_register(c, a), second = value_register(c, b);
    vector_operate(c, X64_PSHUFB, SCRATCH_XMM, second, shuffle_mask(c, shuffle, 16));
    unsigned reg = vector_result(c, target, a, b, 0);
    vector_operate(c, X64_PSHUFB, reg, first, shuffle_mask(c, shuffle, 0));
    vector_registers(c, X64_POR, reg, reg, SCRATCH_XMM);
    return reg;
}

static bool is_zero(const struct compiler *c, const struct value *value)
{
    uint64_t bits[2];
    if (value->place != PLACE_CONSTANT)
        return false;
    read_vector_constant(c, value->constant, bits);
    return (bits[0] | bits[1]) == 0;
}

static void shuffle_two(struct compiler *c, const struct shuffle *shuffle, struct value *a, struct value *b)
{
    uint8_t lanes[16];
    uint32_t opcode = 0;
    unsigned immediate = NO_IMMEDIATE, reg;
    bool swapped = false;
    struct target target = target_find(c, TYPE_V128);
    if (is_zero(c, b)) { /* zeros need no register */
        unsigned from = value_register(c, a);
        reg = vector_result(c, &target, a, NULL, 0);
        vector_operate(c, X64_PSHUFB, reg, from, shuffle_mask(c, shuffle, 0));
        target_finish(c, &target, TYPE_V128, reg);
        return;
    }
    if (is_rotation(shuffle, &immediate, &swapped)) {
        opcode = X64_PALIGNR;
        swapped = !swapped; /* what comes first is the instruction's last operand */
    } else if (is_blend(shuffle, &immediate)) {
        opcode = X64_PBLENDW;
    } else if (wider_lanes(shuffle, 4, lanes) && lanes[0] >> 2 == lanes[1] >> 2 && lanes[2] >> 2 == lanes[3] >> 2 &&
               lanes[0] >> 2 != lanes[2] >> 2) {
        opcode = X64_SHUFPS;
        swapped = lanes[0] >= 4;
        immediate = shuffle_immediate(lanes);
    } else {
        immediate = NO_IMMEDIATE;
        is_interleave(shuffle, &opcode, &swapped);
    }
    if (!opcode) {
        reg = shuffle_general(c, shuffle, &target, a, b);
        target_finish(c, &target, TYPE_V128, reg);
        return;
    }
    if (swapped)
        swap_vectors(a, b);
    unsigned first = value_register(c, a);
    struct operand second = immediate == NO_IMMEDIATE ? vector_operand(c, b) : vector_operand_near(c, b);
    reg = vector_result(c, &target, a, c->as.avx ? b : NULL, 0);
    vector_operate_immediate(c, opcode, reg, first, second, immediate);
    target_finish(c, &target, TYPE_V128, reg);
}

static bool same_value(const struct value *a, const struct value *b)
{
    return a->place == b->place &&
           ((a->place == PLACE_LOCAL && a->index == b->index) || (a->place == PLACE_REGISTER && a->reg == b->reg) ||
            (a->place == PLACE_CONSTANT && a->constant == b->constant));
}

void compile_vector_shuffle(struct compiler *c, UNUSED, UNUSED_TOO)
{
    struct shuffle shuffle;
    bool any_a = false, any_b = false, identity = true;
    memcpy(shuffle.lanes, c->pc, 16);
    c->pc += 16;
    struct value b = vpop(c), a = vpop(c);
    for (unsigned i = 0; i < 16; i++) {
        any_a |= shuffle.lanes[i] < 16;
        any_b |= shuffle.lanes[i] >= 16;
    }
    shuffle.single = !any_a || !any_b || same_value(&a, &b);
    if (!shuffle.single) {
        if (is_zero(c, &a)) { /* zeros second */
            for (unsigned i = 0; i < 16; i++)
                shuffle.lanes[i] ^= 16;
            swap_vectors(&a, &b);
        }
        shuffle_two(c, &shuffle, &a, &b);
        return;
    }
    struct value *source = any_a ? &a : &b;
    for (unsigned i = 0; i < 16; i++) {
        shuffle.lanes[i] &= 15;
        identity &= shuffle.lanes[i] == i;
    }
    if (identity && source->place != PLACE_MEMORY)
        push_value(c, *source);
    else
        shuffle_single(c, &shuffle, source);
}
