/* Several CPUs: they start, take interrupts and alarms, forget what was taken away, and change page tables at the same
 * time without losing anything. CPU 0 leads, the others wait in platform_idle for jobs. */
#include "platform/pc/cpu.h"
#include "tests/boot/check.h"

#define STACK_BYTES       UINT64_C(65536)
#define PATIENCE          UINT64_C(20000000000) /* nanoseconds; late is all right on a busy host */
#define CPUS_HERE_MAXIMUM 16

static struct cpu records[CPUS_HERE_MAXIMUM];
static uint32_t count; /* of CPUs, CPU 0 among them */

/* ---- Jobs ---- */

_Noreturn void kernel_cpu_main(struct cpu *cpu)
{
    for (;;) {
        void (*job)(struct cpu *) = __atomic_load_n(&cpu->job, __ATOMIC_ACQUIRE);
        if (!job) {
            platform_idle(UINT64_MAX);
            continue;
        }
        job(cpu);
        __atomic_store_n(&cpu->job, NULL, __ATOMIC_RELEASE);
    }
}

static void begin(uint32_t number, void (*job)(struct cpu *cpu))
{
    __atomic_store_n(&records[number].job, job, __ATOMIC_RELEASE);
    platform_interrupt_cpu(number);
}

static bool is_done(uint32_t number)
{
    uint64_t start = platform_monotonic_nanoseconds();
    for (uint32_t round = 0; __atomic_load_n(&records[number].job, __ATOMIC_ACQUIRE); round++) {
        if (platform_monotonic_nanoseconds() - start > PATIENCE)
            return false;
        platform_relax(round);
    }
    return true;
}

static bool run(uint32_t number, void (*job)(struct cpu *cpu))
{
    begin(number, job);
    return is_done(number);
}

/* On all CPUs at the same time, this one included. */
static bool run_everywhere(void (*job)(struct cpu *cpu))
{
    bool done = true;
    for (uint32_t i = 1; i < count; i++)
        begin(i, job);
    job(&records[0]);
    for (uint32_t i = 1; i < count; i++)
        done &= is_done(i);
    return done;
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

/* ---- They start, and are CPUs ---- */

static void start_all(void)
{
    count = (uint32_t)min_u64(platform_cpu_count(), CPUS_HERE_MAXIMUM);
    for (uint32_t i = 1; i < count; i++) {
        uint8_t *stack = platform_reserve(STACK_BYTES + PAGE);
        CHECK(platform_commit(stack + PAGE, STACK_BYTES, PROTECTION_READ_WRITE) == STATUS_OK);
        records[i].number = i;
        CHECK(platform_start_cpu(i, &records[i], stack + PAGE + STACK_BYTES) == STATUS_OK);
        CHECK(platform_start_cpu(i, &records[i], stack + PAGE + STACK_BYTES) != STATUS_OK); /* once */
    }
    CHECK(platform_start_cpu(count, &records[0], NULL) != STATUS_OK);
    CHECK(platform_start_cpu(0, &records[0], NULL) != STATUS_OK);
}

static volatile uint32_t jobs_right;

/* Its own record, its own GS, vector registers, an exception that comes back. */
static void be_a_cpu(struct cpu *cpu)
{
    uint8_t bytes[16] = {[3] = (uint8_t)(cpu->number + 1)};
    uint64_t gs = 0, vector = 0;
    platform_set_gs((uint64_t)bytes);
    __asm__("movzbl %%gs:3, %k0" : "=r"(gs));
    __asm__ volatile("movq %1, %%xmm3\n paddq %%xmm3, %%xmm3\n movq %%xmm3, %0" : "=r"(vector) : "r"(gs));
    if (platform_xsave_mask())
        __asm__ volatile("xgetbv" ::"c"(0) : "rax", "rdx");
    bool right = platform_cpu() == cpu && gs == cpu->number + 1 && vector == 2 * gs && !can_read((void *)8);
    __atomic_fetch_add(&jobs_right, right, __ATOMIC_RELAXED);
}

static void count_up(struct cpu *cpu)
{
    (void)cpu;
    __atomic_fetch_add(&jobs_right, 1, __ATOMIC_RELAXED);
}

/* An alarm of its own, and platform_idle ends with it. */
static void take_alarm(struct cpu *cpu)
{
    const uint64_t wait = 3000000;
    uint64_t start = platform_monotonic_nanoseconds();
    uint32_t before = cpu->timer_interrupts;
    platform_timer_arm(start + wait);
    while (cpu->timer_interrupts == before && platform_monotonic_nanoseconds() - start < PATIENCE)
        platform_idle(start + PATIENCE);
    bool right = cpu->timer_interrupts == before + 1 && platform_monotonic_nanoseconds() >= start + wait;
    __atomic_fetch_add(&jobs_right, right, __ATOMIC_RELAXED);
}

#define WAKES 200

static void check_cpus(void)
{
    CHECK(run_everywhere(be_a_cpu) && jobs_right == count);
    jobs_right = 0;
    CHECK(run_everywhere(take_alarm) && jobs_right == count);
    /* None is lost between looking for work and sleeping. */
    jobs_right = 0;
    bool all = true;
    for (uint32_t i = 0; i < WAKES && all; i++)
        all = run(1 + i % (count - 1), count_up);
    CHECK(all && jobs_right == WAKES);
    for (uint32_t i = 1; i < count; i++)
        CHECK(records[i].interrupts > 0);
    uint32_t before = records[0].interrupts;
    platform_interrupt_cpu(0);
    uint64_t start = platform_monotonic_nanoseconds();
    while (records[0].interrupts == before && platform_monotonic_nanoseconds() - start < PATIENCE)
        platform_idle(start + PATIENCE);
    CHECK(records[0].interrupts > before);
}

/* ---- They forget ---- */

static uint8_t *shown;
static volatile bool readable, writable;
static volatile uint8_t seen;

static void look(struct cpu *cpu)
{
    (void)cpu;
    readable = can_read(shown);
    seen = readable ? *(volatile uint8_t *)shown : 0;
    writable = can_write(shown);
    if (writable)
        *(volatile uint8_t *)shown = seen;
}

static volatile bool leave;

/* Remember the page and go on running, so that an interrupt is needed. */
static void look_and_stay(struct cpu *cpu)
{
    look(cpu);
    __atomic_fetch_add(&jobs_right, 1, __ATOMIC_SEQ_CST);
    while (!leave)
        platform_relax(0);
    look(cpu);
}

/* The same with interrupts off, as in the handling of a fault: platform_relax serves what others ask. */
static void look_and_stay_closed(struct cpu *cpu)
{
    __asm__ volatile("cli" ::: "memory");
    look_and_stay(cpu);
    __asm__ volatile("sti" ::: "memory");
}

enum taking_away { DECOMMIT, PROTECT, REPLACE, TAKING_AWAY_COUNT };

static void take_away(enum taking_away what)
{
    switch (what) {
    case DECOMMIT:
        platform_decommit(shown, PAGE);
        break;
    case PROTECT:
        platform_protect(shown, PAGE, PROTECTION_READ);
        break;
    case REPLACE:
        platform_decommit(shown, PAGE);
        platform_commit(shown, PAGE, PROTECTION_READ_WRITE);
        *shown = 99;
        break;
    default:
        break;
    }
}

static bool as_expected(enum taking_away what)
{
    return what == DECOMMIT ? !readable : what == PROTECT ? readable && !writable && seen == 7 : writable && seen == 99;
}

/* `reserve`: in an arena where each CPU has all, or in that of guests. */
static void check_forgetting(uint32_t number, void *(*reserve)(size_t bytes))
{
    void (*const ways[])(struct cpu *) = {look, look_and_stay, look_and_stay_closed};
    for (uint32_t i = 0; i < ARRAY_COUNT(ways) * TAKING_AWAY_COUNT; i++) {
        void (*way)(struct cpu *) = ways[i / TAKING_AWAY_COUNT];
        enum taking_away what = (enum taking_away)(i % TAKING_AWAY_COUNT);
        shown = reserve(PAGE);
        platform_commit(shown, PAGE, PROTECTION_READ_WRITE);
        *shown = 7;
        jobs_right = 0;
        leave = false;
        begin(number, way);
        if (way == look) { /* it is idle again, and looks once more when woken */
            is_done(number);
            take_away(what);
            begin(number, look);
        } else {
            while (jobs_right == 0)
                platform_relax(0);
            take_away(what);
            leave = true;
        }
        CHECK(is_done(number) && as_expected(what));
        platform_release(shown, PAGE);
    }
}

static void read_and_stay(struct cpu *cpu)
{
    (void)cpu;
    seen = *(volatile uint8_t *)shown;
    __atomic_fetch_add(&jobs_right, 1, __ATOMIC_SEQ_CST);
    while (!leave)
        platform_relax(0);
    seen = *(volatile uint8_t *)shown;
}

/* It has looked at the source through a copy; then the copy is stored to elsewhere. */
static void check_store_is_seen(uint32_t number)
{
    uint8_t *source = platform_reserve_for_guest(MEMORY);
    shown = platform_reserve_for_guest(MEMORY);
    CHECK(platform_commit(source, PAGE, PROTECTION_READ_WRITE) == STATUS_OK);
    *source = 7;
    CHECK(platform_map_copy(shown, source, PAGE) == STATUS_OK);
    jobs_right = 0;
    leave = false;
    begin(number, read_and_stay);
    while (jobs_right == 0)
        platform_relax(0);
    CHECK(seen == 7);
    *(volatile uint8_t *)shown = 99;
    leave = true;
    CHECK(is_done(number) && seen == 99 && *source == 7);
    platform_release(shown, MEMORY);
    platform_release(source, MEMORY);
}

/* ---- Who is asked to forget ---- */

static volatile uint32_t told, looked; /* how many times it is to look, and has */

static void look_when_told(struct cpu *cpu)
{
    __atomic_fetch_add(&jobs_right, 1, __ATOMIC_SEQ_CST);
    while (!leave) {
        if (looked != told) {
            look(cpu);
            looked = told;
        }
        platform_relax(0);
    }
}

static void tell(void)
{
    told++;
    while (looked != told)
        platform_relax(0);
}

static uint32_t served(uint32_t number)
{
    return __atomic_load_n(&cpus[number]->tlb.served, __ATOMIC_RELAXED);
}

/* Another frame, with `value`. Returns how many times the CPU was asked. */
static uint32_t replace(uint32_t number, uint8_t value)
{
    uint32_t before = served(number);
    platform_decommit(shown, PAGE);
    CHECK(platform_commit(shown, PAGE, PROTECTION_READ_WRITE) == STATUS_OK);
    *shown = value;
    return served(number) - before;
}

static bool sees(uint8_t value)
{
    tell();
    return writable && seen == value;
}

/* A CPU that runs all the time is asked for addresses that it used, until it does not use them any more. */
static void check_who_is_asked(uint32_t number)
{
    uint8_t *beside = platform_reserve_for_guest(MEMORY);
    shown = platform_reserve_for_guest(MEMORY);
    CHECK(platform_commit(shown, 2 * PAGE, PROTECTION_READ_WRITE) == STATUS_OK);
    CHECK(platform_commit(beside, PAGE, PROTECTION_READ_WRITE) == STATUS_OK);
    shown[0] = shown[PAGE] = *beside = 1; /* so that the tables stay when a page goes */
    jobs_right = told = looked = 0;
    leave = false;
    begin(number, look_when_told);
    while (jobs_right == 0)
        platform_relax(0);
    replace(number, 0); /* who used the addresses before is asked once more */
    platform_discard(beside, PAGE);
    *beside = 1;
    for (uint8_t i = 0; i < 8; i++)
        CHECK(replace(number, i) == 0); /* it has not used them yet */
    for (uint8_t i = 8; i < 16; i++) {
        CHECK(sees(i - 1)); /* and does so between each two */
        CHECK(replace(number, i) == 1);
    }
    uint32_t asked = 0;
    for (uint8_t i = 16; i < 24; i++)
        asked += replace(number, i);
    CHECK(asked <= 2);
    CHECK(sees(23) && replace(number, 24) == 1 && sees(24)); /* it comes back */
    uint32_t before = served(number);
    platform_release(beside, MEMORY);
    CHECK(served(number) == before);
    platform_release(shown, MEMORY);
    CHECK(served(number) > before);
    tell();
    CHECK(!readable);
    leave = true;
    CHECK(is_done(number));
}

/* Each CPU has a page which it replaces again and again, sometimes with all the tables below the region, and looks at
 * those of the others. `turn` is odd while that happens; what others find there, if it did not change meanwhile, is
 * what was stored last. */
#define REPLACE_ROUNDS 6000 /* of all CPUs together */
static struct {
    uint32_t *word;
    uint32_t turn; /* atomic */
} replaced[CPUS_HERE_MAXIMUM];

static bool replace_own(uint32_t number, bool tables)
{
    uint32_t turn = replaced[number].turn, *word = replaced[number].word;
    __atomic_store_n(&replaced[number].turn, turn + 1, __ATOMIC_SEQ_CST);
    bool right = true;
    if (tables) {
        platform_decommit(word, GIGABYTE);
        right = platform_commit(word, GIGABYTE, PROTECTION_READ_WRITE) == STATUS_OK;
    } else {
        right = platform_discard(word, PAGE) == STATUS_OK;
    }
    right &= *word == 0;
    *(volatile uint32_t *)word = number << 24 | (turn + 2);
    __atomic_store_n(&replaced[number].turn, turn + 2, __ATOMIC_SEQ_CST);
    return right;
}

static bool look_at_other(uint32_t number)
{
    uint32_t before = __atomic_load_n(&replaced[number].turn, __ATOMIC_SEQ_CST), value = 0;
    if (before % 2 != 0)
        return true;
    bool there = read_word(replaced[number].word, &value);
    return __atomic_load_n(&replaced[number].turn, __ATOMIC_SEQ_CST) != before ||
           (there && value == (number << 24 | before));
}

static void replace_and_look(struct cpu *cpu)
{
    uint64_t random = 88172645463325252 + cpu->number * 0x9e3779b97f4a7c15;
    bool right = true;
    for (uint32_t i = 0; i < REPLACE_ROUNDS / count && right; i++) {
        uint64_t choice = next_random(&random);
        if (choice % 8 == 0)
            right = replace_own(cpu->number, choice % 64 == 0);
        else
            right = look_at_other((choice >> 32) % count);
    }
    __atomic_fetch_add(&jobs_right, right, __ATOMIC_RELAXED);
}

static void check_replacing(void)
{
    for (uint32_t i = 0; i < count; i++) {
        replaced[i].word = platform_reserve_for_guest(MEMORY);
        CHECK(platform_commit(replaced[i].word, GIGABYTE, PROTECTION_READ_WRITE) == STATUS_OK);
        *replaced[i].word = i << 24;
    }
    jobs_right = 0;
    CHECK(run_everywhere(replace_and_look) && jobs_right == count);
    for (uint32_t i = 0; i < count; i++)
        platform_release(replaced[i].word, MEMORY);
}

/* ---- All at once ---- */

#define CHURN_ROUNDS 48  /* of all CPUs together: each waits for all others several times */
#define CHURN_PAGES  600 /* more than a page table, so that there are huge pages */

/* What is written stays until it is taken away, whatever the others do beside it. */
static bool churn_round(uint8_t *memory, uint64_t *random, uint8_t mark)
{
    uint64_t pages = 1 + next_random(random) % CHURN_PAGES, cut = next_random(random) % pages;
    bool right = platform_commit(memory, pages * PAGE, PROTECTION_READ_WRITE) == STATUS_OK;
    for (uint64_t i = 0; i < pages && right; i++) {
        right &= memory[i * PAGE] == 0;
        memory[i * PAGE] = (uint8_t)(mark + i);
    }
    if (cut > 0) {
        platform_decommit(memory, cut * PAGE);
        right &= platform_commit(memory, cut * PAGE, PROTECTION_READ_WRITE) == STATUS_OK && memory[0] == 0;
        memory[0] = mark;
    }
    for (uint64_t i = cut; i < pages && right; i++)
        right &= memory[i * PAGE] == (uint8_t)(mark + i);
    return right;
}

static void churn(struct cpu *cpu)
{
    uint64_t random = 88172645463325252 + cpu->number * 0x9e3779b97f4a7c15;
    bool right = true;
    for (uint32_t i = 0; i < CHURN_ROUNDS / count && right; i++) {
        uint64_t bytes = i % 3 == 0 ? MEMORY : i % 3 == 1 ? CHURN_PAGES * PAGE : 300 * PAGE;
        uint8_t *memory = i % 2 ? platform_reserve(bytes) : platform_reserve_for_guest(bytes);
        right = memory && (i % 3 == 2 || churn_round(memory, &random, (uint8_t)(cpu->number * 31 + i)));
        if (memory)
            platform_release(memory, bytes);
    }
    __atomic_fetch_add(&jobs_right, right, __ATOMIC_RELAXED);
}

/* All CPUs touch the same pages, each its own word in each, while they become huge pages; the second half through a
 * window. And all do so in one copy of them, of which every other page was looked at before. */
#define COMMON_PAGES UINT64_C(1100)
#define COPIED_PAGES UINT64_C(24)
static uint8_t *common, *common_window, *common_copy;
static uint32_t common_round;

static void touch_common(struct cpu *cpu)
{
    uint64_t random = 1234567 + cpu->number;
    uint64_t start = next_random(&random) % COMMON_PAGES;
    for (uint64_t i = 0; i < COMMON_PAGES; i++) {
        uint64_t page = (start + i) % COMMON_PAGES;
        uint8_t *base = cpu->number % 2 && page >= COMMON_PAGES / 2 ? common_window : common;
        uint32_t *word = (uint32_t *)(base + page * PAGE) + cpu->number;
        if (*word != common_round)
            return;
        *word = common_round + 1;
    }
    __atomic_fetch_add(&jobs_right, 1, __ATOMIC_RELAXED);
}

static void touch_copy(struct cpu *cpu)
{
    for (uint64_t i = 0; i < COPIED_PAGES; i++) {
        volatile uint32_t *words = (volatile uint32_t *)(common_copy + i * PAGE);
        uint32_t source = *((volatile uint32_t *)(common + i * PAGE) + count);
        if ((i % 2 == 0 && words[count] != source) || words[cpu->number] != common_round)
            return;
        words[cpu->number] = common_round + 1000;
        if (words[cpu->number] != common_round + 1000 || words[count] != source)
            return;
    }
    __atomic_fetch_add(&jobs_right, 1, __ATOMIC_RELAXED);
}

static void check_copy(void)
{
    for (uint64_t i = 0; i < COPIED_PAGES; i++)
        *((uint32_t *)(common + i * PAGE) + count) = (uint32_t)i;
    common_copy = platform_reserve_for_guest(MEMORY);
    CHECK(platform_map_copy(common_copy, common, COPIED_PAGES * PAGE) == STATUS_OK);
    jobs_right = 0;
    CHECK(run_everywhere(touch_copy) && jobs_right == count);
    bool right = true;
    for (uint64_t i = 0; i < COPIED_PAGES * count; i++) {
        uint64_t offset = i / count * PAGE + i % count * 4;
        right &= *(uint32_t *)(common_copy + offset) == common_round + 1000; /* nobody's store is lost */
        right &= *(uint32_t *)(common + offset) == common_round;
    }
    CHECK(right);
    platform_release(common_copy, MEMORY);
}

static void check_common(void)
{
    for (uint32_t i = 0; i < 2; i++) {
        common = platform_reserve_for_guest(MEMORY);
        common_window = platform_reserve_for_guest(MEMORY);
        CHECK(platform_commit(common, COMMON_PAGES * PAGE, PROTECTION_READ_WRITE) == STATUS_OK);
        CHECK(platform_alias(common_window, common, COMMON_PAGES * PAGE) == STATUS_OK);
        for (common_round = 0; common_round < 3; common_round++) {
            jobs_right = 0;
            CHECK(run_everywhere(touch_common) && jobs_right == count);
        }
        check_copy();
        platform_release(common_window, MEMORY);
        platform_release(common, MEMORY);
    }
}

#define LINES 20

static void write_lines(struct cpu *cpu)
{
    for (uint32_t i = 0; i < LINES; i++)
        say("CPU %u says line %u of %u\n", cpu->number, i, LINES);
}

void check_several_cpus(void)
{
    platform_set_cpu(&records[0]);
    start_all();
    say("%u CPUs\n", count);
    if (count == 1)
        return;
    check_cpus();
    uint64_t before = frames_used();
    check_forgetting(1, platform_reserve);
    check_store_is_seen(1);
    check_forgetting(count - 1, platform_reserve_for_guest);
    CHECK(frames_used() == before);
    check_who_is_asked(count - 1);
    check_replacing();
    CHECK(frames_used() == before);
    jobs_right = 0;
    CHECK(run_everywhere(churn) && jobs_right == count);
    CHECK(frames_used() == before);
    check_common();
    CHECK(frames_used() == before);
    CHECK(run_everywhere(write_lines));
}

static void panic_here(struct cpu *cpu)
{
    (void)cpu;
    platform_panic("on another CPU");
}

static void write_for_ever(struct cpu *cpu)
{
    for (;;)
        say("CPU %u is busy\n", cpu->number);
}

_Noreturn void panic_elsewhere(void)
{
    platform_set_cpu(&records[0]);
    start_all();
    for (uint32_t i = 1; i + 1 < count; i++)
        begin(i, write_for_ever);
    begin(count - 1, panic_here);
    write_for_ever(&records[0]);
    platform_power_off(0);
}
