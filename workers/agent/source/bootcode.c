#include "agent/source/bootcode.h"
#include "base/rmt_auto.h"
#include "disk/rmt_boot_code.h"
#include "disk/rmt_esp.h"
#include "disk/rmt_nvram.h"
#include "base/rmt_io.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

// How the source can be started.
typedef struct {
    bool is_uefi, is_bios;
    bool is_alone; // By UEFI without an entry: its loader is at the fallback path
} s_ways_t;

// The trees of all EFI system partitions are looked at; one loader is enough.
static int
s_examine_esps(rmt_source_disk_t *disk, s_ways_t *ways, rmt_error_t *error)
{
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
        const bool is_loader = *rmt_record_text(esp, "path", "");
        ways->is_uefi |= is_loader;
        // An empty fallback path is filled on a copy, the one of Windows is not changed.
        ways->is_alone |= is_loader && !rmt_record_is(esp, "fallback", "other");
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
s_add_entries(rmt_source_disk_t *disk, rmt_records_t *boot, s_ways_t *ways)
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
        ways->is_uefi = true;
        count++;
    }
}

// What a disk is started by through a BIOS. Disks beside the one that is started may have
// any code, or none.
static int
s_read_code(rmt_source_disk_t *disk, rmt_records_t *boot, s_ways_t *ways,
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
        ways->is_bios |= is_grub;
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

static void
s_tell(const s_ways_t *ways, rmt_record_t *system)
{
    if (ways->is_uefi || ways->is_bios)
        rmt_record_setf(system, "boot-paths", "%s%s%s", ways->is_uefi ? "uefi" : "",
                        ways->is_uefi && ways->is_bios ? " " : "",
                        ways->is_bios ? "bios" : "");
    if (ways->is_uefi && !ways->is_alone)
        rmt_record_set(system, "boot-entries", "needed");
}

int
rmt_bootcode_read(rmt_source_disk_t *disk, rmt_records_t **boot_out, rmt_record_t *system,
                  rmt_error_t *error)
{
    rmt_auto(rmt_records) boot = rmt_records_new();
    const char *other = "";
    s_ways_t ways = {0};
    if (rmt_source_disk_fd(disk, 0) != -1) {
        if (s_examine_esps(disk, &ways, error) == -1 ||
            s_read_code(disk, boot, &ways, &other, error) == -1)
            return -1;
        s_add_entries(disk, boot, &ways);
    }
    if (*other && !ways.is_bios && !ways.is_uefi)
        return rmt_fail(
            error, RMT_E_UNSUPPORTED,
            "the boot code of the disk is %s, which is not supported; install GRUB",
            other);
    s_tell(&ways, system);
    *boot_out = rmt_take(&boot);
    return 0;
}
