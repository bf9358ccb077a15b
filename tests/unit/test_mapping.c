// Devices put together from ranges of others. The tables are those of md(4) and of the
// manual's pictures of its layouts: a row a member, a letter a chunk of the array, `p`
// the sum of a stripe's data, `q` the second parity, `.` nothing.
#include "tools/rmt_test.h"

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "disk/rmt_mapping.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHUNK ((size_t) 4096)
#define START ((size_t) 8192) // Of a member's part
#define MEMBERS_MAX 6
#define ROWS_MAX 8
#define CHUNKS_MAX 32

typedef struct {
    const char *name;
    unsigned near, far;
    bool is_offset;
    size_t stride; // Chunks
    unsigned parity;
    rmt_parity_layout_t layout;
    const char *members[MEMBERS_MAX];
} table_t;

static const table_t s_tables[] = {
    {"linear", .near = 1, .far = 1, .members = {"ABCD"}},
    {"stripes", .near = 1, .far = 1, .members = {"ADG", "BEH", "CFI"}},
    {"mirror", .near = 3, .far = 1, .members = {"ABC", "ABC", "ABC"}},
    {"near 2 of 4", .near = 2, .far = 1, .members = {"ACE", "ACE", "BDF", "BDF"}},
    {"near 2 of 3", .near = 2, .far = 1, .members = {"ABDE", "ACDF", "BCEF"}},
    {"near 3 of 5", .near = 3, .far = 1, .members = {"ABD", "ACD", "ACE", "BCE", "BDE"}},
    {"far 2 of 4", .near = 1, .far = 2, .stride = 2,
     .members = {"AEDH", "BFAE", "CGBF", "DHCG"}},
    {"far 3 of 3", .near = 1, .far = 3, .stride = 2,
     .members = {"ADCFBE", "BEADCF", "CFBEAD"}},
    {"offset 2 of 4", .near = 1, .far = 2, .is_offset = true, .stride = 1,
     .members = {"ADEH", "BAFE", "CBGF", "DCHG"}},
    {"RAID 4", .parity = 1, .layout = 5, .members = {"ADG", "BEH", "CFI", "ppp"}},
    {"parity first", .parity = 1, .layout = 4, .members = {"pp", "AD", "BE", "CF"}},
    {"left asymmetric", .parity = 1, .layout = 0,
     .members = {"ADGp", "BEpJ", "CpHK", "pFIL"}},
    {"right asymmetric", .parity = 1, .layout = 1,
     .members = {"pDGJ", "ApHK", "BEpL", "CFIp"}},
    {"left symmetric", .parity = 1, .layout = 2,
     .members = {"AEIp", "BFpJ", "CpGK", "pDHL"}},
    {"right symmetric", .parity = 1, .layout = 3,
     .members = {"pFHJ", "ApIK", "BDpL", "CEGp"}},
    {"left symmetric of 3", .parity = 1, .layout = 2,
     .members = {"ADpG", "BpEH", "pCFp"}},
    {"RAID 6, left asymmetric", .parity = 2, .layout = 0,
     .members = {"qDGJp", "AEHpq", "BFpqM", "CpqKN", "pqILO"}},
    {"RAID 6, left symmetric", .parity = 2, .layout = 2,
     .members = {"qDHLp", "AEIpq", "BFpqM", "CpqJN", "pqGKO"}},
    {"RAID 6, right symmetric", .parity = 2, .layout = 3,
     .members = {"pFHJq", "qpIKM", "AqpLN", "BDqpO", "CEGqp"}},
    {"RAID 6, right asymmetric", .parity = 2, .layout = 1,
     .members = {"pDGJq", "qpHKM", "AqpLN", "BEqpO", "CFIqp"}},
    {"RAID 6, parity first", .parity = 2, .layout = 4,
     .members = {"pp", "qq", "AC", "BD"}},
    {"RAID 6, parity last", .parity = 2, .layout = 5,
     .members = {"AC", "BD", "pp", "qq"}},
    {"RAID 6, left symmetric beside Q", .parity = 2, .layout = 18,
     .members = {"AEIp", "BFpJ", "CpGK", "pDHL", "qqqq"}},
    {"RAID 6, left asymmetric beside Q", .parity = 2, .layout = 16,
     .members = {"ADGp", "BEpJ", "CpHK", "pFIL", "qqqq"}},
    {"RAID 6, right asymmetric beside Q", .parity = 2, .layout = 17,
     .members = {"pDGJ", "ApHK", "BEpL", "CFIp", "qqqq"}},
    {"RAID 6, right symmetric beside Q", .parity = 2, .layout = 19,
     .members = {"pFHJ", "ApIK", "BDpL", "CEGp", "qqqq"}},
    {"RAID 6, parity first beside Q", .parity = 2, .layout = 20,
     .members = {"pp", "AC", "BD", "qq"}},
};

typedef struct {
    const table_t *table;
    size_t count, rows, chunks;
    rmt_mapping_member_t members[MEMBERS_MAX];
} array_t;

static bool
s_is_data(char letter)
{
    return letter >= 'A' && letter <= 'Z';
}

// What a chunk holds: no two of its sectors are alike.
static void
s_fill(char letter, uint8_t *chunk)
{
    for (size_t i = 0; i < CHUNK; i++)
        chunk[i] = (uint8_t) ((size_t) letter * 31 + i / 512 * 7 + i);
}

static void
s_close(array_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        close(self->members[i].fd);
}

static array_t
s_open(const table_t *table)
{
    array_t self = {.table = table, .rows = strlen(table->members[0])};
    for (; self.count < MEMBERS_MAX && table->members[self.count]; self.count++) {
        rmt_mapping_member_t *member = &self.members[self.count];
        assert_int_equal(strlen(table->members[self.count]), self.rows);
        *member = (rmt_mapping_member_t){memfd_create("member", MFD_CLOEXEC), START};
        assert_true(ftruncate(member->fd, (off_t) (START + self.rows * CHUNK)) == 0);
        for (size_t row = 0; row < self.rows; row++) {
            const char letter = table->members[self.count][row];
            if (s_is_data(letter) && (size_t) (letter - 'A') >= self.chunks)
                self.chunks = (size_t) (letter - 'A') + 1;
        }
    }
    return self;
}

// The bytes that the table says for a place.
static void
s_wanted(const array_t *self, size_t member, size_t row, bool has_parity, uint8_t *out)
{
    const char letter = self->table->members[member][row];
    memset(out, 0, CHUNK);
    if (s_is_data(letter))
        s_fill(letter, out);
    if (has_parity && letter == 'q')
        memset(out, 0xee, CHUNK);
    for (size_t i = 0; has_parity && letter == 'p' && i < self->count; i++) {
        uint8_t other[CHUNK];
        if (!s_is_data(self->table->members[i][row]))
            continue;
        s_fill(self->table->members[i][row], other);
        for (size_t j = 0; j < CHUNK; j++)
            out[j] ^= other[j];
    }
}

static rmt_mapping_t *
s_map(const array_t *self)
{
    const table_t *table = self->table;
    rmt_mapping_t *mapping = rmt_mapping_new();
    const rmt_mapping_segment_t segment = {.size = self->chunks * CHUNK,
                                           .chunk = CHUNK,
                                           .parity = table->parity,
                                           .layout = table->layout,
                                           .near = table->near,
                                           .far = table->far,
                                           .stride = table->stride * CHUNK,
                                           .is_offset = table->is_offset,
                                           .members = self->members,
                                           .count = self->count};
    rmt_mapping_add(mapping, &segment);
    assert_int_equal(rmt_mapping_size(mapping), self->chunks * CHUNK);
    return mapping;
}

static void
s_put_members(const array_t *self)
{
    rmt_error_t error = {0};
    uint8_t chunk[CHUNK];
    for (size_t i = 0; i < self->count; i++)
        for (size_t row = 0; row < self->rows; row++) {
            s_wanted(self, i, row, true, chunk);
            RMT_OK(rmt_io_pwrite(self->members[i].fd, chunk, CHUNK,
                                 (off_t) (START + row * CHUNK), &error));
        }
}

static void
s_expect_array(rmt_mapping_t *mapping, const array_t *self, const char *what)
{
    uint8_t wanted[CHUNKS_MAX * CHUNK], seen[CHUNKS_MAX * CHUNK];
    const size_t size = self->chunks * CHUNK;
    for (size_t i = 0; i < self->chunks; i++)
        s_fill((char) ('A' + i), wanted + i * CHUNK);
    for (size_t part = 512; part <= size; part = part * 3 + 512) {
        memset(seen, 0, sizeof seen);
        for (size_t at = 0; at < size; at += part) {
            const size_t left = size - at;
            assert_int_equal(
                rmt_mapping_read(mapping, seen + at, part < left ? part : left, at), 0);
        }
        if (memcmp(wanted, seen, size) != 0)
            fail_msg("%s, %s: other bytes in requests of %zu", self->table->name, what,
                     part);
    }
}

static void
test_members_are_read_as_the_tables_say(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof s_tables / sizeof *s_tables; i++) {
        array_t array = s_open(&s_tables[i]);
        s_put_members(&array);
        rmt_auto(rmt_mapping) mapping = s_map(&array);
        s_expect_array(mapping, &array, "whole");
        s_close(&array);
    }
}

static void
test_members_are_written_as_the_tables_say(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    for (size_t i = 0; i < sizeof s_tables / sizeof *s_tables; i++) {
        array_t array = s_open(&s_tables[i]);
        uint8_t data[CHUNKS_MAX * CHUNK], wanted[CHUNK], seen[CHUNK];
        const size_t size = array.chunks * CHUNK;
        for (size_t j = 0; j < array.chunks; j++)
            s_fill((char) ('A' + j), data + j * CHUNK);
        rmt_auto(rmt_mapping) mapping = s_map(&array);
        for (size_t at = 0; at < size; at += 3 * 512)
            assert_int_equal(rmt_mapping_write(mapping, data + at,
                                               size - at < 3 * 512 ? size - at : 3 * 512,
                                               at),
                             0);
        for (size_t j = 0; j < array.count * array.rows; j++) {
            const size_t member = j / array.rows, row = j % array.rows;
            s_wanted(&array, member, row, false, wanted);
            RMT_OK(rmt_io_pread(array.members[member].fd, seen, CHUNK,
                                (off_t) (START + row * CHUNK), &error));
            if (memcmp(wanted, seen, CHUNK) != 0)
                fail_msg("%s: member %zu, row %zu has other bytes", array.table->name,
                         member, row);
        }
        s_close(&array);
    }
}

// A mirror and a parity stand for one member; stripes do not, and nothing is written to
// an array that lacks one.
static void
test_a_missing_member_is_made_good_or_told(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof s_tables / sizeof *s_tables; i++) {
        const table_t *table = &s_tables[i];
        array_t array = s_open(table);
        s_put_members(&array);
        const bool is_safe = table->parity || table->near * table->far > 1;
        for (size_t lost = 0; lost < array.count; lost++) {
            const int fd = array.members[lost].fd;
            uint8_t data[CHUNKS_MAX * CHUNK];
            array.members[lost].fd = -1;
            rmt_auto(rmt_mapping) mapping = s_map(&array);
            if (is_safe)
                s_expect_array(mapping, &array, "without a member");
            else
                assert_int_equal(rmt_mapping_read(mapping, data, array.chunks * CHUNK, 0),
                                 EIO);
            assert_int_equal(rmt_mapping_write(mapping, data, 512, 0), EROFS);
            array.members[lost].fd = fd;
        }
        s_close(&array);
    }
}

static void
test_two_missing_members_are_too_many(void **state)
{
    (void) state;
    static const table_t tables[] = {
        {"parity", .parity = 1, .layout = 2, .members = {"AEIp", "BFpJ", "CpGK", "pDHL"}},
        {"near 2 of 4", .near = 2, .far = 1, .members = {"ACE", "ACE", "BDF", "BDF"}},
    };
    for (size_t i = 0; i < 2; i++) {
        array_t array = s_open(&tables[i]);
        uint8_t data[CHUNKS_MAX * CHUNK];
        s_put_members(&array);
        array_t part = array;
        part.members[0].fd = part.members[1].fd = -1;
        rmt_auto(rmt_mapping) mapping = s_map(&part);
        assert_int_equal(rmt_mapping_read(mapping, data, array.chunks * CHUNK, 0), EIO);
        s_close(&array);
    }
}

// A member that ends before its part does fails, and so does one that cannot be written.
static void
test_a_fault_of_a_member_is_a_fault_of_the_device(void **state)
{
    (void) state;
    uint8_t data[2 * CHUNK] = {0};
    rmt_auto_fd whole = memfd_create("whole", MFD_CLOEXEC);
    rmt_auto_fd cut = memfd_create("cut", MFD_CLOEXEC);
    assert_true(ftruncate(whole, 4 * CHUNK) == 0 && ftruncate(cut, CHUNK / 2) == 0);
    rmt_auto(rmt_mapping) mapping = rmt_mapping_new();
    rmt_mapping_add_range(mapping, whole, 512, CHUNK);
    rmt_mapping_add_range(mapping, cut, 0, CHUNK);
    assert_int_equal(rmt_mapping_read(mapping, data, CHUNK, 0), 0);
    assert_int_equal(rmt_mapping_read(mapping, data, CHUNK, CHUNK), EIO);
    assert_int_equal(rmt_mapping_read(mapping, data, 2 * CHUNK, 0), EIO);
    const rmt_fuse_blocks_t blocks = rmt_mapping_blocks(mapping);
    assert_int_equal(blocks.size, 2 * CHUNK);
    assert_int_equal(blocks.fd_count, 2);
    assert_int_equal(blocks.flush(blocks.self), 0);
}

// Segments lie one behind the other: here the two zones of stripes over members of
// different sizes, and a piece of one of them in front.
static void
test_segments_follow_each_other(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    uint8_t chunk[CHUNK], seen[7 * CHUNK], wanted[7 * CHUNK];
    // The members hold "Xbd" and "Xcefa".
    static const char *const held[] = {"XBD", "XCEFA"};
    int fds[2];
    for (size_t i = 0; i < 2; i++) {
        fds[i] = memfd_create("member", MFD_CLOEXEC);
        for (size_t j = 0; held[i][j]; j++) {
            s_fill(held[i][j], chunk);
            RMT_OK(rmt_io_pwrite(fds[i], chunk, CHUNK, (off_t) (j * CHUNK), &error));
        }
    }
    const rmt_mapping_member_t both[] = {{fds[0], CHUNK}, {fds[1], CHUNK}};
    const rmt_mapping_segment_t zone = {.size = 4 * CHUNK,
                                        .chunk = CHUNK,
                                        .near = 1,
                                        .far = 1,
                                        .members = both,
                                        .count = 2};
    rmt_auto(rmt_mapping) mapping = rmt_mapping_new();
    rmt_mapping_add_range(mapping, fds[1], 4 * CHUNK, CHUNK);
    rmt_mapping_add(mapping, &zone);
    rmt_mapping_add_range(mapping, fds[1], 3 * CHUNK, CHUNK);
    assert_int_equal(rmt_mapping_size(mapping), 6 * CHUNK);
    for (size_t i = 0; i < 6; i++)
        s_fill((char) ('A' + i), wanted + i * CHUNK);
    assert_int_equal(rmt_mapping_read(mapping, seen, 6 * CHUNK, 0), 0);
    assert_memory_equal(seen, wanted, 6 * CHUNK);
    assert_int_equal(rmt_mapping_read(mapping, seen, 3 * CHUNK, CHUNK / 2), 0);
    assert_memory_equal(seen, wanted + CHUNK / 2, 3 * CHUNK);
    close(fds[0]);
    close(fds[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members_are_read_as_the_tables_say),
        cmocka_unit_test(test_members_are_written_as_the_tables_say),
        cmocka_unit_test(test_a_missing_member_is_made_good_or_told),
        cmocka_unit_test(test_two_missing_members_are_too_many),
        cmocka_unit_test(test_a_fault_of_a_member_is_a_fault_of_the_device),
        cmocka_unit_test(test_segments_follow_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
