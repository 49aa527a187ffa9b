/* Finding out by trying: a virtual CPU of our own, in a child process that can be killed. */
#include "tools/accelerator.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define LOOP_COUNT            4000
#define LIMIT_NANOSECONDS     1000000 /* of the loop: a CPU needs less than 0.1 ms for it, an interpreter more than 2 */
#define TRIES                 3       /* a busy host may take its CPU away meanwhile */
#define PATIENCE_MILLISECONDS 300     /* for all of the test */

/* The machine: code at 0x1000, page tables behind it, one 2 MiB page that maps address 0 to itself. */
enum { CODE = 0x1000, LEVEL_4 = 0x2000, LEVEL_3 = 0x3000, LEVEL_2 = 0x4000, MEMORY_BYTES = 0x10000 };

/* mov ecx, LOOP_COUNT; again: dec ecx; jnz again; hlt */
static const uint8_t loop_code[] = {
    0xb9, LOOP_COUNT & 0xff, LOOP_COUNT >> 8 & 0xff, LOOP_COUNT >> 16 & 0xff, 0, 0xff, 0xc9, 0x75, 0xfc, 0xf4};

static void set_word(uint8_t *memory, uint32_t address, uint64_t value)
{
    memcpy(memory + address, &value, sizeof value);
}

/* Long mode at ring 0, flat, rip at the code. */
static bool set_registers(int cpu)
{
    struct kvm_sregs special;
    if (ioctl(cpu, KVM_GET_SREGS, &special) != 0)
        return false;
    struct kvm_segment code = {.limit = UINT32_MAX, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1};
    struct kvm_segment data = {.limit = UINT32_MAX, .selector = 16, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1};
    special.cs = code;
    special.ds = special.es = special.fs = special.gs = special.ss = data;
    special.cr0 = 0x80000031; /* PG NE ET PE */
    special.cr3 = LEVEL_4;
    special.cr4 = 0x20;   /* PAE */
    special.efer = 0x500; /* LMA LME */
    struct kvm_regs registers = {.rip = CODE, .rflags = 2};
    return ioctl(cpu, KVM_SET_SREGS, &special) == 0 && ioctl(cpu, KVM_SET_REGS, &registers) == 0;
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

enum result { WORKS, NO_DEVICE, NO_MACHINE, BROKEN, SLOW, HANGS, RESULT_COUNT };
static const char *const result_texts[RESULT_COUNT] = {
    [WORKS] = "KVM works",
    [NO_DEVICE] = "/dev/kvm is missing or not allowed",
    [NO_MACHINE] = "KVM makes no machine",
    [BROKEN] = "KVM does not run a simple loop",
    [SLOW] = "KVM interprets instructions here, which is slower",
    [HANGS] = "KVM does not finish a simple loop",
};

static enum result try_kvm(int device)
{
    if (ioctl(device, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
        return NO_MACHINE;
    int machine = ioctl(device, KVM_CREATE_VM, 0);
    uint8_t *memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (machine < 0 || memory == MAP_FAILED)
        return NO_MACHINE;
    memcpy(memory + CODE, loop_code, sizeof loop_code);
    set_word(memory, LEVEL_4, LEVEL_3 | 3); /* present, writable */
    set_word(memory, LEVEL_3, LEVEL_2 | 3);
    set_word(memory, LEVEL_2, 0x83); /* 2 MiB page */
    struct kvm_userspace_memory_region region = {.memory_size = MEMORY_BYTES, .userspace_addr = (uintptr_t)memory};
    if (ioctl(machine, KVM_SET_USER_MEMORY_REGION, &region) != 0)
        return NO_MACHINE;
    int cpu = ioctl(machine, KVM_CREATE_VCPU, 0);
    int run_bytes = ioctl(device, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (cpu < 0 || run_bytes < (int)sizeof(struct kvm_run))
        return NO_MACHINE;
    struct kvm_run *run = mmap(NULL, (size_t)run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, cpu, 0);
    if (run == MAP_FAILED)
        return NO_MACHINE;
    for (int tries = 0; tries < TRIES; tries++) {
        uint64_t start = now();
        if (!set_registers(cpu) || ioctl(cpu, KVM_RUN, 0) != 0 || run->exit_reason != KVM_EXIT_HLT)
            return BROKEN;
        if (now() - start < LIMIT_NANOSECONDS)
            return WORKS;
    }
    return SLOW;
}

/* The test in a child; its result comes through a pipe, or not in time. */
static enum result try_kvm_apart(int device)
{
    int pipe_ends[2];
    if (pipe2(pipe_ends, O_CLOEXEC) != 0)
        return NO_MACHINE;
    pid_t child = fork();
    if (child == 0) {
        uint8_t answer = (uint8_t)try_kvm(device);
        _exit(write(pipe_ends[1], &answer, 1) == 1 ? 0 : 1);
    }
    close(pipe_ends[1]);
    uint8_t answer = BROKEN;
    if (child > 0) {
        struct pollfd descriptor = {.fd = pipe_ends[0], .events = POLLIN};
        if (poll(&descriptor, 1, PATIENCE_MILLISECONDS) <= 0)
            answer = HANGS;
        else if (read(pipe_ends[0], &answer, 1) != 1 || answer >= RESULT_COUNT)
            answer = BROKEN;
        /* Not waited for: taking the machine down can last longer than the test. */
        kill(child, SIGKILL);
    }
    close(pipe_ends[0]);
    return (enum result)answer;
}

bool kvm_works(const char **reason)
{
    enum result result = NO_DEVICE;
    int device = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (device >= 0) {
        result = try_kvm_apart(device);
        close(device);
    }
    *reason = result_texts[result];
    return result == WORKS;
}
