#include "kernel/queue.h"

#include "engine/base.h"

/* Two trees become one. Neither has siblings. */
static struct queue_node *link(struct queue_node *a, struct queue_node *b)
{
    if (b->key < a->key) {
        struct queue_node *swap = a;
        a = b;
        b = swap;
    }
    b->previous = a;
    b->next = a->child;
    if (a->child) {
        a->child->previous = b;
    }
    a->child = b;
    return a;
}

/* The siblings from `node` on become one tree: in pairs from the left, then all from the right. */
static struct queue_node *merge(struct queue_node *node)
{
    struct queue_node *pairs = NULL, *result = NULL;
    while (node) {
        struct queue_node *a = node, *b = a->next;
        node = b ? b->next : NULL;
        a->next = NULL;
        if (b) {
            b->next = NULL;
            a = link(a, b);
        }
        a->next = pairs;
        pairs = a;
    }
    while (pairs) {
        struct queue_node *next = pairs->next;
        pairs->next = NULL;
        result = result ? link(result, pairs) : pairs;
        pairs = next;
    }
    if (result) {
        result->previous = NULL;
    }
    return result;
}

void queue_insert(struct queue *queue, struct queue_node *node, uint64_t key)
{
    *node = (struct queue_node){.key = key};
    queue->first = queue->first ? link(queue->first, node) : node;
}

void queue_remove(struct queue *queue, struct queue_node *node)
{
    struct queue_node *children = merge(node->child);
    if (!node->previous) {
        queue->first = children;
        return;
    }
    if (node->previous->child == node) {
        node->previous->child = node->next;
    } else {
        node->previous->next = node->next;
    }
    if (node->next) {
        node->next->previous = node->previous;
    }
    if (children) {
        queue->first = link(queue->first, children);
    }
}
