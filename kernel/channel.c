/* Channels: kernel/channel.h.
 *
 * Both ends lie in one block, which goes with the second of them; so an end may look at the other whatever became of
 * it. What can be read from an end is under the lock of that end. A write or read takes that one lock. Only when the
 * room in a queue ends, or comes back, are both taken, to change SIGNAL_WRITABLE of the end that writes into it: always
 * that of end 0 first (LOCK_OBJECT), then that of end 1 (LOCK_OBJECT_INNER). */
#include "kernel/channel.h"

#include "engine/base.h"
#include "kernel/account.h"
#include "kernel/channel_parts.h"
#include "kernel/guest_copy.h"
#include "kernel/hand_over.h"
#include "kernel/heap.h"
#include "kernel/trace.h"

static struct channel *peer_of(struct channel *end)
{
    return &end->pair->ends[end == &end->pair->ends[0]];
}

enum status channel_create(uint32_t messages, uint32_t bytes, struct account *account, struct object *ends[2])
{
    if (messages > CHANNEL_MESSAGES_MAXIMUM || bytes > CHANNEL_BYTES_MAXIMUM) {
        return STATUS_INVALID;
    }
    if (!account_charge(account, sizeof(struct channel_pair))) {
        channel_collect(); /* maybe the account pays for channels that nobody has */
        if (!account_charge(account, sizeof(struct channel_pair))) {
            return STATUS_LIMIT;
        }
    }
    struct channel_pair *pair = kernel_allocate_zeroed(sizeof(*pair));
    if (!pair) {
        account_credit(account, sizeof(*pair));
        return STATUS_NO_MEMORY;
    }
    pair->live = 2;
    pair->messages_maximum = messages ? messages : CHANNEL_MESSAGES_DEFAULT;
    pair->bytes_maximum = bytes ? bytes : CHANNEL_BYTES_DEFAULT;
    pair->account = account;
    for (int i = 0; i < 2; i++) {
        object_initialize(&pair->ends[i].object, OBJECT_CHANNEL, SIGNAL_WRITABLE);
        pair->ends[i].pair = pair;
        ends[i] = &pair->ends[i].object;
    }
    spinlock_initialize(&pair->ends[1].object.lock, LOCK_OBJECT_INNER);
    return STATUS_OK;
}

/* ---- Messages ---- */

static uint64_t size_of(uint32_t bytes, uint32_t handle_count)
{
    return offsetof(struct message, grants) + handle_count * sizeof(struct grant *) + bytes;
}

/* What is charged: also the grants, which are in no table meanwhile. */
static uint64_t charge_of(uint32_t bytes, uint32_t handle_count)
{
    return size_of(bytes, handle_count) + handle_count * sizeof(struct grant);
}

enum status message_create(uint32_t bytes, uint32_t handle_count, struct account *account, struct message **result)
{
    if (bytes > MESSAGE_BYTES_MAXIMUM || handle_count > HANDLES_PER_MESSAGE) {
        return STATUS_TOO_LARGE;
    }
    if (!account_charge(account, charge_of(bytes, handle_count))) {
        return STATUS_LIMIT;
    }
    struct message *message = kernel_allocate(size_of(bytes, handle_count));
    if (!message) {
        account_credit(account, charge_of(bytes, handle_count));
        return STATUS_NO_MEMORY;
    }
    message->next = NULL;
    message->account = account;
    message->bytes = bytes;
    message->handle_count = handle_count;
    message->number = 0;
    for (uint32_t i = 0; i < handle_count; i++) {
        message->grants[i] = NULL;
    }
    *result = message;
    return STATUS_OK;
}

static void destroy_one(struct message *message)
{
    struct account *account = message->account;
    uint32_t bytes = message->bytes, handle_count = message->handle_count;
    for (uint32_t i = 0; i < handle_count; i++) {
        if (message->grants[i]) {
            grant_drop(message->grants[i]);
        }
    }
    kernel_free(message, size_of(bytes, handle_count));
    account_credit(account, charge_of(bytes, handle_count));
}

/* Destroy a list. A handle in a message may be the last one of a channel with messages, and so on at any depth: those
 * are put to the list of the thread that is at it already, and the stack stays flat. */
static void destroy_all(struct message *first, struct message *last)
{
    struct thread *thread = thread_current();
    last->next = thread->dropped_messages;
    thread->dropped_messages = first;
    if (thread->drops_messages) {
        return;
    }
    thread->drops_messages = true;
    while (thread->dropped_messages) {
        struct message *message = thread->dropped_messages;
        thread->dropped_messages = message->next;
        destroy_one(message);
        thread_preemption_point();
    }
    thread->drops_messages = false;
}

void message_destroy(struct message *message)
{
    destroy_all(message, message);
}

void message_hold(struct message *message)
{
    struct thread *thread = thread_current();
    if (message && thread->held_message) { /* of a guest that ended, in a thread that went on */
        message_destroy(thread->held_message);
    }
    thread->held_message = message;
}

/* ---- Room ---- */

/* There may be more in it than its limits say, by what was put back (channel_unread). */
static bool has_room(const struct channel *end, uint32_t bytes) REQUIRES(end->object.lock)
{
    return end->message_count < end->pair->messages_maximum &&
           (uint64_t)end->message_bytes + bytes <= end->pair->bytes_maximum;
}

/* Make SIGNAL_WRITABLE of the other end what the room at this one says. */
NO_LOCK_ANALYSIS static void update_writable(struct channel *end)
{
    struct channel *writer = peer_of(end);
    spinlock_acquire(&end->pair->ends[0].object.lock);
    spinlock_acquire(&end->pair->ends[1].object.lock);
    bool room = has_room(end, end->wanted);
    end->blocked = !room;
    if (!end->closed) {
        object_signal_begin(&writer->object, room ? 0 : SIGNAL_WRITABLE, room ? SIGNAL_WRITABLE : 0);
    }
    spinlock_release(&end->pair->ends[1].object.lock);
    spinlock_release(&end->pair->ends[0].object.lock);
    object_notify_rest(&writer->object);
}

/* ---- Writing and reading ---- */

static bool carries_itself(const struct channel_pair *pair, const struct message *message)
{
    for (uint32_t i = 0; i < message->handle_count; i++) {
        const struct object *object = message->grants[i]->object;
        if (object == &pair->ends[0].object || object == &pair->ends[1].object) {
            return true;
        }
    }
    return false;
}

static void append(struct channel *end, struct message *message) REQUIRES(end->object.lock)
{
    message->next = NULL;
    if (end->first) {
        end->last->next = message;
    } else {
        end->first = message;
    }
    end->last = message;
    end->message_count++;
    end->message_bytes += message->bytes;
    if (!(end->object.signals & SIGNAL_READABLE)) {
        object_signal_begin(&end->object, 0, SIGNAL_READABLE);
    }
}

enum status channel_write(struct object *object, struct message *message)
{
    struct channel *end = peer_of((struct channel *)object);
    if (carries_itself(end->pair, message)) {
        return STATUS_INVALID;
    }
    if (message->bytes > end->pair->bytes_maximum) {
        return STATUS_TOO_LARGE;
    }
    enum status status = STATUS_OK;
    uint32_t bytes = message->bytes;
    bool carrier = channels_lock_for(message);
    spinlock_acquire(&end->object.lock);
    if (end->closed) {
        status = STATUS_CLOSED;
    } else if (!has_room(end, bytes)) {
        end->wanted = bytes;
        status = STATUS_AGAIN;
    } else {
        TRACE(SEND, message->number = trace_number(), bytes);
        append(end, message);
        if (carrier) {
            channels_carry(end, message);
        }
        end->wanted = has_room(end, 1) ? end->wanted : 1;
    }
    bool changes = status == STATUS_AGAIN || (status == STATUS_OK && !has_room(end, 1));
    spinlock_release(&end->object.lock);
    channels_unlock(carrier);
    if (changes) {
        update_writable(end);
    }
    if (status == STATUS_OK) {
        if (object_has_rest(&end->object)) {
            object_notify_rest(&end->object);
        }
        COUNT(messages_sent);
    }
    return status;
}

/* Lock an end for taking out its first message: with CHANNELS if that is a carrier. */
NO_LOCK_ANALYSIS static bool lock_for_reading(struct channel *end) ACQUIRES(end->object.lock)
{
    spinlock_acquire(&end->object.lock);
    bool carrier = false;
    while (end->first && message_is_carrier(end->first) != carrier) {
        spinlock_release(&end->object.lock);
        channels_unlock(carrier);
        carrier = !carrier;
        if (carrier) {
            channels_lock();
        }
        spinlock_acquire(&end->object.lock);
    }
    return carrier;
}

/* The first message, if there is one that fits. *changes: the other end may be writable now. */
static enum status take_first(struct channel *end, uint32_t bytes_maximum, uint32_t handles_maximum, bool carrier,
                              struct message **result, bool *changes) REQUIRES(end->object.lock)
{
    struct message *message = end->first;
    if (!message) {
        return end->peer_closed ? STATUS_CLOSED : STATUS_AGAIN;
    }
    if (message->bytes > bytes_maximum || message->handle_count > handles_maximum) {
        return STATUS_TOO_LARGE;
    }
    end->first = message->next;
    end->message_count--;
    end->message_bytes -= message->bytes;
    if (carrier) {
        channels_carry_no_more(end, message);
    }
    if (!end->first) {
        object_signal_locked(&end->object, SIGNAL_READABLE, 0);
    }
    *changes = end->blocked && has_room(end, end->wanted);
    *result = message;
    TRACE(RECEIVE, message->number, message->bytes);
    COUNT(messages_received);
    return STATUS_OK;
}

static void unlock_after_reading(struct channel *end, bool carrier, bool changes) RELEASES(end->object.lock)
{
    spinlock_release(&end->object.lock);
    channels_unlock(carrier);
    if (changes) {
        update_writable(end);
    }
}

enum status channel_read(struct object *object, uint32_t bytes_maximum, uint32_t handles_maximum,
                         struct message **result)
{
    struct channel *end = (struct channel *)object;
    bool changes = false, carrier = lock_for_reading(end);
    enum status status = take_first(end, bytes_maximum, handles_maximum, carrier, result, &changes);
    unlock_after_reading(end, carrier, changes);
    return status;
}

/* ---- From memory to memory ---- */

static bool wake_reader(struct waiter *waiter)
{
    return thread_wake(((struct channel_reader *)waiter)->thread);
}

static void enlist(struct channel *end, struct channel_reader *reader) REQUIRES(end->object.lock)
{
    reader->waiter.signals = SIGNAL_READABLE | SIGNAL_PEER_CLOSED;
    reader->waiter.notify = wake_reader;
    reader->thread = thread_current();
    reader->received = false;
    reader->listed = true;
    thread_wait_begin();
    object_add_waiter(&end->object, &reader->waiter);
}

/* STATUS_AGAIN: something has changed at the channel. */
static enum status wait_for_message(struct channel *end, struct channel_reader *reader)
{
    enum wait_result result = thread_wait_finish(reader->deadline);
    if (reader->received) {
        TRACE(RECEIVE, reader->number, reader->length);
        COUNT(messages_received);
        return STATUS_OK;
    }
    spinlock_acquire(&end->object.lock);
    object_remove_waiter(&end->object, &reader->waiter);
    spinlock_release(&end->object.lock);
    return result == WAIT_WOKEN ? STATUS_AGAIN : result == WAIT_ENDS ? STATUS_ENDING : STATUS_TIMED_OUT;
}

enum status channel_receive(struct grant *grant, struct channel_reader *reader, uint32_t handles_maximum,
                            struct message **result)
{
    struct channel *end = (struct channel *)grant->object;
    *result = NULL;
    for (;;) {
        bool changes = false, carrier = lock_for_reading(end);
        enum status status = grant->revoked
                                 ? STATUS_BAD_HANDLE
                                 : take_first(end, reader->capacity, handles_maximum, carrier, result, &changes);
        bool waits = status == STATUS_AGAIN && reader->deadline;
        if (waits) {
            enlist(end, reader);
        }
        unlock_after_reading(end, carrier, changes);
        if (waits) {
            status = wait_for_message(end, reader);
        }
        if (!waits || status != STATUS_AGAIN) {
            return status;
        }
    }
}

/* Whoever is first in the list, if it is a reader who sleeps: claimed, and out of the list. */
static struct channel_reader *claim_reader(struct channel *end, uint32_t length) REQUIRES(end->object.lock)
{
    struct channel_reader *reader = (struct channel_reader *)end->object.waiters_first;
    if (!reader || reader->waiter.notify != wake_reader || end->first || length > reader->capacity ||
        length > end->pair->bytes_maximum || !thread_claim_here(reader->thread)) {
        return NULL;
    }
    return reader;
}

bool channel_give(struct object *object, const void *bytes, uint32_t length)
{
    struct channel *end = peer_of((struct channel *)object);
    struct thread *thread = NULL;
    if (!__atomic_load_n(&end->object.waiters_first, __ATOMIC_RELAXED)) {
        return false;
    }
    spinlock_acquire(&end->object.lock);
    struct channel_reader *reader = claim_reader(end, length);
    if (reader && length && guest_copy(reader->bytes, bytes, length)) {
        thread_unclaim(reader->thread, reader->deadline);
    } else if (reader) {
        object_remove_waiter(&end->object, &reader->waiter);
        TRACE(SEND, reader->number = trace_number(), length);
        reader->length = length;
        reader->received = true;
        thread = reader->thread;
    }
    spinlock_release(&end->object.lock);
    if (thread) {
        COUNT(messages_sent);
        scheduler_make_ready(thread);
    }
    return thread != NULL;
}

void channel_unread(struct object *object, struct message *message)
{
    struct channel *end = (struct channel *)object;
    bool carrier = channels_lock_for(message);
    spinlock_acquire(&object->lock);
    bool closed = end->closed;
    if (!closed) {
        message->next = end->first;
        end->last = end->first ? end->last : message;
        end->first = message;
        end->message_count++;
        end->message_bytes += message->bytes;
        if (carrier) {
            channels_carry(end, message);
        }
        object_signal_begin(object, 0, SIGNAL_READABLE);
    }
    spinlock_release(&object->lock);
    channels_unlock(carrier);
    object_notify_rest(object);
    if (closed) {
        message_destroy(message);
    }
}

uint32_t channel_room(const struct object *end)
{
    return (uint32_t)min_u64(((const struct channel *)end)->pair->bytes_maximum, MESSAGE_BYTES_MAXIMUM);
}

enum status channel_next(struct object *object, uint32_t *bytes, uint32_t *handle_count)
{
    struct channel *end = (struct channel *)object;
    spinlock_acquire(&object->lock);
    enum status status = end->first ? STATUS_OK : end->peer_closed ? STATUS_CLOSED : STATUS_AGAIN;
    if (end->first) {
        *bytes = end->first->bytes;
        *handle_count = end->first->handle_count;
    }
    spinlock_release(&object->lock);
    return status;
}

/* ---- The end ---- */

#define DRAIN_PIECE 64 /* messages that are taken out while the locks are held */

/* Take out a piece. True: there are more. */
static bool drain_piece(struct channel *end, bool close)
{
    channels_lock();
    spinlock_acquire(&end->object.lock);
    struct message *first = end->first, *last = NULL;
    for (uint32_t i = 0; end->first && i < DRAIN_PIECE; i++) {
        last = end->first;
        end->first = last->next;
        if (message_is_carrier(last)) {
            channels_carry_no_more(end, last);
        }
    }
    bool more = end->first;
    end->last = more ? end->last : NULL;
    end->closed |= close;
    end->message_count = end->message_bytes = 0;
    object_signal_locked(&end->object, SIGNAL_READABLE, 0);
    spinlock_release(&end->object.lock);
    channels_unlock(true);
    if (last) {
        destroy_all(first, last);
    }
    return more;
}

/* Nobody writes to it or reads from it meanwhile: it is closed, or nobody can reach it. */
void channel_drain(struct channel *end, bool close)
{
    while (drain_piece(end, close)) {
        thread_preemption_point();
    }
}

void channel_object_closed(struct object *object)
{
    struct channel *end = (struct channel *)object, *peer = peer_of(end);
    spinlock_acquire(&peer->object.lock);
    peer->peer_closed = true;
    object_signal_begin(&peer->object, SIGNAL_WRITABLE, SIGNAL_PEER_CLOSED);
    spinlock_release(&peer->object.lock);
    object_notify_rest(&peer->object);
    channel_drain(end, true);
}

void channel_object_destroy(struct object *object)
{
    struct channel_pair *pair = ((struct channel *)object)->pair;
    if (__atomic_fetch_sub(&pair->live, 1, __ATOMIC_ACQ_REL) == 1) {
        struct account *account = pair->account;
        kernel_free(pair, sizeof(*pair));
        account_credit(account, sizeof(*pair));
    }
}
