/* The machine's streams are the process's stdin, stdout and stderr; waiting, and the end.
 *
 * Nothing here may block but platform_idle: the kernel would not see its notes. O_NONBLOCK belongs to the open file,
 * which the shell shares, so it is left alone; instead, readiness is asked for first, and no more is written at once
 * than a ready pipe, terminal or socket takes. */
#include "platform/linux/linux.h"
#include "kernel/platform.h"
#include "engine/base.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <time.h>
#include <sys/resource.h>
#include <unistd.h>

/* A pipe that polls as writable takes this much without blocking (PIPE_BUF). */
#define WRITE_BYTES_READY 4096

/* What CPU 0 waits for when it is idle: streams that answered STATUS_AGAIN since the last wait. */
static bool awaited[STREAM_COUNT];

static bool stream_is_ready(enum stream stream, short event)
{
    struct pollfd descriptor = {.fd = (int)stream, .events = event};
    /* Errors and hang-ups are ready too: the call will say what it is. */
    bool ready = poll(&descriptor, 1, 0) > 0;
    if (!ready)
        __atomic_store_n(&awaited[stream], true, __ATOMIC_RELAXED);
    return ready;
}

bool platform_stream_readable(enum stream stream)
{
    return stream_is_ready(stream, stream == STREAM_INPUT ? POLLIN : POLLOUT);
}

enum status platform_stream_read(enum stream stream, void *buffer, size_t bytes, size_t *done)
{
    *done = 0;
    if (bytes == 0)
        return STATUS_OK;
    if (!stream_is_ready(stream, POLLIN))
        return STATUS_AGAIN;
    ssize_t got = read((int)stream, buffer, bytes);
    if (got < 0)
        return errno == EINTR || errno == EAGAIN ? STATUS_AGAIN : errno == EBADF ? STATUS_OK : STATUS_IO;
    *done = (size_t)got;
    return STATUS_OK;
}

/* Whether a write to the stream may block: anything but a regular file. Asked once for each stream. */
static bool write_may_block(enum stream stream)
{
    enum { UNKNOWN, NEVER, MAYBE };
    static int answers[STREAM_COUNT]; /* atomic */
    int answer = __atomic_load_n(&answers[stream], __ATOMIC_RELAXED);
    if (answer == UNKNOWN) {
        struct stat information;
        answer = fstat((int)stream, &information) == 0 && S_ISREG(information.st_mode) ? NEVER : MAYBE;
        __atomic_store_n(&answers[stream], answer, __ATOMIC_RELAXED);
    }
    return answer == MAYBE;
}

enum status platform_stream_write(enum stream stream, const void *buffer, size_t bytes, size_t *done)
{
    *done = 0;
    bool careful = write_may_block(stream);
    while (*done < bytes) {
        if (careful && !stream_is_ready(stream, POLLOUT))
            break;
        size_t count = careful ? min_u64(bytes - *done, WRITE_BYTES_READY) : bytes - *done;
        ssize_t written = write((int)stream, (const uint8_t *)buffer + *done, count);
        if (written < 0) {
            if (errno == EINTR || errno == EAGAIN)
                break;
            return *done > 0 ? STATUS_OK : STATUS_IO;
        }
        *done += (size_t)written;
    }
    return *done > 0 || bytes == 0 ? STATUS_OK : STATUS_AGAIN;
}

bool platform_stream_is_terminal(enum stream stream)
{
    return isatty((int)stream);
}

void platform_log(const char *text, size_t bytes)
{
    while (bytes > 0) {
        ssize_t written = write(STDERR_FILENO, text, bytes);
        if (written < 0 && errno != EINTR && errno != EAGAIN)
            return;
        if (written > 0) {
            text += written;
            bytes -= (size_t)written;
        }
    }
}

static void (*record_receiver)(enum record_stream stream, const void *record, size_t bytes);

void linux_set_record_receiver(void (*receiver)(enum record_stream stream, const void *record, size_t bytes))
{
    record_receiver = receiver;
}

void platform_record(enum record_stream stream, const void *record, size_t bytes)
{
    if (record_receiver)
        record_receiver(stream, record, bytes);
}

void platform_idle(uint64_t deadline)
{
    /* An interrupt between the kernel's last look at its notes and the wait must not be slept through: they are held
     * back until the wait itself. */
    sigset_t interrupts, old;
    linux_interrupt_signals(&interrupts);
    sigprocmask(SIG_BLOCK, &interrupts, &old);
    uint64_t now = platform_monotonic_nanoseconds();
    if (!linux_interrupt_seen && deadline > now) {
        struct pollfd descriptors[STREAM_COUNT];
        for (int stream = 0; stream < STREAM_COUNT; stream++) {
            bool waits = linux_cpu_number == 0 && __atomic_exchange_n(&awaited[stream], false, __ATOMIC_RELAXED);
            descriptors[stream] =
                (struct pollfd){.fd = waits ? stream : -1, .events = stream == STREAM_INPUT ? POLLIN : POLLOUT};
        }
        uint64_t left = deadline - now;
        struct timespec time = {.tv_sec = (time_t)(left / 1000000000), .tv_nsec = (long)(left % 1000000000)};
        ppoll(descriptors, STREAM_COUNT, deadline == UINT64_MAX ? NULL : &time, &old);
    }
    linux_interrupt_seen = 0;
    sigprocmask(SIG_SETMASK, &old, NULL);
}

void platform_power_off(int status)
{
    _exit(status);
}

void platform_panic(const char *message)
{
    static const char prefix[] = "tessera: kernel panic: ";
    platform_log(prefix, sizeof prefix - 1);
    platform_log(message, strlen(message));
    platform_log("\n", 1);
    kernel_panicked();
    _exit(125);
}

/* Guests open files, and share memory, each of which is a file of ours: more than the shells' limit of old programs. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit); /* as good as it was if this fails */
    }
}

void linux_platform_initialize(void)
{
    raise_file_limit();
    linux_cpu_initialize();
    linux_signals_initialize();
}
