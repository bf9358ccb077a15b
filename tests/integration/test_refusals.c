// Images that cannot be carried out on a target: each of these is told by the capture or
// by the plan, in the words of the row, and none gets as far as ARM (M33, [9.1]). Needs
// root.
#include "tools/test_folder.h"

#include "agent/agent.h"
#include "agent/source/source_disk.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"
#include "facts/rmt_facts.h"
#include "installer/judge.h"
#include "wire/rmt_codec.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---- By the capture

// Words of the scripts below: `disk` is an empty file of 67 MiB.
//   table LINE...           a GPT, unless the first line is another label
//   root [FSTAB LINE...]    ext4 of 24 MiB at 1 MiB, with an fstab
//   put KIND                make_layer at 32 MiB, in 32 MiB
//   poke OFFSET BYTES
#define WORDS                                                                            \
    "set -eu; cd \"$1\"; rm -rf disk tree; truncate -s 67M disk\n"                       \
    "poke() { printf \"$2\" | dd of=disk bs=1 seek=\"$1\" conv=notrunc status=none; }\n" \
    "table() { case $1 in label:*) ;; *) set -- 'label: gpt' \"$@\" ;; esac\n"           \
    "  printf '%s\\n' \"$@\" | sfdisk -q --no-reread --no-tell-kernel -w never disk; "   \
    "}\n"                                                                                \
    "root() { mkdir -p tree/etc; printf '%s\\n' '/dev/sda1 / ext4 defaults 0 1' \"$@\" " \
    ">tree/etc/fstab\n"                                                                  \
    "  mke2fs -q -F -t ext4 -d tree -U 11111111-2222-4333-8444-555555555555 -E "         \
    "offset=1048576 disk 24m; }\n"                                                       \
    "put() { \"$RAMET_SOURCE/tests/tools/make_layer\" \"$1\" disk 33554432 33554432; "   \
    "}\n"
#define TWO "table start=2048,size=49152,type=L start=65536,size=65536,type=L; "

static const struct {
    const char *what, *script, *words;
} s_captures[] = {
    {"a GPT without its protective MBR",
     TWO "root; dd if=/dev/zero of=disk bs=512 count=1 conv=notrunc status=none",
     "partition table of kind gpt"},
    {"a table of Apple",
     "poke 0 'ER\\002\\000'; poke 512 "
     "'PM\\0\\0\\0\\0\\0\\001\\0\\0\\0\\001\\0\\0\\0\\077'; "
     "poke 560 Apple_partition_map",
     "partition table of kind mac"},
    {"a table of Sun", "table 'label: sun'", "partition table of kind sun"},
    {"a table of SGI", "table 'label: sgi'", "partition table of kind sgi"},
    {"a hybrid MBR", TWO "root; poke 466 '\\203'", "hybrid MBR"},
    {"a table in a partition",
     TWO "root; truncate -s 32M in; printf 'label: dos\\nsize=9M\\n' | sfdisk -q in; dd "
         "if=in of=disk bs=1M seek=32 conv=notrunc status=none",
     "partition 2: it holds a partition table of kind dos"},
    {"a hybrid of an optical disk",
     "table 'label: dos' start=2048,size=8192,type=17; poke 32768 '\\001CD001\\001'; "
     "poke "
     "34816 '\\377CD001\\001'",
     "holds iso9660"},
    {"partitions that overlap",
     "table 'label: dos' start=2048,size=49152 start=65536,size=65536; poke 470 "
     "'\\000\\020\\000\\000'",
     "overlap"},
    {"a GPT that is larger than its disk", TWO "root; truncate -s 40M disk",
     "has a GPT of which both copies are damaged"},
    {"a GPT of which both copies are gone",
     TWO "root; for at in 1 137215; do dd if=/dev/zero of=disk bs=512 seek=$at count=1 "
         "conv=notrunc status=none; done",
     "both copies are damaged"},
    {"a GPT with too many entries", TWO "root; poke 594 '\\020'",
     "has a GPT whose entries would take more than 4 MiB"},
    {"a second GPT with entries too large", TWO "root; poke 70254166 '\\001'",
     "has a GPT whose entries would take more than 4 MiB"},
    {"a DOS partition behind the end",
     "table 'label: dos' start=2048,size=49152 start=65536,size=65536; root; truncate -s "
     "40M disk",
     "partition 2"},
    {"data on a disk without a table", "poke 300000 what", "neither a file system"},
    {"two signatures", TWO "root; put ntfs; poke 33555512 '\\123\\357'", ""},
    {"a sleeping system", TWO "root; put swap; poke 33558518 'S1SUSPEND\\000'",
     "partition 2: it holds the memory of a hibernated system"},
    {"a file system behind the end", "table start=2048,size=40000,type=L; root",
     "partition 1: it holds ext4 of 25165824 bytes"},
    {"an encrypted ext4",
     TWO "root; mke2fs -q -F -t ext4 -O encrypt -E offset=33554432 disk 32m",
     "the feature encrypt"},
    {"ext2 of revision 0", TWO "root; mke2fs -q -F -r 0 -E offset=33554432 disk 32m",
     "revision 0"},
    {"the journal of another disk",
     TWO "root; mke2fs -q -F -b 4096 -O journal_dev -E offset=33554432 disk 32m",
     "partition 2: it"},
    {"btrfs over two disks",
     TWO "root; truncate -s 32M in; truncate -s 32M other; mkfs.btrfs -q -f -M -m single "
         "-d single in other; dd if=in of=disk bs=1M seek=32 conv=notrunc status=none",
     "btrfs over 2 devices"},
    {"a member of bcache", TWO "root; put bcache", "partition 2: it holds bcache"},
    {"a pool of Stratis", TWO "root; put stratis", "partition 2: it holds stratis"},
    {"closed LUKS", TWO "root; put luks2", "partition 2: it holds crypto_LUKS"},
    {"a replica", TWO "root; put drbd", "partition 2: it holds drbd"},
    {"VDO", TWO "root; put vdo", "partition 2: it holds vdo"},
    {"half of a mirror", TWO "root; put md-1.2", "lacks a member, which is missing"},
    {"a disk of a controller's RAID",
     TWO "root; "
         "\"$RAMET_SOURCE/tests/tools/make_layer\" ddf disk 0 70254592",
     "ddf_raid_member"},
    {"fstab: another disk by UUID",
     TWO "root 'UUID=22222222-2222-4333-8444-555555555555 /data ext4 defaults 0 2'",
     "line 2 of /etc/fstab mounts /data"},
    {"fstab: another disk by name", TWO "root '/dev/sdb1 /data ext4 defaults 0 2'",
     "line 2 of /etc/fstab mounts /data"},
    {"fstab: a swap file that is not there", TWO "root '/swap none swap defaults 0 0'",
     "line 2 of /etc/fstab swaps to /swap"},
    {"fstab: a line that programs read in two ways",
     TWO "root 'LABEL=\"a b\" /data ext4 defaults 0 2'", "line 2 of /etc/fstab"},
};
#define CAPTURE_COUNT (sizeof s_captures / sizeof *s_captures)

typedef struct {
    const rmt_config_t *config;
    rmt_error_t error;
    bool is_taken;
} look_t;

// A source leaves the namespace of mounts, so it is opened in a thread of its own.
static void *
s_look(void *context)
{
    look_t *self = context;
    rmt_auto(rmt_source_disk) source =
        rmt_source_disk_new(self->config, "x", NULL, &self->error);
    self->is_taken = source != NULL;
    return NULL;
}

static void
s_image(look_t *look)
{
    rmt_error_t error = {0};
    rmt_auto_str path = rmt_text("%s/agent.cfg", test_folder);
    rmt_auto_str text = rmt_text("brokers = \"b\"\ndisk = \"%s/disk\"\n", test_folder);
    RMT_OK(rmt_io_save(path, text, strlen(text), 0644, &error));
    rmt_auto(rmt_config) config = rmt_config_new(RMT_AGENT_ROWS, path, &error);
    RMT_OK(config);
    look->config = config;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, s_look, look), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void
s_make(const char *script)
{
    rmt_error_t error = {0};
    rmt_auto_str all = rmt_text("%s%s\n", WORDS, script);
    const char *const words[] = {"bash", "-c", all, "bash", test_folder, NULL};
    RMT_OK(rmt_process_run(words, NULL, NULL, &error));
}

static void
test_m33_what_a_capture_finds_is_refused_there(void **state)
{
    (void) state;
    for (size_t i = 0; i < CAPTURE_COUNT; i++) {
        look_t look = {.is_taken = false};
        s_make(s_captures[i].script);
        s_image(&look);
        if (look.is_taken)
            fail_msg("%s was taken", s_captures[i].what);
        if (!strstr(look.error.text, s_captures[i].words))
            fail_msg("%s: %s", s_captures[i].what, look.error.text);
    }
    // The disk without any of it is taken, so that it is these that are refused.
    look_t look = {.is_taken = false};
    s_make(TWO "root");
    s_image(&look);
    if (!look.is_taken)
        fail_msg("%s", look.error.text);
}

// ---- By the plan

#define GPT_LINUX "type=0FC63DAF-8483-4772-8E79-3D69D8477DE4"
#define GROUP_ID "hhhhhh-iiii-jjjj-kkkk-llll-mmmm-nnnnnn"
#define PHYSICAL_ID "aaaaaa-bbbb-cccc-dddd-eeee-ffff-gggggg"
#define SYSTEM "class=system firmware=uefi boot-paths=uefi arch=x86_64\n"
#define CPU "class=cpu arch=x86_64 vendor=V family=6 model=1 count=2 features=avx2\n"
#define MEMORY "class=memory bytes=4294967296\n"
#define CARD "class=pci vendor=8086 device=1533 pci-class=020000 slot=1\n"
#define OWN "class=disk name=vda serial=S1 bus=virtio media=virtual logical-sector=512 "
#define OTHER "class=disk name=vdb serial=S2 bus=virtio media=virtual logical-sector=512 "
#define MACHINE SYSTEM CPU MEMORY CARD OWN "bytes=1073741824\n"
#define RECORD "class=target name=n1 identity=uuid:1 address=10.0.0.1/24 "

// The image of every row.
static const char s_layout[] =
    "class=disk role=system table=gpt logical-sector=512 bytes=1073741824 grow=yes\n"
    "class=partition disk=system number=1 start=2048 size=204800 " GPT_LINUX "\n"
    "class=partition disk=system number=2 start=206848 size=1024000 " GPT_LINUX "\n"
    "class=partition disk=system number=3 start=1230848 size=202752 "
    "min-size=202752 " GPT_LINUX "\n"
    "class=group name=rhel uuid=" GROUP_ID " extent-size=4194304\n"
    "class=physical disk=system group=rhel partition=1 uuid=" PHYSICAL_ID
    " data-start=1048576 "
    "extents=20\n"
    "class=volume disk=system partition=3 fs=ext4 mount=/ uuid=U bytes=103809024\n";

static const struct {
    const char *what, *record, *hardware, *policy, *word, *value, *fault, *words;
} s_plans[] = {
    {"a whole machine", RECORD, MACHINE, NULL, NULL, NULL, NULL, NULL},
    {"another processor", RECORD,
     SYSTEM
     "class=cpu arch=aarch64 vendor=V family=6 model=1 count=2 features=avx2\n" MEMORY
         CARD OWN "bytes=1073741824",
     NULL, NULL, NULL, NULL, "cpu: another arch"},
    {"fewer processors", RECORD,
     SYSTEM
     "class=cpu arch=x86_64 vendor=V family=6 model=1 count=1 features=avx2\n" MEMORY CARD
         OWN "bytes=1073741824",
     NULL, NULL, NULL, NULL, "cpu-count: less"},
    {"fewer instructions", RECORD,
     SYSTEM
     "class=cpu arch=x86_64 vendor=V family=6 model=1 count=2 features=fpu\n" MEMORY CARD
         OWN "bytes=1073741824",
     NULL, NULL, NULL, NULL, "the CPU lacks avx2"},
    {"less memory", RECORD,
     SYSTEM CPU "class=memory bytes=1073741824\n" CARD OWN "bytes=1073741824", NULL, NULL,
     NULL, NULL, "memory: less"},
    {"another firmware", RECORD,
     "class=system firmware=bios arch=x86_64\n" CPU MEMORY CARD OWN "bytes=1073741824",
     NULL, NULL, NULL, NULL, "firmware: the image has no boot path for bios"},
    {"Secure Boot", RECORD,
     "class=system firmware=uefi secure-boot=on arch=x86_64\n" CPU MEMORY CARD OWN
     "bytes=1073741824",
     NULL, NULL, NULL, NULL, "secure-boot: Secure Boot is on"},
    {"no card", RECORD, SYSTEM CPU MEMORY OWN "bytes=1073741824", NULL, NULL, NULL, NULL,
     "nic: the target lacks it"},
    {"no disk", RECORD, SYSTEM CPU MEMORY CARD, NULL, NULL, NULL, NULL,
     "this machine has no disk"},
    {"a smaller disk", RECORD, SYSTEM CPU MEMORY CARD OWN "bytes=536870912", NULL, NULL,
     NULL, NULL, "the disk is too small"},
    {"a disk of another kind", RECORD,
     SYSTEM CPU MEMORY CARD "class=disk name=sda serial=S1 bus=ata media=rotational "
                            "logical-sector=512 bytes=1073741824",
     NULL, NULL, NULL, NULL, "the disk is of another kind"},
    {"larger sectors", RECORD,
     SYSTEM CPU MEMORY CARD "class=disk name=vda serial=S1 bus=virtio media=virtual "
                            "logical-sector=4096 bytes=1073741824",
     NULL, NULL, NULL, NULL, "the disk has sectors of 4096 bytes"},
    {"two disks that would do", RECORD, MACHINE OTHER "bytes=1073741824", NULL, NULL,
     NULL, NULL, "ambiguous"},
    {"two paths to one disk", RECORD,
     MACHINE "class=disk name=vdb serial=S1 bus=virtio media=virtual logical-sector=512 "
             "bytes=1073741824",
     "class=policy disk.system=S1", NULL, NULL, NULL, "have the same identity"},
    {"a disk that is not there", RECORD, MACHINE, "class=policy disk.system=S9", NULL,
     NULL, NULL, "lacks the disk that the policy names"},
    {"a disk for no role", RECORD, MACHINE, "class=policy disk.data=S1", NULL, NULL, NULL,
     "the policy names a disk for role data"},
    {"an address without a network",
     "class=target name=n1 identity=uuid:1 address=10.0.0.1", MACHINE, NULL, NULL, NULL,
     NULL, "network: address=10.0.0.1"},
    {"a gateway that is its own", RECORD "gateway=10.0.0.1", MACHINE, NULL, NULL, NULL,
     NULL, "network: gateway"},
    {"addresses by a command", RECORD, MACHINE, NULL, "network-refusal",
     "/etc/rc.local:2 sets address 192.0.2.9 by a command", NULL, "by a command"},
    {"a stack that is not known", RECORD, MACHINE, NULL, "network-stack", "wicked", NULL,
     "network:"},
    {"no identity", "class=target name=n1 address=10.0.0.1/24", MACHINE, NULL, NULL, NULL,
     NULL, "identity: "},
    {"no passphrase", RECORD, MACHINE "class=program name=cryptsetup\n", NULL, NULL, NULL,
     "the engine has no passphrase", "luks: the engine has no passphrase"},
    {"no cryptsetup", RECORD, MACHINE, NULL, NULL, NULL, "", "luks: "},
    {"no hardware yet", RECORD, NULL, NULL, NULL, NULL, NULL,
     "has not sent the hardware"},
    {"another group of the name", RECORD,
     MACHINE OTHER "bytes=1000\nclass=content disk=vdb kind=group name=rhel uuid=X", NULL,
     NULL, NULL, NULL, "other-disks: disk vdb"},
    {"a part of the image's own group", RECORD,
     MACHINE OTHER "bytes=1000\nclass=content disk=vdb kind=physical uuid=" PHYSICAL_ID,
     NULL, NULL, NULL, NULL, "a physical volume with UUID aaaaaa"},
};
#define PLAN_COUNT (sizeof s_plans / sizeof *s_plans)

static rmt_records_t *
s_facts(const char *text)
{
    rmt_error_t error = {0};
    rmt_records_t *records = rmt_facts_parse(text, &error);
    if (!records)
        fail_msg("%s", error.text);
    return records;
}

// The verdict of row i. Caller owns the result.
static rmt_record_t *
s_judge(size_t i)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_records) image = s_facts(MACHINE);
    rmt_record_set(rmt_records_find(image, "class", "disk"), "role", "system");
    rmt_auto(rmt_records) lines = s_facts(s_layout);
    rmt_auto(rmt_layout) layout = rmt_layout_read(lines, &error);
    if (!layout)
        fail_msg("%s", error.text);
    rmt_auto(rmt_records) target = s_facts(s_plans[i].record);
    rmt_auto(rmt_records) hardware =
        s_plans[i].hardware ? s_facts(s_plans[i].hardware) : NULL;
    if (hardware) {
        rmt_auto(zchunk) packed = rmt_codec_pack_records(hardware);
        rmt_record_put(rmt_records_at(target, 0), "hardware", zchunk_data(packed),
                       zchunk_size(packed));
    }
    rmt_auto(rmt_records) policy = s_plans[i].policy ? s_facts(s_plans[i].policy) : NULL;
    const rmt_match_config_t config = {.hardware = image,
                                       .layout = layout,
                                       .policy =
                                           policy ? rmt_records_at(policy, 0) : NULL};
    rmt_auto(rmt_match) match = rmt_match_new(&config);
    rmt_auto(rmt_record) os = rmt_record_new();
    rmt_record_set(os, "network-stack", "networkd");
    if (s_plans[i].word)
        rmt_record_set(os, s_plans[i].word, s_plans[i].value);
    rmt_record_t *item = rmt_record_new();
    installer_judge(match, os, NULL, rmt_records_at(target, 0), s_plans[i].fault, item);
    return item;
}

static void
test_m33_what_a_plan_finds_is_refused_there(void **state)
{
    (void) state;
    for (size_t i = 0; i < PLAN_COUNT; i++) {
        rmt_auto(rmt_record) item = s_judge(i);
        const char *reason = rmt_record_text(item, "reason", "");
        if (!s_plans[i].words) {
            if (!rmt_record_is(item, "fits", "yes"))
                fail_msg("%s: %s", s_plans[i].what, reason);
            continue;
        }
        if (!rmt_record_is(item, "fits", "no") || !strstr(reason, s_plans[i].words))
            fail_msg("%s: '%s'", s_plans[i].what, reason);
    }
    assert_true(CAPTURE_COUNT + PLAN_COUNT - 1 >= 40);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_m33_what_a_capture_finds_is_refused_there),
        cmocka_unit_test(test_m33_what_a_plan_finds_is_refused_there),
    };
    return cmocka_run_group_tests(tests, test_folder_make, test_folder_remove);
}
