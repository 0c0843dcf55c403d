/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * store_sqlite_private.h - the parts of the sqlite store:
 *
 *   store_sqlite.c          the ops: what callers hand in, list, watch
 *   store_sqlite_writer.c   the writer thread: changes into transactions, and back if one fails
 *   store_sqlite_change.c   one change within a transaction, and back
 *   store_sqlite_index.c    which id has which row and generation, in memory
 *   store_sqlite_db.c       a connection with its statements, and what errors of it mean
 *   store_sqlite_row.c      a record as a row
 *   store_sqlite_schema.c   the tables, and their versions
 *   store_sqlite_lock.c     the lock, and what was answered last
 *   store_sqlite_file.c     the files: a new database, the end of a recovery
 *   store_sqlite_recover.c  what can be read of a damaged database
 *   store_sqlite_pages.c    the same without its tree, page by page
 *
 * Files, beside PATH itself and SQLite's own PATH-wal and PATH-shm: PATH-lock, held locked as long as
 * the store is open, with the last change that was answered; PATH-new, which becomes PATH;
 * PATH-recovered, a recovery that is complete but for becoming PATH; PATH.damaged-N, what was set
 * aside.
 */
#ifndef PW_ORCHESTRATOR_STORE_SQLITE_PRIVATE_H
#define PW_ORCHESTRATOR_STORE_SQLITE_PRIVATE_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/sync.h"
#include "orchestrator/store_history.h"
#include "orchestrator/store_sqlite.h"

#include <sqlite3.h>
#include <sys/types.h>

/* ---- A place ---- */

#define PW_SQLITE_SHOWN_SIZE 96

struct pw_sqlite_place {
    char *path;                       /* has a '/' in it; of the file that links lead to */
    char shown[PW_SQLITE_SHOWN_SIZE]; /* for texts: the end of a long path */
};

/* PYWATT_OK, PYWATT_INVALID_ARGUMENT, PYWATT_NO_MEMORY. */
enum pywatt_status pw_sqlite_place_init(struct pw_sqlite_place *place, const char *path,
                                        struct pywatt_error *error);
void pw_sqlite_place_destroy(struct pw_sqlite_place *place);

/* The path with something behind it, to be freed; NULL when memory is out. */
char *pw_sqlite_path_with(const struct pw_sqlite_place *place, const char *suffix);

/* ---- A connection ---- */

#define PW_SQLITE_PAGE 4096

/* SQLite takes no longer row. */
#define PW_SQLITE_TEXT_MAX ((size_t)900 << 20)

enum pw_sqlite_statement {
    PW_SQL_BEGIN,
    PW_SQL_COMMIT,
    PW_SQL_ROLLBACK,
    PW_SQL_SAVEPOINT,
    PW_SQL_ROLLBACK_TO,
    PW_SQL_RELEASE,
    PW_SQL_INSERT,
    PW_SQL_UPDATE,
    PW_SQL_UPDATE_REST, /* the name stays, and so does the index of names */
    PW_SQL_DELETE,
    PW_SQL_GET_STATE,
    PW_SQL_DATA_VERSION,
    PW_SQL_PAGE_COUNT,
    PW_SQL_SET_STATE,
    PW_SQL_READ_ALL,
    PW_SQL_READ_NAMES,
    PW_SQL_READ_ONE,
    PW_SQL_COUNT
};

struct pw_sqlite_db {
    sqlite3 *handle;
    sqlite3_stmt *statements[PW_SQL_COUNT];
};

/* What the table `state` says. */
struct pw_sqlite_state {
    uint64_t revision;
    uint64_t modules;
    uint64_t digest; /* the checksums of all rows, exclusive or */
};

/*
 * Opens an existing file; it has no statements yet. `db` is to be closed also on failure. SQLite's
 * result codes, extended, here and below: SQLITE_OK, or what went wrong.
 */
int pw_sqlite_db_open(struct pw_sqlite_db *db, const char *path);
int pw_sqlite_db_prepare(struct pw_sqlite_db *db);
void pw_sqlite_db_close(struct pw_sqlite_db *db);

/*
 * Checks that it is one of ours, fits together and can be written, brings it up to date, and prepares
 * its statements. What is damaged is not brought up to date. Words and statuses of pw_sqlite_refuse.
 */
enum pywatt_status pw_sqlite_db_check(struct pw_sqlite_db *db, const struct pw_sqlite_place *place,
                                      struct pywatt_error *error);

/* Closing will not move the log into the database, and not remove it. */
void pw_sqlite_db_leave_log(struct pw_sqlite_db *db);

int pw_sqlite_db_run(struct pw_sqlite_db *db, const char *sql);

/* The text, cut if need be, or number that a statement such as "PRAGMA user_version" gives. */
int pw_sqlite_db_text(struct pw_sqlite_db *db, const char *sql, char *out, size_t size);
int pw_sqlite_db_number(struct pw_sqlite_db *db, const char *sql, int64_t *out);

/* Steps a prepared statement that gives no rows, and resets it. */
int pw_sqlite_db_step(struct pw_sqlite_db *db, enum pw_sqlite_statement which);

/* The number that a prepared statement gives. */
int pw_sqlite_db_ask(struct pw_sqlite_db *db, enum pw_sqlite_statement which, int64_t *out);

/* The file takes so many pages from the disk now; SQLITE_FULL. */
int pw_sqlite_db_make_room(struct pw_sqlite_db *db, int64_t pages);
int pw_sqlite_db_get_state(struct pw_sqlite_db *db, struct pw_sqlite_state *out);
int pw_sqlite_db_set_state(struct pw_sqlite_db *db, const struct pw_sqlite_state *state);

/* What a result means for a change that was handed in. */
enum pywatt_status pw_sqlite_status(const struct pw_sqlite_db *db, int result);

/* What it means for whoever opens, with words that name the file and the way out. */
enum pywatt_status pw_sqlite_refuse(const struct pw_sqlite_place *place,
                                    const struct pw_sqlite_db *db, int result,
                                    struct pywatt_error *error);
enum pywatt_status pw_sqlite_refuse_damaged(const struct pw_sqlite_place *place, const char *what,
                                            struct pywatt_error *error);

/* ---- A row ---- */

struct pw_sqlite_row {
    int64_t number;
    char id[PYWATT_UUID_TEXT_SIZE];
    char token_hash[2 * PW_TOKEN_HASH_SIZE];
    uint64_t generation;
    uint64_t lease_ms;
    struct pw_str name;
    struct pw_str info;         /* JSON */
    struct pw_str capabilities; /* JSON; no data: NULL */
    uint64_t sum;
};

/* Texts of the row point into the record, and into `text`. PYWATT_OK, PYWATT_NO_MEMORY. */
enum pywatt_status pw_sqlite_row_from_record(struct pw_sqlite_row *row, struct pw_buffer *text,
                                             const struct pw_store_record *record);

/* Binds it to PW_SQL_INSERT, PW_SQL_UPDATE or PW_SQL_UPDATE_REST; borrowed until the statement was stepped. */
int pw_sqlite_row_bind(const struct pw_sqlite_row *row, sqlite3_stmt *statement);

/*
 * The row that PW_SQL_READ_ALL or PW_SQL_READ_ONE stands on; borrowed until its next step. False if
 * it is not as it was written.
 */
bool pw_sqlite_row_read(struct pw_sqlite_row *row, sqlite3_stmt *statement);

/* Whether it is as it was written. */
bool pw_sqlite_row_is_sound(const struct pw_sqlite_row *row);

/*
 * Makes a record of a row, whose objects the caller lets go of. PYWATT_OK, PYWATT_NO_MEMORY, or what
 * is wrong with a row that should not have passed pw_sqlite_row_read.
 */
enum pywatt_status pw_sqlite_row_to_record(const struct pw_sqlite_row *row, struct pw_arena *arena,
                                           struct pw_store_record *record,
                                           struct pywatt_error *error);

/* ---- Pages ---- */

/* Shown what looks like a row of `modules`, borrowed for the call. Not SQLITE_OK ends the walk. */
typedef int (*pw_sqlite_row_found)(void *user, struct pw_sqlite_row *row, bool sound);

/*
 * Shows those of all pages that are not known to be free; one that was written anew may stand there
 * more than once. No connection of this process may have the file open. SQLITE_NOMEM,
 * SQLITE_CANTOPEN, or what `found` said.
 */
int pw_sqlite_pages_walk(const struct pw_sqlite_place *place, pw_sqlite_row_found found,
                         void *user);

/* ---- The schema ---- */

/* The step of a migration: from version i, its place in a list, to i + 1. */
struct pw_sqlite_schema {
    const char *const *steps;
    int64_t version; /* how many there are */
};
extern const struct pw_sqlite_schema pw_sqlite_schema;

/* Makes the tables of a new, empty database. */
int pw_sqlite_schema_create(struct pw_sqlite_db *db, const struct pw_sqlite_schema *schema);

/*
 * Checks whose database it is, and brings one of an older version up to this one, in one transaction.
 * PYWATT_OK, PYWATT_NO_MEMORY; PYWATT_IO with words: it is something else's, or newer, or damaged.
 */
enum pywatt_status pw_sqlite_schema_check(const struct pw_sqlite_place *place,
                                          struct pw_sqlite_db *db,
                                          const struct pw_sqlite_schema *schema,
                                          struct pywatt_error *error);

/* PYWATT_OK also for one that cannot be read; PYWATT_IO if it is something else's, or newer. */
enum pywatt_status pw_sqlite_schema_whose(const struct pw_sqlite_place *place,
                                          struct pw_sqlite_db *db, struct pywatt_error *error);

/* ---- The lock ---- */

/*
 * Locks PATH-lock; *fd is for pw_sqlite_unlock in the end. PYWATT_OK, PYWATT_NO_MEMORY;
 * PYWATT_IO with words: another store has it, or it cannot be made.
 */
enum pywatt_status pw_sqlite_lock(const struct pw_sqlite_place *place, int *fd,
                                  struct pywatt_error *error);

/* Also for children of fork, which have the descriptor too. */
void pw_sqlite_unlock(int fd);

/* The revision that was answered last; 0 if that is not known. */
uint64_t pw_sqlite_answered_read(int lock_fd);

/* When all up to this revision is on the disk, and before it is answered. Does not block for it. */
void pw_sqlite_answered_write(int lock_fd, uint64_t revision);

/* Before a new database begins. False with errno. */
bool pw_sqlite_answered_forget(int lock_fd);

/* ---- The files ---- */

/* With errno: "PATH`suffix` cannot be `what`: ...". PYWATT_IO or PYWATT_NO_MEMORY. */
enum pywatt_status pw_sqlite_refuse_file(const struct pw_sqlite_place *place, const char *suffix,
                                         const char *what, struct pywatt_error *error);

/* Ends a recovery that was broken off at its last step, if there was one. */
enum pywatt_status pw_sqlite_files_end_recovery(const struct pw_sqlite_place *place,
                                                struct pywatt_error *error);

/* The same, and makes the database if there is none. */
enum pywatt_status pw_sqlite_files_prepare(const struct pw_sqlite_place *place, int lock_fd,
                                           struct pywatt_error *error);

/* A new empty database at the path, in whose place nothing of an earlier attempt is left. */
enum pywatt_status pw_sqlite_files_create(const struct pw_sqlite_place *place, const char *path,
                                          struct pywatt_error *error);

/*
 * PATH-new is a complete recovery: it takes the place of PATH, which is set aside with its log as
 * PATH.damaged-N. Whole, whenever the power goes. *aside, to be freed, gets the name if one was given.
 */
enum pywatt_status pw_sqlite_files_recovered(const struct pw_sqlite_place *place, char **aside,
                                             struct pywatt_error *error);

/* That there is something that a recovery can begin with, or go on with. Changes nothing. */
enum pywatt_status pw_sqlite_files_check_damaged(const struct pw_sqlite_place *place,
                                                 struct pywatt_error *error);

/* ---- The index ---- */

struct pw_sqlite_entry {
    struct pw_map_node node;
    struct pywatt_uuid id;
    int64_t number; /* of its row */
    uint64_t generation;
    uint64_t sum;      /* the checksum of its row */
    uint64_t name;     /* a hash of it */
    uint64_t revision; /* of the change that made it, if the store made it since it was opened */
};

struct pw_sqlite_index {
    struct pw_map by_id;
    int64_t last_number; /* the highest that was given to a row */
    uint64_t digest;     /* see struct pw_sqlite_state */
};

/* PYWATT_OK or PYWATT_NO_MEMORY. */
enum pywatt_status pw_sqlite_index_init(struct pw_sqlite_index *index);
void pw_sqlite_index_destroy(struct pw_sqlite_index *index);

/*
 * Makes the index anew from all rows, each of which is checked, and all with the state and with the
 * database's own index of the names. Words as pw_sqlite_refuse.
 */
enum pywatt_status pw_sqlite_index_load(struct pw_sqlite_index *index,
                                        const struct pw_sqlite_place *place,
                                        struct pw_sqlite_db *db, struct pywatt_error *error);
struct pw_sqlite_entry *pw_sqlite_index_find(const struct pw_sqlite_index *index,
                                             const struct pywatt_uuid *id);
void pw_sqlite_index_insert(struct pw_sqlite_index *index, struct pw_sqlite_entry *entry);

/* The entry gets generation, checksum and name of another one. */
void pw_sqlite_index_update(struct pw_sqlite_index *index, struct pw_sqlite_entry *entry,
                            const struct pw_sqlite_entry *like);

/* The entry that a row has. */
struct pw_sqlite_entry pw_sqlite_entry_of(const struct pw_sqlite_row *row,
                                          const struct pywatt_uuid *id);
void pw_sqlite_index_remove(struct pw_sqlite_index *index, struct pw_sqlite_entry *entry);

/* ---- The store ---- */

/* Frames of the write-ahead log, of 4 KiB, from which on it is moved into the database. */
#define PW_SQLITE_LOG_FRAMES 1000

/* What changes that wait may take, about; more are told to come again later. */
#define PW_SQLITE_WAITING_MAX ((size_t)64 << 20)

/* What is to be logged when the lock is given back, as the sink is the application's. */
struct pw_sqlite_report {
    enum pywatt_log_level level;
    char text[PYWATT_ERROR_TEXT_MAX]; /* empty: nothing */
};

/* A change that was handed in. */
struct pw_sqlite_job {
    struct pw_list link;
    const struct pw_store_change *change;
    pw_store_done done;
    void *user;
    struct pw_buffer text; /* what `row` points to */
    struct pw_sqlite_row row;
    size_t bytes;                  /* what it takes while it waits */
    struct pw_sqlite_entry *fresh; /* of a put: an entry in case the id is new */

    /* The writer's: how it went, and what undoes it in the index. */
    enum pywatt_status status;
    struct pw_sqlite_entry *entry;    /* inserted, changed or removed */
    struct pw_sqlite_entry *replaced; /* removed */
    struct pw_sqlite_entry old;       /* what `entry` was; its generation is 0: it was inserted */
};

struct pw_sqlite_store {
    struct pw_store base;
    struct pw_sqlite_place place;
    int lock_fd;
    int shm_fd;
    pthread_t writer;

    struct pw_mutex queue_mutex;
    struct pw_cond wake;
    /* queue_mutex */
    struct pw_list queue;
    size_t queued;
    size_t waiting_bytes; /* of all that were handed in and not answered */
    size_t waiting_max;
    struct pw_list spare_jobs;
    size_t spare_count;
    bool closing;

    struct pw_mutex db_mutex;
    /* db_mutex */
    struct pw_sqlite_db db;
    struct pw_sqlite_index index;
    struct pw_store_history history;
    int log_frames;   /* in the write-ahead log after the last commit */
    int log_limit;    /* when it is moved into the database */
    bool lost_track;  /* nobody knows whether the last transaction was made */
    bool failing;     /* the last transaction failed */
    bool in_doubt;    /* changes that were refused may stand in the log */
    int64_t version;  /* changes when another connection has changed something */
    int64_t has_room; /* for so many pages, in the database */
    dev_t device;     /* the file that was opened */
    ino_t inode;
    struct pw_sqlite_report report;
};

/*
 * PATH-shm is mapped by SQLite, so a page of it that the disk has no room for is a signal, and no error.
 * Before it is opened: that there is room; PYWATT_IO with words if there is not.
 */
enum pywatt_status pw_sqlite_files_check_room(const struct pw_sqlite_place *place,
                                              struct pywatt_error *error);

/*
 * When it is open: all of it takes its room. *fd, -1 if there is none, is to be closed after the
 * connection, whose locks on the file would be lost with it.
 */
enum pywatt_status pw_sqlite_files_fill_shm(const struct pw_sqlite_place *place, int *fd,
                                            struct pywatt_error *error);

/* That PATH is the file that was opened still; false with errno, which is 0 if it is another one. */
bool pw_sqlite_files_same(const struct pw_sqlite_store *store);

/* The writer thread, until the store is closed and nothing is in the queue. */
void *pw_sqlite_writer_main(void *store);

/* Makes one change. SQLITE_OK also if it is refused; else the whole transaction fails. db_mutex. */
int pw_sqlite_make_locked(struct pw_sqlite_store *store, struct pw_sqlite_job *job);

/* After a transaction that failed, from the last change to the first: the index is as it was. */
void pw_sqlite_undo_locked(struct pw_sqlite_store *store, struct pw_sqlite_job *job);

/* After one that was made: tells the watcher, and lets go of what has left the index. */
void pw_sqlite_settle_locked(struct pw_sqlite_store *store, struct pw_sqlite_job *job);

/* Jobs that are done, or came to nothing: some are kept for the next ones. Locks the queue. */
void pw_sqlite_jobs_done(struct pw_sqlite_store *store, struct pw_list *jobs);
void pw_sqlite_job_free(struct pw_sqlite_job *job);

/* As the op of struct pw_store_ops. */
enum pywatt_status pw_sqlite_recover(const char *path, struct pw_store_salvage *out,
                                     struct pywatt_error *error);

#endif
