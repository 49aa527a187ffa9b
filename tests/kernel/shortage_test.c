/* Memory is refused at every moment of a guest's life, in the heap or by the platform: tests/kernel/shortage.h. */
#include "tests/kernel/shortage.h"

#include "tests/kernel/guest.h"

int main(int argc, char **argv)
{
    (void)argc;
    linux_set_cpu_count(1); /* a CPU that starts meanwhile would keep memory */
    guest_initialize(argv);
    FILE *file = fopen("tests/kernel/shortage.wasm", "rb");
    static uint8_t module[65536];
    size_t size = file ? fread(module, 1, sizeof module, file) : 0;
    shortage_all(module, size);
    platform_timer_arm(UINT64_MAX); /* what looks for leaks at the exit wants no signals */
    printf("%u passed, %u failed\n", shortage_passed, shortage_failed);
    return shortage_failed > 0 || shortage_passed == 0;
}
