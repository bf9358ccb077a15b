// What UEFI starts: loaders in a folder with the files of an EFI system partition (M23).
#include "tools/pe_file.h"
#include "tools/refuse_each.h"
#include "tools/test_folder.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/rmt_auto.h"
#include "disk/rmt_esp.h"
#include "base/rmt_io.h"

// A program with one section of this name, and a text in it.
static void
s_put(const char *path, uint16_t machine, const char *section, const char *text)
{
    rmt_error_t error = {0};
    const pe_file_section_t one = {section, text, strlen(text)};
    size_t size = 0;
    rmt_auto_ptr pe = pe_file_make(machine, &one, 1, &size);
    rmt_auto_str full = rmt_text("%s/%s", test_folder, path);
    rmt_auto_str folder = rmt_text("%s", full);
    *strrchr(folder, '/') = '\0';
    RMT_OK(rmt_io_mkdirs(folder, 0755, &error));
    RMT_OK(rmt_io_save(full, pe, size, 0644, &error));
}

#define X64 PE_FILE_X64

static int
s_open(void)
{
    const int fd = open(test_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_not_equal(fd, -1);
    return fd;
}

static rmt_record_t *
s_examine(void)
{
    rmt_error_t error = {0};
    rmt_auto_fd fd = s_open();
    rmt_record_t *esp = NULL;
    if (rmt_esp_examine(fd, &esp, &error) == -1)
        fail_msg("%s", error.text);
    return esp;
}

static char *
s_describe(const rmt_record_t *esp)
{
    return rmt_text(
        "%s of %s at %s, fallback %s, Windows %s", rmt_record_text(esp, "kind", "-"),
        rmt_record_text(esp, "vendor", "-"), rmt_record_text(esp, "path", "-"),
        rmt_record_text(esp, "fallback", "-"), rmt_record_text(esp, "windows", "-"));
}

static void
s_assert_refused(const char *word)
{
    rmt_error_t error = {0};
    rmt_auto_fd fd = s_open();
    rmt_record_t *esp = NULL;
    RMT_FAILS(rmt_esp_examine(fd, &esp, &error), RMT_E_UNSUPPORTED);
    assert_null(esp);
    if (!strstr(error.text, word))
        fail_msg("'%s' does not name '%s'", error.text, word);
}

static bool
s_is_same(const char *one, const char *two)
{
    rmt_error_t error = {0};
    rmt_auto_str path = rmt_text("%s/%s", test_folder, one);
    rmt_auto_str other = rmt_text("%s/%s", test_folder, two);
    rmt_auto_ptr data = NULL;
    rmt_auto_ptr data_too = NULL;
    size_t size = 0, size_too = 0;
    return rmt_io_load(path, 1 << 20, &data, &size, &error) == 0 &&
           rmt_io_load(other, 1 << 20, &data_too, &size_too, &error) == 0 &&
           size == size_too && memcmp(data, data_too, size) == 0;
}

static void
test_an_empty_partition_starts_nothing(void **state)
{
    (void) state;
    rmt_auto(rmt_record) esp = s_examine();
    assert_string_equal(rmt_record_text(esp, "path", "-"), "");
}

static void
test_a_vendor_loader_gets_a_fallback(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    s_put("EFI/debian/grubx64.efi", X64, "mods", "");
    rmt_auto(rmt_record) esp = s_examine();
    assert_string_equal(rmt_record_text(esp, "path", ""), "EFI/debian/grubx64.efi");
    assert_string_equal(rmt_record_text(esp, "kind", ""), "grub");
    assert_string_equal(rmt_record_text(esp, "fallback", ""), "no");
    rmt_auto_fd fd = s_open();
    RMT_OK(rmt_esp_complete(fd, esp, &error));
    assert_true(s_is_same("EFI/debian/grubx64.efi", "EFI/BOOT/BOOTX64.EFI"));
    rmt_auto(rmt_record) again = s_examine();
    assert_string_equal(rmt_record_text(again, "path", ""), "EFI/debian/grubx64.efi");
    assert_string_equal(rmt_record_text(again, "fallback", ""), "yes");
}

static void
test_shim_brings_what_it_loads(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    s_put("EFI/debian/shimx64.efi", X64, ".text", "UEFI SHIM\n$Version: 15 $");
    s_put("EFI/debian/grubx64.efi", X64, "mods", "two");
    s_put("EFI/debian/mmx64.efi", X64, ".text", "three");
    rmt_auto(rmt_record) esp = s_examine();
    assert_string_equal(rmt_record_text(esp, "kind", ""), "shim");
    rmt_auto_fd fd = s_open();
    RMT_OK(rmt_esp_complete(fd, esp, &error));
    assert_true(s_is_same("EFI/debian/shimx64.efi", "EFI/BOOT/BOOTX64.EFI"));
    assert_true(s_is_same("EFI/debian/grubx64.efi", "EFI/BOOT/grubx64.efi"));
    assert_true(s_is_same("EFI/debian/mmx64.efi", "EFI/BOOT/mmx64.efi"));
}

static void
test_a_fallback_of_the_image_stays_as_it_is(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    s_put("EFI/Boot/bootx64.efi", X64, "mods", "own");
    s_put("EFI/debian/grubx64.efi", X64, "mods", "other");
    rmt_auto(rmt_record) esp = s_examine();
    assert_string_equal(rmt_record_text(esp, "fallback", ""), "yes");
    rmt_auto_fd fd = s_open();
    RMT_OK(rmt_esp_complete(fd, esp, &error));
    assert_false(s_is_same("EFI/debian/grubx64.efi", "EFI/Boot/bootx64.efi"));
    rmt_auto_str twin = rmt_text("%s/EFI/BOOT", test_folder);
    assert_int_equal(access(twin, F_OK), -1);
}

// A kernel with the stub that firmware starts, as its build leaves it.
static void
s_put_kernel(const char *path)
{
    rmt_error_t error = {0};
    s_put(path, X64, ".text", "");
    rmt_auto_str full = rmt_text("%s/%s", test_folder, path);
    rmt_auto_fd fd = open(full, O_WRONLY | O_CLOEXEC);
    RMT_OK(rmt_io_pwrite(fd, "HdrS", 4, 0x202, &error));
}

static void
test_other_loaders_are_refused_by_name(void **state)
{
    (void) state;
    s_put("EFI/BOOT/BOOTX64.EFI", X64, ".text", "refind");
    s_assert_refused("EFI/BOOT/BOOTX64.EFI is an unknown loader");
    s_put_kernel("EFI/BOOT/BOOTX64.EFI");
    s_assert_refused("make a unified kernel image of it (ukify)");
}

// M32: what each of them starts, and its fallback afterwards.
static void
test_each_loader_that_is_carried_starts_the_copy(void **state)
{
    static const struct {
        const char *path, *section, *text, *kind, *vendor;
    } rows[] = {
        {"EFI/systemd/systemd-bootx64.efi", ".sdmagic", "", "systemd-boot", "systemd"},
        {"EFI/systemd/systemd-bootx64.efi", ".text",
         "#### LoaderInfo: systemd-boot 249 ####", "systemd-boot", "systemd"},
        {"EFI/Linux/arch-linux.efi", ".linux", "#### LoaderInfo: systemd-stub ####",
         "unified", "Linux"},
        {"efi/linux/6.1.0-TEST.EFI", ".linux", "systemd-boot", "unified", "Linux"},
        {"EFI/fedora/shimx64.efi", ".text", "UEFI SHIM", "shim", "fedora"},
    };
    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        s_put(rows[i].path, X64, rows[i].section, rows[i].text);
        rmt_auto(rmt_record) esp = s_examine();
        assert_string_equal(rmt_record_text(esp, "kind", ""), rows[i].kind);
        assert_string_equal(rmt_record_text(esp, "vendor", ""), rows[i].vendor);
        rmt_auto_fd fd = s_open();
        RMT_OK(rmt_esp_complete(fd, esp, &error));
        rmt_auto_str efi = rmt_text("%s/%.3s", test_folder, rows[i].path);
        rmt_auto_str fallback = rmt_text("%.3s/BOOT/BOOTX64.EFI", rows[i].path);
        assert_true(s_is_same(rows[i].path, fallback));
        rmt_auto(rmt_record) again = s_examine();
        assert_string_equal(rmt_record_text(again, "fallback", ""), "yes");
        RMT_OK(rmt_io_remove_tree(efi, &error));
    }
}

// M32: a loader starts the unified kernel images itself; without one there must be a
// choice.
static void
test_unified_images_need_a_loader_or_a_fallback_to_choose(void **state)
{
    (void) state;
    s_put("EFI/Linux/a.efi", X64, ".linux", "");
    s_put("EFI/Linux/b.efi", X64, ".linux", "");
    s_put("EFI/Linux/notes.txt", X64, ".linux", "");
    s_put("EFI/Linux/addon.efi", X64, ".cmdline", "");
    s_assert_refused("2 programs below EFI can be started");
    s_put("EFI/systemd/systemd-bootx64.efi", X64, ".sdmagic", "");
    rmt_auto(rmt_record) esp = s_examine();
    assert_string_equal(rmt_record_text(esp, "kind", ""), "systemd-boot");
    s_put("EFI/BOOT/BOOTX64.EFI", X64, ".linux", "");
    rmt_auto(rmt_record) both = s_examine();
    assert_string_equal(rmt_record_text(both, "path", ""),
                        "EFI/systemd/systemd-bootx64.efi");
    assert_string_equal(rmt_record_text(both, "fallback", ""), "yes");
}

// M33: what a target's partition cannot take is told when the source is imaged.
static void
test_a_fallback_without_room_is_told_at_capture(void **state)
{
    static const struct {
        uint64_t size, bytes, files;
        bool fits;
    } rows[] = {{100 * 4096, 10 * 4096, 4, true},
                {100 * 4096, 100 * 4096 - 2800, 0, false}, // The tables take 800 bytes
                {100 * 4096, 50 * 4096, 50, false},        // Their ends take clusters too
                {100 * 4096, 200 * 4096, 1, false},        // More than there is
                {0, 1, 1, true}};                          // Nobody told the size
    (void) state;
    s_put("EFI/Linux/a.efi", X64, ".linux", "");
    rmt_auto_fd fd = s_open();
    rmt_auto(rmt_record) esp = s_examine();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_record) volume = rmt_record_new();
        rmt_record_set_u64(volume, "bytes", rows[i].size);
        rmt_record_set_u64(volume, "block-size", 4096);
        const int rc =
            rmt_esp_check_room(fd, esp, volume, rows[i].bytes, rows[i].files, &error);
        assert_int_equal(rc, rows[i].fits ? 0 : -1);
        assert_true(rc == 0 || error.code == RMT_E_NO_SPACE);
    }
    rmt_error_t error = {0};
    RMT_OK(rmt_esp_complete(fd, esp, &error));
    rmt_auto(rmt_record) again = s_examine();
    rmt_auto(rmt_record) volume = rmt_record_new();
    rmt_record_set_u64(volume, "bytes", 4096);
    rmt_record_set_u64(volume, "block-size", 4096);
    RMT_OK(rmt_esp_check_room(fd, again, volume, 4096, 1, &error));
}

// M11: no two copies hand one seed to their kernels.
static void
test_a_copy_has_a_seed_of_its_own(void **state)
{
    static const char old[32] = "0123456789abcdef0123456789abcde";
    rmt_error_t error = {0};
    (void) state;
    rmt_auto_fd fd = s_open();
    RMT_OK(rmt_esp_renew(fd, &error)); // There is none
    rmt_auto_str folder = rmt_text("%s/loader", test_folder);
    rmt_auto_str path = rmt_text("%s/random-seed", folder);
    RMT_OK(rmt_io_mkdirs(folder, 0755, &error));
    RMT_OK(rmt_io_save(path, old, sizeof old, 0600, &error));
    RMT_OK(rmt_esp_renew(fd, &error));
    rmt_auto_ptr data = NULL;
    size_t size = 0;
    RMT_OK(rmt_io_load(path, 1024, &data, &size, &error));
    assert_int_equal(size, sizeof old);
    assert_memory_not_equal(data, old, sizeof old);
}

// What the image has beside its loader stays; what is in the way is told.
static void
test_what_is_in_the_way_of_a_fallback_is_told(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    s_put("EFI/debian/shimx64.efi", X64, ".text", "UEFI SHIM");
    s_put("EFI/debian/grubx64.efi", X64, "mods", "the vendor's");
    s_put("EFI/BOOT/grubx64.efi", X64, "mods", "own");
    rmt_auto(rmt_record) esp = s_examine();
    rmt_auto_fd fd = s_open();
    rmt_auto_str name = rmt_text("%s/EFI/BOOT/BOOTX64.EFI", test_folder);
    assert_int_equal(symlink("nothing", name), 0);
    RMT_FAILS(rmt_esp_complete(fd, esp, &error), RMT_E_EXISTS);
    assert_string_equal(error.text, "fallback: make BOOTX64.EFI: File exists");
    assert_false(s_is_same("EFI/debian/grubx64.efi", "EFI/BOOT/grubx64.efi"));
    rmt_auto_str beside = rmt_text("%s/EFI/BOOT/mmx64.efi", test_folder);
    s_put("EFI/debian/mmx64.efi", X64, ".text", "");
    assert_int_equal(symlink("nothing", beside), 0);
    RMT_FAILS(rmt_esp_complete(fd, esp, &error), RMT_E_EXISTS);
    assert_string_equal(error.text, "fallback: make mmx64.efi: File exists");
}

static void
test_a_file_in_place_of_the_fallback_folder_is_told(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    s_put("EFI/debian/grubx64.efi", X64, "mods", "");
    rmt_auto(rmt_record) esp = s_examine();
    s_put("EFI/BOOT", X64, "mods", "");
    rmt_auto_fd fd = s_open();
    RMT_FAILS(rmt_esp_complete(fd, esp, &error), RMT_E_IO);
    assert_non_null(strstr(error.text, "make EFI/BOOT"));
}

static void
test_several_vendors_need_a_fallback(void **state)
{
    (void) state;
    s_put("EFI/debian/grubx64.efi", X64, "mods", "");
    s_put("EFI/fedora/grubx64.efi", X64, "mods", "");
    s_assert_refused("2 programs below EFI");
    s_put("EFI/BOOT/BOOTX64.EFI", X64, "mods", "");
    rmt_auto(rmt_record) esp = s_examine();
    assert_string_equal(rmt_record_text(esp, "path", ""), "EFI/BOOT/BOOTX64.EFI");
}

static const char s_bootmgr[] = "\\b\0o\0o\0t\0m\0g\0f\0w\0.\0e\0f\0i";

static void
s_put_windows(const char *path)
{
    rmt_error_t error = {0};
    const pe_file_section_t one = {".text", s_bootmgr, sizeof s_bootmgr};
    size_t size = 0;
    rmt_auto_ptr pe = pe_file_make(X64, &one, 1, &size);
    rmt_auto_str full = rmt_text("%s/%s", test_folder, path);
    rmt_auto_str folder = rmt_text("%s", full);
    *strrchr(folder, '/') = '\0';
    RMT_OK(rmt_io_mkdirs(folder, 0755, &error));
    RMT_OK(rmt_io_save(full, pe, size, 0644, &error));
}

// M32: Windows' fallback stays Windows', and Linux is what the copy starts by its entry.
static void
test_m32_windows_keeps_its_fallback(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    s_put_windows("EFI/Microsoft/Boot/bootmgfw.efi");
    s_put_windows("EFI/Boot/bootx64.efi");
    rmt_auto(rmt_record) alone = s_examine();
    assert_string_equal(rmt_record_text(alone, "path", "?"), "");
    assert_true(rmt_record_flag(alone, "windows"));
    s_put("EFI/debian/grubx64.efi", X64, "mods", "of debian");
    rmt_auto(rmt_record) both = s_examine();
    assert_string_equal(rmt_record_text(both, "path", ""), "EFI/debian/grubx64.efi");
    assert_string_equal(rmt_record_text(both, "fallback", ""), "other");
    assert_true(rmt_record_flag(both, "windows"));
    rmt_auto_fd fd = s_open();
    RMT_OK(rmt_esp_complete(fd, both, &error));
    assert_true(s_is_same("EFI/Boot/bootx64.efi", "EFI/Microsoft/Boot/bootmgfw.efi"));
    assert_false(rmt_esp_has(fd, "EFI/Boot/grubx64.efi"));
    s_put("EFI/fedora/grubx64.efi", X64, "mods", "of fedora");
    s_assert_refused("the fallback path has the one of Windows");
}

// M32: one without a fallback gets that of Linux, as any other.
static void
test_m32_beside_windows_an_empty_fallback_is_filled(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    s_put_windows("EFI/Microsoft/Boot/bootmgfw.efi");
    s_put("EFI/debian/grubx64.efi", X64, "mods", "of debian");
    rmt_auto(rmt_record) esp = s_examine();
    assert_string_equal(rmt_record_text(esp, "fallback", ""), "no");
    rmt_auto_fd fd = s_open();
    RMT_OK(rmt_esp_complete(fd, esp, &error));
    assert_true(s_is_same("EFI/BOOT/BOOTX64.EFI", "EFI/debian/grubx64.efi"));
}

static void
test_damaged_and_foreign_programs_start_nothing(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    s_put("EFI/debian/grubx64.efi", 0xaa64, "mods", "");
    rmt_auto_str path = rmt_text("%s/EFI/debian/shimx64.efi", test_folder);
    uint8_t cut[80] = "MZ";
    memset(cut + 60, 0xff, 4);
    RMT_OK(rmt_io_save(path, cut, sizeof cut, 0644, &error));
    rmt_auto(rmt_record) esp = s_examine();
    assert_string_equal(rmt_record_text(esp, "path", "-"), "");
}

// A system of which any one call fails: the loaders are the same, or the failure is told.
static int
s_examine_again(void *context, rmt_error_t *error)
{
    const char *wanted = context;
    rmt_auto_fd fd = open(test_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rmt_auto(rmt_record) esp = NULL;
    if (fd == -1)
        return rmt_fail_errno(error, "open %s", test_folder);
    if (rmt_esp_examine(fd, &esp, error) == -1)
        return -1;
    rmt_auto_str text = s_describe(esp);
    return strcmp(text, wanted) == 0
               ? 0
               : rmt_fail(error, RMT_E_INTERNAL, "nothing is said, and it is %s", text);
}

static void
test_no_failed_call_gives_another_loader(void **state)
{
    (void) state;
    s_put("EFI/debian/shimx64.efi", X64, ".text", "UEFI SHIM");
    s_put("EFI/debian/grubx64.efi", X64, "mods", "");
    s_put("EFI/BOOT/BOOTX64.EFI", X64, ".text", "UEFI SHIM");
    s_put(RMT_ESP_WINDOWS, X64, ".text", "");
    rmt_auto(rmt_record) esp = s_examine();
    rmt_auto_str wanted = s_describe(esp);
    const refuse_each_t each = {
        .calls = refuse_each_files,
        .count = refuse_each_files_count,
        .code = EIO,
        .act = s_examine_again,
        .after = refuse_each_assert_told,
        .context = wanted,
    };
    assert_in_range(refuse_each(&each), 10, 1000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(test)                                                                       \
    cmocka_unit_test_setup_teardown(test, test_folder_make, test_folder_remove)
        CASE(test_an_empty_partition_starts_nothing),
        CASE(test_a_vendor_loader_gets_a_fallback),
        CASE(test_shim_brings_what_it_loads),
        CASE(test_a_fallback_of_the_image_stays_as_it_is),
        CASE(test_other_loaders_are_refused_by_name),
        CASE(test_each_loader_that_is_carried_starts_the_copy),
        CASE(test_unified_images_need_a_loader_or_a_fallback_to_choose),
        CASE(test_a_fallback_without_room_is_told_at_capture),
        CASE(test_a_copy_has_a_seed_of_its_own),
        CASE(test_what_is_in_the_way_of_a_fallback_is_told),
        CASE(test_a_file_in_place_of_the_fallback_folder_is_told),
        CASE(test_several_vendors_need_a_fallback),
        CASE(test_m32_windows_keeps_its_fallback),
        CASE(test_m32_beside_windows_an_empty_fallback_is_filled),
        CASE(test_damaged_and_foreign_programs_start_nothing),
        CASE(test_no_failed_call_gives_another_loader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
