/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* See faulty_vfs.h. The counters are atomic: the writer thread of a store counts, too. */
#include "faulty_vfs.h"

#include "pw_test.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <string.h>

struct faulty_file {
    sqlite3_file base;
    sqlite3_file *real; /* behind it */
    const char *path;
};

static sqlite3_vfs *usual;
static sqlite3_vfs faulty;
static sqlite3_io_methods methods;
static atomic_uint left;    /* operations until the first failure; 0: nothing fails */
static atomic_uint to_fail; /* UINT32_MAX: all from then on */
static atomic_uint failed;
static atomic_int with;
static atomic_bool syncs_alone;
static atomic_bool pretend;
static _Atomic int64_t unreadable = INT64_MAX; /* INT64_MAX: nothing is */
static void (*listener)(const struct vfs_event *event);

static void arm(unsigned n, unsigned count, int result)
{
    atomic_store(&failed, 0);
    atomic_store(&with, result);
    atomic_store(&to_fail, count == 0 ? UINT32_MAX : count);
    atomic_store(&left, n);
}

void faulty_vfs_fail(unsigned n, unsigned count, int result)
{
    atomic_store(&syncs_alone, false);
    arm(n, count, result);
}

void faulty_vfs_fail_syncs(unsigned count)
{
    atomic_store(&syncs_alone, true);
    arm(1, count, SQLITE_IOERR_FSYNC);
}

void faulty_vfs_fail_reads(int64_t offset)
{
    atomic_store(&failed, 0);
    atomic_store(&unreadable, offset);
}

void faulty_vfs_pretend_syncs(void)
{
    atomic_store(&pretend, true);
}

bool faulty_vfs_heal(void)
{
    atomic_store(&left, 0);
    atomic_store(&unreadable, INT64_MAX);
    return atomic_load(&failed) > 0;
}

static bool fails(bool sync)
{
    const unsigned now = atomic_load(&left);
    if (now == 0 || (atomic_load(&syncs_alone) && !sync)) {
        return false;
    }
    if (now > 1) {
        atomic_store(&left, now - 1);
        return false;
    }
    const unsigned times = atomic_fetch_add(&failed, 1) + 1;
    if (times >= atomic_load(&to_fail)) {
        atomic_store(&left, 0);
    }
    return true;
}

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct faulty_file *)file)->real;
}

void faulty_vfs_listen(void (*told)(const struct vfs_event *event))
{
    listener = told;
}

/* Passes the result on. */
static int tell(int result, struct vfs_event event)
{
    if (result == SQLITE_OK && listener != NULL && event.path != NULL) {
        listener(&event);
    }
    return result;
}

static const char *path_of(sqlite3_file *file)
{
    return ((struct faulty_file *)file)->path;
}

/* ---- Operations that may fail ---- */

static int faulty_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 offset)
{
    if (fails(false)) {
        return atomic_load(&with);
    }
    return tell(real_of(file)->pMethods->xWrite(real_of(file), data, len, offset),
                (struct vfs_event){VFS_WRITE, path_of(file), data, (size_t)len, offset});
}

static int faulty_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    if (fails(false)) {
        return SQLITE_IOERR_TRUNCATE;
    }
    return tell(real_of(file)->pMethods->xTruncate(real_of(file), size),
                (struct vfs_event){VFS_TRUNCATE, path_of(file), NULL, 0, size});
}

static int faulty_sync(sqlite3_file *file, int flags)
{
    if (fails(true)) {
        return SQLITE_IOERR_FSYNC;
    }
    return tell(atomic_load(&pretend) ? SQLITE_OK
                                      : real_of(file)->pMethods->xSync(real_of(file), flags),
                (struct vfs_event){VFS_SYNC, path_of(file), NULL, 0, 0});
}

static int faulty_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out)
{
    return extend != 0 && fails(false)
               ? SQLITE_IOERR_SHMSIZE
               : real_of(file)->pMethods->xShmMap(real_of(file), page, size, extend, out);
}

/* PATH itself, which tests call so. */
static bool is_database(const char *path)
{
    const size_t len = path == NULL ? 0 : strlen(path);
    return len > 3 && strcmp(path + len - 3, ".db") == 0;
}

static int faulty_read(sqlite3_file *file, void *out, int len, sqlite3_int64 offset)
{
    const int64_t bad = atomic_load(&unreadable);
    if (bad < 0 || (is_database(path_of(file)) && offset <= bad && bad < offset + len)) {
        atomic_fetch_add(&failed, 1);
        return SQLITE_IOERR_READ;
    }
    return real_of(file)->pMethods->xRead(real_of(file), out, len, offset);
}

/* ---- Operations that are passed on ---- */

static int faulty_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int faulty_file_size(sqlite3_file *file, sqlite3_int64 *out)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), out);
}

static int faulty_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int faulty_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int faulty_check_reserved_lock(sqlite3_file *file, int *out)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), out);
}

static int faulty_file_control(sqlite3_file *file, int what, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), what, argument);
}

static int faulty_sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int faulty_characteristics(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int faulty_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}

static void faulty_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int faulty_shm_unmap(sqlite3_file *file, int remove)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

static int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    struct faulty_file *wrapper = (struct faulty_file *)file;
    (void)vfs;
    wrapper->path = name;
    wrapper->real = (sqlite3_file *)(void *)(wrapper + 1);
    memset(wrapper->real, 0, (size_t)usual->szOsFile);
    const int result = usual->xOpen(usual, name, wrapper->real, flags, out);
    file->pMethods = result == SQLITE_OK ? &methods : NULL;
    return result;
}

static int faulty_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
    (void)vfs;
    return tell(usual->xDelete(usual, name, sync_folder != 0 && !atomic_load(&pretend)),
                (struct vfs_event){VFS_DELETE, name, NULL, 0, 0});
}

void faulty_vfs_register(void)
{
    methods = (sqlite3_io_methods){
        .iVersion = 2,
        .xClose = faulty_close,
        .xRead = faulty_read,
        .xWrite = faulty_write,
        .xTruncate = faulty_truncate,
        .xSync = faulty_sync,
        .xFileSize = faulty_file_size,
        .xLock = faulty_lock,
        .xUnlock = faulty_unlock,
        .xCheckReservedLock = faulty_check_reserved_lock,
        .xFileControl = faulty_file_control,
        .xSectorSize = faulty_sector_size,
        .xDeviceCharacteristics = faulty_characteristics,
        .xShmMap = faulty_shm_map,
        .xShmLock = faulty_shm_lock,
        .xShmBarrier = faulty_shm_barrier,
        .xShmUnmap = faulty_shm_unmap,
    };
    usual = sqlite3_vfs_find(NULL);
    assert_non_null(usual);
    faulty = *usual;
    faulty.zName = "faulty";
    faulty.szOsFile = usual->szOsFile + (int)sizeof(struct faulty_file);
    faulty.xOpen = faulty_open;
    faulty.xDelete = faulty_delete;
    assert_int_equal(sqlite3_vfs_register(&faulty, 1), SQLITE_OK);
}
