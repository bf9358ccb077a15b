// Matching: which computers an image may go to (docs/spec/3-facts.md).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "rmt_auto.h"
#include "rmt_clock.h"
#include "rmt_facts.h"
#include "rmt_match.h"

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
    assert_non_null(records);
    return records;
}

// Run a match of texts; returns the verdicts.
static rmt_records_t *
s_match(const char *image, const char *target, const char *policy, bool *fits)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_records) one = s_facts(image);
    rmt_auto(rmt_records) two = s_facts(target);
    rmt_auto(rmt_records) rules = policy ? s_facts(policy) : NULL;
    rmt_records_t *verdicts = NULL;
    assert_int_equal(rmt_match_run(one, two, rules ? rmt_records_at(rules, 0) : NULL,
                                   &verdicts, fits, &error),
                     0);
    return verdicts;
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
test_a_policy_that_a_component_does_not_take_is_refused(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_records) machine = s_facts(MACHINE);
    static const char *const policies[] = {
        "class=p cpu=at-least", "class=p disk-size=ignore", "class=p fan=exact",
        "class=p memory=\"\"", "class=p nic=exac"};
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
        rmt_auto(rmt_records) policy = s_facts(policies[i]);
        rmt_records_t *verdicts = NULL;
        bool fits;
        assert_int_equal(rmt_match_run(machine, machine, rmt_records_at(policy, 0),
                                       &verdicts, &fits, &error),
                         -1);
        assert_int_equal(error.code, RMT_E_USAGE);
        assert_null(verdicts);
    }
}

static void
test_ten_thousand_targets_are_matched_in_two_seconds(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_records) image = s_facts(MACHINE DISK("a", "1000"));
    rmt_auto(rmt_records) target = s_facts(MACHINE DISK("b", "1000"));
    for (int i = 0; i < 24; i++) {
        rmt_record_t *pci = rmt_record_dup(rmt_records_at(image, 7));
        rmt_record_setf(pci, "device", "%04x", (unsigned) (i * 37 % 11));
        rmt_record_t *copy = rmt_record_dup(pci);
        rmt_records_append(image, &pci);
        rmt_records_append(target, &copy);
    }
    const int64_t start = rmt_clock_ms();
    for (int i = 0; i < 10000; i++) {
        rmt_auto(rmt_records) verdicts = NULL;
        bool fits = false;
        assert_int_equal(rmt_match_run(image, target, NULL, &verdicts, &fits, &error), 0);
        assert_true(fits);
    }
    const int64_t taken = rmt_clock_ms() - start;
    print_message("10000 matches: %d ms\n", (int) taken);
#ifndef __SANITIZE_ADDRESS__
    assert_true(taken < 2000);
#endif
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_difference_is_judged_by_its_row),
        cmocka_unit_test(test_sizes_decide_which_disk_takes_which_role),
        cmocka_unit_test(test_an_ambiguous_role_lists_its_candidates_and_chooses_none),
        cmocka_unit_test(test_a_policy_that_a_component_does_not_take_is_refused),
        cmocka_unit_test(test_ten_thousand_targets_are_matched_in_two_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
