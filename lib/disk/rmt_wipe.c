#include "disk/rmt_wipe.h"
#include "base/rmt_io.h"
#include "disk/rmt_gpt.h"

#include <blkid.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WIPE_MAX 1024
#define SECTOR 512 // In which blkid counts, whatever the device has
#define BTRFS_MAGIC "_BHRfS_M"
#define BTRFS_MAGIC_AT 64

static void
s_free_probe(blkid_probe *probe)
{
    blkid_free_probe(*probe);
}

#define s_auto_probe __attribute__((cleanup(s_free_probe))) blkid_probe

static blkid_probe
s_new_probe(int fd, const char *path, const rmt_range_t *range, rmt_error_t *error)
{
    blkid_probe probe = blkid_new_probe();
    if (!probe)
        abort();
    errno = EIO; // Where blkid gives none
    if (blkid_probe_set_device(probe, fd, (blkid_loff_t) range->offset,
                               (blkid_loff_t) range->size) == 0) {
        blkid_probe_enable_superblocks(probe, 1);
        blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_MAGIC | BLKID_SUBLKS_TYPE |
                                                     BLKID_SUBLKS_BADCSUM);
        blkid_probe_enable_partitions(probe, 1);
        blkid_probe_set_partitions_flags(probe,
                                         BLKID_PARTS_MAGIC | BLKID_PARTS_FORCE_GPT);
        return probe;
    }
    rmt_fail_errno(error, "probe %s", path);
    blkid_free_probe(probe);
    return NULL;
}

// btrfs keeps copies of its superblock far inside, by which tools bring it back to life.
static int
s_wipe_mirrors(int fd, const rmt_range_t *range, rmt_error_t *error)
{
    static const uint64_t mirrors[] = {(uint64_t) 64 << 20, (uint64_t) 256 << 30};
    static const char zeros[sizeof BTRFS_MAGIC - 1];
    for (size_t i = 0; i < sizeof mirrors / sizeof *mirrors; i++) {
        char magic[sizeof BTRFS_MAGIC - 1];
        const off_t at = (off_t) (range->offset + mirrors[i] + BTRFS_MAGIC_AT);
        if (range->size < mirrors[i] + 4096)
            break;
        if (rmt_io_pread(fd, magic, sizeof magic, at, error) == -1)
            return -1;
        if (memcmp(magic, BTRFS_MAGIC, sizeof magic) == 0 &&
            rmt_io_pwrite(fd, zeros, sizeof zeros, at, error) == -1)
            return -1;
    }
    return 0;
}

// blkid gives -1, or an errno that is made negative.
static int
s_fail_probe(int rc, rmt_error_t *error, const char *what, const char *path)
{
    errno = rc == -1 ? EIO : -rc;
    return rmt_fail_errno(error, "%s %s", what, path);
}

// blkid would make memory for all entries of a hostile GPT.
static int
s_wipe_large_gpt(int fd, const rmt_range_t *range, rmt_error_t *error)
{
    static const char zeros[8];
    int64_t at;
    do {
        if (rmt_gpt_find_large(fd, range->offset, range->size, &at, error) == -1 ||
            (at != -1 && rmt_io_pwrite(fd, zeros, sizeof zeros, at, error) == -1))
            return -1;
    } while (at != -1);
    return 0;
}

int
rmt_wipe_range(int fd, const char *path, const rmt_range_t *range, rmt_error_t *error)
{
    if (s_wipe_large_gpt(fd, range, error) == -1)
        return rmt_wrap(error, "wipe %s", path);
    s_auto_probe probe = s_new_probe(fd, path, range, error);
    if (!probe)
        return -1;
    // A signature may hide another one, so this goes on until nothing is found.
    int rc = 0;
    for (int i = 0; i < WIPE_MAX && (rc = blkid_do_probe(probe)) == 0; i++)
        if (blkid_do_wipe(probe, 0) < 0)
            return rmt_fail(error, RMT_E_IO, "wipe %s", path);
    if (rc < 0)
        return s_fail_probe(rc, error, "wipe", path);
    const rmt_range_t whole = {range->offset, (uint64_t) blkid_probe_get_size(probe)};
    return s_wipe_mirrors(fd, &whole, error) == -1 ? rmt_wrap(error, "wipe %s", path) : 0;
}

int
rmt_wipe_check(int fd, const char *path, const rmt_range_t *range, rmt_error_t *error)
{
    s_auto_probe probe = s_new_probe(fd, path, range, error);
    if (!probe)
        return -1;
    const int rc = blkid_do_probe(probe);
    if (rc == 1)
        return 0;
    if (rc < 0)
        return s_fail_probe(rc, error, "look after the wipe at", path);
    const char *type = "a signature";
    if (blkid_probe_lookup_value(probe, "TYPE", &type, NULL) == -1)
        (void) blkid_probe_lookup_value(probe, "PTTYPE", &type, NULL);
    return rmt_fail(error, RMT_E_IO, "%s still holds %s at %llu after the wipe", path,
                    type, (unsigned long long) range->offset);
}

int
rmt_wipe_find_partitions(int fd, const char *path, rmt_range_t **ranges_out,
                         size_t *count_out, rmt_error_t *error)
{
    const rmt_range_t whole = {0, 0};
    int64_t large;
    *ranges_out = NULL;
    *count_out = 0;
    if (rmt_gpt_find_large(fd, 0, 0, &large, error) == -1)
        return rmt_wrap(error, "%s", path);
    if (large != -1)
        return 0;
    s_auto_probe probe = s_new_probe(fd, path, &whole, error);
    if (!probe)
        return -1;
    blkid_probe_enable_superblocks(probe, 0);
    const uint64_t bytes = (uint64_t) blkid_probe_get_size(probe);
    const int rc = blkid_do_fullprobe(probe);
    if (rc < 0)
        return s_fail_probe(rc, error, "find the partitions of", path);
    blkid_partlist list = rc == 0 ? blkid_probe_get_partitions(probe) : NULL;
    const int all = list ? blkid_partlist_numof_partitions(list) : 0;
    rmt_range_t *ranges = calloc((size_t) all + 1, sizeof *ranges);
    if (!ranges)
        abort();
    size_t count = 0;
    for (int i = 0; i < all; i++) {
        blkid_partition partition = blkid_partlist_get_partition(list, i);
        const uint64_t start = (uint64_t) blkid_partition_get_start(partition);
        const uint64_t size = (uint64_t) blkid_partition_get_size(partition);
        // An old table may be that of a larger disk.
        if (size == 0 || start >= bytes / SECTOR)
            continue;
        const uint64_t rest = bytes / SECTOR - start;
        ranges[count++] =
            (rmt_range_t){start * SECTOR, (size < rest ? size : rest) * SECTOR};
    }
    *ranges_out = ranges;
    *count_out = count;
    return 0;
}
