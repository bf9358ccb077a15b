// Words that mean one partition of a disk (M32, [3.50]).
#include "facts/rmt_part.h"
#include "base/rmt_auto.h"
#include "tools/rmt_test.h"

#include <string.h>

static const struct {
    const char *number, *guid, *name, *label, *uuid, *fs;
} s_disk[] = {
    {"1", "C12A7328-0000-11D2-BA4B-00A0C93EC93B", "EFI system partition", "", "67E3-17ED",
     "vfat"},
    {"3", "E3C9E316-0B5C-4DB8-817D-F92DF00215AE", "Basic data partition", "Windows",
     "5A4C7D2B4C7D0333", "ntfs"},
    {"4", "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC", "Basic data partition", "7",
     "01d0c0de-0000-4000-8000-000000000001", "ext4"},
    {"15", "", "", "", "", ""},
};

static rmt_records_t *
s_parts(void)
{
    rmt_records_t *parts = rmt_records_new();
    for (size_t i = 0; i < sizeof s_disk / sizeof *s_disk; i++) {
        rmt_record_t *part = rmt_records_add(parts);
        rmt_record_set(part, "number", s_disk[i].number);
        rmt_record_set(part, "guid", s_disk[i].guid);
        rmt_record_set(part, "name", s_disk[i].name);
        rmt_record_set(part, "label", s_disk[i].label);
        rmt_record_set(part, "uuid", s_disk[i].uuid);
        rmt_record_set(part, "fs", s_disk[i].fs);
    }
    return parts;
}

static void
test_m32_each_word_for_a_partition_is_known(void **state)
{
    (void) state;
    static const struct {
        const char *word;
        size_t index;
    } rows[] = {
        {"1", 0},
        {"15", 3},
        {"EFI system partition", 0},
        {"PARTLABEL=EFI system partition", 0},
        {"e3c9e316-0b5c-4db8-817d-f92df00215ae", 1},
        {"PARTUUID=E3C9E316-0B5C-4DB8-817D-F92DF00215AE", 1},
        {"Windows", 1},
        {"LABEL=Windows", 1},
        {"5a4c7d2b4c7d0333", 1},
        {"UUID=67e3-17ed", 0},
        // A label of digits needs its tag: digits are a number.
        {"LABEL=7", 2},
    };
    rmt_auto(rmt_records) parts = s_parts();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        size_t index = 99;
        if (rmt_part_find(parts, rows[i].word, &index, &error) == -1)
            fail_msg("%s: %s", rows[i].word, error.text);
        assert_int_equal(index, rows[i].index);
    }
}

static void
test_m32_a_word_that_means_none_or_several_is_refused(void **state)
{
    (void) state;
    static const struct {
        const char *word;
        rmt_code_t code;
        const char *text;
    } rows[] = {
        {"7", RMT_E_NOT_FOUND,
         "no partition is called '7'; there are: 1 (vfat, EFI system partition), 3 "
         "(ntfs, "
         "Basic data partition, Windows), 4 (ext4, Basic data partition, 7), 15"},
        {"windows", RMT_E_NOT_FOUND, "is called 'windows'"},
        {"PARTLABEL=Windows", RMT_E_NOT_FOUND, "is called 'PARTLABEL=Windows'"},
        {"UUID=", RMT_E_NOT_FOUND, "is called 'UUID='"},
        {"03", RMT_E_NOT_FOUND, "is called '03'"},
        {"Basic data partition", RMT_E_USAGE,
         "'Basic data partition' means several partitions: 3 (ntfs, Basic data "
         "partition, Windows), 4 (ext4, Basic data partition, 7); write the number"},
    };
    rmt_auto(rmt_records) parts = s_parts();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        size_t index = 99;
        assert_int_equal(rmt_part_find(parts, rows[i].word, &index, &error), -1);
        assert_int_equal(error.code, rows[i].code);
        if (!strstr(error.text, rows[i].text))
            fail_msg("%s: %s", rows[i].word, error.text);
    }
    rmt_auto(rmt_records) none = rmt_records_new();
    rmt_error_t error = {0};
    size_t index;
    assert_int_equal(rmt_part_find(none, "1", &index, &error), -1);
    assert_non_null(strstr(error.text, "there are: none"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_m32_each_word_for_a_partition_is_known),
        cmocka_unit_test(test_m32_a_word_that_means_none_or_several_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
