// Volume groups of LVM: what is read from the heads of physical volumes, what of it is
// refused and in which words, and that what is written is read as the same.
#include "tools/pv_file.h"
#include "tools/rmt_test.h"

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "disk/rmt_group.h"
#include "disk/rmt_lvm_text.h"
#include "disk/rmt_pv.h"
#include "facts/rmt_facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB ((uint64_t) 1024 * 1024)
#define PV0 "aaaaaa-0000-0000-0000-0000-0000-aaaaaa"
#define PV1 "bbbbbb-1111-1111-1111-1111-1111-bbbbbb"
#define VG "VVVVVV-0000-0000-0000-0000-0000-VVVVVV"
#define LV(letter) letter "00000-0000-0000-0000-0000-0000-000000"

#define PHYSICAL(name, uuid)                                                             \
    name " {\nid = \"" uuid "\"\ndevice = \"/dev/sda2\"\t# Hint only\n"                  \
         "status = [\"ALLOCATABLE\"]\nflags = []\ndev_size = 204800\npe_start = 2048\n"  \
         "pe_count = 24\n}\n"
#define SEGMENT(number, at, count, kind, pv, first)                                      \
    "segment" number " {\nstart_extent = " at "\nextent_count = " count                  \
    "\ntype = \"" kind "\"\nstripe_count = 1\nstripes = [\n\"" pv "\", " first           \
    "\n]\n}\n"
#define LOGICAL(name, letter, more, segments)                                            \
    name " {\nid = \"" LV(letter) "\"\nstatus = [\"READ\", \"WRITE\", \"VISIBLE\"]\n"    \
                                  "flags = []\ncreation_time = 17\ncreation_host = \"a " \
                                  "\\\"host\\\"\"\n" more "segment_count = 1\n" segments \
                                  "}\n"
#define GROUP(name, uuid, sequence, more, physicals, logicals)                           \
    name " {\nid = \"" uuid "\"\nseqno = " sequence "\nformat = \"lvm2\"\n"              \
         "status = [\"RESIZEABLE\", \"READ\", \"WRITE\"]\nflags = []\n"                  \
         "extent_size = 8192\nmax_lv = 0\nmax_pv = 0\nmetadata_copies = 0\n" more        \
         "physical_volumes {\n" physicals "}\nlogical_volumes {\n" logicals "}\n}\n"     \
         "# Behind it\ncontents = \"Text Format Volume Group\"\nversion = 1\n"
#define ROOT LOGICAL("root", "r", "", SEGMENT("1", "0", "5", "striped", "pv0", "3"))
#define PLAIN GROUP("vg0", VG, "4", "", PHYSICAL("pv0", PV0), ROOT)

#define LAYOUT                                                                           \
    "class=disk role=system logical-sector=512 table=gpt grow=yes"                       \
    "\nclass=partition disk=system number=1 start=2048 size=204800 "                     \
    "type=E6D6D379-F507-44C2-A23C-238F2A3DF928"                                          \
    "\nclass=partition disk=system number=2 start=206848 size=204800 "                   \
    "type=E6D6D379-F507-44C2-A23C-238F2A3DF928"

static rmt_layout_t *
s_partitions(void)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_records) records = rmt_facts_parse(LAYOUT, &error);
    rmt_layout_t *layout = rmt_layout_read(records, &error);
    RMT_OK(layout);
    return layout;
}

// The texts of up to two physical volumes, in partitions 1 and 2, as a layout.
static int
s_read(const char *one, const char *two, rmt_layout_t *layout, rmt_error_t *error)
{
    const char *const texts[] = {one, two}, *const uuids[] = {PV0, PV1};
    rmt_auto(rmt_groups) groups = rmt_groups_new();
    for (size_t i = 0; i < 2 && texts[i]; i++) {
        const rmt_group_place_t place = {.partition = i + 1};
        rmt_auto_fd fd = pv_file_new();
        assert_int_equal(pv_file_put(fd, uuids[i], texts[i], error), 0);
        assert_int_equal(rmt_groups_add(groups, &place, fd, error), 0);
    }
    return rmt_groups_finish(groups, layout, error);
}

// ---- Texts

static void
test_a_text_is_a_tree_of_names_and_values(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_lvm_node) top = rmt_lvm_text_parse(PLAIN, &error);
    RMT_OK(top);
    const rmt_lvm_node_t *group = rmt_lvm_node_find(top, "vg0");
    const rmt_lvm_node_t *root =
        rmt_lvm_node_find(rmt_lvm_node_find(group, "logical_volumes"), "root");
    assert_string_equal(rmt_lvm_node_text(group, "id"), VG);
    assert_int_equal(rmt_lvm_node_number(group, "extent_size", 0), 8192);
    assert_string_equal(rmt_lvm_node_text(root, "creation_host"), "a \"host\"");
    assert_int_equal(rmt_lvm_node_find(root, "status")->value_count, 3);
    assert_int_equal(rmt_lvm_node_number(root, "status", 7), 7);
    assert_string_equal(rmt_lvm_node_text(NULL, "id"), "");
}

static void
test_a_text_that_is_none_is_refused(void **state)
{
    (void) state;
    static const char *const texts[] = {
        "vg {",    "vg }",
        "vg",      "vg =",
        "= 1",     "a = [1 2]",
        "a = [1,", "a = \"b",
        "a = {}",  "a { a { a { a { a { a { a { a { a { a { } } } } } } } } } }",
        "{ }",     "a = [,]"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_lvm_node) top = rmt_lvm_text_parse(texts[i], &error);
        if (top || error.code != RMT_E_CORRUPT)
            fail_msg("'%s' was taken", texts[i]);
    }
}

// ---- Heads

static void
test_a_head_is_read_as_it_was_written(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto_fd fd = pv_file_new();
    rmt_pv_t pv;
    RMT_FAILS(rmt_pv_read(fd, 0, &pv, &error), RMT_E_NOT_FOUND);
    RMT_OK(pv_file_put(fd, PV0, PLAIN, &error));
    RMT_OK(rmt_pv_read(fd, 0, &pv, &error));
    assert_string_equal(pv.uuid, PV0);
    assert_string_equal(pv.text, PLAIN);
    assert_int_equal(pv.bytes, 100 * MIB);
    rmt_pv_clear(&pv);
}

// Label, its fields, the head of the area and the text have sums.
static void
test_a_damaged_head_is_refused(void **state)
{
    (void) state;
    static const off_t places[] = {512 + 40, 512 + 72,  1000,
                                   4096 + 8, 4096 + 48, 4096 + 512 + 100};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        rmt_error_t error = {0};
        rmt_auto_fd fd = pv_file_new();
        char byte;
        rmt_pv_t pv;
        RMT_OK(pv_file_put(fd, PV0, PLAIN, &error));
        assert_int_equal(pread(fd, &byte, 1, places[i]), 1);
        byte ^= 4;
        assert_int_equal(pwrite(fd, &byte, 1, places[i]), 1);
        RMT_FAILS(rmt_pv_read(fd, 0, &pv, &error), RMT_E_CORRUPT);
    }
}

static void
test_a_text_has_space_for_its_successor(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto_fd fd = pv_file_new();
    rmt_auto_str text = calloc(1, MIB);
    memset(text, 'x', MIB / 2);
    RMT_FAILS(pv_file_put(fd, PV0, text, &error), RMT_E_TOO_BIG);
}

// ---- Groups

static void
test_linear_volumes_are_read(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_layout) layout = s_partitions();
    RMT_OK(s_read(GROUP("vg-0", VG, "4", "", PHYSICAL("pv0", PV0),
                        ROOT LOGICAL("home", "h", "",
                                     SEGMENT("1", "0", "2", "striped", "pv0", "10")
                                         SEGMENT("2", "2", "4", "striped", "pv0", "12"))
                            LOGICAL("var", "v", "",
                                    SEGMENT("1", "0", "1", "striped", "pv0", "20")
                                        SEGMENT("2", "1", "1", "striped", "pv0", "0"))),
                  NULL, layout, &error));
    RMT_OK(rmt_layout_check(layout, &error));
    assert_int_equal(layout->groups[0].extent_size, 4 * MIB);
    assert_int_equal(layout->physicals[0].data_start, MIB);
    assert_int_equal(layout->physicals[0].extents, 24);
    assert_int_equal(layout->pieces[0].first, 3);
    assert_int_equal(layout->logicals[1].extents, 6);
    // The second is one piece of two segments, the third lies in two pieces.
    assert_int_equal(layout->piece_count, 4);
    assert_int_equal(layout->pieces[1].logical, 1);
    assert_int_equal(layout->pieces[1].extents, 6);
    assert_int_equal(layout->pieces[2].first, 20);
    assert_int_equal(layout->pieces[3].logical, 2);
    assert_int_equal(layout->pieces[3].first, 0);
    assert_ptr_equal(rmt_layout_find_logical(layout, "vg-0/var"), &layout->logicals[2]);
}

#define STRIPES(number, at, count, chunk, stripes)                                       \
    "segment" number " {\nstart_extent = " at "\nextent_count = " count                  \
    "\ntype = \"striped\"\nstripe_count = 2\nstripe_size = " chunk                       \
    "\nstripes = [\n" stripes "\n]\n}\n"
#define TWO PHYSICAL("pv0", PV0) PHYSICAL("pv1", PV1)
// Stripes, behind them a range on each physical volume, of which the first is told in two
// segments, and stripes of another size.
#define SPREAD                                                                           \
    LOGICAL("data", "d", "",                                                             \
            STRIPES("1", "0", "6", "128", "\"pv1\", 2, \"pv0\", 8")                      \
                SEGMENT("2", "6", "1", "striped", "pv0", "12")                           \
                    SEGMENT("3", "7", "2", "striped", "pv0", "13")                       \
                        SEGMENT("4", "9", "4", "striped", "pv1", "7")                    \
                            STRIPES("5", "13", "2", "8192", "\"pv0\", 20, \"pv1\", 0"))

typedef struct {
    uint64_t partition, segment, extents, chunk, first;
} piece_t;

static void
s_expect_pieces(const rmt_layout_t *layout, size_t logical, const piece_t *pieces,
                size_t count)
{
    size_t found = 0;
    for (size_t i = 0; i < layout->piece_count; i++) {
        const rmt_layout_piece_t *own = &layout->pieces[i];
        if (own->logical != logical)
            continue;
        assert_true(found < count);
        assert_int_equal(own->partition, pieces[found].partition);
        assert_int_equal(own->segment, pieces[found].segment);
        assert_int_equal(own->extents, pieces[found].extents);
        assert_int_equal(own->chunk, pieces[found].chunk);
        assert_int_equal(own->first, pieces[found].first);
        found++;
    }
    assert_int_equal(found, count);
}

static void
test_m32_stripes_and_several_physical_volumes_are_read(void **state)
{
    (void) state;
    static const piece_t wanted[] = {{2, 1, 3, 65536, 2},    {1, 1, 3, 65536, 8},
                                     {1, 2, 3, 0, 12},       {2, 3, 4, 0, 7},
                                     {1, 4, 1, 4 * MIB, 20}, {2, 4, 1, 4 * MIB, 0}};
    rmt_error_t error = {0};
    rmt_auto(rmt_layout) layout = s_partitions();
    RMT_OK(s_read(GROUP("vg0", VG, "4", "", TWO, ROOT SPREAD),
                  GROUP("vg0", VG, "3", "", TWO, ""), layout, &error));
    RMT_OK(rmt_layout_check(layout, &error));
    assert_false(rmt_layout_is_spread(layout, &layout->logicals[0]));
    assert_true(rmt_layout_is_spread(layout, &layout->logicals[1]));
    assert_int_equal(layout->logicals[1].extents, 15);
    assert_int_equal(layout->logicals[1].partition, 2);
    s_expect_pieces(layout, 1, wanted, sizeof wanted / sizeof *wanted);
}

// On a target each piece lies behind what is listed before it on its physical volume.
static void
test_m32_stripes_are_printed_as_they_were_read(void **state)
{
    (void) state;
    static const piece_t wanted[] = {{2, 1, 3, 65536, 0},    {1, 1, 3, 65536, 5},
                                     {1, 2, 3, 0, 8},        {2, 3, 4, 0, 3},
                                     {1, 4, 1, 4 * MIB, 11}, {2, 4, 1, 4 * MIB, 7}};
    static const uint64_t bytes[] = {100 * MIB, 100 * MIB};
    rmt_error_t error = {0};
    rmt_auto(rmt_layout) layout = s_partitions();
    RMT_OK(s_read(GROUP("vg0", VG, "4", "", TWO, ROOT SPREAD),
                  GROUP("vg0", VG, "3", "", TWO, ""), layout, &error));
    assert_int_equal(rmt_layout_physical_min_bytes(layout, &layout->physicals[0]),
                     49 * MIB);
    assert_int_equal(rmt_layout_physical_min_bytes(layout, &layout->physicals[1]),
                     33 * MIB);
    // As an image carries it.
    rmt_auto(rmt_records) records = rmt_records_new();
    rmt_layout_write(layout, records);
    rmt_auto(rmt_layout) carried = rmt_layout_read(records, &error);
    RMT_OK(carried);
    rmt_auto_str text = rmt_group_print(carried, 0, bytes);
    rmt_auto(rmt_layout) again = s_partitions();
    RMT_OK(s_read(text, text, again, &error));
    RMT_OK(rmt_layout_check(again, &error));
    assert_int_equal(again->logicals[1].extents, 15);
    s_expect_pieces(again, 1, wanted, sizeof wanted / sizeof *wanted);
}

// Every 64 KiB of the physical volumes begin with where they are.
static int
s_marked(uint64_t number)
{
    rmt_error_t error = {0};
    const int fd = pv_file_new();
    for (uint64_t at = 0; at < 100 * MIB; at += 65536) {
        const uint64_t mark[] = {number, at};
        assert_int_equal(rmt_io_pwrite(fd, mark, sizeof mark, (off_t) at, &error), 0);
    }
    return fd;
}

static void
test_m32_the_bytes_of_stripes_are_found(void **state)
{
    (void) state;
    static const struct {
        uint64_t at, partition, offset;
    } rows[] = {{0, 2, 9 * MIB},
                {65536, 1, 33 * MIB},
                {2 * 65536, 2, 9 * MIB + 65536},
                {5 * MIB + 65536, 1, 33 * MIB + 40 * 65536},
                {24 * MIB, 1, 49 * MIB},
                {35 * MIB, 1, 60 * MIB},
                {36 * MIB, 2, 29 * MIB},
                {52 * MIB, 1, 81 * MIB},
                {56 * MIB, 2, MIB},
                {60 * MIB - 65536, 2, 5 * MIB - 65536}};
    rmt_error_t error = {0};
    rmt_auto(rmt_layout) layout = s_partitions();
    RMT_OK(s_read(GROUP("vg0", VG, "4", "", TWO, ROOT SPREAD),
                  GROUP("vg0", VG, "3", "", TWO, ""), layout, &error));
    const int fds[] = {s_marked(1), s_marked(2)};
    rmt_mapping_member_t places[16];
    for (size_t i = 0; i < layout->piece_count; i++)
        places[i] = (rmt_mapping_member_t){fds[layout->pieces[i].partition - 1],
                                           (1 + 4 * layout->pieces[i].first) * MIB};
    rmt_auto(rmt_mapping) mapping = rmt_group_map(layout, 1, places);
    assert_int_equal(rmt_mapping_size(mapping), 60 * MIB);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t mark[2];
        assert_int_equal(rmt_mapping_read(mapping, mark, sizeof mark, rows[i].at), 0);
        if (mark[0] != rows[i].partition || mark[1] != rows[i].offset)
            fail_msg("byte %zu of the volume is on partition %zu at %zu",
                     (size_t) rows[i].at, (size_t) mark[0], (size_t) mark[1]);
    }
    close(fds[0]);
    close(fds[1]);
}

// Of two physical volumes one may have missed the last changes.
static void
test_the_last_change_counts(void **state)
{
    (void) state;
    static const char older[] =
        GROUP("vg0", VG, "8", "", PHYSICAL("pv0", PV0) PHYSICAL("pv1", PV1), "");
    static const char newer[] =
        GROUP("vg0", VG, "10", "", PHYSICAL("pv0", PV0) PHYSICAL("pv1", PV1), ROOT);
    for (unsigned i = 0; i < 2; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_layout) layout = s_partitions();
        RMT_OK(s_read(i ? older : newer, i ? newer : older, layout, &error));
        assert_int_equal(layout->group_count, 1);
        assert_int_equal(layout->physical_count, 2);
        assert_int_equal(layout->logical_count, 1);
    }
}

static char *
s_repeat(const char *text, size_t count)
{
    char *all = rmt_text("%s", "");
    for (size_t i = 0; i < count; i++) {
        char *longer = rmt_text("%s%s", all, text);
        free(all);
        all = longer;
    }
    return all;
}

#define KIND(kind)                                                                       \
    GROUP("vg0", VG, "4", "", PHYSICAL("pv0", PV0),                                      \
          LOGICAL("data", "d", "", SEGMENT("1", "0", "5", kind, "pv0", "3")))
#define WITH(more)                                                                       \
    GROUP("vg0", VG, "4", "", PHYSICAL("pv0", PV0),                                      \
          LOGICAL("data", "d", more, SEGMENT("1", "0", "5", "striped", "pv0", "3")))

// What is not carried is refused by its group, its name, what it is, and what to do.
static void
test_m32_other_kinds_are_refused_by_name(void **state)
{
    (void) state;
    static const struct {
        const char *one, *two, *words[3];
    } rows[] = {
        {KIND("thin-pool"), NULL, {"vg0: logical volume data", "thin pool", "lvcreate"}},
        {KIND("thin"), NULL, {"logical volume data", "a thin volume", "lvcreate"}},
        {KIND("mirror"), NULL, {"logical volume data", "old kind", "--type raid1"}},
        {KIND("raid0"), NULL, {"logical volume data", "a RAID", "linear"}},
        {KIND("raid6_nr"), NULL, {"logical volume data", "a RAID", "linear"}},
        {KIND("snapshot"), NULL, {"logical volume data", "a snapshot", "lvremove"}},
        {KIND("cache-pool"), NULL, {"logical volume data", "a cache", "--uncache"}},
        {KIND("vdo"), NULL, {"logical volume data", "VDO", "linear"}},
        {KIND("zero"), NULL, {"logical volume data", "kind 'zero'", "linear"}},
        {GROUP("vg0", VG, "4", "", PHYSICAL("pv0", PV0) PHYSICAL("pv1", PV1), ROOT),
         NULL,
         {"physical volume " PV1, "missing on the imaged disks", "vgreduce"}},
        {PLAIN,
         GROUP("vg0",
               "W"
               "VVVVV-0000-0000-0000-0000-0000-VVVVVV",
               "4", "", PHYSICAL("pv1", PV1), ""),
         {"vg0", "two groups", "vgrename"}},
        {PLAIN,
         "contents = \"nothing\"\n",
         {"partition 2", "no volume group", "pvremove"}},
        {GROUP("vg0", VG, "4", "system_id = \"db1\"\n", PHYSICAL("pv0", PV0), ROOT),
         NULL,
         {"the group", "system_id 'db1'", "vgchange"}},
        {GROUP("vg0", VG, "4", "tags = [\"x\"]\n", PHYSICAL("pv0", PV0), ROOT),
         NULL,
         {"the group", "tags 'x'", "vgchange"}},
        {WITH("allocation_policy = \"cling\"\n"),
         NULL,
         {"logical volume data", "allocation_policy 'cling'", "lvchange"}},
        {WITH("flags = [\"ACTIVATION_SKIP\"]\n"),
         NULL,
         {"logical volume data", "flags 'ACTIVATION_SKIP'", "lvchange"}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_layout) layout = s_partitions();
        RMT_FAILS(s_read(rows[i].one, rows[i].two, layout, &error), RMT_E_UNSUPPORTED);
        for (size_t j = 0; j < 3; j++)
            if (!strstr(error.text, rows[i].words[j]))
                fail_msg("'%s' lacks '%s'", error.text, rows[i].words[j]);
    }
}

// The text comes from the disk: what it says of places and numbers is never believed.
static void
test_what_lies_outside_or_is_too_much_is_refused(void **state)
{
    (void) state;
    static const struct {
        const char *physical, *logical; // So many times
        size_t physicals, logicals;
        rmt_code_t code;
        const char *words;
    } rows[] = {
        {PHYSICAL("pv0", PV0),
         LOGICAL("a", "a", "", SEGMENT("1", "0", "5", "striped", "pv0", "20")), 1, 1,
         RMT_E_CORRUPT, "behind the end"},
        {PHYSICAL("pv0", PV0),
         LOGICAL("a", "a", "", SEGMENT("1", "0", "1", "striped", "pv0", "99")), 1, 1,
         RMT_E_CORRUPT, "behind the end"},
        {PHYSICAL("pv0", PV0),
         LOGICAL("a", "a", "", STRIPES("1", "0", "5", "128", "\"pv0\", 0, \"pv0\", 9")),
         1, 1, RMT_E_CORRUPT, "without its place"},
        {PHYSICAL("pv0", PV0),
         LOGICAL("a", "a", "", STRIPES("1", "0", "4", "128", "\"pv0\", 0, \"pv0\"")), 1,
         1, RMT_E_CORRUPT, "without its place"},
        {PHYSICAL("pv0", PV0),
         LOGICAL("a", "a", "", STRIPES("1", "0", "4", "0", "\"pv0\", 0, \"pv0\", 9")), 1,
         1, RMT_E_CORRUPT, "without a size"},
        {PHYSICAL("pv0", PV0),
         LOGICAL("a", "a", "", STRIPES("1", "0", "4", "128", "\"pv0\", 0, \"pv0\", 23")),
         1, 1, RMT_E_CORRUPT, "behind the end"},
        {PHYSICAL("pv0", PV0),
         LOGICAL("a", "a", "", STRIPES("1", "0", "4", "128", "\"pv0\", 0, \"pv7\", 9")),
         1, 1, RMT_E_CORRUPT, "not there"},
        {PHYSICAL("pv0", PV0),
         LOGICAL("a", "a", "",
                 SEGMENT("1", "0", "1", "striped", "pv0", "3")
                     SEGMENT("2", "2", "1", "striped", "pv0", "9")),
         1, 1, RMT_E_CORRUPT, "without its place"},
        {PHYSICAL("pv0", PV0), ROOT, 1, RMT_LAYOUT_LOGICALS_MAX + 1, RMT_E_TOO_BIG,
         "more than 100 logical volumes"},
        {PHYSICAL("pv0", PV0), "", RMT_LAYOUT_PHYSICALS_MAX + 1, 0, RMT_E_TOO_BIG,
         "more than 64 physical volumes"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_layout) layout = s_partitions();
        rmt_auto_str physicals = s_repeat(rows[i].physical, rows[i].physicals);
        rmt_auto_str logicals = s_repeat(rows[i].logical, rows[i].logicals);
        rmt_auto_str text =
            rmt_text(GROUP("vg0", VG, "4", "", "%s", "%s"), physicals, logicals);
        RMT_FAILS(s_read(text, NULL, layout, &error), rows[i].code);
        if (!strstr(error.text, rows[i].words))
            fail_msg("'%s' lacks '%s'", error.text, rows[i].words);
    }
}

static void
test_a_status_that_is_not_plain_is_refused(void **state)
{
    (void) state;
    static const char *const words[] = {"\"EXPORTED\"", "\"PVMOVE\"", "\"LOCKED\""};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_layout) layout = s_partitions();
        rmt_auto_str text = rmt_text("%s", PLAIN);
        rmt_auto_str changed = NULL;
        char *at = strstr(text, "\"RESIZEABLE\"");
        changed = rmt_text("%.*s%s%s", (int) (at - text), text, words[i],
                           at + strlen("\"RESIZEABLE\""));
        RMT_FAILS(s_read(changed, NULL, layout, &error), RMT_E_UNSUPPORTED);
    }
}

// ---- On a target

#define GROUPS                                                                           \
    "\nclass=group name=vg0 uuid=" VG " extent-size=4194304"                             \
    "\nclass=physical disk=system group=vg0 partition=2 uuid=" PV0                       \
    " data-start=1048576 extents=24"                                                     \
    "\nclass=logical disk=system group=vg0 name=swap uuid=" LV(                          \
        "s") " partition=2 extents=2"                                                    \
             "\nclass=logical disk=system group=vg0 name=root uuid=" LV(                 \
                 "r") " partition=2 extents=10 min-extents=4 grow=yes"                   \
                      "\nclass=logical disk=system group=vg0 name=home uuid=" LV(        \
                          "h") " partition=2 extents=8\n"

// [3.25] Each lies behind the one before it; the one that may grow gets what is more, and
// what is less is first taken from what is free (4 extents here).
static void
test_volumes_are_placed_for_the_size_of_the_target(void **state)
{
    (void) state;
    static const struct {
        uint64_t bytes, root, home_first;
    } rows[] = {{100 * MIB, 10, 12}, {120 * MIB, 15, 17}, {90 * MIB, 10, 12},
                {81 * MIB, 10, 12},  {77 * MIB, 9, 11},   {57 * MIB, 4, 6}};
    rmt_error_t error = {0};
    rmt_auto(rmt_records) records = rmt_facts_parse(LAYOUT GROUPS, &error);
    rmt_auto(rmt_layout) layout = rmt_layout_read(records, &error);
    RMT_OK(layout);
    assert_int_equal(rmt_layout_physical_min_bytes(layout, &layout->physicals[0]),
                     57 * MIB);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t first = 99;
        assert_int_equal(
            rmt_layout_place(layout, &layout->logicals[1], rows[i].bytes, &first),
            rows[i].root);
        assert_int_equal(first, 2);
        assert_int_equal(
            rmt_layout_place(layout, &layout->logicals[2], rows[i].bytes, &first), 8);
        assert_int_equal(first, rows[i].home_first);
    }
}

static void
test_what_is_printed_is_read_as_the_same(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_records) records = rmt_facts_parse(LAYOUT GROUPS, &error);
    rmt_auto(rmt_layout) layout = rmt_layout_read(records, &error);
    RMT_OK(layout);
    const uint64_t bytes[] = {120 * MIB};
    rmt_auto_str text = rmt_group_print(layout, 0, bytes);
    rmt_auto(rmt_layout) again = s_partitions();
    RMT_OK(s_read(text, NULL, again, &error));
    assert_string_equal(again->groups[0].uuid, VG);
    assert_int_equal(again->physicals[0].extents, 29);
    assert_string_equal(again->logicals[1].name, "root");
    assert_string_equal(again->logicals[1].uuid, LV("r"));
    assert_int_equal(again->pieces[1].first, 2);
    assert_int_equal(again->logicals[1].extents, 15);
    assert_int_equal(again->pieces[2].first, 17);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_text_is_a_tree_of_names_and_values),
        cmocka_unit_test(test_a_text_that_is_none_is_refused),
        cmocka_unit_test(test_a_head_is_read_as_it_was_written),
        cmocka_unit_test(test_a_damaged_head_is_refused),
        cmocka_unit_test(test_a_text_has_space_for_its_successor),
        cmocka_unit_test(test_linear_volumes_are_read),
        cmocka_unit_test(test_m32_stripes_and_several_physical_volumes_are_read),
        cmocka_unit_test(test_m32_stripes_are_printed_as_they_were_read),
        cmocka_unit_test(test_m32_the_bytes_of_stripes_are_found),
        cmocka_unit_test(test_the_last_change_counts),
        cmocka_unit_test(test_m32_other_kinds_are_refused_by_name),
        cmocka_unit_test(test_what_lies_outside_or_is_too_much_is_refused),
        cmocka_unit_test(test_a_status_that_is_not_plain_is_refused),
        cmocka_unit_test(test_volumes_are_placed_for_the_size_of_the_target),
        cmocka_unit_test(test_what_is_printed_is_read_as_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
