/* End processes: `kill NUMBER|NAME...`. A name is a process's as `ps` shows it, with or without its `.wasm`. The
 * program needs the handle of the system with the rights INSPECT and MANAGE, which reach every process. What was killed
 * under the service manager is started again as its unit says (docs/services.md). */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "services/tools/processes.h"
#include "services/tools/tool.h"

static const char usage[] = "Usage: kill NUMBER|NAME...\n\n"
                            "Ends processes at once, by their numbers or by names that are theirs alone; see `ps`.\n";

static int kill_number(uint32_t number)
{
    int32_t process = tessera_process_open(TESSERA_SYSTEM, number);
    if (process < 0) {
        fprintf(stderr,
                process == -TESSERA_ENOTFOUND ? "kill: %u: no such process; `ps` lists them\n"
                                              : "kill: %u: this needs a handle of the system with the right MANAGE: "
                                                "`tessera run --system`\n",
                (unsigned)number);
        return TOOL_FAILED;
    }
    tessera_process_kill((uint32_t)process);
    tessera_handle_close((uint32_t)process);
    return 0;
}

static bool is_called(const struct tessera_process_information *process, const char *name)
{
    const char *own = process_short_name(process);
    size_t length = strlen(name);
    return strncmp(own, name, length) == 0 && (!own[length] || strcmp(own + length, ".wasm") == 0);
}

/* The only process of this name. */
static int kill_name(const struct process_list *list, const char *name)
{
    const struct tessera_process_information *found = NULL;
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (is_called(&list->items[i], name)) {
            found = &list->items[i];
            count++;
        }
    }
    if (count == 1) {
        return kill_number(found->id);
    }
    if (!count) {
        fprintf(stderr, "kill: %s: no process is called that; `ps` lists them\n", name);
        return TOOL_FAILED;
    }
    fprintf(stderr, "kill: %s: %zu processes are called that; say which by the number:", name, count);
    for (size_t i = 0; i < list->count; i++) {
        if (is_called(&list->items[i], name)) {
            fprintf(stderr, " %u", (unsigned)list->items[i].id);
        }
    }
    fprintf(stderr, "\n");
    return TOOL_FAILED;
}

int main(int count, char **words)
{
    struct process_list list;
    int result = 0;
    if (tool_wants_help(count, words)) {
        fputs(usage, stdout);
        return 0;
    }
    if (count < 2) {
        fputs(usage, stderr);
        return TOOL_USAGE;
    }
    if (!process_list_read(&list, "kill")) {
        return TOOL_FAILED;
    }
    for (int i = 1; i < count; i++) {
        uint64_t number;
        int status =
            tool_number(words[i], 1, UINT32_MAX, &number) ? kill_number((uint32_t)number) : kill_name(&list, words[i]);
        result = result ? result : status;
    }
    process_list_release(&list);
    return result;
}
