#include "agent/source/bootcode.h"
#include "base/rmt_auto.h"
#include "disk/rmt_boot_code.h"
#include "disk/rmt_esp.h"
#include "base/rmt_io.h"

#include <inttypes.h>
#include <string.h>

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

int
rmt_bootcode_read(rmt_source_disk_t *disk, rmt_records_t **boot_out, char **paths_out,
                  rmt_error_t *error)
{
    rmt_auto(rmt_records) boot = rmt_records_new();
    rmt_auto(rmt_layout) one = rmt_layout_select(rmt_source_disk_layout(disk), 0);
    const int fd = rmt_source_disk_fd(disk);
    const bool has_table = fd != -1 && one->disks[0].table != RMT_TABLE_NONE;
    const char *kind = "";
    bool is_uefi = false;
    if (has_table && (s_examine_esps(disk, &is_uefi, error) == -1 ||
                      rmt_boot_code_read(fd, one, boot, &kind, error) == -1))
        return -1;
    const bool is_bios = strcmp(kind, "grub") == 0;
    if (*kind && !is_bios && !is_uefi)
        return rmt_fail(
            error, RMT_E_UNSUPPORTED,
            "the boot code of the disk is %s, which is not supported; install GRUB",
            kind);
    *paths_out = rmt_text("%s%s%s", is_uefi ? "uefi" : "", is_uefi && is_bios ? " " : "",
                          is_bios ? "bios" : "");
    *boot_out = rmt_take(&boot);
    return 0;
}
