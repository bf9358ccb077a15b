// Every machine of the fixtures as an image's hardware against every other as a target
// (M11, M12), and near misses: one difference, the verdict and the words for it.
#include "tools/rmt_test.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "match/rmt_match.h"
#include "facts/rmt_policy.h"
#include "tools/machine_tree.h"

static const char *const s_names[] = {
    "altra-nvme-joined", "aws-nitro",       "dell-r740",       "dell-xps-vmd",
    "desktop-ahci",      "epyc-nvme-4kn",   "hpe-dl380-gen10", "hyperv-gen2",
    "qemu-i440fx-scsi",  "qemu-q35-virtio", "raspberry-pi-4",  "supermicro-megaraid",
    "thinkpad-x1",       "virtualbox",      "vmware-pvscsi",   "xen-hvm"};

#define MACHINE_COUNT (sizeof s_names / sizeof *s_names)

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

// As a source's agent tells it: each disk has a role.
static rmt_records_t *
s_image(const char *name, const char *edit)
{
    rmt_records_t *records = s_machine(name, edit);
    for (size_t i = 0; i < rmt_records_count(records); i++) {
        rmt_record_t *record = rmt_records_at(records, i);
        if (strcmp(rmt_record_text(record, "class", ""), "disk") == 0)
            rmt_record_set(record, "role", rmt_record_text(record, "name", ""));
    }
    return records;
}

// Another machine of the same make: what is its own differs.
static void
s_make_twin(rmt_records_t *records)
{
    static const char *const own[] = {"uuid",   "board-serial", "bios",     "wwn",
                                      "serial", "mac",          "revision", "stepping",
                                      "path",   "slot"};
    for (size_t i = 0; i < rmt_records_count(records); i++) {
        rmt_record_t *record = rmt_records_at(records, i);
        for (size_t j = 0; j < sizeof own / sizeof *own; j++) {
            if (rmt_record_has(record, own[j]))
                rmt_record_setf(record, own[j], "other-%u", (unsigned) i);
        }
    }
}

static rmt_records_t *
s_match(const rmt_match_config_t *config, const rmt_records_t *target, bool *fits)
{
    rmt_auto(rmt_match) match = rmt_match_new(config);
    return rmt_match_target(match, target, fits);
}

// "cpu,controller": the components that do not fit, each once, in order.
static char *
s_misfits(const rmt_records_t *verdicts)
{
    char *all = rmt_text("%s", "");
    for (size_t i = 0; i < rmt_records_count(verdicts); i++) {
        const rmt_record_t *verdict = rmt_records_at(verdicts, i);
        const char *component = rmt_record_text(verdict, "component", "");
        if (strcmp(rmt_record_text(verdict, "fits", ""), "no") != 0)
            continue;
        assert_true(strlen(rmt_record_text(verdict, "reason", "")) > 4);
        const char *last = strrchr(all, ',');
        if (strcmp(last ? last + 1 : all, component) == 0)
            continue;
        char *longer = rmt_text("%s%s%s", all, *all ? "," : "", component);
        free(all);
        all = longer;
    }
    return all;
}

// The matrix stands in a file: a line for each image and machine that do not fit, with
// what does not.
static void
test_m11_a_machine_fits_its_like_and_no_other(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    rmt_auto_str path =
        rmt_text("%s/tests/fixtures/machines/MATRIX", getenv("RAMET_SOURCE"));
    rmt_auto_ptr wanted = NULL;
    size_t size = 0;
    RMT_OK(rmt_io_load(path, 1 << 20, &wanted, &size, &error));
    rmt_records_t *images[MACHINE_COUNT];
    rmt_records_t *machines[MACHINE_COUNT];
    for (size_t i = 0; i < MACHINE_COUNT; i++) {
        images[i] = s_image(s_names[i], NULL);
        machines[i] = s_machine(s_names[i], NULL);
        s_make_twin(machines[i]);
    }
    size_t wrong = 0;
    for (size_t i = 0; i < MACHINE_COUNT; i++) {
        const rmt_match_config_t config = {.hardware = images[i]};
        for (size_t j = 0; j < MACHINE_COUNT; j++) {
            bool fits = false;
            rmt_auto(rmt_records) verdicts = s_match(&config, machines[j], &fits);
            rmt_auto_str misfits = s_misfits(verdicts);
            assert_int_equal(fits, i == j);
            rmt_auto_str line = rmt_text("\n%s %s %s\n", s_names[i], s_names[j], misfits);
            if (i != j && !strstr(wanted, line)) {
                print_message("not in MATRIX:%s", line);
                wrong++;
            }
        }
    }
    for (size_t i = 0; i < MACHINE_COUNT; i++) {
        rmt_records_destroy(&images[i]);
        rmt_records_destroy(&machines[i]);
    }
    assert_int_equal(wrong, 0);
}

typedef struct {
    const char *what;
    const char *machine;
    const char *image_edit; // Of the machine that the image was made on; NULL: none
    const char *edit;       // Of the target
    const char *policy;
    const char *component; // That does not fit; NULL: all fit
    const char *reason;    // In its words
} miss_t;

#define SSD                                                                              \
    "class=disk name=sda via=ata on=0000:01:00.1 at=0:0:0:0 ata=1 model=\"Other SSD\" "  \
    "serial=X wwid=naa.1 "

static const miss_t s_misses[] = {
    {"the controller in RAID mode", "desktop-ahci", NULL,
     "-class=pci slot=0000:01:00.1\n"
     "class=pci slot=0000:01:00.1 id=1022:43c8 sub=1b21:1062 type=010400 rev=01 "
     "driver=ahci behind=0000:00:01.3\n",
     "", "controller", "the same device in another mode"},
    {"RAID mode, controllers ignored", "desktop-ahci", NULL,
     "-class=pci slot=0000:01:00.1\n"
     "class=pci slot=0000:01:00.1 id=1022:43c8 type=010400 driver=ahci "
     "behind=0000:00:01.3\n",
     "controller=ignore", NULL, NULL},
    {"the disk behind no volume management device", "dell-xps-vmd", NULL,
     "-0000:00:0e.0\n-10000:e1:00.0\n"
     "class=pci slot=0000:00:06.0 id=8086:9a09 type=060400 driver=pcieport\n"
     "class=pci slot=0000:01:00.0 id=1e0f:0001 type=010802 driver=nvme\n"
     "class=disk name=nvme0n1 via=nvme on=0000:01:00.0 bytes=512110190592 wwid=eui.1\n",
     "", "controller", "the target lacks it"},
    {"another RAID controller", "dell-r740", NULL,
     "-0000:18:00.0\n"
     "class=pci slot=0000:18:00.0 id=1000:005d sub=1028:1f47 type=010400 "
     "driver=megaraid_sas\n"
     "class=disk name=sda via=scsi on=0000:18:00.0 at=0:2:0:0 bytes=958999298048 "
     "rotational=1 wwid=naa.2\n",
     "", "controller", "the target lacks it"},
    {"another RAID controller, family", "dell-r740", NULL,
     "-0000:18:00.0\n"
     "class=pci slot=0000:18:00.0 id=1000:005d sub=1028:1f47 type=010400 "
     "driver=megaraid_sas\n"
     "class=disk name=sda via=scsi on=0000:18:00.0 at=0:2:0:0 bytes=958999298048 "
     "rotational=1 wwid=naa.2\n",
     "controller=family", NULL, NULL},
    {"sectors of 512 bytes", "epyc-nvme-4kn", NULL,
     "-class=disk\n"
     "class=disk name=nvme0n1 via=nvme on=0000:61:00.0 bytes=1920383410176 wwid=eui.1\n"
     "class=disk name=nvme1n1 via=nvme on=0000:62:00.0 bytes=1920383410176 wwid=eui.2\n",
     "", "disk",
     "the disk has sectors of 512 bytes, and the image has sectors of 4096 bytes"},
    {"the controller in IDE mode", "desktop-ahci", NULL,
     "-class=pci slot=0000:01:00.1\n"
     "class=pci slot=0000:01:00.1 id=1022:43c8 sub=1b21:1062 type=01018a rev=01 "
     "driver=ahci behind=0000:00:01.3\n",
     "", "controller", "the same device in another mode"},
    {"sectors of 4096 bytes", "thinkpad-x1", NULL,
     "-class=disk\n"
     "class=disk name=nvme0n1 via=nvme on=0000:04:00.0 bytes=512110190592 sector=4096 "
     "wwid=eui.1\n",
     "", "disk",
     "the disk has sectors of 4096 bytes, and the image has sectors of 512 bytes"},
    {"sectors of 4096 bytes, disks ignored", "thinkpad-x1", NULL,
     "-class=disk\n"
     "class=disk name=nvme0n1 via=nvme on=0000:04:00.0 bytes=512110190592 sector=4096 "
     "wwid=eui.1\n",
     "disk=ignore", "disk",
     "the disk has sectors of 4096 bytes, and the image has sectors of 512 bytes"},
    {"sectors of 512 bytes upon physical ones of 4096", "desktop-ahci", NULL,
     "-class=disk\n" SSD "bytes=500107862016 physical=4096\n", "", NULL, NULL},
    {"one USB stick more, USB compared", "thinkpad-x1", NULL,
     "class=disk name=sda via=usb on=0000:00:14.0 port=1-2 at=9:0:0:0 bytes=15500000256 "
     "removable=1\n"
     "class=usb port=1-2 id=0781:5571 type=00 interfaces=\"080650:usb-storage\"\n",
     "usb=exact", NULL, NULL},
    {"no camera, USB compared", "thinkpad-x1", NULL, "-class=usb port=1-8\n", "usb=exact",
     "usb", "the target lacks it"},
    {"one USB stick more", "desktop-ahci", NULL,
     "class=disk name=sdb via=usb on=0000:09:00.3 port=3-1 at=9:0:0:0 bytes=15500000256 "
     "removable=1\n"
     "class=usb port=3-1 id=0781:5571 type=00 interfaces=\"080650:usb-storage\"\n",
     "", NULL, NULL},
    {"one keyboard less", "desktop-ahci", NULL, "-class=usb\n", "", NULL, NULL},
    {"one network port less", "dell-r740", NULL, "-0000:3b:00.1\n", "", "nic",
     "the target lacks it"},
    {"one network card more, by USB", "thinkpad-x1", NULL,
     "class=nic name=enx1 mac=02:00:00:00:00:01 on=vmbus:1 driver=r8152 type=1\n", "",
     "nic", "the source lacks it"},
    {"a graphics card more", "qemu-q35-virtio", NULL,
     "class=pci slot=0000:00:09.0 id=10de:1eb8 type=030200 driver=nvidia\n", "", "gpu",
     "the source lacks it"},
    {"one virtual function more", "supermicro-megaraid", NULL,
     "class=pci slot=0000:04:10.4 id=8086:1520 type=020000 behind=0000:04:00.0 "
     "function-of=0000:04:00.0\n",
     "", NULL, NULL},
    {"half the memory", "hpe-dl380-gen10", NULL,
     "-class=memory\nclass=memory mib=32000\n", "", "memory",
     "less than the image's hardware"},
    {"twice the memory", "hpe-dl380-gen10", NULL,
     "-class=memory\nclass=memory mib=128000\n", "", NULL, NULL},
    {"a disk of half the size", "desktop-ahci", NULL,
     "-class=disk\n" SSD "bytes=250059350016\n", "", "disk",
     "the disk is too small: the image needs 500107862016 bytes (465.8 GiB), and the "
     "disk has 250059350016 bytes (232.9 "
     "GiB)"},
    {"a rotating disk", "desktop-ahci", NULL,
     "-class=disk\n" SSD "bytes=500107862016 rotational=1\n", "", "disk",
     "the disk is of another kind"},
    {"set to start by BIOS", "thinkpad-x1", NULL,
     "-class=system\nclass=system firmware=bios sys_vendor=LENOVO\n", "", "firmware",
     "the image has no boot path for bios"},
    {"Secure Boot on, the source's off", "thinkpad-x1",
     "-class=system\nclass=system firmware=uefi secure-boot=off\n", NULL, "",
     "secure-boot", "Secure Boot is on"},
    {"a newer CPU", "dell-r740", NULL,
     "-class=cpu\nclass=cpu vendor=GenuineIntel family=6 model=106 stepping=6 count=40\n",
     "", "cpu", "another model"},
    {"a newer CPU, family", "dell-r740",
     "-class=cpu\nclass=cpu vendor=GenuineIntel "
     "family=6 model=85 count=40\n",
     "-class=cpu\nclass=cpu vendor=GenuineIntel family=6 model=106 count=40\n",
     "cpu=family", NULL, NULL},
    {"an older CPU, ignored, that lacks instructions", "dell-r740", NULL,
     "-class=cpu\nclass=cpu vendor=GenuineIntel family=6 model=79 count=40 "
     "features=\"cx16 lahf_lm pni ssse3 fma sse4_1 sse4_2 movbe popcnt aes xsave avx "
     "f16c rdrand abm bmi1 avx2 bmi2 rdseed adx\"\n",
     "cpu=ignore", "cpu-features",
     "the CPU lacks avx512f, avx512dq, avx512cd, avx512bw, avx512vl"},
    {"a larger instance", "aws-nitro", NULL,
     "-class=cpu\n-class=memory\n"
     "class=cpu vendor=GenuineIntel family=6 model=85 count=8 features=\"cx16 lahf_lm "
     "pni "
     "ssse3 fma sse4_1 sse4_2 movbe popcnt aes xsave avx f16c rdrand abm bmi1 avx2 bmi2 "
     "avx512f avx512dq rdseed adx avx512cd avx512bw avx512vl\"\n"
     "class=memory mib=31000\n",
     "", NULL, NULL},
    {"another channel of the hypervisor", "hyperv-gen2", NULL,
     "-class=disk\n"
     "class=disk name=sda via=scsi on=vmbus:11111111-2222-3333-4444-555555555555 "
     "type=ba61 driver=hv_storvsc at=0:0:0:0 bytes=34359738368 rotational=1 maker=Msft "
     "model=\"Virtual Disk\" wwid=naa.3\n",
     "", NULL, NULL},
    {"one disk more than the image has", "desktop-ahci", NULL,
     "class=disk name=sdb via=ata on=0000:01:00.1 at=1:0:0:0 ata=2 bytes=500107862016 "
     "wwid=naa.9\n",
     "", "disk", "ambiguous"},
};

static void
test_m12_one_difference_has_one_verdict_and_its_words(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    for (size_t i = 0; i < sizeof s_misses / sizeof *s_misses; i++) {
        const miss_t *miss = &s_misses[i];
        rmt_auto(rmt_record) policy = rmt_record_new();
        rmt_auto(rmt_records) image = s_image(miss->machine, miss->image_edit);
        rmt_auto(rmt_records) target = s_machine(miss->machine, miss->edit);
        RMT_OK(rmt_policy_parse(policy, miss->policy, &error));
        const rmt_match_config_t config = {.hardware = image, .policy = policy};
        bool fits = false;
        rmt_auto(rmt_records) verdicts = s_match(&config, target, &fits);
        rmt_auto_str misfits = s_misfits(verdicts);
        const rmt_record_t *no = rmt_records_find(verdicts, "fits", "no");
        if (strcmp(misfits, miss->component ? miss->component : "") != 0 ||
            (no && !strstr(rmt_record_text(no, "reason", ""), miss->reason)))
            fail_msg("%s: '%s' for '%s'", miss->what,
                     no ? rmt_record_text(no, "reason", "") : "", misfits);
        assert_int_equal(fits, !miss->component);
    }
}

// ---- The image's kernel

typedef struct {
    const char *late; // Names that a module in the tree alone serves
    const char *none; // Names that nothing serves
} kernel_t;

static rmt_served_t
s_find(void *context, const char *name, const char *known, const char **module_out)
{
    const kernel_t *kernel = context;
    (void) known;
    *module_out = "made";
    return strstr(name, kernel->none)   ? RMT_SERVED_NOT
           : strstr(name, kernel->late) ? RMT_SERVED_LATE
                                        : RMT_SERVED_EARLY;
}

static void
test_m12_a_kernel_without_the_driver_is_refused(void **state)
{
    (void) state;
    static const struct {
        const char *what;
        const char *image_edit;
        kernel_t kernel;
        const char *misfits;
    } cases[] = {
        {"all is driven", NULL, {"@", "@"}, ""},
        {"no driver for the network card", NULL, {"@", "v000010EC"}, "driver"},
        {"no driver for a card that had none on the source",
         "-class=pci slot=0000:04:00.0\n"
         "class=pci slot=0000:04:00.0 id=10ec:8168 sub=1458:e000 type=020000 rev=16\n",
         {"@", "v000010EC"},
         ""},
        {"no driver for sound", NULL, {"@", "bc04"}, ""},
        {"no driver for the disk's controller",
         NULL,
         {"@", "d000043C8"},
         "driver,root-driver"},
        {"the disk's controller is driven too late",
         NULL,
         {"d000043C8", "@"},
         "root-driver"},
        {"the network card is driven late", NULL, {"v000010EC", "@"}, ""},
        {"the file system of the root is driven too late",
         NULL,
         {"fs-ext4", "@"},
         "root-driver"},
        {"the source ran this kernel, which tells no names",
         "-class=system\nclass=system firmware=bios kernel=6.1.0\n",
         {"@", "d000043C8"},
         ""},
        {"the source ran another kernel",
         "-class=system\nclass=system firmware=bios kernel=6.1.0-rc1\n",
         {"@", "d000043C8"},
         "driver,root-driver"},
    };
    rmt_auto(rmt_layout) layout = rmt_layout_new();
    (void) rmt_layout_add_disk(layout, "sda");
    rmt_layout_volume_t *volume = rmt_layout_add_volume(layout, 0);
    volume->mount = rmt_text("/");
    volume->fs = RMT_FS_EXT4;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rmt_auto(rmt_records) image = s_image("desktop-ahci", cases[i].image_edit);
        rmt_auto(rmt_records) target = s_machine("desktop-ahci", NULL);
        kernel_t kernel = cases[i].kernel;
        const rmt_match_drivers_t drivers = {s_find, &kernel, "6.1.0"};
        const rmt_match_config_t config = {
            .hardware = image, .layout = layout, .drivers = &drivers};
        bool fits = false;
        rmt_auto(rmt_records) verdicts = s_match(&config, target, &fits);
        rmt_auto_str misfits = s_misfits(verdicts);
        if (strcmp(misfits, cases[i].misfits) != 0)
            fail_msg("%s: '%s'", cases[i].what, misfits);
    }
}

// The components that do not fit a kernel of the image, and whether one is warned of.
static char *
s_judge_layers(const rmt_layout_t *layout, kernel_t kernel)
{
    bool fits = false;
    rmt_auto(rmt_records) image = s_image("desktop-ahci", NULL);
    rmt_auto(rmt_records) target = s_machine("desktop-ahci", NULL);
    const rmt_match_drivers_t drivers = {s_find, &kernel, "6.1.0"};
    const rmt_match_config_t config = {
        .hardware = image, .layout = layout, .drivers = &drivers};
    rmt_auto(rmt_records) verdicts = s_match(&config, target, &fits);
    rmt_auto_str names = s_misfits(verdicts);
    const bool is_warned = rmt_records_find(verdicts, "warning", "yes") != NULL;
    return rmt_text("%s%s", names, is_warned ? " warned" : "");
}

// No device names the driver that a root on a logical volume or an array needs.
static void
test_m12_layers_of_the_root_need_their_drivers_early(void **state)
{
    (void) state;
    static const struct {
        bool is_logical, is_on_array; // The root; and it, or its physical volume
        uint64_t level;
        kernel_t kernel;
        const char *misfits;
        const char *raid; // Of the logical volume
    } cases[] = {{true, false, 0, {"@", "@"}, "", ""},
                 {true, true, 1, {"@", "program:mdadm"}, " warned", ""},
                 {true, false, 1, {"@", "program:mdadm"}, "", ""},
                 {true, false, 0, {"@", "program:lvm"}, " warned", ""},
                 {false, true, 1, {"@", "program:lvm"}, "", ""},
                 {true, false, 0, {"@", "mapper"}, "root-driver", ""},
                 {true, false, 0, {"mapper", "@"}, "root-driver", ""},
                 {true, false, 1, {"@", "md-level"}, "", ""},
                 {true, true, 1, {"@", "@"}, "", ""},
                 {true, true, 1, {"@", "md-level-1"}, "root-driver", ""},
                 {true, true, 10, {"md-level-10", "@"}, "root-driver", ""},
                 {true, true, 1, {"@", "mapper"}, "root-driver", ""},
                 {false, true, 0, {"@", "md-level-0"}, "root-driver", ""},
                 {false, true, 5, {"@", "md-level-5"}, "root-driver", ""},
                 {false, true, 6, {"@", "md-level-5"}, "", ""},
                 {false, false, 0, {"@", "mapper"}, "", ""},
                 {true, false, 0, {"@", "@"}, "", "raid1"},
                 {true, false, 0, {"@", "dm_raid"}, "", ""},
                 {true, false, 0, {"@", "dm_raid"}, "root-driver", "raid1"},
                 {true, false, 0, {"dm_raid", "@"}, "root-driver", "raid5_la"},
                 {true, false, 0, {"@", "md-level-1"}, "root-driver", "raid1"},
                 {true, false, 0, {"md-level-5", "@"}, "root-driver", "raid5_la"},
                 {true, false, 0, {"@", "md-level-6"}, "root-driver", "raid6_zr"},
                 {true, false, 0, {"@", "md-level-10"}, "root-driver", "raid10"},
                 {true, false, 0, {"@", "md-level-1"}, "", "raid4"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rmt_auto(rmt_layout) layout = rmt_layout_new();
        (void) rmt_layout_add_disk(layout, "sda");
        rmt_layout_array_t *array = rmt_layout_add_array(layout, "a");
        array->metadata = rmt_text("1.2");
        array->level = cases[i].level;
        array->layout = 0x102;
        array->chunk = 65536;
        array->slots = 3;
        (void) rmt_layout_add_group(layout, "vg");
        rmt_layout_logical_t *logical = rmt_layout_add_logical(layout, 0);
        strcpy(logical->name, "root");
        strcpy(logical->raid, cases[i].raid);
        rmt_layout_volume_t *volume = rmt_layout_add_volume(layout, 0);
        volume->mount = rmt_text("/");
        volume->fs = RMT_FS_EXT4;
        if (cases[i].is_logical)
            volume->logical = rmt_text("vg/root");
        if (cases[i].is_logical && cases[i].is_on_array)
            strcpy(logical->array, "a");
        else if (cases[i].is_on_array)
            volume->array = rmt_text("a");
        rmt_auto_str misfits = s_judge_layers(layout, cases[i].kernel);
        if (strcmp(misfits, cases[i].misfits) != 0)
            fail_msg("case %zu: '%s'", i, misfits);
    }
}

// Nor the drivers and the programs that a root in LUKS needs, itself or its group.
static void
test_m12_a_root_in_luks_needs_its_drivers_early(void **state)
{
    (void) state;
    static const struct {
        bool is_encrypted, is_logical;
        kernel_t kernel;
        const char *misfits;
    } cases[] = {{true, false, {"@", "@"}, ""},
                 {true, false, {"mapper", "@"}, "root-driver"},
                 {true, false, {"@", "dm_crypt"}, "root-driver"},
                 {true, false, {"dm_crypt", "@"}, "root-driver"},
                 {true, false, {"@", "program:cryptsetup"}, " warned"},
                 {false, false, {"@", "program:cryptsetup"}, ""},
                 {false, false, {"dm_crypt", "mapper"}, ""},
                 {true, true, {"@", "@"}, ""},
                 {true, true, {"mapper", "@"}, "root-driver"},
                 {true, true, {"@", "dm_crypt"}, "root-driver"},
                 {true, true, {"@", "program:cryptsetup"}, " warned"},
                 {true, true, {"@", "program:lvm"}, " warned"},
                 {false, true, {"@", "program:cryptsetup"}, ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rmt_auto(rmt_layout) layout = rmt_layout_new();
        (void) rmt_layout_add_disk(layout, "sda");
        rmt_layout_volume_t *volume = rmt_layout_add_volume(layout, 0);
        volume->mount = rmt_text("/");
        volume->fs = RMT_FS_EXT4;
        volume->partition = cases[i].is_logical ? 0 : 1;
        volume->logical = cases[i].is_logical ? rmt_text("sys/root") : NULL;
        (void) rmt_layout_add_group(layout, "sys");
        rmt_layout_logical_t *logical = rmt_layout_add_logical(layout, 0);
        strcpy(logical->name, "root");
        logical->partition = 1;
        if (cases[i].is_encrypted)
            rmt_layout_add_crypt(layout, 0)->partition = 1;
        rmt_auto_str misfits = s_judge_layers(layout, cases[i].kernel);
        assert_string_equal(misfits, cases[i].misfits);
    }
}

// With explain each device is told, whether it fits or not.
static void
test_m12_every_compared_fact_is_told(void **state)
{
    (void) state;
    rmt_auto(rmt_records) image = s_image("dell-r740", NULL);
    rmt_auto(rmt_records) target = s_machine("dell-r740", NULL);
    kernel_t kernel = {"@", "@"};
    const rmt_match_drivers_t drivers = {s_find, &kernel, "6.1.0"};
    const rmt_match_config_t config = {
        .hardware = image, .drivers = &drivers, .explain = true};
    bool fits = false;
    rmt_auto(rmt_records) verdicts = s_match(&config, target, &fits);
    assert_true(fits);
    static const struct {
        const char *field, *value;
        size_t count;
    } rows[] = {{"component", "cpu", 4},     {"component", "controller", 3},
                {"component", "nic", 4},     {"component", "gpu", 1},
                {"component", "driver", 12}, {"component", "root-driver", 2},
                {"component", "disk", 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t count = 0;
        for (size_t j = 0; j < rmt_records_count(verdicts); j++)
            count +=
                strcmp(rmt_record_text(rmt_records_at(verdicts, j), rows[i].field, ""),
                       rows[i].value) == 0;
        if (count != rows[i].count)
            fail_msg("%s: %zu rows", rows[i].value, count);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_m11_a_machine_fits_its_like_and_no_other),
        cmocka_unit_test(test_m12_one_difference_has_one_verdict_and_its_words),
        cmocka_unit_test(test_m12_a_kernel_without_the_driver_is_refused),
        cmocka_unit_test(test_m12_layers_of_the_root_need_their_drivers_early),
        cmocka_unit_test(test_m12_a_root_in_luks_needs_its_drivers_early),
        cmocka_unit_test(test_m12_every_compared_fact_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
