// The names and inodes of an image, with its volumes where they are mounted.
#include "tools/rmt_test.h"
#include "base/rmt_auto.h"
#include "mount/rmt_image_tree.h"

#include <sys/stat.h>

static rmt_entry_t
s_entry(const char *path, uint32_t mode)
{
    return (rmt_entry_t){
        .path = path, .path_size = strlen(path), .mode = mode, .mtime_s = -5, .uid = 7};
}

static void
s_add(rmt_image_tree_t *tree, const char *path, uint32_t mode)
{
    const rmt_entry_t entry = s_entry(path, mode);
    rmt_error_t error = {0};
    RMT_OK(rmt_image_tree_add(tree, &entry, &error));
}

static void
s_add_symlink(rmt_image_tree_t *tree, const char *path, const char *target)
{
    rmt_entry_t entry = s_entry(path, S_IFLNK | 0777);
    entry.target = target;
    rmt_error_t error = {0};
    RMT_OK(rmt_image_tree_add(tree, &entry, &error));
}

static void
s_add_link(rmt_image_tree_t *tree, const char *path, uint64_t group, bool is_first)
{
    rmt_entry_t entry = s_entry(path, S_IFREG | 0600);
    entry.link_group = group;
    entry.link_first = is_first;
    rmt_error_t error = {0};
    RMT_OK(rmt_image_tree_add(tree, &entry, &error));
}

static void
s_begin(rmt_image_tree_t *tree, const char *mount)
{
    rmt_error_t error = {0};
    RMT_OK(rmt_image_tree_begin(tree, mount, &error));
}

// The inode at the end of a way; fails the test when there is none.
static uint32_t
s_at(const rmt_image_tree_t *tree, const char *way)
{
    uint32_t inode = RMT_IMAGE_TREE_ROOT;
    rmt_auto_str copy = strdup(way);
    char *rest = NULL;
    for (char *word = strtok_r(copy, "/", &rest); word; word = strtok_r(NULL, "/", &rest))
        if (!rmt_image_tree_find(tree, inode, word, &inode))
            fail_msg("there is no %s in %s", word, way);
    return inode;
}

static bool
s_has(const rmt_image_tree_t *tree, const char *folder, const char *name)
{
    uint32_t inode;
    return rmt_image_tree_find(tree, s_at(tree, folder), name, &inode);
}

// A root with a /boot, whose own volume has an ESP below it.
static rmt_image_tree_t *
s_system(void)
{
    rmt_image_tree_t *tree = rmt_image_tree_new();
    s_begin(tree, "/");
    s_add(tree, "", S_IFDIR | 0755);
    s_add(tree, "boot", S_IFDIR | 0700);
    s_add(tree, "boot/hidden", S_IFREG | 0600);
    s_add(tree, "etc", S_IFDIR | 0755);
    s_add(tree, "etc/a", S_IFREG | 0644);
    s_add_symlink(tree, "far", "/mnt/../etc/deep");
    s_add(tree, "etc.d", S_IFDIR | 0755);
    s_begin(tree, "/boot");
    s_add(tree, "", S_IFDIR | 0750);
    s_add(tree, "efi", S_IFDIR | 0755);
    s_add(tree, "vmlinuz", S_IFREG | 0644);
    s_begin(tree, "/boot/efi");
    s_add(tree, "", S_IFDIR | 0711);
    s_add(tree, "EFI", S_IFDIR | 0755);
    return tree;
}

static void
test_volumes_are_where_they_are_mounted(void **state)
{
    (void) state;
    rmt_auto(rmt_image_tree) tree = s_system();
    rmt_image_tree_finish(tree);
    assert_true(s_has(tree, "/boot", "vmlinuz"));
    assert_true(s_has(tree, "/boot/efi", "EFI"));
    assert_false(s_has(tree, "/boot", "hidden"));
    assert_int_equal(rmt_image_tree_inode(tree, s_at(tree, "/boot"))->mode,
                     S_IFDIR | 0750);
    assert_int_equal(rmt_image_tree_inode(tree, s_at(tree, "/boot/efi"))->mode,
                     S_IFDIR | 0711);
    assert_int_equal(rmt_image_tree_parent(tree, s_at(tree, "/boot/efi")),
                     s_at(tree, "/boot"));
    // 2, and boot, etc, etc.d
    assert_int_equal(rmt_image_tree_inode(tree, RMT_IMAGE_TREE_ROOT)->links, 5);
    rmt_image_tree_counts_t counts;
    rmt_image_tree_count(tree, &counts);
    assert_int_equal(counts.inodes, 9); // Without what is hidden
}

static void
test_mount_points_that_are_missing_or_behind_symlinks(void **state)
{
    (void) state;
    rmt_auto(rmt_image_tree) tree = s_system();
    s_begin(tree, "/far");
    s_add(tree, "", S_IFDIR | 0701);
    s_add(tree, "x", S_IFREG | 0600);
    s_begin(tree, "/srv/new/");
    s_add(tree, "", S_IFDIR | 0702);
    rmt_image_tree_finish(tree);
    assert_true(s_has(tree, "/etc/deep", "x"));
    assert_int_equal(rmt_image_tree_inode(tree, s_at(tree, "/srv"))->mode,
                     S_IFDIR | 0755);
    assert_int_equal(rmt_image_tree_inode(tree, s_at(tree, "/srv/new"))->mode,
                     S_IFDIR | 0702);
}

static void
test_ways_that_lead_nowhere_are_refused(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_image_tree) tree = s_system();
    s_begin(tree, "/srv");
    s_add(tree, "", S_IFDIR | 0755);
    s_add_symlink(tree, "round", "/srv/round");
    assert_int_equal(rmt_image_tree_begin(tree, "/srv/round", &error), -1);
    assert_string_equal(error.text,
                        "mount a volume at /srv/round: too many symlinks on the way");
    assert_int_equal(rmt_image_tree_begin(tree, "/etc/a/b", &error), -1);
    assert_string_equal(error.text,
                        "mount a volume at /etc/a/b: 'a' on the way is not a folder");
}

static void
test_names_are_found_and_listed_in_byte_order(void **state)
{
    (void) state;
    rmt_auto(rmt_image_tree) tree = rmt_image_tree_new();
    s_begin(tree, "");
    s_add(tree, "", S_IFDIR | 0755);
    static const char *const names[] = {"\x01", "a",        "a b", "a\n",
                                        "b",    "\xc3\xa4", "\xff"};
    const size_t count = sizeof names / sizeof *names;
    for (size_t i = count; i-- > 0;)
        s_add(tree, names[i], S_IFREG | 0600);
    rmt_image_tree_finish(tree);
    const char *before = "";
    uint32_t inode, found;
    for (size_t i = 0; i < count; i++) {
        const char *name = rmt_image_tree_name(tree, RMT_IMAGE_TREE_ROOT, i, &inode);
        assert_true(strcmp(before, name) < 0);
        assert_true(rmt_image_tree_find(tree, RMT_IMAGE_TREE_ROOT, names[i], &found));
        before = name;
    }
    assert_null(rmt_image_tree_name(tree, RMT_IMAGE_TREE_ROOT, count, &inode));
    assert_false(rmt_image_tree_find(tree, RMT_IMAGE_TREE_ROOT, "aa", &found));
}

static void
test_hard_links_are_one_inode_of_their_volume(void **state)
{
    (void) state;
    rmt_auto(rmt_image_tree) tree = rmt_image_tree_new();
    s_begin(tree, "/");
    s_add(tree, "", S_IFDIR | 0755);
    s_add_link(tree, "a", 1, true);
    s_add_link(tree, "b", 1, false);
    s_add(tree, "home", S_IFDIR | 0755);
    s_begin(tree, "/home");
    s_add(tree, "", S_IFDIR | 0755);
    s_add_link(tree, "c", 1, true);
    rmt_image_tree_finish(tree);
    assert_int_equal(s_at(tree, "/a"), s_at(tree, "/b"));
    assert_int_not_equal(s_at(tree, "/a"), s_at(tree, "/home/c"));
    assert_int_equal(rmt_image_tree_inode(tree, s_at(tree, "/a"))->links, 2);
    assert_int_equal(rmt_image_tree_inode(tree, s_at(tree, "/home/c"))->links, 1);
}

static void
test_entries_out_of_place_are_refused(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_image_tree) tree = rmt_image_tree_new();
    s_begin(tree, "/");
    s_add(tree, "", S_IFDIR | 0755);
    const rmt_entry_t lost = s_entry("a/b", S_IFREG | 0600);
    assert_int_equal(rmt_image_tree_add(tree, &lost, &error), -1);
    assert_int_equal(error.code, RMT_E_CORRUPT);
    rmt_entry_t later = s_entry("z", S_IFREG | 0600);
    later.link_group = 4;
    assert_int_equal(rmt_image_tree_add(tree, &later, &error), -1);
    assert_string_equal(error.text, "/z is a link to no file");
}

static void
test_all_of_an_entry_but_its_path_comes_back(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    rmt_auto(rmt_image_tree) tree = rmt_image_tree_new();
    s_begin(tree, "/");
    s_add(tree, "", S_IFDIR | 0755);
    const rmt_extent_t runs[] = {{4096, 10}, {8192, 20}};
    rmt_entry_t entry = s_entry("f", S_IFREG | 0640);
    entry.size = 10000;
    entry.sparse = true;
    entry.extents = runs;
    entry.extent_count = 2;
    const rmt_id_t chunk = {{RMT_ID_SHA256, 9}};
    const uint32_t size = 30;
    entry.chunks = &chunk;
    entry.chunk_sizes = &size;
    entry.chunk_count = 1;
    RMT_OK(rmt_image_tree_add(tree, &entry, &error));
    rmt_image_tree_finish(tree);
    const uint32_t inode = s_at(tree, "/f");
    assert_int_equal(rmt_image_tree_inode(tree, inode)->data_size, 30);
    assert_int_equal(rmt_image_tree_inode(tree, inode)->mtime_s, -5);
    rmt_auto(rmt_entry_buffer) room = rmt_entry_buffer_new();
    rmt_entry_t back;
    RMT_OK(rmt_image_tree_entry(tree, inode, room, &back, &error));
    assert_true(back.sparse && back.extent_count == 2 && back.chunk_count == 1);
    assert_true(rmt_id_equal(back.chunks, &chunk));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_volumes_are_where_they_are_mounted),
        cmocka_unit_test(test_mount_points_that_are_missing_or_behind_symlinks),
        cmocka_unit_test(test_ways_that_lead_nowhere_are_refused),
        cmocka_unit_test(test_names_are_found_and_listed_in_byte_order),
        cmocka_unit_test(test_hard_links_are_one_inode_of_their_volume),
        cmocka_unit_test(test_entries_out_of_place_are_refused),
        cmocka_unit_test(test_all_of_an_entry_but_its_path_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
