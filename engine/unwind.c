/* What compiled code tells about itself: which function, which frame, which trap (docs/abi.md). */
#include "engine/base.h"
#include "engine/compile.h"
#include "engine/trap.h"
#include "engine/x64/tail.h"

/* Index in code->functions of the last function that starts at or below `offset`; false when none does. */
static bool find_index(const struct code *code, uintptr_t pc, uint32_t *index)
{
    uintptr_t offset = pc - (uintptr_t)code->text;
    if (offset >= code->text_size || code->function_count == 0 || offset < code->functions[0].offset)
        return false;
    uint32_t low = 0, high = code->function_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (code->functions[middle].offset <= offset)
            low = middle;
        else
            high = middle;
    }
    *index = low;
    return true;
}

bool code_find_function(const struct code *code, uintptr_t pc, uint32_t *function)
{
    uint32_t index;
    if (!find_index(code, pc, &index))
        return false;
    *function = code->module->function_import_count + index;
    return true;
}

#define OPCODE_RET 0xc3

/* Behind the epilogue: at `ret`, and at the jump of a tail call. */
static bool frame_is_left(const uint8_t *pc)
{
    return *pc == OPCODE_RET || *pc == TAIL_JUMP_PREFIX;
}

bool code_unwind(const struct code *code, uintptr_t *pc, uintptr_t *rsp, bool at_call)
{
    uint32_t index;
    if (!find_index(code, at_call ? *pc - 1 : *pc, &index))
        return false;
    const struct code_function *function = &code->functions[index];
    uintptr_t offset = *pc - (uintptr_t)code->text - function->offset;
    uintptr_t frame = function->frame_bytes;
    if (!at_call && (offset < function->prologue_bytes || frame_is_left((const uint8_t *)*pc)))
        frame = 0;
    uintptr_t return_address;
    memcpy(&return_address, (const void *)(*rsp + frame), sizeof return_address); /* NOLINT: the wasm stack */
    *pc = return_address;
    *rsp += frame + sizeof return_address;
    return true;
}

uint32_t code_find_try(const struct code *code, uintptr_t pc)
{
    const struct code_call_site *sites = code->exceptions.call_sites;
    uint32_t offset = (uint32_t)(pc - (uintptr_t)code->text), low = 0, high = code->exceptions.call_site_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (sites[middle].offset == offset)
            return sites[middle].try_index;
        if (sites[middle].offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return CODE_NO_TRY;
}

bool code_unwind_registers(const struct code *code, uintptr_t *pc, uintptr_t *rsp, uint64_t registers[16])
{
    uint32_t index;
    if (!find_index(code, *pc - 1, &index))
        return false;
    const struct code_function *function = &code->functions[index];
    const uint64_t *frame = (const uint64_t *)*rsp; /* NOLINT: the wasm stack */
    const uint64_t *saved = frame + function->saved_word;
    for (unsigned mask = function->saved; mask; mask &= mask - 1)
        registers[__builtin_ctz(mask)] = *saved++;
    frame += function->frame_bytes / sizeof *frame;
    *pc = *frame;
    *rsp = (uintptr_t)(frame + 1);
    return true;
}

bool code_instance_switch(uintptr_t pc, uintptr_t rsp, uint32_t *instance)
{
    const uint8_t *code = (const uint8_t *)pc;
    if (code[0] != 0x44 || code[1] != 0x8b || (code[2] & 0x3f) != 0x1c || code[3] != 0x24)
        return false; /* mov r11d, [rsp + displacement] */
    int32_t displacement = 0, target;
    code += 4;
    if (code[-2] >> 6 == 1) {
        displacement = (int8_t)*code;
        code += 1;
    } else if (code[-2] >> 6 == 2) {
        memcpy(&displacement, code, sizeof displacement);
        code += 4;
    }
    memcpy(&target, code + 4, sizeof target);
    if (code[0] != 0x65 || code[1] != 0xff || code[2] != 0x14 || code[3] != 0x25 ||
        target != HEADER_OFFSET(switch_instance))
        return false;                                                         /* call gs:[switch_instance] */
    *instance = *(const uint32_t *)(rsp + (uintptr_t)(intptr_t)displacement); /* NOLINT: the wasm stack */
    return true;
}

/* div and idiv are F7 /6 and /7 with a register operand, with or without REX. */
static unsigned divide_trap(const uint8_t *pc, const uint64_t registers[16])
{
    uint8_t rex = 0;
    if ((*pc & 0xf0) == 0x40)
        rex = *pc++;
    if (pc[0] != 0xf7 || pc[1] < 0xf0)
        return TRAP_NONE;
    uint64_t divisor = registers[(pc[1] & 7) | (rex & 1) << 3];
    if (!(rex & 8))
        divisor = (uint32_t)divisor;
    return divisor == 0 ? TRAP_DIVIDE_BY_ZERO : TRAP_INTEGER_OVERFLOW;
}

unsigned code_trap_at(const uint8_t *pc, const uint64_t registers[16])
{
    if (pc[0] == 0x0f && pc[1] == 0x0b)
        return pc[TRAP_OPCODE_BYTES] < TRAP_COUNT ? pc[TRAP_OPCODE_BYTES] : (unsigned)TRAP_NONE;
    return divide_trap(pc, registers);
}
