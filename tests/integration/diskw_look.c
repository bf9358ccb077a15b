#include "integration/diskw_look.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include "tools/rmt_test.h"
#include "agent/disk_tools/scratch.h"
#include "base/rmt_auto.h"
#include "disk/rmt_blockdev.h"
#include "disk/rmt_disk.h"
#include "disk/rmt_fs.h"
#include "tree/rmt_compare.h"
typedef struct {
    size_t differences; // But those of the first boot's own files
    char last[200];
} findings_t;

static void
s_find(void *context, const rmt_compare_finding_t *finding)
{
    findings_t *self = context;
    const bool is_own = strncmp(finding->path, "usr", 3) == 0 ||
                        strncmp(finding->path, "etc/systemd", 11) == 0 ||
                        strcmp(finding->path, "lost+found") == 0 ||
                        (strcmp(finding->what, "mtime") == 0 &&
                         (!*finding->path || strcmp(finding->path, "etc") == 0));
    self->differences += !is_own;
    if (!is_own)
        snprintf(self->last, sizeof self->last, "%.100s: %s", finding->path,
                 finding->what);
}

static void
s_compare(const char *tree_folder, const char *folder)
{
    rmt_error_t error = {0};
    rmt_auto_fd tree = open(tree_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rmt_auto_fd disk = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const rmt_compare_input_t expected = {.tree_fd = tree};
    const rmt_compare_input_t found = {.tree_fd = disk};
    findings_t findings = {0};
    const rmt_compare_options_t options = {.finding_fn = s_find, .context = &findings};
    rmt_compare_report_t report;
    RMT_OK(rmt_compare_run(&expected, &found, &options, &report, &error));
    assert_string_equal(findings.last, "");
    assert_int_equal(findings.differences, 0);
    struct stat status;
    assert_int_equal(fstatat(disk, "usr/lib/ramet/firstboot/key", &status, 0), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(fstatat(disk, "usr/lib/ramet/scripts/01-hello", &status, 0), 0);
    assert_int_equal(
        fstatat(disk, "etc/systemd/system/ramet-firstboot.service", &status, 0), 0);
}

void
diskw_look(const char *path, const char *tree, const rmt_layout_t *layout)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_layout) table = rmt_disk_read(path, "system", &error);
    RMT_OK(table);
    const rmt_layout_partition_t *partition = &table->partitions[0];
    assert_int_equal(strcasecmp(partition->guid, layout->partitions[0].guid), 0);
    rmt_auto(rmt_scratch) scratch = rmt_scratch_new(&error);
    RMT_OK(scratch);
    rmt_auto_str folder = rmt_scratch_folder(scratch, "disk", &error);
    rmt_auto(rmt_blockdev) disk = rmt_blockdev_new(path, RMT_BLOCKDEV_READ_ONLY, 512,
                                                   rmt_scratch_path(scratch), &error);
    RMT_OK(disk);
    rmt_auto_str device =
        rmt_blockdev_partition(disk, 1, partition->start, partition->size, &error);
    assert_non_null(device);
    RMT_OK(rmt_fs_mount(RMT_FS_EXT4, NULL, device, folder, true, &error));
    s_compare(tree, folder);
    RMT_OK(rmt_fs_unmount(folder, &error));
}
