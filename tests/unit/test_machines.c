// Inventories of machines that we do not have (M5): the real readers over the files that
// each machine's kernel would show (tests/fixtures/machines).
#include "tools/rmt_test.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "facts/rmt_facts.h"
#include "machine/rmt_inventory.h"
#include "base/rmt_io.h"
#include "tools/machine_tree.h"

static rmt_records_t *
s_machine(const char *name, const char *edit)
{
    rmt_error_t error = {0};
    rmt_auto_str path =
        rmt_text("%s/tests/fixtures/machines/%s", getenv("RAMET_SOURCE"), name);
    rmt_records_t *records = machine_tree_read(path, edit, &error);
    if (!records)
        fail_msg("%s: %s", name, error.text);
    return records;
}

static size_t
s_count(const rmt_records_t *records, const char *class)
{
    size_t count = 0;
    for (size_t i = 0; i < rmt_records_count(records); i++)
        count +=
            strcmp(rmt_record_text(rmt_records_at(records, i), "class", ""), class) == 0;
    return count;
}

typedef struct {
    const char *machine;
    const char *key, *value; // Of the record that is asked
    const char *field;
    const char *wanted; // NULL: it has no such field
} fact_t;

#define PERC "pci:v00001000d00000016sv00001028sd00001FCBbc01sc04i00"

static const fact_t s_facts[] = {
    {"dell-r740", "class", "system", "firmware", "uefi"},
    {"dell-r740", "class", "system", "secure-boot", "off"},
    {"dell-r740", "class", "system", "efi-bits", "64"},
    {"dell-r740", "class", "system", "boot-entries", NULL},
    {"dell-r740", "class", "cpu", "count", "40"},
    {"dell-r740", "class", "cpu", "stepping", "7"},
    {"dell-r740", "class", "memory", "bytes", "201326592000"},
    {"dell-r740", "name", "sda", "bus", "scsi"},
    {"dell-r740", "name", "sda", "maker", "DELL"},
    {"dell-r740", "name", "sda", "wwn", "naa.62cea7f0a1b2c3002a1b2c3d4e5f6071"},
    {"dell-r740", "name", "sda", "serial", "00716f5e4d3c1b2a00c3b2a1f0a7ce62"},
    {"dell-r740", "name", "sda", "controller", "1000:0016"},
    {"dell-r740", "name", "sda", "path", "pci-0000:18:00.0-scsi-2:0:0"},
    {"dell-r740", "name", "sda", "physical-sector", "4096"},
    {"dell-r740", "name", "sda", "modaliases", "scsi:t-0x00 " PERC},
    {"dell-r740", "name", "sda", "modules", "sd_mod megaraid_sas"},
    {"dell-r740", "slot", "0000:00:14.0", "driver", "xhci_hcd"},
    {"dell-r740", "slot", "0000:00:14.0", "module", "xhci_pci"},
    {"dell-r740", "slot", "0000:18:00.0", "driver-mode", "raid"},
    {"dell-r740", "slot", "0000:18:00.0", "subsystem", "1028:1fcb"},
    {"dell-r740", "slot", "0000:18:00.0", "revision", "02"},
    {"dell-r740", "slot", "0000:18:00.0", "modalias", PERC},
    {"dell-r740", "slot", "0000:00:1f.0", "driver", NULL},
    {"dell-r740", "name", "eno1", "mac", "b0:26:28:c0:01:10"},
    {"dell-r740", "name", "eno1", "pci", "0000:19:00.0"},
    {"hpe-dl380-gen10", "slot", "0000:5c:00.0", "driver-mode", "sas"},
    {"hpe-dl380-gen10", "name", "sdb", "path", "pci-0000:5c:00.0-scsi-1:0:1"},
    {"supermicro-megaraid", "class", "system", "firmware", "bios"},
    {"supermicro-megaraid", "class", "system", "secure-boot", NULL},
    {"supermicro-megaraid", "class", "system", "boot-entries", NULL},
    {"supermicro-megaraid", "class", "usb", "interfaces", "030101:usbhid 030102:usbhid"},
    {"supermicro-megaraid", "class", "usb", "model", "Hermon USB hidmouse Device"},
    {"thinkpad-x1", "class", "system", "secure-boot", "on"},
    {"thinkpad-x1", "name", "nvme0n1", "media", "flash"},
    {"thinkpad-x1", "name", "nvme0n1", "path", "pci-0000:04:00.0-nvme-1"},
    {"thinkpad-x1", "name", "nvme0n1", "modaliases",
     "pci:v0000144Dd0000A808sv0000144Dsd0000A801bc01sc08i02"},
    {"thinkpad-x1", "name", "wlp2s0", "media", "radio"},
    {"thinkpad-x1", "name", "enp0s31f6", "media", "cable"},
    {"thinkpad-x1", "port", "1-9", "interfaces", "ff0000:-"},
    {"dell-xps-vmd", "name", "nvme0n1", "path", "pci-10000:e1:00.0-nvme-1"},
    {"dell-xps-vmd", "name", "nvme0n1", "modaliases",
     "pci:v00001E0Fd00000001sv00001E0Fsd00000001bc01sc08i02 "
     "pci:v00008086d00009A0Bsv00000000sd00000000bc01sc04i00"},
    {"dell-xps-vmd", "slot", "0000:00:0e.0", "driver-mode", "raid"},
    {"desktop-ahci", "name", "sda", "bus", "ata"},
    {"desktop-ahci", "name", "sda", "path", "pci-0000:01:00.1-ata-1"},
    {"desktop-ahci", "slot", "0000:01:00.1", "driver-mode", "ahci"},
    {"epyc-nvme-4kn", "name", "nvme1n1", "logical-sector", "4096"},
    {"altra-nvme-joined", "class", "system", "arch", "aarch64"},
    {"altra-nvme-joined", "class", "cpu", "model", "0xd0c"},
    {"altra-nvme-joined", "name", "nvme0n1", "bus", "nvme"},
    {"altra-nvme-joined", "name", "nvme0n1", "path", "pci-000d:01:00.0-nvme-1"},
    {"altra-nvme-joined", "name", "nvme0n1", "controller", "144d:a824"},
    {"altra-nvme-joined", "name", "nvme0n1", "serial", "S4YNNE0N000001"},
    {"raspberry-pi-4", "class", "system", "firmware", "other"},
    {"raspberry-pi-4", "class", "system", "product", "Raspberry Pi 4 Model B Rev 1.4"},
    {"raspberry-pi-4", "class", "system", "board-serial", "10000000a1b2c3d4"},
    {"raspberry-pi-4", "class", "cpu", "vendor", "0x41"},
    {"raspberry-pi-4", "name", "mmcblk0", "bus", "mmc"},
    {"raspberry-pi-4", "name", "mmcblk0", "path", "platform-fe340000.mmc"},
    {"raspberry-pi-4", "name", "mmcblk0", "modaliases", "mmc:block"},
    {"raspberry-pi-4", "name", "eth0", "driver", "bcmgenet"},
    {"raspberry-pi-4", "name", "eth0", "pci", NULL},
    {"qemu-q35-virtio", "name", "vda", "media", "virtual"},
    {"qemu-q35-virtio", "name", "vda", "serial", "vol-0001"},
    {"qemu-q35-virtio", "name", "vda", "maker", NULL},
    {"qemu-q35-virtio", "name", "vda", "modaliases",
     "virtio:d00000002v00001AF4 pci:v00001AF4d00001042sv00001AF4sd00001100bc01sc00i00"},
    {"qemu-i440fx-scsi", "name", "sda", "bus", "scsi"},
    {"qemu-i440fx-scsi", "name", "sda", "media", "virtual"},
    {"qemu-i440fx-scsi", "name", "sda", "path", "pci-0000:00:04.0-scsi-0:0:0"},
    {"qemu-i440fx-scsi", "name", "sda", "modaliases",
     "scsi:t-0x00 virtio:d00000008v00001AF4 "
     "pci:v00001AF4d00001004sv00001AF4sd00000008bc01sc00i00"},
    {"vmware-pvscsi", "name", "sda", "media", "virtual"},
    {"vmware-pvscsi", "slot", "0000:03:00.0", "driver", "vmw_pvscsi"},
    {"hyperv-gen2", "name", "sda", "path",
     "vmbus-f8b3781a-1e82-4818-a1c3-63d806ec15bb-scsi-0:0:0"},
    {"hyperv-gen2", "name", "sda", "modaliases",
     "scsi:t-0x00 vmbus:d96361baa104294db60572e2ffb1dc7f"},
    {"hyperv-gen2", "name", "eth0", "modaliases",
     "vmbus:635161f83edfc546913ff2d2f965ed0e"},
    {"virtualbox", "name", "sda", "media", "virtual"},
    {"virtualbox", "slot", "0000:00:01.1", "driver-mode", "ide"},
    {"xen-hvm", "name", "xvda", "bus", "xen"},
    {"xen-hvm", "name", "xvda", "path", "xen-vbd-51712"},
    {"xen-hvm", "name", "xvda", "modaliases", "xen:vbd"},
    {"xen-hvm", "name", "xvda", "modules", "xen_blkfront"},
    {"aws-nitro", "name", "nvme0n1", "media", "virtual"},
    {"aws-nitro", "slot", "0000:00:05.0", "driver", "ena"},
};

static void
test_m5_each_machine_tells_its_parts(void **state)
{
    (void) state;
    rmt_auto(rmt_records) records = NULL;
    const char *machine = "";
    for (size_t i = 0; i < sizeof s_facts / sizeof *s_facts; i++) {
        const fact_t *fact = &s_facts[i];
        if (strcmp(machine, fact->machine) != 0) {
            rmt_records_destroy(&records);
            records = s_machine(fact->machine, NULL);
            machine = fact->machine;
        }
        const rmt_record_t *record = rmt_records_find(records, fact->key, fact->value);
        const char *had = record ? rmt_record_text(record, fact->field, NULL) : "(none)";
        if (!had != !fact->wanted || (had && strcmp(had, fact->wanted) != 0))
            fail_msg("%s %s %s: %s is '%s', not '%s'", machine, fact->key, fact->value,
                     fact->field, had ? had : "-", fact->wanted ? fact->wanted : "-");
    }
}

static void
test_m5_every_fixture_has_the_classes_of_a_machine(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    rmt_auto_str folder = rmt_text("%s/tests/fixtures/machines", getenv("RAMET_SOURCE"));
    DIR *names = opendir(folder);
    assert_non_null(names);
    size_t count = 0;
    for (struct dirent *entry = readdir(names); entry; entry = readdir(names)) {
        if (strchr(entry->d_name, '.') || strcmp(entry->d_name, "README") == 0 ||
            strcmp(entry->d_name, "MATRIX") == 0)
            continue;
        rmt_auto(rmt_records) records = s_machine(entry->d_name, NULL);
        assert_int_equal(s_count(records, "system"), 1);
        assert_int_equal(s_count(records, "cpu"), 1);
        assert_int_equal(s_count(records, "memory"), 1);
        assert_true(s_count(records, "disk") > 0);
        assert_true(s_count(records, "nic") > 0);
        rmt_auto_str identity = rmt_inventory_identity(records);
        assert_non_null(identity);
        // What is read can be told and read again.
        rmt_auto_str text = rmt_facts_print(records);
        rmt_auto(rmt_records) again = rmt_facts_parse(text, &error);
        RMT_OK(again);
        assert_int_equal(rmt_records_count(again), rmt_records_count(records));
        count++;
    }
    closedir(names);
    assert_true(count >= 12);
}

static void
test_m5_parts_of_a_disk_are_no_disks(void **state)
{
    (void) state;
    // The boot areas of an eMMC, and the single paths to a joined NVMe disk.
    rmt_auto(rmt_records) pi = s_machine("raspberry-pi-4", NULL);
    assert_int_equal(s_count(pi, "disk"), 1);
    rmt_auto(rmt_records) altra = s_machine("altra-nvme-joined", NULL);
    assert_int_equal(s_count(altra, "disk"), 1);
}

static void
test_m5_virtual_functions_are_no_part_of_a_machine(void **state)
{
    (void) state;
    rmt_auto(rmt_records) records = s_machine("supermicro-megaraid", NULL);
    assert_null(rmt_records_find(records, "device", "1520"));
    assert_non_null(rmt_records_find(records, "device", "1521"));
}

static void
test_m5_a_stick_is_told_as_a_removable_usb_disk(void **state)
{
    (void) state;
    rmt_auto(rmt_records) records = s_machine(
        "desktop-ahci",
        "class=disk name=sdb via=usb on=0000:09:00.3 port=3-1 at=9:0:0:0 "
        "bytes=15500000256 "
        "removable=1 maker=SanDisk model=\"Cruzer Fit\"\n"
        "class=usb port=3-1 id=0781:5571 type=00 interfaces=\"080650:usb-storage\"\n");
    const rmt_record_t *stick = rmt_records_find(records, "name", "sdb");
    assert_non_null(stick);
    assert_string_equal(rmt_record_text(stick, "bus", ""), "usb");
    assert_string_equal(rmt_record_text(stick, "removable", ""), "yes");
}

static void
test_m5_a_set_address_is_not_taken_for_the_burnt_in_one(void **state)
{
    (void) state;
    rmt_auto(rmt_records) records =
        s_machine("virtualbox", "-class=nic\n"
                                "class=nic name=enp0s3 mac=02:00:00:00:00:99 assigned=3 "
                                "on=0000:00:03.0 driver=e1000\n");
    const rmt_record_t *nic = rmt_records_find(records, "class", "nic");
    assert_non_null(nic);
    assert_false(rmt_record_has(nic, "mac"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_m5_each_machine_tells_its_parts),
        cmocka_unit_test(test_m5_every_fixture_has_the_classes_of_a_machine),
        cmocka_unit_test(test_m5_parts_of_a_disk_are_no_disks),
        cmocka_unit_test(test_m5_virtual_functions_are_no_part_of_a_machine),
        cmocka_unit_test(test_m5_a_stick_is_told_as_a_removable_usb_disk),
        cmocka_unit_test(test_m5_a_set_address_is_not_taken_for_the_burnt_in_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
