/* A kernel of a few pages that does nothing but ask platform/pc for everything that kernel/platform.h promises, linked
 * in place of the real one. `checks=LETTERS` on the command line says what: m memory, r memory against a model, h huge
 * pages and large ranges (needs some 300 MB), e exceptions, c clock, i input echoed until its end, x exhaust all
 * memory, p panic, s several CPUs (smp_check.c), P a panic on another CPU. Prints what did not hold, and `N passed, N
 * failed`; the status is 0 if nothing failed. */
#include "tests/boot/check.h"

static uint32_t passed, failed;
static const struct boot_information *boot;
static struct cpu boot_record;

void say(const char *format, ...)
{
    char text[256];
    size_t done;
    va_list arguments;
    va_start(arguments, format);
    size_t length = format_text_list(text, sizeof text, format, arguments);
    va_end(arguments);
    platform_stream_write(STREAM_OUTPUT, text, min_u64(length, sizeof text - 1), &done);
}

void check(bool holds, uint32_t line, const char *what)
{
    __atomic_fetch_add(holds ? &passed : &failed, 1, __ATOMIC_RELAXED);
    if (!holds)
        say("FAIL line %u: %s\n", line, what);
}

uint64_t frames_used(void)
{
    struct platform_memory memory;
    platform_memory_statistics(&memory);
    return memory.frames_used;
}

static uint64_t frames_total(void)
{
    struct platform_memory memory;
    platform_memory_statistics(&memory);
    return memory.frames_total;
}

/* ---- Exceptions: what the checks below provoke is stepped over and counted ---- */

bool kernel_exception(struct machine_state *state, enum exception exception, uint64_t address)
{
    struct cpu *cpu = platform_cpu();
    cpu->exceptions[exception]++;
    cpu->fault_address = address;
    if (cpu->resume == 0)
        return false;
    state->rip = cpu->resume;
    cpu->resume = 0;
    return true;
}

/* Load or store a byte; true if it worked. */
static bool try_access(volatile uint8_t *address, bool store)
{
    struct cpu *cpu = platform_cpu();
    uint32_t before = cpu->exceptions[EXCEPTION_PAGE_FAULT];
    __asm__ volatile("leaq 2f(%%rip), %%rax\n movq %%rax, %1\n testb %b2, %b2\n jz 1f\n movb $1, (%0)\n jmp 2f\n"
                     "1: movb (%0), %%al\n 2:"
                     :
                     : "r"(address), "m"(cpu->resume), "r"((uint8_t)store)
                     : "rax", "memory");
    cpu->resume = 0;
    return cpu->exceptions[EXCEPTION_PAGE_FAULT] == before;
}
bool can_read(void *address)
{
    return try_access(address, false);
}
bool can_write(void *address)
{
    return try_access(address, true);
}

bool read_word(const uint32_t *address, uint32_t *value)
{
    struct cpu *cpu = platform_cpu();
    uint32_t before = cpu->exceptions[EXCEPTION_PAGE_FAULT];
    uint64_t word;
    __asm__ volatile("leaq 1f(%%rip), %0\n movq %0, %2\n movl (%1), %k0\n 1:"
                     : "=&r"(word)
                     : "r"(address), "m"(cpu->resume)
                     : "memory");
    cpu->resume = 0;
    *value = (uint32_t)word;
    return cpu->exceptions[EXCEPTION_PAGE_FAULT] == before;
}

static bool can_call(void *address)
{
    uint32_t before = boot_record.exceptions[EXCEPTION_PAGE_FAULT];
    uint64_t rsp_kept;
    __asm__ volatile("movq %%rsp, %%rbx\n leaq 1f(%%rip), %%rax\n movq %%rax, %2\n callq *%1\n 1: movq %%rbx, %%rsp"
                     : "=&r"(rsp_kept)
                     : "r"(address), "m"(boot_record.resume)
                     : "rax", "rbx", "memory");
    boot_record.resume = 0;
    return boot_record.exceptions[EXCEPTION_PAGE_FAULT] == before;
}

static void check_exceptions(void)
{
    uint64_t kept = 0x1122334455667788, flags;
    __asm__ volatile("leaq 1f(%%rip), %%rax\n movq %%rax, %1\n xorl %%edx, %%edx\n xorl %%ecx, %%ecx\n divl %%ecx\n 1:"
                     : "+r"(kept)
                     : "m"(boot_record.resume)
                     : "rax", "rcx", "rdx", "memory");
    CHECK(boot_record.exceptions[EXCEPTION_DIVIDE] == 1 && kept == 0x1122334455667788);
    __asm__ volatile("leaq 1f(%%rip), %%rax\n movq %%rax, %0\n ud2\n 1:" : : "m"(boot_record.resume) : "rax", "memory");
    CHECK(boot_record.exceptions[EXCEPTION_INVALID_OPCODE] == 1);
    __asm__ volatile(
        "leaq 1f(%%rip), %%rax\n movq %%rax, %0\n movabsq $0x8000000000000000, %%rax\n movb (%%rax), %%al\n 1:"
        :
        : "m"(boot_record.resume)
        : "rax", "memory");
    CHECK(boot_record.exceptions[EXCEPTION_OTHER] == 1);
    CHECK(!can_read((void *)8) && boot_record.fault_address == 8);
    CHECK(!can_write((void *)(uintptr_t)"constant"));
    CHECK(!can_write((void *)(uintptr_t)check_exceptions));
    CHECK(!can_call(&kept)); /* the stack */
    __asm__ volatile("pushfq; popq %0" : "=r"(flags));
    CHECK(flags >> 9 & 1); /* interrupts are on */
}

/* ---- Memory ---- */

static void check_reserve_and_commit(void)
{
    uint64_t before = frames_used();
    uint8_t *memory = platform_reserve(MEMORY);
    CHECK(memory != NULL && (uint64_t)memory % PAGE == 0);
    CHECK(!can_read(memory));
    CHECK(platform_commit(memory, 3 * PAGE, PROTECTION_READ_WRITE) == STATUS_OK);
    CHECK(memory[0] == 0 && memory[3 * PAGE - 1] == 0 && !can_read(memory + 3 * PAGE));
    memory[5] = 1;
    memory[PAGE] = 2;
    CHECK(platform_commit(memory + 3 * PAGE, 16 * MEGABYTE, PROTECTION_READ_WRITE) == STATUS_OK);
    CHECK(memory[16 * MEGABYTE] == 0 && can_write(memory + 16 * MEGABYTE + 3 * PAGE - 1));
    CHECK(!can_write(memory + 16 * MEGABYTE + 3 * PAGE));
    CHECK(memory[5] == 1 && memory[PAGE] == 2);
    platform_decommit(memory + PAGE, PAGE);
    CHECK(can_read(memory) && !can_read(memory + PAGE) && can_read(memory + 2 * PAGE));
    CHECK(platform_commit(memory + PAGE, PAGE, PROTECTION_READ_WRITE) == STATUS_OK && memory[PAGE] == 0);
    platform_release(memory, MEMORY);
    CHECK(!can_read(memory));
    CHECK(frames_used() == before);
}

static void check_protection(void)
{
    uint64_t before = frames_used();
    uint8_t *text = platform_reserve(4 * MEGABYTE);
    CHECK(platform_commit(text, 4 * MEGABYTE, PROTECTION_READ_WRITE) == STATUS_OK);
    text[0] = text[2 * MEGABYTE + 7] = 0xc3; /* ret */
    CHECK(!can_call(text));
    CHECK(platform_protect(text, 3 * MEGABYTE, PROTECTION_READ_EXECUTE) == STATUS_OK);
    CHECK(can_call(text) && can_call(text + 2 * MEGABYTE + 7) && !can_write(text) && can_read(text));
    CHECK(!can_write(text + MEGABYTE) && !can_call(text + 3 * MEGABYTE) && can_write(text + 3 * MEGABYTE));
    CHECK(platform_protect(text, PAGE, PROTECTION_READ) == STATUS_OK);
    CHECK(!can_call(text) && !can_write(text) && can_read(text));
    CHECK(platform_protect(text, PAGE, PROTECTION_READ_WRITE) == STATUS_OK && can_write(text));
    platform_release(text, 4 * MEGABYTE);
    CHECK(frames_used() == before);
}

static void check_windows(void)
{
    uint64_t before = frames_used();
    uint8_t *memory = platform_reserve_for_guest(MEMORY), *window = platform_reserve_for_guest(MEMORY);
    uint8_t *second = platform_reserve_for_guest(MEMORY);
    CHECK(platform_commit(memory + PAGE, 65536, PROTECTION_READ_WRITE) == STATUS_OK);
    memory[PAGE] = 1;
    CHECK(platform_alias(window, memory + PAGE, 65536) == STATUS_OK);
    CHECK(window[0] == 1 && !can_read(window + 65536));
    window[0] = 2;
    window[PAGE] = 3; /* first touched here */
    CHECK(memory[PAGE] == 2 && memory[2 * PAGE] == 3);
    memory[3 * PAGE] = 4;
    CHECK(window[2 * PAGE] == 4);
    /* Growth, by another call; a window onto the window. */
    CHECK(platform_commit(memory + PAGE + 65536, 8 * MEGABYTE, PROTECTION_READ_WRITE) == STATUS_OK);
    CHECK(platform_alias(window + 65536, memory + PAGE + 65536, 8 * MEGABYTE) == STATUS_OK);
    CHECK(platform_alias(second, window, 65536 + 8 * MEGABYTE) == STATUS_OK);
    for (uint64_t at = 65536; at < 6 * MEGABYTE; at += PAGE)
        memory[PAGE + at] = (uint8_t)(at / PAGE * 7);
    bool same = true;
    for (uint64_t at = 65536; at < 6 * MEGABYTE; at += PAGE)
        same &= window[at] == (uint8_t)(at / PAGE * 7);
    CHECK(same);
    second[7 * MEGABYTE] = 9;
    CHECK(memory[PAGE + 7 * MEGABYTE] == 9 && window[7 * MEGABYTE] == 9);
    platform_release(memory, MEMORY);
    CHECK(window[PAGE] == 3);                               /* what was seen stays */
    CHECK(!can_read(window + 65536 + 8 * MEGABYTE - PAGE)); /* what was not is gone */
    platform_release(second, MEMORY);
    platform_release(window, MEMORY);
    CHECK(frames_used() == before);
}

/* Two copies of a source of several sizes, read and written in every order of first touches; another window onto one of
 * them; and both as new afterwards. */
static void check_copies_of(uint64_t bytes)
{
    uint64_t before = frames_used();
    uint8_t *source = platform_reserve(bytes),
            *copies[2] = {platform_reserve_for_guest(MEMORY), platform_reserve_for_guest(MEMORY)};
    uint8_t *window = platform_reserve_for_guest(MEMORY);
    CHECK(platform_commit(source, bytes, PROTECTION_READ_WRITE) == STATUS_OK);
    for (uint64_t at = 0; at < bytes; at += 2 * PAGE) /* the other half is never touched */
        source[at] = (uint8_t)(at / PAGE + 1);
    for (int i = 0; i < 2; i++) {
        CHECK(platform_map_copy(copies[i] + PAGE, source, bytes) == STATUS_OK);
        CHECK(platform_commit(copies[i] + PAGE + bytes, 64 * PAGE, PROTECTION_READ_WRITE) == STATUS_OK);
    }
    uint8_t *first = copies[0] + PAGE, *second = copies[1] + PAGE;
    CHECK(first[0] == 1 && second[0] == 1);
    first[0] = 100;            /* after it was read */
    first[2 * PAGE + 1] = 101; /* at once */
    first[3 * PAGE] = 102;     /* which the source never touched */
    first[bytes] = 103;
    CHECK(source[0] == 1 && second[0] == 1 && source[2 * PAGE + 1] == 0 && second[2 * PAGE + 1] == 0);
    CHECK(first[2 * PAGE] == 3 && second[3 * PAGE] == 0 && source[3 * PAGE] == 0 && second[bytes] == 0);
    CHECK(platform_alias(window, first, bytes + 64 * PAGE) == STATUS_OK);
    window[4 * PAGE] = 104; /* not touched before: the copy's, not the source's */
    CHECK(first[4 * PAGE] == 104 && source[4 * PAGE] == 5 && second[4 * PAGE] == 5 && window[0] == 100);
    (void)*(volatile uint8_t *)(first + 6 * PAGE);
    window[6 * PAGE] = 105; /* shown read-only there */
    CHECK(first[6 * PAGE] == 105 && source[6 * PAGE] == 7);
    for (uint64_t at = 0; at < bytes; at += PAGE)
        second[at] = 9;
    CHECK(platform_reset(second, bytes + 64 * PAGE, source, bytes) == STATUS_OK);
    bool as_new = true;
    for (uint64_t at = 0; at < bytes + 64 * PAGE; at += PAGE)
        as_new &= second[at] == (at < bytes && at / PAGE % 2 == 0 ? (uint8_t)(at / PAGE + 1) : 0);
    CHECK(as_new);
    memset(second + bytes, 7, 64 * PAGE);
    CHECK(platform_discard(second + bytes, 64 * PAGE) == STATUS_OK && second[bytes + 63 * PAGE] == 0);
    platform_release(window, MEMORY);
    platform_release(copies[0], MEMORY);
    platform_release(copies[1], MEMORY);
    platform_release(source, bytes);
    CHECK(frames_used() == before);
}

static void check_copies(void)
{
    check_copies_of(16 * PAGE);
    check_copies_of(MEGABYTE);
    check_copies_of(5 * MEGABYTE); /* of another arena, with huge pages */
}

/* ---- Memory against a model: random operations on page ranges of three reservations, one of each arena ---- */

#define MODEL_PAGES 3000
#define MODEL_STEPS 20000

enum model_state { NOT_COMMITTED, READABLE, WRITABLE, EXECUTABLE };
static struct model {
    uint64_t reserved; /* bytes */
    uint64_t first;    /* offset of page 0 */
    uint32_t pages;
    uint8_t *memory;
    uint8_t state[MODEL_PAGES];
    uint8_t value[MODEL_PAGES];
} models[] = {
    {.reserved = 300 * PAGE, .pages = 300},
    {.reserved = 3000 * PAGE, .pages = 3000},
    {.reserved = 3 * GIGABYTE, .first = GIGABYTE - 1500 * PAGE, .pages = 3000},
};

static uint64_t random_state = 88172645463325252;
static uint32_t random_below(uint32_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 20) % limit;
}

static const enum protection protections[] = {
    [READABLE] = PROTECTION_READ, [WRITABLE] = PROTECTION_READ_WRITE, [EXECUTABLE] = PROTECTION_READ_EXECUTE};

static bool model_page_agrees(struct model *model, uint32_t page)
{
    uint8_t *address = model->memory + page * PAGE, state = model->state[page];
    if (can_read(address) != (state != NOT_COMMITTED))
        return false;
    if (state != NOT_COMMITTED && (*address != model->value[page] || address[PAGE - 1] != 0))
        return false;
    if (can_write(address) != (state == WRITABLE))
        return false;
    if (state == WRITABLE)
        *address = model->value[page];
    return true;
}

/* All of [start, end) committed (or all not)? */
static bool model_range_is(const struct model *model, uint32_t start, uint32_t end, bool committed)
{
    for (uint32_t page = start; page < end; page++) {
        if ((model->state[page] != NOT_COMMITTED) != committed)
            return false;
    }
    return true;
}

static void model_set(struct model *model, uint32_t start, uint32_t end, enum model_state state, bool clear)
{
    for (uint32_t page = start; page < end; page++) {
        model->state[page] = (uint8_t)state;
        if (clear)
            model->value[page] = 0;
    }
}

static bool model_step(struct model *model)
{
    uint32_t start = random_below(model->pages), most = random_below(3) ? 40 : model->pages;
    uint32_t end = start + 1 + random_below((uint32_t)min_u64(most, model->pages - start));
    uint8_t *address = model->memory + start * PAGE;
    uint64_t bytes = (end - start) * PAGE;
    enum model_state state = random_below(4) ? WRITABLE : (enum model_state)(READABLE + random_below(3));
    switch (random_below(8)) {
    case 0:
        platform_decommit(address, bytes);
        model_set(model, start, end, NOT_COMMITTED, true);
        break;
    case 1:
    case 2:
        if (!model_range_is(model, start, end, false))
            break;
        if (platform_commit(address, bytes, protections[state]) != STATUS_OK)
            return false;
        model_set(model, start, end, state, true);
        break;
    case 3:
        if (!model_range_is(model, start, end, true))
            break;
        if (platform_protect(address, bytes, protections[state]) != STATUS_OK)
            return false;
        model_set(model, start, end, state, false);
        break;
    case 4:
    case 5:
        for (uint32_t page = start; page < end; page++) {
            if (model->state[page] == WRITABLE)
                model->memory[page * PAGE] = model->value[page] = (uint8_t)random_below(256);
        }
        break;
    default:
        return model_page_agrees(model, start) && model_page_agrees(model, end - 1);
    }
    return true;
}

static void check_model(void)
{
    uint64_t before = frames_used();
    for (uint32_t m = 0; m < ARRAY_COUNT(models); m++) {
        struct model *model = &models[m];
        model->memory = (uint8_t *)platform_reserve(model->reserved) + model->first;
        uint32_t step = 0, page = 0;
        while (step < MODEL_STEPS && model_step(model))
            step++;
        while (page < model->pages && model_page_agrees(model, page))
            page++;
        if (step < MODEL_STEPS || page < model->pages)
            say("model %u: step %u, page %u\n", m, step, page);
        CHECK(step == MODEL_STEPS && page == model->pages);
    }
    for (uint32_t m = 0; m < ARRAY_COUNT(models); m++)
        platform_release(models[m].memory - models[m].first, models[m].reserved);
    CHECK(frames_used() == before);
}

#define MANY 3000
static void *many[MANY];

static uint64_t many_bytes(uint32_t number)
{
    return number % 3 == 0 ? MEMORY : number % 3 == 1 ? PAGE * (1 + number % 50) : MEGABYTE * (1 + number % 90);
}

static void check_many(void)
{
    uint64_t before = frames_used();
    bool complete = true, intact = true;
    for (uint32_t i = 0; i < MANY; i++) {
        many[i] = platform_reserve(many_bytes(i));
        complete &= many[i] && platform_commit(many[i], PAGE, PROTECTION_READ_WRITE) == STATUS_OK;
        if (complete)
            *(uint32_t *)many[i] = i;
    }
    CHECK(complete);
    for (uint32_t i = 0; i < MANY; i++)
        intact &= *(uint32_t *)many[i] == i;
    CHECK(intact);
    for (uint32_t i = 0; i < MANY; i++) {
        uint32_t number = i * 1009 % MANY;
        platform_release(many[number], many_bytes(number));
    }
    CHECK(frames_used() == before);
    void *again = platform_reserve(GIGABYTE * 200); /* nothing is left in pieces */
    CHECK(again != NULL);
    platform_release(again, GIGABYTE * 200);
}

static void check_large(uint8_t *memory, bool promised)
{
    const uint64_t bytes = 200 * MEGABYTE;
    uint64_t before = frames_used();
    CHECK(platform_commit(memory, bytes, PROTECTION_READ_WRITE) == STATUS_OK);
    CHECK(frames_used() - before - (promised ? bytes / PAGE : 0) < 8);
    bool zero = true, intact = true;
    for (uint64_t at = 0; at < bytes; at += PAGE) {
        zero &= memory[at] == 0 && memory[at + PAGE - 8] == 0;
        memory[at] = (uint8_t)(at / PAGE);
    }
    CHECK(zero);
    CHECK(frames_used() - before < bytes / PAGE + 8); /* tables went where huge pages came */
    platform_decommit(memory + 10 * MEGABYTE + 3 * PAGE, 5 * MEGABYTE);
    CHECK(platform_protect(memory + 30 * MEGABYTE + PAGE, PAGE, PROTECTION_READ) == STATUS_OK);
    CHECK(!can_write(memory + 30 * MEGABYTE + PAGE) && can_write(memory + 30 * MEGABYTE + 2 * PAGE + 8));
    CHECK(!can_read(memory + 10 * MEGABYTE + 3 * PAGE) && can_read(memory + 15 * MEGABYTE + 3 * PAGE));
    for (uint64_t at = 0; at < bytes; at += PAGE) {
        if (at < 10 * MEGABYTE + 3 * PAGE || at >= 15 * MEGABYTE + 3 * PAGE)
            intact &= memory[at] == (uint8_t)(at / PAGE);
    }
    CHECK(intact);
    platform_release(memory, MEMORY);
    CHECK(frames_used() == before);
}

/* What the kernel commits for itself is used from then on, whichever pages are touched: only tables are added. */
static void check_promised(void)
{
    const uint64_t pages = 200;
    uint8_t *small = platform_reserve(PAGE); /* keeps the page table of its arena */
    CHECK(platform_commit(small, PAGE, PROTECTION_READ_WRITE) == STATUS_OK);
    uint64_t before = frames_used();
    uint8_t *memory = platform_reserve(pages * PAGE);
    CHECK(platform_commit(memory, pages * PAGE, PROTECTION_READ_WRITE) == STATUS_OK);
    uint64_t committed = frames_used();
    CHECK(committed - before >= pages && committed - before <= pages + 1);
    for (uint64_t page = 0; page < pages; page += 3)
        memory[page * PAGE] = 1;
    CHECK(frames_used() == committed);
    platform_decommit(memory + 50 * PAGE, 100 * PAGE);
    CHECK(frames_used() == committed - 100);
    platform_release(memory, pages * PAGE);
    CHECK(frames_used() == before);
    platform_release(small, PAGE);
}

static uint64_t kept_rsp;

/* Call f(argument); true if it came back, false if an exception ended it somewhere, as one ends a guest. */
static bool comes_back(void (*function)(void *argument), void *argument)
{
    uint64_t before = boot_record.exceptions[EXCEPTION_PAGE_FAULT];
    __asm__ volatile("pushq %%rbp\n movq %%rsp, %0\n leaq 1f(%%rip), %%rax\n movq %%rax, %1\n callq *%2\n"
                     "1: movq %0, %%rsp\n popq %%rbp"
                     : "=m"(kept_rsp), "=m"(boot_record.resume), "+S"(function), "+D"(argument)
                     :
                     : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory");
    boot_record.resume = 0;
    return boot_record.exceptions[EXCEPTION_PAGE_FAULT] == before;
}

static void fill_with_random(void *memory)
{
    platform_random(memory, 100);
}
static void write_out(void *memory)
{
    size_t done;
    platform_stream_write(STREAM_OUTPUT, memory, 100, &done);
}
static void read_in(void *memory) /* there is input */
{
    size_t done;
    platform_stream_read(STREAM_INPUT, memory, 100, &done);
}

/* A guest takes all memory that there is: its fault comes to the kernel, which can still work, and what the kernel
 * committed before is there when it is touched. */
static void check_exhaustion(void)
{
    uint64_t before = frames_used(), total = frames_total(), own_bytes = total / 4 * PAGE;
    uint8_t *own = platform_reserve(own_bytes), *too_much = platform_reserve(total * PAGE);
    CHECK(platform_commit(own, own_bytes, PROTECTION_READ_WRITE) == STATUS_OK);
    CHECK(platform_commit(too_much, total * PAGE, PROTECTION_READ_WRITE) == STATUS_NO_MEMORY && !can_read(too_much));
    uint8_t *memory = platform_reserve_for_guest(MEMORY);
    CHECK(platform_commit(memory, 4 * GIGABYTE, PROTECTION_READ_WRITE) == STATUS_OK);
    uint64_t at = 0;
    while (at < 4 * GIGABYTE && can_write(memory + at))
        at += PAGE;
    CHECK(at < 4 * GIGABYTE && at / PAGE > total / 2 && boot_record.fault_address == (uint64_t)memory + at);
    CHECK(platform_commit(too_much, PAGE, PROTECTION_READ_WRITE) == STATUS_NO_MEMORY);
    /* Guests that end because their buffer finds no frame leave nothing locked: each is asked twice. */
    void (*const users[])(void *) = {fill_with_random, write_out, read_in};
    for (uint32_t i = 0; i < 2 * ARRAY_COUNT(users); i++)
        CHECK(!comes_back(users[i / 2], memory + at));
    bool touched = true;
    for (uint64_t page = 0; page < own_bytes; page += PAGE)
        touched = touched && can_write(own + page);
    CHECK(touched);
    platform_decommit(memory + 3 * PAGE, PAGE); /* splits a huge page with what is in reserve */
    CHECK(can_read(memory + 4 * PAGE));
    platform_release(memory, MEMORY);
    platform_release(too_much, total * PAGE);
    platform_release(own, own_bytes);
    CHECK(frames_used() == before);
    own = platform_reserve(total * PAGE); /* nothing stays promised */
    CHECK(platform_commit(own, (total - before) / 16 * 15 * PAGE, PROTECTION_READ_WRITE) == STATUS_OK);
    platform_release(own, total * PAGE);
    CHECK(frames_used() == before);
}

/* ---- Time ---- */

static volatile uint32_t interrupt_requests;

void kernel_timer_interrupt(struct machine_state *state)
{
    (void)state;
    platform_cpu()->timer_interrupts++;
}

void kernel_cpu_interrupt(struct machine_state *state)
{
    (void)state;
    platform_cpu()->interrupts++;
}

void kernel_interrupt_request(struct machine_state *state)
{
    (void)state;
    interrupt_requests++;
}

void kernel_panicked(void) {}

/* Late is all right on a busy host, early is not. */
static void check_clock(void)
{
    const uint64_t millisecond = 1000000;
    uint64_t start = platform_monotonic_nanoseconds(), now = start;
    for (uint32_t i = 0; i < 1000; i++) {
        uint64_t next = platform_monotonic_nanoseconds();
        CHECK(next >= now);
        now = next;
    }
    passed -= 999; /* they count as one */
    platform_timer_arm(now + 5 * millisecond);
    while (boot_record.timer_interrupts == 0)
        platform_idle(UINT64_MAX);
    CHECK(platform_monotonic_nanoseconds() >= now + 5 * millisecond);
    now = platform_monotonic_nanoseconds();
    platform_timer_arm(now + 2 * millisecond); /* without idling */
    while (boot_record.timer_interrupts == 1 && platform_monotonic_nanoseconds() < now + 2000 * millisecond)
        ;
    CHECK(boot_record.timer_interrupts == 2);
    now = platform_monotonic_nanoseconds();
    platform_timer_arm(now + 50 * millisecond);
    while (platform_monotonic_nanoseconds() < now + 3 * millisecond)
        platform_idle(now + 3 * millisecond); /* its own deadline comes first, and is no timer interrupt */
    CHECK(boot_record.timer_interrupts == 2);
    platform_timer_arm(UINT64_MAX);
    while (platform_monotonic_nanoseconds() < now + 60 * millisecond)
        platform_idle(now + 60 * millisecond);
    CHECK(boot_record.timer_interrupts == 2);
    say("realtime %llu\n", (unsigned long long)platform_realtime_nanoseconds());
}

static void check_cpu(void)
{
    uint8_t first[40] = {0}, second[40] = {0};
    platform_random(first, sizeof first);
    platform_random(second, sizeof second);
    CHECK(memcmp(first, second, sizeof first) != 0);
    CHECK(platform_xsave_bytes() >= 512);
    platform_set_cpu((struct cpu *)first);
    CHECK(platform_cpu() == (struct cpu *)first);
    platform_set_cpu(&boot_record);
    uint64_t low = 0, address = (uint64_t)second;
    second[3] = 77;
    platform_set_gs(address);
    __asm__("movzbl %%gs:3, %k0" : "=r"(low));
    CHECK(low == 77);
    first[5] = 78;
    __asm__ volatile("movq %1, %%r11\n callq *%2\n movzbl %%gs:5, %k0"
                     : "=&r"(low)
                     : "r"(first), "r"(platform_gs_stub())
                     : "r11", "cc");
    CHECK(low == 78);
}

/* ---- Input ---- */

static void echo_input(void)
{
    uint8_t buffer[512];
    size_t bytes, done;
    for (;;) {
        if (platform_stream_read(STREAM_INPUT, buffer, sizeof buffer, &bytes) == STATUS_AGAIN) {
            platform_idle(UINT64_MAX);
            continue;
        }
        if (bytes == 0)
            break;
        for (size_t at = 0; at < bytes; at += done)
            platform_stream_write(STREAM_OUTPUT, buffer + at, bytes - at, &done);
    }
    say("interrupts: %u\n", interrupt_requests);
}

static bool asked(char letter)
{
    for (const char *at = boot->command_line; *at; at++) {
        if ((at == boot->command_line || at[-1] == ' ') && memcmp(at, "checks=", 7) == 0) {
            for (at += 7; *at && *at != ' '; at++) {
                if (*at == letter)
                    return true;
            }
            return false;
        }
    }
    return false;
}

static uint64_t timestamp(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

_Noreturn void kernel_main(const struct boot_information *information)
{
    uint64_t ticks = timestamp() - information->entry_timestamp;
    boot = information;
    platform_set_cpu(&boot_record);
    say("platform %s, %llu frames, %llu ticks, archive %.*s\n", boot->platform_name, (unsigned long long)frames_total(),
        (unsigned long long)ticks, (int)min_u64(boot->archive_bytes, 32),
        boot->archive ? (const char *)boot->archive : "");
    check_cpu();
    if (asked('e'))
        check_exceptions();
    if (asked('m')) {
        check_reserve_and_commit();
        check_protection();
        check_windows();
        check_copies();
        check_many();
    }
    if (asked('r'))
        check_model();
    if (asked('h')) {
        check_large(platform_reserve_for_guest(MEMORY), false);
        check_large(platform_reserve(MEMORY), true);
        check_promised();
    }
    if (asked('x'))
        check_exhaustion();
    if (asked('c'))
        check_clock();
    if (asked('i'))
        echo_input();
    if (asked('s'))
        check_several_cpus();
    if (asked('P'))
        panic_elsewhere();
    if (asked('p'))
        *(volatile uint8_t *)16 = 1;
    say("%u passed, %u failed\n", passed, failed);
    platform_power_off(failed > 0);
}
