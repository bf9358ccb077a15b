// What LVM says of volumes, and the room that a snapshot gets.
#include "tools/rmt_test.h"
#include <stdlib.h>
#include <string.h>

#include "disk/rmt_lvm_report.h"
#include "facts/rmt_layout.h"

#define MIB ((uint64_t) 1024 * 1024)

static void
test_a_line_of_lvs_is_found_among_warnings(void **state)
{
    (void) state;
    rmt_lvm_t volume;
    rmt_error_t error = {0};
    const char *text =
        "  WARNING: Device for PV x-y not found | or rejected.\n"
        "  LVM2_VG_NAME=da-ta|LVM2_LV_NAME=root_1|LVM2_LV_SIZE=171798691840|"
        "LVM2_VG_FREE=4194304|LVM2_LV_LAYOUT=linear|"
        "LVM2_LV_SNAPSHOT_INVALID=unknown\n";
    RMT_OK(rmt_lvm_parse(text, &volume, &error));
    assert_string_equal(volume.group, "da-ta");
    assert_string_equal(volume.name, "root_1");
    assert_int_equal(volume.size, 171798691840);
    assert_int_equal(volume.free_size, 4194304);
    assert_false(volume.is_thin);
    text = "  LVM2_VG_NAME=v|LVM2_LV_NAME=t|LVM2_LV_SIZE=1024|LVM2_VG_FREE=0|"
           "LVM2_LV_LAYOUT=thin,sparse|LVM2_LV_SNAPSHOT_INVALID=unknown\n";
    RMT_OK(rmt_lvm_parse(text, &volume, &error));
    assert_true(volume.is_thin);
}

static void
test_other_output_is_no_volume(void **state)
{
    (void) state;
    static const char *const texts[] = {
        "",
        "  Failed to find logical volume \"data/x\"\n",
        "  LVM2_VG_NAME=v|LVM2_LV_NAME=t|LVM2_LV_SIZE=many|LVM2_VG_FREE=0|"
        "LVM2_LV_LAYOUT=linear|\n",
        "  LVM2_VG_NAME=|LVM2_LV_NAME=t|LVM2_LV_SIZE=1|LVM2_VG_FREE=0|"
        "LVM2_LV_LAYOUT=linear|\n",
        "  LVM2_VG_NAME=v|LVM2_LV_NAME=t|LVM2_LV_SIZE=1|LVM2_VG_FREE=0",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        rmt_lvm_t volume;
        rmt_error_t error = {0};
        RMT_FAILS(rmt_lvm_parse(texts[i], &volume, &error), RMT_E_UNSUPPORTED);
    }
}

static void
test_a_snapshot_gets_what_it_can_need_or_what_is_left(void **state)
{
    (void) state;
    rmt_lvm_t volume = {.size = 1000 * MIB, .free_size = 5000 * MIB};
    assert_true(rmt_lvm_space(&volume) > volume.size);
    assert_true(rmt_lvm_space(&volume) < volume.size + 40 * MIB);
    volume.free_size = 100 * MIB;
    assert_int_equal(rmt_lvm_space(&volume), 100 * MIB);
    volume.free_size = 15 * MIB;
    assert_int_equal(rmt_lvm_space(&volume), 0);
}

static void
test_a_snapshot_that_ran_out_of_space_is_known(void **state)
{
    (void) state;
    assert_true(rmt_lvm_report_is_invalid(
        "  LVM2_LV_NAME=s|LVM2_LV_SNAPSHOT_INVALID=snapshot invalid\n"));
    assert_false(rmt_lvm_report_is_invalid("  LVM2_LV_SNAPSHOT_INVALID=\n"));
    assert_false(rmt_lvm_report_is_invalid("  LVM2_LV_SNAPSHOT_INVALID=unknown\n"));
    assert_false(rmt_lvm_report_is_invalid("  WARNING: a snapshot invalid\n"));
}

static void
test_the_node_of_a_volume_has_dashes_twice(void **state)
{
    (void) state;
    char *path = rmt_layout_lvm_node("vg-1", "ramet-snapshot.a");
    assert_string_equal(path, "/dev/mapper/vg--1-ramet--snapshot.a");
    free(path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_of_lvs_is_found_among_warnings),
        cmocka_unit_test(test_other_output_is_no_volume),
        cmocka_unit_test(test_a_snapshot_gets_what_it_can_need_or_what_is_left),
        cmocka_unit_test(test_a_snapshot_that_ran_out_of_space_is_known),
        cmocka_unit_test(test_the_node_of_a_volume_has_dashes_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
