// Matching: which computers an image may go to (docs/spec/3-facts.md).
#include "tools/rmt_test.h"
#include <stdio.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "facts/rmt_facts.h"
#include "match/rmt_match.h"
#include "facts/rmt_policy.h"

#define MACHINE                                                                          \
    "class=system uuid=1 firmware=uefi arch=x86_64\n"                                    \
    "class=cpu arch=x86_64 vendor=AuthenticAMD family=25 model=17 count=8\n"             \
    "class=memory bytes=17179869184\n"                                                   \
    "class=pci vendor=1af4 device=1001 pci-class=010000 driver-mode=scsi slot=0\n"       \
    "class=pci vendor=8086 device=1533 pci-class=020000 slot=1\n"                        \
    "class=pci vendor=8086 device=1533 pci-class=020000 slot=2\n"                        \
    "class=pci vendor=1002 device=67df pci-class=030000 slot=3\n"                        \
    "class=pci vendor=8086 device=a2af pci-class=0c0330 slot=4\n"
#define DISK(name, size)                                                                 \
    "class=disk bus=virtio media=virtual logical-sector=512 name=" name                  \
    " serial=S-" name " bytes=" size "\n"

static rmt_records_t *
s_facts(const char *text)
{
    rmt_error_t error = {0};
    rmt_records_t *records = rmt_facts_parse(text, &error);
    RMT_OK(records);
    return records;
}

// Run a match of texts; returns the verdicts.
static rmt_records_t *
s_match_all(const char *image, const char *layout, const char *target, const char *policy,
            bool *fits)
{
    rmt_auto(rmt_records) one = s_facts(image);
    rmt_error_t error = {0};
    rmt_auto(rmt_records) disks = layout ? s_facts(layout) : NULL;
    rmt_auto(rmt_layout) plan = layout ? rmt_layout_read(disks, &error) : NULL;
    if (layout && !plan)
        fail_msg("%s", error.text);
    rmt_auto(rmt_records) two = s_facts(target);
    rmt_auto(rmt_records) rules = policy ? s_facts(policy) : NULL;
    const rmt_match_config_t config = {.hardware = one,
                                       .layout = plan,
                                       .policy = rules ? rmt_records_at(rules, 0) : NULL};
    rmt_auto(rmt_match) match = rmt_match_new(&config);
    return rmt_match_target(match, two, fits);
}

static rmt_records_t *
s_match(const char *image, const char *target, const char *policy, bool *fits)
{
    return s_match_all(image, NULL, target, policy, fits);
}

typedef struct {
    const char *what;
    const char *image;
    const char *target;
    const char *policy;
    const char *component; // Of the first verdict that does not fit; NULL: all fit
} case_t;

static const case_t s_cases[] = {
    {"a twin", MACHINE DISK("a", "1000"), MACHINE DISK("b", "1000"), NULL, NULL},
    {"a larger disk", MACHINE DISK("a", "1000"), MACHINE DISK("b", "2000"), NULL, NULL},
    {"a smaller disk", MACHINE DISK("a", "1000"), MACHINE DISK("b", "999"), NULL, "disk"},
    {"a larger disk, exact size", MACHINE DISK("a", "1000"), MACHINE DISK("b", "2000"),
     "class=policy disk-size=exact", "disk"},
    {"another CPU model", "class=cpu arch=x86_64 vendor=A family=6 model=1",
     "class=cpu arch=x86_64 vendor=A family=6 model=2", NULL, "cpu"},
    {"another CPU model, family", "class=cpu arch=x86_64 vendor=A family=6 model=1",
     "class=cpu arch=x86_64 vendor=A family=6 model=2", "class=policy cpu=family", NULL},
    {"another family, family", "class=cpu arch=x86_64 vendor=A family=6",
     "class=cpu arch=x86_64 vendor=A family=7", "class=policy cpu=family", "cpu"},
    {"fewer CPUs", "class=cpu count=8", "class=cpu count=4", NULL, "cpu-count"},
    {"fewer CPUs, ignored", "class=cpu count=8", "class=cpu count=4",
     "class=policy cpu-count=ignore", NULL},
    {"more CPUs, exact", "class=cpu count=8", "class=cpu count=16",
     "class=policy cpu-count=exact", "cpu-count"},
    {"half the memory", "class=memory bytes=1000000", "class=memory bytes=500000", NULL,
     "memory"},
    {"memory that another kernel sees", "class=memory bytes=1000000",
     "class=memory bytes=980000", NULL, NULL},
    {"a controller in another mode",
     "class=pci vendor=8086 device=1 pci-class=010601 "
     "driver-mode=ahci",
     "class=pci vendor=8086 device=1 pci-class=010400 driver-mode=raid", NULL,
     "controller"},
    {"one network card less",
     "class=pci vendor=1 device=2 pci-class=020000\n"
     "class=pci vendor=1 device=2 pci-class=020000",
     "class=pci vendor=1 device=2 pci-class=020000", NULL, "nic"},
    {"one card more", "class=cpu arch=a",
     "class=cpu arch=a\n"
     "class=pci vendor=1 device=2 pci-class=030000",
     NULL, "gpu"},
    {"a card's sister, family", "class=pci vendor=1 device=2 pci-class=030000",
     "class=pci vendor=1 device=3 pci-class=030000", "class=policy gpu=family", NULL},
    {"the CPU lacks instructions", "class=cpu features=\"fpu avx2 avx512f\"",
     "class=cpu features=\"fpu avx2\"", NULL, "cpu-features"},
    {"flags of the kernel and hypervisor differ",
     "class=cpu features=\"fpu avx2 pti cpuid\"",
     "class=cpu features=\"avx2 hypervisor\"", NULL, NULL},
    {"instructions, ignored", "class=cpu features=avx2", "class=cpu features=fpu",
     "class=policy cpu-features=ignore", NULL},
    {"Secure Boot on, unsigned", "class=system firmware=uefi secure-boot=off",
     "class=system firmware=uefi secure-boot=on", NULL, "secure-boot"},
    {"Secure Boot on, signed", "class=system firmware=uefi secure-boot=on",
     "class=system firmware=uefi secure-boot=on", NULL, NULL},
    {"Secure Boot off", "class=system firmware=uefi secure-boot=on",
     "class=system firmware=uefi secure-boot=off", NULL, NULL},
    {"UEFI of another width", "class=system firmware=uefi efi-bits=64",
     "class=system firmware=uefi efi-bits=32", NULL, "firmware"},
    {"entries are needed, and can be made",
     "class=system firmware=uefi boot-entries=needed", "class=system firmware=uefi", NULL,
     NULL},
    {"entries are needed, and cannot be made",
     "class=system firmware=bios boot-paths=\"uefi bios\" boot-entries=needed",
     "class=system firmware=uefi boot-entries=none", NULL, "firmware"},
    {"entries are needed by UEFI alone",
     "class=system firmware=uefi boot-paths=\"uefi bios\" boot-entries=needed",
     "class=system firmware=bios", NULL, NULL},
    {"entries cannot be made, nor are needed", "class=system firmware=uefi",
     "class=system firmware=uefi boot-entries=none", NULL, NULL},
    {"the source's own firmware had none either",
     "class=system firmware=uefi boot-entries=none",
     "class=system firmware=uefi boot-entries=none", NULL, NULL},
    {"firmware of a board", "class=system firmware=uefi", "class=system firmware=other",
     NULL, "firmware"},
    {"a radio that hangs on USB", "class=usb vendor=1 product=2 usb-class=e0",
     "class=cpu arch=a", "class=policy usb=exact", "usb"},
    {"a stick more, USB compared", "class=cpu arch=a",
     "class=cpu arch=a\nclass=usb vendor=1 product=2 usb-class=00 "
     "interfaces=080650:usb-storage",
     "class=policy usb=exact", NULL},
    {"USB, MACs and serials differ",
     "class=usb vendor=1 product=2\n"
     "class=nic mac=02:00:00:00:00:01 driver=virtio_net pci=1",
     "class=nic mac=02:00:00:00:00:02 driver=virtio_net pci=2", NULL, NULL},
    {"no boot path", "class=system firmware=bios", "class=system firmware=uefi", NULL,
     "firmware"},
    {"boot paths for both", "class=system firmware=bios boot-paths=\"bios uefi\"",
     "class=system firmware=uefi", NULL, NULL},
    {"firmware none needs no boot path", "class=system firmware=bios",
     "class=system firmware=none", NULL, NULL},
    {"an image that cannot boot", "class=system firmware=none",
     "class=system firmware=bios", NULL, "firmware"},
    {"another sector size", "class=disk name=a logical-sector=512 bytes=9",
     "class=disk name=a logical-sector=4096 bytes=9", "class=policy disk=ignore", "disk"},
    {"another bus", "class=disk name=a bus=nvme media=flash bytes=9",
     "class=disk name=a bus=ata media=flash bytes=9", NULL, "disk"},
    {"another bus, family", "class=disk name=a bus=nvme media=flash bytes=9",
     "class=disk name=a bus=ata media=flash bytes=9", "class=policy disk=family", NULL},
    {"a USB stick is no disk", "class=disk name=a bus=ata bytes=9",
     "class=disk name=b bus=ata bytes=9\nclass=disk name=c bus=usb bytes=9", NULL, NULL},
    {"two candidates for one role", MACHINE DISK("a", "9"),
     MACHINE DISK("b", "9") DISK("c", "9"), NULL, "disk"},
    {"two candidates, one named", MACHINE DISK("a", "9"),
     MACHINE DISK("b", "9") DISK("c", "9"), "class=policy disk.a=S-c", NULL},
    {"a named disk that is too small", MACHINE DISK("a", "9"), MACHINE DISK("b", "8"),
     "class=policy disk.a=S-b", "disk"},
    {"two roles, two disks", MACHINE DISK("a", "9") DISK("b", "9"),
     MACHINE DISK("c", "9") DISK("d", "9"), NULL, NULL},
    {"required bytes rule", "class=disk role=root name=a bytes=9000 required-bytes=100",
     "class=disk name=b bytes=200", NULL, NULL},
    {"disks without a role do not count",
     "class=disk role=root name=a bytes=9\n"
     "class=disk name=data bytes=9",
     "class=disk name=b bytes=9", NULL, NULL},
};

static void
test_each_difference_is_judged_by_its_row(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof s_cases / sizeof *s_cases; i++) {
        const case_t *one = &s_cases[i];
        bool fits = false;
        rmt_auto(rmt_records) verdicts =
            s_match(one->image, one->target, one->policy, &fits);
        const rmt_record_t *no = rmt_records_find(verdicts, "fits", "no");
        const char *component = no ? rmt_record_text(no, "component", "") : NULL;
        if (fits != (one->component == NULL) || (no == NULL) != fits ||
            (no && (!one->component || strcmp(component, one->component) != 0)))
            fail_msg("%s: fits %d, first no is %s", one->what, fits,
                     component ? component : "-");
        assert_true(!no || rmt_record_text(no, "reason", "")[0]);
    }
}

static void
test_sizes_decide_which_disk_takes_which_role(void **state)
{
    (void) state;
    bool fits = false;
    rmt_auto(rmt_records) verdicts = s_match(
        "class=disk role=data name=a bytes=500\nclass=disk role=root name=b bytes=100",
        "class=disk name=x wwn=W-SMALL bytes=120\nclass=disk name=y wwn=W-LARGE "
        "bytes=600",
        NULL, &fits);
    assert_true(fits);
    const rmt_record_t *data = NULL;
    const rmt_record_t *root = NULL;
    for (size_t i = 0; i < rmt_records_count(verdicts); i++) {
        const rmt_record_t *record = rmt_records_at(verdicts, i);
        if (strcmp(rmt_record_text(record, "class", ""), "choice") != 0)
            continue;
        if (strcmp(rmt_record_text(record, "role", ""), "data") == 0)
            data = record;
        else
            root = record;
    }
    assert_non_null(data);
    assert_non_null(root);
    assert_string_equal(rmt_record_text(data, "disk", ""), "W-LARGE");
    assert_string_equal(rmt_record_text(root, "disk", ""), "W-SMALL");
    assert_int_equal(rmt_record_u64(root, "bytes", 0), 120);
}

static void
test_an_ambiguous_role_lists_its_candidates_and_chooses_none(void **state)
{
    (void) state;
    bool fits = true;
    rmt_auto(rmt_records) verdicts =
        s_match(DISK("a", "9"), DISK("b", "9") DISK("c", "10"), NULL, &fits);
    assert_false(fits);
    assert_null(rmt_records_find(verdicts, "class", "choice"));
    assert_non_null(rmt_records_find(verdicts, "disk", "S-b"));
    assert_non_null(rmt_records_find(verdicts, "disk", "S-c"));
}

static void
test_m12_a_policy_that_means_nothing_is_refused_with_the_words_allowed(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        {"cpu=at-least", "the rules of cpu are exact, family, ignore"},
        {"cpu=foo", "policy cpu=foo: this rule does not exist; the rules of cpu are "
                    "exact, family, ignore"},
        {"disk-size=ignore", "the rules of disk-size are exact, at-least"},
        {"memory=", "the rules of memory are exact, at-least, ignore"},
        {"nic=exac", "the rules of nic are exact, family, ignore"},
        {"nic=exact,", NULL},
        {"gpu=family,usb=family", "the rules of usb are exact, ignore"},
        {"fan=exact",
         "policy fan: this component does not exist; write one of cpu, cpu-count, "
         "cpu-features, memory, firmware, secure-boot, controller, nic, "
         "gpu, pci, usb, disk, disk-size, driver, root-driver, or "
         "disk.<role>"},
        {"class=exact", "this component does not exist"},
        {"disk.=x", "this component does not exist"},
        {"disk.a=", "write the wwn, serial, path or name"},
        {"disk.a=any word", NULL},
        {"cpu", "not component=rule"},
        {"=x", "not component=rule"},
        {"cpu=exact,nic", "\"nic\" is not component=rule"},
        {"CPU=exact", "not component=rule"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rmt_error_t error = {0};
        const int rc = rmt_policy_check(cases[i].text, &error);
        if (rc != (cases[i].words ? -1 : 0) ||
            (cases[i].words && !strstr(error.text, cases[i].words)))
            fail_msg("%s: %s", cases[i].text, error.text);
        assert_int_equal(error.code, cases[i].words ? RMT_E_USAGE : RMT_E_OK);
    }
}

static void
test_m12_policies_are_read_from_words_and_later_ones_win(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_record) policy = rmt_record_new();
    RMT_OK(rmt_policy_parse(policy, "cpu=family,disk.a=S-1", &error));
    RMT_OK(rmt_policy_parse(policy, "", &error));
    RMT_OK(rmt_policy_parse(policy, "cpu=ignore,", &error));
    assert_string_equal(rmt_record_text(policy, "cpu", ""), "ignore");
    assert_string_equal(rmt_record_text(policy, "disk.a", ""), "S-1");
}

static const rmt_record_t *
s_first_no(const rmt_records_t *verdicts)
{
    return rmt_records_find(verdicts, "fits", "no");
}

static void
test_m12_reasons_name_the_nearest_miss(void **state)
{
    (void) state;
    static const struct {
        const char *target;
        const char *reason;
    } cases[] = {
        {DISK("b", "999") DISK("c", "998"),
         "the disk is too small: the image needs 1000 bytes, and the disk has 999"},
        {"class=disk name=b bus=virtio media=virtual logical-sector=4096 bytes=2000",
         "the disk has sectors of 4096 bytes, and the image has sectors of 512 bytes"},
        {"class=disk name=b bus=ata media=virtual bytes=2000",
         "the disk is of another kind"},
        {"class=disk name=b bus=usb bytes=2000", "the target has too few disks"},
        {"class=disk name=b bus=virtio media=virtual removable=yes bytes=2000",
         "the target has too few disks"},
        {DISK("b", "1000") DISK("b", "1000"), "ambiguous"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool fits = true;
        rmt_auto(rmt_records) verdicts =
            s_match(DISK("a", "1000"), cases[i].target, NULL, &fits);
        const rmt_record_t *no = s_first_no(verdicts);
        assert_false(fits);
        if (!no || !strstr(rmt_record_text(no, "reason", ""), cases[i].reason))
            fail_msg("%s: %s", cases[i].target,
                     no ? rmt_record_text(no, "reason", "") : "fits");
    }
}

// The only disk would do, and is not the one that was meant.
static void
test_m12_a_disk_named_for_a_role_that_is_none_is_refused(void **state)
{
    (void) state;
    static const struct {
        const char *policy;
        const char *reason; // NULL: it fits
    } cases[] = {
        {"class=policy disk.system=S-b", NULL},
        {"class=policy disk.sytem=S-b",
         "the policy names a disk for role sytem; the image has the role system"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool fits = true;
        rmt_auto(rmt_records) verdicts =
            s_match("class=disk role=system name=a bytes=9",
                    "class=disk name=b serial=S-b bytes=9", cases[i].policy, &fits);
        const rmt_record_t *no = s_first_no(verdicts);
        assert_int_equal(fits, !cases[i].reason);
        if (cases[i].reason)
            assert_string_equal(rmt_record_text(no, "reason", ""), cases[i].reason);
    }
}

static void
test_m12_two_paths_to_one_disk_are_refused(void **state)
{
    (void) state;
    bool fits = true;
    rmt_auto(rmt_records) verdicts = s_match(
        "class=disk role=root name=a bytes=9\nclass=disk role=data name=b bytes=9",
        "class=disk name=x wwn=W bytes=9\nclass=disk name=y wwn=W bytes=9", NULL, &fits);
    assert_false(fits);
    assert_null(rmt_records_find(verdicts, "class", "choice"));
    assert_non_null(
        strstr(rmt_record_text(s_first_no(verdicts), "reason", ""), "multipath"));
}

#define TREE_LAYOUT                                                                      \
    "class=disk role=root table=gpt logical-sector=512 bytes=21474836480 grow=yes\n"     \
    "class=partition disk=root number=1 start=2048 size=1048576 "                        \
    "type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B\n"                                        \
    "class=partition disk=root number=2 start=1050624 size=40890368 "                    \
    "type=0FC63DAF-8483-4772-8E79-3D69D8477DE4\n"                                        \
    "class=volume disk=root partition=1 fs=vfat mount=/boot/efi bytes=536870912 "        \
    "files=9 bytes-tree=1000000\n"                                                       \
    "class=volume disk=root partition=2 fs=ext4 mount=/ bytes=20935868416 "              \
    "block-size=4096 inode-size=256 inodes=1277952 features=has_journal files=41000 "    \
    "bytes-tree=2147483648\n"

// Sizes come from the manifest's sums, so a disk smaller than the source's may do, and
// one that does not is told in bytes (M12; before anything is locked).
static void
test_m12_a_smaller_disk_does_while_the_tree_fits(void **state)
{
    (void) state;
    static const struct {
        const char *bytes;
        bool fits;
    } cases[] = {{"21474836480", true}, {"8589934592", true}, {"1073741824", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool fits = false;
        char target[128];
        snprintf(target, sizeof target, "class=disk name=x wwn=W bytes=%s",
                 cases[i].bytes);
        // What the source's agent has worked out for the disk.
        rmt_auto(rmt_records) verdicts =
            s_match_all("class=disk role=root name=a bytes=21474836480 "
                        "required-bytes=3600000000",
                        TREE_LAYOUT, target, NULL, &fits);
        assert_int_equal(fits, cases[i].fits);
        const rmt_record_t *no = s_first_no(verdicts);
        if (no)
            assert_non_null(strstr(rmt_record_text(no, "reason", ""),
                                   "the disk is too small: the image needs 3600000000 "
                                   "bytes (3.4 GiB), and the disk has "
                                   "1073741824 bytes (1.0 GiB)"));
    }
    bool fits = true;
    rmt_auto(rmt_records) verdicts =
        s_match_all("class=disk role=root name=a required-bytes=1000000000", TREE_LAYOUT,
                    "class=disk name=x bytes=1600000000", NULL, &fits);
    assert_false(fits);
    const rmt_record_t *no = s_first_no(verdicts);
    assert_string_equal(rmt_record_text(no, "component", ""), "disk-size");
    assert_string_equal(rmt_record_text(no, "fact", ""), "/");
    assert_non_null(strstr(rmt_record_text(no, "wanted", ""), "41000 inodes"));
}

// What files have reserved takes no bytes of the image, and room of the disk.
static void
test_m12_reserved_room_is_needed_as_well(void **state)
{
    (void) state;
    static const char disk[] = "class=disk role=root name=a required-bytes=1000000000";
    static const char target[] = "class=disk name=x wwn=W bytes=8589934592";
    const int size = (int) strlen(TREE_LAYOUT) - 1;
    rmt_auto_str reserving =
        rmt_text("%.*s bytes-reserved=8589934592\n", size, TREE_LAYOUT);
    bool fits = false;
    rmt_auto(rmt_records) without = s_match_all(disk, TREE_LAYOUT, target, NULL, &fits);
    assert_true(fits);
    rmt_auto(rmt_records) with = s_match_all(disk, reserving, target, NULL, &fits);
    assert_false(fits);
}

// M33: what only compression or shared blocks have made fit is told by the plan.
static void
test_m33_data_that_is_more_than_its_disk_is_refused(void **state)
{
    (void) state;
#define DENSE(first, more)                                                               \
    "class=disk role=root table=gpt bytes=10737418240 grow=yes\n"                        \
    "class=partition disk=root number=1 start=2048 size=20967424 "                       \
    "type=0FC63DAF-8483-4772-8E79-3D69D8477DE4\n"                                        \
    "class=volume disk=root partition=1 mount=/ bytes=10735321088 files=9 "              \
    "block-size=4096 " first "\n" more
#define SUBVOLUME(id, bytes)                                                             \
    "class=volume disk=root partition=1 fs=btrfs subvolume=s" id " subvolume-id=" id     \
    " files=9 block-size=4096 bytes=10735321088 bytes-tree=" bytes "\n"
    static const char words[] = "are lacking: compressed data and blocks";
    static const char first_boot[] = "; 24 MiB of what is needed are for the files of ";
    static const struct {
        const char *layout, *bytes, *words; // NULL: it fits
    } rows[] = {
        {DENSE("fs=btrfs bytes-tree=9000000000", ""), "10737418240", NULL},
        {DENSE("fs=btrfs bytes-tree=15000000000", ""), "10737418240", words},
        {DENSE("fs=btrfs bytes-tree=15000000000", ""), "21474836480", NULL},
        {DENSE("fs=xfs bytes-tree=11000000000", ""), "10737418240", words},
        {DENSE("fs=ext4 bytes-tree=1000 bytes-reserved=11000000000", ""), "10737418240",
         words},
        {DENSE("fs=btrfs subvolume=\"\" subvolume-id=5 bytes-tree=4000000000",
               SUBVOLUME("256", "4000000000")),
         "10737418240", NULL},
        {DENSE("fs=btrfs subvolume=\"\" subvolume-id=5 bytes-tree=4000000000",
               SUBVOLUME("256", "4000000000") SUBVOLUME("257", "4000000000")),
         "10737418240", words},
        // The files of the first boot come to those of the image.
        {DENSE("fs=ext4 bytes-tree=10700000000", ""), "10737418240", NULL},
        {DENSE("fs=ext4 bytes-tree=10720000000", ""), "10737418240", first_boot},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool fits = false;
        char target[128];
        snprintf(target, sizeof target, "class=disk name=x wwn=W bytes=%s",
                 rows[i].bytes);
        rmt_auto(rmt_records) verdicts = s_match_all(
            "class=disk role=root name=a bytes=10737418240 required-bytes=1000000",
            rows[i].layout, target, NULL, &fits);
        const rmt_record_t *no = s_first_no(verdicts);
        const char *reason = no ? rmt_record_text(no, "reason", "") : "";
        if (fits != !rows[i].words || (rows[i].words && !strstr(reason, rows[i].words)))
            fail_msg("row %zu: %s: %s", i, fits ? "fits" : "does not fit", reason);
    }
}

// M12: space that no partition gets is told, beside what the source had of it.
static void
test_m12_space_at_the_end_that_stays_unused_is_told(void **state)
{
    (void) state;
#define PART(number, start, more)                                                        \
    "class=partition disk=root number=" number " start=" start " size=204800 " more "\n"
#define GPT_DISK(more)                                                                   \
    "class=disk role=root table=gpt bytes=214748364" more                                \
    "\n" PART("1", "2048", "type=0FC63DAF-8483-4772-8E79-3D69D8477DE4")
    static const struct {
        const char *layout, *bytes, *words; // NULL: not a word
    } rows[] = {
        {GPT_DISK(""), "214748364", NULL},
        {GPT_DISK(""), "220000000", NULL},
        {GPT_DISK(""), "1073741824",
         "(819.2 MiB) at the end of the disk stay unused: "
         "partition 1, the last one, does not grow"},
        {GPT_DISK(" grow=yes"), "1073741824", NULL},
        {"class=disk role=root table=dos bytes=214748364 grow=yes\n" PART("1", "2048",
                                                                          "type=83"),
         "3298534883328", "(1.0 TiB) at the end of the disk stay unused: a DOS table"},
        {"class=disk role=root table=none bytes=214748364\n", "1073741824", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool fits = false;
        char target[128];
        snprintf(target, sizeof target, "class=disk name=x wwn=W bytes=%s",
                 rows[i].bytes);
        rmt_auto(rmt_records) verdicts =
            s_match_all("class=disk role=root name=a bytes=214748364", rows[i].layout,
                        target, NULL, &fits);
        const rmt_record_t *told = rmt_records_find(verdicts, "warning", "yes");
        assert_true(fits);
        const char *reason = told ? rmt_record_text(told, "reason", "") : "";
        if (rows[i].words ? !strstr(reason, rows[i].words) : *reason != '\0')
            fail_msg("row %zu: %s", i, reason);
    }
}

// M12: what lies behind the growing partition is no part of what that gets.
static void
test_m12_swap_at_the_end_keeps_its_size(void **state)
{
    (void) state;
    static const char layout[] =
        "class=disk role=root table=gpt bytes=2147483648 grow=yes\n"
        "class=partition disk=root number=1 start=2048 size=2097152 min-size=1048576 "
        "type=0FC63DAF-8483-4772-8E79-3D69D8477DE4\n"
        "class=partition disk=root number=2 start=2099200 size=2093056 at-end=yes "
        "type=0657FD6D-A4AB-43C4-84E5-0933C84B4F4F\n"
        "class=volume disk=root partition=1 fs=ext4 mount=/ bytes=1073741824 files=9 "
        "bytes-tree=1000000\n";
    static const struct {
        const char *bytes;
        bool fits;
    } rows[] = {{"2147483648", true}, {"1650000000", true}, {"1600000000", false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool fits = false;
        char target[128];
        snprintf(target, sizeof target, "class=disk name=x wwn=W bytes=%s",
                 rows[i].bytes);
        rmt_auto(rmt_records) verdicts = s_match_all(
            "class=disk role=root name=a bytes=2147483648", layout, target, NULL, &fits);
        if (fits != rows[i].fits)
            fail_msg("%s bytes: %d", rows[i].bytes, fits);
        // Of the smaller disk both are taken: the swap, and what is before the root.
        const rmt_record_t *root = rmt_records_find(verdicts, "fact", "/");
        if (i == 1)
            assert_non_null(strstr(rmt_record_text(root, "had", ""), "577286144 bytes"));
    }
}

static void
test_ten_thousand_targets_are_matched_alike(void **state)
{
    (void) state;
    rmt_auto(rmt_records) image = s_facts(MACHINE DISK("a", "1000"));
    rmt_auto(rmt_records) target = s_facts(MACHINE DISK("b", "1000"));
    const rmt_match_config_t config = {.hardware = image};
    rmt_auto(rmt_match) match = rmt_match_new(&config);
    for (int i = 0; i < 10000; i++) {
        bool fits = false;
        // Every fourth one has less memory, and nothing is carried from one to the next.
        rmt_record_set(rmt_records_find(target, "class", "memory"), "bytes",
                       i % 4 ? "17179869184" : "1");
        rmt_auto(rmt_records) verdicts = rmt_match_target(match, target, &fits);
        assert_int_equal(fits, i % 4 != 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_difference_is_judged_by_its_row),
        cmocka_unit_test(test_sizes_decide_which_disk_takes_which_role),
        cmocka_unit_test(test_an_ambiguous_role_lists_its_candidates_and_chooses_none),
        cmocka_unit_test(
            test_m12_a_policy_that_means_nothing_is_refused_with_the_words_allowed),
        cmocka_unit_test(test_m12_policies_are_read_from_words_and_later_ones_win),
        cmocka_unit_test(test_m12_reasons_name_the_nearest_miss),
        cmocka_unit_test(test_m12_a_disk_named_for_a_role_that_is_none_is_refused),
        cmocka_unit_test(test_m12_two_paths_to_one_disk_are_refused),
        cmocka_unit_test(test_m12_a_smaller_disk_does_while_the_tree_fits),
        cmocka_unit_test(test_m12_reserved_room_is_needed_as_well),
        cmocka_unit_test(test_m33_data_that_is_more_than_its_disk_is_refused),
        cmocka_unit_test(test_m12_space_at_the_end_that_stays_unused_is_told),
        cmocka_unit_test(test_m12_swap_at_the_end_keeps_its_size),
        cmocka_unit_test(test_ten_thousand_targets_are_matched_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
