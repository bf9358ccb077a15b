// What a hostile source disk holds: superblocks, tables, boot code; and what programs say
// of it. The first byte says which.
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "base/rmt_bytes.h"
#include "base/rmt_io.h"
#include "disk/rmt_boot_code.h"
#include "disk/rmt_disk.h"
#include "disk/rmt_fs.h"
#include "disk/rmt_lvm_report.h"
#include "disk/rmt_mounted.h"
#include "disk/rmt_super.h"
#include "facts/rmt_facts.h"
#include "fuzz/must.h"
#include "tools/gpt_sum.h"

#define DISK_SIZE ((off_t) 2 * 1024 * 1024)
#define SECTOR ((size_t) 512)
#define GPT_ENTRY ((size_t) 128)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// A disk with these bytes at a place. The caller closes it.
static int
s_make(const uint8_t *data, size_t size, off_t at)
{
    rmt_error_t error;
    const int fd = memfd_create("disk", MFD_CLOEXEC);
    MUST(fd != -1 && ftruncate(fd, DISK_SIZE) == 0);
    size = size < (size_t) (DISK_SIZE - at) ? size : (size_t) (DISK_SIZE - at);
    MUST(rmt_io_pwrite(fd, data, size, at, &error) == 0);
    return fd;
}

// ---- Superblocks

// What is told of a file system can be written as text and read, and adds up.
static void
s_check_volume(const rmt_record_t *volume)
{
    rmt_error_t error;
    rmt_auto(rmt_records) records = rmt_records_new();
    rmt_record_t *copy = rmt_record_dup(volume);
    rmt_record_set(copy, "class", "volume");
    rmt_records_append(records, &copy);
    rmt_auto_str text = rmt_facts_print(records);
    rmt_auto(rmt_records) again = rmt_facts_parse(text, &error);
    MUST(again && rmt_records_count(again) == 1);
    MUST(rmt_record_equal(rmt_records_at(again, 0), rmt_records_at(records, 0)));
    MUST(rmt_record_u64(volume, "bytes-used", 0) <=
         rmt_record_u64(volume, "bytes", UINT64_MAX));
}

static void
s_try_super(rmt_super_read_t *read, off_t at, const uint8_t *data, size_t size)
{
    rmt_error_t error = {0};
    rmt_auto_fd fd = s_make(data, size, at);
    rmt_auto(rmt_record) volume = rmt_record_new();
    if (read(fd, volume, &error) == 0)
        s_check_volume(volume);
    else
        MUST(error.code == RMT_E_UNSUPPORTED || error.code == RMT_E_CORRUPT);
}

static void
s_fuzz_ext(const uint8_t *data, size_t size)
{
    s_try_super(rmt_super_read_ext, 1024, data, size);
}

static void
s_fuzz_xfs(const uint8_t *data, size_t size)
{
    s_try_super(rmt_super_read_xfs, 0, data, size);
}

static void
s_fuzz_btrfs(const uint8_t *data, size_t size)
{
    s_try_super(rmt_super_read_btrfs, 65536, data, size);
}

static void
s_fuzz_vfat(const uint8_t *data, size_t size)
{
    s_try_super(rmt_super_read_vfat, 0, data, size);
}

// ---- Tables and boot code

// Nothing gets past the sums of a GPT, so mend them.
static void
s_mend_gpt(uint8_t *disk, size_t size)
{
    uint8_t *head = disk + SECTOR;
    if (size < 3 * SECTOR || memcmp(head, "EFI PART", 8) != 0)
        return;
    const size_t head_size = rmt_get32(head + 12);
    const size_t entries = rmt_get32(head + 80) * GPT_ENTRY;
    if (entries <= size - 2 * SECTOR)
        rmt_put32(head + 88, gpt_sum(disk + 2 * SECTOR, entries));
    rmt_put32(head + 16, 0);
    if (head_size >= 92 && head_size <= SECTOR)
        rmt_put32(head + 16, gpt_sum(head, head_size));
}

// A layout that is right can be written and read; boot code that was taken may be put.
static void
s_check_layout(int fd, const rmt_layout_t *layout)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_records) boot = rmt_records_new();
    const char *kind = NULL;
    if (rmt_boot_code_read(fd, layout, boot, &kind, &error) == 0)
        MUST(kind && rmt_boot_code_check(layout, boot, &error) == 0);
    if (rmt_layout_check(layout, &error) == -1)
        return;
    rmt_auto(rmt_records) written = rmt_records_new();
    rmt_layout_write(layout, written);
    rmt_auto(rmt_layout) again = rmt_layout_read(written, &error);
    MUST(again && again->partition_count == layout->partition_count);
    (void) rmt_layout_min_bytes(again, 0);
}

static void
s_fuzz_table(const uint8_t *data, size_t size)
{
    rmt_error_t error = {0};
    rmt_auto_ptr copy = malloc(size + 1);
    MUST(copy);
    memcpy(copy, data, size);
    s_mend_gpt(copy, size);
    rmt_auto_fd fd = s_make(copy, size, 0);
    rmt_auto_str path = rmt_text("/proc/self/fd/%d", fd);
    rmt_auto(rmt_layout) layout = rmt_disk_read(path, "system", &error);
    MUST(layout || error.code != RMT_E_OK);
    if (layout)
        s_check_layout(fd, layout);
    rmt_auto(rmt_record) volume = rmt_fs_probe(path, &error);
    if (volume)
        s_check_volume(volume);
}

// The first two sectors of a disk whose table has room for GRUB behind them.
static void
s_fuzz_boot(const uint8_t *data, size_t size)
{
    rmt_auto(rmt_layout) layout = rmt_layout_new();
    rmt_layout_disk_t *disk = rmt_layout_add_disk(layout, "system");
    disk->table = RMT_TABLE_DOS;
    rmt_layout_partition_t *partition = rmt_layout_add_partition(layout, 0);
    partition->number = 1;
    partition->start = 2048;
    partition->size = 1024;
    rmt_auto_fd fd = s_make(data, size, 0);
    rmt_auto(rmt_records) boot = rmt_records_new();
    rmt_error_t error = {0};
    const char *kind = NULL;
    if (rmt_boot_code_read(fd, layout, boot, &kind, &error) == 0)
        MUST(kind && rmt_boot_code_check(layout, boot, &error) == 0);
}

// ---- What programs and the kernel say

static void
s_fuzz_lvm(const uint8_t *data, size_t size)
{
    rmt_error_t error;
    rmt_lvm_t volume;
    rmt_auto_str text = strndup((const char *) data, size);
    (void) rmt_lvm_report_is_invalid(text);
    if (rmt_lvm_parse(text, &volume, &error) == -1)
        return;
    MUST(*volume.group && *volume.name);
    MUST(rmt_lvm_space(&volume) <= volume.free_size || volume.is_thin);
}

static void
s_fuzz_mounts(const uint8_t *data, size_t size)
{
    rmt_error_t error = {0};
    rmt_auto_str disk = NULL;
    rmt_auto_str text = strndup((const char *) data, size);
    const int rc = rmt_mounted_disk_at(text, "/nowhere", "/", &disk, &error);
    MUST(rc == 0 ? disk != NULL : error.code != RMT_E_OK);
    const char *point = rmt_mounted_point(text, "/");
    MUST(!point || *point == '/');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const parsers[])(const uint8_t *, size_t) = {
        s_fuzz_ext,   s_fuzz_xfs,  s_fuzz_btrfs, s_fuzz_vfat,
        s_fuzz_table, s_fuzz_boot, s_fuzz_lvm,   s_fuzz_mounts};
    if (size > 0)
        parsers[data[0] % (sizeof parsers / sizeof *parsers)](data + 1, size - 1);
    return 0;
}
