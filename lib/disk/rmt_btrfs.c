#include "disk/rmt_btrfs.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <btrfsutil.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define TOP_ID 5

static void
s_destroy_iterator(struct btrfs_util_subvolume_iterator **iterator)
{
    if (*iterator)
        btrfs_util_destroy_subvolume_iterator(*iterator);
}

// errno is what the library leaves there.
static int
s_fail(rmt_error_t *error, enum btrfs_util_error code, const char *path)
{
    return rmt_fail(error, RMT_E_IO, "%s: %s: %s", path, btrfs_util_strerror(code),
                    strerror(errno));
}

static rmt_record_t *
s_new(const char *path, uint64_t id, uint64_t default_id)
{
    rmt_record_t *record = rmt_record_new();
    rmt_record_set(record, "class", "subvolume");
    rmt_record_set(record, "subvolume", path);
    rmt_record_set_u64(record, "subvolume-id", id);
    if (id == default_id)
        rmt_record_set(record, "default", "yes");
    return record;
}

static int
s_compare(const void *one, const void *two)
{
    const rmt_record_t *const *a = one;
    const rmt_record_t *const *b = two;
    return strcmp(rmt_record_text(*a, "subvolume", ""),
                  rmt_record_text(*b, "subvolume", ""));
}

static rmt_records_t *
s_sorted(const rmt_records_t *found)
{
    const size_t count = rmt_records_count(found);
    const rmt_record_t **order = calloc(count + 1, sizeof *order);
    assert(order);
    for (size_t i = 0; i < count; i++)
        order[i] = rmt_records_at(found, i);
    qsort(order, count, sizeof *order, s_compare);
    rmt_records_t *sorted = rmt_records_new();
    for (size_t i = 0; i < count; i++) {
        rmt_auto(rmt_record) copy = rmt_record_dup(order[i]);
        rmt_records_append(sorted, &copy);
    }
    free(order);
    return sorted;
}

rmt_records_t *
rmt_btrfs_list(const char *folder, rmt_error_t *error)
{
    static const uint8_t no_parent[16];
    assert(folder);
    uint64_t default_id = 0;
    __attribute__((cleanup(
        s_destroy_iterator))) struct btrfs_util_subvolume_iterator *iterator = NULL;
    enum btrfs_util_error rc = btrfs_util_get_default_subvolume(folder, &default_id);
    if (rc == BTRFS_UTIL_OK)
        rc = btrfs_util_create_subvolume_iterator(folder, TOP_ID, 0, &iterator);
    if (rc != BTRFS_UTIL_OK) {
        s_fail(error, rc, folder);
        return NULL;
    }
    rmt_auto(rmt_records) found = rmt_records_new();
    rmt_auto(rmt_record) top = s_new("", TOP_ID, default_id);
    rmt_records_append(found, &top);
    for (;;) {
        rmt_auto_str path = NULL;
        struct btrfs_util_subvolume_info info;
        rc = btrfs_util_subvolume_iterator_next_info(iterator, &path, &info);
        if (rc == BTRFS_UTIL_ERROR_STOP_ITERATION)
            return s_sorted(found);
        if (rc != BTRFS_UTIL_OK) {
            s_fail(error, rc, folder);
            return NULL;
        }
        rmt_auto(rmt_record) record = s_new(path, info.id, default_id);
        if (info.flags & 1) // BTRFS_ROOT_SUBVOL_RDONLY of the format
            rmt_record_set(record, "read-only", "yes");
        if (memcmp(info.parent_uuid, no_parent, sizeof no_parent) != 0)
            rmt_record_set(record, "snapshot", "yes");
        rmt_records_append(found, &record);
    }
}

int
rmt_btrfs_make(const char *folder, const char *path, bool is_default, rmt_error_t *error)
{
    assert(folder);
    assert(path && *path);
    rmt_auto_str full = rmt_text("%s/%s", folder, path);
    rmt_auto_str above = rmt_text("%s", full);
    *strrchr(above, '/') = '\0';
    struct stat status;
    rmt_auto_fd dir = open(above, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir == -1 || fstat(dir, &status) == -1)
        return rmt_fail_errno(error, "open %s", above);
    if (rmdir(full) == -1)
        return rmt_fail_errno(
            error, "remove the empty folder %s, whose name the subvolume takes", full);
    enum btrfs_util_error rc = btrfs_util_create_subvolume(full, 0, NULL, NULL);
    if (rc == BTRFS_UTIL_OK && is_default)
        rc = btrfs_util_set_default_subvolume(full, 0);
    if (rc != BTRFS_UTIL_OK)
        return s_fail(error, rc, full);
    const struct timespec times[] = {status.st_atim, status.st_mtim};
    if (futimens(dir, times) == -1)
        return rmt_fail_errno(error, "set the times of %s", above);
    return 0;
}

int
rmt_btrfs_set_read_only(const char *folder, rmt_error_t *error)
{
    assert(folder);
    const enum btrfs_util_error rc = btrfs_util_set_subvolume_read_only(folder, true);
    return rc == BTRFS_UTIL_OK ? 0 : s_fail(error, rc, folder);
}
