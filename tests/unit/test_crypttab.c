// Encrypted partitions of a running source: those that are closed, and what its crypttab
// says of those that are imaged (M32).
#include "tools/rmt_test.h"

#include "agent/source/source_reading.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "tools/root_tree.h"

#include <string.h>

static void
test_m32_key_files_are_told_and_other_names_refused(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        const char *told, *refused; // Words; NULL for none
        const char *mount;          // Of its volume
    } rows[] = {
        {NULL, NULL, NULL, NULL},
        {"", NULL, NULL, NULL},
        {"data UUID=1 none luks\n", NULL, NULL, NULL},
        {"data UUID=1\n", NULL, NULL, NULL},
        {"data\tUUID=1  -  luks,discard\n", NULL, NULL, NULL},
        {"# data UUID=1 /etc/key luks\n", NULL, NULL, NULL},
        {"other /dev/disk/by-id/ata-1 /etc/key luks\n", NULL, NULL, NULL},
        {"data UUID=1 /etc/key luks\n", "/etc/crypttab: data", NULL, NULL},
        {"other UUID=2 none\n\n  data UUID=1 /etc/key\n", "/etc/crypttab: data", NULL,
         NULL},
        {"data LABEL=x none\n", NULL, NULL, NULL},
        {"data PARTUUID=1 none\n", NULL, NULL, NULL},
        {"data PARTLABEL=x none\n", NULL, NULL, NULL},
        {"data /dev/disk/by-uuid/1 none\n", NULL, NULL, NULL},
        {"data /dev/disk/by-label/x none\n", NULL, NULL, NULL},
        {"data /dev/disk/by-partuuid/1 none\n", NULL, NULL, NULL},
        {"data /dev/disk/by-partlabel/x none\n", NULL, NULL, NULL},
        {"other /dev/sdb1 none luks\n", NULL, NULL, NULL},
        {"data /dev/disk/by-id/ata-1 none luks\n", NULL, "by '/dev/disk/by-id/ata-1'",
         NULL},
        {"data /dev/disk/by-path/pci-1-part3 none\n", NULL, "name it by UUID=", NULL},
        {"data /dev/sda3 none luks\n", NULL, "data by '/dev/sda3'", NULL},
        {"data /dev/vda2\n", NULL, "data by '/dev/vda2'", NULL},
        {"data ID=ata-1 none\n", NULL, "data by 'ID=ata-1'", NULL},
        {"data\n", NULL, "data by ''", NULL},
        {"data UUID=1 /etc/key luks\n", "/etc/crypttab: data", NULL, "/srv"},
        {"data UUID=1 none luks\n", NULL, NULL, "/"},
        {"data UUID=1 none luks,keyscript=decrypt_derived\n", "/etc/crypttab: data", NULL,
         NULL},
        {"data UUID=1 none keyscript=/lib/passdev,luks\n", NULL,
         "data, which has /, by the program /lib/passdev", "/"},
        {"data UUID=1 none luks,keyscript=/x/decrypt_keyctl,discard\n", NULL, NULL, "/"},
        {"data UUID=1 none xkeyscript=a,luks\n", NULL, NULL, "/"},
        {"data UUID=1 /etc/key luks\n", NULL,
         "data, which has /, by the key file /etc/key", "/"},
        {"data UUID=1 /dev/disk/by-label/k:/key luks\n", NULL, "update-initramfs -u",
         "/usr"},
    };
    for (size_t run = 0; run < 2 * (sizeof rows / sizeof *rows); run++) {
        const size_t i = run / 2;
        const bool is_logical = run % 2; // The volume lies in a group in the partition
        rmt_error_t error = {0};
        rmt_auto(rmt_layout) layout = rmt_layout_new();
        rmt_auto(rmt_records) dropped = rmt_records_new();
        rmt_source_disk_t source = {.layout = layout, .dropped = dropped};
        (void) rmt_layout_add_disk(layout, "system");
        rmt_layout_crypt_t *crypt = rmt_layout_add_crypt(layout, 0);
        crypt->name = rmt_text("data");
        crypt->partition = 1;
        rmt_layout_volume_t *volume = rmt_layout_add_volume(layout, 0);
        volume->partition = is_logical ? 0 : 1;
        volume->logical = is_logical ? rmt_text("sys/root") : NULL;
        (void) rmt_layout_add_group(layout, "sys");
        rmt_layout_logical_t *logical = rmt_layout_add_logical(layout, 0);
        strcpy(logical->name, "root");
        logical->partition = 1;
        volume->mount = rows[i].mount ? rmt_text("%s", rows[i].mount) : NULL;
        if (rows[i].text)
            root_tree_put("etc/crypttab", rows[i].text);
        const int rc = rmt_source_check_crypttab(&source, root_tree_path(), &error);
        if (rc != (rows[i].refused ? -1 : 0))
            fail_msg("row %zu: %d, %s", i, rc, error.text);
        if (rows[i].refused && !strstr(error.text, rows[i].refused))
            fail_msg("'%s' does not say %s", error.text, rows[i].refused);
        assert_int_equal(rmt_records_count(dropped), rows[i].told != NULL);
        if (rows[i].told)
            assert_string_equal(rmt_record_text(rmt_records_at(dropped, 0), "path", ""),
                                rows[i].told);
    }
}

// A root that lies on two encrypted partitions, or on one of their logical volumes that
// is encrypted itself, needs all of them open: a key file for any of them is refused.
static void
test_m32_each_encryption_below_a_root_is_looked_at(void **state)
{
    (void) state;
    static const struct {
        const char *mount, *text, *refused; // NULL: told
    } rows[] = {{"/", "one UUID=1 none\ntwo UUID=2 one luks,keyscript=decrypt_derived\n",
                 "two, which has /, by the key file one"},
                {"/usr", "two UUID=2 /etc/key\none UUID=1 none\n", "two, which has /usr"},
                {"/", "one UUID=1 /etc/key\ntwo UUID=2 none\n", "one, which has /"},
                {"/", "inner UUID=3 /etc/key\n", "inner, which has /"},
                {"/", "far UUID=4 /etc/key\n", NULL},
                {"/srv", "two UUID=2 /etc/key\n", NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        static const char *const names[] = {"one", "two", "far"};
        rmt_auto(rmt_layout) layout = rmt_layout_new();
        rmt_auto(rmt_records) dropped = rmt_records_new();
        rmt_source_disk_t source = {.layout = layout, .dropped = dropped};
        (void) rmt_layout_add_disk(layout, "system");
        (void) rmt_layout_add_group(layout, "sys");
        rmt_layout_logical_t *logical = rmt_layout_add_logical(layout, 0);
        strcpy(logical->name, "root");
        logical->partition = 1;
        for (uint64_t number = 1; number <= 3; number++) {
            rmt_layout_crypt_t *crypt = rmt_layout_add_crypt(layout, 0);
            crypt->name = rmt_text("%s", names[number - 1]);
            crypt->partition = number;
            if (number < 3)
                rmt_layout_add_piece(layout, 0)->partition = number;
        }
        rmt_layout_crypt_t *inner = rmt_layout_add_crypt(layout, 0);
        inner->name = rmt_text("inner");
        inner->logical = rmt_text("sys/root");
        rmt_layout_volume_t *volume = rmt_layout_add_volume(layout, 0);
        volume->logical = rmt_text("sys/root");
        volume->mount = rmt_text("%s", rows[i].mount);
        root_tree_put("etc/crypttab", rows[i].text);
        const int rc = rmt_source_check_crypttab(&source, root_tree_path(), &error);
        if (rc != (rows[i].refused ? -1 : 0) ||
            (rows[i].refused && !strstr(error.text, rows[i].refused)))
            fail_msg("row %zu: %d, '%s'", i, rc, error.text);
    }
}

// A logical volume has names of its own, which a copy has as well.
static void
test_m32_names_of_an_encrypted_logical_volume_are_those_of_a_copy(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        bool is_refused;
    } rows[] = {{"data /dev/mapper/sys--1-root none\n", false},
                {"data /dev/sys-1/root none luks,discard\n", false},
                {"data UUID=1 none\n", false},
                {"data /dev/mapper/sys-1-root none\n", true},
                {"data /dev/mapper/sys--1-other none\n", true},
                {"data /dev/sys-1/root2 none\n", true},
                {"data /dev/dm-3 none\n", true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_layout) layout = rmt_layout_new();
        rmt_auto(rmt_records) dropped = rmt_records_new();
        rmt_source_disk_t source = {.layout = layout, .dropped = dropped};
        (void) rmt_layout_add_disk(layout, "system");
        rmt_layout_crypt_t *crypt = rmt_layout_add_crypt(layout, 0);
        crypt->name = rmt_text("data");
        crypt->logical = rmt_text("sys-1/root");
        root_tree_put("etc/crypttab", rows[i].text);
        const int rc = rmt_source_check_crypttab(&source, root_tree_path(), &error);
        if (rc != (rows[i].is_refused ? -1 : 0))
            fail_msg("row %zu: %d, %s", i, rc, error.text);
    }
}

// A file stands for the partition: no mapping is open on it.
static void
test_m32_a_closed_partition_is_refused_by_name(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    char data[8192] = "";
    rmt_auto(rmt_layout) layout = rmt_layout_new();
    rmt_source_disk_t source = {.layout = layout};
    const rmt_source_place_t place = {.number = 2};
    rmt_auto_str path = rmt_text("%s/partition", root_tree_path());
    RMT_OK(rmt_io_save(path, data, sizeof data, 0600, &error));
    RMT_OK(rmt_source_take_crypt(&source, &place, &path, &error));
    memcpy(data, "LUKS\xba\xbe\0\1", 8);
    RMT_OK(rmt_io_save(path, data, sizeof data, 0600, &error));
    RMT_FAILS(rmt_source_take_crypt(&source, &place, &path, &error), RMT_E_UNSUPPORTED);
    assert_non_null(strstr(error.text, "crypto_LUKS that is not open"));
    assert_non_null(strstr(error.text, "cryptsetup open"));
    assert_int_equal(layout->crypt_count, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_m32_key_files_are_told_and_other_names_refused, root_tree_setup,
            root_tree_teardown),
        cmocka_unit_test_setup_teardown(
            test_m32_each_encryption_below_a_root_is_looked_at, root_tree_setup,
            root_tree_teardown),
        cmocka_unit_test_setup_teardown(
            test_m32_names_of_an_encrypted_logical_volume_are_those_of_a_copy,
            root_tree_setup, root_tree_teardown),
        cmocka_unit_test_setup_teardown(test_m32_a_closed_partition_is_refused_by_name,
                                        root_tree_setup, root_tree_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
