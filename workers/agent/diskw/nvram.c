#include "agent/diskw/entries.h"
#include "agent/diskw/work.h"
#include "base/rmt_auto.h"
#include "disk/rmt_esp.h"
#include "base/rmt_io.h"
#include "disk/rmt_nvram.h"

#include <fcntl.h>
#include <string.h>
#include <strings.h>

#define FIRMWARE "/sys/firmware/efi"

static void
s_place(rmt_nvram_entry_t *entry, const rmt_work_disk_t *disk,
        const rmt_layout_partition_t *partition)
{
    const bool is_gpt = disk->layout->disks[0].table == RMT_TABLE_GPT;
    entry->guid = is_gpt ? partition->guid : disk->layout->disks[0].guid;
    entry->partition = (uint32_t) partition->number;
    entry->start = partition->start;
    entry->sectors = partition->size;
}

// What the firmware is to start from all EFI system partitions.
typedef struct {
    rmt_records_t *esps; // What lies in each; entries borrow from it
    rmt_nvram_entry_t entries[RMT_NVRAM_SET_MAX];
    size_t count;
    bool has_fallback; // A program of the copy's own starts without them
} all_t;

// Those of one partition, behind the others.
static void
s_add_entries(const rmt_work_t *self, const rmt_work_disk_t *disk, uint64_t number,
              const rmt_record_t *esp, all_t *all)
{
    rmt_nvram_entry_t own[RMT_NVRAM_SET_MAX];
    const rmt_layout_partition_t *partition =
        rmt_layout_find_partition(disk->layout, 0, number);
    const size_t count =
        partition ? diskw_boot_entries(self->boot, partition->guid, esp, own) : 0;
    for (size_t i = 0; i < count && all->count < RMT_NVRAM_SET_MAX; i++) {
        s_place(&own[i], disk, partition);
        all->entries[all->count++] = own[i];
    }
}

// Of a mirror each half has an entry: the firmware starts the second when the first is
// gone.
static int
s_take(rmt_work_t *self, const rmt_work_volume_t *volume, all_t *all, rmt_error_t *error)
{
    rmt_error_t why = {0};
    rmt_auto(rmt_record) found = NULL;
    const rmt_layout_partition_t *partitions[RMT_LAYOUT_MEMBERS_MAX];
    rmt_auto_fd folder = open(volume->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder == -1)
        return rmt_fail_errno(error, "open %s", volume->folder);
    if (rmt_esp_examine(folder, &found, &why) == -1) {
        if (why.code == RMT_E_UNSUPPORTED)
            return 0; // The capture has judged that
        *error = why;
        return rmt_wrap(error, "look at the EFI system partition");
    }
    rmt_records_append(all->esps, &found);
    const rmt_record_t *esp = rmt_records_at(all->esps, rmt_records_count(all->esps) - 1);
    const size_t count =
        rmt_layout_firmware_partitions(self->layout, volume->ordered, partitions);
    for (size_t i = 0; i < count; i++) {
        const rmt_work_disk_t *disk = rmt_work_disk_of(self, partitions[i]->disk);
        if (disk)
            s_add_entries(self, disk, partitions[i]->number, esp, all);
    }
    all->has_fallback = all->has_fallback || (*rmt_record_text(esp, "path", "") &&
                                              !rmt_record_is(esp, "fallback", "other"));
    return 0;
}

// A copy without a program of its own at the fallback path starts by its entries alone;
// for others a refusal is a warning.
static int
s_enter(rmt_work_t *self, all_t *all, rmt_error_t *error)
{
    uint16_t number = 0;
    rmt_error_t why = {0};
    diskw_order_entries(self->boot, all->entries, all->count);
    rmt_nvram_show();
    if (rmt_nvram_set(RMT_NVRAM_FOLDER, all->entries, all->count, &number, &why) != -1) {
        rmt_record_setf(self->report, "boot-entry", "Boot%04X", number);
        if (why.code)
            rmt_record_setf(self->report, "warning",
                            "the firmware starts another system than the copy's own "
                            "first: %s; choose the copy's in the firmware's menu once",
                            why.text);
        return 0;
    }
    if (!all->has_fallback)
        return rmt_fail(error, why.code,
                        "the copy starts by an entry of the firmware alone, which ramet "
                        "could not make: %s",
                        why.text);
    rmt_record_setf(self->report, "warning",
                    "ramet made no boot entry in the firmware: %s; the firmware can "
                    "start the disk by the fallback path",
                    why.text);
    return 0;
}

int
rmt_work_enter_firmware(rmt_work_t *self, rmt_error_t *error)
{
    rmt_auto(rmt_records) esps = rmt_records_new();
    all_t all = {.esps = esps};
    // A file that stands for a disk is not one of the computer's own.
    if (!self->is_machine || access(FIRMWARE, F_OK) == -1)
        return 0;
    for (size_t i = 0; i < self->volume_count; i++) {
        const rmt_work_volume_t *volume = &self->volumes[i];
        const rmt_work_disk_t *disk = rmt_work_disk_of(self, volume->ordered->disk);
        if (disk && rmt_work_is_vfat(volume) && volume->written &&
            rmt_layout_is_esp(self->layout, volume->ordered) &&
            s_take(self, volume, &all, error) == -1)
            return -1;
    }
    return all.count ? s_enter(self, &all, error) : 0;
}
