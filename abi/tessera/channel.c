/* Channels. The guest may end where its memory is touched, because there is no frame for a page: nothing is held then
 * but a message, which the thread is told of (message_hold). */
#include "kernel/channel.h"

#include "abi/tessera/tessera.h"
#include "engine/base.h"

/* In one go, with locks held. */
#define GIVEN_BYTES_MAXIMUM UINT32_C(65536)

/* For messages, most of which are a few words: a call of memcpy costs more than those (musl's starts a `rep movs`). */
static void copy(uint8_t *to, const uint8_t *from, uint64_t bytes)
{
    if (bytes > 64) {
        memcpy(to, from, bytes);
        return;
    }
    uint64_t at = 0;
    for (uint64_t word; at + sizeof(word) <= bytes; at += sizeof(word)) {
        memcpy(&word, from + at, sizeof(word));
        memcpy(to + at, &word, sizeof(word));
    }
    for (; at < bytes; at++) {
        to[at] = from[at];
    }
}

int32_t host_channel_create(struct instance *instance, uint32_t messages, uint32_t bytes, uint32_t address)
{
    struct object *ends[2];
    struct grant *grants[2] = {NULL, NULL};
    uint32_t numbers[2];
    void *to = instance_memory_required(instance, address, sizeof(numbers), "channel_create: ends");
    enum status status = channel_create(messages, bytes, instance->process->account, ends);
    if (status != STATUS_OK) {
        return tessera_result(status);
    }
    for (uint32_t i = 0; i < 2; i++) {
        if (status == STATUS_OK) {
            status = grant_create(ends[i], RIGHTS_ALL, &grants[i]);
        }
        object_release(ends[i]);
    }
    if (status == STATUS_OK) {
        status = handles_insert(caller_handles(instance), grants, 2, numbers);
    }
    if (status == STATUS_OK) {
        memcpy(to, numbers, sizeof(numbers));
        return 0;
    }
    for (uint32_t i = 0; i < 2; i++) {
        if (grants[i]) {
            grant_drop(grants[i]);
        }
    }
    return tessera_result(status);
}

/* ---- Writing ---- */

/* One try. The message's handles are out of the table only if it succeeds. */
static enum status write_once(struct handle_table *table, struct object *end, struct message *message,
                              const uint32_t *numbers, uint32_t count)
{
    if (!count) {
        return channel_write(end, message);
    }
    enum status status = handles_take(table, numbers, count, 0, message->grants);
    if (status != STATUS_OK) {
        return status;
    }
    status = channel_write(end, message);
    if (status == STATUS_OK) {
        handles_taken(table, numbers, count);
    } else {
        handles_put_back(table, numbers, count);
    }
    return status;
}

static enum status write_message(struct handle_table *table, struct grant *grant, struct message *message,
                                 const uint32_t *numbers, uint32_t count, uint64_t deadline)
{
    for (;;) {
        enum status status = write_once(table, grant->object, message, numbers, count);
        if (status == STATUS_AGAIN && deadline) {
            status = caller_wait(grant, SIGNAL_WRITABLE | SIGNAL_PEER_CLOSED, deadline);
            if (status == STATUS_OK) {
                continue;
            }
        }
        if (status != STATUS_OK) {
            memset(message->grants, 0, count * sizeof(message->grants[0])); /* they are in the table */
            message_destroy(message);
        }
        return status;
    }
}

/* To somebody who waits for it, if it has no handles. */
static bool give_message(struct instance *instance, uint32_t handle, const void *from, uint32_t length)
{
    struct handle_table *table = caller_handles(instance);
    struct object *end;
    spinlock_acquire(&table->lock);
    bool given =
        handle_find_locked(table, handle, NEEDS(channel_write), &end) == STATUS_OK && channel_give(end, from, length);
    spinlock_release(&table->lock);
    return given;
}

int32_t host_channel_write(struct instance *instance, uint32_t handle, uint32_t bytes, uint32_t length,
                           uint32_t handles, uint32_t count, uint64_t deadline)
{
    uint32_t numbers[HANDLES_PER_MESSAGE];
    struct grant *grant;
    struct message *message;
    const void *from = caller_memory(instance, bytes, length, "channel_write: bytes");
    uint64_t handles_bytes = count * (uint64_t)sizeof(numbers[0]);
    const void *from_handles = caller_memory(instance, handles, handles_bytes, "channel_write: handles");
    if (length > MESSAGE_BYTES_MAXIMUM || count > HANDLES_PER_MESSAGE) {
        return -TESSERA_ETOOLARGE;
    }
    if (!count && length <= GIVEN_BYTES_MAXIMUM && give_message(instance, handle, from, length)) {
        return 0;
    }
    copy((uint8_t *)numbers, from_handles, handles_bytes);
    enum status status = message_create(length, count, instance->process->account, &message);
    if (status != STATUS_OK) {
        return tessera_result(status);
    }
    message_hold(message);
    copy(message_bytes(message), from, length);
    message_hold(NULL);
    status = caller_hold(instance, handle, NEEDS(channel_write), &grant);
    if (status != STATUS_OK) {
        message_destroy(message);
        return tessera_result(status);
    }
    status =
        write_message(caller_handles(instance), grant, message, numbers, count, caller_deadline(instance, deadline));
    grant_release(grant);
    return tessera_result(caller_finish(status));
}

/* ---- Reading ---- */

/* Their handles become the caller's. */
static enum status take_in(struct handle_table *table, struct object *end, struct message *message, uint32_t *numbers)
{
    if (!message->handle_count) {
        return STATUS_OK;
    }
    enum status status = handles_insert(table, message->grants, message->handle_count, numbers);
    if (status == STATUS_OK) {
        memset(message->grants, 0, message->handle_count * sizeof(message->grants[0]));
    } else {
        channel_unread(end, message);
    }
    return status;
}

int32_t host_channel_read(struct instance *instance, uint32_t handle, uint32_t buffer, uint32_t length,
                          uint32_t handles, uint32_t maximum, uint64_t deadline)
{
    uint32_t numbers[HANDLES_PER_MESSAGE];
    struct grant *grant;
    struct message *message;
    struct channel_reader reader;
    uint64_t handles_bytes = maximum * (uint64_t)sizeof(numbers[0]);
    reader.bytes = caller_memory(instance, buffer, length, "channel_read: buffer");
    reader.capacity = length;
    void *to_handles = caller_memory(instance, handles, handles_bytes, "channel_read: handles");
    if (maximum > HANDLES_PER_MESSAGE) {
        return -TESSERA_EINVALID;
    }
    enum status status = caller_hold(instance, handle, NEEDS(channel_read), &grant);
    if (status != STATUS_OK) {
        return tessera_result(status);
    }
    for (uint32_t i = 0; i < maximum; i++) {
        numbers[i] = 0;
    }
    reader.deadline = caller_deadline(instance, deadline);
    status = channel_receive(grant, &reader, maximum, &message);
    if (status == STATUS_OK && message) {
        status = take_in(caller_handles(instance), grant->object, message, numbers);
    }
    grant_release(grant);
    if (caller_finish(status) != STATUS_OK) {
        return tessera_result(status);
    }
    if (message) {
        reader.length = message->bytes;
        message_hold(message);
        copy(reader.bytes, message_bytes(message), reader.length);
        copy(to_handles, (const uint8_t *)numbers, handles_bytes);
        message_hold(NULL);
        message_destroy(message);
    } else {
        copy(to_handles, (const uint8_t *)numbers, handles_bytes);
    }
    return (int32_t)reader.length;
}

int64_t host_channel_next(struct instance *instance, uint32_t handle)
{
    struct object *end;
    uint32_t bytes = 0, handle_count = 0;
    struct handle_table *table = caller_handles(instance);
    spinlock_acquire(&table->lock);
    enum status status = handle_find_locked(table, handle, NEEDS(channel_next), &end);
    if (status == STATUS_OK) {
        status = channel_next(end, &bytes, &handle_count);
    }
    spinlock_release(&table->lock);
    return status == STATUS_OK ? (int64_t)((uint64_t)handle_count << 32 | bytes) : tessera_result(status);
}
