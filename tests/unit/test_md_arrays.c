// Arrays of md are judged by all their members, and a copy has superblocks of its own.
#include "tools/rmt_test.h"
#include "unit/md_member.h"

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "disk/rmt_array.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    rmt_layout_t *layout;
    rmt_arrays_t *arrays;
    rmt_records_t *told;
} bench_t;

// One disk with so many partitions, each a member.
static int
s_judge(bench_t *self, const rmt_md_t *members, size_t count, rmt_error_t *error_out)
{
    *self = (bench_t){.layout = rmt_layout_new(),
                      .arrays = rmt_arrays_new(),
                      .told = rmt_records_new()};
    rmt_error_t error = {0};
    rmt_layout_add_disk(self->layout, "system")->table = RMT_TABLE_GPT;
    for (size_t i = 0; i < count; i++) {
        rmt_layout_partition_t *partition = rmt_layout_add_partition(self->layout, 0);
        partition->number = i + 1;
        partition->start = 2048 + i * BYTES / 512;
        partition->size = BYTES / 512;
        strcpy(partition->type, "A19D880F-05FC-4D3B-A006-743F0F84911E");
        rmt_auto_fd fd = md_memory();
        RMT_OK(rmt_md_write(fd, 0, BYTES, &members[i], &error));
        RMT_OK(rmt_arrays_add(self->arrays, 0, i + 1, fd, BYTES, &error));
    }
    int rc = rmt_arrays_finish(self->arrays, self->layout, self->told, error_out);
    return rc == -1 ? -1 : rmt_layout_check(self->layout, error_out);
}

static void
s_close(bench_t *self)
{
    rmt_layout_destroy(&self->layout);
    rmt_arrays_destroy(&self->arrays);
    rmt_records_destroy(&self->told);
}

static void
test_members_become_an_array_by_their_slots(void **state)
{
    (void) state;
    bench_t bench;
    rmt_error_t error = {0};
    const rmt_md_t members[] = {md_member(RMT_MD_1_2, 5, 2, 3),
                                md_member(RMT_MD_1_2, 5, 0, 3),
                                md_member(RMT_MD_1_2, 5, 1, 3)};
    RMT_OK(s_judge(&bench, members, 3, &error));
    const rmt_layout_array_t *array = &bench.layout->arrays[0];
    assert_string_equal(array->uuid, "a1b2c3d40102030405060708090a0b0c");
    assert_string_equal(array->name, "host:data");
    assert_string_equal(array->metadata, "1.2");
    assert_int_equal(bench.layout->member_count, 3);
    assert_int_equal(bench.layout->members[0].partition, 2);
    assert_int_equal(bench.layout->members[1].partition, 3);
    assert_int_equal(bench.layout->members[2].partition, 1);
    assert_int_equal(rmt_records_count(bench.told), 0);
    // What is written as records is read as the same.
    rmt_auto(rmt_records) records = rmt_records_new();
    rmt_layout_write(bench.layout, records);
    rmt_auto(rmt_layout) again = rmt_layout_read(records, &error);
    RMT_OK(again);
    assert_int_equal(again->array_count, 1);
    assert_int_equal(again->members[2].data_size, bench.layout->members[2].data_size);
    s_close(&bench);
}

static void
test_a_member_that_is_older_is_not_read_and_told(void **state)
{
    (void) state;
    bench_t bench;
    rmt_error_t error = {0};
    rmt_md_t members[] = {md_member(RMT_MD_1_2, 1, 0, 2), md_member(RMT_MD_1_2, 1, 1, 2)};
    // A crash between the writes of two superblocks is no other time.
    members[0].array.events = 16;
    RMT_OK(s_judge(&bench, members, 2, &error));
    assert_false(rmt_arrays_is_old(bench.arrays, 0));
    assert_int_equal(rmt_records_count(bench.told), 0);
    s_close(&bench);
    members[0].array.events = 15;
    RMT_OK(s_judge(&bench, members, 2, &error));
    assert_true(rmt_arrays_is_old(bench.arrays, 0));
    assert_false(rmt_arrays_is_old(bench.arrays, 1));
    assert_non_null(strstr(rmt_record_text(rmt_records_at(bench.told, 0), "reason", ""),
                           "older than the others"));
    s_close(&bench);
    // The others say that it was thrown out.
    members[0].array.events = 17;
    members[1].array.events = 18;
    members[1].slots[0] = RMT_MD_SLOT_FAULTY;
    RMT_OK(s_judge(&bench, members, 2, &error));
    assert_true(rmt_arrays_is_old(bench.arrays, 0));
    s_close(&bench);
    // One is too many, whichever is found first: what is older is not read.
    for (unsigned i = 0; i < 2; i++) {
        rmt_md_t three[] = {md_member(RMT_MD_1_2, 1, 0, 2),
                            md_member(RMT_MD_1_2, 1, 0, 2),
                            md_member(RMT_MD_1_2, 1, 1, 2)};
        three[i].array.events = 3;
        RMT_OK(s_judge(&bench, three, 3, &error));
        assert_int_equal(rmt_records_count(bench.told), 1);
        assert_int_equal(bench.layout->members[0].partition, i ? 1 : 2);
        s_close(&bench);
    }
}

// Superblocks of an array that runs are written one by one, and not at each write.
static void
test_m32_of_an_array_that_runs_the_kernel_knows_the_age(void **state)
{
    (void) state;
    for (unsigned is_running = 0; is_running < 2; is_running++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_layout) layout = rmt_layout_new();
        rmt_auto(rmt_records) told = rmt_records_new();
        rmt_auto(rmt_arrays) arrays = rmt_arrays_new();
        rmt_layout_add_disk(layout, "system")->table = RMT_TABLE_GPT;
        for (uint32_t i = 0; i < 2; i++) {
            rmt_md_t member = md_member(RMT_MD_1_2, 1, i, 2);
            member.array.events = i ? 40 : 15;
            member.array.sync = 0;
            rmt_auto_fd fd = md_memory();
            RMT_OK(rmt_md_write(fd, 0, BYTES, &member, &error));
            RMT_OK(rmt_arrays_add(arrays, 0, i + 1, fd, BYTES, &error));
        }
        if (is_running)
            rmt_arrays_set_running(arrays);
        RMT_OK(rmt_arrays_finish(arrays, layout, told, &error));
        assert_int_equal(rmt_arrays_is_old(arrays, 0), !is_running);
        assert_int_equal(rmt_records_count(told), is_running ? 0 : 2);
        assert_int_equal(layout->member_count, 2);
    }
}

typedef struct {
    const char *words;
    rmt_md_t members[4];
    size_t count;
} refusal_t;

static void
s_expect_refusal(const refusal_t *row)
{
    bench_t bench;
    rmt_error_t error = {0};
    assert_int_equal(s_judge(&bench, row->members, row->count, &error), -1);
    assert_int_equal(error.code, RMT_E_UNSUPPORTED);
    if (!strstr(error.text, row->words))
        fail_msg("'%s' does not say '%s'", error.text, row->words);
    s_close(&bench);
}

static void
test_arrays_that_are_not_whole_are_refused(void **state)
{
    (void) state;
    refusal_t rows[] = {
        {"lacks a member", {md_member(RMT_MD_1_2, 1, 1, 2)}, 1},
        {"lacks a member",
         {md_member(RMT_MD_0_90, 5, 0, 3), md_member(RMT_MD_0_90, 5, 2, 3)},
         2},
        {"two members for one place",
         {md_member(RMT_MD_1_2, 1, 0, 2), md_member(RMT_MD_1_2, 1, 0, 2)},
         2},
        {"has a spare",
         {md_member(RMT_MD_1_2, 1, 0, 2), md_member(RMT_MD_1_2, 1, 1, 2),
          md_member(RMT_MD_1_2, 1, 1, 2)},
         3},
        {"too many members that are older",
         {md_member(RMT_MD_1_2, 5, 0, 3), md_member(RMT_MD_1_2, 5, 1, 3),
          md_member(RMT_MD_1_2, 5, 2, 3)},
         3},
        {"was not cleanly stopped, and has a member that is older",
         {md_member(RMT_MD_1_2, 5, 0, 3), md_member(RMT_MD_1_2, 5, 1, 3),
          md_member(RMT_MD_1_2, 5, 2, 3)},
         3},
        {"of level linear",
         {md_member(RMT_MD_1_2, RMT_MD_LEVEL_LINEAR, 0, 2),
          md_member(RMT_MD_1_2, RMT_MD_LEVEL_LINEAR, 1, 2)},
         2},
        {"level 10 and layout 131330, which is not supported",
         {md_member(RMT_MD_1_2, 10, 0, 2), md_member(RMT_MD_1_2, 10, 1, 2)},
         2},
        {"members of different sizes",
         {md_member(RMT_MD_1_2, 0, 0, 2), md_member(RMT_MD_1_2, 0, 1, 2)},
         2},
        {"older than the others, and no copy of it",
         {md_member(RMT_MD_1_2, 0, 0, 2), md_member(RMT_MD_1_2, 0, 1, 2)},
         2},
        {"older than the others, and no copy of it",
         {md_member(RMT_MD_1_2, 10, 0, 2), md_member(RMT_MD_1_2, 10, 1, 2)},
         2},
        {"a member of another version, level",
         {md_member(RMT_MD_1_1, 5, 0, 2), md_member(RMT_MD_1_2, 5, 1, 2)},
         2},
        {"a member of another version, level",
         {md_member(RMT_MD_1_2, 1, 0, 2), md_member(RMT_MD_1_2, 5, 1, 2)},
         2},
        {"a member of another version, level",
         {md_member(RMT_MD_1_2, 5, 0, 3), md_member(RMT_MD_1_2, 5, 1, 2)},
         2},
        {"a member of another version, level",
         {md_member(RMT_MD_1_2, 5, 0, 2), md_member(RMT_MD_1_2, 5, 1, 2)},
         2},
        {"a member of another version, level",
         {md_member(RMT_MD_1_2, 5, 0, 2), md_member(RMT_MD_1_2, 5, 1, 2)},
         2},
    };
    rows[3].members[2].number = 2;
    rows[3].members[2].slot = RMT_MD_SLOT_SPARE;
    rows[4].members[2].array.events = 30;
    for (size_t i = 0; i < 3; i++)
        rows[5].members[i].array.sync = MIB;
    rows[5].members[0].array.events = 3;
    for (size_t i = 0; i < 2; i++)
        rows[7].members[i].array.layout = 0x20102;
    rows[8].members[1].data_size -= 2 * 65536;
    rows[9].members[0].array.events = rows[10].members[0].array.events = 3;
    rows[10].members[0].array.layout = rows[10].members[1].array.layout = 0x101;
    rows[14].members[0].array.layout = 3;
    rows[15].members[0].array.chunk = 4096;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        s_expect_refusal(&rows[i]);
}

static void
test_an_array_that_was_not_stopped_says_so(void **state)
{
    (void) state;
    bench_t bench;
    rmt_error_t error = {0};
    rmt_md_t members[] = {md_member(RMT_MD_1_0, 1, 0, 2), md_member(RMT_MD_1_0, 1, 1, 2)};
    members[0].array.sync = members[1].array.sync = MIB;
    RMT_OK(s_judge(&bench, members, 2, &error));
    assert_int_equal(rmt_records_count(bench.told), 1);
    assert_non_null(strstr(rmt_record_text(rmt_records_at(bench.told, 0), "reason", ""),
                           "not cleanly stopped"));
    s_close(&bench);
    // Whatever else is told of it.
    members[0].array.events = 3;
    RMT_OK(s_judge(&bench, members, 2, &error));
    assert_int_equal(rmt_records_count(bench.told), 2);
    assert_non_null(strstr(rmt_record_text(rmt_records_at(bench.told, 1), "reason", ""),
                           "not cleanly stopped"));
    s_close(&bench);
}

// [3.44] A superblock of 0.90 has 27 places, and a size of 32 bits; RAID 10 with two far
// copies has two chunks on a member.
static void
test_numbers_that_no_superblock_has_are_refused(void **state)
{
    (void) state;
    static const struct {
        const char *metadata, *level, *layout, *slots, *size;
    } rows[] = {
        {"0.90", "1", "0", "28", "4194304"},
        {"0.90", "5", "2", "2", "4398046511104"},
        {"1.2", "10", "513", "2", "65536"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bench_t bench;
        rmt_error_t error = {0};
        rmt_md_t members[28];
        const size_t count = strtoul(rows[i].slots, NULL, 10);
        for (uint32_t j = 0; j < count; j++)
            members[j] = md_member(RMT_MD_1_0, 1, j, (uint32_t) count);
        RMT_OK(s_judge(&bench, members, count, &error));
        rmt_layout_array_t *array = &bench.layout->arrays[0];
        free(array->metadata);
        array->metadata = rmt_text("%s", rows[i].metadata);
        array->level = strtoul(rows[i].level, NULL, 10);
        array->layout = strtoul(rows[i].layout, NULL, 10);
        array->size = strtoull(rows[i].size, NULL, 10);
        array->chunk = array->level == 1 ? 0 : 65536;
        RMT_FAILS(rmt_layout_check(bench.layout, &error), RMT_E_USAGE);
        if (!strstr(error.text, "has slots, chunks or a size that cannot be"))
            fail_msg("%zu: %s", i, error.text);
        s_close(&bench);
    }
}

// On disks that are larger than metadata 0.90 can say, an array takes what it can say.
static void
test_an_old_array_grows_as_far_as_its_superblock_counts(void **state)
{
    (void) state;
    bench_t bench;
    rmt_error_t error = {0};
    const uint64_t tib = (uint64_t) 1 << 40;
    const rmt_md_t members[] = {md_member(RMT_MD_0_90, 1, 0, 2),
                                md_member(RMT_MD_0_90, 1, 1, 2)};
    const rmt_array_place_t places[] = {{-1, 0, 8 * tib}, {-1, 0, 8 * tib}};
    RMT_OK(s_judge(&bench, members, 2, &error));
    const uint64_t bytes = rmt_array_bytes(bench.layout, 0, places);
    assert_in_range(bytes, 4 * tib - MIB, 4 * tib - 1024);
    s_close(&bench);
}

// Members of 3, 2 and 1 chunks: three zones, of 3, 2 and 1 chunks of the array. An old
// kernel begins the second zone with the member that its first chunk's number tells.
static void
test_stripes_over_unequal_members_have_zones(void **state)
{
    (void) state;
    static const struct {
        uint32_t layout;
        const char *members[3];
    } rows[] = {{2, {"ADF", "BE", "C"}}, {1, {"AEF", "BD", "C"}}};
    static const uint64_t chunks[] = {3, 2, 1};
    for (size_t i = 0; i < 2; i++) {
        bench_t bench;
        rmt_error_t error = {0};
        rmt_md_t members[3];
        rmt_array_place_t places[3];
        for (uint32_t j = 0; j < 3; j++) {
            members[j] = md_member(RMT_MD_1_2, 0, j, 3);
            members[j].array.layout = rows[i].layout;
            members[j].data_size = chunks[j] * 65536 + 512;
        }
        RMT_OK(s_judge(&bench, members, 3, &error));
        for (size_t j = 0; j < 3; j++)
            places[j] = (rmt_array_place_t){md_memory(), 512, BYTES};
        assert_int_equal(rmt_array_bytes(bench.layout, 0, places), 6 * 65536);
        rmt_auto(rmt_mapping) mapping = rmt_array_map(bench.layout, 0, places);
        for (size_t j = 0; j < 6; j++) {
            const char letter = (char) ('A' + j);
            assert_int_equal(rmt_mapping_write(mapping, &letter, 1, j * 65536), 0);
        }
        for (size_t j = 0; j < 3; j++)
            for (size_t row = 0; rows[i].members[j][row]; row++) {
                char letter;
                RMT_OK(rmt_io_pread(places[j].fd, &letter, 1,
                                    (off_t) (512 + MIB + row * 65536), &error));
                assert_int_equal(letter, rows[i].members[j][row]);
            }
        for (size_t j = 0; j < 3; j++)
            close(places[j].fd);
        s_close(&bench);
    }
}

// [3.44] What a layout says of arrays comes from outside.
static void
test_a_layout_with_arrays_that_cannot_be_is_refused(void **state)
{
    (void) state;
    static const struct {
        size_t record; // 3: the array, 4 and 5 its members
        const char *field, *value;
        rmt_code_t code;
    } rows[] = {
        {3, "uuid", "a1b2", RMT_E_USAGE},      {3, "metadata", "1.3", RMT_E_USAGE},
        {3, "level", "7", RMT_E_UNSUPPORTED},  {3, "level", "6", RMT_E_USAGE},
        {3, "slots", "3", RMT_E_USAGE},        {3, "size", "1", RMT_E_USAGE},
        {3, "size", "8388608", RMT_E_USAGE},   {3, "chunk", "100", RMT_E_USAGE},
        {4, "slot", "1", RMT_E_USAGE},         {4, "slot", "2", RMT_E_USAGE},
        {4, "partition", "2", RMT_E_USAGE},    {4, "partition", "3", RMT_E_USAGE},
        {4, "data-start", "777", RMT_E_USAGE}, {4, "data-size", "9000000", RMT_E_USAGE},
        {5, "array", "b1b2", RMT_E_USAGE},     {5, "disk", "other", RMT_E_USAGE},
    };
    bench_t bench;
    rmt_error_t error = {0};
    const rmt_md_t members[] = {md_member(RMT_MD_1_2, 5, 0, 2),
                                md_member(RMT_MD_1_2, 5, 1, 2)};
    RMT_OK(s_judge(&bench, members, 2, &error));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto(rmt_records) records = rmt_records_new();
        rmt_layout_write(bench.layout, records);
        assert_int_equal(rmt_records_count(records), 6);
        rmt_record_set(rmt_records_at(records, rows[i].record), rows[i].field,
                       rows[i].value);
        rmt_auto(rmt_layout) layout = rmt_layout_read(records, &error);
        if (layout)
            fail_msg("%s=%s is taken", rows[i].field, rows[i].value);
        assert_int_equal(error.code, rows[i].code);
    }
    // A volume lies on the array, not in a member.
    rmt_auto(rmt_records) records = rmt_records_new();
    rmt_layout_write(bench.layout, records);
    rmt_record_t *volume = rmt_records_add(records);
    rmt_record_set(volume, "class", "volume");
    rmt_record_set(volume, "disk", "system");
    rmt_record_set(volume, "fs", "none");
    rmt_record_set(volume, "partition", "2");
    RMT_FAILS(rmt_layout_read(records, &error), RMT_E_USAGE);
    rmt_record_set(volume, "array", bench.layout->arrays[0].uuid);
    RMT_FAILS(rmt_layout_read(records, &error), RMT_E_USAGE);
    rmt_record_set(volume, "partition", "0");
    rmt_auto(rmt_layout) layout = rmt_layout_read(records, &error);
    RMT_OK(layout);
    s_close(&bench);
}

// [3.45] All members of a copy are equal; what has parity makes it when it starts.
static void
test_a_copy_is_in_sync_except_for_parity(void **state)
{
    (void) state;
    static const int32_t levels[] = {0, 1, 10, 4, 5, 6};
    for (size_t i = 0; i < 6; i++) {
        bench_t bench;
        rmt_error_t error = {0};
        rmt_md_t members[3], found[3];
        rmt_array_place_t places[3];
        for (uint32_t j = 0; j < 3; j++)
            members[j] = md_member(RMT_MD_1_1, levels[i], j, 3);
        RMT_OK(s_judge(&bench, members, 3, &error));
        for (size_t j = 0; j < 3; j++)
            places[j] = (rmt_array_place_t){md_memory(), 0, BYTES};
        RMT_OK(rmt_array_write(bench.layout, 0, places, &error));
        for (size_t j = 0; j < 3; j++) {
            RMT_OK(rmt_md_read(places[j].fd, 0, BYTES, &found[j], &error));
            assert_int_equal(found[j].slot, j);
            assert_memory_equal(found[j].array.uuid, md_uuid, 16);
            assert_string_equal(found[j].array.name, "host:data");
            assert_int_equal(found[j].array.level, levels[i]);
            assert_int_equal(found[j].array.size, members[j].array.size);
            assert_int_equal(found[j].data_size, members[j].data_size);
            assert_memory_equal(&found[j].array, &found[0].array, sizeof found[0].array);
            assert_true(found[j].array.sync == (i < 3 ? RMT_MD_IN_SYNC : 0));
            assert_memory_not_equal(found[j].uuid, members[j].uuid, 16);
            close(places[j].fd);
        }
        s_close(&bench);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members_become_an_array_by_their_slots),
        cmocka_unit_test(test_a_member_that_is_older_is_not_read_and_told),
        cmocka_unit_test(test_m32_of_an_array_that_runs_the_kernel_knows_the_age),
        cmocka_unit_test(test_arrays_that_are_not_whole_are_refused),
        cmocka_unit_test(test_an_array_that_was_not_stopped_says_so),
        cmocka_unit_test(test_numbers_that_no_superblock_has_are_refused),
        cmocka_unit_test(test_an_old_array_grows_as_far_as_its_superblock_counts),
        cmocka_unit_test(test_stripes_over_unequal_members_have_zones),
        cmocka_unit_test(test_a_layout_with_arrays_that_cannot_be_is_refused),
        cmocka_unit_test(test_a_copy_is_in_sync_except_for_parity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
