#include "kernel/host_call.h"

#include "engine/base.h"
#include "engine/compile.h"
#include "engine/module.h"
#include "kernel/builtins.h"
#include "kernel/cpu.h"
#include "kernel/service.h"
#include "kernel/signature.h"

_Static_assert(sizeof(struct host_entry) == 32, "the stubs scale by shifting");
#define STUB_BYTES 16

/* By number. Rows of the tables of abi/ are filled when they are first linked. */
struct host_entry host_entries[HOST_FUNCTIONS_MAXIMUM];
static struct spinlock entries_lock = SPINLOCK(LOCK_HOST_FUNCTIONS); /* for filling them */
/* Numbers from here on are for host_function_register; 0: not initialized. */
static uint32_t registered_first, registered_count;

/* ---- Entry stubs ---- */

#define AREA(member)   offsetof(struct thread_area, member)
#define HEADER(member) HEADER_OFFSET(member)

/* Stub number n is at n * STUB_BYTES: it loads its number and goes on to the common part. */
extern const uint8_t host_stub_table[];
__attribute__((naked, used)) static void host_stubs(void)
{
    __asm__(".p2align 4\n"
            "host_stub_table:\n"
            ".set host_stub_number, 0\n"
            ".rept %c[count]\n"
            ".p2align 4\n"
            ".byte 0x41, 0xbb\n" /* mov $number, %r11d */
            ".long host_stub_number\n"
            "jmp host_call_common\n"
            ".set host_stub_number, host_stub_number + 1\n"
            ".endr\n"
            :
            : [count] "i"(HOST_FUNCTIONS_MAXIMUM));
}

/* r11d = number; arguments as docs/abi.md says. Free are rax, r10, r11, rdi. The wasm side's return address and stack
 * arguments stay where they are. */
__attribute__((naked, used)) static void host_call_common(void)
{
    __asm__("movq %%gs:%c[thread], %%r10\n"
            "movq %%rsp, %c[wasm_rsp](%%r10)\n"
            "movl %%r11d, %c[host_function](%%r10)\n"
            "shll $5, %%r11d\n"
            "leaq host_entries(%%rip), %%rax\n"
            "addq %%rax, %%r11\n"
            "movq %%rsp, %%rax\n"
            "movq %c[kernel_rsp](%%r10), %%rsp\n"
            "movq %%gs:%c[instance], %%rdi\n"
            "cmpq $0, %c[shares](%%r10)\n"
            "jne 5f\n"
            "6: movzwl %c[stack_words](%%r11), %%r10d\n"
            "testl %%r10d, %%r10d\n"
            "jnz 2f\n"
            "1: callq *(%%r11)\n"
            "movq %%gs:%c[thread], %%r10\n"
            "movq %c[wasm_rsp](%%r10), %%rsp\n"
            "cmpq $0, %c[pending](%%r10)\n" /* and `switched` */
            "jne 4f\n"
            "retq\n"

            /* copy r10 stack arguments; rsp stays aligned */
            "2: testb $1, %%r10b\n"
            "jz 3f\n"
            "subq $8, %%rsp\n"
            "3: pushq (%%rax,%%r10,8)\n"
            "decl %%r10d\n"
            "jnz 3b\n"
            "jmp 1b\n"

            /* The CPU takes a `ret` for the return to the last call that it saw, which was another thread's, and it would
             * be wrong; where a jump leads it learns. */
            "4: movl $0, %c[switched](%%r10)\n"
            "cmpl $0, %c[pending](%%r10)\n"
            "jne 7f\n"
            "popq %%r10\n"
            "jmpq *%%r10\n"

            /* keep the one result, whichever it is */
            "7: movq %c[kernel_rsp](%%r10), %%rsp\n"
            "subq $16, %%rsp\n"
            "movq %%rax, (%%rsp)\n"
            "movsd %%xmm0, 8(%%rsp)\n"
            "callq thread_pending_in_host_call\n"
            "movq (%%rsp), %%rax\n"
            "movsd 8(%%rsp), %%xmm0\n"
            "movq %%gs:%c[thread], %%r10\n"
            "movq %c[wasm_rsp](%%r10), %%rsp\n"
            "retq\n"

            /* the process has several threads: only one is in the kernel. All arguments are kept */
            "5: cmpw $0, %c[unlocked](%%r11)\n"
            "jne 6b\n"
            "pushq %%rax\n pushq %%r11\n pushq %%rdi\n pushq %%rsi\n"
            "pushq %%rdx\n pushq %%rcx\n pushq %%r8\n pushq %%r9\n"
            "subq $64, %%rsp\n"
            "movsd %%xmm0, (%%rsp)\n movsd %%xmm1, 8(%%rsp)\n movsd %%xmm2, 16(%%rsp)\n movsd %%xmm3, 24(%%rsp)\n"
            "movsd %%xmm4, 32(%%rsp)\n movsd %%xmm5, 40(%%rsp)\n movsd %%xmm6, 48(%%rsp)\n movsd %%xmm7, 56(%%rsp)\n"
            "callq process_lock_enter\n"
            "movsd (%%rsp), %%xmm0\n movsd 8(%%rsp), %%xmm1\n movsd 16(%%rsp), %%xmm2\n movsd 24(%%rsp), %%xmm3\n"
            "movsd 32(%%rsp), %%xmm4\n movsd 40(%%rsp), %%xmm5\n movsd 48(%%rsp), %%xmm6\n movsd 56(%%rsp), %%xmm7\n"
            "addq $64, %%rsp\n"
            "popq %%r9\n popq %%r8\n popq %%rcx\n popq %%rdx\n"
            "popq %%rsi\n popq %%rdi\n popq %%r11\n popq %%rax\n"
            "jmp 6b\n"
            :
            : [thread] "i"(HEADER(thread)), [instance] "i"(HEADER(kernel_instance)), [wasm_rsp] "i"(AREA(wasm_rsp)),
              [kernel_rsp] "i"(AREA(kernel_rsp)), [pending] "i"(AREA(pending)), [switched] "i"(AREA(switched)),
              [host_function] "i"(AREA(host_function)), [stack_words] "i"(offsetof(struct host_entry, stack_words)),
              [unlocked] "i"(offsetof(struct host_entry, unlocked)), [shares] "i"(offsetof(struct thread, shares)));
}

/* GS base = directory[r11d], unless r11d is 0. Changes r11 and flags only. */
__attribute__((naked)) static void switch_instance(void)
{
    __asm__("testl %%r11d, %%r11d\n"
            "jz 1f\n"
            "shlq $3, %%r11\n"
            "addq %%gs:%c[directory], %%r11\n"
            "movq (%%r11), %%r11\n"
            "wrgsbase %%r11\n"
            "1: retq\n"
            :
            : [directory] "i"(HEADER(instance_directory)));
}

__attribute__((used)) static uint64_t platform_stub;

/* The same for CPUs without wrgsbase. */
__attribute__((naked)) static void switch_instance_by_platform(void)
{
    __asm__("testl %%r11d, %%r11d\n"
            "jz 1f\n"
            "shlq $3, %%r11\n"
            "addq %%gs:%c[directory], %%r11\n"
            "movq (%%r11), %%r11\n"
            "jmpq *platform_stub(%%rip)\n"
            "1: retq\n"
            :
            : [directory] "i"(HEADER(instance_directory)));
}

uint64_t host_function_code(uint32_t number)
{
    return (uintptr_t)host_stub_table + (uint64_t)number * STUB_BYTES;
}

uint64_t host_switch_stub(void)
{
    if (platform_cpu_features() & CPU_FSGSBASE) {
        return (uintptr_t)switch_instance;
    }
    platform_stub = platform_gs_stub();
    return (uintptr_t)switch_instance_by_platform;
}

/* ---- Numbers ---- */

bool host_signature_parse(const char *text, value_type types[HOST_SIGNATURE_VALUES], struct function_type *type)
{
    *type = (struct function_type){.types = types};
    uint32_t count = 0;
    bool results = false;
    for (; *text; text++) {
        value_type value = *text == 'i'   ? VALUE_I32
                           : *text == 'I' ? VALUE_I64
                           : *text == 'f' ? VALUE_F32
                           : *text == 'F' ? VALUE_F64
                                          : VALUE_BOTTOM;
        if (value == VALUE_BOTTOM) {
            if (*text != ':' || results) {
                return false;
            }
            results = true;
            continue;
        }
        if (count == HOST_SIGNATURE_VALUES) {
            return false;
        }
        types[count++] = value;
        type->parameter_count += !results;
        type->result_count += results;
    }
    return type->result_count <= 1;
}

static uint32_t stack_words(const struct function_type *type)
{
    uint32_t floats = 0, words = 0;
    for (uint32_t i = 0; i < type->parameter_count; i++) {
        floats += value_type_is_float(type->types[i]);
    }
    uint32_t integers = type->parameter_count - floats;
    words += floats > ABI_FLOAT_ARGUMENTS ? floats - ABI_FLOAT_ARGUMENTS : 0;
    words += integers > ABI_INTEGER_ARGUMENTS ? integers - ABI_INTEGER_ARGUMENTS : 0;
    return words;
}

static enum status entry_fill(struct host_entry *entry, const char *module, const char *name, const char *signature,
                              void (*function)(void))
{
    value_type types[HOST_SIGNATURE_VALUES];
    struct function_type type;
    if (!host_signature_parse(signature, types, &type)) {
        return STATUS_INVALID;
    }
    uint32_t number = signature_acquire(&type);
    if (!number) {
        return STATUS_NO_MEMORY;
    }
    *entry = (struct host_entry){.function = function,
                                 .stack_words = (uint16_t)stack_words(&type),
                                 .signature = number,
                                 .module = module,
                                 .name = name};
    return STATUS_OK;
}

void host_calls_initialize(void)
{
#define BUILTIN_ENTRY(NAME, function_name, parameters, result)                                                         \
    host_entries[BUILTIN_##NAME] = (struct host_entry){                                                                \
        .function = (void (*)(void))builtin_##function_name, .module = "builtin", .name = #function_name};
    ENGINE_BUILTINS(BUILTIN_ENTRY)
#undef BUILTIN_ENTRY
    /* They touch memories and what is the calling instance's, and so the thread's, alone. */
    static const enum builtin unlocked[] = {BUILTIN_MEMORY_FILL,   BUILTIN_MEMORY_COPY,   BUILTIN_MEMORY_INIT,
                                            BUILTIN_MEMORY_WAIT32, BUILTIN_MEMORY_WAIT64, BUILTIN_MEMORY_NOTIFY};
    for (uint32_t i = 0; i < ARRAY_COUNT(unlocked); i++) {
        host_entries[unlocked[i]].unlocked = 1;
    }
    registered_first = BUILTIN_COUNT;
    for (const struct host_interface *const *interface = host_interfaces; *interface; interface++) {
        registered_first += (*interface)->count;
    }
    service_initialize(registered_first);
    for (uint32_t i = 0; i < SERVICE_FUNCTIONS_MAXIMUM && registered_first < HOST_FUNCTIONS_MAXIMUM; i++) {
        service_fill_entry(&host_entries[registered_first++]);
    }
    if (registered_first >= HOST_FUNCTIONS_MAXIMUM) {
        platform_panic("more host functions than stubs");
    }
}

static bool name_is(const struct name *name, const char *text)
{
    return strlen(text) == name->length && memcmp(text, name->text, name->length) == 0;
}

static bool signature_is(const char *signature, const struct function_type *wanted)
{
    value_type types[HOST_SIGNATURE_VALUES];
    struct function_type type;
    return host_signature_parse(signature, types, &type) && function_type_equal(&type, wanted);
}

enum status host_function_find(const struct name *module, const struct name *field, const struct function_type *wanted,
                               uint32_t *number)
{
    uint32_t first = BUILTIN_COUNT;
    const struct host_interface *found_interface = 0;
    const struct host_function *found = 0;
    for (const struct host_interface *const *next = host_interfaces; *next; next++) {
        const struct host_interface *interface = *next;
        for (uint32_t i = 0; name_is(module, interface->module) && i < interface->count; i++) {
            const struct host_function *function = &interface->functions[i];
            if (name_is(field, function->name) && (!found || signature_is(function->signature, wanted))) {
                *number = first + i;
                found_interface = interface;
                found = function;
            }
        }
        first += interface->count;
    }
    if (!found) {
        return STATUS_NOT_FOUND;
    }
    enum status status = STATUS_OK;
    spinlock_acquire(&entries_lock);
    if (!host_entries[*number].function) {
        status =
            entry_fill(&host_entries[*number], found_interface->module, found->name, found->signature, found->function);
    }
    spinlock_release(&entries_lock);
    return status;
}

static enum status find_or_register(const struct host_function *function, const char *module, uint32_t *number)
    REQUIRES(entries_lock)
{
    for (uint32_t i = registered_first; i < registered_first + registered_count; i++) {
        value_type types[HOST_SIGNATURE_VALUES];
        struct function_type type;
        if (host_entries[i].function == function->function && host_entries[i].name == function->name &&
            host_signature_parse(function->signature, types, &type) &&
            function_type_equal(&type, signature_type(host_entries[i].signature))) {
            *number = i;
            return STATUS_OK;
        }
    }
    *number = registered_first + registered_count;
    if (*number == HOST_FUNCTIONS_MAXIMUM) {
        return STATUS_LIMIT;
    }
    enum status status =
        entry_fill(&host_entries[*number], module, function->name, function->signature, function->function);
    registered_count += status == STATUS_OK;
    return status;
}

enum status host_function_register(const struct host_function *function, const char *module, uint32_t *number)
{
    spinlock_acquire(&entries_lock);
    enum status status = find_or_register(function, module, number);
    spinlock_release(&entries_lock);
    return status;
}

const struct host_entry *host_function_entry(uint32_t number)
{
    return &host_entries[number];
}
