// What the volumes of an image need and what they get.
#include "base/rmt_auto.h"
#include "disk/rmt_array.h"
#include "disk/rmt_fs.h"
#include "base/rmt_io.h"
#include "match/rmt_match_run.h"

#include <inttypes.h>
#include <string.h>

// The copy of a GPT at a disk's end: the entries, and a sector.
#define ENTRIES_BYTES ((uint64_t) 128 * 128)
#define MIB ((uint64_t) 1024 * 1024)
// Less than this at the end of a disk is not worth a word.
#define UNUSED_MIN (16 * MIB)

// Bytes that a partition gets on a disk of so many: its own, or what is left for the
// growing one of a disk whose layout may grow.
static uint64_t
s_given_partition(const rmt_layout_t *layout, const rmt_layout_partition_t *partition,
                  uint64_t bytes)
{
    const rmt_layout_disk_t *disk = &layout->disks[partition->disk];
    if (!disk->grow || partition != rmt_layout_growing(layout, partition->disk))
        return partition->size * disk->sector;
    const uint64_t behind = rmt_layout_end(rmt_layout_last(layout, partition->disk)) -
                            rmt_layout_end(partition);
    const uint64_t start = (partition->start + behind) * disk->sector;
    const uint64_t tail = ENTRIES_BYTES + disk->sector;
    const uint64_t sectors =
        bytes > start + tail ? (bytes - start - tail) / disk->sector : 0;
    return rmt_layout_grown(layout, partition, sectors) * disk->sector;
}

// Members on other disks than the volume's own have the size that they had: an array has
// no more than its smallest member lets it have, and its disks are judged one by one.
static uint64_t
s_given_array(const rmt_layout_t *layout, const rmt_layout_volume_t *volume,
              uint64_t bytes)
{
    rmt_array_place_t places[RMT_LAYOUT_MEMBERS_MAX];
    for (size_t i = 0; i < layout->member_count; i++) {
        const rmt_layout_member_t *member = &layout->members[i];
        const rmt_layout_disk_t *disk = &layout->disks[member->disk];
        const rmt_layout_partition_t *partition =
            rmt_layout_find_partition(layout, member->disk, member->partition);
        places[i] =
            (rmt_array_place_t){.fd = -1,
                                .bytes = member->disk == volume->disk
                                             ? s_given_partition(layout, partition, bytes)
                                             : partition->size * disk->sector};
    }
    const rmt_layout_array_t *array =
        rmt_layout_find_array(layout, rmt_layout_array_below(layout, volume));
    return rmt_array_bytes(layout, (size_t) (array - layout->arrays), places);
}

static uint64_t
s_given(const rmt_layout_t *layout, const rmt_layout_volume_t *volume, uint64_t bytes)
{
    const rmt_layout_partition_t *partition = rmt_layout_partition_of(layout, volume);
    const rmt_layout_logical_t *logical = rmt_layout_logical_of(layout, volume);
    uint64_t first = 0;
    if (volume->array)
        return s_given_array(layout, volume, bytes);
    if (logical)
        partition = rmt_layout_find_partition(layout, logical->disk, logical->partition);
    uint64_t given = logical && *logical->array ? s_given_array(layout, volume, bytes)
                     : partition ? s_given_partition(layout, partition, bytes)
                                 : bytes;
    if (partition) {
        const uint64_t header =
            rmt_layout_crypt_bytes(layout, partition->disk, partition->number);
        given = given > header ? given - header : 0;
    }
    return logical
               ? rmt_layout_crypt_rest(layout, volume,
                                       rmt_layout_place(layout, logical, given, &first) *
                                           layout->groups[logical->group].extent_size)
               : given;
}

// What a file system holds: subvolumes are volumes of one. Compressed data and blocks
// that files share are written out on a copy, so it may be more than was there.
typedef struct {
    uint64_t bytes, files;
    uint64_t first_boot; // Of the bytes, those that the target adds
    bool is_first;       // The volume is the first of them that is mounted
} tree_t;

static tree_t
s_tree(const rmt_layout_t *layout, const rmt_layout_volume_t *volume)
{
    tree_t tree = {.is_first = true};
    for (size_t i = 0; i < layout->volume_count; i++) {
        const rmt_layout_volume_t *one = &layout->volumes[i];
        const bool is_sibling =
            one->subvolume && volume->subvolume && rmt_layout_is_beside(one, volume);
        if (one != volume && !is_sibling)
            continue;
        tree.bytes += one->bytes_tree + one->bytes_reserved;
        tree.first_boot += rmt_layout_first_boot(layout, one);
        tree.files += one->files;
        tree.is_first = tree.is_first && (one >= volume || !one->mount);
    }
    tree.bytes += tree.first_boot;
    return tree;
}

// As the image tells for what may shrink. A tree that is as large as the estimate fits
// where it was, unless it is more than the file system itself.
static uint64_t
s_needed(const rmt_layout_t *layout, const rmt_layout_volume_t *volume,
         const tree_t *tree)
{
    const rmt_layout_partition_t *partition = rmt_layout_partition_of(layout, volume);
    const rmt_layout_logical_t *logical = rmt_layout_logical_of(layout, volume);
    if (partition && partition->min_size)
        return rmt_layout_crypt_rest(
            layout, volume, partition->min_size * layout->disks[volume->disk].sector);
    if (logical && logical->min_extents)
        return rmt_layout_crypt_rest(layout, volume,
                                     logical->min_extents *
                                         layout->groups[logical->group].extent_size);
    const uint64_t own = rmt_record_u64(volume->format, "bytes", 0);
    const uint64_t needed = rmt_fs_min_bytes(volume->format, tree->bytes, tree->files);
    return own && needed > own && tree->bytes <= own ? own : needed;
}

// Caller owns the result.
static char *
s_reason(const tree_t *tree, uint64_t own, uint64_t needed, uint64_t given)
{
    rmt_auto_str amount =
        rmt_match_bytes(given >= needed ? given - needed : needed - given);
    if (given >= needed)
        return rmt_text("%s to spare", amount);
    if (tree->bytes - tree->first_boot > own)
        return rmt_text("%s are lacking: compressed data and blocks that files share are "
                        "written out on a copy",
                        amount);
    if (!tree->first_boot)
        return rmt_text("%s are lacking", amount);
    return rmt_text("%s are lacking; %" PRIu64 " MiB of what is needed are for the files "
                    "of the first boot",
                    amount, tree->first_boot / MIB);
}

// The density of inodes stays as the image has it; kinds without a table of them make
// them as they are needed.
static void
s_judge(rmt_match_run_t *run, const rmt_layout_volume_t *volume, const tree_t *tree,
        uint64_t given)
{
    const uint64_t own = rmt_record_u64(volume->format, "bytes", given);
    const uint64_t inodes = rmt_record_u64(volume->format, "inodes", 0);
    const uint64_t needed = s_needed(run->image->layout, volume, tree);
    const uint64_t room =
        own ? (uint64_t) ((double) inodes * ((double) given / (double) own)) : inodes;
    const bool enough = given >= needed;
    rmt_auto_str wanted_bytes = rmt_match_bytes(needed);
    rmt_auto_str had_bytes = rmt_match_bytes(given);
    rmt_auto_str wanted = rmt_text("%s, %" PRIu64 " inodes", wanted_bytes, tree->files);
    rmt_auto_str had = inodes ? rmt_text("%s, %" PRIu64 " inodes", had_bytes, room)
                              : rmt_text("%s", had_bytes);
    rmt_auto_str reason = s_reason(tree, own, needed, given);
    rmt_record_t *verdict =
        rmt_match_verdict(run, "disk-size", wanted, had, enough, reason);
    rmt_record_set(verdict, "role", run->image->layout->disks[volume->disk].role);
    rmt_record_set(verdict, "fact", volume->mount);
}

// Space at the end that no partition gets, beside what the source's disk had of it.
static void
s_tell_unused(rmt_match_run_t *run, const char *role, uint64_t bytes)
{
    const rmt_layout_t *layout = run->image->layout;
    const rmt_layout_disk_t *disk = layout ? rmt_layout_find_disk(layout, role) : NULL;
    const rmt_layout_partition_t *last =
        disk ? rmt_layout_last(layout, (size_t) (disk - layout->disks)) : NULL;
    if (!last)
        return;
    const uint64_t dos_max = (uint64_t) UINT32_MAX * disk->sector;
    const bool is_dos_end = disk->table == RMT_TABLE_DOS && bytes > dos_max;
    const uint64_t own = rmt_layout_end(last) * disk->sector;
    const uint64_t before = disk->bytes > own ? disk->bytes - own : 0;
    const uint64_t used = disk->grow ? (is_dos_end ? dos_max : bytes) : own + before;
    if (bytes < used + UNUSED_MIN)
        return;
    rmt_auto_str unused = rmt_match_bytes(bytes - used);
    rmt_auto_str why =
        disk->grow ? rmt_text("a DOS table ends there")
                   : rmt_text("partition %" PRIu64 ", the last one, does not grow",
                              last->number);
    rmt_auto_str wanted = rmt_match_bytes(used);
    rmt_auto_str had = rmt_match_bytes(bytes);
    rmt_auto_str text =
        rmt_text("%s at the end of the disk stay unused: %s", unused, why);
    rmt_record_t *verdict = rmt_match_verdict(run, "disk-size", wanted, had, true, text);
    rmt_record_set(verdict, "role", role);
    rmt_record_set(verdict, "warning", "yes");
}

void
rmt_match_volumes(rmt_match_run_t *run, const char *role, uint64_t bytes)
{
    const rmt_layout_t *layout = run->image->layout;
    s_tell_unused(run, role, bytes);
    for (size_t i = 0; layout && i < layout->volume_count; i++) {
        const rmt_layout_volume_t *volume = &layout->volumes[i];
        if (strcmp(layout->disks[volume->disk].role, role) != 0 || !volume->mount ||
            !rmt_fs_is_mounted(volume->fs))
            continue;
        const uint64_t given = s_given(layout, volume, bytes);
        const uint64_t own = rmt_record_u64(volume->format, "bytes", 0);
        const tree_t tree = s_tree(layout, volume);
        if (tree.is_first &&
            (run->image->explain || given < own || (own && tree.bytes > own)))
            s_judge(run, volume, &tree, given);
    }
}
