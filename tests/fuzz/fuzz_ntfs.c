// An NTFS: as bytes, and as one that is sound with some bytes changed where its tables
// are. Whatever they say, the runs in use rise and lie in the partition.
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "disk/rmt_ntfs.h"
#include "fuzz/must.h"
#include "tools/ntfs_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// The boot sector, the table, the map of clusters, the blocks of an index.
static const uint8_t s_clusters[] = {0,  4,  5,  6,  7,  8,  9,  10,
                                     11, 12, 13, 14, 15, 20, 24, 25};

static void
s_read(int fd, uint64_t bytes)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_ntfs) ntfs = rmt_ntfs_new(fd, 0, bytes, &error);
    if (!ntfs) {
        MUST(error.code == RMT_E_CORRUPT && *error.text);
        return;
    }
    (void) rmt_ntfs_check(ntfs, &error);
    uint64_t begin, end;
    for (uint64_t at = 0; at < bytes; at = end) {
        if (rmt_ntfs_used(ntfs, at, &begin, &end, &error) == -1)
            break;
        MUST(begin >= at && begin <= end && end > at && end <= bytes);
    }
}

// Three bytes a change: where, and what.
static void
s_fuzz_changes(const uint8_t *data, size_t size, unsigned kind)
{
    const ntfs_file_t file = {.map = {0xff, 0xf0, 1},
                              .hibernation = kind & 1 ? "hibr" : NULL,
                              .is_in_block = kind & 2,
                              .is_listed = kind & 4};
    rmt_auto_fd fd = ntfs_file_make(&file);
    for (size_t i = 0; i + 3 <= size; i += 3) {
        const off_t at =
            s_clusters[data[i] % sizeof s_clusters] * NTFS_FILE_CLUSTER + data[i + 1];
        MUST(pwrite(fd, data + i + 2, 1, at) == 1);
    }
    s_read(fd, NTFS_FILE_BYTES);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rmt_error_t error = {0};
    if (size == 0)
        return 0;
    if (data[0] & 128) {
        rmt_auto_fd fd = memfd_create("ntfs", MFD_CLOEXEC);
        MUST(fd != -1 && rmt_io_pwrite(fd, data, size, 0, &error) == 0);
        s_read(fd, size);
    } else {
        s_fuzz_changes(data + 1, size - 1, data[0]);
    }
    return 0;
}
