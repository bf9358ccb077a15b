// File systems that are made again as they were, with the real tools (M4). Needs root.
#include "tools/disk_file.h"
#include "tools/test_folder.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/rmt_auto.h"
#include "facts/rmt_facts.h"
#include "disk/rmt_fs.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"

#define MIB ((uint64_t) 1024 * 1024)
// Probe a made original, make it again on another size, compare with dumpe2fs.
static char *
s_ext_facts(const char *path)
{
    const char *const arguments[] = {"dumpe2fs", "-h", path, NULL};
    rmt_auto_str output = disk_file_output(arguments);
    static const char *const kept[] = {
        "Filesystem volume name:",
        "Filesystem UUID:",
        "Filesystem features:",
        "Block size:",
        "Inode size:",
        "Errors behavior:",
        "Flex block group size:",
        "Default mount options:",
        "Mount options:",
        "Maximum mount count:",
        "Check interval:",
        "Reserved blocks uid:",
        "Reserved blocks gid:",
        "RAID stride:",
        "RAID stripe width:",
        "Default directory hash:",
        "Directory Hash Seed:",
    };
    char *facts = rmt_text("%s", "");
    char *rest = output;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
            if (strncmp(line, kept[i], strlen(kept[i])) != 0)
                continue;
            char *longer = rmt_text("%s%s\n", facts, line);
            free(facts);
            facts = longer;
        }
    }
    return facts;
}

static void
test_ext_is_made_again_with_the_features_of_the_image(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    static const char *const options[][2] = {
        {"-text4", "-G8"},
        {"-text4",
         "-Onone,has_journal,extent,filetype,64bit,flex_bg,metadata_csum,dir_index"},
        {"-text4",
         "-Ometadata_csum_seed,orphan_file,^resize_inode,meta_bg,project,quota"},
        {"-text3", "-O^dir_index"},
        {"-text2", "-I128"},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        rmt_auto_str one = disk_file_make(test_folder, "one", 64 * MIB);
        rmt_auto_str two = disk_file_make(test_folder, "two", 96 * MIB);
        const char *const mkfs[] = {"mke2fs",      "-q", "-F",    "-L",
                                    "Root Disk",   "-e", "panic", options[i][0],
                                    options[i][1], one,  NULL};
        RMT_OK(rmt_process_run(mkfs, NULL, NULL, &error));
        rmt_auto(rmt_record) volume = rmt_fs_probe(one, &error);
        RMT_OK(volume);
        assert_string_equal(rmt_record_text(volume, "label", ""), "Root Disk");
        RMT_OK(rmt_fs_make(volume, two, &error));
        rmt_auto_str wanted = s_ext_facts(one);
        rmt_auto_str had = s_ext_facts(two);
        assert_string_equal(wanted, had);
    }
}

// What lies in the superblock alone: presets of mounts, checks, who may use the reserve,
// hints of a RAID, the hash of names.
static void
test_settings_of_a_superblock_are_made_again(void **state)
{
    (void) state;
    static const char *const options[][14] = {
        {"-ojournal_data,nobarrier,^acl", "-c20", "-i30d", "-u1000", "-g1001",
         "-Estride=16,stripe_width=64,hash_alg=tea"},
        {"-ojournal_data_writeback,discard,nodelalloc,debug,bsdgroups", "-i3600s"},
        {"-o^user_xattr,^acl,uid16,block_validity", "-Ehash_alg=legacy"},
        {"-Emount_opts=data=journal", "-c5", "-Estride=128"},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        rmt_error_t error = {0};
        rmt_auto_str one = disk_file_make(test_folder, "one", 64 * MIB);
        rmt_auto_str two = disk_file_make(test_folder, "two", 48 * MIB);
        const char *const mkfs[] = {"mke2fs", "-q", "-F", "-text4", one, NULL};
        RMT_OK(rmt_process_run(mkfs, NULL, NULL, &error));
        const char *tune[18] = {"tune2fs"};
        size_t count = 1;
        for (size_t j = 0; j < 14 && options[i][j]; j++)
            tune[count++] = options[i][j];
        tune[count] = one;
        RMT_OK(rmt_process_run(tune, NULL, NULL, &error));
        rmt_auto(rmt_record) volume = rmt_fs_probe(one, &error);
        RMT_OK(volume);
        RMT_OK(rmt_fs_make(volume, two, &error));
        rmt_auto_str wanted = s_ext_facts(one);
        rmt_auto_str had = s_ext_facts(two);
        assert_string_equal(wanted, had);
        const char *const check[] = {"e2fsck", "-fn", two, NULL};
        RMT_OK(rmt_process_run(check, NULL, NULL, &error));
    }
}

static void
test_other_file_systems_keep_their_names_and_numbers(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    static const struct {
        const char *facts;
        const char *field;
    } rows[] = {
        {"class=volume fs=vfat uuid=1234-ABCD label=ESP fat-bits=32", "fat-bits"},
        {"class=volume fs=vfat uuid=00FF-0001 fat-bits=16", "uuid"},
        {"class=volume fs=swap uuid=0f3b1a2c-0000-4000-8000-000000000001 label=sw",
         "label"},
        {"class=volume fs=xfs uuid=0f3b1a2c-0000-4000-8000-000000000002 label=data "
         "features=crc,finobt,reflink,inobtcount,ftype,sparse block-size=4096 "
         "inode-size=512",
         "features"},
        {"class=volume fs=xfs features=crc,ftype,sparse block-size=4096 inode-size=512 "
         "inode-percent=7 folder-block-size=8192 stripe-unit=65536 stripe-bytes=262144",
         "inode-percent"},
        {"class=volume fs=xfs features=crc,ftype,sparse block-size=4096 inode-size=512 "
         "folder-block-size=16384 names=ci stripe-unit=65536 stripe-bytes=262144",
         "names"},
        {"class=volume fs=xfs features=crc,ftype,sparse block-size=4096 inode-size=512 "
         "stripe-unit=65536 stripe-bytes=131072",
         "stripe-bytes"},
        {"class=volume fs=btrfs uuid=0f3b1a2c-0000-4000-8000-000000000003 label=b "
         "block-size=4096 node-size=16384",
         "node-size"},
        {"class=volume fs=btrfs checksum=xxhash features=extref,skinny-metadata "
         "block-size=4096 node-size=32768",
         "features"},
        {"class=volume fs=btrfs checksum=sha256 block-size=4096 node-size=4096 "
         "features=mixed-bg,extref,skinny-metadata,no-holes,free-space-tree",
         "features"},
        {"class=volume fs=btrfs checksum=blake2 block-size=4096 node-size=16384",
         "checksum"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto_str path = disk_file_make(test_folder, "other", 1024 * MIB);
        rmt_auto(rmt_records) records = disk_file_facts(rows[i].facts);
        const rmt_record_t *volume = rmt_records_at(records, 0);
        RMT_OK(rmt_fs_make(volume, path, &error));
        rmt_auto(rmt_record) made = rmt_fs_probe(path, &error);
        RMT_OK(made);
        assert_string_equal(rmt_record_text(made, rows[i].field, "-"),
                            rmt_record_text(volume, rows[i].field, ""));
        // What was probed makes the same once more.
        RMT_OK(rmt_fs_make(made, path, &error));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ext_is_made_again_with_the_features_of_the_image),
        cmocka_unit_test(test_settings_of_a_superblock_are_made_again),
        cmocka_unit_test(test_other_file_systems_keep_their_names_and_numbers),
    };
    return cmocka_run_group_tests(tests, test_folder_make, test_folder_remove);
}
