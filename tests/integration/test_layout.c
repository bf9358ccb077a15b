// The disk of a running source: its table, its volumes through its own mounts, subvolumes
// and what is not mounted through mounts of the agent (M4). Needs root.
#include "tools/rmt_test.h"

#include "agent/agent.h"
#include "agent/disk_tools/fstab.h"
#include "agent/source/bootcode.h"
#include "agent/source/source_disk.h"
#include "base/rmt_auto.h"
#include "disk/rmt_blockdev.h"
#include "disk/rmt_disk.h"
#include "facts/rmt_facts.h"
#include "disk/rmt_fs.h"
#include "disk/rmt_nvram.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"
#include "agent/source/snapshot.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define MIB ((uint64_t) 1024 * 1024)
#define LINUX "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
#define ESP "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
#define ESP_GUID "0F3B1A2C-0000-4000-8000-0000000000AB"
#define UUID "0f3b1a2c-0000-4000-8000-0000000000b1"

static const char s_table[] =
    "class=disk role=system table=gpt logical-sector=512 "
    "guid=0F3B1A2C-0000-4000-8000-0000000000AA\n"
    "class=partition disk=system number=1 start=2048 size=65536 type=" ESP
    " guid=" ESP_GUID "\n"
    "class=partition disk=system number=2 start=67584 size=409600 type=" LINUX "\n"
    "class=partition disk=system number=3 start=477184 size=16384 type=" LINUX "\n";

typedef struct {
    char folder[64];
    char *disk, *root;
    rmt_blockdev_t *device;
    rmt_error_t error;
} bench_t;

#define assert_ok(call)                                                                  \
    do {                                                                                 \
        if ((call) == -1)                                                                \
            fail_msg("%s: %s", #call, self->error.text);                                 \
    } while (0)

static void
s_run(bench_t *self, const char *one, const char *two, const char *three,
      const char *four)
{
    const char *const words[] = {one, two, three, four, NULL};
    assert_ok(rmt_process_run(words, NULL, NULL, &self->error));
}

static char *
s_partition(bench_t *self, uint32_t number, uint64_t start, uint64_t size)
{
    char *node = rmt_blockdev_partition(self->device, number, start, size, &self->error);
    if (!node)
        fail_msg("%s", self->error.text);
    return node;
}

static void
s_put(bench_t *self, const char *path, const char *text)
{
    rmt_auto_str full = rmt_text("%s/%s", self->root, path);
    rmt_auto_str folder = rmt_text("%s", full);
    *strrchr(folder, '/') = '\0';
    assert_ok(rmt_io_mkdirs(folder, 0755, &self->error));
    assert_ok(rmt_io_save(full, text, strlen(text), 0644, &self->error));
}

// btrfs with @ on / and @home, an EFI partition that fstab leaves alone, an ext4 that it
// does not know.
static void
s_make_system(bench_t *self)
{
    rmt_auto_str esp = s_partition(self, 1, 2048, 65536);
    rmt_auto_str btrfs = s_partition(self, 2, 67584, 409600);
    rmt_auto_str ext = s_partition(self, 3, 477184, 16384);
    rmt_auto_str at = rmt_text("%s/@", self->root);
    rmt_auto_str home = rmt_text("%s/@home", self->root);
    s_run(self, "mkfs.vfat", esp, NULL, NULL);
    const char *const mmd[] = {"env", "LC_ALL=C.UTF-8",          "mmd", "-i",
                               esp,   "::/gr\xc3\xbcner Ordner", NULL};
    assert_ok(rmt_process_run(mmd, NULL, NULL, &self->error));
    s_run(self, "mkfs.btrfs", "-q", "-U" UUID, btrfs);
    s_run(self, "mkfs.ext4", "-q", ext, NULL);
    assert_int_equal(mount(btrfs, self->root, "btrfs", 0, NULL), 0);
    s_run(self, "btrfs", "subvolume", "create", at);
    s_run(self, "btrfs", "subvolume", "create", home);
    assert_int_equal(umount(self->root), 0);
    assert_int_equal(mount(btrfs, self->root, "btrfs", 0, "subvol=@"), 0);
    s_put(self, "etc/fstab",
          "UUID=" UUID " / btrfs subvol=@ 0 1\nUUID=" UUID
          " /home btrfs subvol=@home 0 2\n");
    s_put(self, "home/hidden", "below the mount");
    rmt_auto_str point = rmt_text("%s/home", self->root);
    assert_int_equal(mount(btrfs, point, "btrfs", 0, "subvol=@home"), 0);
    s_put(self, "home/user/file", "text");
}

static int
s_setup(void **state)
{
    bench_t *self = calloc(1, sizeof *self);
    snprintf(self->folder, sizeof self->folder, "/tmp/ramet-layout-XXXXXX");
    assert_non_null(mkdtemp(self->folder));
    self->disk = rmt_text("%s/disk", self->folder);
    self->root = rmt_text("%s/root", self->folder);
    assert_int_equal(mkdir(self->root, 0755), 0);
    rmt_auto_fd fd = open(self->disk, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, 256 * (off_t) MIB), 0);
    self->device = rmt_blockdev_new(self->disk, 0, 512, NULL, &self->error);
    assert_non_null(self->device);
    rmt_auto(rmt_records) records = rmt_facts_parse(s_table, &self->error);
    rmt_auto(rmt_layout) table = rmt_layout_read(records, &self->error);
    assert_non_null(table);
    rmt_auto(rmt_layout) written =
        rmt_disk_write(rmt_blockdev_path(self->device), table, 0, &self->error);
    assert_non_null(written);
    s_make_system(self);
    *state = self;
    return 0;
}

static int
s_teardown(void **state)
{
    bench_t *self = *state;
    rmt_auto_str home = rmt_text("%s/home", self->root);
    (void) umount2(home, MNT_DETACH);
    (void) umount2(self->root, MNT_DETACH);
    rmt_blockdev_destroy(&self->device);
    (void) rmt_io_remove_tree(self->folder, &self->error);
    free(self->disk);
    free(self->root);
    free(self);
    return 0;
}

// ---- What the layout says, as text

static void
s_describe(rmt_source_disk_t *layout, FILE *out)
{
    for (size_t i = 0; i < rmt_source_disk_count(layout); i++) {
        const rmt_layout_volume_t *volume = rmt_source_disk_volume(layout, i);
        fprintf(out, "%" PRIu64 " %s mount=%s subvolume=%s", volume->partition,
                rmt_fs_kind_name(volume->fs), volume->mount ? volume->mount : "-",
                volume->subvolume ? volume->subvolume : "-");
        static const char *const files[] = {"etc/fstab", "user/file", "home/hidden",
                                            "lost+found", "gr\xc3\xbcner Ordner"};
        for (size_t j = 0; j < sizeof files / sizeof *files; j++)
            if (faccessat(rmt_source_disk_tree(layout, i), files[j], F_OK, 0) == 0)
                fprintf(out, " %s", files[j]);
        rmt_error_t none = {0};
        rmt_auto(rmt_snapshot) snapshot =
            rmt_snapshot_new(rmt_source_disk_tree(layout, i), "test", &none);
        if (snapshot)
            fprintf(out, " snapshot");
        fprintf(out, "\n");
    }
}

typedef struct {
    bench_t *bench;
    rmt_config_t *config;
    char *text;
    pthread_barrier_t *pauses; // NULL, or passed twice while the layout is open
} look_t;

// A layout leaves the namespace of mounts, so it is opened in a thread of its own.
static void *
s_look(void *context)
{
    look_t *self = context;
    size_t size = 0;
    FILE *out = open_memstream(&self->text, &size);
    rmt_auto(rmt_source_disk) layout =
        rmt_source_disk_new(self->config, "x", NULL, &self->bench->error);
    if (layout)
        s_describe(layout, out);
    for (int i = 0; self->pauses && i < 2; i++)
        (void) pthread_barrier_wait(self->pauses);
    fclose(out);
    return NULL;
}

// root is that of a system that runs, or "".
static rmt_config_t *
s_config(bench_t *self, const char *root)
{
    rmt_auto_str path = rmt_text("%s/agent.cfg", self->folder);
    rmt_auto_str text = rmt_text("brokers = \"b\"\nroot = \"%s\"\ndisk = \"%s\"\n", root,
                                 rmt_blockdev_path(self->device));
    assert_ok(rmt_io_save(path, text, strlen(text), 0644, &self->error));
    rmt_config_t *config = rmt_config_new(RMT_AGENT_ROWS, path, &self->error);
    if (!config)
        fail_msg("%s", self->error.text);
    return config;
}

static char *
s_layout_of(bench_t *self, const char *root)
{
    rmt_auto(rmt_config) config = s_config(self, root);
    look_t look = {.bench = self, .config = config};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, s_look, &look), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return look.text;
}

static char *
s_layout(bench_t *self)
{
    return s_layout_of(self, self->root);
}

static void
test_a_running_source_is_read_whole(void **state)
{
    bench_t *self = *state;
    rmt_auto_str text = s_layout(self);
    if (!*text)
        fail_msg("%s", self->error.text);
    assert_string_equal(text, "1 vfat mount=- subvolume=- gr\xc3\xbcner Ordner\n"
                              "2 btrfs mount=- subvolume= snapshot\n"
                              "2 btrfs mount=/ subvolume=@ etc/fstab home/hidden "
                              "snapshot\n"
                              "2 btrfs mount=/home subvolume=@home user/file snapshot\n"
                              "3 ext4 mount=- subvolume=- lost+found\n");
}

// ---- What the firmware of a source starts

// A firmware for this thread's namespace alone: a kernel with options, what lies on no
// partition of the disk, and a file that is gone.
static void
s_play_firmware(void)
{
    static const char options[] = "q\0u\0i\0e\0t\0";
    static const rmt_nvram_entry_t entries[] = {
        {"Arch", "VMLINUZ-linux", ESP_GUID, 1, 2048, 65536, options, sizeof options - 1,
         false},
        {"gone", "EFI/gone.efi", ESP_GUID, 1, 2048, 65536, NULL, 0, false},
        {"other", "vmlinuz-linux", "0F3B1A2C-0000-4000-8000-0000000000AC", 1, 2048, 65536,
         NULL, 0, false}};
    rmt_error_t error = {0};
    uint16_t number = 0;
    assert_int_equal(mount("firmware", "/sys/firmware", "tmpfs", 0, NULL), 0);
    RMT_OK(rmt_io_mkdirs(RMT_NVRAM_FOLDER, 0755, &error));
    RMT_OK(rmt_nvram_set(RMT_NVRAM_FOLDER, entries, 3, &number, &error));
}

static void *
s_look_at_boot(void *context)
{
    look_t *self = context;
    size_t size = 0;
    FILE *out = open_memstream(&self->text, &size);
    rmt_auto(rmt_source_disk) disk =
        rmt_source_disk_new(self->config, "x", NULL, &self->bench->error);
    rmt_auto(rmt_records) boot = NULL;
    rmt_auto(rmt_record) ways = rmt_record_new();
    if (disk)
        s_play_firmware();
    if (disk && rmt_bootcode_read(disk, &boot, ways, &self->bench->error) == 0)
        for (size_t i = 0; i < rmt_records_count(boot); i++) {
            size_t options = 0;
            const rmt_record_t *entry = rmt_records_at(boot, i);
            (void) rmt_record_get(entry, "options", &options);
            fprintf(out, "%s %s %s %s %zu\n", rmt_record_text(ways, "boot-paths", ""),
                    rmt_record_text(ways, "boot-entries", ""),
                    rmt_record_text(entry, "label", ""),
                    rmt_record_text(entry, "path", ""), options);
        }
    fclose(out);
    return NULL;
}

// M32: options of a kernel that lie in the firmware alone are in the image.
static void
test_what_the_firmware_starts_from_the_disk_is_in_the_image(void **state)
{
    bench_t *self = *state;
    rmt_auto_str esp = s_partition(self, 1, 2048, 65536);
    rmt_auto_str kernel = rmt_text("%s/vmlinuz", self->folder);
    assert_ok(rmt_io_save(kernel, "MZ", 2, 0644, &self->error));
    const char *const mcopy[] = {"mcopy", "-i", esp, kernel, "::/vmlinuz-linux", NULL};
    assert_ok(rmt_process_run(mcopy, NULL, NULL, &self->error));
    rmt_auto(rmt_config) config = s_config(self, self->root);
    look_t look = {.bench = self, .config = config};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, s_look_at_boot, &look), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    if (strcmp(look.text, "uefi needed Arch VMLINUZ-linux 10\n") != 0)
        fail_msg("'%s' %s", look.text, self->error.text);
    free(look.text);
}

static void
test_a_source_that_is_read_only_is_not_written_for_a_snapshot(void **state)
{
    bench_t *self = *state;
    rmt_auto_str home = rmt_text("%s/home", self->root);
    assert_int_equal(umount(home), 0);
    assert_int_equal(umount(self->root), 0);
    rmt_auto_str btrfs = s_partition(self, 2, 67584, 409600);
    assert_int_equal(mount(btrfs, self->root, "btrfs", MS_RDONLY, "subvol=@"), 0);
    rmt_auto_str text = s_layout(self);
    if (!strstr(text, "2 btrfs mount=/ subvolume=@ etc/fstab home/hidden\n") ||
        strstr(text, "snapshot"))
        fail_msg("%s%s", text, self->error.text);
}

static void
test_what_fstab_names_and_nobody_has_mounted_is_read_from_its_device(void **state)
{
    bench_t *self = *state;
    rmt_auto_str ext = s_partition(self, 3, 477184, 16384);
    s_run(self, "tune2fs", "-Uabababab-0000-4000-8000-0000000000b3", ext, NULL);
    s_put(self, "etc/fstab",
          "UUID=" UUID " / btrfs subvol=@ 0 1\nUUID=" UUID
          " /home btrfs subvol=@home 0 2\n"
          "UUID=abababab-0000-4000-8000-0000000000b3 /srv ext4 noauto 0 2\n");
    s_put(self, "srv/user/file", "of the root");
    rmt_auto_str text = s_layout(self);
    if (!strstr(text, "3 ext4 mount=/srv subvolume=- lost+found\n"))
        fail_msg("%s%s", text, self->error.text);
}

// A second mount of a file system that is written to cannot be read-only.
static void
test_what_is_mounted_beside_fstab_is_read_there(void **state)
{
    static const struct {
        const char *folder, *line;
    } rows[] = {{"/srv and more", "3 ext4 mount=/srv and more subvolume=- user/file"},
                {"/mnt/stick", "3 ext4 mount=- subvolume=- user/file"}};
    bench_t *self = *state;
    rmt_auto_str ext = s_partition(self, 3, 477184, 16384);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto_str folder = rmt_text("%s%s", self->root, rows[i].folder);
        rmt_auto_str file = rmt_text("%s/user/file", rows[i].folder + 1);
        assert_ok(rmt_io_mkdirs(folder, 0755, &self->error));
        assert_int_equal(mount(ext, folder, "ext4", 0, NULL), 0);
        s_put(self, file, "text");
        rmt_auto_str text = s_layout(self);
        assert_int_equal(umount(folder), 0);
        if (!strstr(text, rows[i].line))
            fail_msg("%s%s", text, self->error.text);
    }
}

static void
test_a_source_on_several_disks_is_refused(void **state)
{
    bench_t *self = *state;
    s_put(self, "etc/fstab",
          "UUID=" UUID " / btrfs subvol=@ 0 1\n"
          "UUID=1234 /srv ext4 defaults 0 2\n");
    rmt_auto_str text = s_layout(self);
    assert_string_equal(text, "");
    assert_int_equal(self->error.code, RMT_E_UNSUPPORTED);
    assert_non_null(strstr(self->error.text, "/srv"));
}

// A running source resolves names itself, links among them; a name that ends in the same
// number is of another disk.
static void
test_names_of_devices_are_resolved_by_the_running_source(void **state)
{
    bench_t *self = *state;
    rmt_auto_str ext = s_partition(self, 3, 477184, 16384);
    rmt_auto_str link = rmt_text("%s/ata-A-part9", self->folder);
    rmt_auto_str gone = rmt_text("%s/ata-B-part3", self->folder);
    assert_int_equal(symlink(ext, link), 0);
    const struct {
        const char *path;
        bool is_found;
    } rows[] = {{ext, true},          {link, true},
                {gone, false},        {rmt_blockdev_path(self->device), false},
                {"/dev/null", false}, {"/dev/sda3", false}};
    rmt_auto(rmt_records) records = rmt_facts_parse(s_table, &self->error);
    rmt_auto(rmt_layout) layout = rmt_layout_read(records, &self->error);
    rmt_layout_add_volume(layout, 0)->partition = 3;
    const rmt_fstab_place_t place = {
        .disks = (const char *const[]){rmt_blockdev_path(self->device)}, .disk_count = 1};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto_str text = rmt_text("%s /srv ext4 rw\n", rows[i].path);
        rmt_auto(rmt_fstab) fstab = rmt_fstab_new(text, &place, &self->error);
        rmt_auto_str mount = rmt_fstab_mount(fstab, layout, &layout->volumes[0]);
        if ((mount != NULL) != rows[i].is_found)
            fail_msg("%s: %s", rows[i].path, mount ? mount : "-");
    }
}

// M7: without its table a system would be imaged without its mounts.
static void
test_an_fstab_that_cannot_be_read_is_told(void **state)
{
    bench_t *self = *state;
    rmt_auto_str fstab = rmt_text("%s/etc/fstab", self->root);
    rmt_auto_str home = rmt_text("%s/home", self->root);
    assert_int_equal(truncate(fstab, 2 * (off_t) MIB), 0);
    for (size_t i = 0; i < 2; i++) {
        const bool is_running = i == 0;
        self->error = (rmt_error_t){0};
        rmt_auto_str text = s_layout_of(self, is_running ? self->root : "");
        if (*text || self->error.code != RMT_E_TOO_BIG ||
            !strstr(self->error.text, "/etc/fstab has 2097152 bytes"))
            fail_msg("%s%s", text, self->error.text);
        if (is_running) {
            assert_int_equal(umount(home), 0);
            assert_int_equal(umount(self->root), 0);
        }
    }
}

// Another disk, mounted on media/stick below media, which passes its mounts on as all
// folders of a Debian do.
static char *
s_mount_stick(bench_t *self, const char *media, rmt_blockdev_t **device)
{
    rmt_auto_str file = rmt_text("%s/stick.img", self->folder);
    char *point = rmt_text("%s/stick", media);
    rmt_auto_fd fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, 16 * (off_t) MIB), 0);
    *device = rmt_blockdev_new(file, 0, 512, NULL, &self->error);
    assert_non_null(*device);
    s_run(self, "mkfs.ext4", "-q", rmt_blockdev_path(*device), NULL);
    assert_ok(rmt_io_mkdirs(point, 0755, &self->error));
    assert_int_equal(mount(media, media, NULL, MS_BIND, NULL), 0);
    assert_int_equal(mount(NULL, media, NULL, MS_SHARED, NULL), 0);
    assert_int_equal(mount(rmt_blockdev_path(*device), point, "ext4", 0, NULL), 0);
    return point;
}

static void
test_what_is_unmounted_while_a_source_is_read_is_free(void **state)
{
    bench_t *self = *state;
    rmt_auto(rmt_blockdev) stick = NULL;
    rmt_auto_str media = rmt_text("%s/media", self->folder);
    rmt_auto_str point = s_mount_stick(self, media, &stick);
    rmt_auto(rmt_config) config = s_config(self, self->root);
    pthread_barrier_t pauses;
    assert_int_equal(pthread_barrier_init(&pauses, NULL, 2), 0);
    look_t look = {.bench = self, .config = config, .pauses = &pauses};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, s_look, &look), 0);
    (void) pthread_barrier_wait(&pauses);
    const int unmounted = umount(point);
    rmt_auto_fd alone = open(rmt_blockdev_path(stick), O_RDWR | O_EXCL | O_CLOEXEC);
    (void) pthread_barrier_wait(&pauses);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(umount2(media, MNT_DETACH), 0);
    rmt_auto_str text = look.text;
    assert_string_not_equal(text, "");
    assert_int_equal(unmounted, 0);
    assert_int_not_equal(alone, -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_what_is_unmounted_while_a_source_is_read_is_free, s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(test_a_running_source_is_read_whole, s_setup,
                                        s_teardown),
        cmocka_unit_test_setup_teardown(
            test_what_the_firmware_starts_from_the_disk_is_in_the_image, s_setup,
            s_teardown),
        cmocka_unit_test_setup_teardown(
            test_a_source_that_is_read_only_is_not_written_for_a_snapshot, s_setup,
            s_teardown),
        cmocka_unit_test_setup_teardown(
            test_what_fstab_names_and_nobody_has_mounted_is_read_from_its_device, s_setup,
            s_teardown),
        cmocka_unit_test_setup_teardown(test_what_is_mounted_beside_fstab_is_read_there,
                                        s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(test_a_source_on_several_disks_is_refused,
                                        s_setup, s_teardown),
        cmocka_unit_test_setup_teardown(
            test_names_of_devices_are_resolved_by_the_running_source, s_setup,
            s_teardown),
        cmocka_unit_test_setup_teardown(test_an_fstab_that_cannot_be_read_is_told,
                                        s_setup, s_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
