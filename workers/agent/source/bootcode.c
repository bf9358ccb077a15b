#include "agent/source/bootcode.h"
#include "base/rmt_auto.h"
#include "disk/rmt_boot_code.h"
#include "disk/rmt_esp.h"
#include "disk/rmt_nvram.h"
#include "base/rmt_io.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

// The trees of all EFI system partitions are looked at; one loader is enough.
static int
s_examine_esps(rmt_source_disk_t *disk, bool *is_uefi_out, rmt_error_t *error)
{
    *is_uefi_out = false;
    for (size_t i = 0; i < rmt_source_disk_count(disk); i++) {
        const rmt_layout_volume_t *volume = rmt_source_disk_volume(disk, i);
        if (!rmt_layout_is_esp(rmt_source_disk_layout(disk), volume))
            continue;
        rmt_auto(rmt_record) esp = NULL;
        const int tree = rmt_source_disk_tree(disk, i);
        if (rmt_esp_examine(tree, &esp, error) == -1 ||
            rmt_esp_check_room(tree, esp, volume->format, volume->bytes_tree,
                               volume->files, error) == -1)
            return rmt_wrap(error, "EFI system partition %" PRIu64, volume->partition);
        *is_uefi_out = *is_uefi_out || *rmt_record_text(esp, "path", "");
    }
    return 0;
}

// The volume of a partition with this GUID whose tree has a file at this path.
static bool
s_is_started(rmt_source_disk_t *disk, const rmt_record_t *entry)
{
    const rmt_layout_t *layout = rmt_source_disk_layout(disk);
    for (size_t i = 0; i < rmt_source_disk_count(disk); i++) {
        const rmt_layout_volume_t *volume = rmt_source_disk_volume(disk, i);
        const rmt_layout_partition_t *partition = rmt_layout_partition_of(layout, volume);
        if (partition && rmt_layout_is_esp(layout, volume) &&
            strcasecmp(partition->guid, rmt_record_text(entry, "guid", "")) == 0)
            return rmt_esp_has(rmt_source_disk_tree(disk, i),
                               rmt_record_text(entry, "path", ""));
    }
    return false;
}

// A source that runs tells what its firmware starts from its disk, with options that lie
// nowhere else. A firmware that cannot be read tells nothing: its disk has a loader, or
// is refused for having none.
static void
s_add_entries(rmt_source_disk_t *disk, rmt_records_t *boot, bool *is_uefi_p)
{
    rmt_error_t ignored = {0};
    rmt_auto(rmt_records) entries = rmt_records_new();
    size_t count = 0;
    if (!rmt_source_disk_is_running(disk) ||
        rmt_nvram_read(RMT_NVRAM_FOLDER, entries, &ignored) == -1)
        return;
    for (size_t i = 0; i < rmt_records_count(entries) && count < RMT_NVRAM_SET_MAX; i++) {
        if (!s_is_started(disk, rmt_records_at(entries, i)))
            continue;
        rmt_auto(rmt_record) copy = rmt_record_dup(rmt_records_at(entries, i));
        rmt_records_append(boot, &copy);
        *is_uefi_p = true;
        count++;
    }
}

// What a disk is started by through a BIOS. Disks beside the one that is started may have
// any code, or none.
static int
s_read_code(rmt_source_disk_t *disk, rmt_records_t *boot, bool *is_bios_out,
            const char **other_out, rmt_error_t *error)
{
    const rmt_layout_t *layout = rmt_source_disk_layout(disk);
    for (size_t i = 0; i < layout->disk_count; i++) {
        const char *kind = "";
        const int fd = rmt_source_disk_fd(disk, i);
        rmt_auto(rmt_layout) one = rmt_layout_select(layout, i);
        if (fd == -1 || one->disks[0].table == RMT_TABLE_NONE)
            continue;
        if (rmt_boot_code_read(fd, one, boot, &kind, error) == -1)
            return layout->disk_count > 1
                       ? rmt_wrap(error, "disk '%s'", layout->disks[i].role)
                       : -1;
        const bool is_grub = strcmp(kind, "grub") == 0;
        *is_bios_out = *is_bios_out || is_grub;
        if (!*kind || is_grub)
            continue;
        *other_out = kind;
        rmt_auto_str path = rmt_text("boot code of disk '%s'", layout->disks[i].role);
        rmt_auto_str why = rmt_text("%s: copies do not have it", kind);
        if (layout->disk_count > 1)
            rmt_source_disk_drop(disk, path, why);
    }
    return 0;
}

int
rmt_bootcode_read(rmt_source_disk_t *disk, rmt_records_t **boot_out, char **paths_out,
                  rmt_error_t *error)
{
    rmt_auto(rmt_records) boot = rmt_records_new();
    const char *other = "";
    bool is_uefi = false, is_bios = false;
    if (rmt_source_disk_fd(disk, 0) != -1) {
        if (s_examine_esps(disk, &is_uefi, error) == -1 ||
            s_read_code(disk, boot, &is_bios, &other, error) == -1)
            return -1;
        s_add_entries(disk, boot, &is_uefi);
    }
    if (*other && !is_bios && !is_uefi)
        return rmt_fail(
            error, RMT_E_UNSUPPORTED,
            "the boot code of the disk is %s, which is not supported; install GRUB",
            other);
    *paths_out = rmt_text("%s%s%s", is_uefi ? "uefi" : "", is_uefi && is_bios ? " " : "",
                          is_bios ? "bios" : "");
    *boot_out = rmt_take(&boot);
    return 0;
}
