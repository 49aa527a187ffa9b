/* The relay; see console.h. */
#include "tools/console.h"
#include "tools/message.h"
#include "tools/record.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "platform/pc/console_protocol.h"

#define RECEIVE_BYTES 65536

/* How long to leave a frame alone that has come by half. */
#define FRAME_NAP_MICROSECONDS 50

/* How long a kernel that was asked to end its program may take, before the machine is ended. */
#define INTERRUPT_GRACE_NANOSECONDS UINT64_C(5000000000)

struct relay {
    int line;
    bool verbose;
    struct console_result *result;
    bool ended;
    bool interrupted; /* the guest was asked to end its program */
    uint64_t credit;  /* bytes of input that the guest still takes */
    bool input_open;
    size_t used; /* of `received` */
    uint8_t received[RECEIVE_BYTES];
};

/* ---- Ctrl-C ---- */

static volatile sig_atomic_t interrupts;
static pid_t machine_to_kill;
static int wake_ends[2];

static void interrupt_handler(int signal)
{
    int error = errno;
    if (interrupts++ > 0) {
        kill(machine_to_kill, SIGKILL);
        _exit(128 + signal);
    }
    (void)!write(wake_ends[1], "", 1);
    errno = error;
}

static void catch_interrupts(pid_t machine)
{
    static const int signals[] = {SIGINT, SIGTERM};
    machine_to_kill = machine;
    if (pipe2(wake_ends, O_CLOEXEC | O_NONBLOCK) != 0)
        die("no pipe: %s", strerror(errno));
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct sigaction action = {.sa_handler = interrupt_handler}, old;
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
    }
}

/* ---- To the guest ---- */

static void send_frame(struct relay *relay, enum console_frame type, const uint8_t *payload, size_t bytes)
{
    uint8_t frame[CONSOLE_HEADER_BYTES + CONSOLE_PAYLOAD_MAXIMUM];
    frame[0] = (uint8_t)type;
    frame[1] = (uint8_t)bytes;
    frame[2] = (uint8_t)(bytes >> 8);
    if (bytes > 0)
        memcpy(frame + CONSOLE_HEADER_BYTES, payload, bytes);
    bytes += CONSOLE_HEADER_BYTES;
    for (size_t sent = 0; sent < bytes;) {
        ssize_t count = send(relay->line, frame + sent, bytes - sent, MSG_NOSIGNAL);
        if (count < 0 && errno != EINTR)
            return; /* the next read of the line says why */
        sent += count > 0 ? (size_t)count : 0;
    }
}

static void forward_input(struct relay *relay)
{
    uint8_t buffer[CONSOLE_PAYLOAD_MAXIMUM];
    size_t want = relay->credit < sizeof buffer ? (size_t)relay->credit : sizeof buffer;
    ssize_t got = read(STDIN_FILENO, buffer, want);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (got <= 0) {
        relay->input_open = false;
        send_frame(relay, CONSOLE_INPUT_END, NULL, 0);
        return;
    }
    relay->credit -= (uint64_t)got;
    send_frame(relay, CONSOLE_INPUT, buffer, (size_t)got);
}

/* ---- From the guest ---- */

static bool write_all(int file, const uint8_t *bytes, size_t count)
{
    while (count > 0) {
        ssize_t written = write(file, bytes, count);
        if (written < 0 && errno == EAGAIN) {
            struct pollfd descriptor = {.fd = file, .events = POLLOUT};
            poll(&descriptor, 1, -1);
        } else if (written < 0 && errno != EINTR) {
            return false;
        }
        if (written > 0) {
            bytes += written;
            count -= (size_t)written;
        }
    }
    return true;
}

static uint32_t read_u32(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static void broken(struct relay *relay)
{
    relay->result->outcome = CONSOLE_BROKEN;
    relay->ended = true;
}

static void receive_frame(struct relay *relay, uint8_t type, const uint8_t *payload, size_t bytes)
{
    switch (type) {
    case CONSOLE_OUTPUT:
        /* The program cannot be told, so this is the end: nothing may be lost without a word. */
        if (!write_all(STDOUT_FILENO, payload, bytes)) {
            relay->result->outcome = CONSOLE_UNWRITABLE;
            relay->result->write_error = errno;
            relay->ended = true;
        }
        break;
    case CONSOLE_ERROR:
    case CONSOLE_LOG:
        write_all(STDERR_FILENO, payload, bytes);
        break;
    case CONSOLE_VERBOSE:
        if (relay->verbose)
            write_all(STDERR_FILENO, payload, bytes);
        break;
    case CONSOLE_PROFILE:
        record_receive(RECORD_PROFILE, payload, bytes);
        break;
    case CONSOLE_TRACE:
        record_receive(RECORD_TRACE, payload, bytes);
        break;
    case CONSOLE_CREDIT:
        if (bytes != 4)
            broken(relay);
        else
            relay->credit += read_u32(payload);
        break;
    case CONSOLE_EXIT:
        if (bytes != 5) {
            broken(relay);
            break;
        }
        relay->result->outcome = CONSOLE_FINISHED;
        relay->result->status = read_u32(payload);
        relay->result->panicked = payload[4] == CONSOLE_END_PANIC;
        relay->ended = true;
        break;
    default:
        broken(relay);
    }
}

static void keep_plain_text(struct relay *relay, const uint8_t *bytes, size_t count)
{
    struct console_result *result = relay->result;
    if (relay->verbose)
        write_all(STDERR_FILENO, bytes, count);
    for (size_t i = 0; i < count; i++) {
        if (result->plain_text_bytes == sizeof result->plain_text) {
            size_t kept = sizeof result->plain_text / 2;
            memmove(result->plain_text, result->plain_text + sizeof result->plain_text - kept, kept);
            result->plain_text_bytes = kept;
        }
        result->plain_text[result->plain_text_bytes++] = (char)bytes[i];
    }
}

/* Look for the greeting; what stands before it is text. Returns how many bytes are done with. */
static size_t receive_plain(struct relay *relay)
{
    const uint8_t *found = memmem(relay->received, relay->used, CONSOLE_GREETING, CONSOLE_GREETING_BYTES);
    size_t text = found ? (size_t)(found - relay->received) : relay->used;
    /* A greeting may have come by half. */
    if (!found)
        for (size_t length = CONSOLE_GREETING_BYTES - 1; length > 0; length--)
            if (length <= text && memcmp(relay->received + text - length, CONSOLE_GREETING, length) == 0) {
                text -= length;
                break;
            }
    keep_plain_text(relay, relay->received, text);
    relay->result->greeted = found != NULL;
    return found ? text + CONSOLE_GREETING_BYTES : text;
}

static void receive(struct relay *relay)
{
    ssize_t got = recv(relay->line, relay->received + relay->used, sizeof relay->received - relay->used, 0);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (got <= 0) {
        broken(relay);
        return;
    }
    relay->used += (size_t)got;
    size_t at = relay->result->greeted ? 0 : receive_plain(relay);
    while (relay->result->greeted && !relay->ended && relay->used - at >= CONSOLE_HEADER_BYTES) {
        const uint8_t *frame = relay->received + at;
        size_t bytes = frame[1] | (size_t)frame[2] << 8;
        if (bytes > CONSOLE_PAYLOAD_MAXIMUM) {
            broken(relay);
            break;
        }
        if (relay->used - at < CONSOLE_HEADER_BYTES + bytes)
            break;
        receive_frame(relay, frame[0], frame + CONSOLE_HEADER_BYTES, bytes);
        at += CONSOLE_HEADER_BYTES + bytes;
    }
    memmove(relay->received, relay->received + at, relay->used - at);
    relay->used -= at;
    /* QEMU passes on every byte by itself: let some come together. */
    if (relay->used > 0 && !relay->ended)
        usleep(FRAME_NAP_MICROSECONDS);
}

static uint64_t monotonic_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* Milliseconds for poll, rounded up. */
static int time_left(uint64_t deadline)
{
    if (deadline == UINT64_MAX)
        return -1;
    uint64_t now = monotonic_now();
    uint64_t milliseconds = deadline > now ? (deadline - now + 999999) / 1000000 : 0;
    return milliseconds < 1000000 ? (int)milliseconds : 1000000;
}

/* Ctrl-C: the kernel is asked to end its program, and if there is no kernel yet, or it does not, that is the end. */
static void interrupt_guest(struct relay *relay, uint64_t *deadline)
{
    char byte;
    if (read(wake_ends[0], &byte, 1) != 1)
        return;
    uint64_t grace = monotonic_now() + INTERRUPT_GRACE_NANOSECONDS;
    relay->interrupted = true;
    if (relay->result->greeted) {
        send_frame(relay, CONSOLE_INTERRUPT, NULL, 0);
        *deadline = grace < *deadline ? grace : *deadline;
    } else {
        relay->ended = true;
        relay->result->outcome = CONSOLE_INTERRUPTED;
    }
}

void console_relay(int line, pid_t machine, uint64_t deadline, bool verbose, struct console_result *result)
{
    static struct relay relay;
    relay = (struct relay){.line = line, .verbose = verbose, .result = result, .input_open = true};
    *result = (struct console_result){.outcome = CONSOLE_BROKEN};
    catch_interrupts(machine);
    while (!relay.ended) {
        bool wants_input = relay.input_open && relay.credit > 0;
        struct pollfd descriptors[] = {
            {.fd = line, .events = POLLIN},
            {.fd = wake_ends[0], .events = POLLIN},
            {.fd = wants_input ? STDIN_FILENO : -1, .events = POLLIN},
        };
        int ready = poll(descriptors, 3, time_left(deadline));
        if (ready < 0 && errno != EINTR)
            die("cannot wait for the machine: %s", strerror(errno));
        if (ready == 0 && deadline != UINT64_MAX && monotonic_now() >= deadline) {
            result->outcome = relay.interrupted ? CONSOLE_INTERRUPTED : CONSOLE_TIMED_OUT;
            return;
        }
        if (ready <= 0)
            continue;
        if (descriptors[0].revents)
            receive(&relay);
        if (descriptors[1].revents && !relay.ended)
            interrupt_guest(&relay, &deadline);
        if (descriptors[2].revents && !relay.ended)
            forward_input(&relay);
    }
}
