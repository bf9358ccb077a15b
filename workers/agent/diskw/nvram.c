#include "agent/diskw/work.h"
#include "base/rmt_auto.h"
#include "disk/rmt_disk.h"
#include "disk/rmt_esp.h"
#include "base/rmt_io.h"
#include "disk/rmt_nvram.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>

#define FIRMWARE "/sys/firmware/efi"

static const rmt_record_t *
s_partition(const rmt_work_disk_t *disk, const rmt_record_t *volume)
{
    for (size_t i = 0; i < rmt_records_count(disk->layout); i++) {
        const rmt_record_t *record = rmt_records_at(disk->layout, i);
        if (strcmp(rmt_record_text(record, "class", ""), "partition") == 0 &&
            strcmp(rmt_record_text(record, "number", ""),
                   rmt_record_text(volume, "partition", "-")) == 0)
            return record;
    }
    return NULL;
}

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
    const rmt_record_t *partition = s_partition(disk, volume->record);
    const rmt_record_t *table = rmt_records_find(disk->layout, "class", "disk");
    if (!partition)
        return rmt_fail(error, RMT_E_USAGE, "an EFI system partition without a table");
    const bool is_gpt = strcmp(rmt_record_text(table, "table", ""), "gpt") == 0;
    const rmt_nvram_entry_t entry = {
        .label = rmt_record_text(esp, "vendor", ""),
        .path = rmt_record_text(esp, "path", ""),
        .guid = rmt_record_text(is_gpt ? partition : table, "guid", ""),
        .partition = (uint32_t) rmt_record_u64(partition, "number", 0),
        .start = rmt_record_u64(partition, "start", 0),
        .sectors = rmt_record_u64(partition, "size", 0)};
    s_show_variables();
    return rmt_nvram_set(RMT_NVRAM_FOLDER, &entry, number_out, error);
}

static const rmt_work_disk_t *
s_disk_of(const rmt_work_t *self, const rmt_work_volume_t *volume)
{
    const char *role = rmt_record_text(volume->record, "disk", "");
    for (size_t i = 0; i < self->disk_count; i++)
        if (strcmp(self->disks[i].role, role) == 0)
            return &self->disks[i];
    return NULL;
}

void
rmt_work_enter_firmware(rmt_work_t *self)
{
    // A file that stands for a disk is not one of the computer's own.
    if (!self->is_machine || access(FIRMWARE, F_OK) == -1)
        return;
    for (size_t i = 0; i < self->volume_count; i++) {
        const rmt_work_volume_t *volume = &self->volumes[i];
        const rmt_work_disk_t *disk = s_disk_of(self, volume);
        rmt_auto_fd folder = -1;
        rmt_auto(rmt_record) esp = NULL;
        rmt_error_t error = {0};
        uint16_t number = 0;
        if (!disk || !volume->is_vfat || !volume->written ||
            !rmt_disk_is_esp(self->layout, volume->record))
            continue;
        folder = open(volume->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder == -1 || rmt_esp_examine(folder, &esp, &error) == -1 ||
            !*rmt_record_text(esp, "path", ""))
            continue;
        if (s_set_entry(disk, volume, esp, &number, &error) == 0)
            rmt_record_setf(self->report, "boot-entry", "Boot%04X", number);
        else
            rmt_record_setf(self->report, "warning",
                            "no boot entry was made: %s; the disk has the fallback path",
                            error.text);
        return;
    }
}
