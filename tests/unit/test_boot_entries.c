// Which boot entries a copy gets in its firmware. M23, M32.
#include "tools/rmt_test.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agent/diskw/entries.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "facts/rmt_facts.h"
#include "facts/rmt_layout.h"

#define GUID "C3A1F2E4-0B5D-4E6F-8A9B-0C1D2E3F4A5B"
#define OTHER "C3A1F2E4-0B5D-4E6F-8A9B-0C1D2E3F4A5C"
#define ENTRY(guid, path) "class=entry label=l guid=" guid " path=" path "\n"
#define WINDOWS "EFI/Microsoft/Boot/bootmgfw.efi"

// The paths in their order; the one that starts next, once, in brackets.
static void
s_tell(const rmt_nvram_entry_t *entries, size_t count, char out[512])
{
    *out = '\0';
    for (size_t i = 0; i < count; i++)
        snprintf(out + strlen(out), 512 - strlen(out), "%s%s%s%s", i ? " " : "",
                 entries[i].is_next ? "[" : "", entries[i].path,
                 entries[i].is_next ? "]" : "");
}

#define ESP "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
#define LINUX "0FC63DAF-8483-4772-8E79-3D69D8477DE4"

// A file system that begins with each half of a mirror is one for firmware on each.
static void
test_m32_each_half_of_a_mirror_is_an_esp(void **state)
{
    (void) state;
    static const struct {
        uint64_t level, start; // Of the array's data
        bool is_on_array;
        const char *types[2];
        size_t count;
        bool is_esp;
    } rows[] = {{1, 0, true, {ESP, ESP}, 2, true},
                {1, 0, true, {ESP, LINUX}, 2, true}, // Firmware reads its half
                {1, 0, true, {LINUX, ESP}, 2, true},
                {1, 0, true, {LINUX, LINUX}, 2, false},
                {1, 1048576, true, {ESP, ESP}, 0, false}, // Metadata 1.2
                {0, 0, true, {ESP, ESP}, 0, false},
                {1, 0, false, {"ef", LINUX}, 1, true},
                {1, 0, false, {LINUX, ESP}, 1, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const rmt_layout_partition_t *partitions[RMT_LAYOUT_MEMBERS_MAX];
        rmt_auto(rmt_layout) layout = rmt_layout_new();
        rmt_layout_add_array(layout, "a")->level = rows[i].level;
        for (size_t disk = 0; disk < 2; disk++) {
            (void) rmt_layout_add_disk(layout, disk ? "disk2" : "system");
            rmt_layout_member_t *member = rmt_layout_add_member(layout, disk);
            member->partition = 5 + disk;
            member->data_start = rows[i].start;
            rmt_layout_partition_t *partition = rmt_layout_add_partition(layout, disk);
            partition->number = 5 + disk;
            strcpy(partition->type, rows[i].types[disk]);
        }
        rmt_layout_volume_t *volume = rmt_layout_add_volume(layout, 0);
        volume->array = rows[i].is_on_array ? rmt_text("a") : NULL;
        volume->partition = rows[i].is_on_array ? 0 : 5;
        assert_int_equal(rmt_layout_firmware_partitions(layout, volume, partitions),
                         rows[i].count);
        assert_int_equal(rmt_layout_is_esp(layout, volume), rows[i].is_esp);
        for (size_t j = 0; j < rows[i].count; j++)
            assert_ptr_equal(partitions[j], &layout->partitions[j]);
    }
}

static void
test_m32_a_system_beside_windows_starts_for_its_first_boot(void **state)
{
    (void) state;
    static const struct {
        const char *boot, *esp, *entries;
    } rows[] = {
        {"", "class=esp path=EFI/debian/shimx64.efi", "EFI/debian/shimx64.efi"},
        {"", "class=esp path=EFI/debian/shimx64.efi windows=yes",
         "EFI/debian/shimx64.efi " WINDOWS},
        {"", "class=esp windows=yes", ""},
        {ENTRY(GUID, "EFI/a.efi") ENTRY(GUID, WINDOWS),
         "class=esp path=EFI/a.efi windows=yes", "EFI/a.efi " WINDOWS},
        {ENTRY(GUID, WINDOWS) ENTRY(GUID, "EFI/a.efi") ENTRY(GUID, "EFI/b.efi"),
         "class=esp path=EFI/a.efi windows=yes", WINDOWS " [EFI/a.efi] EFI/b.efi"},
        // The entry of Linux was switched off, or is of another disk.
        {ENTRY(GUID, WINDOWS), "class=esp path=EFI/fedora/shimx64.efi windows=yes",
         WINDOWS " [EFI/fedora/shimx64.efi]"},
        {ENTRY(GUID, "efi/microsoft/boot/BOOTMGFW.EFI") ENTRY(OTHER, "EFI/a.efi"),
         "class=esp path=EFI/a.efi windows=yes",
         "efi/microsoft/boot/BOOTMGFW.EFI [EFI/a.efi]"},
        {ENTRY(GUID, WINDOWS), "class=esp windows=yes", WINDOWS},
        {ENTRY(OTHER, WINDOWS), "class=esp path=EFI/a.efi", "EFI/a.efi"},
        // Nothing is added to what the source had.
        {ENTRY(GUID, "EFI/a.efi"), "class=esp path=EFI/b.efi windows=yes", "EFI/a.efi"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_records) boot = rmt_facts_parse(rows[i].boot, &error);
        rmt_auto(rmt_records) esp = rmt_facts_parse(rows[i].esp, &error);
        assert_string_equal(error.text, "");
        rmt_nvram_entry_t entries[RMT_NVRAM_SET_MAX];
        char text[512];
        s_tell(entries, diskw_boot_entries(boot, GUID, rmt_records_at(esp, 0), entries),
               text);
        assert_string_equal(text, rows[i].entries);
    }
}

// Each disk has an EFI system partition: the order is that of the source's firmware, over
// all of them.
static void
test_m32_entries_of_several_partitions_keep_their_order(void **state)
{
    (void) state;
    static const struct {
        const char *boot, *entries;
    } rows[] = {
        {"", "EFI/one.efi EFI/two.efi"},
        {ENTRY(GUID, "EFI/a.efi") ENTRY(OTHER, "EFI/b.efi"), "EFI/a.efi EFI/b.efi"},
        {ENTRY(OTHER, "EFI/b.efi") ENTRY(GUID, "EFI/a.efi") ENTRY(OTHER, "EFI/c.efi"),
         "EFI/b.efi EFI/a.efi EFI/c.efi"},
        {ENTRY(OTHER, "EFI/b.efi"), "EFI/b.efi EFI/one.efi"},
        {ENTRY(OTHER, WINDOWS) ENTRY(GUID, "EFI/a.efi"),
         WINDOWS " [EFI/a.efi] EFI/two.efi"},
        {ENTRY(GUID, "EFI/a.efi") ENTRY(OTHER, WINDOWS),
         "EFI/a.efi " WINDOWS " EFI/two.efi"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_records) boot = rmt_facts_parse(rows[i].boot, &error);
        rmt_auto(rmt_records) esps = rmt_facts_parse("class=esp path=EFI/one.efi\n"
                                                     "class=esp path=EFI/two.efi\n",
                                                     &error);
        rmt_nvram_entry_t entries[2 * RMT_NVRAM_SET_MAX];
        char text[512];
        size_t count = diskw_boot_entries(boot, GUID, rmt_records_at(esps, 0), entries);
        count +=
            diskw_boot_entries(boot, OTHER, rmt_records_at(esps, 1), entries + count);
        diskw_order_entries(boot, entries, count);
        s_tell(entries, count, text);
        assert_string_equal(text, rows[i].entries);
    }
}

static void
test_m23_entries_are_as_many_as_the_firmware_can_be_told(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_records) esp = rmt_facts_parse("class=esp path=EFI/a.efi\n", &error);
    rmt_auto_str text = rmt_text("%s", "");
    for (int i = 0; i < 2 * RMT_NVRAM_SET_MAX; i++) {
        char *more = rmt_text("%s%s", text, ENTRY(GUID, WINDOWS));
        free(text);
        text = more;
    }
    rmt_auto(rmt_records) boot = rmt_facts_parse(text, &error);
    rmt_nvram_entry_t entries[RMT_NVRAM_SET_MAX];
    assert_int_equal(diskw_boot_entries(boot, GUID, rmt_records_at(esp, 0), entries),
                     RMT_NVRAM_SET_MAX);
    assert_string_equal(entries[RMT_NVRAM_SET_MAX - 1].path, "EFI/a.efi");
    assert_true(entries[RMT_NVRAM_SET_MAX - 1].is_next);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_m32_each_half_of_a_mirror_is_an_esp),
        cmocka_unit_test(test_m32_a_system_beside_windows_starts_for_its_first_boot),
        cmocka_unit_test(test_m32_entries_of_several_partitions_keep_their_order),
        cmocka_unit_test(test_m23_entries_are_as_many_as_the_firmware_can_be_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
