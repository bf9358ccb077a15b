// What a disk cannot be made again with is known before a disk is touched: tables and
// file systems are tried in memory, with the programs that will make them (M33, [5.13]).
#include "tools/rmt_test.h"

#include <stdlib.h>
#include <string.h>
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "disk/rmt_remake.h"
#include "facts/rmt_facts.h"

#define MIB ((uint64_t) 1024 * 1024)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)
#define UUID "0f3b1a2c-0000-4000-8000-0000000000b1"
#define LINUX "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
#define EXT "fs=ext4 block-size=4096 inode-size=256 features="
#define OLD "ext_attr,filetype,extent,sparse_super,large_file"

typedef struct {
    const char *what;
    const char *volume; // Fields of the record
    const char *name;   // Of the partition
    uint64_t bytes;     // Of the disk; its one partition takes all of it
    const char *words;  // Of the refusal; NULL: it can be made
} case_t;

static const case_t s_cases[] = {
    {"ext4", EXT OLD ",has_journal uuid=" UUID, "root", 256 * MIB, NULL},
    {"ext4 of 15 TiB", EXT OLD ",has_journal", "root", 15 * TIB, NULL},
    {"ext4 over 16 TiB, with 64bit", EXT OLD ",64bit", "root", 20 * TIB, NULL},
    {"ext4 over 16 TiB, without 64bit", EXT OLD, "root", 20 * TIB,
     "the ext4 of partition 1 cannot be made again"},
    {"a feature that mke2fs does not know", EXT "quux", "root", 256 * MIB,
     "the ext4 of partition 1 cannot be made again"},
    {"inodes larger than blocks", "fs=ext4 block-size=1024 inode-size=2048 features=" OLD,
     "root", 256 * MIB, "the ext4 of partition 1 cannot be made again"},
    {"a UUID that is none", EXT OLD " uuid=0f3b", "root", 256 * MIB,
     "the ext4 of partition 1 cannot be made again"},
    {"xfs", "fs=xfs block-size=4096 inode-size=512 features=crc,finobt,sparse label=data",
     "root", 400 * MIB, NULL},
    {"xfs that is too small", "fs=xfs block-size=4096 inode-size=512 features=crc",
     "root", 8 * MIB, "the xfs of partition 1 cannot be made again"},
    {"a label of xfs that is too long",
     "fs=xfs block-size=4096 inode-size=512 features=crc label=thirteen-long", "root",
     400 * MIB, "the xfs of partition 1 cannot be made again"},
    {"btrfs", "fs=btrfs node-size=16384 block-size=4096 checksum=crc32c", "root",
     256 * MIB, NULL},
    {"an unknown checksum", "fs=btrfs node-size=16384 block-size=4096 checksum=md5",
     "root", 256 * MIB, "the btrfs of partition 1 cannot be made again"},
    {"FAT", "fs=vfat fat-bits=16 label=ESP", "esp", 64 * MIB, NULL},
    {"a label of FAT outside of ASCII", "fs=vfat fat-bits=16 label=\"\\x9aBER\"", "esp",
     64 * MIB, "the vfat of partition 1 cannot be made again"},
    {"a label of FAT with a forbidden character", "fs=vfat fat-bits=16 label=\"a*b\"",
     "esp", 64 * MIB, "the vfat of partition 1 cannot be made again"},
    {"FAT12 that is too large", "fs=vfat fat-bits=12 label=ESP", "esp", 2 * GIB,
     "the vfat of partition 1 cannot be made again"},
    {"swap", "fs=swap uuid=" UUID " label=swap", "swap", 64 * MIB, NULL},
    {"a name of Europe", "fs=none", "b\\xc3\\xa4r \\xe2\\x82\\xac", 64 * MIB, NULL},
    {"a name above U+FFFF", "fs=none", "disk \\xf0\\x9f\\x98\\x80", 64 * MIB,
     "partition 1 has the name"},
};

// One of the words, with bars between, is in the text.
static bool
s_says(const char *text, const char *words)
{
    rmt_auto_str copy = rmt_text("%s", words);
    char *rest = copy;
    for (char *word = strsep(&rest, "|"); word; word = strsep(&rest, "|"))
        if (strstr(text, word))
            return true;
    return false;
}

static rmt_layout_t *
s_layout(const case_t *one)
{
    rmt_error_t error = {0};
    const uint64_t size = one->bytes / 512 - 2048 - 34;
    rmt_auto_str text =
        rmt_text("class=disk role=system table=gpt logical-sector=512 bytes=%llu "
                 "guid=0F3B1A2C-0000-4000-8000-0000000000AA\n"
                 "class=partition disk=system number=1 start=2048 size=%llu type=" LINUX
                 " guid=0F3B1A2C-0000-4000-8000-0000000000AB name=\"%s\"\n"
                 "class=volume disk=system partition=1 mount=\"/\" %s\n",
                 (unsigned long long) one->bytes, (unsigned long long) size, one->name,
                 one->volume);
    rmt_auto(rmt_records) records = rmt_facts_parse(text, &error);
    rmt_auto(rmt_layout) layout = records ? rmt_layout_read(records, &error) : NULL;
    if (!layout)
        fail_msg("%s: %s", one->what, error.text);
    return rmt_take(&layout);
}

static void
s_try(const case_t *one)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_layout) layout = s_layout(one);
    const int rc = rmt_remake_try(layout, 0, one->bytes, false, &error);
    if (!one->words && rc == -1)
        fail_msg("%s: %s", one->what, error.text);
    if (one->words && (rc == 0 || !s_says(error.text, one->words)))
        fail_msg("%s: %s", one->what, rc == 0 ? "can be made" : error.text);
}

static void
test_what_cannot_be_made_again_is_named(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof s_cases / sizeof *s_cases; i++)
        s_try(&s_cases[i]);
}

// M33: a source whose programs are others than those of its targets (busybox, old ones)
// is imaged; a target with such a program is refused, for it would run this one.
static void
test_a_program_that_lacks_an_option_tries_nothing_at_a_source(void **state)
{
    static const char program[] =
        "#!/bin/sh\necho \"mke2fs: invalid option -- 't'\"\nexit 1\n";
    (void) state;
    rmt_error_t error = {0};
    char folder[] = "/tmp/ramet-remake-XXXXXX";
    assert_non_null(mkdtemp(folder));
    rmt_auto_str before = rmt_text("%s", getenv("PATH"));
    rmt_auto_str path = rmt_text("%s:%s", folder, before);
    rmt_auto_str file = rmt_text("%s/mke2fs", folder);
    RMT_OK(rmt_io_save(file, program, sizeof program - 1, 0755, &error));
    assert_int_equal(setenv("PATH", path, 1), 0);
    rmt_auto(rmt_layout) layout = s_layout(&s_cases[0]);
    const int source = rmt_remake_try(layout, 0, s_cases[0].bytes, true, &error);
    const int target = rmt_remake_try(layout, 0, s_cases[0].bytes, false, &error);
    assert_int_equal(setenv("PATH", before, 1), 0);
    RMT_OK(rmt_io_remove_tree(folder, &error));
    assert_int_equal(source, 0);
    assert_int_equal(target, -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_cannot_be_made_again_is_named),
        cmocka_unit_test(test_a_program_that_lacks_an_option_tries_nothing_at_a_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
