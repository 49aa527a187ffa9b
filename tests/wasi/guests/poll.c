/* poll_oneoff on clocks, files and standard input, and reading of input that comes late. The runner gives a pipe, waits
 * for the line `ready`, and some time later sends `late` and closes. */
#include "tests/wasi/guests/check.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#define MILLISECOND UINT64_C(1000000)
#define LATE        (2000 * MILLISECOND) /* what a machine with other things to do may need */

static __wasi_timestamp_t now(__wasi_clockid_t clock)
{
    __wasi_timestamp_t time = 0;
    CHECK_ERRNO(__wasi_clock_time_get(clock, 1, &time), OK);
    return time;
}

static __wasi_subscription_t clock_subscription(__wasi_clockid_t clock, __wasi_timestamp_t timeout, int absolute,
                                                __wasi_userdata_t user_data)
{
    __wasi_subscription_t subscription = {.userdata = user_data, .u.tag = __WASI_EVENTTYPE_CLOCK};
    subscription.u.u.clock.id = clock;
    subscription.u.u.clock.timeout = timeout;
    subscription.u.u.clock.flags = absolute ? __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME : 0;
    return subscription;
}

static __wasi_subscription_t descriptor_subscription(__wasi_eventtype_t type, __wasi_fd_t fd,
                                                     __wasi_userdata_t user_data)
{
    __wasi_subscription_t subscription = {.userdata = user_data, .u.tag = type};
    subscription.u.u.fd_read.file_descriptor = fd;
    return subscription;
}

static void check_wait(const __wasi_subscription_t *subscription, uint64_t least)
{
    __wasi_event_t event = {0};
    __wasi_size_t count = 0;
    __wasi_timestamp_t start = now(__WASI_CLOCKID_MONOTONIC);
    CHECK_ERRNO(__wasi_poll_oneoff(subscription, &event, 1, &count), OK);
    uint64_t waited = now(__WASI_CLOCKID_MONOTONIC) - start;
    CHECK(count == 1 && event.userdata == subscription->userdata && event.error == 0);
    CHECK(event.type == __WASI_EVENTTYPE_CLOCK);
    CHECK(waited + MILLISECOND >= least && waited < least + LATE);
}

static void test_clocks(void)
{
    __wasi_subscription_t s[3];
    __wasi_event_t events[3];
    __wasi_size_t count = 0;
    for (__wasi_clockid_t clock = __WASI_CLOCKID_REALTIME; clock <= __WASI_CLOCKID_MONOTONIC; clock++) {
        s[0] = clock_subscription(clock, 30 * MILLISECOND, 0, 42);
        check_wait(s, 30 * MILLISECOND);
        s[0] = clock_subscription(clock, now(clock) + 30 * MILLISECOND, 1, UINT64_MAX);
        check_wait(s, 29 * MILLISECOND);
        s[0] = clock_subscription(clock, 1, 1, 7); /* long ago */
        check_wait(s, 0);
        s[0] = clock_subscription(clock, 0, 0, 8);
        check_wait(s, 0);
    }
    s[0] = clock_subscription(__WASI_CLOCKID_MONOTONIC, UINT64_MAX, 0, 1);
    s[1] = clock_subscription(__WASI_CLOCKID_MONOTONIC, 20 * MILLISECOND, 0, 2);
    s[2] = clock_subscription(__WASI_CLOCKID_REALTIME, 60000 * MILLISECOND, 0, 3);
    CHECK_ERRNO(__wasi_poll_oneoff(s, events, 3, &count), OK);
    CHECK(count == 1 && events[0].userdata == 2);
    CHECK_ERRNO(__wasi_poll_oneoff(s, events, 0, &count), __WASI_ERRNO_INVAL);
    struct timespec pause = {.tv_nsec = 20000000};
    CHECK(nanosleep(&pause, NULL) == 0);
}

static void test_descriptors(void)
{
    __wasi_subscription_t s[3];
    __wasi_event_t events[3];
    __wasi_size_t count = 0;
    s[0] = descriptor_subscription(__WASI_EVENTTYPE_FD_WRITE, 1, 5);
    s[1] = clock_subscription(__WASI_CLOCKID_MONOTONIC, 60000 * MILLISECOND, 0, 6);
    CHECK_ERRNO(__wasi_poll_oneoff(s, events, 2, &count), OK);
    CHECK(count == 1 && events[0].userdata == 5 && events[0].type == __WASI_EVENTTYPE_FD_WRITE);
    s[0] = descriptor_subscription(__WASI_EVENTTYPE_FD_READ, 99, 5);
    CHECK_ERRNO(__wasi_poll_oneoff(s, events, 1, &count), OK);
    CHECK(count == 1 && events[0].error == __WASI_ERRNO_BADF);
    int file = open("/work/poll", O_CREAT | O_RDWR, 0600);
    CHECK(file >= 0 && write(file, "12345", 5) == 5 && lseek(file, 2, SEEK_SET) == 2);
    struct pollfd fds = {.fd = file, .events = POLLIN | POLLOUT};
    CHECK(poll(&fds, 1, 10000) == 1 && fds.revents == (POLLIN | POLLOUT));
    s[0] = descriptor_subscription(__WASI_EVENTTYPE_FD_READ, (__wasi_fd_t)file, 9);
    CHECK_ERRNO(__wasi_poll_oneoff(s, events, 1, &count), OK);
    CHECK(count == 1 && events[0].fd_readwrite.nbytes == 3);
    CHECK(close(file) == 0 && unlink("/work/poll") == 0);
}

static void test_late_input(void)
{
    __wasi_subscription_t s[2];
    __wasi_event_t events[2];
    __wasi_size_t count = 0;
    char text[16];
    int flags = fcntl(0, F_GETFL);
    CHECK(fcntl(0, F_SETFL, flags | O_NONBLOCK) == 0);
    CHECK(read(0, text, sizeof text) == -1 && errno == EAGAIN);
    CHECK(fcntl(0, F_SETFL, flags) == 0);
    s[0] = descriptor_subscription(__WASI_EVENTTYPE_FD_READ, 0, 1);
    s[1] = clock_subscription(__WASI_CLOCKID_MONOTONIC, 30 * MILLISECOND, 0, 2);
    CHECK_ERRNO(__wasi_poll_oneoff(s, events, 2, &count), OK);
    CHECK(count == 1 && events[0].userdata == 2);
    puts("ready");
    fflush(stdout);
    CHECK_ERRNO(__wasi_poll_oneoff(s, events, 1, &count), OK);
    CHECK(count == 1 && events[0].userdata == 1 && events[0].error == 0);
    CHECK(events[0].type == __WASI_EVENTTYPE_FD_READ && events[0].fd_readwrite.nbytes > 0);
    CHECK(read(0, text, 2) == 2 && memcmp(text, "la", 2) == 0);
    CHECK(read(0, text, sizeof text) == 3 && memcmp(text, "te\n", 3) == 0);
    CHECK(read(0, text, sizeof text) == 0);
    CHECK_ERRNO(__wasi_poll_oneoff(s, events, 2, &count), OK); /* the end is ready too */
    CHECK(count >= 1 && events[0].userdata == 1);
    CHECK(read(0, text, sizeof text) == 0);
}

int main(void)
{
    test_clocks();
    test_descriptors();
    test_late_input();
    return summary();
}
