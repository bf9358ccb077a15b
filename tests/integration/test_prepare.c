// An agent finds the disks of an order among real devices, or says why not (P7).
#include "tools/refuse.h"
#include "tools/refuse_each.h"
#include "tools/rmt_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/install/prepare.h"
#include "agent/source/default_layout.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "disk/rmt_blockdev.h"

#define BYTES ((uint64_t) 600 * 1024 * 1024)

typedef struct {
    char path[32]; // A file as large as the disk
    rmt_order_t *order;
    rmt_records_t *hardware; // With the disk S1
    const char *disk;        // What stands for the disk
} scene_t;

static void
s_choose(rmt_order_t *order, const char *role, const char *disk)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_record) choice = rmt_record_new();
    rmt_record_set(choice, "class", "choice");
    rmt_record_set(choice, "role", role);
    rmt_record_set(choice, "disk", disk);
    rmt_record_set_u64(choice, "bytes", BYTES);
    RMT_OK(rmt_order_add_choice(order, choice, &error));
}

static int
s_setup(void **state)
{
    static scene_t scene;
    scene = (scene_t){.path = "/tmp/ramet-prepare-XXXXXX", .disk = scene.path};
    rmt_auto_fd fd = mkstemp(scene.path);
    if (fd == -1 || ftruncate(fd, (off_t) BYTES) == -1)
        return -1;
    const rmt_id_t image = {{RMT_ID_SHA256}};
    scene.order = rmt_order_new(&image, "n1", "paris");
    rmt_layout_destroy(&scene.order->layout);
    scene.order->layout = rmt_default_layout_new("golden", NULL);
    rmt_default_layout_settle(scene.order->layout);
    s_choose(scene.order, "system", "S1");
    scene.hardware = rmt_records_new();
    rmt_record_t *disk = rmt_records_add(scene.hardware);
    rmt_record_set(disk, "class", "disk");
    rmt_record_set(disk, "serial", "S1");
    *state = &scene;
    return 0;
}

static int
s_teardown(void **state)
{
    scene_t *scene = *state;
    rmt_order_destroy(&scene->order);
    rmt_records_destroy(&scene->hardware);
    return unlink(scene->path);
}

static int
s_prepare(void *context, rmt_error_t *error)
{
    const scene_t *scene = context;
    rmt_record_set(rmt_records_at(scene->hardware, 0), "name", scene->disk);
    rmt_auto(rmt_records) disks = rmt_prepare_disks(scene->order, scene->hardware, error);
    return disks ? 0 : -1;
}

static void
test_a_device_is_found_by_its_name_and_has_no_inode(void **state)
{
    scene_t *scene = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_blockdev) device = rmt_blockdev_new(scene->path, 0, 512, "/dev", &error);
    RMT_OK(device);
    const char *path = rmt_blockdev_path(device);
    rmt_record_set(rmt_records_at(scene->hardware, 0), "name", strrchr(path, '/') + 1);
    rmt_auto(rmt_records) disks =
        rmt_prepare_disks(scene->order, scene->hardware, &error);
    RMT_OK(disks);
    const rmt_record_t *disk = rmt_records_at(disks, 0);
    assert_string_equal(rmt_record_text(disk, "path", ""), path);
    assert_false(rmt_record_has(disk, "inode"));
}

// What a system has started on a disk by itself holds it like this program does here.
static void
test_m33_a_disk_in_use_is_refused_before_arm(void **state)
{
    scene_t *scene = *state;
    rmt_error_t error = {0};
    rmt_auto(rmt_blockdev) device = rmt_blockdev_new(scene->path, 0, 512, "/dev", &error);
    RMT_OK(device);
    scene->disk = strrchr(rmt_blockdev_path(device), '/') + 1;
    rmt_auto_fd held = open(rmt_blockdev_path(device), O_RDONLY | O_EXCL | O_CLOEXEC);
    assert_int_not_equal(held, -1);
    RMT_FAILS(s_prepare(scene, &error), RMT_E_REFUSED);
    assert_non_null(strstr(error.text, "is in use: it is mounted, or a program"));
    close(rmt_take_fd(&held));
    RMT_OK(s_prepare(scene, &error));
}

static void
test_a_file_is_named_by_its_inode(void **state)
{
    const scene_t *scene = *state;
    rmt_error_t error = {0};
    rmt_record_set(rmt_records_at(scene->hardware, 0), "name", scene->path);
    rmt_auto(rmt_records) disks =
        rmt_prepare_disks(scene->order, scene->hardware, &error);
    RMT_OK(disks);
    assert_true(rmt_record_has(rmt_records_at(disks, 0), "inode"));
}

// A disk that tells no serial could be any disk.
static void
test_a_disk_without_an_identity_is_never_taken(void **state)
{
    scene_t *scene = *state;
    rmt_error_t error = {0};
    rmt_record_remove(rmt_records_at(scene->hardware, 0), "serial");
    scene->order->choices[0].disk[0] = '\0';
    RMT_FAILS(s_prepare(scene, &error), RMT_E_INCOMPATIBLE);
    assert_non_null(strstr(error.text, "this machine has no disk ''"));
    // Nor one that answers to the empty word.
    rmt_auto(rmt_records) nameless = rmt_records_new();
    rmt_record_set(rmt_records_add(nameless), "class", "disk");
    assert_null(rmt_prepare_disks(scene->order, nameless, &error));
    assert_non_null(strstr(error.text, "this machine has no disk ''"));
}

// The inventory of a machine tells more than disks, and serials of more than disks.
static void
test_what_is_no_disk_is_never_taken_for_one(void **state)
{
    scene_t *scene = *state;
    rmt_error_t error = {0};
    rmt_record_t *other = rmt_records_add(scene->hardware);
    rmt_record_set(other, "class", "system");
    rmt_record_set(other, "serial", "S1");
    scene->disk = scene->path;
    RMT_OK(s_prepare(scene, &error));
    rmt_record_set(rmt_records_at(scene->hardware, 0), "class", "system");
    RMT_FAILS(s_prepare(scene, &error), RMT_E_INCOMPATIBLE);
    assert_non_null(strstr(error.text, "this machine has no disk 'S1'"));
}

static void
test_a_disk_is_not_taken_for_two_roles(void **state)
{
    scene_t *scene = *state;
    rmt_error_t error = {0};
    s_choose(scene->order, "data", "S1");
    RMT_FAILS(s_prepare(scene, &error), RMT_E_INCOMPATIBLE);
    assert_non_null(strstr(error.text, "for two roles"));
}

static void
test_a_disk_that_cannot_be_opened_is_named(void **state)
{
    scene_t *scene = *state;
    rmt_error_t error = {0};
    scene->disk = "/nowhere";
    RMT_FAILS(s_prepare(scene, &error), RMT_E_NOT_FOUND);
    assert_non_null(strstr(error.text, "open disk /nowhere"));
    // Its status is asked for by its path, after it was opened.
    const refusal_t refusal = {SYS_newfstatat, EIO, 3, AT_EMPTY_PATH, 0};
    scene->disk = scene->path;
    RMT_FAILS(refuse_in_child(&refusal, 1, s_prepare, scene, &error), RMT_E_DISK);
    assert_non_null(strstr(error.text, scene->path));
}

// The layers of an order, in the default layout.
static void
s_add_array(rmt_layout_t *layout)
{
    rmt_layout_add_array(layout, "a1b2c3d40102030405060708090a0b0c");
}

static rmt_layout_logical_t *
s_add_logical(rmt_layout_t *layout)
{
    (void) rmt_layout_add_group(layout, "vg");
    rmt_layout_logical_t *logical = rmt_layout_add_logical(layout, 0);
    logical->partition = 1;
    return logical;
}

static void
s_add_linear(rmt_layout_t *layout)
{
    (void) s_add_logical(layout);
}

static void
s_add_raid(rmt_layout_t *layout)
{
    strcpy(s_add_logical(layout)->raid, "raid1");
}

static void
s_add_stripes(rmt_layout_t *layout)
{
    (void) s_add_logical(layout);
    for (size_t i = 0; i < 2; i++) {
        rmt_layout_piece_t *piece = rmt_layout_add_piece(layout, 0);
        piece->partition = 1;
        piece->chunk = 65536;
    }
}

static void
s_add_pieces(rmt_layout_t *layout)
{
    (void) s_add_logical(layout);
    for (size_t i = 0; i < 2; i++)
        rmt_layout_add_piece(layout, 0)->partition = 1 + i;
}

// Some layers are written by FUSE: a kernel without it is told before the disk is erased.
static void
test_a_kernel_without_fuse_takes_no_layer_that_needs_it(void **state)
{
    static const struct {
        void (*add)(rmt_layout_t *layout);
        bool needs_fuse;
    } rows[] = {{s_add_array, true},
                {s_add_linear, false},
                {s_add_raid, true},
                {s_add_stripes, true},
                {s_add_pieces, true}};
    const refusal_t refusal = {SYS_openat, ENOENT, 2, ~0u, O_RDWR | O_CLOEXEC};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        scene_t *scene = *state;
        rmt_error_t error = {0};
        scene->disk = scene->path;
        rows[i].add(scene->order->layout);
        RMT_OK(s_prepare(scene, &error));
        const int rc = refuse_in_child(&refusal, 1, s_prepare, scene, &error);
        const bool is_told = rc == -1 && strstr(error.text, "modprobe fuse");
        if (is_told !=
            rows[i].needs_fuse) // The table is tried with a file that fails too
            fail_msg("row %zu: %d '%s'", i, rc, error.text);
        assert_int_equal(s_teardown(state), 0);
        assert_int_equal(s_setup(state), 0);
    }
}

static void
test_m33_a_kernel_without_the_file_system_is_told_before_arm(void **state)
{
    scene_t *scene = *state;
    rmt_error_t error = {0};
    scene->disk = scene->path;
    const refusal_t unknown = {SYS_fsopen, ENODEV, 0, 0, 0};
    RMT_FAILS(refuse_in_child(&unknown, 1, s_prepare, scene, &error), RMT_E_UNSUPPORTED);
    assert_non_null(strstr(error.text, "has no driver for ext4, and loads none"));
    // An older kernel, which does not have the call, tells nothing.
    const refusal_t older = {SYS_fsopen, ENOSYS, 0, 0, 0};
    RMT_OK(refuse_in_child(&older, 1, s_prepare, scene, &error));
}

// Whatever fails while a disk is looked at is told, and the target is not armed.
static void
test_no_failed_call_is_passed_over(void **state)
{
    // Of the rehearsal of its table and file systems, integration.disk_each has all.
    static const long calls[] = {SYS_newfstatat, SYS_access, SYS_openat, SYS_ioctl};
    const refuse_each_t each = {
        .calls = calls,
        .count = sizeof calls / sizeof *calls,
        .code = EIO,
        .only_own = true,
        .act = s_prepare,
        .after = refuse_each_assert_told,
        .context = *state,
    };
    assert_in_range(refuse_each(&each), 5, 200);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_device_is_found_by_its_name_and_has_no_inode),
        CASE(test_m33_a_disk_in_use_is_refused_before_arm),
        CASE(test_a_file_is_named_by_its_inode),
        CASE(test_a_disk_without_an_identity_is_never_taken),
        CASE(test_what_is_no_disk_is_never_taken_for_one),
        CASE(test_a_disk_is_not_taken_for_two_roles),
        CASE(test_a_disk_that_cannot_be_opened_is_named),
        CASE(test_a_kernel_without_fuse_takes_no_layer_that_needs_it),
        CASE(test_m33_a_kernel_without_the_file_system_is_told_before_arm),
        CASE(test_no_failed_call_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
