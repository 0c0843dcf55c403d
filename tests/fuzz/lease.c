/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * lease.c - operations on modules and their leases, on a clock that the input moves, against a model
 * that counts the time in which the lease thread was not kept from running ("awake"; short stalls
 * only as long as they are the exception):
 *
 *   a module is lost only after it was silent for its lease, and after a pass of all workers that
 *   began when it had been; a step then finds that at most LATE_NS later;
 *   after a pause of PAUSE_NS everybody has a whole lease;
 *   it is forgotten when it has been lost for RETAIN_MS, within the same bound;
 *   in between it is alive after each beat, and suspect when its connection has closed.
 *
 * The thread is not started: steps are made when it would make them. The input is a row of
 * operations, a byte each with its numbers.
 */
#include "fuzz.h"

#include "orchestrator/lease.h"
#include "orchestrator/module_table.h"
#include "orchestrator/presence.h"

#define MS PW_NS_PER_MS
#define NOT_A_STALL_NS (5 * MS)
#define STUTTER_NS (150 * MS)
#define STUTTER_SHARE 50
#define LATE_NS (2 * MS)
#define PAUSE_NS (1000 * MS)
#define RETAIN_MS 3000

enum {
    MODULES = 6,
    CONNECTIONS = 2
};

struct model_module {
    int liveness; /* -1: there is none */
    uint64_t lease_ns;
    uint64_t beat_ns;    /* awake */
    uint64_t resumed_ns; /* awake: when the last pause ended */
    uint64_t end_ns;     /* awake: when the lease ends at the latest */
    uint64_t lost_ns;    /* awake */
    unsigned connection; /* from 1; 0: none */
};

struct world {
    struct pw_clock clock; /* first: a pointer to it is one to the whole */
    uint64_t now_ns;
    uint64_t next_ns;         /* when the thread wants to wake */
    uint64_t stall_ns;        /* time in which it was kept from running, as far as that counts */
    uint64_t stutter_left_ns; /* so much more would of short stalls */
    uint64_t stutter_at_ns;   /* then */
    unsigned workers;
    unsigned pass_left;
    bool pass_ended;              /* and the thread has not run since */
    uint64_t pass_began_ns;       /* awake */
    uint64_t pass_over_ns;        /* when the thread saw that it had ended */
    uint64_t pass_ended_began_ns; /* when the last pass that has ended began */
    struct pw_lease lease;
    struct pw_events events;
    struct pw_module_table table;
    struct pw_binding bindings[CONNECTIONS + 1];
    struct pw_token token;
    struct model_module modules[MODULES];
};

static uint64_t now(const struct pw_clock *clock)
{
    return ((const struct world *)(const void *)clock)->now_ns;
}

static struct pywatt_uuid id_of(unsigned n)
{
    return (struct pywatt_uuid){.bytes = {0x42, (uint8_t)n}};
}

/* ---- Time ---- */

/* How much too late the next step would be. */
static uint64_t lateness(const struct world *world)
{
    return world->now_ns > world->next_ns && world->now_ns - world->next_ns > NOT_A_STALL_NS
               ? world->now_ns - world->next_ns
               : 0;
}

/* What would be left for short stalls if this one were none. */
static uint64_t stutter_left(const struct world *world)
{
    const uint64_t left_ns =
        world->stutter_left_ns + (world->now_ns - world->stutter_at_ns) / STUTTER_SHARE;
    return left_ns < STUTTER_NS ? left_ns : STUTTER_NS;
}

/* How much of the lateness counts. */
static uint64_t excused(const struct world *world)
{
    const uint64_t late_ns = lateness(world);
    const uint64_t left_ns = stutter_left(world);
    return late_ns >= STUTTER_NS || late_ns < left_ns ? late_ns : left_ns;
}

static uint64_t awake(const struct world *world)
{
    return world->now_ns - world->stall_ns - excused(world);
}

/* After each step: who was lost in it. */
static void see_losses(struct world *world)
{
    for (unsigned n = 0; n < MODULES; n++) {
        struct model_module *const known = &world->modules[n];
        const struct pywatt_uuid id = id_of(n);
        struct pw_shard *shard;
        struct pw_module *const module = pw_table_lock_module(&world->table, &id, &shard);
        FUZZ_CHECK((module != NULL) == (known->liveness >= 0), "module %u is %d", n,
                   known->liveness);
        if (module == NULL) {
            continue;
        }
        if (module->liveness == PYWATT_LOST && known->liveness != PYWATT_LOST) {
            const uint64_t since_ns =
                known->beat_ns > known->resumed_ns ? known->beat_ns : known->resumed_ns;
            FUZZ_CHECK(world->pass_ended_began_ns >= since_ns + known->lease_ns,
                       "module %u was not silent for its lease when the pass began", n);
            known->liveness = PYWATT_LOST;
            known->lost_ns = awake(world);
        }
        FUZZ_CHECK(module->liveness == known->liveness, "module %u is %u and not %d", n,
                   module->liveness, known->liveness);
        pw_mutex_unlock(&shard->mutex);
    }
}

/* After a pause: nobody's lease ends before a whole one has passed. */
static void renew(struct world *world)
{
    for (unsigned n = 0; n < MODULES; n++) {
        struct model_module *const known = &world->modules[n];
        const uint64_t end_ns = awake(world) + known->lease_ns;
        known->resumed_ns = awake(world);
        known->end_ns = end_ns > known->end_ns ? end_ns : known->end_ns;
    }
}

static void step(struct world *world)
{
    const uint64_t late_ns = lateness(world);
    const uint64_t excused_ns = excused(world);
    if (late_ns > 0 && late_ns < STUTTER_NS) {
        world->stutter_left_ns = stutter_left(world) - excused_ns;
        world->stutter_at_ns = world->now_ns;
    }
    world->stall_ns += excused_ns;
    world->next_ns = world->now_ns; /* what was late is counted */
    if (late_ns >= PAUSE_NS) {
        renew(world);
    }
    if (world->pass_ended) {
        world->pass_over_ns = awake(world);
        world->pass_ended = false;
    }
    world->next_ns = pw_lease_step(&world->lease);
    /* What the thread does when it was kicked meanwhile. */
    world->lease.kicked = false;
    see_losses(world);
}

/* Operations that kick the thread: it runs at once, unless something keeps it. */
static void let_run(struct world *world)
{
    if (lateness(world) == 0) {
        step(world);
    }
}

static void pass_time(struct world *world, uint64_t until_ns)
{
    step(world);
    while (world->next_ns <= until_ns) {
        world->now_ns = world->next_ns;
        step(world);
    }
    world->now_ns = until_ns;
    step(world);
}

/* ---- What the lease asks for ---- */

static unsigned begin_pass(void *user)
{
    struct world *const world = user;
    world->pass_began_ns = awake(world);
    world->pass_left = world->workers;
    if (world->workers == 0) {
        world->pass_ended_began_ns = world->pass_began_ns;
    }
    return world->workers;
}

static void pass_done(struct world *world)
{
    if (world->pass_left == 0) {
        return;
    }
    if (--world->pass_left == 0) {
        world->pass_ended_began_ns = world->pass_began_ns;
        world->pass_ended = true;
    }
    pw_lease_pass_done(&world->lease);
    let_run(world);
}

static void remove_module(struct world *world, unsigned n, enum pywatt_event_kind kind)
{
    const struct pywatt_uuid id = id_of(n);
    pw_mutex_lock(&world->table.names_mutex);
    struct pw_module *const module = pw_table_find_id_locked(&world->table, &id);
    FUZZ_CHECK(module != NULL, "module %u is not there", n);
    pw_table_remove_locked(&world->table, module, kind);
    pw_mutex_unlock(&world->table.names_mutex);
    pw_module_free(module);
    world->modules[n].liveness = -1;
}

static void forget(void *user, const struct pywatt_uuid *id)
{
    struct world *const world = user;
    const unsigned n = id->bytes[1];
    FUZZ_CHECK(world->modules[n].liveness == PYWATT_LOST, "module %u was not lost", n);
    FUZZ_CHECK(awake(world) - world->modules[n].lost_ns >= RETAIN_MS * MS,
               "module %u is forgotten after %llu ns", n,
               (unsigned long long)(awake(world) - world->modules[n].lost_ns));
    remove_module(world, n, PYWATT_EVENT_FORGOTTEN);
}

static void see_lateness(const struct world *world)
{
    if (world->now_ns >= world->next_ns || world->pass_left > 0) {
        return; /* a step, or a pass, is to come */
    }
    const uint64_t now_ns = awake(world);
    for (unsigned n = 0; n < MODULES; n++) {
        const struct model_module *const known = &world->modules[n];
        const uint64_t end_ns =
            known->liveness == PYWATT_LOST ? known->lost_ns + RETAIN_MS * MS : known->end_ns;
        /* Who was due during a pass waits for its end, and then for the next one. */
        const uint64_t known_ns = end_ns > world->pass_over_ns ? end_ns : world->pass_over_ns;
        FUZZ_CHECK(known->liveness < 0 || now_ns < known_ns + LATE_NS,
                   "module %u: %llu ns too late", n, (unsigned long long)(now_ns - known_ns));
    }
}

/* ---- Operations ---- */

/*
 * A sign of life. What came during a stall that nobody has noticed yet counts as later by that much,
 * and what comes afterwards does not take that back.
 */
static void live(const struct world *world, struct model_module *known)
{
    known->beat_ns = awake(world);
    const uint64_t end_ns = known->beat_ns + lateness(world) + known->lease_ns;
    known->end_ns = end_ns > known->end_ns ? end_ns : known->end_ns;
}

static void add(struct world *world, unsigned n, uint32_t lease_ms)
{
    static const uint8_t hash[PW_TOKEN_HASH_SIZE] = {0};
    const char name[] = {'m', (char)('0' + n), '\0'};
    const struct pywatt_uuid id = id_of(n);
    struct pywatt_module_info *info = NULL;
    struct pw_shared_info *shared = NULL;
    if (pywatt_module_info_new(name, "1", "d", &info) == PYWATT_OK) {
        shared = pw_shared_info_new(info);
    }
    struct pw_module *const module = pw_module_new(&world->table.modules, &id, shared, NULL);
    pw_shared_info_release(shared);
    FUZZ_CHECK(module != NULL, "no memory");
    pw_module_set_token(module, &world->token, hash);
    module->generation = 1;
    module->lease_ms = lease_ms;
    module->last_beat_ns = pw_lease_now_ns(&world->lease);
    pw_mutex_lock(&world->table.names_mutex);
    pw_table_insert_locked(&world->table, module);
    pw_mutex_unlock(&world->table.names_mutex);
    world->modules[n] = (struct model_module){.liveness = PYWATT_ALIVE, .lease_ns = lease_ms * MS};
    live(world, &world->modules[n]);
    let_run(world);
}

static void beat(struct world *world, unsigned n, unsigned connection)
{
    struct model_module *const known = &world->modules[n];
    const struct pywatt_uuid id = id_of(n);
    enum pywatt_health answer;
    uint64_t generation;
    const struct pw_beat one = {.module_id = &id,
                                .token = {world->token.text, sizeof(world->token.text)},
                                .binding = &world->bindings[connection],
                                .now_ns = pw_lease_now_ns(&world->lease)};
    const enum pywatt_status status = pw_presence_beat(&world->table, &one, &answer, &generation);
    FUZZ_CHECK(status == (known->liveness >= 0 ? PYWATT_OK : PYWATT_MODULE_NOT_FOUND), "%s",
               pywatt_status_name(status));
    if (known->liveness < 0) {
        return;
    }
    known->liveness = PYWATT_ALIVE;
    live(world, known);
    known->connection = connection;
    let_run(world);
}

static void disconnect(struct world *world, unsigned connection)
{
    pw_presence_disconnected(&world->table, &world->bindings[connection], false);
    for (unsigned n = 0; n < MODULES; n++) {
        struct model_module *const known = &world->modules[n];
        if (known->connection == connection) {
            known->connection = 0;
            known->liveness = known->liveness == PYWATT_ALIVE ? PYWATT_SUSPECT : known->liveness;
        }
    }
}

static void operate(struct world *world, struct fuzz_input *input)
{
    static const uint32_t leases[] = {1, 2, 10, 64, 100, 500, 999, 4096};
    const uint8_t code = fuzz_byte(input);
    const unsigned n = code / 8 % MODULES;
    switch (code % 8) {
    case 0:
        if (world->modules[n].liveness < 0) {
            add(world, n, leases[fuzz_byte(input) % 8]);
        }
        break;
    case 1: beat(world, n, 1 + code / 64 % CONNECTIONS); break;
    case 2:
        if (world->modules[n].liveness >= 0) {
            remove_module(world, n, PYWATT_EVENT_UNREGISTERED);
        }
        break;
    case 3: pass_time(world, world->now_ns + fuzz_byte(input) * MS + code / 8); break;
    case 4: pass_time(world, world->now_ns + fuzz_two_bytes(input) % 4096 * MS); break;
    case 5: world->now_ns += fuzz_two_bytes(input) % 8192 * MS + code / 8; break; /* a stall */
    case 6:
        if (code >= 128) {
            disconnect(world, 1 + n % CONNECTIONS);
        } else {
            step(world);
        }
        break;
    default:
        if (code >= 128) {
            world->workers = n % 3;
        } else {
            pass_done(world);
        }
        break;
    }
    see_losses(world);
    see_lateness(world);
}

static void begin(struct world *world)
{
    *world = (struct world){.clock = {.now_ns = now},
                            .now_ns = 1000 * MS,
                            .stutter_left_ns = STUTTER_NS,
                            .stutter_at_ns = 1000 * MS};
    bool ready = pw_events_init(&world->events, NULL, NULL) == PYWATT_OK;
    ready =
        ready && pw_lease_init(&world->lease, &world->clock, &world->table, RETAIN_MS) == PYWATT_OK;
    ready = ready && pw_table_init(&world->table, &world->lease, &world->events) == PYWATT_OK;
    ready = ready && pw_token_generate(&world->token) == PYWATT_OK;
    FUZZ_CHECK(ready, "no memory");
    world->lease.hooks =
        (struct pw_lease_hooks){.begin_pass = begin_pass, .forget = forget, .user = world};
    for (unsigned i = 0; i <= CONNECTIONS; i++) {
        pw_binding_init(&world->bindings[i]);
    }
    for (unsigned n = 0; n < MODULES; n++) {
        world->modules[n].liveness = -1;
    }
    world->next_ns = world->now_ns;
    step(world);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world world;
    struct fuzz_input input = {data, data + size};
    begin(&world);
    while (fuzz_left(&input)) {
        operate(&world, &input);
    }
    for (unsigned i = 1; i <= CONNECTIONS; i++) {
        disconnect(&world, i);
    }
    pw_table_destroy(&world.table);
    pw_lease_destroy(&world.lease);
    pw_events_destroy(&world.events);
    return 0;
}
