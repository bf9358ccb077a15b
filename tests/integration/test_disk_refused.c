// What a disk or the kernel refuses is told with the disk's name and the step (M23).
#include "tools/refuse.h"
#include "tools/rmt_test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "disk/rmt_blockdev.h"
#include "disk/rmt_disk.h"
#include "facts/rmt_facts.h"
#include "facts/rmt_layout.h"

#define BYTES ((off_t) 64 * 1024 * 1024)
#define LAYOUT(sector, size)                                                             \
    "class=disk role=system table=dos logical-sector=" sector " bytes=67108864\n"        \
    "class=partition disk=system number=1 start=2048 size=" size " type=83\n"

typedef struct {
    char path[32];          // A file as a disk
    rmt_blockdev_t *device; // It behind a loop device
    const char *layout;
} scene_t;

typedef struct {
    refusal_t refusal;
    rmt_code_t code;
    const char *text;
} row_t;

#define CODE(code_, request_)                                                            \
    {                                                                                    \
        SYS_ioctl, (code_), 1, UINT32_MAX, (uint32_t) (request_)                         \
    }

static int
s_setup(void **state)
{
    static scene_t scene;
    rmt_error_t error = {0};
    scene =
        (scene_t){.path = "/tmp/ramet-refused-XXXXXX", .layout = LAYOUT("512", "4096")};
    rmt_auto_fd fd = mkstemp(scene.path);
    if (fd == -1 || ftruncate(fd, BYTES) == -1)
        return -1;
    scene.device = rmt_blockdev_new(scene.path, 0, 512, "/dev", &error);
    *state = &scene;
    return scene.device ? 0 : -1;
}

static int
s_teardown(void **state)
{
    scene_t *scene = *state;
    rmt_blockdev_destroy(&scene->device);
    return unlink(scene->path);
}

static void
s_try(scene_t *scene, int (*act)(void *, rmt_error_t *), const row_t *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        rmt_error_t error = {0};
        const int rc = refuse_in_child(&rows[i].refusal, 1, act, scene, &error);
        if (rc == 0 || error.code != rows[i].code || !strstr(error.text, rows[i].text))
            fail_msg("'%s' is not said, but %d, %s: %s", rows[i].text, rc,
                     rmt_code_name(error.code), error.text);
    }
}

#define TRY(act, ...)                                                                    \
    do {                                                                                 \
        static const row_t rows_[] = {__VA_ARGS__};                                      \
        s_try(*state, act, rows_, sizeof rows_ / sizeof *rows_);                         \
    } while (0)

// ---- A file as a disk

static int
s_attach(void *context, rmt_error_t *error)
{
    const scene_t *scene = context;
    rmt_auto(rmt_blockdev) device = rmt_blockdev_new(scene->path, 0, 512, "/dev", error);
    return device ? 0 : -1;
}

static void
test_a_file_that_cannot_be_a_disk_is_told(void **state)
{
    TRY(s_attach, {CODE(EPERM, LOOP_CONFIGURE), RMT_E_IO, "attach /dev/loop"},
        {CODE(EIO, BLKGETSIZE64), RMT_E_DISK, "size of /dev/loop"},
        {{SYS_newfstatat, EACCES, 3, AT_EMPTY_PATH, 0}, RMT_E_IO, "/tmp/ramet-refused-"});
    rmt_error_t error = {0};
    RMT_FAILS(rmt_blockdev_new("/nowhere", 0, 512, "/dev", &error), RMT_E_NOT_FOUND);
    RMT_FAILS(rmt_blockdev_new("/dev/null", 0, 512, "/dev", &error), RMT_E_UNSUPPORTED);
    assert_non_null(strstr(error.text, "/dev/null"));
}

// ---- A device

static int
s_open_device(void *context, rmt_error_t *error)
{
    const scene_t *scene = context;
    rmt_auto(rmt_blockdev) device =
        rmt_blockdev_new(rmt_blockdev_path(scene->device), 0, 512, "/dev", error);
    return device ? 0 : -1;
}

static void
test_a_device_that_is_held_is_told_and_a_free_one_is_opened(void **state)
{
    const scene_t *scene = *state;
    rmt_error_t error = {0};
    RMT_OK(s_open_device(*state, &error));
    rmt_auto_fd alone =
        open(rmt_blockdev_path(scene->device), O_RDWR | O_EXCL | O_CLOEXEC);
    assert_int_not_equal(alone, -1);
    RMT_FAILS(s_open_device(*state, &error), RMT_E_REFUSED);
    assert_non_null(strstr(error.text, rmt_blockdev_path(scene->device)));
}

static int
s_partition(void *context, rmt_error_t *error)
{
    const scene_t *scene = context;
    rmt_auto_str node = rmt_blockdev_partition(scene->device, 1, 2048, 4096, error);
    return node ? 0 : -1;
}

static void
test_a_partition_that_the_kernel_refuses_is_told(void **state)
{
    const scene_t *scene = *state;
    TRY(s_partition, {CODE(EPERM, BLKPG), RMT_E_IO, "partition 1 of /dev/loop"});
    static const struct {
        uint32_t number;
        uint64_t start, size;
    } rows[] = {{0, 2048, 1}, {1, 1u << 30, 1}, {1, 2048, 1u << 30}, {100000, 2048, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto_str node = rmt_blockdev_partition(scene->device, rows[i].number,
                                                   rows[i].start, rows[i].size, &error);
        RMT_FAILS(node, RMT_E_USAGE);
        assert_non_null(strstr(error.text, "would lie outside /dev/loop"));
    }
}

static int
s_flush(void *context, rmt_error_t *error)
{
    const scene_t *scene = context;
    return rmt_blockdev_flush(scene->device, error);
}

static void
test_a_disk_that_does_not_keep_what_was_written_is_told(void **state)
{
    rmt_error_t error = {0};
    TRY(s_flush, {{SYS_fsync, EIO, 0, 0, 0}, RMT_E_DISK, "flush /dev/loop"},
        {CODE(EIO, BLKFLSBUF), RMT_E_DISK, "flush /dev/loop"});
    RMT_OK(s_flush(*state, &error));
}

// ---- Tables

static int
s_write_table(void *context, rmt_error_t *error)
{
    const scene_t *scene = context;
    rmt_auto(rmt_records) records = rmt_facts_parse(scene->layout, error);
    rmt_auto(rmt_layout) layout = rmt_layout_read(records, error);
    if (!layout)
        return -1;
    rmt_auto(rmt_layout) written =
        rmt_disk_write(rmt_blockdev_path(scene->device), layout, 0, error);
    return written ? 0 : -1;
}

static void
test_a_table_that_cannot_be_written_is_told(void **state)
{
    scene_t *scene = *state;
    TRY(s_write_table, {CODE(EIO, BLKGETSIZE64), RMT_E_DISK, "/dev/loop"},
        {{SYS_fsync, EIO, 0, 0, 0}, RMT_E_DISK, "/dev/loop"},
        {{SYS_newfstatat, EIO, 3, AT_EMPTY_PATH, AT_EMPTY_PATH},
         RMT_E_DISK,
         "/dev/loop"});
    rmt_error_t error = {0};
    RMT_OK(s_write_table(scene, &error));
    scene->layout = LAYOUT("4096", "4096");
    RMT_FAILS(s_write_table(scene, &error), RMT_E_INCOMPATIBLE);
    assert_non_null(strstr(error.text, "sectors of"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_file_that_cannot_be_a_disk_is_told),
        CASE(test_a_device_that_is_held_is_told_and_a_free_one_is_opened),
        CASE(test_a_partition_that_the_kernel_refuses_is_told),
        CASE(test_a_disk_that_does_not_keep_what_was_written_is_told),
        CASE(test_a_table_that_cannot_be_written_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
