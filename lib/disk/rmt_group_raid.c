// What the legs of a RAID of LVM say about themselves: the block that the kernel's driver
// (dm-raid) keeps in front of each.
#include "disk/rmt_group.h"
#include "base/rmt_auto.h"
#include "base/rmt_bytes.h"
#include "base/rmt_io.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define HEAD ((size_t) 512)
#define MAGIC "DmRd"
#define IN_SYNC UINT64_MAX
#define FAILED_BITS 64
#define CLEARED ((size_t) 64 * 1024)
#define CLEARED_MAX ((uint64_t) 1024 * 1024)

typedef struct {
    bool is_there;
    uint32_t legs, place;
    uint64_t events, failed;
    uint64_t rebuilt; // Sectors; IN_SYNC: all
} head_t;

static int
s_read_head(const rmt_mapping_member_t *place, head_t *head_out, rmt_error_t *error)
{
    uint8_t data[HEAD];
    if (rmt_io_pread(place->fd, data, sizeof data, (off_t) place->offset, error) == -1)
        return -1;
    *head_out = (head_t){.is_there = memcmp(data, MAGIC, 4) == 0,
                         .legs = rmt_get32(data + 8),
                         .place = rmt_get32(data + 12),
                         .events = rmt_get64(data + 16),
                         .failed = rmt_get64(data + 24),
                         .rebuilt = rmt_get64(data + 32)};
    return 0;
}

static int
s_refuse(const rmt_layout_t *layout, const rmt_layout_logical_t *logical, size_t leg,
         const char *why, rmt_error_t *error)
{
    return rmt_fail(error, RMT_E_UNSUPPORTED,
                    "volume group %.100s: logical volume %.127s_rimage_%zu %s, so its "
                    "data are not those of %.127s; repair it with lvconvert --repair "
                    "%.100s/%.127s, wait until lvs -o sync_percent says 100.00, and stop "
                    "the machine",
                    layout->groups[logical->group].name, logical->name, leg, why,
                    logical->name, layout->groups[logical->group].name, logical->name);
}

// Legs that were never started say nothing: all of them, or one that is new.
static int
s_check_heads(const rmt_layout_t *layout, const rmt_layout_logical_t *logical,
              const head_t *heads, size_t count, rmt_error_t *error)
{
    size_t newest = 0;
    for (size_t i = 0; i < count; i++)
        if (heads[i].is_there &&
            (!heads[newest].is_there || heads[i].events > heads[newest].events))
            newest = i;
    for (size_t i = 0; i < count && heads[newest].is_there; i++) {
        const char *why =
            !heads[i].is_there                                 ? "is new and not filled"
            : heads[i].legs != count || heads[i].place != i    ? "is another leg's"
            : i < FAILED_BITS && heads[newest].failed >> i & 1 ? "has failed"
            : heads[i].rebuilt != IN_SYNC                      ? "is being filled"
            : heads[newest].events - heads[i].events > 1 ? "is older than the others"
                                                         : NULL;
        if (why)
            return s_refuse(layout, logical, i, why, error);
    }
    return 0;
}

int
rmt_group_check_legs(const rmt_layout_t *layout, size_t index,
                     const rmt_mapping_member_t *metas, rmt_error_t *error)
{
    rmt_auto_ptr memory = calloc(layout->piece_count, sizeof(head_t));
    if (!memory)
        abort();
    head_t *heads = memory;
    size_t count = 0;
    for (size_t i = 0; i < layout->piece_count; i++)
        if (layout->pieces[i].logical == index &&
            s_read_head(&metas[i], &heads[count++], error) == -1)
            return -1;
    return s_check_heads(layout, &layout->logicals[index], heads, count, error);
}

int
rmt_group_clear_leg(const rmt_layout_t *layout, const rmt_layout_piece_t *piece,
                    const rmt_mapping_member_t *meta, rmt_error_t *error)
{
    static const uint8_t zeros[CLEARED];
    const rmt_layout_logical_t *logical = &layout->logicals[piece->logical];
    const uint64_t all = piece->meta_extents * layout->groups[logical->group].extent_size;
    const uint64_t end = all < CLEARED_MAX ? all : CLEARED_MAX;
    for (uint64_t at = 0; at < end; at += CLEARED) {
        const uint64_t size = end - at < CLEARED ? end - at : CLEARED;
        if (rmt_io_pwrite(meta->fd, zeros, (size_t) size, (off_t) (meta->offset + at),
                          error) == -1)
            return rmt_wrap(error, "clear what is known of a leg of %s", logical->name);
    }
    return 0;
}
