/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * alias.c - the table of a connection's aliases, which grows as they are given. The worker's thread.
 */
#include "orchestrator/alias.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 16u

void pw_aliases_destroy(struct pw_aliases *aliases)
{
    free(aliases->places);
    free(aliases->names);
    *aliases = (struct pw_aliases){.room = 0};
}

static enum pywatt_status make_room(struct pw_aliases *aliases, uint32_t alias)
{
    uint32_t room = aliases->room == 0 ? FIRST_ROOM : aliases->room;
    while (room < alias) {
        room *= 2;
    }
    struct pw_alias_place *places = realloc(aliases->places, room * sizeof(*places));
    if (places == NULL) {
        return PYWATT_NO_MEMORY;
    }
    aliases->places = places;
    struct pw_alias_name *names = realloc(aliases->names, room * sizeof(*names));
    if (names == NULL) {
        return PYWATT_NO_MEMORY; /* the places are only larger than they need be */
    }
    aliases->names = names;
    memset(places + aliases->room, 0, (room - aliases->room) * sizeof(*places));
    aliases->room = room;
    return PYWATT_OK;
}

enum pywatt_status pw_aliases_give(struct pw_aliases *aliases, uint32_t alias,
                                   const struct pw_alias_place *place,
                                   const struct pw_alias_name *name)
{
    if (alias > aliases->room && make_room(aliases, alias) != PYWATT_OK) {
        return PYWATT_NO_MEMORY;
    }
    aliases->places[alias - 1] = *place;
    aliases->names[alias - 1] = *name;
    return PYWATT_OK;
}
