/* The CPU: features by CPUID (and what the Linux kernel enabled), the GS base, the running CPU's record.
 *
 * In a virtual machine every CPUID is an exit to its host, 8 us and more, which a short program feels: so there is no
 * __get_cpuid here, which executes two, and the name is only read when somebody asks. Leaves 0, 1, 0x80000001 and those
 * of the name exist on every x86-64 CPU. */
#include "platform/linux/linux.h"
#include "kernel/platform.h"
#include "kernel/sanitizer.h"
#include "engine/base.h"
#include "engine/compile.h"
#include "kernel/lock.h"

#include <asm/prctl.h>
#include <cpuid.h>
#include <pthread.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/hwcap2.h of newer headers */
#define HWCAP2_FSGSBASE_ENABLED (1u << 1)

/* Extended state that interrupted code may hold: x87, SSE, AVX, the three AVX-512 parts. Tiles (AMX) need a permission
 * from Linux that nobody asks for. */
#define XSAVE_COMPONENTS UINT64_C(0xe7)

#define RELAX_ROUNDS 100

static __thread struct cpu *current_cpu;
static uint32_t features;
static uint64_t xsave_mask;
static size_t xsave_bytes;

SANITIZER_AT_INTERRUPT struct cpu *platform_cpu(void)
{
    return current_cpu;
}

void platform_set_cpu(struct cpu *cpu)
{
    current_cpu = cpu;
}

uint32_t platform_cpu_features(void)
{
    return features;
}

static char name[49];

static void find_name(void)
{
    unsigned words[12];
    for (unsigned i = 0; i < 3; i++)
        __cpuid(0x80000002 + i, words[4 * i], words[4 * i + 1], words[4 * i + 2], words[4 * i + 3]);
    const char *text = (const char *)words;
    size_t skipped = 0;
    while (skipped < sizeof words && text[skipped] == ' ')
        skipped++;
    memcpy(name, text + skipped, sizeof words - skipped);
}

const char *platform_cpu_name(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find_name);
    return name;
}

/* The holder of a lock may be waiting for the processor that we spin on. */
void platform_relax(uint32_t round)
{
    if (round % RELAX_ROUNDS == RELAX_ROUNDS - 1)
        sched_yield();
    else
        __builtin_ia32_pause();
}

/* Pages that are not touched cost nothing, and the C library's functions take what they like; AddressSanitizer needs
 * far more. */
size_t platform_kernel_stack_bytes(void)
{
    return KERNEL_CHECKS ? 128 << 10 : 16 << 10;
}

size_t platform_xsave_bytes(void)
{
    return xsave_bytes;
}

uint64_t platform_xsave_mask(void)
{
    return xsave_mask;
}

static uint64_t read_xcr0(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

/* Size of an XSAVE area (standard format) for the components of `mask`: CPUID leaf 0xd. */
static size_t xsave_area_bytes(uint64_t mask)
{
    size_t bytes = 512 + 64; /* legacy area and header */
    for (unsigned component = 2; component < 63; component++) {
        unsigned a, b, c, d;
        if (mask >> component & 1) {
            __cpuid_count(0xd, component, a, b, c, d);
            bytes = max_u64(bytes, (uint64_t)a + b);
        }
    }
    return align_up(bytes, 64);
}

void linux_cpu_initialize(void)
{
    unsigned highest, a, b, c, d;
    __cpuid(0, highest, b, c, d);
    __cpuid(1, a, b, c, d);
    if (!(c & bit_SSE4_2) || !(c & bit_POPCNT) || !(c & bit_SSSE3)) {
        static const char message[] = "tessera: this CPU lacks SSE4.2 or POPCNT (x86-64-v2 is required)\n";
        platform_log(message, sizeof message - 1);
        _exit(125);
    }
    uint64_t enabled = c & bit_OSXSAVE ? read_xcr0() : 0;
    bool vectors = (enabled & 6) == 6; /* Linux saves xmm and ymm */
    features = 0;
    features |= vectors && c & bit_AVX ? CPU_AVX : 0;
    features |= vectors && c & bit_FMA ? CPU_FMA : 0;
    if (highest >= 7) {
        __cpuid_count(7, 0, a, b, c, d);
        features |= vectors && b & bit_AVX2 ? CPU_AVX2 : 0;
        features |= b & bit_BMI ? CPU_BMI1 : 0;
        features |= b & bit_BMI2 ? CPU_BMI2 : 0;
    }
    __cpuid(0x80000001, a, b, c, d);
    features |= c & bit_LZCNT ? CPU_LZCNT : 0;
    features |= getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_ENABLED ? CPU_FSGSBASE : 0;
    xsave_mask = enabled & XSAVE_COMPONENTS;
    xsave_bytes = xsave_mask ? xsave_area_bytes(xsave_mask) : 512;
}

/* ---- GS base ---- */

void platform_set_gs(uint64_t base)
{
    if (features & CPU_FSGSBASE)
        __asm__ volatile("wrgsbase %0" : : "r"(base) : "memory");
    else
        syscall(SYS_arch_prctl, ARCH_SET_GS, base);
}

/* r11: the new base. All other registers are the caller's, so what the system call changes is kept on the stack. */
__attribute__((naked)) static void gs_stub_system_call(void)
{
    __asm__ volatile("pushq %%rax\n\t"
                     "pushq %%rcx\n\t"
                     "pushq %%rdi\n\t"
                     "pushq %%rsi\n\t"
                     "movl %0, %%edi\n\t"
                     "movq %%r11, %%rsi\n\t"
                     "movl %1, %%eax\n\t"
                     "syscall\n\t"
                     "popq %%rsi\n\t"
                     "popq %%rdi\n\t"
                     "popq %%rcx\n\t"
                     "popq %%rax\n\t"
                     "ret"
                     :
                     : "i"(ARCH_SET_GS), "i"(SYS_arch_prctl));
}

__attribute__((naked)) static void gs_stub_instruction(void)
{
    __asm__ volatile("wrgsbase %r11\n\t"
                     "ret");
}

uint64_t platform_gs_stub(void)
{
    return (uint64_t)(features & CPU_FSGSBASE ? gs_stub_instruction : gs_stub_system_call);
}
