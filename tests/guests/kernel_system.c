/* Uses the interface "tessera"; for tests/kernel/launch_test.c. The argument says what to do; the exit status says what
 * came out. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sdk/tessera.h"

#define RUN(fields) tessera_process_run(TESSERA_SYSTEM, fields, sizeof(fields) - 1)

static int information(void)
{
    struct tessera_system_information information;
    if (tessera_system_information(TESSERA_SYSTEM, &information, sizeof information) != sizeof information)
        return 1;
    if (strcmp(information.platform, "test") || !information.kernel_version[0] || !information.cpu_name[0])
        return 2;
    if (information.memory_used_bytes == 0 || information.memory_used_bytes > information.memory_bytes)
        return 3;
    if (tessera_system_information(TESSERA_SYSTEM, &information, 8) != 8)
        return 4;
    return 0;
}

static int refusals(void)
{
    static char garbage[100000];
    if (RUN("module=/bin/missing.wasm\0") != -TESSERA_ENOTFOUND || RUN("module=/bin/\0") >= 0 ||
        RUN("module=/elsewhere/kernel_system.wasm\0") != -TESSERA_ENOTFOUND ||
        RUN("module=/bin/../bin/../../kernel_system.wasm\0") != -TESSERA_ENOTFOUND)
        return 1;
    if (RUN("argument=x\0") != -TESSERA_EINVALID || RUN("module=/bin/kernel_system.wasm\0system=1\0") >= 0 ||
        RUN("module=/bin/kernel_system.wasm\0directory=/nothing\0") != -TESSERA_EINVALID ||
        RUN("module=/bin/kernel_system.wasm\0directory=/bin\0directory-source=x\0") != -TESSERA_EINVALID ||
        RUN("module=/bin/kernel_system.wasm") != -TESSERA_EINVALID)
        return 2;
    if (tessera_process_run(TESSERA_SYSTEM, garbage, sizeof garbage) != -TESSERA_EINVALID)
        return 3;
    if (tessera_process_run(2, "", 0) != -TESSERA_EHANDLE || tessera_process_run(0, "", 0) != -TESSERA_EHANDLE ||
        tessera_process_run(0x80000001, "", 0) != -TESSERA_EHANDLE)
        return 4;
    if (RUN("module=/bin/notes.txt\0") != 126)
        return 5;
    return 0;
}

static int programs(void)
{
    if (RUN("module=/bin/kernel_system.wasm\0argument=x\0argument=exit\0") != 42)
        return 1;
    if (RUN("module=/bin/kernel_system.wasm\0argument=x\0argument=trap\0") != 134)
        return 2;
    if (RUN("module=/bin/kernel_system.wasm\0argument=x\0argument=loop\0timeout=20000000\0") != 124)
        return 3;
    if (RUN("module=/bin/kernel_system.wasm\0argument=x\0argument=nohandle\0") != 0)
        return 4;
    if (RUN("module=/bin/kernel_system.wasm\0argument=x\0argument=directories\0") != 0)
        return 5;
    if (RUN("module=/bin/kernel_system.wasm\0argument=x\0argument=directories\0directory=/bin\0") != 1)
        return 6;
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc == 2 ? argv[1] : "";
    struct tessera_system_information nothing;
    if (!strcmp(what, "information"))
        return information();
    if (!strcmp(what, "refusals"))
        return refusals();
    if (!strcmp(what, "programs"))
        return programs();
    if (!strcmp(what, "exit"))
        return 42;
    if (!strcmp(what, "trap"))
        __builtin_trap();
    if (!strcmp(what, "loop"))
        for (;;)
            ;
    if (!strcmp(what, "nohandle"))
        return tessera_system_information(TESSERA_SYSTEM, &nothing, sizeof nothing) != -TESSERA_EHANDLE;
    if (!strcmp(what, "directories"))
        return access("/bin/notes.txt", R_OK) == 0;
    if (!strcmp(what, "nested-loop"))
        return RUN("module=/bin/kernel_system.wasm\0argument=x\0argument=loop\0");
    if (!strcmp(what, "grow")) /* by 32 MiB */
        return __builtin_wasm_memory_grow(0, 512) == (size_t)-1;
    if (!strcmp(what, "nested-grow"))
        return RUN("module=/bin/kernel_system.wasm\0argument=x\0argument=grow\0memory=1000000000\0");
    if (!strcmp(what, "sleep"))
        return (int)sleep(1000);
    return 99;
}
