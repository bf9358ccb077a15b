#include "disk/rmt_ntfs.h"
#include "disk/rmt_ntfs_record.h"
#include "base/rmt_auto.h"
#include "base/rmt_bytes.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define BOOT_SIZE 512
#define CLUSTER_MAX ((uint64_t) 2 * 1024 * 1024)
#define RECORD_MFT 0
#define RECORD_LOG 2
#define RECORD_VOLUME 3
#define RECORD_ROOT 5
#define RECORD_BITMAP 6
#define IS_USED 1
#define IS_DIRTY 1
#define IS_LAST 2
#define REFERENCE_MASK (((uint64_t) 1 << 48) - 1)
#define INDEX_BYTES_MAX ((uint64_t) 256 * 1024 * 1024) // Of the root folder
#define HIBERNATION_FILE "hiberfil.sys"
#define HIBERNATION_MIN 4096
#define RESTART_PAGE_MIN ((size_t) 512)
#define RESTART_PAGE_MAX ((size_t) 65536)
#define RESTART_HEAD 30
#define RESTART_AREA 16
#define IS_CLEAN 2
#define NO_CLIENT 0xffff
#define WINDOW ((size_t) 65536) // Bytes of the bitmap

struct rmt_ntfs {
    rmt_ntfs_volume_t volume;
    rmt_ntfs_runs_t bitmap;
    uint8_t window[WINDOW];
    uint64_t window_at; // Its first byte
    size_t window_size;
};

// ---- Opening

static bool
s_is_power(uint64_t number)
{
    return number && (number & (number - 1)) == 0;
}

// Small numbers count units, others are negative powers of two of bytes.
static uint64_t
s_size(uint8_t number, uint64_t unit)
{
    if (number < 0x80)
        return number * unit;
    const unsigned power = 256u - number;
    return power < 32 ? (uint64_t) 1 << power : 0;
}

static int
s_read_boot(rmt_ntfs_volume_t *self, rmt_error_t *error)
{
    uint8_t boot[BOOT_SIZE];
    if (self->bytes < BOOT_SIZE)
        return rmt_ntfs_damaged("it has no boot sector", error);
    if (rmt_io_pread(self->fd, boot, sizeof boot, (off_t) self->offset, error) == -1)
        return rmt_wrap(error, "NTFS");
    const uint64_t sector = rmt_get16(boot + 11);
    const uint64_t sectors = rmt_get64(boot + 40);
    const uint8_t each = boot[13];
    // Above 128 sectors it is a negative power of two, of sectors.
    self->cluster = sector * (each <= 128        ? each
                              : 256u - each < 32 ? 1u << (256u - each)
                                                 : 0);
    if (memcmp(boot + 3, "NTFS    ", 8) != 0 || !s_is_power(sector) || sector < 256 ||
        sector > 4096 || !s_is_power(self->cluster) || self->cluster < 512 ||
        self->cluster > CLUSTER_MAX)
        return rmt_ntfs_damaged("its boot sector tells no sizes", error);
    self->record = s_size(boot[64], self->cluster);
    self->clusters = sectors / (self->cluster / sector);
    if (sectors > self->bytes / sector || self->clusters == 0)
        return rmt_ntfs_damaged("it is larger than its partition", error);
    const rmt_ntfs_run_t first = {.at = rmt_get64(boot + 48), .count = 1};
    if (!s_is_power(self->record) || self->record < 2 * RMT_NTFS_BLOCK ||
        self->record > RMT_NTFS_RECORD_MAX || first.at >= self->clusters)
        return rmt_ntfs_damaged("its boot sector tells no master file table", error);
    // Its first record tells where all of it is.
    self->mft.items = malloc(sizeof first);
    assert(self->mft.items);
    self->mft.items[0] = first;
    self->mft.items[0].count = (self->record + self->cluster - 1) / self->cluster;
    self->mft.count = 1;
    self->mft.clusters = self->mft.items[0].count;
    return 0;
}

static int
s_open(rmt_ntfs_t *self, rmt_error_t *error)
{
    rmt_ntfs_volume_t *volume = &self->volume;
    if (s_read_boot(volume, error) == -1 ||
        rmt_ntfs_runs(volume, RECORD_MFT, RMT_NTFS_DATA, "", &volume->mft, error) == -1 ||
        rmt_ntfs_runs(volume, RECORD_BITMAP, RMT_NTFS_DATA, "", &self->bitmap, error) ==
            -1)
        return -1;
    const uint64_t bytes = (volume->clusters + 7) / 8;
    return self->bitmap.bytes < bytes || self->bitmap.clusters * volume->cluster < bytes
               ? rmt_ntfs_damaged("its map of clusters is too short", error)
               : 0;
}

rmt_ntfs_t *
rmt_ntfs_new(int fd, uint64_t offset, uint64_t bytes, rmt_error_t *error)
{
    rmt_auto(rmt_ntfs) self = calloc(1, sizeof *self);
    assert(self);
    self->volume =
        (rmt_ntfs_volume_t){.fd = fd, .offset = offset, .bytes = bytes, .record = 0};
    return s_open(self, error) == -1 ? NULL : rmt_take(&self);
}

void
rmt_ntfs_destroy(rmt_ntfs_t **self_p)
{
    rmt_ntfs_t *self = *self_p;
    if (!self)
        return;
    free(self->volume.mft.items);
    free(self->bitmap.items);
    free(self);
    *self_p = NULL;
}

// ---- The file of a hibernated Windows

static bool
s_is_hibernation(const uint8_t *name, size_t count)
{
    static const char wanted[] = HIBERNATION_FILE;
    if (count != sizeof wanted - 1)
        return false;
    for (size_t i = 0; i < count; i++) {
        const uint16_t letter = rmt_get16(name + 2 * i);
        if (letter > 127 || tolower(letter) != wanted[i])
            return false;
    }
    return true;
}

// Does the reference of its entry stand among entries of an index? *reference_out is set
// then.
static bool
s_find_entry(const uint8_t *data, size_t size, uint64_t *reference_out)
{
    for (size_t at = 0; at + 16 <= size;) {
        const uint8_t *entry = data + at;
        const size_t length = rmt_get16(entry + 8), key = rmt_get16(entry + 10);
        if (length < 16 || length > size - at || (entry[12] & IS_LAST))
            return false;
        if (key >= 66 && 16 + key <= length && 66 + (size_t) entry[16 + 64] * 2 <= key &&
            s_is_hibernation(entry + 16 + 66, entry[16 + 64])) {
            *reference_out = rmt_get64(entry);
            return true;
        }
        at += length;
    }
    return false;
}

// The entries behind the head of an index, which is at an offset of a node.
static bool
s_find_in_node(const uint8_t *node, size_t size, size_t head, uint64_t *reference_out)
{
    if (size < head + 16)
        return false;
    const size_t first = rmt_get32(node + head), end = rmt_get32(node + head + 4);
    if (first < 16 || end < first || end > size - head)
        return false;
    return s_find_entry(node + head + first, end - first, reference_out);
}

// Is the record that an entry names still that of its file? 1, 0 or -1.
static int
s_confirm(rmt_ntfs_volume_t *self, uint64_t reference, rmt_error_t *error)
{
    rmt_auto_ptr memory = malloc((size_t) self->record);
    uint8_t *record = memory;
    assert(record);
    if (rmt_ntfs_read_record(self, reference & REFERENCE_MASK, record, error) == -1)
        return -1;
    return (record[22] & IS_USED) && rmt_get16(record + 16) == reference >> 48;
}

// Blocks that the index has left say old things, which the record that they name does not
// confirm: the file may stand in a later one.
static int
s_find_in_blocks(rmt_ntfs_volume_t *self, size_t block, uint64_t *reference_out,
                 bool *found_out, rmt_error_t *error)
{
    rmt_ntfs_runs_t runs = {.items = NULL};
    rmt_auto_ptr data = malloc(block);
    assert(data);
    int rc = rmt_ntfs_runs(self, RECORD_ROOT, RMT_NTFS_INDEX, "$I30", &runs, error);
    if (rc == 0 && runs.bytes > INDEX_BYTES_MAX)
        rc = rmt_ntfs_damaged("its root folder is too large", error);
    for (uint64_t at = 0; rc == 0 && !*found_out && at + block <= runs.bytes;
         at += block) {
        rc = rmt_ntfs_read(self, &runs, at, data, block, error);
        if (rc == 0 && rmt_ntfs_mend(data, block, "INDX") &&
            s_find_in_node(data, block, 24, reference_out))
            rc = s_confirm(self, *reference_out, error);
        *found_out = rc == 1;
        rc = rc == -1 ? -1 : 0;
    }
    free(runs.items);
    return rc;
}

static int
s_find_hibernation(rmt_ntfs_volume_t *self, uint64_t *reference_out, bool *found_out,
                   rmt_error_t *error)
{
    rmt_ntfs_attribute_t root;
    rmt_auto_ptr record = malloc((size_t) self->record);
    assert(record);
    *found_out = false;
    if (rmt_ntfs_read_record(self, RECORD_ROOT, record, error) == -1)
        return -1;
    if (!rmt_ntfs_find(self, record, RMT_NTFS_INDEX_ROOT, "$I30", &root) ||
        !root.is_resident || root.value_size < 32)
        return rmt_ntfs_damaged("its root folder has no index", error);
    const size_t block = rmt_get32(root.value + 8);
    if (!s_is_power(block) || block < RMT_NTFS_BLOCK || block > RMT_NTFS_RECORD_MAX)
        return rmt_ntfs_damaged("its root folder has blocks of no size", error);
    const int rc = s_find_in_node(root.value, root.value_size, 16, reference_out)
                       ? s_confirm(self, *reference_out, error)
                       : 0;
    *found_out = rc == 1;
    if (rc != 0)
        return rc == 1 ? 0 : -1;
    return s_find_in_blocks(self, block, reference_out, found_out, error);
}

// As drivers for Linux judge it: by the first letters of the file.
static int
s_check_hibernation(rmt_ntfs_volume_t *self, rmt_error_t *error)
{
    uint64_t reference = 0;
    bool is_there = false;
    char head[4] = "";
    rmt_ntfs_runs_t runs = {.items = NULL};
    if (s_find_hibernation(self, &reference, &is_there, error) == -1)
        return -1;
    if (!is_there)
        return 0;
    int rc =
        rmt_ntfs_runs(self, reference & REFERENCE_MASK, RMT_NTFS_DATA, "", &runs, error);
    if (rc == 0 && runs.bytes >= HIBERNATION_MIN)
        rc = rmt_ntfs_read(self, &runs, 0, head, sizeof head, error);
    free(runs.items);
    if (rc == -1 || (memcmp(head, "hibr", 4) != 0 && memcmp(head, "HIBR", 4) != 0))
        return rc;
    return rmt_fail(error, RMT_E_REFUSED,
                    "its Windows is hibernated (" HIBERNATION_FILE "), as fast startup "
                    "leaves it at each shutdown; start that Windows, and give there: "
                    "powercfg /h off, then: shutdown /s /t 0");
}

// ---- The log

typedef struct {
    bool is_there, is_sound, has_work;
    uint64_t lsn; // Of the page that counts
} restart_t;

// A restart page; of two sound ones the younger counts.
static void
s_take_restart(uint8_t *page, size_t size, restart_t *restart)
{
    const bool is_checked = memcmp(page, "CHKD", 4) == 0;
    const size_t at = rmt_get16(page + 24);
    restart->is_there = true;
    if (!rmt_ntfs_mend(page, size, is_checked ? "CHKD" : "RSTR") || at < RESTART_HEAD ||
        at + RESTART_AREA > size)
        return;
    const uint64_t lsn = rmt_get64(is_checked ? page + 8 : page + at);
    if (restart->is_sound && lsn <= restart->lsn)
        return;
    restart->is_sound = true;
    restart->lsn = lsn;
    restart->has_work =
        rmt_get16(page + at + 12) != NO_CLIENT && !(rmt_get16(page + at + 14) & IS_CLEAN);
}

// The first page is at the start, the second one a page behind it, of whatever size.
static int
s_read_restart(rmt_ntfs_volume_t *self, const rmt_ntfs_runs_t *runs, restart_t *restart,
               rmt_error_t *error)
{
    rmt_auto_ptr memory = malloc(RESTART_PAGE_MAX);
    uint8_t *page = memory;
    assert(page);
    for (size_t at = 0; at <= RESTART_PAGE_MAX; at = at ? 2 * at : RESTART_PAGE_MIN) {
        if (at + RESTART_PAGE_MIN > runs->bytes)
            return 0;
        if (rmt_ntfs_read(self, runs, at, page, RESTART_PAGE_MIN, error) == -1)
            return -1;
        const size_t size = rmt_get32(page + 16);
        const bool is_one = memcmp(page, "RSTR", 4) == 0 || memcmp(page, "CHKD", 4) == 0;
        if (at == 0)
            restart->is_there = is_one;
        if (!is_one || !s_is_power(size) || size < RESTART_PAGE_MIN ||
            size > RESTART_PAGE_MAX || (at && at != size) || at + size > runs->bytes)
            continue;
        if (rmt_ntfs_read(self, runs, at, page, size, error) == -1)
            return -1;
        s_take_restart(page, size, restart);
    }
    return 0;
}

// Windows would replay the log at the copy, which lacks the clusters that the map calls
// free. One without restart pages is empty, as tools for Linux leave it.
static int
s_check_log(rmt_ntfs_volume_t *self, rmt_error_t *error)
{
    rmt_ntfs_runs_t runs = {.items = NULL};
    restart_t restart = {.lsn = 0};
    int rc = rmt_ntfs_runs(self, RECORD_LOG, RMT_NTFS_DATA, "", &runs, error);
    if (rc == 0)
        rc = s_read_restart(self, &runs, &restart, error);
    free(runs.items);
    if (rc == -1)
        return -1;
    if (restart.is_there && !restart.is_sound)
        return rmt_ntfs_damaged("its log is torn", error);
    if (restart.has_work)
        return rmt_fail(
            error, RMT_E_REFUSED,
            "its NTFS was not cleanly unmounted: its log has work left; start that "
            "Windows, and give there: powercfg /h off, then: shutdown /s /t 0");
    return 0;
}

int
rmt_ntfs_check(rmt_ntfs_t *self, rmt_error_t *error)
{
    rmt_ntfs_volume_t *volume = &self->volume;
    rmt_ntfs_attribute_t information;
    rmt_auto_ptr record = malloc((size_t) volume->record);
    assert(record);
    if (rmt_ntfs_read_record(volume, RECORD_VOLUME, record, error) == -1)
        return -1;
    if (!rmt_ntfs_find(volume, record, RMT_NTFS_INFORMATION, "", &information) ||
        !information.is_resident || information.value_size < 12)
        return rmt_ntfs_damaged("it tells nothing of its state", error);
    // Hibernation explains the mark, and its remedy takes both away.
    if (s_check_hibernation(volume, error) == -1)
        return -1;
    if (rmt_get16(information.value + 10) & IS_DIRTY)
        return rmt_fail(
            error, RMT_E_REFUSED,
            "its NTFS is marked as dirty: it was not cleanly unmounted; start "
            "that Windows, and give there: chkdsk /f, then: shutdown /s /t 0");
    return s_check_log(volume, error);
}

// ---- What is in use

static int
s_bit(rmt_ntfs_t *self, uint64_t cluster, const uint8_t **byte_out, rmt_error_t *error)
{
    const uint64_t at = cluster / 8;
    if (at < self->window_at || at >= self->window_at + self->window_size) {
        const uint64_t begin = at / WINDOW * WINDOW;
        const uint64_t end = (self->volume.clusters + 7) / 8;
        self->window_size = end - begin < WINDOW ? (size_t) (end - begin) : WINDOW;
        self->window_at = begin;
        if (rmt_ntfs_read(&self->volume, &self->bitmap, begin, self->window,
                          self->window_size, error) == -1) {
            self->window_size = 0;
            return -1;
        }
    }
    *byte_out = &self->window[at - self->window_at];
    return 0;
}

// The first cluster from one on that is in use, or is not; the number of all for none.
static int
s_seek(rmt_ntfs_t *self, bool is_used, uint64_t *cluster, rmt_error_t *error)
{
    const uint8_t others = is_used ? 0 : 0xff;
    const uint8_t *byte;
    while (*cluster < self->volume.clusters) {
        if (s_bit(self, *cluster, &byte, error) == -1)
            return -1;
        if (*cluster % 8 == 0 && *byte == others)
            *cluster += 8;
        else if (((*byte >> *cluster % 8) & 1) == is_used)
            return 0;
        else
            ++*cluster;
    }
    *cluster = self->volume.clusters;
    return 0;
}

int
rmt_ntfs_used(rmt_ntfs_t *self, uint64_t at, uint64_t *begin_out, uint64_t *end_out,
              rmt_error_t *error)
{
    const rmt_ntfs_volume_t *volume = &self->volume;
    const uint64_t behind = volume->clusters * volume->cluster;
    *end_out = volume->bytes;
    *begin_out = at < volume->bytes ? at : volume->bytes;
    if (at >= behind)
        return 0;
    uint64_t first = at / volume->cluster;
    if (s_seek(self, true, &first, error) == -1)
        return -1;
    uint64_t end = first;
    if (s_seek(self, false, &end, error) == -1)
        return -1;
    const uint64_t begin = first * volume->cluster;
    *begin_out = begin > at ? begin : at;
    *end_out = end == volume->clusters ? volume->bytes : end * volume->cluster;
    return 0;
}
