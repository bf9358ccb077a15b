#include "agent/source/bootcode.h"
#include "base/rmt_auto.h"
#include "disk/rmt_boot_code.h"
#include "disk/rmt_disk.h"
#include "disk/rmt_esp.h"
#include "base/rmt_io.h"

#include <string.h>

// The trees of all EFI system partitions are looked at; one loader is enough.
static int
s_examine_esps(rmt_source_disk_t *layout, bool *is_uefi_out, rmt_error_t *error)
{
    *is_uefi_out = false;
    for (size_t i = 0; i < rmt_source_disk_count(layout); i++) {
        const rmt_record_t *volume = rmt_source_disk_volume(layout, i);
        if (!rmt_disk_is_esp(rmt_source_disk_records(layout), volume))
            continue;
        rmt_auto(rmt_record) esp = NULL;
        if (rmt_esp_examine(rmt_source_disk_tree(layout, i), &esp, error) == -1)
            return rmt_wrap(error, "EFI system partition %s",
                            rmt_record_text(volume, "partition", ""));
        *is_uefi_out = *is_uefi_out || *rmt_record_text(esp, "path", "");
    }
    return 0;
}

int
rmt_bootcode_read(rmt_source_disk_t *layout, rmt_records_t **boot_out, char **paths_out,
                  rmt_error_t *error)
{
    rmt_auto(rmt_records) boot = rmt_records_new();
    const rmt_record_t *disk =
        rmt_records_find(rmt_source_disk_records(layout), "class", "disk");
    rmt_auto(rmt_records) one = rmt_disk_select(rmt_source_disk_records(layout),
                                                rmt_record_text(disk, "role", ""));
    const int fd = rmt_source_disk_disk_fd(layout);
    const bool has_table =
        fd != -1 && strcmp(rmt_record_text(disk, "table", "none"), "none") != 0;
    const char *kind = "";
    bool is_uefi = false;
    if (has_table && (s_examine_esps(layout, &is_uefi, error) == -1 ||
                      rmt_boot_code_read(fd, one, boot, &kind, error) == -1))
        return -1;
    const bool is_bios = strcmp(kind, "grub") == 0;
    if (*kind && !is_bios && !is_uefi)
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "the boot code of the disk is %s, which is not carried; GRUB is",
                        kind);
    *paths_out = rmt_text("%s%s%s", is_uefi ? "uefi" : "", is_uefi && is_bios ? " " : "",
                          is_bios ? "bios" : "");
    *boot_out = rmt_take(&boot);
    return 0;
}
