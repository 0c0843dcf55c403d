/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * alias.h - the aliases of one connection: numbers that stand for modules which have shown their
 * tokens on it. They belong to the session, on its worker's thread; what they point to is guarded by
 * the shard's mutex.
 *
 * An alias holds no reference to its module, which may go at any time: its memory stays with the slab,
 * and may be another module's by now. Whether it is still the same one, with the same token and
 * generation, tells its serial number (see module.h), which is looked at under the mutex of the shard
 * that the number itself names. If it is not, the id that the alias was given with says what
 * became of it.
 */
#ifndef PW_ORCHESTRATOR_ALIAS_H
#define PW_ORCHESTRATOR_ALIAS_H

#include "model/message.h"
#include "orchestrator/module.h"

#include <stdint.h>

/* What every beat looks at; apart from the rest, so that many fit into a cache. */
struct pw_alias_place {
    struct pw_module *module; /* NULL: the alias was never given */
    uint64_t serial;
};

/* Of a module as it is now. Shard's mutex held. */
static inline struct pw_alias_place pw_alias_place_of(struct pw_module *module)
{
    return (struct pw_alias_place){module, pw_module_serial(module)};
}

struct pw_alias_name {
    struct pywatt_uuid id;
    uint64_t generation; /* that the beat named; 0 if none */
    uint64_t order;      /* of the message that it came in, among those of the connection */
};

/*
 * Aliases stand in pages, and a page is there once one of its numbers was given: so memory is in
 * proportion to what was given, whichever numbers a peer takes. A page is small, since most connections
 * have few modules.
 */
#define PW_ALIAS_PAGE 32u

struct pw_alias_page {
    struct pw_alias_place places[PW_ALIAS_PAGE];
    struct pw_alias_name names[PW_ALIAS_PAGE];
};

struct pw_aliases {
    uint32_t room;                /* of `pages` */
    struct pw_alias_page **pages; /* of alias n at n / PW_ALIAS_PAGE; NULL if it is not there */
    uint64_t orders;              /* how many messages that may give aliases have come */
};

/* All zeros is a set without any. */
void pw_aliases_destroy(struct pw_aliases *aliases);

/*
 * Gives an alias, 1 to PW_ALIAS_MAX, to a module whose serial number was `place->serial` when a beat
 * with its token went well; instead of whatever it stood for, unless a later message gave that. If
 * memory is out it is not given, and stands for nothing.
 */
void pw_aliases_give(struct pw_aliases *aliases, uint32_t alias, const struct pw_alias_place *place,
                     const struct pw_alias_name *name);

/* NULL if it stands for nothing. */
static inline struct pw_alias_place *pw_aliases_find(const struct pw_aliases *aliases,
                                                     uint32_t alias)
{
    const uint32_t at = alias / PW_ALIAS_PAGE;
    struct pw_alias_page *page = at < aliases->room ? aliases->pages[at] : NULL;
    if (page == NULL || page->places[alias % PW_ALIAS_PAGE].module == NULL) {
        return NULL;
    }
    return &page->places[alias % PW_ALIAS_PAGE];
}

/* Of an alias that stands for something. */
static inline const struct pw_alias_name *pw_aliases_name(const struct pw_aliases *aliases,
                                                          uint32_t alias)
{
    return &aliases->pages[alias / PW_ALIAS_PAGE]->names[alias % PW_ALIAS_PAGE];
}

#endif
