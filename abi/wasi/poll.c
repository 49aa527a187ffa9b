/* Waiting for clocks and streams. Files are always ready. Also the sockets, of which there are none yet. */
#include "abi/wasi/wasi.h"
#include "engine/base.h"
#include "kernel/process.h"
#include "kernel/thread.h"

#define SUBSCRIPTIONS_PER_STEP 4096 /* looked at between two checkpoints */

/* One subscription, whatever the layout that it came in. */
struct wish {
    uint64_t user_data;
    uint8_t type;
    uint32_t fd;
    uint32_t clock;
    uint64_t timeout;
    bool absolute;
};

struct poll {
    struct instance *instance;
    uint32_t subscriptions, events, count;
    bool unstable;        /* layout of the subscriptions */
    uint64_t start;       /* monotonic, not rounded: what relative timeouts count from */
    uint64_t deadline;    /* monotonic: the earliest of all clocks */
    bool awaits_input;    /* somebody waits for input that is not there */
    uint32_t channels[STREAM_COUNT]; /* descriptors that have to be waited for, too */
    uint32_t channel_count;
    uint32_t event_count; /* stored */
};

static struct wish load_wish(const struct poll *poll, uint32_t index)
{
    if (poll->unstable) {
        struct wasi_unstable_subscription raw;
        uint64_t address = poll->subscriptions + (uint64_t)index * sizeof raw;
        memcpy(&raw, instance_memory_required(poll->instance, address, sizeof raw, "poll_oneoff: subscriptions"),
               sizeof raw);
        return (struct wish){raw.user_data, raw.type,    raw.descriptor,
                             raw.clock,     raw.timeout, raw.flags & WASI_SUBSCRIPTION_ABSOLUTE};
    }
    struct wasi_subscription raw;
    uint64_t address = poll->subscriptions + (uint64_t)index * sizeof raw;
    memcpy(&raw, instance_memory_required(poll->instance, address, sizeof raw, "poll_oneoff: subscriptions"),
           sizeof raw);
    return (struct wish){raw.user_data,           raw.type,    raw.clock_or_descriptor,
                         raw.clock_or_descriptor, raw.timeout, raw.flags & WASI_SUBSCRIPTION_ABSOLUTE};
}

static void store_event_flags(struct poll *poll, const struct wish *wish, enum wasi_errno error, uint64_t bytes,
                              uint16_t flags)
{
    struct wasi_event event = {.user_data = wish->user_data,
                               .error = (uint16_t)error,
                               .type = wish->type,
                               .bytes = bytes,
                               .flags = flags};
    uint64_t address = poll->events + (uint64_t)poll->event_count * sizeof event;
    memcpy(instance_memory_required(poll->instance, address, sizeof event, "poll_oneoff: events"), &event,
           sizeof event);
    poll->event_count++;
}

static void store_event(struct poll *poll, const struct wish *wish, enum wasi_errno error, uint64_t bytes)
{
    store_event_flags(poll, wish, error, bytes, 0);
}

static uint64_t add_saturating(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

/* When a clock subscription is due, in monotonic time. */
static enum wasi_errno clock_deadline(struct poll *poll, const struct wish *wish, uint64_t *deadline)
{
    uint64_t now;
    enum wasi_errno error = wasi_clock_now(poll->instance, wish->clock, &now);
    if (error != WASI_SUCCESS)
        return error;
    if (wish->clock > WASI_CLOCK_MONOTONIC)
        return WASI_ENOTSUP;
    if (!wish->absolute)
        *deadline = add_saturating(poll->start, wish->timeout);
    else if (wish->clock == WASI_CLOCK_MONOTONIC)
        *deadline = wish->timeout;
    else
        *deadline = wish->timeout <= now ? 0 : add_saturating(platform_monotonic_nanoseconds(), wish->timeout - now);
    *deadline = process_visible_deadline(instance_process(poll->instance), *deadline);
    return WASI_SUCCESS;
}

static void look_at_clock(struct poll *poll, const struct wish *wish)
{
    uint64_t deadline;
    enum wasi_errno error = clock_deadline(poll, wish, &deadline);
    if (error != WASI_SUCCESS || deadline <= platform_monotonic_nanoseconds())
        store_event(poll, wish, error, 0);
    else
        poll->deadline = min_u64(poll->deadline, deadline);
}

/* Once, however many ask for it; a process has no more than the standard ones. */
static void await_channel(struct poll *poll, uint32_t fd)
{
    for (uint32_t i = 0; i < poll->channel_count; i++) {
        if (poll->channels[i] == fd)
            return;
    }
    if (poll->channel_count < STREAM_COUNT)
        poll->channels[poll->channel_count++] = fd;
}

static void look_at_channel(struct poll *poll, const struct wish *wish, struct wasi_descriptor *descriptor)
{
    uint64_t bytes = 0;
    bool hangup = false;
    enum wasi_errno error = wasi_channel_look(wasi_of(poll->instance), descriptor, &bytes, &hangup);
    if (error == WASI_EAGAIN)
        await_channel(poll, wish->fd);
    else
        store_event_flags(poll, wish, error, bytes, hangup ? WASI_EVENT_HANGUP : 0);
}

static void look_at_descriptor(struct poll *poll, const struct wish *wish)
{
    struct wasi_descriptor *descriptor = wasi_descriptor(wasi_of(poll->instance), wish->fd);
    bool reads = wish->type == WASI_EVENT_FD_READ;
    uint64_t bytes = 1; /* of a stream: at least */
    enum wasi_errno error = WASI_SUCCESS;
    struct vfs_stat stat;
    if (!descriptor) {
        error = WASI_EBADF;
    } else if (!(descriptor->rights & WASI_RIGHT_POLL_FD_READWRITE)) {
        error = WASI_ENOTCAPABLE;
    } else if (descriptor->kind == WASI_NODE) {
        if (reads && vfs_stat(descriptor->node, &stat) == STATUS_OK)
            bytes = stat.size > descriptor->offset ? stat.size - descriptor->offset : 0;
    } else if (reads != (descriptor->stream == STREAM_INPUT)) {
        error = WASI_EBADF;
    } else if (descriptor->kind == WASI_CHANNEL) {
        look_at_channel(poll, wish, descriptor);
        return;
    } else if (reads && !platform_stream_readable(STREAM_INPUT)) {
        poll->awaits_input = true;
        return;
    }
    store_event(poll, wish, error, error == WASI_SUCCESS ? bytes : 0);
}

/* One look at all subscriptions: events for those that are ready, and what to wait for. */
static void look_at_all(struct poll *poll)
{
    poll->deadline = UINT64_MAX;
    poll->awaits_input = false;
    poll->channel_count = 0;
    for (uint32_t i = 0; i < poll->count; i++) {
        struct wish wish = load_wish(poll, i);
        if (wish.type == WASI_EVENT_CLOCK)
            look_at_clock(poll, &wish);
        else if (wish.type == WASI_EVENT_FD_READ || wish.type == WASI_EVENT_FD_WRITE)
            look_at_descriptor(poll, &wish);
        else
            store_event(poll, &wish, WASI_EINVAL, 0);
        if (i % SUBSCRIPTIONS_PER_STEP == SUBSCRIPTIONS_PER_STEP - 1)
            thread_checkpoint();
    }
}

static void wait_for_channels(struct poll *poll)
{
    static const enum stream input = STREAM_INPUT;
    struct wait_item items[STREAM_COUNT];
    struct wasi *wasi = wasi_of(poll->instance);
    uint32_t count = 0;
    for (uint32_t i = 0; i < poll->channel_count; i++)
        count += wasi_channel_hold(wasi, wasi_descriptor(wasi, poll->channels[i]), &items[count]) == WASI_SUCCESS;
    if (count == poll->channel_count) /* else one was closed as a handle, and the next look finds that */
        wait_changes(items, count, poll->awaits_input ? &input : NULL, poll->deadline);
    while (count)
        grant_release(items[--count].grant);
    thread_checkpoint();
    thread_end_if_asked();
}

static uint32_t run_poll(struct poll *poll, uint32_t result)
{
    uint64_t size = poll->unstable ? sizeof(struct wasi_unstable_subscription) : sizeof(struct wasi_subscription);
    instance_memory_required(poll->instance, poll->subscriptions, poll->count * size, "poll_oneoff: subscriptions");
    instance_memory_required(poll->instance, poll->events, poll->count * (uint64_t)sizeof(struct wasi_event),
                             "poll_oneoff: events");
    instance_memory_required(poll->instance, result, sizeof(uint32_t), "poll_oneoff: result");
    if (poll->count == 0)
        return WASI_EINVAL;
    poll->start = platform_monotonic_nanoseconds();
    for (;;) {
        look_at_all(poll);
        if (poll->event_count)
            break;
        if (poll->channel_count)
            wait_for_channels(poll);
        else if (poll->awaits_input)
            thread_wait_stream(STREAM_INPUT, poll->deadline);
        else
            thread_sleep_until(poll->deadline);
    }
    memcpy(instance_memory_required(poll->instance, result, sizeof(uint32_t), "poll_oneoff: result"),
           &poll->event_count, sizeof poll->event_count);
    return WASI_SUCCESS;
}

uint32_t wasi_preview1_poll_oneoff(struct instance *instance, uint32_t subscriptions, uint32_t events, uint32_t count,
                                   uint32_t result)
{
    struct poll poll = {.instance = instance, .subscriptions = subscriptions, .events = events, .count = count};
    return run_poll(&poll, result);
}

uint32_t wasi_unstable_poll_oneoff(struct instance *instance, uint32_t subscriptions, uint32_t events, uint32_t count,
                                   uint32_t result)
{
    struct poll poll = {
        .instance = instance, .subscriptions = subscriptions, .events = events, .count = count, .unstable = true};
    return run_poll(&poll, result);
}

/* ---- Sockets ---- */

static uint32_t no_socket(struct instance *instance, uint32_t fd)
{
    return wasi_descriptor(wasi_of(instance), fd) ? WASI_ENOTSOCK : WASI_EBADF;
}

uint32_t wasi_preview1_sock_accept(struct instance *instance, uint32_t fd, uint32_t flags, uint32_t result)
{
    (void)flags;
    instance_memory_required(instance, result, sizeof(uint32_t), "sock_accept: result");
    return no_socket(instance, fd);
}

uint32_t wasi_sock_recv(struct instance *instance, uint32_t fd, uint32_t iovs, uint32_t iov_count, uint32_t flags,
                        uint32_t bytes, uint32_t result_flags)
{
    (void)flags;
    instance_memory_required(instance, iovs, iov_count * (uint64_t)sizeof(struct wasi_iovec), "sock_recv: iovs");
    instance_memory_required(instance, bytes, sizeof(uint32_t), "sock_recv: result");
    instance_memory_required(instance, result_flags, sizeof(uint16_t), "sock_recv: flags");
    return no_socket(instance, fd);
}

uint32_t wasi_sock_send(struct instance *instance, uint32_t fd, uint32_t iovs, uint32_t iov_count, uint32_t flags,
                        uint32_t result)
{
    (void)flags;
    instance_memory_required(instance, iovs, iov_count * (uint64_t)sizeof(struct wasi_iovec), "sock_send: iovs");
    instance_memory_required(instance, result, sizeof(uint32_t), "sock_send: result");
    return no_socket(instance, fd);
}

uint32_t wasi_sock_shutdown(struct instance *instance, uint32_t fd, uint32_t how)
{
    (void)how;
    return no_socket(instance, fd);
}
