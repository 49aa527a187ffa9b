/* clang's musttail: a threaded interpreter whose handlers end in a jump through a table, a state machine of direct tail
 * calls, and calls that hand on more arguments than registers hold. Without tail calls each would need gigabytes of stack. */
#include <stdint.h>
#include <stdio.h>

#define MUSTTAIL __attribute__((musttail))

/* ---- An interpreter ---- */
struct machine {
    uint64_t registers[4];
};
struct instruction {
    uint8_t operation, a, b;
    int32_t immediate;
};
typedef uint64_t handler(const struct instruction *pc, struct machine *machine, uint64_t accumulator, uint64_t count);
static handler *const handlers[];
#define NEXT MUSTTAIL return handlers[pc->operation](pc, machine, accumulator, count + 1)

static uint64_t run_add(const struct instruction *pc, struct machine *machine, uint64_t accumulator, uint64_t count)
{
    accumulator += machine->registers[pc->a];
    pc++;
    NEXT;
}

static uint64_t run_mix(const struct instruction *pc, struct machine *machine, uint64_t accumulator, uint64_t count)
{
    accumulator = accumulator * 6364136223846793005u + (uint64_t)pc->immediate;
    machine->registers[pc->b] ^= accumulator >> 33;
    pc++;
    NEXT;
}

static uint64_t run_loop(const struct instruction *pc, struct machine *machine, uint64_t accumulator, uint64_t count)
{
    pc = --machine->registers[pc->a] ? pc + pc->immediate : pc + 1;
    NEXT;
}

static uint64_t run_end(const struct instruction *pc, struct machine *machine, uint64_t accumulator, uint64_t count)
{
    printf("%llu instructions, %016llx %016llx\n", (unsigned long long)count, (unsigned long long)accumulator,
           (unsigned long long)machine->registers[1]);
    return (uint64_t)pc->immediate;
}

static handler *const handlers[] = {run_add, run_mix, run_loop, run_end};
static const struct instruction program[] = {
    {0, 1, 0, 0}, {1, 0, 1, 1442695}, {0, 2, 0, 0}, {1, 0, 2, 77}, {2, 0, 0, -4}, {3, 0, 0, 7},
};

/* ---- States ---- */
static uint32_t state_even(uint32_t n, uint32_t sum);
static __attribute__((noinline)) uint32_t state_odd(uint32_t n, uint32_t sum)
{
    if (n == 0)
        return sum;
    MUSTTAIL return state_even(n - 1, sum * 3 + 1);
}
static __attribute__((noinline)) uint32_t state_even(uint32_t n, uint32_t sum)
{
    if (n == 0)
        return ~sum;
    MUSTTAIL return state_odd(n - 1, sum ^ n);
}

/* ---- Arguments on the stack ---- */
typedef double wide(int n, double a, double b, double c, double d, double e, double f, double g, double h, double i,
                    double j, long long k, long long l, long long m, long long o, long long p, long long q);
static wide spin;
static double narrow(int n)
{
    if (n == 0)
        return -1;
    return spin(n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
}
static double (*volatile narrow_pointer)(int n) = narrow;
static double spin(int n, double a, double b, double c, double d, double e, double f, double g, double h, double i,
                   double j, long long k, long long l, long long m, long long o, long long p, long long q)
{
    if (n == 0)
        return a * 1000 + j * 100 + (double)(k * 10 + q);
    MUSTTAIL return spin(n - 1, b, c, d, e, f, g, h, i, j, a, l, m, o, p, q, k);
}

int main(void)
{
    struct machine machine = {{2000000, 1, 2, 3}};
    uint64_t status = handlers[program->operation](program, &machine, 1, 0);
    printf("%u %u\n", (unsigned)state_even(3000000, 1), (unsigned)state_odd(3000001, 5));
    printf("%.0f\n", narrow_pointer(1000003));
    return (int)status;
}
