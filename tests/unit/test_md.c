// Superblocks of md: what is written has its fields where the kernel's header has them,
// and what is damaged or not carried is refused.
#include "tools/rmt_test.h"
#include "unit/md_member.h"

#include "base/rmt_auto.h"
#include "base/rmt_bytes.h"
#include "base/rmt_io.h"

#include <linux/raid/md_p.h>
#include <stddef.h>
#include <string.h>

#define OLD_PLACE ((uint64_t) 7 * MIB + 15 * 65536)
#define ONE_0_PLACE ((uint64_t) (8 * MIB / 512 + 1 - 16) / 8 * 8 * 512)

static uint64_t
s_place(rmt_md_version_t version)
{
    static const uint64_t places[] = {OLD_PLACE, ONE_0_PLACE, 0, 4096};
    return places[version];
}

static void
test_version_1_has_the_fields_of_the_header(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    for (rmt_md_version_t version = RMT_MD_1_0; version <= RMT_MD_1_2; version++) {
        rmt_auto_fd fd = md_memory();
        const rmt_md_t md = md_member(version, 5, 1, 3);
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
        assert_memory_equal(super->set_uuid, md_uuid, 16);
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
    rmt_auto_fd fd = md_memory();
    rmt_md_t md = md_member(RMT_MD_0_90, 5, 1, 3);
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
        rmt_auto_fd fd = md_memory();
        const rmt_md_t md = md_member((rmt_md_version_t) (i / 6), levels[i % 6], 2, 4);
        rmt_md_t found;
        RMT_FAILS(rmt_md_read(fd, 0, BYTES, &found, &error), RMT_E_NOT_FOUND);
        RMT_OK(rmt_md_write(fd, 0, BYTES, &md, &error));
        RMT_OK(rmt_md_read(fd, 0, BYTES, &found, &error));
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
        rmt_auto_fd fd = md_memory();
        const rmt_md_t md = md_member(version, 1, 0, 2);
        RMT_OK(rmt_md_write(fd, 0, BYTES, &md, &error));
        const size_t size = version == RMT_MD_0_90 ? 4096 : 256 + 2 * RMT_MD_MEMBERS_MAX;
        for (size_t at = 0; at < size; at++) {
            rmt_md_t found;
            uint8_t byte;
            const off_t place = (off_t) (s_place(version) + at);
            RMT_OK(rmt_io_pread(fd, &byte, 1, place, &error));
            byte ^= 0x10;
            RMT_OK(rmt_io_pwrite(fd, &byte, 1, place, &error));
            if (rmt_md_read(fd, 0, BYTES, &found, &error) == 0)
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
        {128, 8, 15, RMT_E_CORRUPT, "data that lies over it"},
        {136, 8, 1 << 20, RMT_E_CORRUPT, "data outside"},
        {136, 8, 0, RMT_E_CORRUPT, "data outside"},
        {144, 8, 0, RMT_E_CORRUPT, "another place"},
        {256, 2, 9, RMT_E_CORRUPT, "a slot that its array has not"},
    };
    rmt_error_t error = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rmt_auto_fd fd = md_memory();
        const rmt_md_t md = md_member(RMT_MD_1_2, 1, 0, 2);
        rmt_md_t found;
        RMT_OK(rmt_md_write(fd, 0, BYTES, &md, &error));
        s_patch(fd, rows[i].at, rows[i].number, rows[i].size);
        RMT_FAILS(rmt_md_read(fd, 0, BYTES, &found, &error), rows[i].code);
        if (!strstr(error.text, rows[i].words))
            fail_msg("'%s' does not say '%s'", error.text, rows[i].words);
    }
}

// Its table has places for 27 devices, and a copy would have to have one.
static void
test_version_0_90_has_at_most_27_members(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    for (uint32_t count = 27; count <= 28; count++) {
        rmt_auto_fd fd = md_memory();
        uint8_t super[4096];
        const rmt_md_t md = md_member(RMT_MD_0_90, 1, 0, 27);
        rmt_md_t found;
        RMT_OK(rmt_md_write(fd, 0, BYTES, &md, &error));
        RMT_OK(rmt_io_pread(fd, super, sizeof super, (off_t) OLD_PLACE, &error));
        rmt_put32(super + 40, count);
        rmt_put32(super + 152, rmt_get32(super + 152) + count - 27);
        RMT_OK(rmt_io_pwrite(fd, super, sizeof super, (off_t) OLD_PLACE, &error));
        const int rc = rmt_md_read(fd, 0, BYTES, &found, &error);
        assert_int_equal(rc, count == 27 ? 0 : -1);
    }
    assert_int_equal(error.code, RMT_E_UNSUPPORTED);
    assert_non_null(strstr(error.text, "has 28 members; ramet carries 1 to 27"));
}

static void
test_the_array_that_was_created_last_counts(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto_fd fd = md_memory();
    rmt_md_t old = md_member(RMT_MD_1_0, 1, 0, 2), now = md_member(RMT_MD_1_2, 5, 1, 3);
    now.array.created++;
    rmt_md_t found;
    RMT_OK(rmt_md_write(fd, 0, BYTES, &old, &error));
    RMT_OK(rmt_md_write(fd, 0, BYTES, &now, &error));
    RMT_OK(rmt_md_read(fd, 0, BYTES, &found, &error));
    assert_int_equal(found.array.version, RMT_MD_1_2);
    old.array.created += 2;
    RMT_OK(rmt_md_write(fd, 0, BYTES, &old, &error));
    RMT_OK(rmt_md_read(fd, 0, BYTES, &found, &error));
    assert_int_equal(found.array.version, RMT_MD_1_0);
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
        cmocka_unit_test(test_version_0_90_has_at_most_27_members),
        cmocka_unit_test(test_the_array_that_was_created_last_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
