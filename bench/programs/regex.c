/* A backtracking regular expression matcher built of nodes with a function pointer each: call_indirect. */
#include "bench.h"

struct node;
typedef const char *(*matcher)(const struct node *, const char *);

/* A node matches at `text` and goes on with `next`; NULL when nothing matched, else the end of the match. */
struct node {
    matcher match;
    const struct node *next, *inner, *other;
    uint8_t low, high;
};

static const char *match_end(const struct node *node, const char *text)
{
    (void)node;
    return text;
}

static const char *match_range(const struct node *node, const char *text)
{
    uint8_t byte = (uint8_t)*text;
    return byte != 0 && byte >= node->low && byte <= node->high ? node->next->match(node->next, text + 1) : NULL;
}

static const char *match_any(const struct node *node, const char *text)
{
    return *text != 0 ? node->next->match(node->next, text + 1) : NULL;
}

static const char *match_either(const struct node *node, const char *text)
{
    const char *end = node->inner->match(node->inner, text);
    return end != NULL ? end : node->other->match(node->other, text);
}

/* inner* then next, greedy; the inner chain ends in this node again. */
static const char *match_star(const struct node *node, const char *text)
{
    const char *end = node->inner->match(node->inner, text);
    return end != NULL ? end : node->next->match(node->next, text);
}

static struct node nodes[64];
static uint32_t node_count;

static struct node *node_create(matcher match, const struct node *next)
{
    struct node *node = &nodes[node_count++];
    *node = (struct node){.match = match, .next = next};
    return node;
}

static const struct node *range(uint8_t low, uint8_t high, const struct node *next)
{
    struct node *node = node_create(match_range, next);
    node->low = low;
    node->high = high;
    return node;
}

static const struct node *star(uint8_t low, uint8_t high, const struct node *next)
{
    struct node *node = node_create(match_star, next);
    node->inner = range(low, high, node);
    return node;
}

static const struct node *literal(const char *text, const struct node *next)
{
    return *text == 0 ? next : range((uint8_t)*text, (uint8_t)*text, literal(text + 1, next));
}

static const struct node *either(const struct node *inner, const struct node *other)
{
    struct node *node = node_create(match_either, NULL);
    node->inner = inner;
    node->other = other;
    return node;
}

uint64_t compute(uint32_t scale)
{
    static char text[1 << 15];
    static const char *const words[] = {"alpha", "be12",    "x9y",           "data=", "77",
                                        " ",     "error: ", "user@host.net", ";",     "=3"};
    uint32_t random = 5;
    char *cursor = text;
    while (cursor < text + sizeof text - 32)
        cursor = stpcpy(cursor, words[next_random(&random) % 10]);

    const struct node *end = node_create(match_end, NULL);
    const struct node *const patterns[] = {
        range('a', 'z', star('a', 'z', literal("@", range('a', 'z', star('a', 'z', literal(".net", end)))))),
        range('0', '9', star('0', '9', literal("=", range('0', '9', end)))),
        either(literal("error", node_create(match_any, literal(" data", end))), literal("alphaalpha", end)),
        star('a', 'z', star('0', '9', star('a', 'z', literal(";", end)))),
    };
    uint64_t sum = 0;
    for (uint32_t round = 0; round < 24 * scale; round++)
        for (uint32_t p = 0; p < sizeof patterns / sizeof *patterns; p++)
            for (const char *at = text; *at != 0;) {
                const char *stop = patterns[p]->match(patterns[p], at);
                if (stop != NULL)
                    sum = mix(sum, (uint64_t)(stop - text));
                at = stop != NULL && stop > at ? stop : at + 1;
            }
    return sum;
}
