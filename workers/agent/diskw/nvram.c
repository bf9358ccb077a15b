#include "agent/diskw/work.h"
#include "base/rmt_auto.h"
#include "disk/rmt_esp.h"
#include "base/rmt_io.h"
#include "disk/rmt_nvram.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>

#define FIRMWARE "/sys/firmware/efi"

// The kernel shows the variables where they are mounted.
static void
s_show_variables(void)
{
    DIR *dir = opendir(RMT_NVRAM_FOLDER);
    if (!dir)
        return;
    size_t count = 0;
    while (readdir(dir))
        count++;
    closedir(dir);
    if (count <= 2)
        (void) mount("efivarfs", RMT_NVRAM_FOLDER, "efivarfs",
                     MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

static int
s_set_entry(const rmt_work_disk_t *disk, const rmt_work_volume_t *volume,
            const rmt_record_t *esp, uint16_t *number_out, rmt_error_t *error)
{
    const rmt_layout_partition_t *partition =
        rmt_layout_find_partition(disk->layout, 0, volume->ordered->partition);
    if (!partition)
        return rmt_fail(
            error, RMT_E_USAGE,
            "the EFI system partition lies on a disk without a partition table");
    const bool is_gpt = disk->layout->disks[0].table == RMT_TABLE_GPT;
    const rmt_nvram_entry_t entry = {.label = rmt_record_text(esp, "vendor", ""),
                                     .path = rmt_record_text(esp, "path", ""),
                                     .guid = is_gpt ? partition->guid
                                                    : disk->layout->disks[0].guid,
                                     .partition = (uint32_t) partition->number,
                                     .start = partition->start,
                                     .sectors = partition->size};
    s_show_variables();
    return rmt_nvram_set(RMT_NVRAM_FOLDER, &entry, number_out, error);
}

void
rmt_work_enter_firmware(rmt_work_t *self)
{
    // A file that stands for a disk is not one of the computer's own.
    if (!self->is_machine || access(FIRMWARE, F_OK) == -1)
        return;
    for (size_t i = 0; i < self->volume_count; i++) {
        const rmt_work_volume_t *volume = &self->volumes[i];
        const rmt_work_disk_t *disk = rmt_work_disk_of(self, volume->ordered);
        rmt_auto_fd folder = -1;
        rmt_auto(rmt_record) esp = NULL;
        rmt_error_t error = {0};
        uint16_t number = 0;
        if (!disk || !rmt_work_is_vfat(volume) || !volume->written ||
            !rmt_layout_is_esp(self->layout, volume->ordered))
            continue;
        folder = open(volume->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder == -1 || rmt_esp_examine(folder, &esp, &error) == -1 ||
            !*rmt_record_text(esp, "path", ""))
            continue;
        if (s_set_entry(disk, volume, esp, &number, &error) == 0)
            rmt_record_setf(self->report, "boot-entry", "Boot%04X", number);
        else
            rmt_record_setf(self->report, "warning",
                            "ramet made no boot entry in the firmware: %s; the firmware "
                            "can start the disk by the fallback path",
                            error.text);
        return;
    }
}
