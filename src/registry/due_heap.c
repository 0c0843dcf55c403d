/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * due_heap.c - the pairing heap of due_heap.h. No threads, no state: one thread at a time for each
 * heap.
 */
#include "registry/due_heap.h"

#include <stddef.h>

/* Both are roots without siblings, not NULL; the earlier one becomes the parent of the other. */
static struct pw_due *meld(struct pw_due *a, struct pw_due *b)
{
    if (b->at_ns < a->at_ns) {
        struct pw_due *earlier = b;
        b = a;
        a = earlier;
    }
    b->sibling = a->child;
    if (b->sibling != NULL) {
        b->sibling->back = &b->sibling;
    }
    b->back = &a->child;
    a->child = b;
    return a;
}

/* Melds siblings in pairs from the left; gives the pairs as a list in the opposite order. */
static struct pw_due *meld_pairs(struct pw_due *first)
{
    struct pw_due *pairs = NULL;
    while (first != NULL) {
        struct pw_due *a = first;
        struct pw_due *b = a->sibling;
        first = b == NULL ? NULL : b->sibling;
        a->sibling = NULL;
        if (b != NULL) {
            b->sibling = NULL;
            a = meld(a, b);
        }
        a->sibling = pairs;
        pairs = a;
    }
    return pairs;
}

/* Makes one heap of a list of siblings, or NULL of none. */
static struct pw_due *meld_all(struct pw_due *first)
{
    struct pw_due *pairs = meld_pairs(first);
    struct pw_due *root = pairs;
    if (root == NULL) {
        return NULL;
    }
    pairs = root->sibling;
    root->sibling = NULL;
    while (pairs != NULL) {
        struct pw_due *next = pairs->sibling;
        pairs->sibling = NULL;
        root = meld(root, pairs);
        pairs = next;
    }
    return root;
}

static void set_root(struct pw_due_heap *heap, struct pw_due *root)
{
    heap->root = root;
    if (root != NULL) {
        root->back = &heap->root;
    }
}

void pw_due_heap_insert(struct pw_due_heap *heap, struct pw_due *item, uint64_t at_ns)
{
    item->at_ns = at_ns;
    item->child = NULL;
    item->sibling = NULL;
    set_root(heap, heap->root == NULL ? item : meld(heap->root, item));
}

void pw_due_heap_remove(struct pw_due_heap *heap, struct pw_due *item)
{
    *item->back = item->sibling;
    if (item->sibling != NULL) {
        item->sibling->back = item->back;
    }
    struct pw_due *below = meld_all(item->child);
    if (below != NULL) {
        set_root(heap, heap->root == NULL ? below : meld(heap->root, below));
    }
    item->child = NULL;
    item->sibling = NULL;
    item->back = NULL;
}

struct pw_due *pw_due_heap_pop(struct pw_due_heap *heap, uint64_t now_ns)
{
    struct pw_due *first = heap->root;
    if (first == NULL || first->at_ns > now_ns) {
        return NULL;
    }
    pw_due_heap_remove(heap, first);
    return first;
}
