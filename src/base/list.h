/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * list.h - a doubly linked, circular list whose links stand in the items. No lock of its own.
 *
 * An item that is in no list has links to itself, so pw_list_remove may be called twice.
 */
#ifndef PW_BASE_LIST_H
#define PW_BASE_LIST_H

#include "base/bytes.h"

#include <stdbool.h>

struct pw_list {
    struct pw_list *next;
    struct pw_list *prev;
};

static inline void pw_list_init(struct pw_list *node)
{
    node->next = node;
    node->prev = node;
}

static inline bool pw_list_empty(const struct pw_list *list)
{
    return list->next == list;
}

/* True while `node` is in some list. */
static inline bool pw_list_linked(const struct pw_list *node)
{
    return node->next != node;
}

static inline void pw_list_append(struct pw_list *list, struct pw_list *node)
{
    node->prev = list->prev;
    node->next = list;
    list->prev->next = node;
    list->prev = node;
}

static inline void pw_list_remove(struct pw_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    pw_list_init(node);
}

/* Takes the first item out, or NULL. */
static inline struct pw_list *pw_list_pop(struct pw_list *list)
{
    struct pw_list *first = list->next;
    if (first == list) {
        return NULL;
    }
    pw_list_remove(first);
    return first;
}

/* Moves all items of `from` to the end of `to`. */
static inline void pw_list_splice(struct pw_list *to, struct pw_list *from)
{
    if (!pw_list_empty(from)) {
        from->next->prev = to->prev;
        from->prev->next = to;
        to->prev->next = from->next;
        to->prev = from->prev;
        pw_list_init(from);
    }
}

#endif
