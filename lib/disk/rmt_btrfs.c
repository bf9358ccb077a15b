#include "disk/rmt_btrfs.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"

#include <assert.h>
#include <btrfsutil.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

static int
s_open_top(const char *folder, rmt_error_t *error)
{
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd == -1 ? rmt_fail_errno(error, "open %s", folder) : fd;
}

rmt_records_t *
rmt_btrfs_list(const char *folder, rmt_error_t *error)
{
    static const uint8_t no_parent[16];
    assert(folder);
    uint64_t default_id = 0;
    rmt_auto_fd top_fd = s_open_top(folder, error);
    if (top_fd == -1)
        return NULL;
    __attribute__((cleanup(
        s_destroy_iterator))) struct btrfs_util_subvolume_iterator *iterator = NULL;
    enum btrfs_util_error rc = btrfs_util_get_default_subvolume_fd(top_fd, &default_id);
    if (rc == BTRFS_UTIL_OK)
        rc = btrfs_util_create_subvolume_iterator_fd(top_fd, TOP_ID, 0, &iterator);
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

// The folder of the new subvolume is opened beneath the tree, and all is done there: the
// image may have a symlink in place of every folder of the path.
int
rmt_btrfs_make(const char *folder, const char *path, bool is_default, rmt_error_t *error)
{
    assert(folder);
    assert(path && *path);
    const char *name;
    struct stat status;
    rmt_auto_fd top = s_open_top(folder, error);
    if (top == -1)
        return -1;
    rmt_auto_fd parent = rmt_rooted_open_parent(top, path, &name, error);
    if (parent == -1)
        return -1;
    if (fstat(parent, &status) == -1 || unlinkat(parent, name, AT_REMOVEDIR) == -1)
        return rmt_fail_errno(
            error, "remove the empty folder %s/%s, whose name the subvolume takes",
            folder, path);
    enum btrfs_util_error rc =
        btrfs_util_create_subvolume_fd(parent, name, 0, NULL, NULL);
    if (rc == BTRFS_UTIL_OK && is_default) {
        rmt_auto_fd own = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        rc = btrfs_util_set_default_subvolume_fd(own, 0);
    }
    if (rc != BTRFS_UTIL_OK)
        return s_fail(error, rc, path);
    const struct timespec times[] = {status.st_atim, status.st_mtim};
    if (futimens(parent, times) == -1)
        return rmt_fail_errno(error, "set the times of the folder of %s/%s", folder,
                              path);
    return 0;
}

int
rmt_btrfs_set_read_only(const char *folder, rmt_error_t *error)
{
    assert(folder);
    rmt_auto_fd top = s_open_top(folder, error);
    if (top == -1)
        return -1;
    const enum btrfs_util_error rc = btrfs_util_set_subvolume_read_only_fd(top, true);
    return rc == BTRFS_UTIL_OK ? 0 : s_fail(error, rc, folder);
}
