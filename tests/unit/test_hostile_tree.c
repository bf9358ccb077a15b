// A foreign tree in which something else lies where a file is read: nothing hangs, no
// device or FIFO is opened, nothing of this machine is read, and a huge file is left
// alone.
#include "tools/refuse_each.h"
#include "tools/rmt_test.h"
#include "tools/root_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "agent/diskw/work.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "disk/rmt_esp.h"
#include "kernel/rmt_kernel.h"
#include "system/rmt_os.h"
#include "system/rmt_personal.h"

#define LIMIT_S 20
#define HUGE_SIZE ((off_t) 1 << 40)
#define MODULES "usr/lib/modules/6.1.0-1-amd64/"
#define OUTSIDE "/tmp/test-hostile-outside"

// Each file that capture, match, configure, boot and the first boot read.
static const char *const s_paths[] = {
    "etc/fstab",
    "etc/crypttab",
    "etc/hostname",
    "etc/hosts",
    "etc/mailname",
    "etc/os-release",
    "usr/lib/os-release",
    "etc/machine-id",
    "var/lib/dbus/machine-id",
    "etc/passwd",
    "etc/shadow",
    "etc/group",
    "etc/resolv.conf",
    "etc/network/interfaces",
    "etc/network/interfaces.d/eth0",
    "etc/netplan/50-cloud-init.yaml",
    "etc/NetworkManager/system-connections/a.nmconnection",
    "etc/systemd/network/10-a.network",
    "etc/systemd/system/multi-user.target.wants/networking.service",
    "etc/cloud/cloud.cfg",
    "etc/inittab",
    "etc/init.d/rcS",
    "sbin/init",
    "usr/lib/systemd/systemd",
    "etc/udev/rules.d/70-persistent-net.rules",
    "var/lib/systemd/random-seed",
    "var/lib/dhcp/dhclient.eth0.leases",
    "var/lib/dpkg/status",
    "etc/modprobe.d/a.conf",
    "vmlinuz",
    "boot/vmlinuz-6.1.0-1-amd64",
    "boot/initrd.img-6.1.0-1-amd64",
    "boot/grub/grubenv",
    "boot/grub2/grubenv",
    "boot/loader/entries/a.conf",
    "EFI/BOOT/BOOTX64.EFI",
    "EFI/debian/shimx64.efi",
    "EFI/debian/grubx64.efi",
    MODULES "modules.alias",
    MODULES "modules.dep",
    MODULES "modules.builtin",
    MODULES "modules.builtin.modinfo",
    MODULES "modules.order",
    MODULES "modules.softdep",
};

// ---- What lies there

static void
s_make_fifo(const char *path)
{
    assert_int_equal(mkfifo(path, 0644), 0);
}

// Null: if it were opened after all, nothing would break.
static void
s_make_device(const char *path)
{
    assert_int_equal(mknod(path, S_IFCHR | 0644, makedev(1, 3)), 0);
}

static void
s_make_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    rmt_auto_fd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *) &address, sizeof address), 0);
}

static void
s_make_link(const char *path)
{
    assert_int_equal(symlink(OUTSIDE, path), 0);
}

static void
s_make_climbing_link(const char *path)
{
    assert_int_equal(symlink("../../../../../../../../.." OUTSIDE, path), 0);
}

static void
s_make_folder(const char *path)
{
    assert_int_equal(mkdir(path, 0755), 0);
}

static void
s_make_huge(const char *path)
{
    rmt_auto_fd fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    assert_int_equal(ftruncate(fd, HUGE_SIZE), 0);
}

typedef struct {
    const char *name;
    void (*make)(const char *path);
    uint32_t refused; // What must not happen to it, or to what it points to
} plant_t;

static const plant_t s_plants[] = {
    {"a FIFO", s_make_fifo, IN_OPEN},
    {"a device", s_make_device, IN_OPEN},
    {"a socket", s_make_socket, IN_OPEN},
    {"a link to this machine", s_make_link, IN_OPEN},
    {"a link that climbs", s_make_climbing_link, IN_OPEN},
    {"a folder", s_make_folder, IN_MOVE_SELF}, // It may be listed
    {"a huge file", s_make_huge, IN_ACCESS},
};

// ---- Who reads

static int
s_take_kernel_file(void *context, const char *name, const void *data, size_t size,
                   rmt_error_t *error)
{
    (void) context;
    (void) name;
    (void) data;
    (void) size;
    (void) error;
    return 0;
}

static void
s_read_kernel(int root)
{
    rmt_error_t ignored = {0};
    rmt_auto(rmt_record) kernel = NULL;
    const rmt_kernel_tree_t tree = {.mount = "/", .fd = root};
    (void) rmt_kernel_read(&tree, 1, s_take_kernel_file, NULL, &kernel, &ignored);
}

static void
s_plan(int root)
{
    rmt_error_t ignored = {0};
    rmt_auto(rmt_record) target = rmt_record_new();
    rmt_record_set(target, "class", "target");
    rmt_record_set(target, "name", "n1");
    rmt_record_set(target, "address", "10.0.0.7/24");
    rmt_auto(rmt_records) actions = NULL;
    (void) rmt_personal_plan(root, target, &actions, &ignored);
    if (!actions)
        actions = rmt_records_new();
    rmt_auto(rmt_records) files = rmt_records_new();
    (void) rmt_personal_first_boot(root, "/usr/lib/ramet/firstboot/run", files, actions,
                                   &ignored);
    rmt_work_t work = {.layout = rmt_layout_new()};
    (void) rmt_work_plan_mounts(&work, root, actions, &ignored);
    rmt_layout_destroy(&work.layout);
}

static void
s_read_all(int root)
{
    rmt_error_t ignored = {0};
    rmt_auto(rmt_records) os = NULL;
    rmt_auto(rmt_record) esp = NULL;
    (void) rmt_os_examine(root, &os, &ignored);
    s_read_kernel(root);
    s_plan(root);
    (void) rmt_esp_examine(root, &esp, &ignored);
    if (esp)
        (void) rmt_esp_complete(root, esp, &ignored);
    for (size_t i = 0; i < sizeof s_paths / sizeof *s_paths; i++) {
        rmt_auto_str text = NULL;
        (void) rmt_rooted_load(root, s_paths[i], &text, NULL, &ignored);
        free(rmt_rooted_list(root, s_paths[i]));
        (void) rmt_rooted_count(root, s_paths[i]);
    }
}

// ---- Cases

// What lies there in a tree that means no harm.
static void
s_put(const char *path)
{
    static const struct {
        const char *path, *text;
    } rows[] = {{"usr/lib/os-release", "ID=debian\nVERSION_ID=\"12\"\n"},
                {"etc/network/interfaces", "auto eth0\niface eth0 inet dhcp\n"}};
    const char *text = "#\n";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].path, path) == 0)
            text = rows[i].text;
    root_tree_put(path, text);
}

static void
s_fill(void)
{
    for (size_t i = 0; i < sizeof s_paths / sizeof *s_paths; i++)
        s_put(s_paths[i]);
    root_tree_link("lib", "usr/lib");
    root_tree_put("usr/sbin/ifup", "");
}

static char *
s_full(const char *path)
{
    return rmt_text("%s/%s", root_tree_path(), path);
}

static void
s_plant_at(const plant_t *plant, const char *path, int watch)
{
    rmt_auto_str full = s_full(path);
    (void) unlink(full);
    plant->make(full);
    assert_int_not_equal(inotify_add_watch(watch, full, plant->refused), -1);
}

static void
s_expect_untouched(int watch, const plant_t *plant, const char *path)
{
    char events[4096];
    if (read(watch, events, sizeof events) != -1)
        fail_msg("%s at %s was touched", plant->name, path);
    assert_int_equal(errno, EAGAIN);
}

// P22
static void
test_nothing_but_a_file_is_opened_in_a_foreign_tree(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    RMT_OK(rmt_io_save(OUTSIDE, "outside", 7, 0644, &error));
    s_fill();
    for (size_t i = 0; i < sizeof s_plants / sizeof *s_plants; i++)
        for (size_t k = 0; k < sizeof s_paths / sizeof *s_paths; k++) {
            const plant_t *plant = &s_plants[i];
            rmt_auto_fd watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
            s_plant_at(plant, s_paths[k], watch);
            alarm(LIMIT_S); // Its end shows a reader that waits
            s_read_all(root_tree_fd());
            alarm(0);
            s_expect_untouched(watch, plant, s_paths[k]);
            rmt_auto_str full = s_full(s_paths[k]);
            assert_int_equal(remove(full), 0);
            s_put(s_paths[k]);
        }
    (void) unlink(OUTSIDE);
}

// P22: what is written in place of a device does not open it first.
static void
test_what_is_replaced_is_not_opened(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    const struct stat owner = {.st_mode = 0644};
    for (size_t i = 0; i < 3; i++) {
        rmt_auto_fd watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        root_tree_put("etc/hostname", "");
        s_plant_at(&s_plants[i], "etc/hostname", watch);
        RMT_OK(
            rmt_rooted_write(root_tree_fd(), "etc/hostname", "n1\n", 3, &owner, &error));
        char events[4096];
        const ssize_t size = read(watch, events, sizeof events);
        const struct inotify_event *event = (const struct inotify_event *) events;
        if (size > 0 && (event->mask & IN_OPEN))
            fail_msg("%s was opened", s_plants[i].name);
        root_tree_expect("etc/hostname", "n1\n");
    }
}

// A table that is there and cannot be read is not one that needs no change.
static void
test_a_table_that_is_too_large_is_not_left_as_it_is(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_work_t work = {.layout = rmt_layout_new()};
    rmt_auto(rmt_records) actions = rmt_records_new();
    root_tree_put("etc/fstab", "");
    RMT_OK(rmt_work_plan_mounts(&work, root_tree_fd(), actions, &error));
    rmt_auto_str path = s_full("etc/fstab");
    assert_int_equal(truncate(path, (off_t) 2 * 1024 * 1024), 0);
    RMT_FAILS(rmt_work_plan_mounts(&work, root_tree_fd(), actions, &error),
              RMT_E_TOO_BIG);
    rmt_layout_destroy(&work.layout);
}

// The table is too large, so a plan that succeeds has not seen it.
static int
s_plan_large_table(void *context, rmt_error_t *error)
{
    const rmt_work_t *work = context;
    rmt_auto(rmt_records) actions = rmt_records_new();
    if (rmt_work_plan_mounts(work, root_tree_fd(), actions, error) == 0)
        return rmt_fail(error, RMT_E_INTERNAL, "nothing is said");
    return error->code == RMT_E_TOO_BIG ? 0 : -1;
}

// One failed call does not hide a table.
static void
test_a_table_that_cannot_be_looked_at_is_told(void **state)
{
    (void) state;
    rmt_work_t work = {.layout = rmt_layout_new()};
    const refuse_each_t each = {
        .calls = refuse_each_files,
        .count = refuse_each_files_count,
        .code = EIO,
        .act = s_plan_large_table,
        .after = refuse_each_assert_told,
        .context = &work,
    };
    root_tree_put("etc/fstab", "");
    rmt_auto_str path = s_full("etc/fstab");
    assert_int_equal(truncate(path, (off_t) 2 * 1024 * 1024), 0);
    assert_in_range(refuse_each(&each), 3, 100);
    rmt_layout_destroy(&work.layout);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_nothing_but_a_file_is_opened_in_a_foreign_tree, root_tree_setup,
            root_tree_teardown),
        cmocka_unit_test_setup_teardown(test_what_is_replaced_is_not_opened,
                                        root_tree_setup, root_tree_teardown),
        cmocka_unit_test_setup_teardown(
            test_a_table_that_is_too_large_is_not_left_as_it_is, root_tree_setup,
            root_tree_teardown),
        cmocka_unit_test_setup_teardown(test_a_table_that_cannot_be_looked_at_is_told,
                                        root_tree_setup, root_tree_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
