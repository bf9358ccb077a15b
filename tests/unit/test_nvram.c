// Boot entries of UEFI firmware, in a folder with files as efivarfs shows them (M23).
#include "tools/test_folder.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "disk/rmt_nvram.h"

#define GLOBAL "8be4df61-93ca-11d2-aa0d-00e098032b8c"

static const rmt_nvram_entry_t s_entry = {.label = "debian",
                                          .path = "EFI/debian/shimx64.efi",
                                          .guid = "C3A1F2E4-0B5D-4E6F-8A9B-0C1D2E3F4A5B",
                                          .partition = 15,
                                          .start = 10240,
                                          .sectors = 253952};

static void
s_put(const char *name, const void *data, size_t size)
{
    rmt_error_t error = {0};
    rmt_auto_str path = rmt_text("%s/%s-" GLOBAL, test_folder, name);
    RMT_OK(rmt_io_save(path, data, size, 0644, &error));
}

static void
s_assert_variable(const char *name, const void *data, size_t size)
{
    rmt_error_t error = {0};
    rmt_auto_str path = rmt_text("%s/%s-" GLOBAL, test_folder, name);
    rmt_auto_ptr had = NULL;
    size_t had_size = 0;
    if (rmt_io_load(path, 65536, &had, &had_size, &error) == -1)
        fail_msg("%s", error.text);
    assert_int_equal(had_size, size);
    assert_memory_equal(had, data, size);
}

static bool
s_exists(const char *name)
{
    rmt_auto_str path = rmt_text("%s/%s-" GLOBAL, test_folder, name);
    return access(path, F_OK) == 0;
}

static uint16_t
s_set(const rmt_nvram_entry_t *entry)
{
    rmt_error_t error = {0};
    uint16_t number = 0;
    if (rmt_nvram_set(test_folder, entry, 1, &number, &error) == -1)
        fail_msg("%s", error.text);
    return number;
}

// Bytes counted by hand from the UEFI specification, 3.1.3 and 10.3.
static const uint8_t s_option[] =
    "\7\0\0\0\1\0\0\0\x62\0"
    "d\0e\0b\0i\0a\0n\0 \0(\0r\0a\0m\0e\0t\0)\0\0\0"
    "\4\1\x2a\0\x0f\0\0\0\0\x28\0\0\0\0\0\0\0\xe0\3\0\0\0\0\0"
    "\xe4\xf2\xa1\xc3\x5d\x0b\x6f\x4e\x8a\x9b\x0c\x1d\x2e\x3f\x4a\x5b\2\2"
    "\4\4\x34\0"
    "\\\0E\0F\0I\0\\\0d\0e\0b\0i\0a\0n\0\\\0s\0h\0i\0m\0x\0\x36\0\x34\0.\0e\0f\0i\0\0\0"
    "\x7f\xff\4\0";

static void
test_an_entry_is_what_the_specification_says(void **state)
{
    (void) state;
    assert_int_equal(s_set(&s_entry), 0);
    s_assert_variable("Boot0000", s_option, sizeof s_option - 1);
    s_assert_variable("BootOrder", "\7\0\0\0\0\0", 6);
}

static void
test_the_same_entry_is_not_made_twice(void **state)
{
    (void) state;
    s_put("Boot0000", "\7\0\0\0\1\0\0\0\4\0O\0S\0\0\0\x7f\xff\4\0", 20);
    s_put("BootOrder", "\7\0\0\0\0\0", 6);
    assert_int_equal(s_set(&s_entry), 1);
    assert_int_equal(s_set(&s_entry), 1);
    assert_false(s_exists("Boot0002"));
    s_assert_variable("BootOrder", "\7\0\0\0\1\0\0\0", 8);
}

static void
test_what_starts_from_the_network_stays_first(void **state)
{
    (void) state;
    static const char net[] =
        "\7\0\0\0\1\0\0\0\x0d\0P\0X\0E\0\0\0\3\x0b\5\0x\3\x0c\4\0\x7f\xff\4\0";
    s_put("Boot0003", net, sizeof net - 1);
    s_put("Boot0004", "\7\0\0\0\1\0\0\0\4\0C\0D\0\0\0\x7f\xff\4\0", 20);
    s_put("BootOrder", "\7\0\0\0\3\0\4\0\3\0", 10);
    assert_int_equal(s_set(&s_entry), 0);
    s_assert_variable("BootOrder", "\7\0\0\0\3\0\0\0\4\0\3\0", 12);
}

static void
test_entries_of_earlier_copies_are_removed_and_others_kept(void **state)
{
    (void) state;
    rmt_nvram_entry_t old = s_entry;
    old.guid = "00000000-0B5D-4E6F-8A9B-0C1D2E3F4A5B";
    s_put("Boot0000", "\7\0\0\0\1\0\0\0\4\0W\0\0\0\x7f\xff\4\0", 18);
    s_put("BootOrder", "\7\0\0\0\0\0\x77\0", 8);
    assert_int_equal(s_set(&old), 1);
    assert_int_equal(s_set(&s_entry), 2);
    assert_true(s_exists("Boot0000"));
    assert_false(s_exists("Boot0001"));
    s_assert_variable("BootOrder", "\7\0\0\0\2\0\0\0\x77\0", 10);
}

static void
test_damaged_entries_are_left_alone(void **state)
{
    (void) state;
    static const char *const damaged[] = {"\7", "\7\0\0\0\1\0\0\0\xff\xffO\0S\0",
                                          "\7\0\0\0\1\0\0\0\4\0O\0\0\0\4\1\0\0"};
    static const size_t sizes[] = {1, 14, 18};
    for (size_t i = 0; i < 3; i++) {
        rmt_auto_str name = rmt_text("Boot000%zu", i);
        s_put(name, damaged[i], sizes[i]);
    }
    s_put("BootOrder", "\7\0\0\0\0\0\1\0\2", 9);
    assert_int_equal(s_set(&s_entry), 3);
    for (size_t i = 0; i < 3; i++) {
        rmt_auto_str name = rmt_text("Boot000%zu", i);
        s_assert_variable(name, damaged[i], sizes[i]);
    }
    s_assert_variable("BootOrder", "\7\0\0\0\3\0\0\0\1\0", 10);
}

static void
test_a_refusal_is_told_and_changes_nothing(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    uint16_t number = 77;
    rmt_auto_str missing = rmt_text("%s/none", test_folder);
    RMT_FAILS(rmt_nvram_set(missing, &s_entry, 1, &number, &error), RMT_E_NOT_FOUND);
    // A folder where the variable should be: it can be neither read nor written.
    rmt_auto_str path = rmt_text("%s/BootOrder-" GLOBAL, test_folder);
    assert_int_equal(mkdir(path, 0755), 0);
    RMT_FAILS(rmt_nvram_set(test_folder, &s_entry, 1, &number, &error), RMT_E_IO);
    assert_int_equal(number, 77);
}

static void
test_a_full_firmware_is_not_filled_more(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    uint16_t number = 0;
    for (unsigned i = 0; i < 300; i++) {
        rmt_auto_str name = rmt_text("Boot%04X", i);
        s_put(name, "\7", 1);
    }
    RMT_FAILS(rmt_nvram_set(test_folder, &s_entry, 1, &number, &error), RMT_E_TOO_BIG);
}

static void
test_a_dos_table_is_known_by_its_id(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    rmt_nvram_entry_t entry = s_entry;
    entry.guid = "0x1234abcd";
    assert_int_equal(s_set(&entry), 0);
    uint8_t option[sizeof s_option];
    memcpy(option, s_option, sizeof option);
    uint8_t *at = option + 10 + 30 + 24;
    memset(at, 0, 16);
    memcpy(at, "\xcd\xab\x34\x12", 4);
    at[16] = at[17] = 1;
    s_assert_variable("Boot0000", option, sizeof option - 1);
    entry.guid = "neither";
    uint16_t number;
    RMT_FAILS(rmt_nvram_set(test_folder, &entry, 1, &number, &error), RMT_E_USAGE);
}

// M32: a kernel that firmware starts itself, beside another system's loader: order,
// options and labels stand on the copy as on the source.
static void
test_entries_with_options_come_back_as_they_were(void **state)
{
    static const char options[] = "r\0o\0o\0t\0=\0";
    rmt_error_t error = {0};
    uint16_t number = 77;
    (void) state;
    rmt_nvram_entry_t two[] = {s_entry, s_entry};
    two[0].label = "Arch";
    two[0].path = "vmlinuz-linux";
    two[0].options = options;
    two[0].options_size = sizeof options - 1;
    two[1].label = "Windows Boot Manager";
    two[1].path = "EFI/Microsoft/Boot/bootmgfw.efi";
    s_put("Boot0000", "\7\0\0\0\1\0\0\0\4\0O\0S\0\0\0\x7f\xff\4\0", 20);
    s_put("BootOrder", "\7\0\0\0\0\0", 6);
    for (size_t i = 0; i < 2; i++) { // Twice: they are the same entries
        RMT_OK(rmt_nvram_set(test_folder, two, 2, &number, &error));
        assert_int_equal(number, 1);
        s_assert_variable("BootOrder", "\7\0\0\0\1\0\2\0\0\0", 10);
        assert_false(s_exists("Boot0003"));
    }
    rmt_auto(rmt_records) entries = rmt_records_new();
    RMT_OK(rmt_nvram_read(test_folder, entries, &error));
    assert_int_equal(rmt_records_count(entries), 2);
    for (size_t i = 0; i < 2; i++) {
        size_t size = 0;
        const rmt_record_t *entry = rmt_records_at(entries, i);
        const void *had = rmt_record_get(entry, "options", &size);
        assert_string_equal(rmt_record_text(entry, "label", ""), two[i].label);
        assert_string_equal(rmt_record_text(entry, "path", ""), two[i].path);
        assert_string_equal(rmt_record_text(entry, "guid", ""), two[i].guid);
        assert_int_equal(had ? size : 0, two[i].options_size);
        assert_true(!had || memcmp(had, options, size) == 0);
    }
}

// The next start alone, and only where an entry asks for it.
static void
test_the_entry_that_starts_next_is_named(void **state)
{
    rmt_error_t error = {0};
    uint16_t number = 77;
    (void) state;
    rmt_nvram_entry_t two[] = {s_entry, s_entry};
    two[0].path = "EFI/Microsoft/Boot/bootmgfw.efi";
    RMT_OK(rmt_nvram_set(test_folder, two, 2, &number, &error));
    assert_false(s_exists("BootNext"));
    two[1].is_next = true;
    RMT_OK(rmt_nvram_set(test_folder, two, 2, &number, &error));
    s_assert_variable("BootNext", "\7\0\0\0\1\0", 6);
    s_assert_variable("BootOrder", "\7\0\0\0\0\0\1\0", 8);
}

// A firmware that keeps no BootNext starts the copy by its order.
static void
test_the_order_stands_where_the_next_start_is_refused(void **state)
{
    rmt_error_t error = {0};
    uint16_t number = 77;
    (void) state;
    rmt_nvram_entry_t two[] = {s_entry, s_entry};
    two[0].path = "EFI/Microsoft/Boot/bootmgfw.efi";
    two[1].is_next = true;
    rmt_auto_str path = rmt_text("%s/BootNext-" GLOBAL, test_folder);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(rmt_nvram_set(test_folder, two, 2, &number, &error), 1);
    assert_non_null(strstr(error.text, "BootNext"));
    assert_int_equal(number, 0);
    s_assert_variable("BootOrder", "\7\0\0\0\0\0\1\0", 8);
    // An order that is refused leaves the next start as it was.
    rmt_auto_str order = rmt_text("%s/BootOrder-" GLOBAL, test_folder);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(unlink(order), 0);
    assert_int_equal(mkdir(order, 0755), 0);
    assert_int_equal(rmt_nvram_set(test_folder, two, 2, &number, &error), -1);
    assert_false(s_exists("BootNext"));
}

// What cannot be set again as it was is not taken for an entry.
static void
test_entries_that_cannot_come_back_are_not_read(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    assert_int_equal(s_set(&s_entry), 0);
    uint8_t option[sizeof s_option + RMT_NVRAM_OPTIONS_MAX + 1];
    const size_t size = sizeof s_option - 1, label = 10, disk = label + 30;
    for (size_t i = 0; i < 5; i++) {
        memset(option, 0, sizeof option);
        memcpy(option, s_option, size);
        if (i == 0)
            option[4] = 0; // Switched off
        else if (i == 1)
            option[disk + 41] = 1; // Of a DOS table
        else if (i == 2)
            option[disk + 42 + 7] = 1; // A letter outside of ASCII in its path
        else if (i == 3)
            option[disk + 42 + 3] = 0xff; // Its path ends behind it
        s_put("Boot0000", option, i == 4 ? sizeof option : size);
        rmt_auto(rmt_records) entries = rmt_records_new();
        RMT_OK(rmt_nvram_read(test_folder, entries, &error));
        if (rmt_records_count(entries))
            fail_msg("case %zu is read", i);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(test)                                                                       \
    cmocka_unit_test_setup_teardown(test, test_folder_make, test_folder_remove)
        CASE(test_an_entry_is_what_the_specification_says),
        CASE(test_the_same_entry_is_not_made_twice),
        CASE(test_what_starts_from_the_network_stays_first),
        CASE(test_entries_of_earlier_copies_are_removed_and_others_kept),
        CASE(test_damaged_entries_are_left_alone),
        CASE(test_a_refusal_is_told_and_changes_nothing),
        CASE(test_a_full_firmware_is_not_filled_more),
        CASE(test_a_dos_table_is_known_by_its_id),
        CASE(test_entries_with_options_come_back_as_they_were),
        CASE(test_the_entry_that_starts_next_is_named),
        CASE(test_the_order_stands_where_the_next_start_is_refused),
        CASE(test_entries_that_cannot_come_back_are_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
