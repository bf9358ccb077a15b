#include "tools/rmt_test.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "store/rmt_list.h"
#include "store/rmt_manifest.h"

// ---- Chunks in memory

typedef struct {
    rmt_id_t id;
    size_t size;
    uint8_t *plain;
} s_kept_t;

typedef struct {
    s_kept_t *kept;
    size_t count;
    size_t last; // Found last; the next one is often behind it
} s_shelf_t;

static int
s_keep(void *context, const rmt_chunk_t *chunk, rmt_error_t *error)
{
    s_shelf_t *shelf = context;
    shelf->kept = realloc(shelf->kept, (shelf->count + 1) * sizeof *shelf->kept);
    s_kept_t *kept = &shelf->kept[shelf->count++];
    kept->id = chunk->id;
    kept->size = chunk->plain_size;
    kept->plain = malloc(chunk->plain_size);
    return rmt_chunk_open(chunk, kept->plain, error);
}

static s_kept_t *
s_find(s_shelf_t *shelf, const rmt_id_t *id)
{
    for (size_t i = 0; i < shelf->count; i++) {
        const size_t at = (shelf->last + 1 + i) % shelf->count;
        if (!rmt_id_equal(&shelf->kept[at].id, id))
            continue;
        shelf->last = at;
        return &shelf->kept[at];
    }
    return NULL;
}

static int
s_give(void *context, const rmt_id_t *id, void *plain_out, size_t *size_out,
       rmt_error_t *error)
{
    const s_kept_t *kept = s_find(context, id);
    if (!kept)
        return rmt_fail(error, RMT_E_NOT_FOUND, "no such chunk");
    memcpy(plain_out, kept->plain, kept->size);
    *size_out = kept->size;
    return 0;
}

static void
s_clear(s_shelf_t *shelf)
{
    for (size_t i = 0; i < shelf->count; i++)
        free(shelf->kept[i].plain);
    free(shelf->kept);
    *shelf = (s_shelf_t){0};
}

// ---- Entries

static rmt_entry_t
s_entry(const char *path, uint32_t mode)
{
    return (rmt_entry_t){.path = path,
                         .path_size = strlen(path),
                         .mode = mode,
                         .uid = 1000,
                         .gid = 100,
                         .mtime_s = 1700000000,
                         .mtime_ns = 123456789};
}

static rmt_id_t
s_id(uint8_t fill)
{
    rmt_id_t id;
    memset(id.bytes, fill, sizeof id.bytes);
    id.bytes[0] = RMT_ID_SHA256;
    return id;
}

static void
s_assert_same(const rmt_entry_t *a, const rmt_entry_t *b)
{
    assert_string_equal(a->path, b->path);
    assert_int_equal(a->path_size, b->path_size);
    assert_int_equal(a->mode, b->mode);
    assert_int_equal(a->uid, b->uid);
    assert_int_equal(a->gid, b->gid);
    assert_int_equal(a->mtime_s, b->mtime_s);
    assert_int_equal(a->mtime_ns, b->mtime_ns);
    assert_int_equal(a->size, b->size);
    assert_int_equal(a->rdev_major, b->rdev_major);
    assert_int_equal(a->rdev_minor, b->rdev_minor);
    assert_int_equal(!a->target, !b->target);
    if (a->target)
        assert_string_equal(a->target, b->target);
    assert_int_equal(a->link_group, b->link_group);
    assert_int_equal(a->link_first, b->link_first);
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->project, b->project);
    assert_int_equal(a->sparse, b->sparse);
    assert_int_equal(a->fuzzy, b->fuzzy);
    assert_int_equal(a->unreadable, b->unreadable);
    assert_int_equal(a->xattr_count, b->xattr_count);
    for (size_t i = 0; i < a->xattr_count; i++) {
        assert_string_equal(a->xattrs[i].name, b->xattrs[i].name);
        assert_int_equal(a->xattrs[i].value_size, b->xattrs[i].value_size);
        assert_memory_equal(a->xattrs[i].value, b->xattrs[i].value,
                            a->xattrs[i].value_size);
    }
    assert_int_equal(a->extent_count, b->extent_count);
    for (size_t i = 0; i < a->extent_count; i++) {
        assert_int_equal(a->extents[i].offset, b->extents[i].offset);
        assert_int_equal(a->extents[i].size, b->extents[i].size);
    }
    assert_int_equal(a->hints, b->hints);
    assert_int_equal(a->extent_size, b->extent_size);
    assert_int_equal(a->cow_extent_size, b->cow_extent_size);
    assert_int_equal(a->reserved_count, b->reserved_count);
    for (size_t i = 0; i < a->reserved_count; i++) {
        assert_int_equal(a->reserved[i].offset, b->reserved[i].offset);
        assert_int_equal(a->reserved[i].size, b->reserved[i].size);
    }
    assert_int_equal(a->chunk_count, b->chunk_count);
    for (size_t i = 0; i < a->chunk_count; i++) {
        assert_true(rmt_id_equal(&a->chunks[i], &b->chunks[i]));
        assert_int_equal(a->chunk_sizes[i], b->chunk_sizes[i]);
    }
}

static const rmt_xattr_t s_xattrs[] = {{"security.capability", "\1\0\0\2", 4},
                                       {"user.x", "", 0}};
static const rmt_extent_t s_extents[] = {{0, 4096}, {1ULL << 40, 8192}};
static const rmt_extent_t s_reserved[] = {{8192, 4096}, {INT64_MAX - 9, 9}};
static const uint32_t s_sizes[] = {12000, 288};
static rmt_id_t s_ids[2];

// One entry of every kind, with every field in use somewhere, in manifest order.
static size_t
s_all_kinds(rmt_entry_t entries[16])
{
    size_t n = 0;
    s_ids[0] = s_id(0x11);
    s_ids[1] = s_id(0x22);
    entries[n++] = s_entry("", S_IFDIR | 0755);
    entries[n++] = s_entry("dev", S_IFDIR | 01777);
    entries[n] = s_entry("dev/null", S_IFCHR | 0666);
    entries[n].rdev_major = 1;
    entries[n++].rdev_minor = 3;
    entries[n] = s_entry("dev/sda", S_IFBLK | 0660);
    entries[n++].rdev_major = 8;
    entries[n] = s_entry("dev.txt", S_IFREG | 04755);
    entries[n].mtime_s = -5;
    entries[n].size = 12288;
    entries[n].chunks = s_ids;
    entries[n].chunk_sizes = s_sizes;
    entries[n].chunk_count = 2;
    entries[n].xattrs = s_xattrs;
    entries[n].xattr_count = 2;
    entries[n].link_group = 1ULL << 60;
    entries[n].link_first = true;
    entries[n].flags = 0x10;
    entries[n].project = 7;
    entries[n++].fuzzy = true;
    entries[n++] = s_entry("empty", S_IFREG | 0600);
    entries[n] = s_entry("link", S_IFREG | 04755);
    entries[n].size = 12288;
    entries[n++].link_group = 1ULL << 60;
    entries[n] = s_entry("lost", S_IFREG | 0600);
    entries[n].size = 99;
    entries[n++].unreadable = true;
    entries[n++] = s_entry("pipe", S_IFIFO | 0600);
    entries[n++] = s_entry("socket", S_IFSOCK | 0600);
    entries[n] = s_entry("sparse", S_IFREG | 0600);
    entries[n].size = UINT64_MAX / 2;
    entries[n].sparse = true;
    entries[n].extents = s_extents;
    entries[n].extent_count = 2;
    entries[n].hints = 0x800;
    entries[n].extent_size = 65536;
    entries[n].reserved = s_reserved;
    entries[n].reserved_count = 2;
    entries[n].chunks = s_ids;
    entries[n].chunk_sizes = s_sizes;
    entries[n++].chunk_count = 2;
    entries[n] = s_entry("sparse-hole", S_IFREG | 0600);
    entries[n].size = 1 << 20;
    entries[n++].sparse = true;
    entries[n] = s_entry("symlink \xff\n", S_IFLNK | 0777);
    entries[n++].target = "../\xfe target";
    return n;
}

static void
test_entries_come_back_as_they_were(void **state)
{
    (void) state;
    rmt_entry_t entries[16];
    const size_t count = s_all_kinds(entries);
    rmt_auto(rmt_entry_room) room = rmt_entry_room_new();
    for (size_t i = 0; i < count; i++) {
        uint8_t *data = NULL;
        size_t used = 0, size = 0;
        rmt_entry_encode(&entries[i], &data, &used, &size);
        rmt_entry_t back;
        rmt_error_t error = {0};
        RMT_OK(rmt_entry_decode(data, used, room, &back, &error));
        s_assert_same(&entries[i], &back);
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
    rmt_entry_t entry = s_entry("etc/hosts", S_IFREG | 0644);
    const rmt_id_t id = s_id(0xab);
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
    rmt_auto(rmt_entry_room) room = rmt_entry_room_new();
    rmt_entry_t entry;
    rmt_error_t error = {0};
    RMT_FAILS(rmt_entry_decode(data, size, room, &entry, &error), code);
}

// "0001 61 a4 83 02 00 00 00 00" is an empty file "a", mode 0100644.
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
        {"000161a48302000000000700", RMT_OK},              // Sparse, nothing in it
        {"000161a4830200000000070003", RMT_E_CORRUPT},     // Order of extras
        {"000161a4830200000000290100", RMT_E_UNSUPPORTED}, // Critical, number 20
        {"000161a4830200000000280100", RMT_OK},            // Unknown, not critical
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
        if (rows[i].code != RMT_OK)
            s_assert_refused(rows[i].hex, rows[i].code);
}

static void
test_an_unknown_extra_is_skipped_when_not_critical(void **state)
{
    (void) state;
    static const uint8_t data[] = {0, 1, 'a', 0xa4, 0x83, 2, 0, 0, 0, 0, 0x28, 1, 0};
    rmt_auto(rmt_entry_room) room = rmt_entry_room_new();
    rmt_entry_t entry;
    rmt_error_t error = {0};
    RMT_OK(rmt_entry_decode(data, sizeof data, room, &entry, &error));
    assert_string_equal(entry.path, "a");
}

static void
test_entries_that_contradict_themselves_are_refused(void **state)
{
    (void) state;
    rmt_entry_t bad[24];
    size_t n = 0;
    s_ids[0] = s_ids[1] = s_id(0x11);
    static const rmt_extent_t touching[] = {{0, 10}, {10, 10}};
    static const rmt_extent_t behind[] = {{UINT64_MAX - 1, 10}};
    static const rmt_extent_t empty[] = {{5, 0}};
    static const rmt_xattr_t unsorted[] = {{"user.b", "", 0}, {"user.a", "", 0}};
    static const char *const paths[] = {"/a", "a/", "a//b", "a/../b", "./a", "a/."};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        bad[n++] = s_entry(paths[i], S_IFREG | 0644);
    bad[n++] = s_entry("", S_IFREG | 0644);
    bad[n++] = s_entry("a", 0644);
    bad[n++] = s_entry("a", S_IFREG | 0200000);
    bad[n++] = s_entry("a", S_IFLNK | 0777); // No target
    bad[n] = s_entry("a", S_IFDIR | 0755);
    bad[n++].size = 5;
    bad[n] = s_entry("a", S_IFDIR | 0755);
    bad[n++].link_group = 5;
    bad[n] = s_entry("a", S_IFREG | 0644);
    bad[n++].link_first = true;
    bad[n] = s_entry("a", S_IFREG | 0644);
    bad[n++].rdev_minor = 1;
    bad[n] = s_entry("a", S_IFREG | 0644);
    bad[n++].size = 12289; // And no chunks
    const rmt_extent_t *const extents[] = {touching, behind, empty};
    for (size_t i = 0; i < 3; i++) {
        bad[n] = s_entry("a", S_IFREG | 0644);
        bad[n].size = 20;
        bad[n].sparse = true;
        bad[n].extents = extents[i];
        bad[n++].extent_count = i == 0 ? 2 : 1;
    }
    bad[n] = s_entry("a", S_IFREG | 0644);
    bad[n].xattrs = unsorted;
    bad[n++].xattr_count = 2;
    for (size_t i = 0; i < n; i++) {
        rmt_error_t error = {0};
        RMT_FAILS(rmt_entry_check(&bad[i], &error), RMT_E_CORRUPT);
    }
    rmt_error_t error = {0};
    char *longest = calloc(1, RMT_PATH_SIZE_MAX + 2);
    memset(longest, 'a', RMT_PATH_SIZE_MAX + 1);
    bad[0] = s_entry(longest, S_IFREG | 0644);
    RMT_FAILS(rmt_entry_check(&bad[0], &error), RMT_E_TOO_BIG);
    free(longest);
}

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
    s_ids[0] = s_id(0x11);
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        rmt_entry_t entry = s_entry("a", S_IFREG | 0644);
        entry.size = 100000;
        entry.sparse = true;
        entry.extents = &data;
        entry.extent_count = 1;
        entry.chunks = s_ids;
        entry.chunk_sizes = sizes;
        entry.chunk_count = 1;
        entry.reserved = runs[i];
        entry.reserved_count = 2;
        rmt_error_t error = {0};
        if (rmt_entry_check(&entry, &error) != -1 || error.code != RMT_E_CORRUPT)
            fail_msg("row %zu was taken", i);
    }
    rmt_entry_t folder = s_entry("a", S_IFDIR | 0755);
    folder.reserved = s_reserved;
    folder.reserved_count = 1;
    rmt_error_t error = {0};
    assert_int_equal(rmt_entry_check(&folder, &error), -1);
}

// P16, P22: what a foreign manifest may make its reader hold.
static void
test_depth_and_attributes_have_limits(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    char *deep = malloc(2 * (RMT_PATH_DEPTH_MAX + 1));
    for (size_t i = 0; i <= RMT_PATH_DEPTH_MAX; i++)
        memcpy(deep + 2 * i, "d/", 2);
    deep[2 * RMT_PATH_DEPTH_MAX - 1] = '\0';
    rmt_entry_t entry = s_entry(deep, S_IFDIR | 0755);
    RMT_OK(rmt_entry_check(&entry, &error));
    deep[2 * RMT_PATH_DEPTH_MAX - 1] = '/';
    deep[2 * RMT_PATH_DEPTH_MAX + 1] = '\0';
    entry = s_entry(deep, S_IFDIR | 0755);
    assert_int_equal(rmt_entry_check(&entry, &error), -1);
    free(deep);

    enum { COUNT = 65 }; // Of 64 KiB: a little over 4 MiB
    char names[COUNT][16];
    rmt_xattr_t xattrs[COUNT];
    char *value = calloc(1, 65536);
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "user.%03zu", i);
        xattrs[i] = (rmt_xattr_t){names[i], value, 65536};
    }
    entry = s_entry("a", S_IFREG | 0644);
    entry.xattrs = xattrs;
    entry.xattr_count = 60;
    RMT_OK(rmt_entry_check(&entry, &error));
    entry.xattr_count = COUNT;
    assert_int_equal(rmt_entry_check(&entry, &error), -1);
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
    rmt_entry_t entry = s_entry("a", S_IFREG | 0644);
    entry.xattrs = xattrs;
    static const size_t counts[] = {RMT_XATTR_COUNT_MAX, RMT_XATTR_COUNT_MAX + 1, MANY};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        uint8_t *data = NULL;
        size_t used = 0, size = 0;
        entry.xattr_count = counts[i];
        rmt_entry_encode(&entry, &data, &used, &size);
        rmt_auto(rmt_entry_room) room = rmt_entry_room_new();
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

// ---- Manifests

static void
s_write(s_shelf_t *shelf, const rmt_entry_t *entries, size_t count, rmt_id_t *root_out)
{
    rmt_auto(rmt_manifest_writer) writer = rmt_manifest_writer_new(s_keep, shelf);
    rmt_error_t error = {0};
    for (size_t i = 0; i < count; i++)
        RMT_OK(rmt_manifest_writer_add(writer, &entries[i], &error));
    RMT_OK(rmt_manifest_writer_finish(writer, root_out, &error));
}

static void
test_a_manifest_comes_back_as_it_was(void **state)
{
    (void) state;
    s_shelf_t shelf = {0};
    rmt_entry_t entries[16];
    const size_t count = s_all_kinds(entries);
    rmt_id_t root, again;
    s_write(&shelf, entries, count, &root);
    s_write(&shelf, entries, count, &again);
    assert_true(rmt_id_equal(&root, &again));
    rmt_error_t error = {0};
    rmt_auto(rmt_manifest_reader) reader =
        rmt_manifest_reader_new(&root, s_give, &shelf, &error);
    RMT_OK(reader);
    rmt_entry_t entry;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(rmt_manifest_reader_next(reader, &entry, &error), 1);
        s_assert_same(&entries[i], &entry);
    }
    assert_int_equal(rmt_manifest_reader_next(reader, &entry, &error), 0);
    s_clear(&shelf);
}

static void
test_a_manifest_has_the_root_of_the_vector(void **state)
{
    (void) state;
    s_shelf_t shelf = {0};
    rmt_entry_t entries[16];
    const size_t count = s_all_kinds(entries);
    rmt_id_t root;
    s_write(&shelf, entries, count, &root);
    char text[RMT_ID_TEXT_SIZE];
    assert_string_equal(
        rmt_id_text(&root, text),
        "0159e02cb6ed3c29ce743c14de38553a19e2f866a8dec5b5fee834e5c97576cfa5");
    s_clear(&shelf);
}

// The three entries of the specification's vector.
static void
test_the_manifest_of_the_small_vector_is_written(void **state)
{
    (void) state;
    s_shelf_t shelf = {0};
    static const char hosts[] = "127.0.0.1 localhost\n";
    const uint32_t size = sizeof hosts - 1;
    rmt_id_t id, root;
    rmt_id_compute(&id, hosts, size);
    const rmt_entry_t entries[] = {
        {.path = "", .mode = S_IFDIR | 0755},
        {.path = "etc", .path_size = 3, .mode = S_IFDIR | 0755},
        {.path = "etc/hosts",
         .path_size = 9,
         .mode = S_IFREG | 0644,
         .size = size,
         .chunks = &id,
         .chunk_sizes = &size,
         .chunk_count = 1},
    };
    s_write(&shelf, entries, 3, &root);
    char text[RMT_ID_TEXT_SIZE];
    assert_int_equal(shelf.count, 2);
    assert_string_equal(
        rmt_id_text(&shelf.kept[0].id, text),
        "01e6a3e54262ea36e404515ddc5a77df21699f062f7a990421c536cd4528438ae1");
    assert_string_equal(
        rmt_id_text(&root, text),
        "014405e1e05e110ee590483d6116a4de82f2764e190a4aca17b05e49babff9d532");
    s_clear(&shelf);
}

static void
test_the_writer_refuses_disorder(void **state)
{
    (void) state;
    static const char *const wrong[][3] = {
        {"a", NULL, NULL}, // Does not begin with the root
        {"", "", NULL},    // Twice
        {"", "b", "a"},    // Out of order
        {"", "a/b", NULL}, // Folder missing
        {"", "a", "a/b"},  // In a file
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        s_shelf_t shelf = {0};
        rmt_auto(rmt_manifest_writer) writer = rmt_manifest_writer_new(s_keep, &shelf);
        rmt_error_t error = {0};
        int result = 0;
        for (size_t j = 0; j < 3 && wrong[i][j]; j++) {
            assert_int_equal(result, 0);
            const rmt_entry_t entry =
                s_entry(wrong[i][j], *wrong[i][j] ? S_IFREG | 0644 : S_IFDIR | 0755);
            result = rmt_manifest_writer_add(writer, &entry, &error);
        }
        assert_int_equal(result, -1);
        assert_int_equal(error.code, RMT_E_USAGE);
        s_clear(&shelf);
    }
}

// A big tree: 300,000 files in 3,000 folders, one chunk each.
#define FOLDERS 3000
#define FILES 100

static size_t
s_write_tree(rmt_manifest_writer_t *writer, unsigned changed)
{
    rmt_error_t error = {0};
    rmt_entry_t entry = s_entry("", S_IFDIR | 0755);
    RMT_OK(rmt_manifest_writer_add(writer, &entry, &error));
    size_t count = 1;
    for (unsigned folder = 0; folder < FOLDERS; folder++) {
        char path[128];
        snprintf(path, sizeof path, "package-%05u", folder);
        entry = s_entry(path, S_IFDIR | 0755);
        RMT_OK(rmt_manifest_writer_add(writer, &entry, &error));
        count++;
        for (unsigned file = 0; file < FILES; file++, count++) {
            snprintf(path, sizeof path, "package-%05u/some-module-%03u.py", folder, file);
            const uint32_t size = 5000 + file;
            uint8_t seed[8];
            const uint64_t number = count + (count == changed ? 1000000 : 0);
            memcpy(seed, &number, 8);
            rmt_id_t id;
            rmt_id_compute(&id, seed, 8);
            entry = s_entry(path, S_IFREG | 0644);
            entry.mtime_s += folder;
            entry.size = size;
            entry.chunks = &id;
            entry.chunk_sizes = &size;
            entry.chunk_count = 1;
            RMT_OK(rmt_manifest_writer_add(writer, &entry, &error));
        }
    }
    return count;
}

static void
test_a_big_tree_streams_and_shares_what_is_unchanged(void **state)
{
    (void) state;
    s_shelf_t shelf = {0}, other = {0};
    rmt_auto(rmt_manifest_writer) writer = rmt_manifest_writer_new(s_keep, &shelf);
    const size_t count = s_write_tree(writer, 0);
    rmt_id_t root;
    rmt_error_t error = {0};
    RMT_OK(rmt_manifest_writer_finish(writer, &root, &error));

    rmt_auto(rmt_manifest_reader) reader =
        rmt_manifest_reader_new(&root, s_give, &shelf, &error);
    RMT_OK(reader);
    size_t chunk_count = 0;
    assert_non_null(rmt_manifest_reader_chunks(reader, &chunk_count));
    assert_int_equal(chunk_count, shelf.count - 1);
    size_t seen = 0;
    rmt_entry_t entry;
    while (rmt_manifest_reader_next(reader, &entry, &error) == 1)
        seen++;
    assert_int_equal(error.code, RMT_OK);
    assert_int_equal(seen, count);

    // One changed file: its chunk, perhaps one beside it, and the root are new.
    rmt_auto(rmt_manifest_writer) second = rmt_manifest_writer_new(s_keep, &other);
    s_write_tree(second, 150000);
    RMT_OK(rmt_manifest_writer_finish(second, &root, &error));
    size_t fresh = 0;
    for (size_t i = 0; i < other.count; i++)
        fresh += !s_find(&shelf, &other.kept[i].id);
    assert_in_range(fresh, 2, 6);
    s_clear(&shelf);
    s_clear(&other);
}

// More chunks than one root can name: lists come in between.
static void
test_more_ids_than_a_root_holds_go_to_lists(void **state)
{
    (void) state;
    const size_t count = 2 * RMT_LIST_IDS_MAX + 5;
    s_shelf_t shelf = {0};
    rmt_list_t list = {.entries = 7, .size = 8}, back = {0};
    for (size_t i = 0; i < count; i++) {
        rmt_id_t id = s_id((uint8_t) i);
        memcpy(id.bytes + 1, &i, sizeof i);
        rmt_buffer_add(&list.ids, id.bytes, RMT_ID_SIZE);
    }
    void *room = malloc(RMT_CHUNK_STORED_MAX);
    rmt_id_t root;
    rmt_error_t error = {0};
    RMT_OK(rmt_list_write(&list, room, s_keep, &shelf, &root, &error));
    assert_int_equal(shelf.count, 4);
    RMT_OK(rmt_list_read(&back, &root, room, s_give, &shelf, &error));
    assert_int_equal(back.list_count, 3);
    assert_int_equal(back.entries, 7);
    assert_int_equal(back.size, 8);
    assert_int_equal(back.ids.used, (3 + count) * RMT_ID_SIZE);
    assert_memory_equal(back.ids.data + 3 * RMT_ID_SIZE, list.ids.data, list.ids.used);
    rmt_buffer_clear(&list.ids);
    rmt_buffer_clear(&back.ids);
    free(room);
    s_clear(&shelf);
}

static int
s_read_all(s_shelf_t *shelf, const rmt_id_t *root, rmt_error_t *error)
{
    rmt_auto(rmt_manifest_reader) reader =
        rmt_manifest_reader_new(root, s_give, shelf, error);
    if (!reader)
        return -1;
    rmt_entry_t entry;
    int found;
    while ((found = rmt_manifest_reader_next(reader, &entry, error)) == 1)
        continue;
    return found;
}

// A source that lies (the name matches, the bytes do not make sense) is refused.
static void
test_a_damaged_manifest_is_refused_wherever_it_is_cut(void **state)
{
    (void) state;
    s_shelf_t shelf = {0};
    rmt_entry_t entries[16];
    const size_t count = s_all_kinds(entries);
    rmt_id_t root;
    s_write(&shelf, entries, count, &root);
    for (size_t i = 0; i < shelf.count; i++) {
        const size_t size = shelf.kept[i].size;
        for (size_t cut = 1; cut <= size; cut++) {
            shelf.kept[i].size = size - cut;
            rmt_error_t error = {0};
            assert_int_equal(s_read_all(&shelf, &root, &error), -1);
            assert_int_not_equal(error.code, RMT_OK);
        }
        shelf.kept[i].size = size;
    }
    rmt_error_t error = {0};
    RMT_OK(s_read_all(&shelf, &root, &error));
    s_clear(&shelf);
}

static void
test_an_unknown_version_or_feature_is_refused(void **state)
{
    (void) state;
    s_shelf_t shelf = {0};
    rmt_entry_t entries[16];
    const size_t count = s_all_kinds(entries);
    rmt_id_t root;
    s_write(&shelf, entries, count, &root);
    s_kept_t *kept = s_find(&shelf, &root);
    static const size_t places[] = {8, 12};
    for (size_t i = 0; i < 2; i++) {
        kept->plain[places[i]] ^= 2;
        rmt_error_t error = {0};
        RMT_FAILS(s_read_all(&shelf, &root, &error), RMT_E_UNSUPPORTED);
        kept->plain[places[i]] ^= 2;
    }
    s_clear(&shelf);
}

static void
test_a_missing_chunk_is_told(void **state)
{
    (void) state;
    s_shelf_t shelf = {0};
    rmt_entry_t entries[16];
    rmt_id_t root;
    s_write(&shelf, entries, s_all_kinds(entries), &root);
    for (size_t i = 0; i < shelf.count; i++) {
        shelf.kept[i].id.bytes[20] ^= 1;
        rmt_error_t error = {0};
        RMT_FAILS(s_read_all(&shelf, &root, &error), RMT_E_NOT_FOUND);
        shelf.kept[i].id.bytes[20] ^= 1;
    }
    s_clear(&shelf);
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
        cmocka_unit_test(test_a_manifest_comes_back_as_it_was),
        cmocka_unit_test(test_a_manifest_has_the_root_of_the_vector),
        cmocka_unit_test(test_the_manifest_of_the_small_vector_is_written),
        cmocka_unit_test(test_the_writer_refuses_disorder),
        cmocka_unit_test(test_a_big_tree_streams_and_shares_what_is_unchanged),
        cmocka_unit_test(test_more_ids_than_a_root_holds_go_to_lists),
        cmocka_unit_test(test_a_damaged_manifest_is_refused_wherever_it_is_cut),
        cmocka_unit_test(test_an_unknown_version_or_feature_is_refused),
        cmocka_unit_test(test_a_missing_chunk_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
