/* Machine code, written one instruction at a time: encodings of x86-64 and nothing else.
 *
 * The caller makes sure that there is room (assembler_room) before a group of instructions; a single instruction needs
 * at most ASSEMBLER_INSTRUCTION_BYTES. Positions are offsets from the start of the whole text, of which the assembler's
 * buffer may be a part that begins at `origin`. */
#ifndef ENGINE_X64_ASSEMBLER_H
#define ENGINE_X64_ASSEMBLER_H

#include "engine/base.h"
#include "engine/x64/abi.h"

#define ASSEMBLER_INSTRUCTION_BYTES 16

struct assembler {
    uint8_t *cursor;
    uint8_t *start;
    uint8_t *limit;
    uint32_t origin;       /* position of `start` */
    bool avx;              /* write floating point in VEX forms */
    uint32_t *pool_chains; /* OPERAND_POOL: uses of each constant, as chains of jumps are */
};

/* xmm registers are numbered from 16, so one byte names any register; encodings take the low four bits. */
#define XMM(number)          (16 + (number))
#define NO_REGISTER          0x44 /* as an index it encodes "none", without an extension bit */
#define REGISTER_BIT(number) (UINT32_C(1) << (number))

/* ---- Opcodes: byte, map and mandatory prefix in one word ---- */
#define X64(prefix, map, byte) ((uint32_t)((prefix) << 10 | (map) << 8 | (byte)))
enum { PREFIX_NONE, PREFIX_66, PREFIX_F3, PREFIX_F2 };
enum { MAP_ONE, MAP_0F, MAP_0F38, MAP_0F3A };
#define X64_WIDE        (UINT32_C(1) << 12) /* REX.W or VEX.W */
#define X64_BYTE        (UINT32_C(1) << 13) /* `reg` is a byte register */
#define X64_BYTE_RM     (UINT32_C(1) << 14) /* a register in r/m is a byte register */
#define X64_IF(on, bit) ((on) ? (bit) : 0u)

/* Integer arithmetic group: number n is `op r, r/m` = 8 * n + 3, `op r/m, r` = 8 * n + 1, and /n of 81 and 83. */
enum alu { ALU_ADD = 0, ALU_OR = 1, ALU_ADC = 2, ALU_SBB = 3, ALU_AND = 4, ALU_SUB = 5, ALU_XOR = 6, ALU_CMP = 7 };
/* /n of the shift group C1, D3. */
enum shift { SHIFT_ROL = 0, SHIFT_ROR = 1, SHIFT_SHL = 4, SHIFT_SHR = 5, SHIFT_SAR = 7 };

#define X64_MOV_LOAD    X64(0, MAP_ONE, 0x8b)
#define X64_MOV_STORE   X64(0, MAP_ONE, 0x89)
#define X64_MOV_STORE8  (X64(0, MAP_ONE, 0x88) | X64_BYTE)
#define X64_MOV_STORE16 X64(PREFIX_66, MAP_ONE, 0x89)
#define X64_MOVZX8      (X64(0, MAP_0F, 0xb6) | X64_BYTE_RM)
#define X64_MOVZX16     X64(0, MAP_0F, 0xb7)
#define X64_MOVSX8      (X64(0, MAP_0F, 0xbe) | X64_BYTE_RM)
#define X64_MOVSX16     X64(0, MAP_0F, 0xbf)
#define X64_MOVSXD      (X64(0, MAP_ONE, 0x63) | X64_WIDE)
#define X64_LEA         X64(0, MAP_ONE, 0x8d)
#define X64_IMUL        X64(0, MAP_0F, 0xaf)
#define X64_TEST        X64(0, MAP_ONE, 0x85)
#define X64_XCHG        X64(0, MAP_ONE, 0x87)
#define X64_GROUP_F7    X64(0, MAP_ONE, 0xf7) /* /2 not, /3 neg, /4 mul, /5 imul, /6 div, /7 idiv */
#define X64_GROUP_FF    X64(0, MAP_ONE, 0xff) /* /2 call, /4 jmp */
#define X64_CALL_DIRECT 0xe8 /* and a 32-bit distance */
#define X64_JUMP_DIRECT 0xe9
#define X64_SETCC       (X64(0, MAP_0F, 0x90) | X64_BYTE_RM)
#define X64_CMOVCC      X64(0, MAP_0F, 0x40)
#define X64_BT          X64(0, MAP_0F, 0xa3)
#define X64_POPCNT      X64(PREFIX_F3, MAP_0F, 0xb8)
#define X64_LZCNT       X64(PREFIX_F3, MAP_0F, 0xbd)
#define X64_TZCNT       X64(PREFIX_F3, MAP_0F, 0xbc)
#define X64_BSR         X64(0, MAP_0F, 0xbd)
#define X64_BSF         X64(0, MAP_0F, 0xbc)
#define X64_SHLX        X64(PREFIX_66, MAP_0F38, 0xf7)
#define X64_SARX        X64(PREFIX_F3, MAP_0F38, 0xf7)
#define X64_SHRX        X64(PREFIX_F2, MAP_0F38, 0xf7)
#define X64_RORX        X64(PREFIX_F2, MAP_0F3A, 0xf0)

/* Scalar float operations: F3 for single, F2 for double; bitwise ones work on the whole register. */
#define X64_FLOAT(wide, byte) X64((wide) ? PREFIX_F2 : PREFIX_F3, MAP_0F, byte)
#define X64_FLOAT_LOAD        0x10
#define X64_FLOAT_STORE       0x11
#define X64_FLOAT_SQRT        0x51
#define X64_FLOAT_ADD         0x58
#define X64_FLOAT_MUL         0x59
#define X64_FLOAT_CONVERT     0x5a /* between single and double; the prefix is the source's */
#define X64_FLOAT_SUB         0x5c
#define X64_FLOAT_MIN         0x5d
#define X64_FLOAT_DIV         0x5e
#define X64_FLOAT_MAX         0x5f
#define X64_FLOAT_FROM_INT    0x2a
#define X64_FLOAT_TO_INT      0x2c
#define X64_UCOMIS(wide)      X64((wide) ? PREFIX_66 : 0, MAP_0F, 0x2e)
#define X64_MOVAPS            X64(0, MAP_0F, 0x28)
#define X64_MOVUPS_LOAD       X64(0, MAP_0F, 0x10)
#define X64_MOVUPS_STORE      X64(0, MAP_0F, 0x11)
#define X64_ANDPS             X64(0, MAP_0F, 0x54)
#define X64_ANDNPS            X64(0, MAP_0F, 0x55)
#define X64_ORPS              X64(0, MAP_0F, 0x56)
#define X64_XORPS             X64(0, MAP_0F, 0x57)
#define X64_MOVD_TO_XMM       X64(PREFIX_66, MAP_0F, 0x6e)
#define X64_MOVD_FROM_XMM     X64(PREFIX_66, MAP_0F, 0x7e)
#define X64_ROUND(wide)       X64(PREFIX_66, MAP_0F3A, (wide) ? 0x0b : 0x0a)

/* Conditions by hardware number; `^ 1` inverts. The float ones need two jumps (the parity flag says "unordered"). */
enum condition {
    CONDITION_O,
    CONDITION_NO,
    CONDITION_B,
    CONDITION_AE,
    CONDITION_E,
    CONDITION_NE,
    CONDITION_BE,
    CONDITION_A,
    CONDITION_S,
    CONDITION_NS,
    CONDITION_P,
    CONDITION_NP,
    CONDITION_L,
    CONDITION_GE,
    CONDITION_LE,
    CONDITION_G,
    CONDITION_FLOAT_E,
    CONDITION_FLOAT_NE,
};

/* ---- Operands ---- */
enum operand_kind { OPERAND_REGISTER, OPERAND_MEMORY, OPERAND_TEXT, OPERAND_POOL };
struct operand {
    uint8_t kind;
    uint8_t base;         /* the register, or the base; NO_REGISTER: displacement alone */
    uint8_t index;        /* NO_REGISTER: none; never rsp */
    uint8_t scale;        /* of the index, as a power of two */
    bool gs;              /* in the GS segment */
    bool address32;       /* compute the address modulo 2^32 (before GS is added) */
    int32_t displacement; /* OPERAND_TEXT: position in the text; OPERAND_POOL: number of the constant */
};

static inline struct operand operand_register(unsigned number)
{
    return (struct operand){.kind = OPERAND_REGISTER, .base = (uint8_t)number, .index = NO_REGISTER};
}
static inline struct operand operand_memory(unsigned base, int32_t displacement)
{
    return (struct operand){
        .kind = OPERAND_MEMORY, .base = (uint8_t)base, .index = NO_REGISTER, .displacement = displacement};
}
static inline struct operand operand_indexed(unsigned base, unsigned index, unsigned scale, int32_t displacement)
{
    return (struct operand){.kind = OPERAND_MEMORY,
                            .base = (uint8_t)base,
                            .index = (uint8_t)index,
                            .scale = (uint8_t)scale,
                            .displacement = displacement};
}
static inline struct operand operand_gs(unsigned base, int32_t displacement)
{
    return (struct operand){
        .kind = OPERAND_MEMORY, .base = (uint8_t)base, .index = NO_REGISTER, .gs = true, .displacement = displacement};
}
/* gs:[disp32]: a place in the instance header. */
static inline struct operand operand_header(int32_t displacement)
{
    return operand_gs(NO_REGISTER, displacement);
}
static inline struct operand operand_text(uint32_t position)
{
    return (struct operand){
        .kind = OPERAND_TEXT, .base = NO_REGISTER, .index = NO_REGISTER, .displacement = (int32_t)position};
}
static inline struct operand operand_pool(uint32_t number)
{
    return (struct operand){
        .kind = OPERAND_POOL, .base = NO_REGISTER, .index = NO_REGISTER, .displacement = (int32_t)number};
}

/* ---- Writing ---- */
static inline uint32_t assembler_position(const struct assembler *as)
{
    return (uint32_t)(as->cursor - as->start) + as->origin;
}
static inline bool assembler_room(const struct assembler *as, size_t bytes)
{
    return (size_t)(as->limit - as->cursor) >= bytes;
}
static inline void emit_byte(struct assembler *as, unsigned byte)
{
    *as->cursor++ = (uint8_t)byte;
}
static inline void emit_word32(struct assembler *as, uint32_t word)
{
    memcpy(as->cursor, &word, 4);
    as->cursor += 4;
}
static inline void emit_word64(struct assembler *as, uint64_t word)
{
    memcpy(as->cursor, &word, 8);
    as->cursor += 8;
}
static inline uint32_t text_word32(const struct assembler *as, uint32_t position)
{
    uint32_t word;
    memcpy(&word, as->start + (position - as->origin), 4);
    return word;
}
static inline void text_set_word32(struct assembler *as, uint32_t position, uint32_t word)
{
    memcpy(as->start + (position - as->origin), &word, 4);
}

/* One instruction with a ModRM byte: `reg` is a register or an opcode extension. Bytes of an immediate follow;
 * OPERAND_TEXT and OPERAND_POOL are only for instructions without one. */
void emit_instruction(struct assembler *as, uint32_t opcode, unsigned reg, struct operand rm);
void emit_vex(struct assembler *as, uint32_t opcode, unsigned reg, unsigned second, struct operand rm);

/* The same with a register as r/m: most instructions, so it is worth a form of its own. */
static inline void emit_registers(struct assembler *as, uint32_t opcode, unsigned reg, unsigned rm)
{
    static const uint8_t prefixes[4] = {0, 0x66, 0xf3, 0xf2};
    unsigned prefix = opcode >> 10 & 3, map = opcode >> 8 & 3;
    unsigned rex = (opcode & X64_WIDE ? 8u : 0u) | (reg >> 3 & 1) << 2 | (rm >> 3 & 1);
    bool byte_register = ((opcode & X64_BYTE) && reg >= 4) || ((opcode & X64_BYTE_RM) && rm >= 4);
    uint8_t *p = as->cursor;
    if (prefix)
        *p++ = prefixes[prefix];
    *p = (uint8_t)(0x40 | rex);
    p += (rex != 0) | byte_register;
    if (map != MAP_ONE)
        *p++ = 0x0f;
    if (map > MAP_0F)
        *p++ = map == MAP_0F38 ? 0x38 : 0x3a;
    p[0] = (uint8_t)opcode;
    p[1] = (uint8_t)(0xc0 | (reg & 7) << 3 | (rm & 7));
    as->cursor = p + 2;
}

/* `alu r, r/m`, `alu r/m, imm32` */
static inline void emit_alu(struct assembler *as, enum alu alu, bool wide, unsigned reg, struct operand rm)
{
    emit_instruction(as, X64(0, MAP_ONE, 8 * alu + 3) | X64_IF(wide, X64_WIDE), reg, rm);
}
void emit_alu_immediate(struct assembler *as, enum alu alu, bool wide, struct operand rm, int32_t immediate);
void emit_shift_immediate(struct assembler *as, enum shift shift, bool wide, unsigned reg, unsigned count);
void emit_imul_immediate(struct assembler *as, bool wide, unsigned reg, struct operand rm, int32_t immediate);
/* Any 64-bit constant in its shortest form; does not change flags when `keep_flags`. */
void emit_constant(struct assembler *as, unsigned reg, uint64_t value, bool keep_flags);
void emit_move(struct assembler *as, bool wide, unsigned to, unsigned from); /* general registers; 32-bit extends */

/* Scalar float with two sources: to = a op b. `to` may be `a`; it may be b's register only with AVX. */
void emit_float(struct assembler *as, uint32_t opcode, unsigned to, unsigned a, struct operand b);
/* One source, nothing merged: moves, compares, conversions to integers. */
void emit_float_single(struct assembler *as, uint32_t opcode, unsigned reg, struct operand rm);

/* ---- Jumps ----
 * A forward jump's field holds the previous jump to the same label until the label is bound: `*chain` is the position
 * of the last field, or 0 when there is none. */
void emit_jump_forward(struct assembler *as, uint32_t *chain);
void emit_jump_forward_if(struct assembler *as, enum condition condition, uint32_t *chain); /* hardware conditions */
void emit_jump_back(struct assembler *as, uint32_t target);
void emit_jump_back_if(struct assembler *as, enum condition condition, uint32_t target);
void bind_chain(struct assembler *as, uint32_t chain, uint32_t target);
void emit_alignment(struct assembler *as, unsigned alignment); /* with instructions that do nothing */
void emit_trap(struct assembler *as, unsigned trap);           /* ud2; .byte trap */

#endif
