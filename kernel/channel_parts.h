/* The insides of channels, shared by channel.c and channel_cycles.c. */
#ifndef KERNEL_CHANNEL_PARTS_H
#define KERNEL_CHANNEL_PARTS_H

#include "kernel/channel.h"

struct channel {
    struct object object; /* its lock guards what follows */
    struct channel_pair *pair;
    struct message *first, *last; /* to be read here */
    uint32_t message_count, message_bytes;
    bool closed;      /* no handle is left: nothing is written to it any more */
    bool peer_closed; /* the same of the other end */
    bool blocked;     /* the other end is not writable */
    uint32_t wanted;  /* bytes that were refused: it is writable again when there is room for them */

    /* LOCK_CHANNELS from here on. Of the messages to be read here, those with channels in them: carriers. */
    struct message *carriers;
    struct channel *holder_next, *holder_previous; /* in the list of ends with carriers */
    struct channel *work_next;                     /* while collecting */
    uint32_t collection;                           /* the one that the rest is noted for */
    uint32_t outside;                              /* handles to it that lie in no message */
    bool inside;                                   /* there are some that do */
    bool reached;
};

struct channel_pair {
    struct channel ends[2];
    uint32_t live; /* ends that are not destroyed; atomic */
    uint32_t messages_maximum, bytes_maximum;
    struct account *account;
};

/* ---- channel.c ---- */
/* Destroy what is to be read at an end; `close`: nothing comes any more. Without a lock. */
void channel_drain(struct channel *end, bool close);

/* ---- channel_cycles.c ---- */
bool message_is_carrier(const struct message *message);
void channels_lock(void);
/* The same if the message is a carrier; true then. */
bool channels_lock_for(const struct message *message);
void channels_unlock(bool locked);
/* It waits to be read at the end from now on; no more. With the lock. */
void channels_carry(struct channel *end, struct message *message);
void channels_carry_no_more(struct channel *end, struct message *message);

#endif
