// Subvolumes of a mounted btrfs. Needs root.
#include "tools/rmt_test.h"

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"
#include "disk/rmt_btrfs.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE ((off_t) 128 * 1024 * 1024)

static char *s_folder, *s_top;

static void
s_run(const char *const *words)
{
    rmt_error_t error = {0};
    RMT_OK(rmt_process_run(words, NULL, NULL, &error));
}

static int
s_setup(void **state)
{
    char path[] = "/var/tmp/ramet-btrfs-XXXXXX";
    (void) state;
    s_folder = rmt_text("%s", mkdtemp(path));
    s_top = rmt_text("%s/top", s_folder);
    rmt_auto_str disk = rmt_text("%s/disk", s_folder);
    rmt_auto_fd fd = open(disk, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, SIZE), 0);
    assert_int_equal(mkdir(s_top, 0700), 0);
    s_run((const char *const[]){"mkfs.btrfs", "-q", disk, NULL});
    s_run((const char *const[]){"mount", "-o", "loop", disk, s_top, NULL});
    return 0;
}

static int
s_teardown(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    (void) umount2(s_top, MNT_DETACH);
    const int rc = rmt_io_remove_tree(s_folder, &error);
    free(s_folder);
    free(s_top);
    return rc;
}

static void
s_make_folder(const char *path)
{
    rmt_error_t error = {0};
    rmt_auto_str full = rmt_text("%s/%s", s_folder, path);
    RMT_OK(rmt_io_mkdirs(full, 0755, &error));
}

static void
test_a_subvolume_takes_the_place_of_a_folder(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    s_make_folder("top/srv/data");
    s_make_folder("top/home");
    RMT_OK(rmt_btrfs_make(s_top, "srv/data", false, &error));
    RMT_OK(rmt_btrfs_make(s_top, "home", true, &error));
    rmt_auto(rmt_records) found = rmt_btrfs_list(s_top, &error);
    RMT_OK(found);
    assert_int_equal(rmt_records_count(found), 3);
    assert_non_null(rmt_records_find(found, "subvolume", "srv/data"));
    assert_true(rmt_record_flag(rmt_records_find(found, "subvolume", "home"), "default"));
}

// P22: the tree was written before, and may have a link where the layout has a folder.
static void
test_a_link_in_the_path_of_a_subvolume_leads_nowhere(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    s_make_folder("outside/data");
    s_make_folder("top/real");
    rmt_auto_str link = rmt_text("%s/link", s_top);
    rmt_auto_str outside = rmt_text("%s/outside", s_folder);
    rmt_auto_str kept = rmt_text("%s/data", outside);
    assert_int_equal(symlink(outside, link), 0);
    RMT_FAILS(rmt_btrfs_make(s_top, "link/data", false, &error), RMT_E_REFUSED);
    RMT_FAILS(rmt_btrfs_make(s_top, "real/../../outside/data", false, &error),
              RMT_E_REFUSED);
    assert_int_equal(access(kept, F_OK), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_subvolume_takes_the_place_of_a_folder),
        cmocka_unit_test(test_a_link_in_the_path_of_a_subvolume_leads_nowhere),
    };
    return cmocka_run_group_tests(tests, s_setup, s_teardown);
}
