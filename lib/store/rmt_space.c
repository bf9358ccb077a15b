#include "store/rmt_space.h"

#include <assert.h>
#include <inttypes.h>
#include <sys/statvfs.h>

#define MIB ((uint64_t) 1024 * 1024)
// A pack, its index and what stands beside them while both are written; of a small file
// system, a share.
#define LEAST (96 * MIB)
#define SHARE 8

typedef struct {
    uint64_t available, size, least;
} space_t;

static int
s_read(const char *store, space_t *space_out)
{
    struct statvfs found;
    assert(store);
    if (statvfs(store, &found) == -1)
        return -1;
    space_out->available = (uint64_t) found.f_bavail * found.f_frsize;
    space_out->size = (uint64_t) found.f_blocks * found.f_frsize;
    const uint64_t share = space_out->size / SHARE;
    space_out->least = share < LEAST ? share : LEAST;
    return 0;
}

uint64_t
rmt_space_needed(const char *store)
{
    space_t space;
    if (s_read(store, &space) == -1)
        return 0;
    const uint64_t needed = space.available + space.least;
    const uint64_t most = space.size - space.size / SHARE;
    return needed < most ? needed : most;
}

int
rmt_space_check(const char *store, const char *place, uint64_t needed, rmt_error_t *error)
{
    space_t space;
    if (s_read(store, &space) == -1)
        return 0;
    if (needed < space.least)
        needed = space.least;
    if (space.available >= needed)
        return 0;
    return rmt_fail(error, RMT_E_NO_SPACE,
                    "no space at %s (%" PRIu64 " MiB free of %" PRIu64
                    " MiB; need %" PRIu64 " MiB); to free some: ramet store gc %s",
                    place, space.available / MIB, space.size / MIB,
                    (needed + MIB - 1) / MIB, place);
}
