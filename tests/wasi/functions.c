/* Prints the table of docs/wasi.md out of abi/wasi/functions.def. */
#include <stdio.h>

static void row(const char *name, const char *signature, const char *interface, const char *note)
{
    printf("| `%s` | `%s` | %s | %s |\n", name, signature, interface, note);
}

int main(void)
{
    puts("| function | signature | interface | note |\n|---|---|---|---|");
#define COMMON(name, signature, parameters, note)          row(#name, signature, "both", note);
#define COMMON_NORETURN(name, signature, parameters, note) row(#name, signature, "both", note);
#define PREVIEW1(name, signature, parameters, note)        row(#name, signature, "`wasi_snapshot_preview1`", note);
#define UNSTABLE(name, signature, parameters, note)        row(#name, signature, "`wasi_unstable`", note);
#include "abi/wasi/functions.def"
    return 0;
}
