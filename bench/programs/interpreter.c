/* A small register machine run by a switch: br_table, and state kept in memory. */
#include "bench.h"

enum operation {
    LOAD,
    MOVE,
    ADD,
    SUBTRACT,
    MULTIPLY,
    XOR,
    SHIFT,
    LOAD_CELL,
    STORE_CELL,
    LESS,
    JUMP_IF,
    JUMP,
    CALL,
    RETURN,
    HALT
};

struct instruction {
    uint8_t operation, a, b, c;
    int32_t constant;
};

struct machine {
    uint32_t registers[16];
    uint32_t stack[64];
    uint32_t depth;
    uint32_t cells[1024];
};

static uint64_t run(struct machine *machine, const struct instruction *program)
{
    uint32_t *r = machine->registers;
    uint64_t steps = 0;
    for (const struct instruction *i = program;; i++, steps++) {
        switch ((enum operation)i->operation) {
        case LOAD:
            r[i->a] = (uint32_t)i->constant;
            break;
        case MOVE:
            r[i->a] = r[i->b];
            break;
        case ADD:
            r[i->a] = r[i->b] + r[i->c];
            break;
        case SUBTRACT:
            r[i->a] = r[i->b] - r[i->c];
            break;
        case MULTIPLY:
            r[i->a] = r[i->b] * r[i->c];
            break;
        case XOR:
            r[i->a] = r[i->b] ^ r[i->c];
            break;
        case SHIFT:
            r[i->a] = r[i->b] >> (i->constant & 31);
            break;
        case LOAD_CELL:
            r[i->a] = machine->cells[r[i->b] % 1024];
            break;
        case STORE_CELL:
            machine->cells[r[i->b] % 1024] = r[i->a];
            break;
        case LESS:
            r[i->a] = r[i->b] < r[i->c];
            break;
        case JUMP_IF:
            i += r[i->a] != 0 ? i->constant : 0;
            break;
        case JUMP:
            i += i->constant;
            break;
        case CALL:
            machine->stack[machine->depth++ % 64] = (uint32_t)(i - program);
            i += i->constant;
            break;
        case RETURN:
            i = program + machine->stack[--machine->depth % 64];
            break;
        case HALT:
            return steps;
        }
    }
}

/* Fills the cells by a mixing subroutine, then sums those that are below their neighbour. */
static const struct instruction program[] = {
    {LOAD, 0, 0, 0, 0},   {LOAD, 1, 0, 0, 1},       {LOAD, 2, 0, 0, 20000}, {LOAD, 3, 0, 0, 0x9e3779b},
    {CALL, 0, 0, 0, 10},  {STORE_CELL, 4, 0, 0, 0}, {ADD, 5, 0, 1, 0},      {LOAD_CELL, 6, 5, 0, 0},
    {LESS, 7, 4, 6, 0},   {JUMP_IF, 7, 0, 0, 1},    {ADD, 8, 8, 4, 0},      {ADD, 0, 0, 1, 0},
    {LESS, 7, 0, 2, 0},   {JUMP_IF, 7, 0, 0, -10},  {HALT, 0, 0, 0, 0},     {MULTIPLY, 4, 0, 3, 0},
    {SHIFT, 9, 4, 0, 13}, {XOR, 4, 4, 9, 0},        {MULTIPLY, 4, 4, 3, 0}, {SHIFT, 9, 4, 0, 7},
    {XOR, 4, 4, 9, 0},    {SUBTRACT, 4, 4, 8, 0},   {RETURN, 0, 0, 0, 0},
};

uint64_t compute(uint32_t scale)
{
    static struct machine machine;
    uint64_t sum = 0;
    for (uint32_t round = 0; round < 140 * scale; round++) {
        sum = mix(sum, run(&machine, program));
        sum = mix(sum, machine.registers[8]);
    }
    return sum;
}
