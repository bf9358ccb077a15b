// Where a machine boots from: MAC.ipxe (M20, M23, P10).
#include "installer/netboot.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/rmt_test.h"

#define FILE_1 "52-54-00-aa-bb-01.ipxe"
#define FILE_2 "52-54-00-aa-bb-02.ipxe"

typedef struct {
    char folder[64];
    rmt_records_t *hardware;
} bench_t;

static int
s_setup(void **state)
{
    bench_t *bench = calloc(1, sizeof *bench);
    strcpy(bench->folder, "/tmp/ramet-netboot.XXXXXX");
    if (!bench || !mkdtemp(bench->folder))
        return -1;
    bench->hardware = rmt_records_new();
    rmt_record_t *nic = rmt_records_add(bench->hardware);
    rmt_record_set(nic, "class", "nic");
    rmt_record_set(nic, "mac", "52:54:00:AA:bb:01");
    rmt_record_t *disk = rmt_records_add(bench->hardware);
    rmt_record_set(disk, "class", "disk");
    rmt_record_set(disk, "mac", "52:54:00:aa:bb:09");
    *state = bench;
    return 0;
}

static int
s_teardown(void **state)
{
    bench_t *bench = *state;
    rmt_error_t error = {0};
    rmt_records_destroy(&bench->hardware);
    const int rc = rmt_io_remove_tree(bench->folder, &error);
    free(bench);
    return rc;
}

static rmt_netboot_t
s_netboot(const bench_t *bench, uint64_t epoch)
{
    return (rmt_netboot_t){.folder = bench->folder,
                           .target = "n1",
                           .hardware = bench->hardware,
                           .macs = "",
                           .era = 1,
                           .epoch = epoch};
}

static bool
s_exists(const bench_t *bench, const char *name)
{
    rmt_auto_str path = rmt_text("%s/%s", bench->folder, name);
    return access(path, F_OK) == 0;
}

static void
test_m23_an_installed_target_is_sent_to_its_own_disk_until_a_new_order(void **state)
{
    const bench_t *bench = *state;
    rmt_error_t error = {0};
    const rmt_netboot_t first = s_netboot(bench, 7), second = s_netboot(bench, 8);
    RMT_OK(rmt_netboot_disk(&first, &error));
    rmt_auto_str path = rmt_text("%s/" FILE_1, bench->folder);
    rmt_auto_ptr data = NULL;
    size_t size = 0;
    RMT_OK(rmt_io_load(path, 4096, &data, &size, &error));
    const char *text = data;
    assert_int_equal(strncmp(text, "#!ipxe\n", 7), 0);
    assert_non_null(strstr(text, "sanboot --no-describe --drive 0x80"));
    assert_non_null(strstr(text, "chain --autofree ${base}/disk.efi"));
    assert_null(strstr(text, "kernel"));
    assert_false(s_exists(bench, "52-54-00-aa-bb-09.ipxe"));
    RMT_OK(rmt_netboot_installer(&second, &error));
    assert_false(s_exists(bench, FILE_1));
    RMT_OK(rmt_netboot_installer(&second, &error));
}

static void
test_p6_a_late_attempt_of_an_older_order_changes_nothing(void **state)
{
    const bench_t *bench = *state;
    rmt_error_t error = {0};
    const rmt_netboot_t late = s_netboot(bench, 7), now = s_netboot(bench, 8);
    RMT_OK(rmt_netboot_disk(&now, &error));
    RMT_OK(rmt_netboot_installer(&late, &error));
    assert_true(s_exists(bench, FILE_1));
    // After Redis was restored epochs begin lower, but the era is higher.
    rmt_netboot_t restored = s_netboot(bench, 2);
    restored.era = 2;
    RMT_OK(rmt_netboot_installer(&restored, &error));
    assert_false(s_exists(bench, FILE_1));
}

static void
test_m20_all_interfaces_lead_to_the_same_and_no_other_name_is_made(void **state)
{
    const bench_t *bench = *state;
    rmt_error_t error = {0};
    rmt_netboot_t netboot = s_netboot(bench, 7);
    netboot.macs = "../../../etc/passwd, 52-54-00-AA-BB-02 52:54:00:aa:bb:0/ 52:54:00";
    RMT_OK(rmt_netboot_disk(&netboot, &error));
    assert_true(s_exists(bench, FILE_1));
    assert_true(s_exists(bench, FILE_2));
    rmt_auto_str listing = rmt_text("test $(ls %s | wc -l) = 2", bench->folder);
    assert_int_equal(system(listing), 0);
}

// A disk with an ESP (1) and two partitions more, and volumes on them. Caller owns the
// result.
static rmt_layout_t *
s_layout(const char *const guids[3], const char *const volumes[3], rmt_error_t *error)
{
    rmt_auto(rmt_records) records = rmt_records_new();
    rmt_record_t *disk = rmt_records_add(records);
    rmt_record_set(disk, "class", "disk");
    rmt_record_set(disk, "role", "system");
    rmt_record_set(disk, "table", "dos");
    for (int i = 0; i < 3; i++) {
        rmt_record_t *partition = rmt_records_add(records);
        rmt_record_set(partition, "class", "partition");
        rmt_record_set(partition, "disk", "system");
        rmt_record_set_u64(partition, "number", (uint64_t) i + 1);
        rmt_record_set_u64(partition, "start", (uint64_t) i + 1);
        rmt_record_set(partition, "size", "1");
        rmt_record_set(partition, "type", i ? "83" : "ef");
        if (*guids[i])
            rmt_record_set(partition, "guid", guids[i]);
        rmt_record_t *volume = rmt_records_add(records);
        rmt_record_set(volume, "class", "volume");
        rmt_record_set(volume, "disk", "system");
        rmt_record_set_u64(volume, "partition", (uint64_t) i + 1);
        rmt_record_set(volume, "fs", "ext4");
        rmt_record_set(volume, "mount", volumes[i]);
    }
    return rmt_layout_read(records, error);
}

// What would get into a script does not get past the door of layouts.
static void
test_a_guid_that_is_none_is_refused(void **state)
{
    (void) state;
    static const char *const guids[] = {"aaaaaaaa-01\nshell", "1 && shell",
                                        "xxxxxxxx-01"};
    static const char *const volumes[] = {"/boot/efi", "/", "/srv"};
    for (size_t i = 0; i < sizeof guids / sizeof *guids; i++) {
        rmt_error_t error = {0};
        const char *const three[] = {guids[i], "", ""};
        assert_null(s_layout(three, volumes, &error));
        assert_non_null(strstr(error.text, "guid"));
    }
}

static void
test_m23_of_several_disks_the_one_with_the_system_is_named(void **state)
{
    const bench_t *bench = *state;
    rmt_error_t error = {0};
    static const struct {
        const char *guids[3], *volumes[3];
        const char *bios, *uefi; // NULL: the first disk
    } rows[] = {
        {{"AAAA0000-01", "bbbb0000-02", "cccc0000-03"},
         {"/boot/efi", "/", "/boot"},
         "cccc0000-03",
         "aaaa0000-01"},
        {{"", "BBBB0000-02", "cccc0000-03"},
         {"/boot/efi", "/", "/srv"},
         "bbbb0000-02",
         NULL},
        {{"", "", "cccc0000-03"}, {"/boot/efi", "/", "/srv"}, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto(rmt_layout) layout = s_layout(rows[i].guids, rows[i].volumes, &error);
        assert_non_null(layout);
        rmt_netboot_t netboot = s_netboot(bench, 7 + i);
        netboot.layout = layout;
        RMT_OK(rmt_netboot_disk(&netboot, &error));
        rmt_auto_str path = rmt_text("%s/" FILE_1, bench->folder);
        rmt_auto_ptr data = NULL;
        size_t size = 0;
        RMT_OK(rmt_io_load(path, 4096, &data, &size, &error));
        rmt_auto_str bios = rows[i].bios
                                ? rmt_text("||\nset netX/filename %s\nchain --autofree "
                                           "${base}/disk.pxe ||\n",
                                           rows[i].bios)
                                : rmt_text("||\nsanboot --no-describe --drive 0x80 ||\n");
        rmt_auto_str uefi =
            rows[i].uefi ? rmt_text(":efi\nset netX/filename %s\nchain --autofree "
                                    "${base}/disk.efi ||\n",
                                    rows[i].uefi)
                         : rmt_text(":efi\nchain --autofree ${base}/disk.efi ||\n");
        assert_non_null(strstr(data, bios));
        assert_non_null(strstr(data, uefi));
        assert_null(strstr(data, "shell"));
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_m23_an_installed_target_is_sent_to_its_own_disk_until_a_new_order),
        CASE(test_a_guid_that_is_none_is_refused),
        CASE(test_m23_of_several_disks_the_one_with_the_system_is_named),
        CASE(test_p6_a_late_attempt_of_an_older_order_changes_nothing),
        CASE(test_m20_all_interfaces_lead_to_the_same_and_no_other_name_is_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
