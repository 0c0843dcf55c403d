/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * alias.c - the pages of a connection's aliases, taken as they are given. The worker's thread.
 */
#include "orchestrator/alias.h"

#include <stdlib.h>

#define FIRST_ROOM 4u

void pw_aliases_destroy(struct pw_aliases *aliases)
{
    for (uint32_t i = 0; i < aliases->room; i++) {
        free(aliases->pages[i]);
    }
    free(aliases->pages);
    *aliases = (struct pw_aliases){.room = 0};
}

static bool make_room(struct pw_aliases *aliases, uint32_t at)
{
    uint32_t room = aliases->room == 0 ? FIRST_ROOM : aliases->room;
    while (room <= at) {
        room *= 2;
    }
    struct pw_alias_page **pages = realloc(aliases->pages, room * sizeof(*pages));
    if (pages == NULL) {
        return false;
    }
    for (uint32_t i = aliases->room; i < room; i++) {
        pages[i] = NULL;
    }
    aliases->pages = pages;
    aliases->room = room;
    return true;
}

/* NULL when memory is out. */
static struct pw_alias_page *page_of(struct pw_aliases *aliases, uint32_t alias)
{
    const uint32_t at = alias / PW_ALIAS_PAGE;
    if (at >= aliases->room && !make_room(aliases, at)) {
        return NULL;
    }
    if (aliases->pages[at] == NULL) {
        aliases->pages[at] = calloc(1, sizeof(struct pw_alias_page));
    }
    return aliases->pages[at];
}

void pw_aliases_give(struct pw_aliases *aliases, uint32_t alias, const struct pw_alias_place *place,
                     const struct pw_alias_name *name)
{
    struct pw_alias_page *page = page_of(aliases, alias);
    const uint32_t at = alias % PW_ALIAS_PAGE;
    if (page != NULL && page->names[at].order <= name->order) {
        page->places[at] = *place;
        page->names[at] = *name;
    }
}
