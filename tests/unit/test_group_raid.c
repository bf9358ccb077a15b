// RAID of LVM: legs are read, carried and printed with the volumes about them; what they
// say of themselves is believed or refused by name.
#include "tools/pv_file.h"
#include "tools/rmt_test.h"

#include "base/rmt_auto.h"
#include "base/rmt_bytes.h"
#include "base/rmt_io.h"
#include "disk/rmt_group.h"
#include "facts/rmt_facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB ((uint64_t) 1024 * 1024)
#define EXTENT (4 * MIB)
#define LEGS 3
#define VG "VVVVVV-0000-0000-0000-0000-0000-VVVVVV"

#define LAYOUT                                                                           \
    "class=disk role=system logical-sector=512 table=gpt"                                \
    "\nclass=partition disk=system number=1 start=2048 size=204800 type=" TYPE           \
    "\nclass=partition disk=system number=2 start=206848 size=204800 type=" TYPE         \
    "\nclass=partition disk=system number=3 start=411648 size=204800 type=" TYPE
#define TYPE "E6D6D379-F507-44C2-A23C-238F2A3DF928"

// A group over three partitions with one RAID; of each leg the data about it lie in
// extent 3, and the leg in 5 to 8.
typedef struct {
    const char *kind, *more; // More of its segment
    unsigned legs, extents;  // Of the volume
    const char *status;      // More of the first leg's, with a comma
    const char *part;        // More behind the first leg's segment
} raid_t;

static void
s_print_part(FILE *out, const char *name, char kind, unsigned leg, unsigned first,
             unsigned extents, const raid_t *raid)
{
    fprintf(out,
            "data_%s_%u {\nid = \"%c%u0000-0000-0000-0000-0000-0000-000000\"\n"
            "status = [%s\"READ\", \"WRITE\"]\nflags = []\nsegment_count = 1\n"
            "segment1 {\nstart_extent = 0\nextent_count = %u\ntype = \"striped\"\n"
            "stripe_count = 1\nstripes = [\n\"pv%u\", %u\n]\n}\n%s}\n",
            name, leg, kind, leg, leg || !raid->status ? "" : raid->status, extents, leg,
            first, leg || !raid->part ? "" : raid->part);
}

static char *
s_text(const raid_t *raid)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    fputs("vg0 {\nid = \"" VG "\"\nseqno = 4\nformat = \"lvm2\"\nextent_size = 8192\n"
          "status = [\"RESIZEABLE\", \"READ\", \"WRITE\"]\nflags = []\nmax_lv = 0\n"
          "max_pv = 0\nmetadata_copies = 0\nphysical_volumes {\n",
          out);
    for (unsigned i = 0; i < LEGS; i++)
        fprintf(out,
                "pv%u {\nid = \"p%u0000-0000-0000-0000-0000-0000-000000\"\n"
                "status = [\"ALLOCATABLE\"]\nflags = []\ndev_size = 204800\n"
                "pe_start = 2048\npe_count = 24\n}\n",
                i, i);
    fprintf(
        out,
        "}\nlogical_volumes {\ndata {\nid = \"d00000-0000-0000-0000-0000-0000-000000\"\n"
        "status = [\"READ\", \"WRITE\", \"VISIBLE\"]\nflags = []\nsegment_count = 1\n"
        "segment1 {\nstart_extent = 0\nextent_count = %u\ntype = \"%s\"\n"
        "device_count = %u\nregion_size = 4096\n%sraids = [\n",
        raid->extents, raid->kind, raid->legs, raid->more);
    for (unsigned i = 0; i < raid->legs; i++)
        fprintf(out, "%s\"data_rmeta_%u\", \"data_rimage_%u\"", i ? ",\n" : "", i, i);
    fputs("\n]\n}\n}\n", out);
    for (unsigned i = 0; i < raid->legs && i < LEGS; i++) {
        s_print_part(out, "rimage", 'i', i, 5, 4, raid);
        s_print_part(out, "rmeta", 'm', i, 3, 1, &(raid_t){.status = NULL});
    }
    fputs("}\n}\n", out);
    fclose(out);
    return text;
}

static int
s_read(const char *text, rmt_layout_t **layout_out, rmt_error_t *error)
{
    rmt_auto(rmt_records) records = rmt_facts_parse(LAYOUT, error);
    rmt_auto(rmt_layout) layout = rmt_layout_read(records, error);
    rmt_auto(rmt_groups) groups = rmt_groups_new();
    assert_non_null(layout);
    for (unsigned i = 0; i < LEGS; i++) {
        rmt_auto_fd fd = pv_file_new();
        char uuid[64];
        snprintf(uuid, sizeof uuid, "p%u0000-0000-0000-0000-0000-0000-000000", i);
        assert_int_equal(pv_file_put(fd, uuid, text, error), 0);
        const rmt_group_place_t place = {.partition = i + 1};
        assert_int_equal(rmt_groups_add(groups, &place, fd, error), 0);
    }
    if (rmt_groups_finish(groups, layout, error) == -1)
        return -1;
    *layout_out = rmt_take(&layout);
    return 0;
}

static rmt_layout_t *
s_layout(const raid_t *raid)
{
    rmt_error_t error = {0};
    rmt_layout_t *layout = NULL;
    rmt_auto_str text = s_text(raid);
    RMT_OK(s_read(text, &layout, &error));
    RMT_OK(rmt_layout_check(layout, &error));
    return layout;
}

#define CHUNK "stripe_size = 128\n"
// What a thin pool left behind, up to its end.
#define SPARE                                                                            \
    "lvol0_pmspare {\nid = \"s00000-0000-0000-0000-0000-0000-000000\"\n"                 \
    "status = [\"READ\", \"WRITE\"]\nflags = []\nsegment_count = 1\nsegment1 {\n"        \
    "start_extent = 0\nextent_count = 1\ntype = \"striped\"\nstripe_count = 1\n"         \
    "stripes = [\n\"pv2\", 9\n]\n}\n"
static const raid_t s_mirror = {"raid1", "", 2, 4, NULL, NULL};

// ---- What is read, carried and printed

static void
s_expect_legs(const rmt_layout_t *layout, const raid_t *raid, uint64_t first)
{
    char uuid[64];
    assert_int_equal(layout->logical_count, 1);
    assert_string_equal(layout->logicals[0].raid, raid->kind);
    assert_int_equal(layout->logicals[0].region, 2 * MIB);
    assert_int_equal(layout->logicals[0].extents, raid->extents);
    assert_true(rmt_layout_is_spread(layout, &layout->logicals[0]));
    assert_int_equal(layout->piece_count, raid->legs);
    for (unsigned i = 0; i < raid->legs; i++) {
        const rmt_layout_piece_t *leg = &layout->pieces[i];
        assert_int_equal(leg->partition, i + 1);
        assert_int_equal(leg->extents, 4);
        assert_int_equal(leg->chunk, *raid->more ? 65536 : 0);
        assert_int_equal(leg->meta_extents, 1);
        snprintf(uuid, sizeof uuid, "i%u0000-0000-0000-0000-0000-0000-000000", i);
        assert_string_equal(leg->uuid, uuid);
        snprintf(uuid, sizeof uuid, "m%u0000-0000-0000-0000-0000-0000-000000", i);
        assert_string_equal(leg->meta_uuid, uuid);
        assert_int_equal(leg->first, first ? first : 5);
        assert_int_equal(leg->meta_first, first ? first - 1 : 3);
    }
}

static void
test_m32_raid_is_read_carried_and_printed(void **state)
{
    (void) state;
    static const raid_t rows[] = {
        {"raid1", "", 2, 4, NULL, NULL},    {"raid1", "", 3, 4, NULL, NULL},
        {"raid5", CHUNK, 3, 8, NULL, NULL}, {"raid5_ra", CHUNK, 3, 8, NULL, NULL},
        {"raid4", CHUNK, 3, 8, NULL, NULL}, {"raid10", CHUNK, 2, 4, NULL, NULL}};
    static const uint64_t bytes[] = {100 * MIB, 100 * MIB, 100 * MIB};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_auto(rmt_layout) layout = s_layout(&rows[i]);
        s_expect_legs(layout, &rows[i], 0);
        assert_int_equal(rmt_layout_physical_min_bytes(layout, &layout->physicals[1]),
                         MIB + 5 * EXTENT);
        rmt_auto(rmt_records) records = rmt_records_new();
        rmt_layout_write(layout, records);
        rmt_auto(rmt_layout) carried = rmt_layout_read(records, &error);
        RMT_OK(carried);
        rmt_auto_str printed = rmt_group_print(carried, 0, bytes);
        rmt_layout_t *made = NULL;
        RMT_OK(s_read(printed, &made, &error));
        s_expect_legs(made, &rows[i], 1);
        rmt_layout_destroy(&made);
    }
}

static void
test_m32_raid_that_cannot_be_carried_is_refused(void **state)
{
    (void) state;
    static const struct {
        raid_t raid;
        rmt_code_t code;
        const char *words;
    } rows[] = {
        {{"raid5", CHUNK, 3, 4, NULL, NULL}, RMT_E_CORRUPT, "legs that do not fit"},
        {{"raid5", CHUNK, 2, 4, NULL, NULL}, RMT_E_CORRUPT, "legs that do not fit"},
        {{"raid10", CHUNK, 3, 6, NULL, NULL}, RMT_E_CORRUPT, "legs that do not fit"},
        {{"raid1", "", 1, 4, NULL, NULL}, RMT_E_CORRUPT, "legs that do not fit"},
        {{"raid1", "", 0, 4, NULL, NULL}, RMT_E_CORRUPT, "legs that do not fit"},
        {{"raid1", "", 4, 4, NULL, NULL}, RMT_E_CORRUPT, "a leg that is not there"},
        {{"raid6", CHUNK, 3, 4, NULL, NULL}, RMT_E_CORRUPT, "legs that do not fit"},
        {{"raid6_nc", CHUNK, 3, 4, NULL, NULL}, RMT_E_UNSUPPORTED, "data is a RAID"},
        {{"raid1", "writebehind = 7\n", 2, 4, NULL, NULL},
         RMT_E_UNSUPPORTED,
         "data has writebehind"},
        {{"raid1", "", 2, 4, "\"LV_REBUILD\", ", NULL},
         RMT_E_UNSUPPORTED,
         "data_rimage_0 is LV_REBUILD"},
        {{"raid1", "", 2, 4, "\"VISIBLE\", ", NULL},
         RMT_E_CORRUPT,
         "a leg that is not there"},
        {{"raid1", "", 2, 4, NULL, "tags = [\"x\"]\n"},
         RMT_E_UNSUPPORTED,
         "data_rimage_0 has tags"},
        {{"raid1", "", 2, 4, NULL, "}\n" SPARE},
         RMT_E_UNSUPPORTED,
         "lvol0_pmspare is hidden, and part of nothing that is carried"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        rmt_layout_t *layout = NULL;
        rmt_auto_str text = s_text(&rows[i].raid);
        RMT_FAILS(s_read(text, &layout, &error), rows[i].code);
        if (!strstr(error.text, rows[i].words))
            fail_msg("'%s' lacks '%s'", error.text, rows[i].words);
    }
}

// ---- What legs say of themselves

typedef struct {
    uint32_t place;
    uint64_t events, failed, rebuilt;
    bool is_new;
} said_t;

static int
s_check(const said_t said[2], rmt_error_t *error)
{
    rmt_auto(rmt_layout) layout = s_layout(&s_mirror);
    rmt_mapping_member_t metas[2];
    for (size_t i = 0; i < 2; i++) {
        uint8_t head[512] = {0};
        metas[i] = (rmt_mapping_member_t){memfd_create("meta", MFD_CLOEXEC), 4096};
        if (!said[i].is_new)
            memcpy(head, "DmRd", 4);
        rmt_put32(head + 8, 2);
        rmt_put32(head + 12, said[i].place);
        rmt_put64(head + 16, said[i].events);
        rmt_put64(head + 24, said[i].failed);
        rmt_put64(head + 32, said[i].rebuilt);
        assert_int_equal(rmt_io_pwrite(metas[i].fd, head, sizeof head, 4096, error), 0);
    }
    const int rc = rmt_group_check_legs(layout, 0, metas, error);
    close(metas[0].fd);
    close(metas[1].fd);
    return rc;
}

// [3.58]
static void
test_m32_a_leg_that_is_not_in_sync_is_refused(void **state)
{
    (void) state;
    static const struct {
        said_t said[2];
        const char *words; // NULL: they are in sync
    } rows[] = {
        {{{0, 7, 0, UINT64_MAX, false}, {1, 7, 0, UINT64_MAX, false}}, NULL},
        {{{0, 7, 0, UINT64_MAX, false}, {1, 6, 0, UINT64_MAX, false}}, NULL},
        {{{.is_new = true}, {.is_new = true}}, NULL},
        {{{0, 7, 2, UINT64_MAX, false}, {1, 7, 0, UINT64_MAX, false}},
         "data_rimage_1 has failed"},
        {{{0, 7, 2, UINT64_MAX, false}, {1, 4, 0, UINT64_MAX, false}},
         "data_rimage_1 has failed"},
        {{{0, 4, 0, UINT64_MAX, false}, {1, 9, 1, UINT64_MAX, false}},
         "data_rimage_0 has failed"},
        {{{0, 4, 0, UINT64_MAX, false}, {1, 9, 0, UINT64_MAX, false}},
         "data_rimage_0 is older"},
        {{{0, 7, 0, UINT64_MAX, false}, {1, 7, 0, 2048, false}},
         "data_rimage_1 is being filled"},
        {{{0, 7, 0, UINT64_MAX, false}, {.is_new = true}}, "data_rimage_1 is new"},
        {{{.is_new = true}, {1, 7, 0, UINT64_MAX, false}}, "data_rimage_0 is new"},
        {{{1, 7, 0, UINT64_MAX, false}, {0, 7, 0, UINT64_MAX, false}},
         "data_rimage_0 is another leg's"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_error_t error = {0};
        if (!rows[i].words) {
            RMT_OK(s_check(rows[i].said, &error));
            continue;
        }
        RMT_FAILS(s_check(rows[i].said, &error), RMT_E_UNSUPPORTED);
        if (!strstr(error.text, rows[i].words) ||
            !strstr(error.text, "--repair vg0/data"))
            fail_msg("'%s' lacks '%s'", error.text, rows[i].words);
    }
}

// Each leg of a mirror has all, and the first is the one that is read.
static void
test_m32_a_mirror_is_written_to_each_leg(void **state)
{
    (void) state;
    char seen[4];
    rmt_auto(rmt_layout) layout = s_layout(&s_mirror);
    const rmt_mapping_member_t places[] = {{memfd_create("leg", MFD_CLOEXEC), 4096},
                                           {memfd_create("leg", MFD_CLOEXEC), 8192}};
    rmt_auto(rmt_mapping) mapping = rmt_group_map(layout, 0, places);
    assert_int_equal(rmt_mapping_size(mapping), 4 * EXTENT);
    assert_int_equal(rmt_mapping_write(mapping, "abcd", 4, 100), 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pread(places[i].fd, seen, 4, (off_t) places[i].offset + 100), 4);
        assert_memory_equal(seen, "abcd", 4);
    }
    assert_int_equal(pwrite(places[1].fd, "xxxx", 4, 8192 + 100), 4);
    assert_int_equal(rmt_mapping_read(mapping, seen, 4, 100), 0);
    assert_memory_equal(seen, "abcd", 4);
    close(places[0].fd);
    close(places[1].fd);
}

// What another system left there would be believed by the kernel.
static void
test_m32_a_leg_of_a_copy_says_nothing(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    char seen[8];
    rmt_auto(rmt_layout) layout = s_layout(&s_mirror);
    rmt_auto_fd fd = memfd_create("meta", MFD_CLOEXEC);
    const rmt_mapping_member_t meta = {fd, 4096};
    assert_int_equal(pwrite(fd, "DmRd", 4, 4096), 4);
    assert_int_equal(pwrite(fd, "bitm", 4, 8192), 4);
    assert_int_equal(pwrite(fd, "before", 6, 4090), 6);
    RMT_OK(rmt_group_clear_leg(layout, &layout->pieces[0], &meta, &error));
    assert_int_equal(pread(fd, seen, 8, 4096), 8);
    assert_memory_equal(seen, "\0\0\0\0\0\0\0\0", 8);
    assert_int_equal(pread(fd, seen, 4, 8192), 4);
    assert_memory_equal(seen, "\0\0\0\0", 4);
    assert_int_equal(pread(fd, seen, 6, 4090), 6);
    assert_memory_equal(seen, "before", 6);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_m32_raid_is_read_carried_and_printed),
        cmocka_unit_test(test_m32_raid_that_cannot_be_carried_is_refused),
        cmocka_unit_test(test_m32_a_leg_that_is_not_in_sync_is_refused),
        cmocka_unit_test(test_m32_a_mirror_is_written_to_each_leg),
        cmocka_unit_test(test_m32_a_leg_of_a_copy_says_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
