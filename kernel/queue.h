/* An ordered queue: a pairing heap whose nodes lie in what is queued, so nothing is allocated. Inserting is constant
 * time, taking out is logarithmic, amortized. The caller keeps the lock. */
#ifndef KERNEL_QUEUE_H
#define KERNEL_QUEUE_H

#include <stdint.h>

struct queue_node {
    struct queue_node *child, *next;
    struct queue_node *previous; /* to the left, or the parent of the leftmost; NULL: the first of all */
    uint64_t key;
};

struct queue {
    struct queue_node *first; /* the one with the lowest key, or NULL */
};

void queue_insert(struct queue *queue, struct queue_node *node, uint64_t key);
/* Take out a node that is queued. */
void queue_remove(struct queue *queue, struct queue_node *node);

#endif
