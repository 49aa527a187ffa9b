/* Standard streams that are ends of channels: pipes between programs. The bytes of the messages are the stream; what
 * one message has beyond a read stays at hand for the next one, messages without bytes are passed over, and handles
 * that come along are closed. The descriptor keeps the number of the handle and not the object: who revokes the handle,
 * or closes it as a handle, has closed the descriptor. */
#include "kernel/channel.h"

#include "abi/wasi/wasi.h"
#include "engine/base.h"
#include "kernel/instance_parts.h"
#include "kernel/program.h"
#include "kernel/thread.h"

#define PART_BYTES        65536 /* of one message that is written */
#define MESSAGES_PER_STEP 64    /* read between two checkpoints */

static const char *const names[STREAM_COUNT] = {
    [STREAM_INPUT] = "stdin", [STREAM_OUTPUT] = "stdout", [STREAM_ERROR] = "stderr"};

uint32_t wasi_stream_handle(const struct process *process, enum stream stream)
{
    return process_named_handle(process, names[stream], strlen(names[stream]));
}

/* What the descriptor does with its handle. */
static uint32_t needed_right(const struct wasi_descriptor *descriptor)
{
    return descriptor->stream == STREAM_INPUT ? RIGHT_READ : RIGHT_WRITE;
}

/* The end of the channel, with a reference. */
static enum wasi_errno find_end(const struct wasi *wasi, const struct wasi_descriptor *descriptor, struct object **end)
{
    enum status status =
        handle_find(&wasi->process->handles, descriptor->handle, OBJECT_CHANNEL, needed_right(descriptor), end);
    return status == STATUS_OK ? WASI_SUCCESS : WASI_EBADF;
}

void wasi_channel_close(struct wasi *wasi, struct wasi_descriptor *descriptor)
{
    if (descriptor->message) {
        message_destroy(descriptor->message);
    }
    handle_close(&wasi->process->handles, descriptor->handle); /* unless the program did it */
}

/* ---- Reading ---- */

static uint32_t bytes_at_hand(const struct wasi_descriptor *descriptor)
{
    return descriptor->message ? descriptor->message->bytes - descriptor->message_offset : 0;
}

/* Have a message with bytes at hand. WASI_EAGAIN: there is none; WASI_EPIPE: and there will be none. */
static enum wasi_errno fetch(struct wasi_descriptor *descriptor, struct object *end)
{
    for (uint32_t i = 0; i < MESSAGES_PER_STEP && !bytes_at_hand(descriptor); i++) {
        struct message *message;
        enum status status = channel_read(end, UINT32_MAX, HANDLES_PER_MESSAGE, &message);
        if (status != STATUS_OK)
            return wasi_errno_of(status);
        if (descriptor->message)
            message_destroy(descriptor->message);
        descriptor->message = message;
        descriptor->message_offset = 0;
    }
    return bytes_at_hand(descriptor) ? WASI_SUCCESS : WASI_EAGAIN;
}

/* The guest may end while its memory is touched: then the descriptor has the message. */
static uint32_t take(struct wasi_descriptor *descriptor, uint8_t *memory, uint32_t bytes)
{
    uint32_t part = (uint32_t)min_u64(bytes, bytes_at_hand(descriptor));
    memcpy(memory, message_bytes(descriptor->message) + descriptor->message_offset, part);
    descriptor->message_offset += part;
    return part;
}

enum wasi_errno wasi_channel_read(struct wasi *wasi, struct wasi_descriptor *descriptor, void *memory, uint32_t bytes,
                                  size_t *done)
{
    *done = 0;
    for (uint32_t i = 0; i < MESSAGES_PER_STEP && *done < bytes; i++) {
        struct object *end;
        enum wasi_errno error = find_end(wasi, descriptor, &end);
        if (error != WASI_SUCCESS)
            return *done ? WASI_SUCCESS : error;
        error = fetch(descriptor, end);
        object_release(end);
        if (error == WASI_EPIPE) /* the end of the file */
            return WASI_SUCCESS;
        if (error != WASI_SUCCESS)
            return *done ? WASI_SUCCESS : error;
        *done += take(descriptor, (uint8_t *)memory + *done, (uint32_t)(bytes - *done));
    }
    return WASI_SUCCESS;
}

/* ---- Writing ---- */

/* Small enough that several fit into the channel. */
static uint32_t part_of(const struct object *end, uint32_t bytes)
{
    return (uint32_t)min_u64(bytes, max_u64(min_u64(channel_room(end) / 4, PART_BYTES), 1));
}

enum wasi_errno wasi_channel_write(struct wasi *wasi, struct wasi_descriptor *descriptor, const void *memory,
                                   uint32_t bytes, size_t *done)
{
    struct object *end;
    struct message *message;
    *done = 0;
    enum wasi_errno error = find_end(wasi, descriptor, &end);
    if (error != WASI_SUCCESS)
        return error;
    uint32_t part = part_of(end, bytes);
    object_release(end); /* nothing is held while the guest's memory is touched, but what the thread knows of */
    enum status status = message_create(part, 0, wasi->process->account, &message);
    if (status != STATUS_OK)
        return WASI_ENOMEM;
    message_hold(message);
    memcpy(message_bytes(message), memory, part);
    message_hold(NULL);
    error = find_end(wasi, descriptor, &end);
    if (error == WASI_SUCCESS) {
        error = wasi_errno_of(channel_write(end, message));
        object_release(end);
    }
    if (error == WASI_SUCCESS)
        *done = part;
    else
        message_destroy(message);
    return error;
}

/* ---- Waiting ---- */

enum wasi_errno wasi_channel_look(struct wasi *wasi, struct wasi_descriptor *descriptor, uint64_t *bytes, bool *hangup)
{
    struct object *end;
    enum wasi_errno error = find_end(wasi, descriptor, &end);
    if (error != WASI_SUCCESS)
        return error;
    if (descriptor->stream == STREAM_INPUT) {
        error = fetch(descriptor, end);
        *bytes = bytes_at_hand(descriptor);
        *hangup = error == WASI_EPIPE;
    } else {
        uint32_t signals = object_signals(end);
        *bytes = part_of(end, PART_BYTES);
        *hangup = signals & SIGNAL_PEER_CLOSED;
        error = signals & (SIGNAL_PEER_CLOSED | SIGNAL_WRITABLE) ? WASI_SUCCESS : WASI_EAGAIN;
    }
    object_release(end);
    return *hangup ? WASI_SUCCESS : error;
}

enum wasi_errno wasi_channel_hold(struct wasi *wasi, const struct wasi_descriptor *descriptor, struct wait_item *item)
{
    enum status status = handle_hold(&wasi->process->handles, descriptor->handle, OBJECT_CHANNEL,
                                     needed_right(descriptor), &item->grant);
    item->wanted = SIGNAL_PEER_CLOSED | (descriptor->stream == STREAM_INPUT ? SIGNAL_READABLE : SIGNAL_WRITABLE);
    return status == STATUS_OK ? WASI_SUCCESS : WASI_EBADF;
}

void wasi_channel_wait(struct wasi *wasi, const struct wasi_descriptor *descriptor)
{
    struct wait_item item;
    if (wasi_channel_hold(wasi, descriptor, &item) == WASI_SUCCESS) {
        wait_changes(&item, 1, NULL, UINT64_MAX);
        grant_release(item.grant);
    }
    thread_checkpoint();
    thread_end_if_asked();
}
