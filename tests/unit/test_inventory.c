// Inventory: what sysfs, DMI and /proc tell, and facts as text.
#include "tools/rmt_test.h"
#include "tools/root_tree.h"
#include <string.h>
#include "base/rmt_auto.h"
#include "facts/rmt_facts.h"
#include "machine/rmt_inventory.h"

#define NVME "sys/devices/pci0000:00/0000:00:1d.0/nvme/nvme0/nvme0n1"
#define SATA                                                                             \
    "sys/devices/pci0000:00/0000:00:17.0/ata3/host2/target2:0:0/2:0:0:0/block/sda"

// A made machine: one NVMe disk, one SATA disk, one network card, one bond.
static void
s_make_machine(void)
{
    static const struct {
        const char *path;
        const char *text;
    } files[] = {
        {"proc/cpuinfo", "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\n"
                         "model\t\t: 85\nmodel name\t: Xeon(R) Gold\nstepping\t: 4\n\n"
                         "processor\t: 1\nvendor_id\t: GenuineIntel\n"},
        {"proc/meminfo", "MemTotal:       16000000 kB\n"},
        {"sys/class/dmi/id/product_uuid", "4C4C4544-0042-3510-8052-B4C04F503132\n"},
        {"sys/class/dmi/id/sys_vendor", "Dell Inc.\n"},
        {"sys/firmware/efi/fw_platform_size", "64\n"},
        {NVME "/size", "2048\n"},
        {NVME "/device/model", "Fast Disk   \n"},
        {NVME "/device/serial", "S123   \n"},
        {NVME "/wwid", "eui.0011\n"},
        {NVME "/queue/rotational", "0\n"},
        {NVME "/queue/logical_block_size", "4096\n"},
        {NVME "/queue/physical_block_size", "4096\n"},
        {SATA "/size", "4096\n"},
        {SATA "/device/model", "Old Disk\n"},
        {SATA "/queue/rotational", "1\n"},
        {SATA "/queue/logical_block_size", "512\n"},
        {"sys/class/ata_port/ata3/port_no", "1\n"},
        {"sys/bus/pci/devices/0000:00:17.0/vendor", "0x8086\n"},
        {"sys/bus/pci/devices/0000:00:17.0/device", "0xa282\n"},
        {"sys/bus/pci/devices/0000:00:17.0/class", "0x010601\n"},
        {"sys/devices/pci0000:00/0000:00:1f.6/net/eno1/address", "AA:BB:CC:00:00:01\n"},
        {"sys/devices/pci0000:00/0000:00:1f.6/net/eno1/addr_assign_type", "0\n"},
        {"sys/devices/pci0000:00/0000:00:1f.6/net/eno1/device/x", ""},
        {"sys/class/net/bond0/address", "aa:bb:cc:00:00:99\n"},
        {"sys/devices/virtual/block/loop0/size", "8\n"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        root_tree_put(files[i].path, files[i].text);
    root_tree_link("sys/block/nvme0n1",
                   "../devices/pci0000:00/0000:00:1d.0/nvme/nvme0/nvme0n1");
    root_tree_link(
        "sys/block/sda",
        "../devices/pci0000:00/0000:00:17.0/ata3/host2/target2:0:0/2:0:0:0/block/sda");
    root_tree_link("sys/block/loop0", "../devices/virtual/block/loop0");
    root_tree_link("sys/class/net/eno1",
                   "../../devices/pci0000:00/0000:00:1f.6/net/eno1");
    root_tree_link("sys/bus/pci/devices/0000:00:17.0/driver", "../../../drivers/ahci");
}

static void
s_expect(const rmt_records_t *records, const char *class, const char *field,
         const char *wanted)
{
    const rmt_record_t *record = rmt_records_find(records, "class", class);
    assert_non_null(record);
    assert_string_equal(rmt_record_text(record, field, "-"), wanted);
}

static void
test_a_machine_is_read_from_its_files(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    s_make_machine();
    rmt_auto(rmt_records) records = rmt_inventory_read_at(root_tree_path(), &error);
    RMT_OK(records);
    s_expect(records, "system", "uuid", "4c4c4544-0042-3510-8052-b4c04f503132");
    s_expect(records, "system", "firmware", "uefi");
    s_expect(records, "system", "boot-entries", "none");
    s_expect(records, "cpu", "model", "85");
    s_expect(records, "cpu", "name", "Xeon(R) Gold");
    s_expect(records, "cpu", "count", "2");
    s_expect(records, "memory", "bytes", "16384000000");
    s_expect(records, "pci", "driver-mode", "ahci");
    s_expect(records, "pci", "driver", "ahci");
    s_expect(records, "nic", "pci", "0000:00:1f.6");
    const rmt_record_t *nvme = rmt_records_find(records, "name", "nvme0n1");
    assert_non_null(nvme);
    assert_string_equal(rmt_record_text(nvme, "bus", ""), "nvme");
    assert_string_equal(rmt_record_text(nvme, "media", ""), "flash");
    assert_string_equal(rmt_record_text(nvme, "serial", ""), "S123");
    assert_string_equal(rmt_record_text(nvme, "path", ""), "pci-0000:00:1d.0-nvme-1");
    assert_int_equal(rmt_record_u64(nvme, "bytes", 0), 1048576);
    const rmt_record_t *sata = rmt_records_find(records, "name", "sda");
    assert_non_null(sata);
    assert_string_equal(rmt_record_text(sata, "bus", ""), "ata");
    assert_string_equal(rmt_record_text(sata, "media", ""), "rotational");
    assert_string_equal(rmt_record_text(sata, "path", ""), "pci-0000:00:17.0-ata-1");
    assert_string_equal(rmt_record_text(sata, "controller", ""), "8086:a282");
    assert_null(rmt_records_find(records, "name", "loop0"));
    assert_null(rmt_records_find(records, "name", "bond0"));
}

static void
test_this_computer_has_a_cpu_and_memory(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    rmt_auto(rmt_records) records = rmt_inventory_read(&error);
    RMT_OK(records);
    assert_true(rmt_record_u64(rmt_records_find(records, "class", "cpu"), "count", 0) >
                0);
    assert_true(rmt_record_u64(rmt_records_find(records, "class", "memory"), "bytes", 0) >
                1000000);
}

static void
test_placeholders_do_not_identify_a_machine(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    static const struct {
        const char *facts;
        const char *identity; // NULL: none
    } cases[] = {
        {"class=system uuid=4C4C-AB board-serial=X1", "uuid:4c4c-ab"},
        {"class=system uuid=00000000-0000-0000-0000-000000000000 board-serial=X1",
         "board:X1"},
        {"class=system uuid=FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF board-serial=X1",
         "board:X1"},
        {"class=system uuid=03000200-0400-0500-0006-000700080009 board-serial=X1",
         "board:X1"},
        {"class=system uuid=\"Not Specified\" board-serial=\"To be filled by O.E.M.\"\n"
         "class=nic mac=02:00:00:00:00:02\nclass=nic mac=02:00:00:00:00:01\n"
         "class=nic mac=00:00:00:00:00:00",
         "mac:02:00:00:00:00:01,02:00:00:00:00:02"},
        {"class=system board-serial=\"Default string\"", NULL},
        {"class=cpu arch=x", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rmt_auto(rmt_records) records = rmt_facts_parse(cases[i].facts, &error);
        RMT_OK(records);
        rmt_auto_str identity = rmt_inventory_identity(records);
        if (!cases[i].identity)
            assert_null(identity);
        else
            assert_string_equal(identity, cases[i].identity);
    }
}

static void
test_facts_come_back_from_their_text(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    rmt_auto(rmt_records) records = rmt_records_new();
    rmt_record_t *record = rmt_records_add(records);
    rmt_record_set(record, "class", "disk");
    rmt_record_set(record, "model", "A \"big\" \\ disk # 1");
    rmt_record_set(record, "empty", "");
    unsigned char bytes[256];
    for (int i = 0; i < 256; i++)
        bytes[i] = (unsigned char) i;
    rmt_record_put(record, "bytes", bytes, sizeof bytes);
    rmt_record_set(rmt_records_add(records), "class", "memory");
    rmt_auto_str text = rmt_facts_print(records);
    rmt_auto(rmt_records) again = rmt_facts_parse(text, &error);
    RMT_OK(again);
    assert_int_equal(rmt_records_count(again), 2);
    for (size_t i = 0; i < 2; i++)
        assert_true(
            rmt_record_equal(rmt_records_at(records, i), rmt_records_at(again, i)));
    rmt_auto(rmt_records) commented =
        rmt_facts_parse("# hardware\n\n  class=cpu  count=2 \n", &error);
    RMT_OK(commented);
    assert_int_equal(rmt_records_count(commented), 1);
}

static void
test_bad_facts_are_refused_with_their_line(void **state)
{
    (void) state;
    static const char *const texts[] = {
        "class=a\nname\n",
        "class=a\nclass=b class=c",
        "class=a\nX=1",
        "class=a\nname=x",
        "class=a\nclass=\"open",
        "class=a\nclass=\"x\"y",
        "class=a\nclass=a b=\"\\q\"",
        "class=a\nclass= b=1",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        rmt_error_t error = {0};
        RMT_FAILS(rmt_facts_parse(texts[i], &error), RMT_E_USAGE);
        assert_non_null(strstr(error.text, "line 2"));
    }
}

static void
test_m20_a_machine_without_a_disk_names_its_idle_controllers(void **state)
{
    rmt_error_t error = {0};
    (void) state;
#define NO_DISK "no disk: this machine has no disk that the kernel has a driver for"
    static const char *const rows[][2] = {
        {"class=disk name=sda\nclass=pci vendor=8086 device=2922 pci-class=010601\n",
         NULL},
        {"class=system uuid=1\n", NO_DISK},
        {"class=pci vendor=8086 device=2922 pci-class=010601\n"
         "class=pci vendor=1af4 device=1041 pci-class=020000\n"
         "class=pci vendor=1af4 device=1042 pci-class=010000 driver=virtio-pci\n"
         "class=pci vendor=1000 device=005d pci-class=010400\n",
         NO_DISK "; without a driver: 8086:2922, 1000:005d"},
    };
#undef NO_DISK
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto(rmt_records) records = rmt_facts_parse(rows[i][0], &error);
        RMT_OK(records);
        rmt_auto_str text = rmt_inventory_no_disk(records);
        if (rows[i][1])
            assert_string_equal(text, rows[i][1]);
        else
            assert_null(text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_machine_is_read_from_its_files,
                                        root_tree_setup, root_tree_teardown),
        cmocka_unit_test(test_this_computer_has_a_cpu_and_memory),
        cmocka_unit_test(test_placeholders_do_not_identify_a_machine),
        cmocka_unit_test(test_m20_a_machine_without_a_disk_names_its_idle_controllers),
        cmocka_unit_test(test_facts_come_back_from_their_text),
        cmocka_unit_test(test_bad_facts_are_refused_with_their_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
