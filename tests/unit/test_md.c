// Superblocks of md: what is written has its fields where the kernel's header has them,
// what is damaged or not carried is refused, and arrays are judged by all their members.
#include "tools/rmt_test.h"

#include "base/rmt_auto.h"
#include "base/rmt_bytes.h"
#include "base/rmt_io.h"
#include "disk/rmt_array.h"
#include "disk/rmt_md.h"

#include <linux/raid/md_p.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MIB ((uint64_t) 1024 * 1024)
#define BYTES (8 * MIB + 512)
#define OLD_PLACE ((uint64_t) 7 * MIB + 15 * 65536)
#define ONE_0_PLACE ((uint64_t) (8 * MIB / 512 + 1 - 16) / 8 * 8 * 512)

static const uint8_t s_uuid[16] = {0xa1, 0xb2, 0xc3, 0xd4, 1, 2,  3,  4,
                                   5,    6,    7,    8,    9, 10, 11, 12};

static int
s_memory(void)
{
    const int fd = memfd_create("member", MFD_CLOEXEC);
    assert_int_not_equal(fd, -1);
    assert_int_equal(ftruncate(fd, (off_t) BYTES), 0);
    return fd;
}

static rmt_md_t
s_member(rmt_md_version_t version, int32_t level, uint32_t slot, uint32_t count)
{
    rmt_md_t md = {.array = {.version = version,
                             .level = level,
                             .layout = level == 10  ? 0x102
                                       : level == 5 ? 2
                                                    : 0,
                             .chunk = level == 1 ? 0 : 65536,
                             .count = count,
                             .size = level ? 4 * MIB : 0,
                             .created = 1700000000,
                             .updated = 1700000100,
                             .events = 17,
                             .sync = RMT_MD_IN_SYNC},
                   .number = slot,
                   .slot = slot,
                   .data_start = version >= RMT_MD_1_1 ? MIB : 0};
    memcpy(md.array.uuid, s_uuid, sizeof s_uuid);
    if (version == RMT_MD_0_90)
        md.array.minor = 5;
    else
        snprintf(md.array.name, sizeof md.array.name, "host:data");
    md.data_size = rmt_md_space(version, BYTES, md.data_start);
    if (version != RMT_MD_0_90)
        memset(md.uuid, 0x40 + (int) slot, sizeof md.uuid);
    for (size_t i = 0; i < RMT_MD_MEMBERS_MAX; i++)
        md.slots[i] = i < count ? (uint16_t) i : RMT_MD_SLOT_SPARE;
    return md;
}

static uint64_t
s_place(rmt_md_version_t version)
{
    static const uint64_t places[] = {OLD_PLACE, ONE_0_PLACE, 0, 4096};
    return places[version];
}

// ---- Bytes

static void
test_version_1_has_the_fields_of_the_header(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    for (rmt_md_version_t version = RMT_MD_1_0; version <= RMT_MD_1_2; version++) {
        rmt_auto_fd fd = s_memory();
        const rmt_md_t md = s_member(version, 5, 1, 3);
        RMT_OK(rmt_md_write(fd, 0, BYTES, &md, &error));
        union {
            struct mdp_superblock_1 super;
            uint8_t bytes[4096];
        } found;
        RMT_OK(rmt_io_pread(fd, &found, sizeof found, (off_t) s_place(version), &error));
        const struct mdp_superblock_1 *super = &found.super;
        assert_int_equal(super->magic, MD_SB_MAGIC);
        assert_int_equal(super->major_version, 1);
        assert_int_equal(super->feature_map, 0);
        assert_memory_equal(super->set_uuid, s_uuid, 16);
        assert_string_equal(super->set_name, "host:data");
        assert_int_equal(super->ctime, 1700000000);
        assert_int_equal(super->level, 5);
        assert_int_equal(super->layout, 2);
        assert_int_equal(super->size, 4 * MIB / 512);
        assert_int_equal(super->chunksize, 128);
        assert_int_equal(super->raid_disks, 3);
        assert_int_equal(super->data_offset, version == RMT_MD_1_0 ? 0 : 2048);
        assert_int_equal(super->data_size, md.data_size / 512);
        assert_int_equal(super->super_offset, s_place(version) / 512);
        assert_int_equal(super->dev_number, 1);
        assert_memory_equal(super->device_uuid, md.uuid, 16);
        assert_int_equal(super->events, 17);
        assert_true(super->resync_offset == ~0ULL);
        assert_int_equal(super->dev_roles[2], 2);
        assert_int_equal(super->dev_roles[3], MD_DISK_ROLE_SPARE);
    }
}

static void
test_version_0_90_has_the_words_of_the_header(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto_fd fd = s_memory();
    rmt_md_t md = s_member(RMT_MD_0_90, 5, 1, 3);
    md.array.sync = 0;
    RMT_OK(rmt_md_write(fd, 0, BYTES, &md, &error));
    mdp_super_t super;
    RMT_OK(rmt_io_pread(fd, &super, sizeof super, (off_t) OLD_PLACE, &error));
    assert_int_equal(super.md_magic, MD_SB_MAGIC);
    assert_int_equal(super.minor_version, 90);
    assert_int_equal(super.set_uuid0, 0xa1b2c3d4);
    assert_int_equal(super.set_uuid1, 0x01020304);
    assert_int_equal(super.set_uuid3, 0x090a0b0c);
    assert_int_equal(super.level, 5);
    assert_int_equal(super.size, 4096);
    assert_int_equal(super.raid_disks, 3);
    assert_int_equal(super.md_minor, 5);
    assert_int_equal(super.state, 0);
    assert_int_equal(super.recovery_cp, 0);
    assert_int_equal(md_event(&super), 17);
    assert_int_equal(super.cp_events_lo, 17);
    assert_int_equal(super.layout, 2);
    assert_int_equal(super.chunk_size, 65536);
    assert_int_equal(super.disks[2].raid_disk, 2);
    assert_int_equal(super.disks[2].state, 1 << MD_DISK_ACTIVE | 1 << MD_DISK_SYNC);
    assert_int_equal(super.this_disk.number, 1);
    md.array.sync = RMT_MD_IN_SYNC;
    RMT_OK(rmt_md_write(fd, 0, BYTES, &md, &error));
    RMT_OK(rmt_io_pread(fd, &super, sizeof super, (off_t) OLD_PLACE, &error));
    assert_int_equal(super.state, 1 << MD_SB_CLEAN);
}

static void
test_what_is_written_is_read(void **state)
{
    (void) state;
    static const int32_t levels[] = {0, 1, 4, 5, 6, 10};
    rmt_error_t error = {0};
    for (size_t i = 0; i < 4 * 6; i++) {
        rmt_auto_fd fd = s_memory();
        const rmt_md_t md = s_member((rmt_md_version_t) (i / 6), levels[i % 6], 2, 4);
        rmt_md_t found;
        RMT_FAILS(rmt_md_read(fd, BYTES, &found, &error), RMT_E_NOT_FOUND);
        RMT_OK(rmt_md_write(fd, 0, BYTES, &md, &error));
        RMT_OK(rmt_md_read(fd, BYTES, &found, &error));
        assert_memory_equal(&found, &md, sizeof md);
    }
}

// A flipped bit of what the sum covers, and of the sum, is never taken.
static void
test_damage_is_refused(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    for (rmt_md_version_t version = RMT_MD_0_90; version <= RMT_MD_1_2; version++) {
        rmt_auto_fd fd = s_memory();
        const rmt_md_t md = s_member(version, 1, 0, 2);
        RMT_OK(rmt_md_write(fd, 0, BYTES, &md, &error));
        const size_t size = version == RMT_MD_0_90 ? 4096 : 256 + 2 * RMT_MD_MEMBERS_MAX;
        for (size_t at = 0; at < size; at++) {
            rmt_md_t found;
            uint8_t byte;
            const off_t place = (off_t) (s_place(version) + at);
            RMT_OK(rmt_io_pread(fd, &byte, 1, place, &error));
            byte ^= 0x10;
            RMT_OK(rmt_io_pwrite(fd, &byte, 1, place, &error));
            if (rmt_md_read(fd, BYTES, &found, &error) == 0)
                fail_msg("%s: byte %zu is not missed", rmt_md_version_name(version), at);
            assert_true(error.code == RMT_E_CORRUPT || error.code == RMT_E_NOT_FOUND);
            byte ^= 0x10;
            RMT_OK(rmt_io_pwrite(fd, &byte, 1, place, &error));
        }
    }
}

// The sum of a superblock of version 1.2 that was changed, as the kernel makes it.
static void
s_patch(int fd, size_t at, uint64_t number, size_t size)
{
    rmt_error_t error = {0};
    uint8_t super[4096];
    RMT_OK(rmt_io_pread(fd, super, sizeof super, 4096, &error));
    for (size_t i = 0; i < size; i++)
        super[at + i] = (uint8_t) (number >> 8 * i);
    rmt_put32(super + 216, 0);
    uint64_t sum = 0;
    for (size_t i = 0; i < 256 + 2 * RMT_MD_MEMBERS_MAX; i += 4)
        sum += rmt_get32(super + i);
    rmt_put32(super + 216, (uint32_t) (sum + (sum >> 32)));
    RMT_OK(rmt_io_pwrite(fd, super, sizeof super, 4096, &error));
}

static void
test_what_cannot_be_carried_is_named(void **state)
{
    (void) state;
    static const struct {
        size_t at, size;
        uint64_t number;
        rmt_code_t code;
        const char *words;
    } rows[] = {
        {8, 4, 4, RMT_E_UNSUPPORTED, "is being reshaped; wait until mdadm --wait"},
        {8, 4, 8, RMT_E_UNSUPPORTED, "has bad blocks"},
        {8, 4, 16, RMT_E_UNSUPPORTED, "being replaced"},
        {8, 4, 256, RMT_E_UNSUPPORTED, "a cluster"},
        {8, 4, 512, RMT_E_UNSUPPORTED, "a journal"},
        {8, 4, 1024, RMT_E_UNSUPPORTED, "partial parity log"},
        {8, 4, 1 << 20, RMT_E_UNSUPPORTED, "features 0x100000"},
        {92, 4, 65, RMT_E_UNSUPPORTED, "has 65 members; ramet carries 1 to 64"},
        {92, 4, 0, RMT_E_UNSUPPORTED, "has 0 members"},
        {80, 8, 1 << 20, RMT_E_CORRUPT, "data outside"},
        {80, 8, (uint64_t) 1 << 60, RMT_E_CORRUPT, "another place"},
        {128, 8, 1 << 20, RMT_E_CORRUPT, "data outside"},
        {136, 8, 1 << 20, RMT_E_CORRUPT, "data outside"},
        {136, 8, 0, RMT_E_CORRUPT, "data outside"},
        {144, 8, 0, RMT_E_CORRUPT, "another place"},
        {256, 2, 9, RMT_E_CORRUPT, "a slot that its array has not"},
    };
    rmt_error_t error = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto_fd fd = s_memory();
        const rmt_md_t md = s_member(RMT_MD_1_2, 1, 0, 2);
        rmt_md_t found;
        RMT_OK(rmt_md_write(fd, 0, BYTES, &md, &error));
        s_patch(fd, rows[i].at, rows[i].number, rows[i].size);
        RMT_FAILS(rmt_md_read(fd, BYTES, &found, &error), rows[i].code);
        if (!strstr(error.text, rows[i].words))
            fail_msg("'%s' does not say '%s'", error.text, rows[i].words);
    }
}

static void
test_the_array_that_was_created_last_counts(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto_fd fd = s_memory();
    rmt_md_t old = s_member(RMT_MD_1_0, 1, 0, 2), now = s_member(RMT_MD_1_2, 5, 1, 3);
    now.array.created++;
    rmt_md_t found;
    RMT_OK(rmt_md_write(fd, 0, BYTES, &old, &error));
    RMT_OK(rmt_md_write(fd, 0, BYTES, &now, &error));
    RMT_OK(rmt_md_read(fd, BYTES, &found, &error));
    assert_int_equal(found.array.version, RMT_MD_1_2);
    old.array.created += 2;
    RMT_OK(rmt_md_write(fd, 0, BYTES, &old, &error));
    RMT_OK(rmt_md_read(fd, BYTES, &found, &error));
    assert_int_equal(found.array.version, RMT_MD_1_0);
}

// ---- Arrays

typedef struct {
    rmt_layout_t *layout;
    rmt_arrays_t *arrays;
    rmt_records_t *told;
} bench_t;

// One disk with so many partitions, each a member.
static int
s_judge(bench_t *self, const rmt_md_t *members, size_t count, rmt_error_t *error_out)
{
    *self = (bench_t){.layout = rmt_layout_new(),
                      .arrays = rmt_arrays_new(),
                      .told = rmt_records_new()};
    rmt_error_t error = {0};
    rmt_layout_add_disk(self->layout, "system")->table = RMT_TABLE_GPT;
    for (size_t i = 0; i < count; i++) {
        rmt_layout_partition_t *partition = rmt_layout_add_partition(self->layout, 0);
        partition->number = i + 1;
        partition->start = 2048 + i * BYTES / 512;
        partition->size = BYTES / 512;
        strcpy(partition->type, "A19D880F-05FC-4D3B-A006-743F0F84911E");
        rmt_auto_fd fd = s_memory();
        RMT_OK(rmt_md_write(fd, 0, BYTES, &members[i], &error));
        RMT_OK(rmt_arrays_add(self->arrays, 0, i + 1, fd, BYTES, &error));
    }
    int rc = rmt_arrays_finish(self->arrays, self->layout, self->told, error_out);
    return rc == -1 ? -1 : rmt_layout_check(self->layout, error_out);
}

static void
s_close(bench_t *self)
{
    rmt_layout_destroy(&self->layout);
    rmt_arrays_destroy(&self->arrays);
    rmt_records_destroy(&self->told);
}

static void
test_members_become_an_array_by_their_slots(void **state)
{
    (void) state;
    bench_t bench;
    rmt_error_t error = {0};
    const rmt_md_t members[] = {s_member(RMT_MD_1_2, 5, 2, 3),
                                s_member(RMT_MD_1_2, 5, 0, 3),
                                s_member(RMT_MD_1_2, 5, 1, 3)};
    RMT_OK(s_judge(&bench, members, 3, &error));
    const rmt_layout_array_t *array = &bench.layout->arrays[0];
    assert_string_equal(array->uuid, "a1b2c3d40102030405060708090a0b0c");
    assert_string_equal(array->name, "host:data");
    assert_string_equal(array->metadata, "1.2");
    assert_int_equal(bench.layout->member_count, 3);
    assert_int_equal(bench.layout->members[0].partition, 2);
    assert_int_equal(bench.layout->members[1].partition, 3);
    assert_int_equal(bench.layout->members[2].partition, 1);
    assert_int_equal(rmt_records_count(bench.told), 0);
    // What is written as records is read as the same.
    rmt_auto(rmt_records) records = rmt_records_new();
    rmt_layout_write(bench.layout, records);
    rmt_auto(rmt_layout) again = rmt_layout_read(records, &error);
    RMT_OK(again);
    assert_int_equal(again->array_count, 1);
    assert_int_equal(again->members[2].data_size, bench.layout->members[2].data_size);
    s_close(&bench);
}

static void
test_a_member_that_is_older_is_not_read_and_told(void **state)
{
    (void) state;
    bench_t bench;
    rmt_error_t error = {0};
    rmt_md_t members[] = {s_member(RMT_MD_1_2, 1, 0, 2), s_member(RMT_MD_1_2, 1, 1, 2)};
    // A crash between the writes of two superblocks is no other time.
    members[0].array.events = 16;
    RMT_OK(s_judge(&bench, members, 2, &error));
    assert_false(rmt_arrays_is_old(bench.arrays, 0));
    assert_int_equal(rmt_records_count(bench.told), 0);
    s_close(&bench);
    members[0].array.events = 15;
    RMT_OK(s_judge(&bench, members, 2, &error));
    assert_true(rmt_arrays_is_old(bench.arrays, 0));
    assert_false(rmt_arrays_is_old(bench.arrays, 1));
    assert_non_null(strstr(rmt_record_text(rmt_records_at(bench.told, 0), "reason", ""),
                           "older than the others"));
    s_close(&bench);
    // The others say that it was thrown out.
    members[0].array.events = 17;
    members[1].array.events = 18;
    members[1].slots[0] = RMT_MD_SLOT_FAULTY;
    RMT_OK(s_judge(&bench, members, 2, &error));
    assert_true(rmt_arrays_is_old(bench.arrays, 0));
    s_close(&bench);
}

typedef struct {
    const char *words;
    rmt_md_t members[4];
    size_t count;
} refusal_t;

static void
s_expect_refusal(const refusal_t *row)
{
    bench_t bench;
    rmt_error_t error = {0};
    assert_int_equal(s_judge(&bench, row->members, row->count, &error), -1);
    assert_int_equal(error.code, RMT_E_UNSUPPORTED);
    if (!strstr(error.text, row->words))
        fail_msg("'%s' does not say '%s'", error.text, row->words);
    s_close(&bench);
}

static void
test_arrays_that_are_not_whole_are_refused(void **state)
{
    (void) state;
    refusal_t rows[] = {
        {"lacks a member", {s_member(RMT_MD_1_2, 1, 1, 2)}, 1},
        {"lacks a member",
         {s_member(RMT_MD_0_90, 5, 0, 3), s_member(RMT_MD_0_90, 5, 2, 3)},
         2},
        {"two members for one place",
         {s_member(RMT_MD_1_2, 1, 0, 2), s_member(RMT_MD_1_2, 1, 0, 2)},
         2},
        {"has a spare",
         {s_member(RMT_MD_1_2, 1, 0, 2), s_member(RMT_MD_1_2, 1, 1, 2),
          s_member(RMT_MD_1_2, 1, 1, 2)},
         3},
        {"too many members that are older",
         {s_member(RMT_MD_1_2, 5, 0, 3), s_member(RMT_MD_1_2, 5, 1, 3),
          s_member(RMT_MD_1_2, 5, 2, 3)},
         3},
        {"was not cleanly stopped, and has a member that is older",
         {s_member(RMT_MD_1_2, 5, 0, 3), s_member(RMT_MD_1_2, 5, 1, 3),
          s_member(RMT_MD_1_2, 5, 2, 3)},
         3},
        {"of level linear",
         {s_member(RMT_MD_1_2, RMT_MD_LEVEL_LINEAR, 0, 2),
          s_member(RMT_MD_1_2, RMT_MD_LEVEL_LINEAR, 1, 2)},
         2},
        {"level 10 and layout 131330, which is not supported",
         {s_member(RMT_MD_1_2, 10, 0, 2), s_member(RMT_MD_1_2, 10, 1, 2)},
         2},
        {"members of different sizes",
         {s_member(RMT_MD_1_2, 0, 0, 2), s_member(RMT_MD_1_2, 0, 1, 2)},
         2},
    };
    rows[3].members[2].number = 2;
    rows[3].members[2].slot = RMT_MD_SLOT_SPARE;
    rows[4].members[2].array.events = 30;
    for (size_t i = 0; i < 3; i++)
        rows[5].members[i].array.sync = MIB;
    rows[5].members[0].array.events = 3;
    for (size_t i = 0; i < 2; i++)
        rows[7].members[i].array.layout = 0x20102;
    rows[8].members[1].data_size -= 2 * 65536;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        s_expect_refusal(&rows[i]);
}

static void
test_an_array_that_was_not_stopped_says_so(void **state)
{
    (void) state;
    bench_t bench;
    rmt_error_t error = {0};
    rmt_md_t members[] = {s_member(RMT_MD_1_0, 1, 0, 2), s_member(RMT_MD_1_0, 1, 1, 2)};
    members[0].array.sync = members[1].array.sync = MIB;
    RMT_OK(s_judge(&bench, members, 2, &error));
    assert_non_null(strstr(rmt_record_text(rmt_records_at(bench.told, 0), "reason", ""),
                           "not cleanly stopped"));
    s_close(&bench);
}

// Members of 3, 2 and 1 chunks: three zones, of 3, 2 and 1 chunks of the array. An old
// kernel begins the second zone with the member that its first chunk's number tells.
static void
test_stripes_over_unequal_members_have_zones(void **state)
{
    (void) state;
    static const struct {
        uint32_t layout;
        const char *members[3];
    } rows[] = {{2, {"ADF", "BE", "C"}}, {1, {"AEF", "BD", "C"}}};
    static const uint64_t chunks[] = {3, 2, 1};
    for (size_t i = 0; i < 2; i++) {
        bench_t bench;
        rmt_error_t error = {0};
        rmt_md_t members[3];
        rmt_array_place_t places[3];
        for (uint32_t j = 0; j < 3; j++) {
            members[j] = s_member(RMT_MD_1_2, 0, j, 3);
            members[j].array.layout = rows[i].layout;
            members[j].data_size = chunks[j] * 65536 + 512;
        }
        RMT_OK(s_judge(&bench, members, 3, &error));
        for (size_t j = 0; j < 3; j++)
            places[j] = (rmt_array_place_t){s_memory(), 512, BYTES};
        assert_int_equal(rmt_array_bytes(bench.layout, 0, places), 6 * 65536);
        rmt_auto(rmt_mapping) mapping = rmt_array_map(bench.layout, 0, places);
        for (size_t j = 0; j < 6; j++) {
            const char letter = (char) ('A' + j);
            assert_int_equal(rmt_mapping_write(mapping, &letter, 1, j * 65536), 0);
        }
        for (size_t j = 0; j < 3; j++)
            for (size_t row = 0; rows[i].members[j][row]; row++) {
                char letter;
                RMT_OK(rmt_io_pread(places[j].fd, &letter, 1,
                                    (off_t) (512 + MIB + row * 65536), &error));
                assert_int_equal(letter, rows[i].members[j][row]);
            }
        for (size_t j = 0; j < 3; j++)
            close(places[j].fd);
        s_close(&bench);
    }
}

// [3.44] What a layout says of arrays comes from outside.
static void
test_a_layout_with_arrays_that_cannot_be_is_refused(void **state)
{
    (void) state;
    static const struct {
        size_t record; // 3: the array, 4 and 5 its members
        const char *field, *value;
        rmt_code_t code;
    } rows[] = {
        {3, "uuid", "a1b2", RMT_E_USAGE},      {3, "metadata", "1.3", RMT_E_USAGE},
        {3, "level", "7", RMT_E_UNSUPPORTED},  {3, "level", "6", RMT_E_USAGE},
        {3, "slots", "3", RMT_E_USAGE},        {3, "size", "1", RMT_E_USAGE},
        {3, "size", "8388608", RMT_E_USAGE},   {3, "chunk", "100", RMT_E_USAGE},
        {4, "slot", "1", RMT_E_USAGE},         {4, "slot", "2", RMT_E_USAGE},
        {4, "partition", "2", RMT_E_USAGE},    {4, "partition", "3", RMT_E_USAGE},
        {4, "data-start", "777", RMT_E_USAGE}, {4, "data-size", "9000000", RMT_E_USAGE},
        {5, "array", "b1b2", RMT_E_USAGE},     {5, "disk", "other", RMT_E_USAGE},
    };
    bench_t bench;
    rmt_error_t error = {0};
    const rmt_md_t members[] = {s_member(RMT_MD_1_2, 5, 0, 2),
                                s_member(RMT_MD_1_2, 5, 1, 2)};
    RMT_OK(s_judge(&bench, members, 2, &error));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto(rmt_records) records = rmt_records_new();
        rmt_layout_write(bench.layout, records);
        assert_int_equal(rmt_records_count(records), 6);
        rmt_record_set(rmt_records_at(records, rows[i].record), rows[i].field,
                       rows[i].value);
        rmt_auto(rmt_layout) layout = rmt_layout_read(records, &error);
        if (layout)
            fail_msg("%s=%s is taken", rows[i].field, rows[i].value);
        assert_int_equal(error.code, rows[i].code);
    }
    // A volume lies on the array, not in a member.
    rmt_auto(rmt_records) records = rmt_records_new();
    rmt_layout_write(bench.layout, records);
    rmt_record_t *volume = rmt_records_add(records);
    rmt_record_set(volume, "class", "volume");
    rmt_record_set(volume, "disk", "system");
    rmt_record_set(volume, "fs", "none");
    rmt_record_set(volume, "partition", "2");
    RMT_FAILS(rmt_layout_read(records, &error), RMT_E_USAGE);
    rmt_record_set(volume, "array", bench.layout->arrays[0].uuid);
    RMT_FAILS(rmt_layout_read(records, &error), RMT_E_USAGE);
    rmt_record_set(volume, "partition", "0");
    rmt_auto(rmt_layout) layout = rmt_layout_read(records, &error);
    RMT_OK(layout);
    s_close(&bench);
}

// [3.45] All members of a copy are equal; what has parity makes it when it starts.
static void
test_a_copy_is_in_sync_except_for_parity(void **state)
{
    (void) state;
    static const int32_t levels[] = {0, 1, 10, 4, 5, 6};
    for (size_t i = 0; i < 6; i++) {
        bench_t bench;
        rmt_error_t error = {0};
        rmt_md_t members[3], found[3];
        rmt_array_place_t places[3];
        for (uint32_t j = 0; j < 3; j++)
            members[j] = s_member(RMT_MD_1_1, levels[i], j, 3);
        RMT_OK(s_judge(&bench, members, 3, &error));
        for (size_t j = 0; j < 3; j++)
            places[j] = (rmt_array_place_t){s_memory(), 0, BYTES};
        RMT_OK(rmt_array_write(bench.layout, 0, places, &error));
        for (size_t j = 0; j < 3; j++) {
            RMT_OK(rmt_md_read(places[j].fd, BYTES, &found[j], &error));
            assert_int_equal(found[j].slot, j);
            assert_memory_equal(found[j].array.uuid, s_uuid, 16);
            assert_string_equal(found[j].array.name, "host:data");
            assert_int_equal(found[j].array.level, levels[i]);
            assert_int_equal(found[j].array.size, members[j].array.size);
            assert_int_equal(found[j].data_size, members[j].data_size);
            assert_memory_equal(&found[j].array, &found[0].array, sizeof found[0].array);
            assert_true(found[j].array.sync == (i < 3 ? RMT_MD_IN_SYNC : 0));
            assert_memory_not_equal(found[j].uuid, members[j].uuid, 16);
            close(places[j].fd);
        }
        s_close(&bench);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version_1_has_the_fields_of_the_header),
        cmocka_unit_test(test_version_0_90_has_the_words_of_the_header),
        cmocka_unit_test(test_what_is_written_is_read),
        cmocka_unit_test(test_damage_is_refused),
        cmocka_unit_test(test_what_cannot_be_carried_is_named),
        cmocka_unit_test(test_the_array_that_was_created_last_counts),
        cmocka_unit_test(test_members_become_an_array_by_their_slots),
        cmocka_unit_test(test_a_member_that_is_older_is_not_read_and_told),
        cmocka_unit_test(test_arrays_that_are_not_whole_are_refused),
        cmocka_unit_test(test_an_array_that_was_not_stopped_says_so),
        cmocka_unit_test(test_stripes_over_unequal_members_have_zones),
        cmocka_unit_test(test_a_layout_with_arrays_that_cannot_be_is_refused),
        cmocka_unit_test(test_a_copy_is_in_sync_except_for_parity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
