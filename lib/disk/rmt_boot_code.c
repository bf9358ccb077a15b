#include "disk/rmt_boot_code.h"
#include "base/rmt_auto.h"
#include "base/rmt_bytes.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#define SECTOR ((size_t) 512)
#define CODE_SIZE ((size_t) 440) // Behind it: the disk's id and the table
#define CODE_MAX ((size_t) 384 * 1024)
#define PIECE_SIZE ((size_t) 32 * 1024)
#define AREAS_MAX 16
#define RUNS_MAX 16

// Where GRUB keeps its addresses: in boot.img that of the core's first sector; in this
// sector a list that grows downwards, of start, count and memory segment.
#define GRUB_CORE_AT 0x5c
#define GRUB_LIST_AT 0x1f4
#define GRUB_LIST_STEP 12

// Firmware that wants an active partition finds this flag on the guard of a GPT.
#define GUARD_FLAG_AT 446
#define GUARD_FLAG 0x80

typedef struct {
    uint64_t start, count; // Sectors
} run_t;

static bool
s_has(const uint8_t *data, size_t size, const char *text)
{
    return memmem(data, size, text, strlen(text)) != NULL;
}

// ---- Where boot code may lie

static size_t
s_areas(const rmt_layout_t *layout, run_t areas[AREAS_MAX])
{
    size_t count = 0;
    uint64_t first = UINT64_MAX;
    if (layout->disks[0].sector != SECTOR)
        return 0;
    for (size_t i = 0; i < layout->partition_count; i++) {
        const rmt_layout_partition_t *partition = &layout->partitions[i];
        first = partition->start < first ? partition->start : first;
        if (rmt_layout_is_bios_boot(partition) && count < AREAS_MAX - 1)
            areas[count++] = (run_t){partition->start, partition->size};
    }
    if (layout->disks[0].table == RMT_TABLE_DOS && first != UINT64_MAX && first > 1)
        areas[count++] = (run_t){1, first - 1};
    return count;
}

static bool
s_is_within(const run_t *areas, size_t count, uint64_t start, uint64_t size)
{
    for (size_t i = 0; i < count; i++)
        if (start >= areas[i].start && size <= areas[i].count &&
            start - areas[i].start <= areas[i].count - size)
            return true;
    return false;
}

// ---- GRUB

// The sectors of the core: its first one, and those of the list in it.
static int
s_read_runs(int fd, const uint8_t *code, run_t runs[RUNS_MAX], size_t *count_out,
            rmt_error_t *error)
{
    uint8_t head[SECTOR];
    const uint64_t first = rmt_get_le(code + GRUB_CORE_AT, 8);
    if (first == 0 || first > INT64_MAX / SECTOR)
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "the boot code is GRUB Legacy, which is not supported");
    if (rmt_io_pread(fd, head, sizeof head, (off_t) (first * SECTOR), error) == -1 ||
        !s_has(head, sizeof head, "loading"))
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "the boot code names sector %" PRIu64
                        ", and GRUB's core is not there; install GRUB again",
                        first);
    runs[0] = (run_t){first, 1};
    *count_out = 1;
    for (size_t at = GRUB_LIST_AT; *count_out < RUNS_MAX; at -= GRUB_LIST_STEP) {
        const run_t run = {rmt_get_le(head + at, 8), rmt_get_le(head + at + 8, 2)};
        if (run.count == 0)
            return 0;
        runs[(*count_out)++] = run;
    }
    return rmt_fail(error, RMT_E_UNSUPPORTED,
                    "GRUB's core lies in more than %d parts; install GRUB again",
                    RUNS_MAX);
}

static void
s_add(rmt_records_t *boot, const char *role, uint64_t offset, const void *data,
      size_t size)
{
    rmt_record_t *piece = rmt_records_add(boot);
    rmt_record_set(piece, "class", "boot");
    rmt_record_set(piece, "disk", role);
    rmt_record_set_u64(piece, "offset", offset);
    rmt_record_put(piece, "content", data, size);
}

static int
s_add_run(int fd, const run_t *run, const char *role, rmt_records_t *boot,
          rmt_error_t *error)
{
    uint8_t room[PIECE_SIZE];
    const uint64_t end = (run->start + run->count) * SECTOR;
    for (uint64_t at = run->start * SECTOR; at < end; at += PIECE_SIZE) {
        const size_t size = end - at < PIECE_SIZE ? (size_t) (end - at) : PIECE_SIZE;
        if (rmt_io_pread(fd, room, size, (off_t) at, error) == -1)
            return rmt_wrap(error, "read GRUB's core");
        s_add(boot, role, at, room, size);
    }
    return 0;
}

// grub-install writes blocks of a file where it finds no place for the core; such an
// address is void on any other disk.
static int
s_add_core(int fd, const uint8_t *code, const rmt_layout_t *layout, rmt_records_t *boot,
           rmt_error_t *error)
{
    run_t runs[RUNS_MAX], areas[AREAS_MAX];
    size_t count = 0;
    uint64_t sectors = 0;
    const size_t area_count = s_areas(layout, areas);
    const char *role = layout->disks[0].role;
    if (s_read_runs(fd, code, runs, &count, error) == -1)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (!s_is_within(areas, area_count, runs[i].start, runs[i].count))
            return rmt_fail(error, RMT_E_UNSUPPORTED,
                            "GRUB's core lies at sector %" PRIu64
                            ", inside a partition; install GRUB into the gap of the "
                            "table or a BIOS boot partition",
                            runs[i].start);
        sectors += runs[i].count;
    }
    if (sectors > CODE_MAX / SECTOR)
        return rmt_fail(error, RMT_E_TOO_BIG,
                        "GRUB's core of %" PRIu64 " bytes, limit %zu", sectors * SECTOR,
                        CODE_MAX);
    for (size_t i = 0; i < count; i++)
        if (s_add_run(fd, &runs[i], role, boot, error) == -1)
            return -1;
    return 0;
}

// ---- All kinds

static const char *
s_name(const uint8_t *code)
{
    static const struct {
        const char *text, *name;
    } rows[] = {
        {"Geom", "grub"},
        {"LILO", "LILO"},
        {"Operating system load error", "SYSLINUX"},
        {"Missing operating system", "of SYSLINUX, or of the active partition"},
        {"BOOTMGR", "of Windows"},
        {"Invalid partition table", "of DOS or Windows"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (s_has(code, CODE_SIZE, rows[i].text))
            return rows[i].name;
    for (size_t i = 0; i < CODE_SIZE; i++)
        if (code[i])
            return "of an unknown kind";
    return "";
}

int
rmt_boot_code_read(int fd, const rmt_layout_t *layout, rmt_records_t *boot,
                   const char **kind_out, rmt_error_t *error)
{
    assert(layout && layout->disk_count == 1);
    assert(boot);
    uint8_t first[SECTOR];
    const rmt_layout_disk_t *disk = &layout->disks[0];
    if (rmt_io_pread(fd, first, sizeof first, 0, error) == -1)
        return rmt_wrap(error, "read the boot code");
    static const uint8_t guard = GUARD_FLAG;
    const char *kind = s_name(first);
    if (strcmp(kind, "grub") == 0) {
        if (s_add_core(fd, first, layout, boot, error) == -1)
            return -1;
        if (disk->table == RMT_TABLE_GPT && first[GUARD_FLAG_AT] & GUARD_FLAG)
            s_add(boot, disk->role, GUARD_FLAG_AT, &guard, 1);
        s_add(boot, disk->role, 0, first, CODE_SIZE);
    }
    *kind_out = kind;
    return 0;
}

static bool
s_is_guard_flag(const rmt_layout_t *layout, uint64_t offset, const uint8_t *content,
                size_t size)
{
    return layout->disks[0].table == RMT_TABLE_GPT && offset == GUARD_FLAG_AT &&
           size == 1 && content[0] == GUARD_FLAG;
}

int
rmt_boot_code_check(const rmt_layout_t *layout, const rmt_records_t *boot,
                    rmt_error_t *error)
{
    assert(layout && layout->disk_count == 1);
    assert(boot);
    run_t areas[AREAS_MAX];
    const size_t count = s_areas(layout, areas);
    for (size_t i = 0; i < rmt_records_count(boot); i++) {
        const rmt_record_t *piece = rmt_records_at(boot, i);
        size_t size = 0;
        const uint8_t *content = rmt_record_get(piece, "content", &size);
        const uint64_t offset = rmt_record_u64(piece, "offset", UINT64_MAX);
        const bool is_code = offset == 0 && size == CODE_SIZE;
        if (!content || size == 0 ||
            !(is_code || s_is_guard_flag(layout, offset, content, size) ||
              (offset % SECTOR == 0 && size % SECTOR == 0 &&
               s_is_within(areas, count, offset / SECTOR, size / SECTOR))))
            return rmt_fail(error, RMT_E_REFUSED,
                            "boot code of %zu bytes at %" PRIu64
                            " would lie outside the space for boot code",
                            size, offset);
    }
    return 0;
}
