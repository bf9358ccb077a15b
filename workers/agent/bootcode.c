#include "bootcode.h"
#include "rmt_auto.h"
#include "rmt_io.h"

#include <string.h>
#include <strings.h>

#define SECTOR ((uint64_t) 512)
#define MBR_CODE ((size_t) 440) // Behind it: the disk's id and the table
#define PIECE_SIZE ((size_t) 32 * 1024)
#define AREA_MAX ((uint64_t) 1024 * 1024)
#define CODE_MAX ((size_t) 384 * 1024)
#define TYPE_BIOS_BOOT "21686148-6449-6E6F-744E-656564454649"
#define TYPE_ESP "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"

static bool
s_is(const rmt_record_t *record, const char *name, const char *text)
{
    return strcasecmp(rmt_record_text(record, name, ""), text) == 0;
}

static size_t
s_used(const uint8_t *data, size_t size)
{
    while (size && data[size - 1] == 0)
        size--;
    return size;
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
s_add_area(rmt_layout_t *layout, rmt_records_t *boot, const char *role, uint64_t offset,
           uint64_t size, rmt_error_t *error)
{
    if (size > AREA_MAX)
        size = AREA_MAX;
    rmt_auto_ptr memory = malloc(size + 1);
    if (!memory)
        abort();
    uint8_t *data = memory;
    if (rmt_io_pread(rmt_layout_disk_fd(layout), data, size, (off_t) offset, error) == -1)
        return rmt_wrap(error, "boot code");
    const size_t used = s_used(data, size);
    if (used > CODE_MAX)
        return rmt_fail(error, RMT_E_TOO_BIG, "boot code of %zu bytes, limit %zu", used,
                        CODE_MAX);
    for (size_t done = 0; done < used; done += PIECE_SIZE)
        s_add(boot, role, offset + done, data + done,
              used - done < PIECE_SIZE ? used - done : PIECE_SIZE);
    return 0;
}

// GRUB keeps its core in the gap of a DOS table, or in a partition of its own with GPT.
static int
s_add_core(rmt_layout_t *layout, rmt_records_t *boot, const rmt_record_t *disk,
           rmt_error_t *error)
{
    const rmt_records_t *records = rmt_layout_records(layout);
    const char *role = rmt_record_text(disk, "role", "");
    const uint64_t sector = rmt_record_u64(disk, "logical-sector", SECTOR);
    uint64_t first = UINT64_MAX;
    for (size_t i = 0; i < rmt_records_count(records); i++) {
        const rmt_record_t *record = rmt_records_at(records, i);
        if (!s_is(record, "class", "partition"))
            continue;
        const uint64_t start = rmt_record_u64(record, "start", 0) * sector;
        first = start < first ? start : first;
        if (s_is(record, "type", TYPE_BIOS_BOOT) &&
            s_add_area(layout, boot, role, start,
                       rmt_record_u64(record, "size", 0) * sector, error) == -1)
            return -1;
    }
    if (s_is(disk, "table", "dos") && first != UINT64_MAX && first > SECTOR)
        return s_add_area(layout, boot, role, SECTOR, first - SECTOR, error);
    return 0;
}

static bool
s_has_esp(rmt_layout_t *layout)
{
    const rmt_records_t *records = rmt_layout_records(layout);
    for (size_t i = 0; i < rmt_records_count(records); i++) {
        const rmt_record_t *record = rmt_records_at(records, i);
        if (s_is(record, "class", "partition") &&
            (s_is(record, "type", TYPE_ESP) || s_is(record, "type", "ef")))
            return true;
    }
    return false;
}

int
rmt_bootcode_read(rmt_layout_t *layout, rmt_records_t **boot_out, char **paths_out,
                  rmt_error_t *error)
{
    rmt_auto(rmt_records) boot = rmt_records_new();
    const rmt_record_t *disk =
        rmt_records_find(rmt_layout_records(layout), "class", "disk");
    uint8_t code[MBR_CODE] = {0};
    const int fd = rmt_layout_disk_fd(layout);
    const bool has_table = fd != -1 && !s_is(disk, "table", "none");
    if (has_table && rmt_io_pread(fd, code, sizeof code, 0, error) == -1)
        return rmt_wrap(error, "boot code");
    const bool is_bios = has_table && s_used(code, sizeof code);
    // The core first: the first sector is what makes a disk bootable.
    if (is_bios && s_add_core(layout, boot, disk, error) == -1)
        return -1;
    if (is_bios)
        s_add(boot, rmt_record_text(disk, "role", ""), 0, code, sizeof code);
    const bool is_uefi = has_table && s_has_esp(layout);
    *paths_out = rmt_text("%s%s%s", is_uefi ? "uefi" : "", is_uefi && is_bios ? " " : "",
                          is_bios ? "bios" : "");
    *boot_out = rmt_take(&boot);
    return 0;
}
