/* Programs whose standard streams are channels. This is all of them, by the first argument; without one it is the
 * program that starts the others, from its own file in /bin: prints what is wrong, its status is the number of that. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sdk/tessera.h"
#include "tests/support/guest.h"

/* ---- The programs: they know nothing but standard input and output ---- */

static int produce(int lines)
{
    for (int i = 0; lines == 0 || i < lines; i++) {
        if (printf("line %d of the text\n", i) < 0 || (i % 100 == 0 && fflush(stdout))) {
            return errno == EPIPE ? 3 : 4;
        }
    }
    return fflush(stdout) ? 4 : 0;
}

static int upper(void)
{
    for (int byte; (byte = getchar()) != EOF;) {
        putchar(byte >= 'a' && byte <= 'z' ? byte - 'a' + 'A' : byte);
    }
    return ferror(stdin) ? 5 : fflush(stdout) ? 4 : 0;
}

static int count(void)
{
    unsigned lines = 0, bytes = 0, large = 0;
    char part[7];
    for (ssize_t got; (got = read(0, part, sizeof(part))) != 0;) {
        if (got < 0) {
            return errno == EBADF ? 6 : 5;
        }
        bytes += (unsigned)got;
        for (ssize_t i = 0; i < got; i++) {
            lines += part[i] == '\n';
            large += part[i] >= 'A' && part[i] <= 'Z';
        }
    }
    printf("%u lines, %u bytes, %u large", lines, bytes, large);
    return 0;
}

static int first(void)
{
    char line[100];
    return fgets(line, sizeof(line), stdin) && strcmp(line, "line 0 of the text\n") == 0 ? 0 : 5;
}

/* Each line that comes is answered; in between it says that it waits. */
static int answer(void)
{
    char bytes[100];
    struct pollfd input = {.fd = 0, .events = POLLIN};
    if (fcntl(0, F_SETFL, O_NONBLOCK) || read(0, bytes, sizeof(bytes)) != -1 || errno != EAGAIN ||
        poll(&input, 1, 2) != 0 || poll(&input, 1, 0) != 0) {
        return 1;
    }
    write(1, "ready", 5);
    for (;;) {
        if (poll(&input, 1, 10000) != 1 || !(input.revents & (POLLIN | POLLHUP))) {
            return 2;
        }
        ssize_t got = read(0, bytes, sizeof(bytes));
        if (got <= 0) {
            return got == 0 && input.revents & POLLHUP ? 0 : 3;
        }
        if (write(1, bytes, (size_t)got) != got) {
            return 4;
        }
    }
}

/* Writes until there is no room, then waits until there is. */
static int fill(void)
{
    char bytes[10] = "123456789";
    struct pollfd output = {.fd = 1, .events = POLLOUT};
    int written = 0;
    if (fcntl(1, F_SETFL, O_NONBLOCK)) {
        return 1;
    }
    while (write(1, bytes, sizeof(bytes)) == sizeof(bytes)) {
        written++;
    }
    if (errno != EAGAIN || poll(&output, 1, 2) != 0) {
        return 2;
    }
    write(2, "full", 4);
    if (poll(&output, 1, 10000) != 1 || output.revents != POLLOUT || write(1, bytes, 1) != 1) {
        return 3;
    }
    close(2);
    while (poll(&output, 1, 10000) == 1 && write(1, bytes, 1) == 1) {
    }
    return errno == EPIPE && output.revents & POLLHUP ? written : 4;
}

/* Nobody gave it a stream: none answers (the C library says EBADF for ENOTCAPABLE), and none tells whether there is a
 * terminal behind it. */
static int nothing(void)
{
    char byte = 'x';
    struct pollfd input = {.fd = 0, .events = POLLIN};
    for (int fd = 1; fd <= 2; fd++) {
        if (write(fd, &byte, 1) != -1 || errno != EBADF || isatty(fd)) {
            return fd;
        }
    }
    return read(0, &byte, 1) != -1 || errno != EBADF ? 3 : poll(&input, 1, 0) == 1 && input.revents & POLLIN ? 4 : 0;
}

static int program(int argc, char **argv)
{
    const char *what = argv[1];
    return strcmp(what, "produce") == 0  ? produce(atoi(argv[2]))
           : strcmp(what, "upper") == 0  ? upper()
           : strcmp(what, "count") == 0  ? count()
           : strcmp(what, "first") == 0  ? first()
           : strcmp(what, "answer") == 0 ? answer()
           : strcmp(what, "fill") == 0   ? fill()
           : strcmp(what, "none") == 0   ? nothing()
           : argc > 100                  ? 0
                                         : 99;
}

/* ---- The one that starts them ---- */

static uint32_t module;

/* A started program; its handles are 0: the machine's stream, or the ends of channels, which move into it. */
static uint32_t start(const char *what, const char *argument, uint32_t input, uint32_t output, uint32_t error)
{
    static const char *const names[] = {"stdin", "stdout", "stderr"};
    const uint32_t wanted[] = {input, output, error};
    char text[256];
    uint32_t handles[3], used = 0, length = 0;
    length += 1 + (uint32_t)snprintf(text, sizeof(text), "streams=1");
    length += 1 + (uint32_t)snprintf(text + length, sizeof(text) - length, "argument=pipeline");
    length += 1 + (uint32_t)snprintf(text + length, sizeof(text) - length, "argument=%s", what);
    length += 1 + (uint32_t)snprintf(text + length, sizeof(text) - length, "argument=%s", argument);
    for (int i = 0; i < 3; i++) {
        if (wanted[i]) {
            handles[used++] = wanted[i];
            length += 1 + (uint32_t)snprintf(text + length, sizeof(text) - length, "handle=%s", names[i]);
        }
    }
    int32_t process = tessera_process_create(module, text, length, handles, used);
    EXPECT(process > 0 && tessera_process_start((uint32_t)process) == 0);
    return (uint32_t)process;
}

struct pipe {
    uint32_t ends[2]; /* both can be read and written: whoever has one */
};

static struct pipe make_pipe(uint32_t messages, uint32_t bytes)
{
    struct pipe pipe;
    EXPECT(tessera_channel_create(messages, bytes, pipe.ends) == 0);
    return pipe;
}

/* All that comes from an end until the other one is gone, as a text. */
static const char *read_all(uint32_t end)
{
    static char text[1000];
    uint32_t length = 0;
    for (int32_t got;
         (got = tessera_channel_read(end, text + length, sizeof(text) - 1 - length, NULL, 0, TESSERA_FOREVER)) >= 0;) {
        length += (uint32_t)got;
    }
    text[length] = 0;
    tessera_handle_close(end);
    return text;
}

/* A program gets the streams of the one that creates it by name only. */
static void without_streams(void)
{
    static const char text[] = "argument=pipeline\0argument=none\0";
    int32_t process = tessera_process_create(module, text, sizeof(text) - 1, NULL, 0);
    EXPECT(process > 0 && tessera_process_start((uint32_t)process) == 0);
    EXPECT(finish_program((uint32_t)process) == 0);
}

/* produce | upper | count, with much and with little room. */
static void pipeline(uint32_t messages, uint32_t bytes)
{
    struct pipe one = make_pipe(messages, bytes), two = make_pipe(messages, bytes), result = make_pipe(0, 0);
    uint32_t producer = start("produce", "5000", 0, one.ends[0], 0);
    uint32_t filter = start("upper", "", one.ends[1], two.ends[0], 0);
    uint32_t counter = start("count", "", two.ends[1], result.ends[0], 0);
    EXPECT(strcmp(read_all(result.ends[1]), "5000 lines, 108890 bytes, 65000 large") == 0);
    EXPECT(finish_program(producer) == 0 && finish_program(filter) == 0 && finish_program(counter) == 0);
}

/* Who writes to somebody who has gone is told so. */
static void broken_pipe(void)
{
    struct pipe pipe = make_pipe(4, 1000);
    uint32_t producer = start("produce", "0", 0, pipe.ends[0], 0), reader = start("first", "", pipe.ends[1], 0, 0);
    EXPECT(finish_program(reader) == 0);
    EXPECT(finish_program(producer) == 3);
}

/* Messages of all sizes, with handles, are a stream of bytes. */
static void feeding(void)
{
    static char bytes[100000];
    static const uint32_t sizes[] = {0, 1, 6, 7, 8, 0, 0, 100000, 13};
    struct pipe input = make_pipe(0, 0), result = make_pipe(0, 0);
    uint32_t counter = start("count", "", input.ends[1], result.ends[0], 0), sum = 0;
    memset(bytes, 'A', sizeof(bytes));
    for (int round = 0; round < 10; round++) {
        for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
            uint32_t event = (uint32_t)tessera_event_create(0);
            EXPECT(tessera_channel_write(input.ends[0], bytes, sizes[i], &event, i % 2, TESSERA_FOREVER) == 0);
            if (i % 2 == 0) {
                tessera_handle_close(event);
            }
            sum += sizes[i];
        }
    }
    tessera_handle_close(input.ends[0]);
    char expected[100];
    snprintf(expected, sizeof(expected), "0 lines, %u bytes, %u large", (unsigned)sum, (unsigned)sum);
    EXPECT(strcmp(read_all(result.ends[1]), expected) == 0);
    EXPECT(finish_program(counter) == 0);
}

static void polling(void)
{
    char bytes[100];
    struct pipe input = make_pipe(0, 0), output = make_pipe(0, 0);
    uint32_t process = start("answer", "", input.ends[1], output.ends[1], 0);
    EXPECT(tessera_channel_read(output.ends[0], bytes, 100, NULL, 0, TESSERA_FOREVER) == 5);
    for (int i = 0; i < 20; i++) {
        EXPECT(tessera_channel_write(input.ends[0], "", 0, NULL, 0, 0) == 0); /* does not count */
        EXPECT(tessera_channel_write(input.ends[0], "question", 8, NULL, 0, 0) == 0);
        EXPECT(tessera_channel_read(output.ends[0], bytes, 100, NULL, 0, TESSERA_FOREVER) == 8);
    }
    tessera_handle_close(input.ends[0]);
    EXPECT(finish_program(process) == 0);
    tessera_handle_close(output.ends[0]);

    struct pipe error = make_pipe(0, 0);
    output = make_pipe(8, 1000);
    process = start("fill", "", 0, output.ends[1], error.ends[1]);
    EXPECT(tessera_channel_read(error.ends[0], bytes, 100, NULL, 0, TESSERA_FOREVER) == 4);
    EXPECT(tessera_wait_one(error.ends[0], TESSERA_SIGNAL_PEER_CLOSED, 0) == -TESSERA_ETIMEOUT);
    EXPECT(tessera_channel_read(output.ends[0], bytes, 100, NULL, 0, 0) == 10);
    EXPECT(tessera_wait_one(error.ends[0], TESSERA_SIGNAL_PEER_CLOSED, TESSERA_FOREVER) > 0); /* it closed that */
    tessera_handle_close(output.ends[0]);
    EXPECT(finish_program(process) == 8);
    tessera_handle_close(error.ends[0]);
}

/* A handle that is none, one without the right, one that is revoked while the program waits. */
static void bad_handles(void)
{
    struct pipe input = make_pipe(0, 0);
    EXPECT(finish_program(start("count", "", (uint32_t)tessera_event_create(0), 0, 0)) == 6);
    uint32_t weak = (uint32_t)tessera_handle_duplicate(input.ends[1], TESSERA_RIGHT_WRITE | TESSERA_RIGHT_TRANSFER);
    EXPECT(finish_program(start("count", "", weak, 0, 0)) == 6);
    uint32_t same = (uint32_t)tessera_handle_duplicate(input.ends[1], TESSERA_RIGHTS_SAME);
    uint32_t process = start("count", "", same, 0, 0);
    EXPECT(tessera_channel_write(input.ends[0], "some", 4, NULL, 0, 0) == 0);
    tessera_handle_revoke(input.ends[1]);
    EXPECT(finish_program(process) == 6);
    tessera_handle_close(input.ends[0]);
    tessera_handle_close(input.ends[1]);
}

/* In the middle of a read, or of a write. */
static void kills(void)
{
    for (int i = 0; i < 20; i++) {
        struct pipe pipe = make_pipe(4, 1000);
        uint32_t process = i % 2 ? start("count", "", pipe.ends[1], 0, 0) : start("produce", "0", 0, pipe.ends[1], 0);
        if (i % 2 == 0) {
            EXPECT(tessera_wait_one(pipe.ends[0], TESSERA_SIGNAL_READABLE, TESSERA_FOREVER) > 0);
        } else {
            EXPECT(tessera_channel_write(pipe.ends[0], "some", 4, NULL, 0, 0) == 0);
        }
        tessera_process_kill(process);
        EXPECT(finish_program(process) == 137);
        EXPECT(tessera_wait_one(pipe.ends[0], TESSERA_SIGNAL_PEER_CLOSED, 0) > 0);
        tessera_handle_close(pipe.ends[0]);
    }
}

int main(int argc, char **argv)
{
    static const char self[] = "/bin/pipeline.wasm";
    if (argc > 1) {
        return program(argc, argv);
    }
    module = (uint32_t)tessera_module_load(self, sizeof(self) - 1);
    EXPECT((int32_t)module > 0);
    without_streams();
    pipeline(0, 0);
    pipeline(2, 64);
    broken_pipe();
    feeding();
    polling();
    bad_handles();
    kills();
    return failures;
}
