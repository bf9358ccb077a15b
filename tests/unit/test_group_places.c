// Volume groups on arrays of md and on whole disks: what a physical volume lies on is
// read, sizes its extents, and is named.
#include "tools/pv_file.h"
#include "tools/rmt_test.h"

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "disk/rmt_group.h"
#include "disk/rmt_pv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB ((uint64_t) 1024 * 1024)
#define PV0 "aaaaaa-0000-0000-0000-0000-0000-aaaaaa"
// One physical volume of 24 extents of 4 MiB, on which root has five.
#define PLAIN                                                                            \
    "vg0 {\nid = \"VVVVVV-0000-0000-0000-0000-0000-VVVVVV\"\nseqno = 4\n"                \
    "format = \"lvm2\"\nextent_size = 8192\nphysical_volumes {\npv0 {\nid = \"" PV0      \
    "\"\nstatus = [\"ALLOCATABLE\"]\ndev_size = 204800\npe_start = 2048\n"               \
    "pe_count = 24\n}\n}\nlogical_volumes {\nroot {\n"                                   \
    "id = \"r00000-0000-0000-0000-0000-0000-000000\"\nstatus = [\"VISIBLE\"]\n"          \
    "segment_count = 1\nsegment1 {\nstart_extent = 0\nextent_count = 5\n"                \
    "type = \"striped\"\nstripe_count = 1\nstripes = [\n\"pv0\", 3\n]\n}\n}\n}\n}\n"

// A disk of two partitions.
static rmt_layout_t *
s_partitions(void)
{
    rmt_layout_t *layout = rmt_layout_new();
    rmt_layout_add_disk(layout, "system")->table = RMT_TABLE_GPT;
    for (uint64_t i = 0; i < 2; i++) {
        rmt_layout_partition_t *partition = rmt_layout_add_partition(layout, 0);
        partition->number = i + 1;
        partition->start = 2048 + i * 204800;
        partition->size = 204800;
    }
    return layout;
}

// A group on a mirror of the two partitions, and one on a whole disk, are read with what
// they lie on, and grow with that.
static void
test_groups_on_arrays_and_whole_disks_are_read(void **state)
{
    (void) state;
    static const char array[] = "0123456789abcdef0123456789abcdef";
    const rmt_group_place_t places[] = {{.disk = 0, .array = array, .bytes = 99 * MIB},
                                        {.disk = 1, .bytes = 100 * MIB}};
    for (size_t i = 0; i < 2; i++) {
        rmt_error_t error = {0};
        uint64_t first = 99, bytes[] = {119 * MIB};
        rmt_auto(rmt_layout) layout = s_partitions();
        (void) rmt_layout_add_array(layout, array);
        (void) rmt_layout_add_disk(layout, "disk2");
        rmt_auto(rmt_groups) groups = rmt_groups_new();
        rmt_auto_fd fd = pv_file_new();
        assert_int_equal(pv_file_put(fd, PV0, PLAIN, &error), 0);
        assert_int_equal(rmt_groups_add(groups, &places[i], fd, &error), 0);
        assert_int_equal(rmt_groups_finish(groups, layout, &error), 0);
        const rmt_layout_physical_t *physical = &layout->physicals[0];
        rmt_layout_logical_t *logical = &layout->logicals[0];
        assert_int_equal(physical->disk, places[i].disk);
        assert_int_equal(physical->partition, 0);
        assert_int_equal(physical->bytes, places[i].bytes);
        assert_string_equal(physical->array, i == 0 ? array : "");
        assert_string_equal(logical->array, i == 0 ? array : "");
        logical->grow = true;
        assert_int_equal(rmt_layout_place(layout, logical, bytes[0], &first), 5 + 5);
        assert_int_equal(first, 0);
        const rmt_layout_run_t run = rmt_layout_run(layout, physical, 2, 3);
        assert_int_equal(run.start, MIB + 2 * 4 * MIB);
        assert_int_equal(run.size, 3 * 4 * MIB);
        rmt_auto_str text = rmt_group_print(layout, 0, bytes);
        assert_non_null(strstr(text, "dev_size = 243712\n"));
        assert_non_null(strstr(text, "pe_count = 29\n"));
    }
}

// Of no group: what it lies on is named.
static void
test_a_lone_physical_volume_is_named_by_its_place(void **state)
{
    (void) state;
    static const struct {
        rmt_group_place_t place;
        const char *words;
    } rows[] = {{{.partition = 2}, "partition 2 of disk system is"},
                {{.array = "abc", .bytes = MIB}, "array abc is"},
                {{.bytes = MIB}, "disk system is"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_layout) layout = s_partitions();
        rmt_auto(rmt_groups) groups = rmt_groups_new();
        rmt_auto_fd fd = pv_file_new();
        assert_int_equal(pv_file_put(fd, PV0, "contents = \"nothing\"\n", &error), 0);
        assert_int_equal(rmt_groups_add(groups, &rows[i].place, fd, &error), 0);
        RMT_FAILS(rmt_groups_finish(groups, layout, &error), RMT_E_UNSUPPORTED);
        if (strncmp(error.text, rows[i].words, strlen(rows[i].words)) != 0)
            fail_msg("'%s' does not begin with '%s'", error.text, rows[i].words);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_groups_on_arrays_and_whole_disks_are_read),
        cmocka_unit_test(test_a_lone_physical_volume_is_named_by_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
