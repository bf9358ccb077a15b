// lib/store: entries of manifests, as bytes and back.
#include "unit/shelf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "store/rmt_list.h"

static void
test_entries_come_back_as_they_were(void **state)
{
    (void) state;
    rmt_entry_t entries[16];
    const size_t count = entries_of_all_kinds(entries);
    rmt_auto(rmt_entry_buffer) room = rmt_entry_buffer_new();
    for (size_t i = 0; i < count; i++) {
        uint8_t *data = NULL;
        size_t used = 0, size = 0;
        rmt_entry_encode(&entries[i], &data, &used, &size);
        rmt_entry_t back;
        rmt_error_t error = {0};
        RMT_OK(rmt_entry_decode(data, used, room, &back, &error));
        entry_assert_same(&entries[i], &back);
        // Cut off at any place it is refused, and so is a byte too much.
        for (size_t cut = 0; cut < used; cut++) {
            uint8_t *part = malloc(cut + 1); // Exact, so that sanitizers see over-reads
            memcpy(part, data, cut);
            rmt_error_t why = {0};
            rmt_entry_t other;
            if (rmt_entry_decode(part, cut, room, &other, &why) == 0) {
                // Cut between two extras an entry can be well formed, but is another one.
                uint8_t *again = NULL;
                size_t again_used = 0, again_room = 0;
                rmt_entry_encode(&other, &again, &again_used, &again_room);
                assert_int_equal(again_used, cut);
                free(again);
            }
            free(part);
        }
        free(data);
    }
}

static void
test_an_entry_has_the_bytes_of_the_vector(void **state)
{
    (void) state;
    rmt_entry_t entry = entry_of("etc/hosts", S_IFREG | 0644);
    const rmt_id_t id = id_of(0xab);
    const uint32_t chunk_size = 300;
    entry.size = 300;
    entry.chunks = &id;
    entry.chunk_sizes = &chunk_size;
    entry.chunk_count = 1;
    static const char expected[] = "00096574632f686f737473a48302e80764"
                                   "80c49fd50c959aef3a"
                                   "0302ac02"
                                   "0523ac0201"
                                   "abababababababababababababababab"
                                   "abababababababababababababababab";
    uint8_t *data = NULL;
    size_t used = 0, size = 0;
    rmt_entry_encode(&entry, &data, &used, &size);
    char text[512] = "";
    for (size_t i = 0; i < used; i++)
        snprintf(text + 2 * i, 3, "%02x", data[i]);
    free(data);
    assert_string_equal(text, expected);
}

static void
s_assert_refused(const char *hex, rmt_code_t code)
{
    uint8_t data[256];
    const size_t size = strlen(hex) / 2;
    for (size_t i = 0; i < size; i++) {
        unsigned byte = 0;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        data[i] = (uint8_t) byte;
    }
    rmt_auto(rmt_entry_buffer) room = rmt_entry_buffer_new();
    rmt_entry_t entry;
    rmt_error_t error = {0};
    RMT_FAILS(rmt_entry_decode(data, size, room, &entry, &error), code);
}

// [2.1] [2.3] [2.21]: "0001 61 a4 83 02 00 00 00 00" is an empty file "a", mode
// 0100644.
static void
test_foreign_bytes_are_refused(void **state)
{
    (void) state;
    static const struct {
        const char *hex;
        rmt_code_t code;
    } rows[] = {
        {"", RMT_E_CORRUPT},
        {"000161a48302000000", RMT_E_CORRUPT},             // Cut off
        {"010161a4830200000000", RMT_E_CORRUPT},           // Shares with nothing
        {"00ffffffffffffffffff0161", RMT_E_CORRUPT},       // Path of 2^64 bytes
        {"000161a483020000000003ff", RMT_E_CORRUPT},       // Extra cut off
        {"000161a48302000000000302", RMT_E_CORRUPT},       // Extra without bytes
        {"000161a4830200000000030100", RMT_E_CORRUPT},     // Size 0 is not written
        {"000161a483020000000003028000", RMT_E_CORRUPT},   // A number not in short form
        {"000161a4830200000000020105", RMT_E_CORRUPT},     // Ours, and not critical
        {"000161a4830200000000030105", RMT_E_CORRUPT},     // Size without chunks
        {"000161a48302000000000700", RMT_E_OK},            // Sparse, nothing in it
        {"000161a4830200000000070003", RMT_E_CORRUPT},     // Order of extras
        {"000161a4830200000000290100", RMT_E_UNSUPPORTED}, // Critical, number 20
        {"000161a4830200000000280100", RMT_E_OK},          // Unknown, not critical
        {"000161a48302000000000901623", RMT_E_CORRUPT},    // Target of a file
        {"0001612483020000000000", RMT_E_CORRUPT},         // Unknown type
        {"00022e2ea4830200000000", RMT_E_CORRUPT},         // ..
        {"0003612f2fa4830200000000", RMT_E_CORRUPT},       // a//
        {"000361002fa4830200000000", RMT_E_CORRUPT},       // NUL
        {"0000a4830200000000", RMT_E_CORRUPT},             // The root is a file
        {"000161a483020000008094ebdc03", RMT_E_CORRUPT},   // 10^9 ns
        {"000161a4830200000000150104", RMT_E_CORRUPT},     // Unknown mark
        {"000161a48302000000001700", RMT_E_CORRUPT},       // No reserved run
        {"000161a4830200000000170100", RMT_E_CORRUPT},     // Half of one
        {"000161a483020000000017020500", RMT_E_CORRUPT},   // An empty one
        {"000161a48302ffffffff0f0000", RMT_E_CORRUPT},     // Owner 2^32 - 1
        {"000161a4830200ffffffff0f0000", RMT_E_CORRUPT},   // Group 2^32 - 1
        // Sparse, and 2^63 bytes long
        {"000161a4830200000000030a808080808080808080010700", RMT_E_CORRUPT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].code != RMT_E_OK)
            s_assert_refused(rows[i].hex, rows[i].code);
}

// [2.21]: a later writer may add it.
static void
test_an_unknown_extra_is_skipped_when_not_critical(void **state)
{
    (void) state;
    static const uint8_t data[] = {0, 1, 'a', 0xa4, 0x83, 2, 0, 0, 0, 0, 0x28, 1, 0};
    rmt_auto(rmt_entry_buffer) room = rmt_entry_buffer_new();
    rmt_entry_t entry;
    rmt_error_t error = {0};
    RMT_OK(rmt_entry_decode(data, sizeof data, room, &entry, &error));
    assert_string_equal(entry.path, "a");
}

// [2.22]: one row a contradiction.
static void
test_entries_that_contradict_themselves_are_refused(void **state)
{
    (void) state;
    rmt_entry_t bad[24];
    size_t n = 0;
    static const rmt_extent_t touching[] = {{0, 10}, {10, 10}};
    static const rmt_extent_t behind[] = {{UINT64_MAX - 1, 10}};
    static const rmt_extent_t empty[] = {{5, 0}};
    static const rmt_xattr_t unsorted[] = {{"user.b", "", 0}, {"user.a", "", 0}};
    static const char *const paths[] = {"/a", "a/", "a//b", "a/../b", "./a", "a/."};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        bad[n++] = entry_of(paths[i], S_IFREG | 0644);
    bad[n++] = entry_of("", S_IFREG | 0644);
    bad[n++] = entry_of("a", 0644);
    bad[n++] = entry_of("a", S_IFREG | 0200000);
    bad[n++] = entry_of("a", S_IFLNK | 0777); // No target
    bad[n] = entry_of("a", S_IFDIR | 0755);
    bad[n++].size = 5;
    bad[n] = entry_of("a", S_IFDIR | 0755);
    bad[n++].link_group = 5;
    bad[n] = entry_of("a", S_IFREG | 0644);
    bad[n++].link_first = true;
    bad[n] = entry_of("a", S_IFREG | 0644);
    bad[n++].rdev_minor = 1;
    bad[n] = entry_of("a", S_IFREG | 0644);
    bad[n++].size = 12289; // And no chunks
    const rmt_extent_t *const extents[] = {touching, behind, empty};
    for (size_t i = 0; i < 3; i++) {
        bad[n] = entry_of("a", S_IFREG | 0644);
        bad[n].size = 20;
        bad[n].sparse = true;
        bad[n].extents = extents[i];
        bad[n++].extent_count = i == 0 ? 2 : 1;
    }
    bad[n] = entry_of("a", S_IFREG | 0644);
    bad[n].xattrs = unsorted;
    bad[n++].xattr_count = 2;
    for (size_t i = 0; i < n; i++) {
        rmt_error_t error = {0};
        RMT_FAILS(rmt_entry_check(&bad[i], &error), RMT_E_CORRUPT);
    }
    rmt_error_t error = {0};
    char *longest = calloc(1, RMT_PATH_SIZE_MAX + 2);
    memset(longest, 'a', RMT_PATH_SIZE_MAX + 1);
    bad[0] = entry_of(longest, S_IFREG | 0644);
    RMT_FAILS(rmt_entry_check(&bad[0], &error), RMT_E_TOO_BIG);
    free(longest);
}

// [2.22]: one row a mistake.
static void
test_reserved_runs_are_refused_where_data_is_or_out_of_order(void **state)
{
    (void) state;
    static const rmt_extent_t data = {4096, 4096};
    static const uint32_t sizes[] = {4096};
    static const rmt_extent_t runs[][2] = {
        {{0, 5000}, {9000, 1}},                          // Into data
        {{8191, 10}, {9000, 1}},                         // From data
        {{0, 10}, {10, 10}},                             // Touch
        {{9000, 10}, {8500, 10}},                        // Out of order
        {{9000, 0}, {9500, 1}},                          // Empty
        {{9000, 1}, {INT64_MAX, 1}},                     // Too far
        {{9000, 1}, {9001 + (uint64_t) INT64_MAX, 100}}, // Much too far
    };
    const rmt_id_t ids[] = {id_of(0x11)};
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        rmt_entry_t entry = entry_of("a", S_IFREG | 0644);
        entry.size = 100000;
        entry.sparse = true;
        entry.extents = &data;
        entry.extent_count = 1;
        entry.chunks = ids;
        entry.chunk_sizes = sizes;
        entry.chunk_count = 1;
        entry.reserved = runs[i];
        entry.reserved_count = 2;
        rmt_error_t error = {0};
        if (rmt_entry_check(&entry, &error) != -1 || error.code != RMT_E_CORRUPT)
            fail_msg("row %zu was taken", i);
    }
    rmt_entry_t folder = entry_of("a", S_IFDIR | 0755);
    folder.reserved = (const rmt_extent_t[]){{8192, 4096}};
    folder.reserved_count = 1;
    rmt_error_t error = {0};
    RMT_FAILS(rmt_entry_check(&folder, &error), RMT_E_CORRUPT);
}

// P16, P22 [2.22]: what a foreign manifest may make its reader hold.
static void
test_depth_and_attributes_have_limits(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    char *deep = malloc(2 * (RMT_PATH_DEPTH_MAX + 1));
    for (size_t i = 0; i <= RMT_PATH_DEPTH_MAX; i++)
        memcpy(deep + 2 * i, "d/", 2);
    deep[2 * RMT_PATH_DEPTH_MAX - 1] = '\0';
    rmt_entry_t entry = entry_of(deep, S_IFDIR | 0755);
    RMT_OK(rmt_entry_check(&entry, &error));
    deep[2 * RMT_PATH_DEPTH_MAX - 1] = '/';
    deep[2 * RMT_PATH_DEPTH_MAX + 1] = '\0';
    entry = entry_of(deep, S_IFDIR | 0755);
    RMT_FAILS(rmt_entry_check(&entry, &error), RMT_E_CORRUPT);
    free(deep);

    enum { COUNT = 65 }; // Of 64 KiB: a little over 4 MiB
    char names[COUNT][16];
    rmt_xattr_t xattrs[COUNT];
    char *value = calloc(1, 65536);
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "user.%03zu", i);
        xattrs[i] = (rmt_xattr_t){names[i], value, 65536};
    }
    entry = entry_of("a", S_IFREG | 0644);
    entry.xattrs = xattrs;
    entry.xattr_count = 60;
    RMT_OK(rmt_entry_check(&entry, &error));
    entry.xattr_count = COUNT;
    RMT_FAILS(rmt_entry_check(&entry, &error), RMT_E_CORRUPT);
    free(value);
    entry.xattr_count = RMT_XATTR_COUNT_MAX + 1;
    RMT_FAILS(rmt_entry_check(&entry, &error), RMT_E_TOO_BIG);
}

// Foreign bytes: no memory is taken for what is beyond the limit.
static void
test_a_million_attributes_are_refused_before_they_are_held(void **state)
{
    (void) state;
    enum { MANY = 1000000 };
    char(*names)[16] = malloc(MANY * sizeof *names);
    rmt_xattr_t *xattrs = calloc(MANY, sizeof *xattrs);
    assert_true(names && xattrs);
    for (size_t i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "user.%07zu", i);
        xattrs[i] = (rmt_xattr_t){names[i], "", 0};
    }
    rmt_entry_t entry = entry_of("a", S_IFREG | 0644);
    entry.xattrs = xattrs;
    static const size_t counts[] = {RMT_XATTR_COUNT_MAX, RMT_XATTR_COUNT_MAX + 1, MANY};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        uint8_t *data = NULL;
        size_t used = 0, size = 0;
        entry.xattr_count = counts[i];
        rmt_entry_encode(&entry, &data, &used, &size);
        rmt_auto(rmt_entry_buffer) room = rmt_entry_buffer_new();
        rmt_entry_t found;
        rmt_error_t error = {0};
        struct rusage before, after;
        assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
        assert_int_equal(rmt_entry_decode(data, used, room, &found, &error),
                         i == 0 ? 0 : -1);
        assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
        assert_true(after.ru_maxrss - before.ru_maxrss < 4096); // KiB
        free(data);
    }
    free(xattrs);
    free(names);
}

// [2.18]: paths are compared as bytes.
static void
test_order_is_by_components(void **state)
{
    (void) state;
    static const char *const rising[] = {"",      "a",   "a/b", "a/b/c", "a/c",
                                         "a\x01", "a b", "a.b", "aa",    "b\xff"};
    const size_t count = sizeof rising / sizeof rising[0];
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++) {
            const int found = rmt_path_compare(rising[i], strlen(rising[i]), rising[j],
                                               strlen(rising[j]));
            assert_int_equal((found > 0) - (found < 0), (i > j) - (i < j));
        }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries_come_back_as_they_were),
        cmocka_unit_test(test_an_entry_has_the_bytes_of_the_vector),
        cmocka_unit_test(test_foreign_bytes_are_refused),
        cmocka_unit_test(test_an_unknown_extra_is_skipped_when_not_critical),
        cmocka_unit_test(test_entries_that_contradict_themselves_are_refused),
        cmocka_unit_test(test_depth_and_attributes_have_limits),
        cmocka_unit_test(test_reserved_runs_are_refused_where_data_is_or_out_of_order),
        cmocka_unit_test(test_a_million_attributes_are_refused_before_they_are_held),
        cmocka_unit_test(test_order_is_by_components),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
