#include "stage.h"
#include "tools/tree_lab.h"
#include "base/rmt_io.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const char *name;
    const char *mkfs[10];
    const char *size;
} s_kinds[STAGE_COUNT] = {
    [STAGE_EXT4] = {"ext4", {"mkfs.ext4", "-q", "-F", "-N", "120000"}, "900M"},
    [STAGE_XFS] = {"xfs", {"mkfs.xfs", "-q"}, "900M"},
    [STAGE_BTRFS] = {"btrfs", {"mkfs.btrfs", "-q"}, "900M"},
};

const char *
stage_name(stage_fs_t fs)
{
    return s_kinds[fs].name;
}

int
stage_mount(const char *const *mkfs, const char *type, const char *size,
            const char *options)
{
    char folder[] = "/var/tmp/ramet-stage-XXXXXX";
    assert_non_null(mkdtemp(folder));
    rmt_auto_str image = rmt_text("%s/image", folder);
    rmt_auto_str root = rmt_text("%s/root", folder);
    assert_int_equal(mkdir(root, 0755), 0);
    tree_lab_run("truncate", "-s", size, image);
    const char *words[16] = {0};
    size_t count = 0;
    while (mkfs[count] && count < 14) {
        words[count] = mkfs[count];
        count++;
    }
    words[count] = image;
    tree_lab_run_list(words);
    rmt_auto_str all = rmt_text("loop%s%s", options ? "," : "", options ? options : "");
    tree_lab_run("mount", "-t", type, "-o", all, image, root);
    const int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_not_equal(fd, -1);
    // The descriptor holds the mount, and that the file; no name is left behind.
    assert_int_equal(umount2(root, MNT_DETACH), 0);
    assert_int_equal(rmdir(root), 0);
    assert_int_equal(unlink(image), 0);
    assert_int_equal(rmdir(folder), 0);
    return fd;
}

static int
s_root(stage_fs_t fs, int which)
{
    static int roots[STAGE_COUNT][2];
    if (!roots[fs][which])
        roots[fs][which] =
            stage_mount(s_kinds[fs].mkfs, s_kinds[fs].name, s_kinds[fs].size, NULL);
    return roots[fs][which];
}

int
stage_source(stage_fs_t fs)
{
    return s_root(fs, 0);
}

int
stage_copy(stage_fs_t fs)
{
    return s_root(fs, 1);
}
