/* What runs, and what it uses, once: `ps`. See processes.h for what it needs, and docs/introspection.md. */
#include <stdint.h>
#include <stdio.h>

#include "services/tools/processes.h"
#include "services/tools/tool.h"

static const char usage[] = "Usage: ps\n\n"
                            "All processes: number, CPU time, linear memory, kernel memory of their objects, handles,\n"
                            "threads, messages through channels, calls through ports, name.\n";

int main(int count, char **words)
{
    struct process_list list;
    if (tool_wants_help(count, words)) {
        fputs(usage, stdout);
        return 0;
    }
    if (count > 1) {
        fputs(usage, stderr);
        return TOOL_USAGE;
    }
    if (!process_list_read(&list, "ps")) {
        return TOOL_FAILED;
    }
    process_list_print(&list, SIZE_MAX, 0);
    process_list_release(&list);
    return 0;
}
