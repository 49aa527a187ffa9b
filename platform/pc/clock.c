#include "platform/pc/clock.h"

#include "engine/base.h"
#include "platform/pc/apic.h"
#include "platform/pc/boot.h"
#include "platform/pc/console.h"
#include "platform/pc/cpu.h"
#include "platform/pc/frames.h"
#include "platform/pc/instructions.h"
#include "platform/pc/spinlock.h"

#define SECOND           UINT64_C(1000000000) /* in nanoseconds */
#define RATIO_SHIFT      30
#define TIMER_HZ_VIRTUAL SECOND /* QEMU's and KVM's APIC timer, undivided */

/* Changed only before a second CPU runs: clock_settle.
 *
 * monotonic = base_nanoseconds + (tsc - base_tsc) * nanoseconds_per_tick */
static uint64_t base_tsc, base_nanoseconds;
static uint64_t nanoseconds_per_tick, ticks_per_nanosecond; /* << RATIO_SHIFT */
static uint64_t tsc_hz;
static uint64_t timer_per_nanosecond; /* APIC timer, << RATIO_SHIFT */

/* The count against the APIC timer, under emulation. */
static bool counting;
static uint64_t count_start_tsc;
static uint32_t count_start_timer;

static struct long_lock realtime_lock;                   /* also of the RTC */
static uint64_t realtime_base GUARDED_BY(realtime_lock); /* realtime at monotonic 0 */
static bool realtime_known GUARDED_BY(realtime_lock);

static uint64_t scale(uint64_t value, uint64_t ratio)
{
    return (uint64_t)((unsigned __int128)value * ratio >> RATIO_SHIFT);
}

uint64_t platform_monotonic_nanoseconds(void)
{
    return base_nanoseconds + scale(read_tsc() - base_tsc, nanoseconds_per_tick);
}

/* From now on by this frequency; time goes on from where it is. */
static void set_frequency(uint64_t hz)
{
    bool enabled = interrupts_disable();
    uint64_t now = read_tsc();
    if (nanoseconds_per_tick)
        base_nanoseconds += scale(now - base_tsc, nanoseconds_per_tick);
    else
        now = base_tsc;
    base_tsc = now;
    tsc_hz = hz;
    nanoseconds_per_tick = (SECOND << RATIO_SHIFT) / hz;
    ticks_per_nanosecond = (hz << RATIO_SHIFT) / SECOND;
    interrupts_restore(enabled);
}

uint64_t clock_tsc_khz(void)
{
    return tsc_hz / 1000;
}

/* ---- Where the frequency comes from ---- */

/* KVM's clock record (Documentation/virt/kvm/x86/msr.rst). */
struct kvm_clock {
    volatile uint32_t version;
    uint32_t padding0;
    uint64_t tsc_timestamp, system_time;
    uint32_t tsc_to_nanoseconds; /* multiplier, << 32 */
    int8_t tsc_shift;
    uint8_t flags, padding[2];
} __attribute__((aligned(64)));
#define KVM_FEATURES_LEAF 0x40000001
#define KVM_FEATURE_CLOCK 3
#define MSR_KVM_CLOCK     0x4b564d01

static uint64_t frequency_from_kvm(void)
{
    static struct kvm_clock record;
    if (memcmp(cpu_details.hypervisor_name, "KVMKVMKVM", 9) != 0 ||
        !(cpuid(KVM_FEATURES_LEAF, 0).eax >> KVM_FEATURE_CLOCK & 1))
        return 0;
    write_msr(MSR_KVM_CLOCK, ((uint64_t)&record - KERNEL_BASE) | 1);
    uint64_t multiplier = record.tsc_to_nanoseconds;
    int shift = record.tsc_shift;
    write_msr(MSR_KVM_CLOCK, 0);
    if (multiplier == 0)
        return 0;
    /* nanoseconds = (ticks << shift) * multiplier >> 32; with 1 GHz << 32 the division keeps ten digits. */
    uint64_t hz = (SECOND << 32) / multiplier;
    return shift >= 0 ? hz >> shift : hz << -shift;
}

static uint64_t frequency_from_cpuid(void)
{
    uint32_t highest = cpuid(0, 0).eax;
    if (highest < 0x15)
        return 0;
    struct cpuid ratio = cpuid(0x15, 0); /* eax: denominator, ebx: numerator, ecx: crystal in Hz */
    if (ratio.eax && ratio.ebx && ratio.ecx)
        return (uint64_t)ratio.ecx * ratio.ebx / ratio.eax;
    if (ratio.eax && ratio.ebx && highest >= 0x16)
        return (uint64_t)(cpuid(0x16, 0).eax & 0xffff) * 1000000; /* base frequency, which the TSC has on such CPUs */
    return 0;
}

/* Both counters as close together as can be: of three readings that with the shortest way. */
static void read_together(uint64_t *tsc, uint32_t *timer)
{
    uint64_t best = UINT64_MAX;
    for (uint32_t i = 0; i < 3; i++) {
        uint64_t before = read_tsc();
        uint32_t count = apic_timer_count();
        uint64_t taken = read_tsc() - before;
        if (taken < best) {
            best = taken;
            *tsc = before + taken / 2;
            *timer = count;
        }
    }
}

static void count_evaluate(void)
{
    uint64_t tsc = 0;
    uint32_t timer = 0;
    read_together(&tsc, &timer);
    uint64_t nanoseconds = count_start_timer - timer, ticks = tsc - count_start_tsc;
    if (nanoseconds > 0 && ticks < UINT64_MAX / SECOND)
        set_frequency(max_u64(ticks * SECOND / nanoseconds, 1000000));
}

/* PIT channel 2, gated by port 0x61, over 2 ms; also tells the APIC timer's frequency. */
#define PIT_HZ            1193182
#define PIT_COUNT         2386
#define PIT_POLLS_MAXIMUM 1000000

static uint64_t frequency_from_pit(uint64_t *timer_hz)
{
    uint8_t gate = (uint8_t)((in8(0x61) & ~2) | 1); /* speaker off, gate on */
    out8(0x61, gate);
    out8(0x43, 0xb0); /* channel 2, both bytes, mode 0 */
    apic_timer_start(UINT32_MAX);
    out8(0x42, PIT_COUNT & 0xff);
    out8(0x42, PIT_COUNT >> 8);
    uint64_t start_tsc = 0, end_tsc = 0;
    uint32_t start_timer = 0, end_timer = 0, polls = 0;
    read_together(&start_tsc, &start_timer);
    while (!(in8(0x61) & 0x20) && polls < PIT_POLLS_MAXIMUM)
        polls++;
    read_together(&end_tsc, &end_timer);
    apic_timer_start(0);
    if (polls == 0 || polls == PIT_POLLS_MAXIMUM)
        return 0;
    *timer_hz = (uint64_t)(start_timer - end_timer) * PIT_HZ / PIT_COUNT;
    return (end_tsc - start_tsc) * PIT_HZ / PIT_COUNT;
}

void clock_count_begin(void)
{
    if (memcmp(cpu_details.hypervisor_name, "TCGTCGTCGTCG", 12) != 0)
        return;
    counting = true;
    apic_timer_start(UINT32_MAX);
    read_together(&count_start_tsc, &count_start_timer);
}

void clock_initialize(const char *command_line, uint64_t entry_timestamp)
{
    base_tsc = entry_timestamp;
    char value[24];
    if (boot_option(command_line, "time", value, sizeof value)) {
        long_lock_acquire(&realtime_lock);
        for (const char *digit = value; *digit >= '0' && *digit <= '9'; digit++)
            realtime_base = realtime_base * 10 + (uint64_t)(*digit - '0');
        realtime_known = true;
        long_lock_release(&realtime_lock);
    }
}

void clock_start(void)
{
    uint64_t timer_hz = TIMER_HZ_VIRTUAL;
    if (counting) {
        count_evaluate();
    } else {
        uint64_t hz = frequency_from_kvm();
        if (!hz)
            hz = frequency_from_cpuid();
        if (!hz || (!cpu_details.tsc_deadline && !cpu_details.hypervisor)) {
            uint64_t counted = frequency_from_pit(&timer_hz);
            hz = hz ? hz : counted;
        }
        if (!hz) {
            console_message("tessera: no way to tell the speed of the clock; taking 1 GHz\n");
            hz = SECOND;
        }
        set_frequency(hz);
    }
    timer_per_nanosecond = (timer_hz << RATIO_SHIFT) / SECOND;
    if (cpu_details.tsc_deadline)
        apic_timer_use_deadline();
}

/* ---- The alarm ---- */

void clock_settle(void)
{
    if (counting) {
        count_evaluate();
        counting = false;
    }
}

/* Interrupts are off. */
static void timer_program(uint64_t deadline)
{
    clock_settle();
    if (cpu_details.tsc_deadline) {
        uint64_t tsc = 0; /* off */
        if (deadline != UINT64_MAX) {
            uint64_t rest = deadline > base_nanoseconds ? deadline - base_nanoseconds : 0;
            unsigned __int128 ticks = (unsigned __int128)rest * ticks_per_nanosecond >> RATIO_SHIFT;
            tsc = ticks < UINT64_MAX / 2 ? base_tsc + (uint64_t)ticks : UINT64_MAX;
        }
        write_msr(MSR_TSC_DEADLINE, tsc);
        return;
    }
    uint64_t count = 0; /* off */
    if (deadline != UINT64_MAX) {
        uint64_t now = platform_monotonic_nanoseconds();
        uint64_t rest = min_u64(deadline > now ? deadline - now : 0, 4 * SECOND);
        count = min_u64(max_u64(scale(rest, timer_per_nanosecond), 1), UINT32_MAX);
    }
    apic_timer_start((uint32_t)count);
}

void platform_timer_arm(uint64_t deadline)
{
    bool enabled = interrupts_disable();
    struct pc_cpu *cpu = pc_cpu();
    if (cpu->timer_armed != deadline || deadline != UINT64_MAX) {
        cpu->timer_armed = deadline;
        timer_program(deadline);
    }
    interrupts_restore(enabled);
}

void clock_timer_interrupt(struct machine_state *state)
{
    struct pc_cpu *cpu = pc_cpu();
    if (platform_monotonic_nanoseconds() < cpu->timer_armed) {
        timer_program(cpu->timer_armed); /* further away than the timer counts, or it was platform_idle's */
        return;
    }
    cpu->timer_armed = UINT64_MAX;
    kernel_timer_interrupt(state);
}

void platform_idle(uint64_t deadline)
{
    struct pc_cpu *cpu = pc_cpu();
    bool enabled = interrupts_disable();
    if (!cpu->woken && platform_monotonic_nanoseconds() < deadline) {
        if (deadline < cpu->timer_armed)
            timer_program(deadline);
        /* `sti` lets interrupts in only behind the next instruction, so none slips in before `hlt`. */
        tlb_idle_begin();
        __asm__ volatile("sti; hlt; cli" ::: "memory");
        tlb_idle_end();
    }
    cpu->woken = false;
    interrupts_restore(enabled);
}

/* ---- Wall clock ---- */

static uint8_t rtc_read(uint8_t number)
{
    out8(0x70, number);
    return in8(0x71);
}

struct rtc_time {
    uint8_t second, minute, hour, day, month, year, century;
};

static void rtc_read_all(struct rtc_time *time)
{
    for (uint32_t i = 0; i < 10000 && rtc_read(0x0a) & 0x80; i++)
        ; /* an update is in progress: at most 2 ms */
    *time =
        (struct rtc_time){rtc_read(0), rtc_read(2), rtc_read(4), rtc_read(7), rtc_read(8), rtc_read(9), rtc_read(0x32)};
}

static uint64_t from_bcd(uint8_t value)
{
    return (value >> 4) * 10u + (value & 15);
}

/* Days from 1970-01-01, Gregorian calendar. */
static uint64_t days_since_epoch(uint64_t year, uint64_t month, uint64_t day)
{
    year -= month <= 2; /* years begin in March, so that the leap day is the last */
    uint64_t month_from_march = (month + 9) % 12;
    uint64_t days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month_from_march + 2) / 5 + day - 1;
    return days - 719468;
}

/* Seconds since 1970 by the RTC, which keeps UTC in a machine that is only ours; 0 without one. */
static uint64_t rtc_seconds(void)
{
    struct rtc_time time, again;
    rtc_read_all(&time);
    for (uint32_t i = 0; i < 4; i++) { /* twice the same: not in the middle of an update */
        rtc_read_all(&again);
        if (memcmp(&time, &again, sizeof time) == 0)
            break;
        time = again;
    }
    uint8_t format = rtc_read(0x0b);
    if (time.second == 0xff && time.minute == 0xff)
        return 0;
    bool afternoon = time.hour & 0x80;
    time.hour &= 0x7f;
    bool binary = format & 4;
    uint64_t second = binary ? time.second : from_bcd(time.second),
             minute = binary ? time.minute : from_bcd(time.minute);
    uint64_t hour = binary ? time.hour : from_bcd(time.hour), day = binary ? time.day : from_bcd(time.day);
    uint64_t month = binary ? time.month : from_bcd(time.month), year = binary ? time.year : from_bcd(time.year);
    uint64_t century = binary ? time.century : from_bcd(time.century);
    if (!(format & 2))
        hour = hour % 12 + (afternoon ? 12 : 0);
    year += century >= 19 && century <= 21 ? century * 100 : 2000;
    if (month < 1 || month > 12 || day < 1 || day > 31)
        return 0;
    return ((days_since_epoch(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
}

uint64_t platform_realtime_nanoseconds(void)
{
    uint64_t now = platform_monotonic_nanoseconds();
    long_lock_acquire(&realtime_lock);
    if (!realtime_known) {
        uint64_t seconds = rtc_seconds();
        if (seconds == 0)
            console_message("tessera: no clock tells the date; it starts at 1970\n");
        realtime_base = seconds == 0 ? 0 : seconds * SECOND - now;
        realtime_known = true;
    }
    uint64_t base = realtime_base;
    long_lock_release(&realtime_lock);
    return base + now;
}
