// What a tree tells of its kernel, and which drivers that has (M12): made modules, real
// depmod, real libkmod.
#include "tools/pe_file.h"
#include "tools/rmt_test.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/rmt_auto.h"
#include "kernel/rmt_driver_index.h"
#include "kernel/rmt_drivers.h"
#include "kernel/rmt_initramfs.h"
#include "base/rmt_io.h"
#include "kernel/rmt_kernel.h"
#include "base/rmt_process.h"

#define MODULES                                                                          \
    "drivers/nvme/host/nvme-core gives=nvme_init early\n"                                \
    "drivers/nvme/host/nvme alias=pci:v*d*sv*sd*bc01sc08i02* needs=nvme_init early\n"    \
    "drivers/ata/libata gives=ata_go\n"                                                  \
    "drivers/ata/ahci alias=pci:v*d*sv*sd*bc01sc06i01* needs=ata_go early\n"             \
    "drivers/scsi/megaraid/megaraid_sas alias=pci:v00001000d00000016sv*sd*bc*sc*i*\n"    \
    "drivers/scsi/sd_mod alias=scsi:t-0x00* early\n"                                     \
    "drivers/gpu/bad alias=pci:v00001002d*sv*sd*bc03sc*i*\n"                             \
    "drivers/net/worse alias=pci:v000010ECd*sv*sd*bc*sc*i*\n"                            \
    "drivers/block/virtio_blk alias=virtio:d00000002v* builtin\n"                        \
    "drivers/block/xen-blkfront builtin\n"                                               \
    "fs/ext4/ext4 alias=fs-ext4 builtin\n"                                               \
    "fs/xfs/xfs alias=fs-xfs\n"
#define NVME "pci:v0000144Dd0000A808sv0000144Dsd0000A801bc01sc08i02"
#define AHCI "pci:v00008086d0000A282sv00001028sd000007A1bc01sc06i01"
#define PERC "pci:v00001000d00000016sv00001028sd00001FCBbc01sc04i00"
#define RADEON "pci:v00001002d000067DFsv00001DA2sd0000E387bc03sc00i00"
#define REALTEK "pci:v000010ECd00008168sv00001458sd0000E000bc02sc00i00"

static char *
s_make_folder(void)
{
    char *root = rmt_text("%s/ramet-kernel-XXXXXX", getenv("TMPDIR"));
    assert_non_null(mkdtemp(root));
    return root;
}

static void
s_make(const char *root, const char *version, const char *how, const char *modules)
{
    rmt_error_t error = {0};
    rmt_auto_str tool = rmt_text("%s/tests/tools/make_kernel", getenv("RAMET_SOURCE"));
    const char *const arguments[] = {tool, root, version, "--pack", how, NULL};
    if (rmt_process_run(arguments, modules, NULL, &error) == -1)
        fail_msg("%s", error.text);
}

static void
s_put(const char *root, const char *path, const char *text)
{
    rmt_error_t error = {0};
    rmt_auto_str full = rmt_text("%s/%s", root, path);
    rmt_auto_str folder = rmt_text("%s", full);
    *strrchr(folder, '/') = '\0';
    RMT_OK(rmt_io_mkdirs(folder, 0755, &error));
    RMT_OK(rmt_io_save(full, text, strlen(text), 0644, &error));
}

static int
s_keep(void *context, const char *name, const void *data, size_t size, rmt_error_t *error)
{
    rmt_drivers_t **drivers = context;
    if (!*drivers)
        *drivers = rmt_drivers_new("made", true, error);
    assert_non_null(*drivers);
    return rmt_drivers_add(*drivers, name, data, size, error);
}

static int
s_count(void *context, const char *name, const void *data, size_t size,
        rmt_error_t *error)
{
    (void) name, (void) data, (void) size, (void) error;
    ++*(size_t *) context;
    return 0;
}

// The tree's kernel, and its drivers.
static rmt_drivers_t *
s_read(const char *root, rmt_record_t **kernel_out)
{
    rmt_error_t error = {0};
    rmt_auto_fd fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    const rmt_kernel_tree_t tree = {.mount = "/", .fd = fd};
    rmt_drivers_t *drivers = NULL;
    RMT_OK(rmt_kernel_read(&tree, 1, s_keep, &drivers, kernel_out, &error));
    assert_non_null(drivers);
    RMT_OK(rmt_drivers_open(drivers, &error));
    return drivers;
}

static void
test_m12_drivers_are_found_as_the_image_would_find_them(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    static const struct {
        const char *name;
        rmt_served_t served;
        const char *module;
        const char *known; // NULL: none
    } cases[] = {
        {NVME, RMT_SERVED_EARLY, "nvme", NULL},
        {AHCI, RMT_SERVED_LATE, "ahci", NULL}, // libata is not in the initramfs
        {PERC, RMT_SERVED_LATE, "megaraid_sas", NULL},
        {"scsi:t-0x00", RMT_SERVED_EARLY, "sd_mod", NULL},
        {"virtio:d00000002v00001AF4", RMT_SERVED_BUILTIN, "virtio_blk", NULL},
        {"virtio:d00000008v00001AF4", RMT_SERVED_NOT, "", NULL},
        {"fs-ext4", RMT_SERVED_BUILTIN, "ext4", NULL},
        {"fs-xfs", RMT_SERVED_LATE, "xfs", NULL},
        {"fs-btrfs", RMT_SERVED_NOT, "", NULL},
        // Kernels do not tell the names of what is built in, but that it is.
        {"xen:vbd", RMT_SERVED_BUILTIN, "xen_blkfront", "xen_blkfront"},
        {"xen:vif", RMT_SERVED_NOT, "", "xen_netfront"},
        {RADEON, RMT_SERVED_NOT, "", NULL},  // Blacklisted
        {REALTEK, RMT_SERVED_NOT, "", NULL}, // Installed by /bin/false
    };
    rmt_auto_str root = s_make_folder();
    s_make(root, "6.1.0-9", "gzip", MODULES);
    s_put(root, "etc/modprobe.d/off.conf", "# Cards that hang\n  blacklist bad\n");
    s_put(root, "usr/lib/modprobe.d/off.conf", "blacklist nvme\n"); // Hidden by the above
    s_put(root, "usr/lib/modprobe.d/rare.conf", "install worse /bin/false\n");
    rmt_auto(rmt_record) kernel = NULL;
    rmt_auto(rmt_drivers) drivers = s_read(root, &kernel);
    assert_string_equal(rmt_record_text(kernel, "version", ""), "6.1.0-9");
    assert_string_equal(rmt_record_text(kernel, "initramfs-state", ""), "read");
    for (size_t i = 0; i < sizeof cases / sizeof *cases * 2; i++) {
        const char *module;
        const size_t at = i % (sizeof cases / sizeof *cases); // Twice: the answer is kept
        const rmt_served_t served = rmt_drivers_find(
            drivers, cases[at].name, cases[at].known ? cases[at].known : "", &module);
        if (served != cases[at].served || strcmp(module, cases[at].module) != 0)
            fail_msg("%s: %d by '%s'", cases[at].name, (int) served, module);
    }
    RMT_OK(rmt_io_remove_tree(root, &error));
}

static void
test_m12_an_initramfs_is_read_whatever_packed_it(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    static const struct {
        const char *how;
        const char *state;
    } cases[] = {{"none", "read"},    {"gzip", "read"}, {"xz", "read"},
                 {"lzma", "read"},    {"zstd", "read"}, {"lz4", "read"},
                 {"bzip2", "unknown"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rmt_auto_str root = s_make_folder();
        s_make(root, "5.10.0-1", cases[i].how, MODULES);
        rmt_auto_fd fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        const rmt_kernel_tree_t tree = {.mount = "/", .fd = fd};
        rmt_auto(rmt_record) kernel = NULL;
        size_t files = 0;
        RMT_OK(rmt_kernel_read(&tree, 1, s_count, &files, &kernel, &error));
        if (strcmp(rmt_record_text(kernel, "initramfs-state", ""), cases[i].state) != 0)
            fail_msg("%s: %s %s", cases[i].how,
                     rmt_record_text(kernel, "initramfs-state", ""),
                     rmt_record_text(kernel, "reason", ""));
        if (strcmp(cases[i].state, "read") == 0) {
            rmt_auto_str path = rmt_text("%s/boot/initrd.img-5.10.0-1", root);
            rmt_auto_fd file = open(path, O_RDONLY | O_CLOEXEC);
            rmt_auto_str names = NULL;
            RMT_OK(rmt_initramfs_modules(NULL, file, UINT64_MAX, "5.10.0-1", &names,
                                         &error));
            assert_string_equal(names, "ahci\nnvme\nnvme_core\nsd_mod\n");
        }
        RMT_OK(rmt_io_remove_tree(root, &error));
    }
}

// ---- What a boot loader finds

#define OLD_PATH "boot/initrd.img-6.1.0-9"

static void
s_move(const char *root, const char *to)
{
    rmt_error_t error = {0};
    rmt_auto_str from = rmt_text("%s/" OLD_PATH, root);
    rmt_auto_str path = rmt_text("%s/%s", root, to);
    rmt_auto_str folder = rmt_text("%s", path);
    *strrchr(folder, '/') = '\0';
    RMT_OK(rmt_io_mkdirs(folder, 0755, &error));
    assert_int_equal(rename(from, path), 0);
}

// A unified kernel image with the initramfs that was made, which goes.
static void
s_unify(const char *root, const char *path, const char *version)
{
    rmt_error_t error = {0};
    rmt_auto_str from = rmt_text("%s/" OLD_PATH, root);
    rmt_auto_str full = rmt_text("%s/%s", root, path);
    rmt_auto_str folder = rmt_text("%s", full);
    rmt_auto_ptr initrd = NULL;
    size_t initrd_size = 0, size = 0;
    *strrchr(folder, '/') = '\0';
    RMT_OK(rmt_io_load(from, 1 << 20, &initrd, &initrd_size, &error));
    const pe_file_section_t sections[] = {{".osrel", "ID=arch\n", 8},
                                          {".uname", version, strlen(version)},
                                          {".initrd", initrd, initrd_size},
                                          {".linux", "kernel", 6}};
    rmt_auto_ptr file = pe_file_make(PE_FILE_X64, sections, 4, &size);
    RMT_OK(rmt_io_mkdirs(folder, 0755, &error));
    RMT_OK(rmt_io_save(full, file, size, 0644, &error));
    assert_int_equal(unlink(from), 0);
}

// The kernel of a root, and of an EFI system partition that nothing mounts.
static rmt_record_t *
s_read_both(const char *root, const char *esp, size_t *files_out)
{
    rmt_error_t error = {0};
    rmt_auto_fd root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    rmt_auto_fd esp_fd = open(esp, O_PATH | O_DIRECTORY | O_CLOEXEC);
    const rmt_kernel_tree_t trees[] = {{.mount = "/", .fd = root_fd}, {.fd = esp_fd}};
    rmt_record_t *kernel = NULL;
    *files_out = 0;
    RMT_OK(rmt_kernel_read(trees, 2, s_count, files_out, &kernel, &error));
    return kernel;
}

// M32: where systemd-boot, grub2 with blscfg and unified images keep the initramfs.
static void
test_m32_the_initramfs_of_a_boot_entry_is_read(void **state)
{
    static const char plain[] = "title Arch\nversion 6.1.0-9\nlinux /ab12/6.1.0-9/linux\n"
                                "initrd /ucode.img\ninitrd\t/ab12/6.1.0-9/initrd \r\n";
    static const char by_folder[] = "# none\n linux /ab12/6.1.0-9/linux\n"
                                    "initrd /ab12/6.1.0-9/initrd\noptions quiet\n";
    static const char of_another[] =
        "version 6.1.0-10\nlinux /ab12/6.1.0-9/linux\ninitrd /ucode.img\n";
    static const char without_kernel[] =
        "version 6.1.0-9\nlinux /gone\ninitrd /ab12/6.1.0-9/initrd\n";
    static const struct {
        const char *entry, *state;
    } rows[] = {{plain, "read"},
                {by_folder, "read"},
                {of_another, "none"},
                {without_kernel, "none"}};
    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        size_t files = 0;
        rmt_auto_str root = s_make_folder();
        rmt_auto_str esp = rmt_text("%s/srv/esp", root);
        s_make(root, "6.1.0-9", "gzip", MODULES);
        s_move(root, "srv/esp/ab12/6.1.0-9/initrd");
        s_put(esp, "ab12/6.1.0-9/linux", "kernel");
        s_put(esp, "ucode.img", "");
        s_put(esp, "loader/entries/ab12-6.1.0-9.conf", rows[i].entry);
        rmt_auto(rmt_record) kernel = s_read_both(root, esp, &files);
        assert_string_equal(rmt_record_text(kernel, "initramfs-state", ""),
                            rows[i].state);
        RMT_OK(rmt_io_remove_tree(root, &error));
    }
}

static void
test_m32_the_initramfs_of_a_unified_image_is_read(void **state)
{
    static const struct {
        const char *version, *state;
    } rows[] = {{"6.1.0-9\n", "read"},
                {"6.1.0-9", "read"},
                {"", "read"}, // The only one
                {"6.1.0-91", "none"}};
    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        size_t files = 0;
        rmt_auto_str root = s_make_folder();
        rmt_auto_str esp = rmt_text("%s/srv/esp", root);
        s_make(root, "6.1.0-9", "zstd", MODULES);
        s_unify(root, "srv/esp/EFI/Linux/linux-x.efi", rows[i].version);
        s_put(esp, "EFI/Linux/broken.efi", "MZ");
        rmt_auto(rmt_record) kernel = s_read_both(root, esp, &files);
        assert_string_equal(rmt_record_text(kernel, "initramfs-state", ""),
                            rows[i].state);
        if (strcmp(rows[i].state, "read") == 0)
            assert_string_equal(rmt_record_text(kernel, "initramfs", ""),
                                "/EFI/Linux/linux-x.efi");
        RMT_OK(rmt_io_remove_tree(root, &error));
    }
}

static void
test_m12_a_damaged_initramfs_is_told_and_not_believed(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    rmt_auto_str root = s_make_folder();
    s_make(root, "6.1.0-9", "gzip", MODULES);
    rmt_auto_str path = rmt_text("%s/boot/initrd.img-6.1.0-9", root);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(truncate(path, info.st_size - 200), 0);
    rmt_auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    rmt_auto_str names = NULL;
    RMT_FAILS(rmt_initramfs_modules(NULL, fd, UINT64_MAX, "6.1.0-9", &names, &error),
              RMT_E_CORRUPT);
    RMT_OK(rmt_io_remove_tree(root, &error));
}

static void
test_m12_an_initramfs_that_cannot_be_read_is_told(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto_fd fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rmt_auto_str names = NULL;
    RMT_FAILS(rmt_initramfs_modules(NULL, fd, UINT64_MAX, "6.1.0-9", &names, &error),
              RMT_E_IO);
    assert_non_null(strstr(error.text, "read: Is a directory"));
}

// Lists of modules are lines, so a file's name must not be two of them.
static void
test_m12_an_initramfs_holds_no_module_by_a_name_of_two_lines(void **state)
{
    static const char *const names[] = {"lib/modules/6.1/a\nnvme.ko",
                                        "lib/modules/6.1/b nvme.ko",
                                        "lib/modules/6.1/.ko",
                                        "lib/modules/6.1/x-y.ko.xz",
                                        "usr/sbin/lvm",
                                        "etc/mdadm",
                                        "usr/lib/systemd/systemd-cryptsetup",
                                        "usr/sbin/cryptsetup",
                                        "usr/bin/cryptsetup-reencrypt",
                                        "TRAILER!!!"};
    rmt_error_t error = {0};
    rmt_auto_str found = NULL;
    (void) state;
    rmt_auto_fd fd = memfd_create("initramfs", MFD_CLOEXEC);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const size_t size = strlen(names[i]) + 1;
        const size_t end = (110 + size + 3) / 4 * 4;
        char entry[256] = "";
        snprintf(entry, sizeof entry, "070701%088d%08zx%08d", 0, size, 0);
        memcpy(entry + 110, names[i], size);
        RMT_OK(rmt_io_write(fd, entry, end, &error));
    }
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    RMT_OK(rmt_initramfs_modules(NULL, fd, UINT64_MAX, "6.1", &found, &error));
    assert_string_equal(found, "program:cryptsetup\nprogram:lvm\nx_y\n");
}

static int64_t s_later_ms;
int64_t __real_rmt_clock_wall_ms(void);
int64_t __wrap_rmt_clock_wall_ms(void);

int64_t
__wrap_rmt_clock_wall_ms(void)
{
    return __real_rmt_clock_wall_ms() + s_later_ms;
}

// Whether it was read; what is told must be right either way.
static bool
s_recall(rmt_initramfs_memory_t *memory, int fd, const char *version, const char *wanted)
{
    rmt_error_t error = {0};
    rmt_auto_str names = NULL;
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    RMT_OK(rmt_initramfs_modules(memory, fd, UINT64_MAX, version, &names, &error));
    assert_string_equal(names, wanted);
    return lseek(fd, 0, SEEK_CUR) > 0;
}

static void
test_an_initramfs_is_read_again_when_it_has_changed(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    rmt_auto_str root = s_make_folder();
    s_make(root, "6.1.0-9", "gzip", MODULES);
    rmt_auto_str path = rmt_text("%s/boot/initrd.img-6.1.0-9", root);
    rmt_auto_fd fd = open(path, O_RDWR | O_CLOEXEC);
    rmt_auto_str names = NULL;
    RMT_OK(rmt_initramfs_modules(NULL, fd, UINT64_MAX, "6.1.0-9", &names, &error));
    assert_true(*names);
    rmt_auto(rmt_initramfs_memory) memory = rmt_initramfs_memory_new(60);
    // As young as this, its times would not show a change.
    s_later_ms = 0;
    assert_true(s_recall(memory, fd, "6.1.0-9", names));
    assert_true(s_recall(memory, fd, "6.1.0-9", names));
    s_later_ms = 3600 * 1000;
    assert_true(s_recall(memory, fd, "6.1.0-9", names));
    assert_false(s_recall(memory, fd, "6.1.0-9", names));
    assert_true(s_recall(memory, fd, "6.1.0-8", ""));
    assert_true(s_recall(memory, fd, "6.1.0-9", names));
    assert_false(s_recall(memory, fd, "6.1.0-9", names));
    assert_true(s_recall(NULL, fd, "6.1.0-9", names));
    rmt_auto_fd end = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    RMT_OK(rmt_io_write(end, "\0\0\0\0", 4, &error));
    assert_true(s_recall(memory, fd, "6.1.0-9", names));
    s_later_ms = 0;
    RMT_OK(rmt_io_remove_tree(root, &error));
}

// One byte of an initramfs is another one: it is read or refused, and nothing else.
static void
test_m12_a_hostile_initramfs_does_no_harm(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    static const char *const kinds[] = {"none", "gzip", "xz", "zstd", "lz4"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        rmt_auto_str root = s_make_folder();
        s_make(root, "6.1.0-9", kinds[i], MODULES);
        rmt_auto_str path = rmt_text("%s/boot/initrd.img-6.1.0-9", root);
        rmt_auto_fd fd = open(path, O_RDWR | O_CLOEXEC);
        struct stat info;
        assert_int_equal(fstat(fd, &info), 0);
        size_t refused = 0;
        // The first archive is mostly one file; what matters is at both ends.
        for (off_t at = 0; at<info.st_size; at += at> 400 && at < 16500 ? 997 : 7) {
            unsigned char byte;
            assert_int_equal(pread(fd, &byte, 1, at), 1);
            const unsigned char other = (unsigned char) (byte ^ (1 << at % 8));
            assert_int_equal(pwrite(fd, &other, 1, at), 1);
            rmt_auto_str names = NULL;
            assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
            if (rmt_initramfs_modules(NULL, fd, UINT64_MAX, "6.1.0-9", &names, &error) ==
                -1)
                refused++;
            else
                assert_non_null(names);
            assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        }
        assert_true(refused > 5);
        RMT_OK(rmt_io_remove_tree(root, &error));
    }
}

static void
test_m12_the_kernel_is_the_one_that_is_started(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    rmt_auto_str root = s_make_folder();
    rmt_auto_str link = rmt_text("%s/vmlinuz", root);
    rmt_auto_str image = rmt_text("%s/boot/vmlinuz-6.10.0-1", root);
    s_make(root, "6.9.0-1", "none", "fs/one alias=fs-one\n");
    s_make(root, "6.10.0-1", "none", "fs/two alias=fs-two\n");
    rmt_auto(rmt_record) newest = NULL;
    rmt_auto(rmt_drivers) of_newest = s_read(root, &newest);
    assert_string_equal(rmt_record_text(newest, "version", ""), "6.10.0-1");
    assert_int_equal(symlink("boot/vmlinuz-6.9.0-1", link), 0);
    rmt_auto(rmt_record) linked = NULL;
    rmt_auto(rmt_drivers) of_linked = s_read(root, &linked);
    assert_string_equal(rmt_record_text(linked, "version", ""), "6.9.0-1");
    // Modules that a removed kernel has left behind do not count.
    assert_int_equal(unlink(link), 0);
    assert_int_equal(unlink(image), 0);
    rmt_auto(rmt_record) rest = NULL;
    rmt_auto(rmt_drivers) of_rest = s_read(root, &rest);
    assert_string_equal(rmt_record_text(rest, "version", ""), "6.9.0-1");
    RMT_OK(rmt_io_remove_tree(root, &error));
}

static void
test_m12_a_boot_volume_of_its_own_is_looked_into(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    rmt_auto_str root = s_make_folder();
    rmt_auto_str boot = s_make_folder();
    s_make(root, "6.1.0-9", "none", MODULES);
    rmt_auto_str from = rmt_text("%s/boot/initrd.img-6.1.0-9", root);
    rmt_auto_str to = rmt_text("%s/initrd.img-6.1.0-9", boot);
    assert_int_equal(rename(from, to), 0);
    rmt_auto_fd root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    rmt_auto_fd boot_fd = open(boot, O_PATH | O_DIRECTORY | O_CLOEXEC);
    const rmt_kernel_tree_t trees[] = {{.mount = "/boot", .fd = boot_fd},
                                       {.mount = "/", .fd = root_fd}};
    rmt_auto(rmt_record) kernel = NULL;
    size_t files = 0;
    RMT_OK(rmt_kernel_read(trees, 2, s_count, &files, &kernel, &error));
    assert_string_equal(rmt_record_text(kernel, "initramfs-state", ""), "read");
    assert_int_equal(files, 5);
    // A tree without a kernel is no error.
    rmt_auto(rmt_record) none = NULL;
    RMT_OK(rmt_kernel_read(trees, 1, s_count, &files, &none, &error));
    assert_null(none);
    RMT_OK(rmt_io_remove_tree(root, &error));
    RMT_OK(rmt_io_remove_tree(boot, &error));
}

static void
test_m12_a_kernel_is_named_with_what_was_not_read(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_drivers) drivers = rmt_drivers_new("6.1.0-9", false, &error);
    RMT_OK(drivers);
    assert_string_equal(rmt_drivers_kernel(drivers),
                        "6.1.0-9 (its initramfs was not read)");
    rmt_drivers_destroy(&drivers);
    rmt_drivers_destroy(&drivers);
    assert_null(drivers);
}

static void
test_m12_no_folder_for_the_lists_is_told(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto_str kept = rmt_text("%s", getenv("TMPDIR"));
    setenv("TMPDIR", "/nowhere", 1);
    rmt_auto(rmt_drivers) drivers = rmt_drivers_new("6.1.0-9", true, &error);
    setenv("TMPDIR", kept, 1);
    RMT_FAILS(drivers, RMT_E_NOT_FOUND);
    assert_non_null(strstr(error.text, "make folder /nowhere/"));
}

// [5.10]: A list that passes the check may be wrong, but nothing is read outside of it.
static void
test_m12_hostile_lists_are_refused_at_the_door(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    rmt_auto_str root = s_make_folder();
    s_make(root, "6.1.0-9", "none", MODULES);
    rmt_auto_str path = rmt_text("%s/lib/modules/6.1.0-9/modules.alias.bin", root);
    rmt_auto_ptr data = NULL;
    size_t size = 0;
    RMT_OK(rmt_io_load(path, 1 << 20, &data, &size, &error));
    RMT_OK(rmt_driver_index_check(data, size, &error));
    for (size_t cut = 0; cut < size; cut++)
        RMT_FAILS(rmt_driver_index_check(data, cut, &error), RMT_E_CORRUPT);
    size_t refused = 0;
    for (size_t i = 0; i < size * 8; i++) {
        rmt_auto_ptr copy = malloc(size); // The address sanitizer sees each step outside
        memcpy(copy, data, size);
        ((unsigned char *) copy)[i / 8] ^= (unsigned char) (1 << i % 8);
        if (rmt_driver_index_check(copy, size, &error) == -1) {
            refused++;
            continue;
        }
        if (i % 31)
            continue;
        rmt_auto(rmt_drivers) drivers = rmt_drivers_new("x", true, &error);
        const char *module;
        RMT_OK(rmt_drivers_add(drivers, "modules.alias.bin", copy, size, &error));
        RMT_OK(rmt_drivers_open(drivers, &error));
        (void) rmt_drivers_find(drivers, NVME, "", &module);
    }
    assert_true(refused > size); // Offsets and counts are a good part of its bytes
    // A node that is its own child.
    const unsigned char loop[] = {0xb0, 0x07, 0xf4, 0x57, 0,   2,    0, 1, 0x20,
                                  0,    0,    12,   'a',  'a', 0x20, 0, 0, 12};
    RMT_FAILS(rmt_driver_index_check(loop, sizeof loop, &error), RMT_E_CORRUPT);
    RMT_OK(rmt_io_remove_tree(root, &error));
}

int
main(void)
{
    // Many small files, made durable: in memory where there is such a place.
    setenv("TMPDIR", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_m12_drivers_are_found_as_the_image_would_find_them),
        cmocka_unit_test(test_m12_an_initramfs_is_read_whatever_packed_it),
        cmocka_unit_test(test_m32_the_initramfs_of_a_boot_entry_is_read),
        cmocka_unit_test(test_m32_the_initramfs_of_a_unified_image_is_read),
        cmocka_unit_test(test_m12_a_damaged_initramfs_is_told_and_not_believed),
        cmocka_unit_test(test_m12_an_initramfs_that_cannot_be_read_is_told),
        cmocka_unit_test(test_m12_an_initramfs_holds_no_module_by_a_name_of_two_lines),
        cmocka_unit_test(test_an_initramfs_is_read_again_when_it_has_changed),
        cmocka_unit_test(test_m12_a_hostile_initramfs_does_no_harm),
        cmocka_unit_test(test_m12_the_kernel_is_the_one_that_is_started),
        cmocka_unit_test(test_m12_a_boot_volume_of_its_own_is_looked_into),
        cmocka_unit_test(test_m12_a_kernel_is_named_with_what_was_not_read),
        cmocka_unit_test(test_m12_no_folder_for_the_lists_is_told),
        cmocka_unit_test(test_m12_hostile_lists_are_refused_at_the_door),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
