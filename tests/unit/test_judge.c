// What an engine's installer puts as the verdict of one target (M11, M12, P20).
#include "tools/rmt_test.h"
#include <czmq.h>
#include <string.h>
#include "installer/judge.h"
#include "base/rmt_auto.h"
#include "wire/rmt_codec.h"
#include "facts/rmt_facts.h"

#define DISK "class=disk role=system name=vda bus=virtio media=virtual bytes=1000\n"
#define NICS(count) "class=pci vendor=1 device=2 pci-class=020000\n" count

// One more thing that the image says of its network; NULL for none.
static const char *s_word, *s_value;

// What an engine lacks for encrypted partitions; NULL: the image has none.
static const char *s_fault;

static rmt_record_t *
s_judge(const char *image, const char *target, const char *hardware)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_records) one = rmt_facts_parse(image, &error);
    rmt_auto(rmt_records) record = rmt_facts_parse(target, &error);
    assert_non_null(one);
    assert_non_null(record);
    if (hardware) {
        rmt_auto(rmt_records) two = rmt_facts_parse(hardware, &error);
        rmt_auto(zchunk) packed = rmt_codec_pack_records(two);
        rmt_record_put(rmt_records_at(record, 0), "hardware", zchunk_data(packed),
                       zchunk_size(packed));
    }
    const rmt_match_config_t config = {.hardware = one};
    rmt_auto(rmt_match) match = rmt_match_new(&config);
    rmt_record_t *item = rmt_record_new();
    rmt_auto(rmt_record) os = rmt_record_new();
    rmt_record_set(os, "network-stack", "networkd");
    if (s_word)
        rmt_record_set(os, s_word, s_value);
    installer_judge(match, os, NULL, rmt_records_at(record, 0), s_fault, item);
    return item;
}

typedef struct {
    const char *what;
    const char *image, *target, *hardware;
    const char *fits, *available, *reason, *warnings;
} case_t;

#define KNOWN "class=target name=n1 identity=uuid:1 "
#define FREE KNOWN "state=free address=10.0.0.1/24"
#define DHCP "its record has no address, so the target will ask for one by DHCP"

static const case_t s_cases[] = {
    {"fits", DISK, FREE, DISK, "yes", "yes", "", ""},
    {"locked", DISK, KNOWN "state=locked address=10.0.0.1/24", DISK, "yes", "no",
     "locked", ""},
    {"no hardware yet", DISK, FREE, NULL, "no", "yes",
     "its agent has not sent the hardware yet; start the agent", ""},
    {"no address", DISK, KNOWN, DISK, "yes", "yes", "", DHCP},
    {"an empty address", DISK, KNOWN "address=\"\"", DISK, "yes", "yes", "", DHCP},
    {"addresses it once had", DISK, KNOWN "addresses=10.0.0.9", DISK, "yes", "yes", "",
     DHCP},
    {"the address of another interface", DISK, KNOWN "net.data.address=10.0.0.1/24", DISK,
     "yes", "yes", "", ""},
    {"an address without its network", DISK, KNOWN "address=10.0.0.7", DISK, "no", "yes",
     "network: address=10.0.0.7: 10.0.0.7 lacks the length of its network; write "
     "10.0.0.7/24, or set mask=255.255.255.0 beside it",
     ""},
    {"two of the same, told once", DISK NICS(NICS("")), FREE, DISK, "no", "yes",
     "nic: the target lacks it", ""},
    {"no identity", DISK, "class=target name=n1 address=10.0.0.1/24", DISK, "no", "yes",
     "identity: its computer tells no identity, so no warrant can name it; give it a "
     "UUID in the settings of its firmware and start its agent again",
     ""},
    {"an image without a disk", "class=cpu arch=x", FREE, "class=cpu arch=x", "no", "yes",
     "disk: the image's layout has no disk", ""},
};

static void
test_m12_a_target_is_judged_in_words(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof s_cases / sizeof *s_cases; i++) {
        const case_t *one = &s_cases[i];
        rmt_auto(rmt_record) item = s_judge(one->image, one->target, one->hardware);
        const char *const had[] = {
            rmt_record_text(item, "fits", ""), rmt_record_text(item, "available", ""),
            rmt_record_text(item, "reason", ""), rmt_record_text(item, "warnings", "")};
        const char *const wanted[] = {one->fits, one->available, one->reason,
                                      one->warnings};
        for (size_t j = 0; j < 4; j++) {
            if (strcmp(had[j], wanted[j]) != 0)
                fail_msg("%s: '%s', not '%s'", one->what, had[j], wanted[j]);
        }
    }
}

// [3.40] [3.41]
static void
test_what_the_image_says_of_its_network_is_in_the_plan(void **state)
{
    (void) state;
    s_word = "network-shapes";
    s_value = "bond bond0, vlan bond0.7";
    rmt_auto(rmt_record) shaped = s_judge(DISK, FREE, DISK);
    rmt_auto(rmt_record) made =
        s_judge(DISK, FREE " interface=bond0 kind=bond ports=eno1,eno2", DISK);
    assert_string_equal(rmt_record_text(made, "warnings", ""), "");
    s_value = "wireguard wg0";
    rmt_auto(rmt_record) tunnel = s_judge(DISK, FREE, DISK);
    assert_non_null(strstr(rmt_record_text(tunnel, "warnings", ""), "ramet script add"));
    s_value = "vlan eno1.7";
    rmt_auto(rmt_record) vlan = s_judge(DISK, FREE " mac=52:54:00:00:00:02", DISK);
    assert_non_null(strstr(rmt_record_text(vlan, "warnings", ""),
                           "interface=eno1.7 kind=vlan link=eno1 vlan=20 mac="));
    s_word = "network-refusal";
    s_value = "/etc/rc.local:2 sets address 192.0.2.9 by a command";
    rmt_auto(rmt_record) refused = s_judge(DISK, KNOWN "state=free", DISK);
    s_word = NULL;
    assert_string_equal(rmt_record_text(shaped, "fits", ""), "yes");
    assert_non_null(strstr(rmt_record_text(shaped, "warnings", ""),
                           "has bond bond0, vlan bond0.7; the target gets plain"));
    assert_non_null(
        strstr(rmt_record_text(shaped, "warnings", ""),
               "ramet target set n1 interface=bond0 kind=bond ports=eno1,eno2"));
    assert_string_equal(rmt_record_text(refused, "fits", ""), "no");
    assert_string_equal(rmt_record_text(refused, "reason", ""),
                        "network: /etc/rc.local:2 sets address 192.0.2.9 by a command");
}

static void
test_m33_encryption_needs_a_passphrase_and_a_program(void **state)
{
    (void) state;
    static const char with[] = DISK "class=program name=cryptsetup\n";
    static const struct {
        const char *fault, *hardware, *fits, *reason;
    } rows[] = {
        {"", with, "yes", ""},
        {"", DISK, "no", "luks: the image has an encrypted partition, and the system of"},
        {"no passphrase", with, "no", "luks: no passphrase"},
        {NULL, DISK, "yes", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        s_fault = rows[i].fault;
        rmt_auto(rmt_record) item = s_judge(DISK, FREE, rows[i].hardware);
        s_fault = NULL;
        assert_string_equal(rmt_record_text(item, "fits", ""), rows[i].fits);
        if (!strstr(rmt_record_text(item, "reason", ""), rows[i].reason))
            fail_msg("row %zu: '%s'", i, rmt_record_text(item, "reason", ""));
    }
}

static void
test_m12_verdicts_and_the_choice_of_disks_go_apart(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    rmt_auto(rmt_record) item =
        s_judge(DISK, FREE, "class=disk name=vdb bus=virtio media=virtual bytes=2000");
    size_t size;
    const void *packed = rmt_record_get(item, "choice", &size);
    rmt_auto(rmt_records) choice =
        rmt_codec_unpack_records(packed, size, size + 1, &error);
    RMT_OK(choice);
    assert_int_equal(rmt_records_count(choice), 1);
    assert_string_equal(rmt_record_text(rmt_records_at(choice, 0), "name", ""), "vdb");
    packed = rmt_record_get(item, "verdicts", &size);
    rmt_auto(rmt_records) verdicts =
        rmt_codec_unpack_records(packed, size, size + 1, &error);
    RMT_OK(verdicts);
    assert_null(rmt_records_find(verdicts, "class", "choice"));
    assert_non_null(rmt_records_find(verdicts, "component", "disk"));
    const rmt_record_t *network = rmt_records_find(verdicts, "component", "network");
    assert_non_null(network);
    assert_string_equal(rmt_record_text(network, "fits", ""), "yes");
    assert_string_equal(rmt_record_text(network, "had", ""), "networkd");
}

static bool
s_rehearse(const installer_rehearsal_t *rehearsal, const char *target)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_records) record = rmt_facts_parse(target, &error);
    rmt_auto(rmt_records) verdicts = rmt_records_new();
    RMT_OK(record);
    return installer_rehearsal_judge(rehearsal, rmt_records_at(record, 0), verdicts);
}

// A record that is made as another one costs no second plan; one that differs in what a
// plan can be refused for is planned by itself (M33).
static void
test_m33_records_of_another_shape_are_planned_anew(void **state)
{
    (void) state;
    static const char outline[] =
        "class=x kind=folder path=/etc\nclass=x kind=folder path=/etc/init.d\n"
        "class=x kind=file path=/etc/init.d/rcS content=\"#!/bin/sh\\x0a\"\n"
        "class=x kind=file path=/etc/os-release content=\"ID=x\\x0a\"\n"
        "class=x kind=folder path=/sbin\nclass=x kind=link path=/sbin/ifup "
        "target=/bin/busybox\nclass=x kind=folder path=/bin\n"
        "class=x kind=file path=/bin/busybox content=\"\"\n"
        "class=x kind=folder path=/etc/network\n"
        "class=x kind=file path=/etc/network/interfaces "
        "content=\"auto eth0\\x0aiface eth0 inet dhcp\\x0a\"\n";
    rmt_error_t error = {0};
    rmt_auto(rmt_records) records = rmt_facts_parse(outline, &error);
    RMT_OK(records);
    rmt_auto(rmt_layout) layout = rmt_layout_new();
    const installer_rehearsal_config_t config = {
        .outline = records, .layout = layout, .boot_paths = ""};
    rmt_auto(installer_rehearsal) rehearsal = installer_rehearsal_new(&config, &error);
    RMT_OK(rehearsal);
    assert_true(s_rehearse(rehearsal, "class=target name=a address=10.0.0.1/24"));
    assert_true(s_rehearse(rehearsal, "class=target name=b address=10.0.0.2/24"));
    assert_false(s_rehearse(rehearsal, "class=target name=c address=10.0.0.3/24 "
                                       "mac=52:54:00:00:00:01 "
                                       "net.data.mac=52:54:00:00:00:02"));
    assert_true(s_rehearse(rehearsal, "class=target name=d address=10.0.0.4/24"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_m33_records_of_another_shape_are_planned_anew),
        cmocka_unit_test(test_m12_a_target_is_judged_in_words),
        cmocka_unit_test(test_what_the_image_says_of_its_network_is_in_the_plan),
        cmocka_unit_test(test_m33_encryption_needs_a_passphrase_and_a_program),
        cmocka_unit_test(test_m12_verdicts_and_the_choice_of_disks_go_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
