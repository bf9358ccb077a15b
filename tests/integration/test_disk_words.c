// An error of a disk names the disk that a path is on, among those that the kernel shows:
// it is told in the sysfs of a made machine, which stands at /sys for a child of the
// test.
#include "tools/machine_tree.h"
#include "tools/rmt_child.h"
#include "tools/rmt_test.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "machine/rmt_inventory.h"

#define MACHINE                                                                          \
    "class=system arch=x86_64 kernel=6.1.0\n"                                            \
    "class=cpu vendor=GenuineIntel family=6 model=85 stepping=4 count=1\n"               \
    "class=memory mib=1024\n"                                                            \
    "class=pci slot=0000:00:17.0 id=8086:a282 type=010601 driver=ahci\n"                 \
    "class=disk name=sdq via=ata on=0000:00:17.0 at=0:0:0:0 ata=1 bytes=1073741824 "     \
    "sector=512 physical=512 model=M1 serial=S77\n"

static char s_tree[] = "/tmp/ramet-words-XXXXXX";

// Make the folder on which the files of a path are, below the disks of the tree, and have
// the device of the path lead there.
static int
s_lead(const char *path, const char *place)
{
    char disk[PATH_MAX];
    struct stat status;
    rmt_error_t error = {0};
    rmt_auto_str block = rmt_text("%s/sys/block/sdq", s_tree);
    rmt_auto_str folder = rmt_text("%s/sys/dev/block", s_tree);
    if (!realpath(block, disk) || stat(path, &status) == -1 ||
        rmt_io_mkdirs(folder, 0755, &error) == -1)
        return -1;
    rmt_auto_str link =
        rmt_text("%s/%u:%u", folder, major(status.st_dev), minor(status.st_dev));
    rmt_auto_str where =
        *place == '/' ? rmt_text("%s%s", s_tree, place) : rmt_text("%s/%s", disk, place);
    rmt_auto_str mark = rmt_text("%s/partition", where);
    (void) unlink(link);
    if (rmt_io_mkdirs(where, 0755, &error) == -1 ||
        (strcmp(place, "sdq1") == 0 && rmt_io_save(mark, "1\n", 2, 0644, &error) == -1))
        return -1;
    return symlink(where + strlen(s_tree), link);
}

// What is told of a path when its disk fails, in the sysfs of the tree. Caller owns.
static char *
s_told(const char *path, rmt_code_t code)
{
    int ends[2];
    rmt_error_t told = {0};
    fflush(NULL);
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        rmt_auto_str sys = rmt_text("%s/sys", s_tree);
        if (unshare(CLONE_NEWNS) == -1 ||
            mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
            mount(sys, "/sys", NULL, MS_BIND, NULL) == -1)
            rmt_child_end(1);
        rmt_fail(&told, code, "write x");
        const int rc = rmt_inventory_name_disk(path, &told);
        const bool is_out =
            write(ends[1], told.text, sizeof told.text) == sizeof told.text;
        rmt_child_end(rc == -1 && told.code == code && is_out ? 0 : 2);
    }
    int status = 0;
    close(ends[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(read(ends[0], told.text, sizeof told.text), sizeof told.text);
    close(ends[0]);
    return strdup(told.text);
}

static int
s_setup(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    return mkdtemp(s_tree) && machine_tree_make(s_tree, MACHINE, &error) == 0 ? 0 : -1;
}

static int
s_teardown(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    return rmt_io_remove_tree(s_tree, &error);
}

#define SAYS(path, words)                                                                \
    do {                                                                                 \
        rmt_auto_str told = s_told(path, RMT_E_DISK);                                    \
        assert_string_equal(told, words);                                                \
    } while (0)

// P5: who stands before the machine has to know which disk to pull.
static void
test_a_disk_that_fails_is_named_by_a_path_on_it(void **state)
{
    (void) state;
    const char *known = "disk sdq (pci-0000:00:17.0-ata-1, serial S77) fails: write x";
    assert_int_equal(s_lead(s_tree, "sdq1"), 0);
    SAYS(s_tree, known);
    assert_int_equal(s_lead(s_tree, ""), 0);
    SAYS(s_tree, known);
    assert_int_equal(s_lead(s_tree, "/sys/devices/virtual/block/dm-9"), 0);
    SAYS(s_tree, "disk dm-9 fails: write x");
}

static void
test_a_path_without_a_known_disk_is_told_by_itself(void **state)
{
    (void) state;
    SAYS("/proc", "the disk of /proc fails: write x");
    SAYS("/nowhere/at/all", "the disk of /nowhere/at/all fails: write x");
}

// Another fault than the disk's says nothing of a disk.
static void
test_a_fault_of_another_kind_names_no_disk(void **state)
{
    (void) state;
    assert_int_equal(s_lead(s_tree, "sdq1"), 0);
    rmt_auto_str told = s_told(s_tree, RMT_E_NO_SPACE);
    assert_string_equal(told, "write x");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_disk_that_fails_is_named_by_a_path_on_it),
        cmocka_unit_test(test_a_path_without_a_known_disk_is_told_by_itself),
        cmocka_unit_test(test_a_fault_of_another_kind_names_no_disk),
    };
    return cmocka_run_group_tests(tests, s_setup, s_teardown);
}
