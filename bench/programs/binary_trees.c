/* Building and walking trees: malloc, free and recursion. */
#include "bench.h"

struct tree {
    struct tree *left, *right;
};

static struct tree *tree_create(int depth)
{
    struct tree *tree = allocate(sizeof *tree);
    tree->left = depth > 0 ? tree_create(depth - 1) : NULL;
    tree->right = depth > 0 ? tree_create(depth - 1) : NULL;
    return tree;
}

static uint32_t tree_count(const struct tree *tree)
{
    return tree->left == NULL ? 1 : 1 + tree_count(tree->left) + tree_count(tree->right);
}

static void tree_destroy(struct tree *tree)
{
    if (tree->left != NULL) {
        tree_destroy(tree->left);
        tree_destroy(tree->right);
    }
    free(tree);
}

uint64_t compute(uint32_t scale)
{
    uint64_t sum = 0;
    struct tree *kept = tree_create(14);
    for (uint32_t round = 0; round < 30 * scale; round++)
        for (int depth = 4; depth <= 14; depth += 2)
            for (int number = 0; number < 1 << (14 - depth); number++) {
                struct tree *tree = tree_create(depth);
                sum = mix(sum, tree_count(tree));
                tree_destroy(tree);
            }
    sum = mix(sum, tree_count(kept));
    tree_destroy(kept);
    return sum;
}
