/* Channels: bounded queues of messages, bytes and handles, in both directions between two ends.
 *
 * Each end is an object. Messages written to one are read from the other, in order, whole. An end has room for a number
 * of messages and of bytes that wait to be read from it; beyond that a writer is refused, and the writer's end loses
 * SIGNAL_WRITABLE until there is room again for what was refused. When the last handle to an end is gone, the other has
 * SIGNAL_PEER_CLOSED: what was written to it can still be read.
 *
 * A message without handles that somebody waits for goes from memory to memory, as a call does. Any other is copied into
 * the kernel and out again. Its memory is charged to who wrote it until it is read, so a flood
 * ends at the channel's bounds, and many channels' at the account of who fills them. Pages are never moved: on Linux
 * that costs more than the two copies up to MESSAGE_BYTES_MAXIMUM (docs/kernel.md has the figures), and what is larger
 * belongs into a memory object that both sides map. */
#ifndef KERNEL_CHANNEL_H
#define KERNEL_CHANNEL_H

#include "kernel/handle.h"

#define MESSAGE_BYTES_MAXIMUM    (UINT32_C(1) << 20)
#define CHANNEL_MESSAGES_MAXIMUM (UINT32_C(1) << 16)
#define CHANNEL_BYTES_MAXIMUM    (UINT32_C(1) << 24)
#define CHANNEL_MESSAGES_DEFAULT 64
#define CHANNEL_BYTES_DEFAULT    (UINT32_C(1) << 18)

struct message {
    struct message *next;
    struct account *account; /* that pays for it */
    uint32_t bytes, handle_count;
    uint32_t number;                                 /* in traces; 0: none */
    struct message *carrier_next, *carrier_previous; /* channel_cycles.c, while it waits to be read */
    struct grant *grants[];                          /* the bytes follow behind them */
};
static inline uint8_t *message_bytes(struct message *message)
{
    return (uint8_t *)&message->grants[message->handle_count];
}

/* Both ends of a new channel, with room for so many messages and bytes in each direction (0: the defaults); the
 * references are the caller's. STATUS_INVALID: beyond the maxima; STATUS_LIMIT, STATUS_NO_MEMORY. */
enum status channel_create(uint32_t messages, uint32_t bytes, struct account *account, struct object *ends[2]);

/* A message without content, with room for so much; its grants are NULL. STATUS_TOO_LARGE, STATUS_LIMIT,
 * STATUS_NO_MEMORY. */
enum status message_create(uint32_t bytes, uint32_t handle_count, struct account *account, struct message **result);
/* Drops what it holds. Without a lock. */
void message_destroy(struct message *message);

/* The current thread has the message in its hands (NULL: no more) while it does what may end its guest: then it is
 * destroyed when the thread holds the next one, or ends. */
void message_hold(struct message *message);

/* The other end gets the message; it then belongs to the channel. STATUS_AGAIN: no room now, SIGNAL_WRITABLE will tell;
 * STATUS_TOO_LARGE: there never will be; STATUS_CLOSED: the other end is gone; STATUS_INVALID: one of the handles is to
 * an end of this channel. */
enum status channel_write(struct object *end, struct message *message);
/* The first message, if it fits; it then belongs to the caller. STATUS_AGAIN: there is none; STATUS_CLOSED: and there
 * will be none; STATUS_TOO_LARGE: it is longer or has more handles. */
enum status channel_read(struct object *end, uint32_t bytes_maximum, uint32_t handles_maximum, struct message **result);

/* Who waits for a message, and where its bytes are to go; on his kernel stack. */
struct channel_reader {
    struct waiter waiter; /* in the list of the end that he reads from */
    struct thread *thread;
    uint8_t *bytes; /* in his memory, checked */
    uint32_t capacity;
    uint32_t length; /* once it was received */
    uint32_t number; /* in traces */
    bool listed;
    bool received; /* set by who claimed the thread */
    uint64_t deadline;
};

/* Read as channel_read, or wait for a message until `deadline` (0: do not). STATUS_OK: either *result is the message,
 * which is the caller's, or it is NULL and its bytes were put where the reader wanted them: it had no handles.
 * `reader`: bytes, capacity and deadline are set. STATUS_TIMED_OUT; STATUS_ENDING; STATUS_BAD_HANDLE: the grant was
 * revoked. */
enum status channel_receive(struct grant *end, struct channel_reader *reader, uint32_t handles_maximum,
                            struct message **result);
/* Put a message without handles straight into the memory of somebody who waits for one, from the writer's. False: that
 * cannot be done, and nothing happened: channel_write says why. With locks held up to rank HANDLES. */
bool channel_give(struct object *end, const void *bytes, uint32_t length);

/* Put back a message that was read and cannot be kept: it is the first again. */
void channel_unread(struct object *end, struct message *message);
/* Find channels that nobody can reach any more, because all handles to them lie in messages of each other, and end
 * them. Linear in the messages that have channels in them. Done by itself: when a process ends and there may be many,
 * and before somebody is refused a channel. */
void channel_collect(void);
void channel_collect_if_due(void);

/* Bytes that may wait to be read in one direction: no message can be longer. */
uint32_t channel_room(const struct object *end);

/* Size of the first message. STATUS_AGAIN, STATUS_CLOSED. */
enum status channel_next(struct object *end, uint32_t *bytes, uint32_t *handle_count);

#endif
