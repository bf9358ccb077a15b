// Layers between a file system and its disk that are not supported: each is refused by
// its name when a disk is imaged, wherever it stands and whatever it stands upon (M4).
// The layers are made by tests/tools/make_layer. Needs root.
#include "tools/rmt_test.h"

#include "agent/agent.h"
#include "agent/source/source_disk.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB ((uint64_t) 1024 * 1024)
#define DISK_SIZE (67 * MIB)

static char s_folder[64];
static char *s_disk;

static int
s_setup(void **state)
{
    (void) state;
    snprintf(s_folder, sizeof s_folder, "/var/tmp/ramet-layers.XXXXXX");
    if (!mkdtemp(s_folder))
        return -1;
    s_disk = rmt_text("%s/disk", s_folder);
    return 0;
}

static int
s_teardown(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    free(s_disk);
    return rmt_io_remove_tree(s_folder, &error);
}

// ---- Disks

static void
s_blank(void)
{
    rmt_auto_fd fd = open(s_disk, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_not_equal(fd, -1);
    assert_int_equal(ftruncate(fd, (off_t) DISK_SIZE), 0);
}

// From MiB at to the end; kind "ext4" is the one that is carried.
static void
s_put(const char *kind, unsigned at, unsigned mib)
{
    rmt_error_t error = {0};
    rmt_auto_str offset = rmt_text("%llu", (unsigned long long) at * MIB);
    rmt_auto_str size = rmt_text("%llu", (unsigned long long) mib * MIB);
    rmt_auto_str options = rmt_text("offset=%s", offset);
    rmt_auto_str blocks = rmt_text("%uk", mib * 1024);
    rmt_auto_str tool = rmt_text("%s/tests/tools/make_layer", getenv("RAMET_SOURCE"));
    const char *const ext[] = {"mkfs.ext4", "-q",   "-F",   "-E",
                               options,     s_disk, blocks, NULL};
    const char *const layer[] = {tool, kind, s_disk, offset, size, NULL};
    RMT_OK(rmt_process_run(strcmp(kind, "ext4") == 0 ? ext : layer, NULL, NULL, &error));
}

static void
s_partition(const char *script)
{
    rmt_error_t error = {0};
    rmt_auto_str path = rmt_text("%s/script", s_folder);
    rmt_auto_str command = rmt_text(
        "sfdisk -q --no-reread --no-tell-kernel --wipe never %s <%s", s_disk, path);
    RMT_OK(rmt_io_save(path, script, strlen(script), 0600, &error));
    const char *const words[] = {"sh", "-c", command, NULL};
    RMT_OK(rmt_process_run(words, NULL, NULL, &error));
}

typedef struct {
    const rmt_config_t *config;
    rmt_error_t *error;
    char *dropped;
} look_t;

// A layout leaves the namespace of mounts, so it is opened in a thread of its own.
static void *
s_look(void *context)
{
    look_t *self = context;
    rmt_auto(rmt_source_disk) layout =
        rmt_source_disk_new(self->config, "x", NULL, self->error);
    if (!layout)
        return NULL;
    const rmt_record_t *first = rmt_records_count(rmt_source_disk_dropped(layout))
                                    ? rmt_records_at(rmt_source_disk_dropped(layout), 0)
                                    : NULL;
    self->dropped = first ? rmt_text("%s: %s", rmt_record_text(first, "path", ""),
                                     rmt_record_text(first, "reason", ""))
                          : rmt_text("%s", "");
    return NULL;
}

// What is said of the disk: NULL when it is refused (error_out), else what it drops.
static char *
s_image(rmt_error_t *error_out)
{
    rmt_error_t error = {0};
    rmt_auto_str path = rmt_text("%s/agent.cfg", s_folder);
    rmt_auto_str text = rmt_text("brokers = \"b\"\ndisk = \"%s\"\n", s_disk);
    RMT_OK(rmt_io_save(path, text, strlen(text), 0644, &error));
    rmt_auto(rmt_config) config = rmt_config_new(RMT_AGENT_ROWS, path, &error);
    RMT_OK(config);
    look_t look = {.config = config, .error = error_out};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, s_look, &look), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    return look.dropped;
}

static void
s_expect_refused(const char *what, const char *name, const char *where)
{
    rmt_error_t error = {0};
    rmt_auto_str taken = s_image(&error);
    // A member of md in a partition is read, and one disk has never all of them.
    const bool is_member =
        strcmp(name, "linux_raid_member") == 0 && strcmp(where, "partition 1: ") == 0;
    rmt_auto_str words = is_member ? rmt_text("lacks a member, which is missing")
                                   : rmt_text("holds %s, which is not supported", name);
    if (taken)
        fail_msg("%s was taken", what);
    if (error.code != RMT_E_UNSUPPORTED || !strstr(error.text, words) ||
        !strstr(error.text, is_member ? s_disk : where))
        fail_msg("%s: %s", what, error.text);
}

// ---- Cases

static const struct {
    const char *kind, *name;
    bool is_whole; // For whole disks only: a firmware's own
} s_kinds[] = {
    {"luks1", "crypto_LUKS", false},
    {"luks2", "crypto_LUKS", false},
    {"bcache", "bcache", false},
    {"ntfs", "ntfs", false},
    {"verity", "DM_verity_hash", false},
    {"md-0.90", "linux_raid_member", false},
    {"md-1.0", "linux_raid_member", false},
    {"md-1.1", "linux_raid_member", false},
    {"md-1.2", "linux_raid_member", false},
    {"imsm", "isw_raid_member", true},
    {"ddf", "ddf_raid_member", false},
    {"zfs", "zfs_member", false},
    {"bitlocker", "BitLocker", false},
    {"bitlocker-vista", "BitLocker", false},
    {"integrity", "DM_integrity", false},
    {"vdo", "vdo", false},
    {"drbd", "drbd", false},
    {"stratis", "stratis", false},
};

#define KIND_COUNT (sizeof s_kinds / sizeof *s_kinds)
#define GPT "label: gpt\nstart=2048, size=131072\n"
#define DOS "label: dos\nstart=2048, size=131072, type=83\n"

static void
test_m4_each_layer_in_a_partition_is_refused_by_name(void **state)
{
    (void) state;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (s_kinds[i].is_whole)
            continue;
        s_blank();
        s_partition(GPT);
        s_put(s_kinds[i].kind, 1, 64);
        s_expect_refused(s_kinds[i].kind, s_kinds[i].name, "partition 1: ");
    }
}

static void
test_m4_each_layer_on_a_whole_disk_is_refused_by_name(void **state)
{
    (void) state;
    for (size_t i = 0; i < KIND_COUNT; i++) {
        s_blank();
        s_put(s_kinds[i].kind, 0, 67);
        s_expect_refused(s_kinds[i].kind, s_kinds[i].name, s_disk);
    }
}

// A tree or a table that can be read is not what the machine uses when a layer stands
// around it: written alone it would be half a mirror, or yesterday's.
static void
test_m4_layers_are_refused_in_whatever_order_they_stand(void **state)
{
    (void) state;
    static const struct {
        const char *what;
        const char *table;
        struct {
            const char *kind;
            unsigned at, mib;
        } parts[3];
        const char *name, *where;
    } rows[] = {
        {"a file system in a mirror",
         GPT,
         {{"ext4", 1, 64}, {"md-1.0", 1, 64}},
         "linux_raid_member",
         "partition 1: "},
        {"a file system in an old mirror",
         DOS,
         {{"ext4", 1, 64}, {"md-0.90", 1, 64}},
         "linux_raid_member",
         "partition 1: "},
        {"swap in a mirror",
         GPT,
         {{"swap", 1, 64}, {"md-1.0", 1, 64}},
         "linux_raid_member",
         "partition 1: "},
        {"LUKS in a mirror",
         GPT,
         {{"luks2", 1, 64}, {"md-1.0", 1, 64}},
         "linux_raid_member",
         "partition 1: "},
        {"LVM in a mirror",
         DOS,
         {{"lvm", 1, 64}, {"md-1.0", 1, 64}},
         "linux_raid_member",
         "partition 1: "},
        {"a table in a mirror",
         GPT,
         {{"ext4", 1, 64}, {"md-1.0", 0, 67}},
         "linux_raid_member",
         "disk"},
        {"a table in an old mirror",
         DOS,
         {{"ext4", 1, 64}, {"md-0.90", 0, 67}},
         "linux_raid_member",
         "disk"},
        {"a table in a mirror of the firmware",
         DOS,
         {{"ext4", 1, 64}, {"imsm", 0, 67}},
         "isw_raid_member",
         "disk"},
        {"a table in a mirror of a controller",
         DOS,
         {{"ext4", 1, 64}, {"ddf", 0, 67}},
         "ddf_raid_member",
         "disk"},
        {"a table in a replicated disk",
         DOS,
         {{"ext4", 1, 64}, {"drbd", 0, 67}},
         "drbd",
         "disk"},
        {"LUKS in a logical partition",
         "label: dos\nstart=2048, size=4096, type=83\nstart=8192, type=5\n"
         "start=10240, size=122880, type=83\n",
         {{"ext4", 1, 2}, {"luks1", 5, 60}},
         "crypto_LUKS",
         "partition 5: "},
        {"LUKS behind a group that is carried",
         "label: gpt\nstart=2048, size=32768\nstart=34816, size=98304\n",
         {{"lvm", 1, 16}, {"luks2", 17, 48}},
         "crypto_LUKS",
         "partition 2: "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        s_blank();
        s_partition(rows[i].table);
        for (size_t j = 0; rows[i].parts[j].kind; j++)
            s_put(rows[i].parts[j].kind, rows[i].parts[j].at, rows[i].parts[j].mib);
        s_expect_refused(rows[i].what, rows[i].name, rows[i].where);
    }
}

// The same disks without their layers are taken, so that it is these that are refused.
static void
test_m4_a_disk_without_layers_is_taken(void **state)
{
    (void) state;
    static const char *const tables[] = {GPT, DOS};
    static const char *const kinds[] = {"ext4", "swap", "lvm"};
    for (size_t i = 0; i < 6; i++) {
        s_blank();
        s_partition(tables[i / 3]);
        s_put(kinds[i % 3], 1, 64);
        rmt_error_t error = {0};
        rmt_auto_str dropped = s_image(&error);
        RMT_OK(dropped);
        assert_string_equal(dropped, "");
    }
}

// Encryption without a header, databases on raw partitions: nothing tells what it is.
static void
test_m4_data_of_no_known_kind_is_told(void **state)
{
    (void) state;
    s_blank();
    s_partition("label: gpt\nstart=2048, size=32768\nstart=34816, size=32768\n"
                "start=67584, size=2048, type=21686148-6449-6E6F-744E-656564454649\n");
    s_put("ext4", 1, 16);
    rmt_auto_fd fd = open(s_disk, O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "what", 4, (off_t) (17 * MIB + 300000)), 4);
    assert_int_equal(pwrite(fd, "grub", 4, (off_t) (33 * MIB)), 4);
    rmt_error_t error = {0};
    rmt_auto_str dropped = s_image(&error);
    RMT_OK(dropped);
    assert_string_equal(dropped,
                        "partition 2: unknown data: targets get the space alone");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_m4_each_layer_in_a_partition_is_refused_by_name),
        cmocka_unit_test(test_m4_each_layer_on_a_whole_disk_is_refused_by_name),
        cmocka_unit_test(test_m4_layers_are_refused_in_whatever_order_they_stand),
        cmocka_unit_test(test_m4_a_disk_without_layers_is_taken),
        cmocka_unit_test(test_m4_data_of_no_known_kind_is_told),
    };
    return cmocka_run_group_tests(tests, s_setup, s_teardown);
}
