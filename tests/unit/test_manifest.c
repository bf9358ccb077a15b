// lib/store: manifests as chunks, written and read.
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
s_write(shelf_t *shelf, const rmt_entry_t *entries, size_t count, rmt_id_t *root_out)
{
    rmt_auto(rmt_manifest_writer) writer = rmt_manifest_writer_new(shelf_keep, shelf);
    rmt_error_t error = {0};
    for (size_t i = 0; i < count; i++)
        RMT_OK(rmt_manifest_writer_add(writer, &entries[i], &error));
    RMT_OK(rmt_manifest_writer_finish(writer, root_out, &error));
}

static void
test_a_manifest_comes_back_as_it_was(void **state)
{
    (void) state;
    shelf_t shelf = {0};
    rmt_entry_t entries[16];
    const size_t count = entries_of_all_kinds(entries);
    rmt_id_t root, again;
    s_write(&shelf, entries, count, &root);
    s_write(&shelf, entries, count, &again);
    assert_true(rmt_id_equal(&root, &again));
    rmt_error_t error = {0};
    rmt_auto(rmt_manifest_reader) reader =
        rmt_manifest_reader_new(&root, shelf_give, &shelf, &error);
    RMT_OK(reader);
    rmt_entry_t entry;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(rmt_manifest_reader_next(reader, &entry, &error), 1);
        entry_assert_same(&entries[i], &entry);
    }
    assert_int_equal(rmt_manifest_reader_next(reader, &entry, &error), 0);
    shelf_clear(&shelf);
}

static void
test_a_manifest_has_the_root_of_the_vector(void **state)
{
    (void) state;
    shelf_t shelf = {0};
    rmt_entry_t entries[16];
    const size_t count = entries_of_all_kinds(entries);
    rmt_id_t root;
    s_write(&shelf, entries, count, &root);
    char text[RMT_ID_TEXT_SIZE];
    assert_string_equal(
        rmt_id_text(&root, text),
        "0159e02cb6ed3c29ce743c14de38553a19e2f866a8dec5b5fee834e5c97576cfa5");
    shelf_clear(&shelf);
}

// [2.20]: The three entries of the specification's vector.
static void
test_the_manifest_of_the_small_vector_is_written(void **state)
{
    (void) state;
    shelf_t shelf = {0};
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
    shelf_clear(&shelf);
}

// [2.18] [2.19]: a file is no folder either.
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
        shelf_t shelf = {0};
        rmt_auto(rmt_manifest_writer) writer =
            rmt_manifest_writer_new(shelf_keep, &shelf);
        rmt_error_t error = {0};
        int result = 0;
        for (size_t j = 0; j < 3 && wrong[i][j]; j++) {
            assert_int_equal(result, 0);
            const rmt_entry_t entry =
                entry_of(wrong[i][j], *wrong[i][j] ? S_IFREG | 0644 : S_IFDIR | 0755);
            result = rmt_manifest_writer_add(writer, &entry, &error);
        }
        RMT_FAILS(result, RMT_E_USAGE);
        shelf_clear(&shelf);
    }
}

// A big tree: 300,000 files in 3,000 folders, one chunk each.
#define FOLDERS 3000
#define FILES 100

static size_t
s_write_tree(rmt_manifest_writer_t *writer, unsigned changed)
{
    rmt_error_t error = {0};
    rmt_entry_t entry = entry_of("", S_IFDIR | 0755);
    RMT_OK(rmt_manifest_writer_add(writer, &entry, &error));
    size_t count = 1;
    for (unsigned folder = 0; folder < FOLDERS; folder++) {
        char path[128];
        snprintf(path, sizeof path, "package-%05u", folder);
        entry = entry_of(path, S_IFDIR | 0755);
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
            entry = entry_of(path, S_IFREG | 0644);
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
    shelf_t shelf = {0}, other = {0};
    rmt_auto(rmt_manifest_writer) writer = rmt_manifest_writer_new(shelf_keep, &shelf);
    const size_t count = s_write_tree(writer, 0);
    rmt_id_t root;
    rmt_error_t error = {0};
    RMT_OK(rmt_manifest_writer_finish(writer, &root, &error));

    rmt_auto(rmt_manifest_reader) reader =
        rmt_manifest_reader_new(&root, shelf_give, &shelf, &error);
    RMT_OK(reader);
    size_t chunk_count = 0;
    assert_non_null(rmt_manifest_reader_chunks(reader, &chunk_count));
    assert_int_equal(chunk_count, shelf.count - 1);
    size_t seen = 0;
    rmt_entry_t entry;
    while (rmt_manifest_reader_next(reader, &entry, &error) == 1)
        seen++;
    assert_int_equal(error.code, RMT_E_OK);
    assert_int_equal(seen, count);

    // One changed file: its chunk, perhaps one beside it, and the root are new.
    rmt_auto(rmt_manifest_writer) second = rmt_manifest_writer_new(shelf_keep, &other);
    s_write_tree(second, 150000);
    RMT_OK(rmt_manifest_writer_finish(second, &root, &error));
    size_t fresh = 0;
    for (size_t i = 0; i < other.count; i++)
        fresh += !shelf_find(&shelf, &other.kept[i].id);
    assert_in_range(fresh, 2, 6);
    shelf_clear(&shelf);
    shelf_clear(&other);
}

// More chunks than one root can name: lists come in between.
static void
test_more_ids_than_a_root_holds_go_to_lists(void **state)
{
    (void) state;
    const size_t count = 2 * RMT_LIST_IDS_MAX + 5;
    shelf_t shelf = {0};
    rmt_list_t list = {.entries = 7, .size = 8}, back = {0};
    for (size_t i = 0; i < count; i++) {
        rmt_id_t id = id_of((uint8_t) i);
        memcpy(id.bytes + 1, &i, sizeof i);
        rmt_buffer_add(&list.ids, id.bytes, RMT_ID_SIZE);
    }
    void *room = malloc(RMT_CHUNK_STORED_MAX);
    rmt_id_t root;
    rmt_error_t error = {0};
    RMT_OK(rmt_list_write(&list, room, shelf_keep, &shelf, &root, &error));
    assert_int_equal(shelf.count, 4);
    RMT_OK(rmt_list_read(&back, &root, room, shelf_give, &shelf, &error));
    assert_int_equal(back.list_count, 3);
    assert_int_equal(back.entries, 7);
    assert_int_equal(back.size, 8);
    assert_int_equal(back.ids.used, (3 + count) * RMT_ID_SIZE);
    assert_memory_equal(back.ids.data + 3 * RMT_ID_SIZE, list.ids.data, list.ids.used);
    rmt_buffer_clear(&list.ids);
    rmt_buffer_clear(&back.ids);
    free(room);
    shelf_clear(&shelf);
}

static int
s_read_all(shelf_t *shelf, const rmt_id_t *root, rmt_error_t *error)
{
    rmt_auto(rmt_manifest_reader) reader =
        rmt_manifest_reader_new(root, shelf_give, shelf, error);
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
    shelf_t shelf = {0};
    rmt_entry_t entries[16];
    const size_t count = entries_of_all_kinds(entries);
    rmt_id_t root;
    s_write(&shelf, entries, count, &root);
    for (size_t i = 0; i < shelf.count; i++) {
        const size_t size = shelf.kept[i].size;
        for (size_t cut = 1; cut <= size; cut++) {
            shelf.kept[i].size = size - cut;
            rmt_error_t error = {0};
            RMT_FAILS(s_read_all(&shelf, &root, &error), RMT_E_CORRUPT);
        }
        shelf.kept[i].size = size;
    }
    rmt_error_t error = {0};
    RMT_OK(s_read_all(&shelf, &root, &error));
    shelf_clear(&shelf);
}

// [2.2]: the reader does not guess.
static void
test_an_unknown_version_or_feature_is_refused(void **state)
{
    (void) state;
    shelf_t shelf = {0};
    rmt_entry_t entries[16];
    const size_t count = entries_of_all_kinds(entries);
    rmt_id_t root;
    s_write(&shelf, entries, count, &root);
    shelf_kept_t *kept = shelf_find(&shelf, &root);
    static const size_t places[] = {8, 12};
    for (size_t i = 0; i < 2; i++) {
        kept->plain[places[i]] ^= 2;
        rmt_error_t error = {0};
        RMT_FAILS(s_read_all(&shelf, &root, &error), RMT_E_UNSUPPORTED);
        kept->plain[places[i]] ^= 2;
    }
    shelf_clear(&shelf);
}

static void
test_a_missing_chunk_is_told(void **state)
{
    (void) state;
    shelf_t shelf = {0};
    rmt_entry_t entries[16];
    rmt_id_t root;
    s_write(&shelf, entries, entries_of_all_kinds(entries), &root);
    for (size_t i = 0; i < shelf.count; i++) {
        shelf.kept[i].id.bytes[20] ^= 1;
        rmt_error_t error = {0};
        RMT_FAILS(s_read_all(&shelf, &root, &error), RMT_E_NOT_FOUND);
        shelf.kept[i].id.bytes[20] ^= 1;
    }
    shelf_clear(&shelf);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
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
