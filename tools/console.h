/* The host's side of the framed console (platform/pc/console_protocol.h): relays between the machine's serial line and
 * this process's stdin, stdout and stderr until the machine ends. */
#ifndef TOOLS_CONSOLE_H
#define TOOLS_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CONSOLE_PLAIN_TEXT_BYTES 4096

enum console_outcome {
    CONSOLE_UNWRITABLE, /* stdout cannot be written to */
    CONSOLE_FINISHED,   /* the exit frame came */
    CONSOLE_BROKEN,     /* the line ended before it, or what came is no frame */
    CONSOLE_TIMED_OUT,
    CONSOLE_INTERRUPTED, /* Ctrl-C, and the guest did not end by itself, or could not be asked */
};

struct console_result {
    enum console_outcome outcome;
    uint32_t status; /* CONSOLE_FINISHED */
    int write_error; /* CONSOLE_UNWRITABLE: errno */
    bool panicked;   /* CONSOLE_FINISHED, after platform_panic */
    bool greeted;    /* the kernel got as far as its console */
    /* The end of what came before the greeting. */
    char plain_text[CONSOLE_PLAIN_TEXT_BYTES];
    size_t plain_text_bytes;
};

/* Relay over the socket `line`. `machine` is killed on a second Ctrl-C, which ends this process. `deadline` in
 * CLOCK_MONOTONIC nanoseconds (UINT64_MAX: none). With `verbose`, progress and plain text go to stderr as well. */
void console_relay(int line, pid_t machine, uint64_t deadline, bool verbose, struct console_result *result);

#endif
