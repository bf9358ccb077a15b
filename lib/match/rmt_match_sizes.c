// What the volumes of an image need and what they get.
#include "base/rmt_auto.h"
#include "disk/rmt_fs.h"
#include "base/rmt_io.h"
#include "match/rmt_match_run.h"

#include <inttypes.h>
#include <string.h>

// The copy of a GPT at a disk's end: the entries, and a sector.
#define ENTRIES_BYTES ((uint64_t) 128 * 128)

static const rmt_record_t *
s_partition(const rmt_records_t *layout, const rmt_record_t *volume)
{
    for (size_t i = 0; i < rmt_records_count(layout); i++) {
        const rmt_record_t *record = rmt_records_at(layout, i);
        if (strcmp(rmt_match_text(record, "class"), "partition") == 0 &&
            strcmp(rmt_match_text(record, "disk"), rmt_match_text(volume, "disk")) == 0 &&
            strcmp(rmt_match_text(record, "number"),
                   rmt_match_text(volume, "partition")) == 0)
            return record;
    }
    return NULL;
}

static bool
s_is_last(const rmt_records_t *layout, const rmt_record_t *partition)
{
    const uint64_t start = rmt_record_u64(partition, "start", 0);
    for (size_t i = 0; i < rmt_records_count(layout); i++) {
        const rmt_record_t *record = rmt_records_at(layout, i);
        if (strcmp(rmt_match_text(record, "class"), "partition") == 0 &&
            strcmp(rmt_match_text(record, "disk"), rmt_match_text(partition, "disk")) ==
                0 &&
            rmt_record_u64(record, "start", 0) > start)
            return false;
    }
    return true;
}

// Bytes that a volume gets on a disk of so many: its partition's, or what is left for
// the last one of a disk whose layout may grow.
static uint64_t
s_given(const rmt_records_t *layout, const rmt_record_t *volume, uint64_t bytes)
{
    const rmt_record_t *partition = s_partition(layout, volume);
    if (!partition)
        return bytes;
    const rmt_record_t *disk =
        rmt_records_find(layout, "role", rmt_match_text(volume, "disk"));
    const uint64_t sector = disk ? rmt_record_u64(disk, "logical-sector", 512) : 512;
    const uint64_t start = rmt_record_u64(partition, "start", 0) * sector;
    if (!disk || strcmp(rmt_match_text(disk, "grow"), "yes") != 0 ||
        !s_is_last(layout, partition))
        return rmt_record_u64(partition, "size", 0) * sector;
    const uint64_t tail = ENTRIES_BYTES + sector;
    return bytes > start + tail ? bytes - start - tail : 0;
}

// As the image tells for what may shrink. A tree that is as large as the estimate fits
// where it was.
static uint64_t
s_needed(const rmt_records_t *layout, const rmt_record_t *volume)
{
    const uint64_t own = rmt_record_u64(volume, "bytes", 0);
    const uint64_t tree = rmt_record_u64(volume, "bytes-tree", 0) +
                          rmt_record_u64(volume, "bytes-reserved", 0);
    const uint64_t needed =
        rmt_fs_min_bytes(volume, tree, rmt_record_u64(volume, "files", 0));
    const rmt_record_t *partition = s_partition(layout, volume);
    const rmt_record_t *disk =
        rmt_records_find(layout, "role", rmt_match_text(volume, "disk"));
    if (partition && rmt_record_has(partition, "min-size"))
        return rmt_record_u64(partition, "min-size", 0) *
               (disk ? rmt_record_u64(disk, "logical-sector", 512) : 512);
    return own && needed > own ? own : needed;
}

// The density of inodes stays as the image has it; kinds without a table of them make
// them as they are needed.
static void
s_judge(rmt_match_run_t *run, const rmt_record_t *volume, uint64_t given)
{
    const uint64_t files = rmt_record_u64(volume, "files", 0);
    const uint64_t own = rmt_record_u64(volume, "bytes", given);
    const uint64_t inodes = rmt_record_u64(volume, "inodes", 0);
    const uint64_t needed = s_needed(run->image->layout, volume);
    const uint64_t room =
        own ? (uint64_t) ((double) inodes * ((double) given / (double) own)) : inodes;
    const bool enough = given >= needed;
    rmt_auto_str wanted_bytes = rmt_match_bytes(needed);
    rmt_auto_str had_bytes = rmt_match_bytes(given);
    rmt_auto_str wanted = rmt_text("%s, %" PRIu64 " inodes", wanted_bytes, files);
    rmt_auto_str had = inodes ? rmt_text("%s, %" PRIu64 " inodes", had_bytes, room)
                              : rmt_text("%s", had_bytes);
    rmt_auto_str spare = rmt_match_bytes(enough ? given - needed : needed - given);
    rmt_auto_str reason = rmt_text(enough ? "%s to spare" : "%s are lacking", spare);
    rmt_record_t *verdict =
        rmt_match_verdict(run, "disk-size", wanted, had, enough, reason);
    rmt_record_set(verdict, "role", rmt_match_text(volume, "disk"));
    rmt_record_set(verdict, "fact", rmt_match_text(volume, "mount"));
}

void
rmt_match_volumes(rmt_match_run_t *run, const char *role, uint64_t bytes)
{
    const rmt_records_t *layout = run->image->layout;
    for (size_t i = 0; layout && i < rmt_records_count(layout); i++) {
        const rmt_record_t *volume = rmt_records_at(layout, i);
        if (strcmp(rmt_match_text(volume, "class"), "volume") != 0 ||
            strcmp(rmt_match_text(volume, "disk"), role) != 0 ||
            !rmt_record_has(volume, "mount") || !rmt_fs_is_mounted(volume))
            continue;
        const uint64_t given = s_given(layout, volume, bytes);
        if (run->image->explain || given < rmt_record_u64(volume, "bytes", 0))
            s_judge(run, volume, given);
    }
}
