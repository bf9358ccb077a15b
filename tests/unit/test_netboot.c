// Where a machine boots from: MAC.ipxe as design 6.7 has it (M19, M22, P11).
#include "netboot.h"
#include "rmt_auto.h"
#include "rmt_io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

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
test_M22_an_installed_target_is_sent_to_its_own_disk_until_a_new_order(void **state)
{
    const bench_t *bench = *state;
    rmt_error_t error = {0};
    const rmt_netboot_t first = s_netboot(bench, 7), second = s_netboot(bench, 8);
    assert_int_equal(rmt_netboot_disk(&first, &error), 0);
    rmt_auto_str path = rmt_text("%s/" FILE_1, bench->folder);
    rmt_auto_ptr data = NULL;
    size_t size = 0;
    assert_int_equal(rmt_io_load(path, 4096, &data, &size, &error), 0);
    const char *text = data;
    assert_int_equal(strncmp(text, "#!ipxe\n", 7), 0);
    assert_non_null(strstr(text, "sanboot --no-describe --drive 0x80"));
    assert_non_null(strstr(text, "chain --autofree ${base}/disk.efi"));
    assert_null(strstr(text, "kernel"));
    assert_false(s_exists(bench, "52-54-00-aa-bb-09.ipxe"));
    assert_int_equal(rmt_netboot_installer(&second, &error), 0);
    assert_false(s_exists(bench, FILE_1));
    assert_int_equal(rmt_netboot_installer(&second, &error), 0);
}

static void
test_P11_a_late_attempt_of_an_older_order_changes_nothing(void **state)
{
    const bench_t *bench = *state;
    rmt_error_t error = {0};
    const rmt_netboot_t late = s_netboot(bench, 7), now = s_netboot(bench, 8);
    assert_int_equal(rmt_netboot_disk(&now, &error), 0);
    assert_int_equal(rmt_netboot_installer(&late, &error), 0);
    assert_true(s_exists(bench, FILE_1));
    // After Redis was restored epochs begin lower, but the era is higher.
    rmt_netboot_t restored = s_netboot(bench, 2);
    restored.era = 2;
    assert_int_equal(rmt_netboot_installer(&restored, &error), 0);
    assert_false(s_exists(bench, FILE_1));
}

static void
test_M19_all_interfaces_lead_to_the_same_and_no_other_name_is_made(void **state)
{
    const bench_t *bench = *state;
    rmt_error_t error = {0};
    rmt_netboot_t netboot = s_netboot(bench, 7);
    netboot.macs = "../../../etc/passwd, 52-54-00-AA-BB-02 52:54:00:aa:bb:0/ 52:54:00";
    assert_int_equal(rmt_netboot_disk(&netboot, &error), 0);
    assert_true(s_exists(bench, FILE_1));
    assert_true(s_exists(bench, FILE_2));
    rmt_auto_str listing = rmt_text("test $(ls %s | wc -l) = 2", bench->folder);
    assert_int_equal(system(listing), 0);
}

// A disk with ESP and root, and the volumes that are given. Caller owns the result.
static rmt_records_t *
s_layout(const char *const volumes[][3], size_t count)
{
    rmt_records_t *layout = rmt_records_new();
    rmt_record_t *esp = rmt_records_add(layout);
    rmt_record_set(esp, "class", "partition");
    rmt_record_set(esp, "disk", "system");
    rmt_record_set(esp, "number", "1");
    rmt_record_set(esp, "type", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B");
    for (size_t i = 0; i < count; i++) {
        rmt_record_t *volume = rmt_records_add(layout);
        rmt_record_set(volume, "class", "volume");
        rmt_record_set(volume, "disk", "system");
        rmt_record_set(volume, "partition", volumes[i][0]);
        rmt_record_set(volume, "mount", volumes[i][1]);
        rmt_record_set(volume, "uuid", volumes[i][2]);
    }
    return layout;
}

static void
test_M22_of_several_disks_the_one_with_the_system_is_named(void **state)
{
    const bench_t *bench = *state;
    rmt_error_t error = {0};
    static const char *const apart[][3] = {
        {"1", "/boot/efi", "1A2B-3C4D"}, {"3", "/", "11111111-aaaa"}, {"2", "/boot", "22"}};
    static const char *const one[][3] = {{"2", "/", "11111111-aaaa"}, {"3", "/srv", "33"}};
    static const char *const odd[][3] = {{"2", "/", "1\nshell"}, {"3", "/boot", ""}};
    const struct {
        const char *const(*volumes)[3];
        size_t count;
        const char *bios, *uefi; // NULL: the first disk
    } rows[] = {{apart, 3, "set netX/filename 22\nchain --autofree ${base}/disk.pxe ||\n",
                 "set netX/filename 1A2B-3C4D\nchain --autofree ${base}/disk.efi ||\n"},
                {one, 2, "set netX/filename 11111111-aaaa\nchain", NULL},
                {odd, 2, NULL, NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto(rmt_records) layout = s_layout(rows[i].volumes, rows[i].count);
        rmt_netboot_t netboot = s_netboot(bench, 7 + i);
        netboot.layout = layout;
        assert_int_equal(rmt_netboot_disk(&netboot, &error), 0);
        rmt_auto_str path = rmt_text("%s/" FILE_1, bench->folder);
        rmt_auto_ptr data = NULL;
        size_t size = 0;
        assert_int_equal(rmt_io_load(path, 4096, &data, &size, &error), 0);
        const char *bios = rows[i].bios ? rows[i].bios : "||\nsanboot --no-describe";
        const char *uefi = rows[i].uefi ? rows[i].uefi : ":efi\nchain --autofree";
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
        CASE(test_M22_an_installed_target_is_sent_to_its_own_disk_until_a_new_order),
        CASE(test_M22_of_several_disks_the_one_with_the_system_is_named),
        CASE(test_P11_a_late_attempt_of_an_older_order_changes_nothing),
        CASE(test_M19_all_interfaces_lead_to_the_same_and_no_other_name_is_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
