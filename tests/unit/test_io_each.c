// Files that are saved while any one call to the kernel fails: the old file or the new
// one is there, and a key that is read is the key (P13, P18).
#include "tools/refuse_each.h"
#include "tools/rmt_test.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "base/rmt_guarded.h"
#include "base/rmt_io.h"
#include "crypto/rmt_key.h"

#define ANOTHER "nothing is said, and it is another"

static char s_folder[64];
static char s_path[80];
static rmt_key_t s_key;

static int
s_setup(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    snprintf(s_folder, sizeof s_folder, "%s/ramet-io-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(s_folder))
        return -1;
    snprintf(s_path, sizeof s_path, "%s/file", s_folder);
    return rmt_key_new(&s_key, &error);
}

static int
s_teardown(void **state)
{
    rmt_error_t error = {0};
    (void) state;
    return rmt_io_remove_tree(s_folder, &error);
}

static void
s_refuse(int (*act)(void *, rmt_error_t *), void (*before)(void *),
         void (*after)(void *, const refused_t *))
{
    const refuse_each_t each = {
        .calls = refuse_each_files,
        .count = refuse_each_files_count,
        .code = EIO,
        .act = act,
        .before = before,
        .after = after,
    };
    assert_in_range(refuse_each(&each), 3, 100);
}

// ---- Saving

static void
s_save_old(void *context)
{
    rmt_error_t error = {0};
    (void) context;
    RMT_OK(rmt_io_save(s_path, "old", 3, 0600, &error));
}

static int
s_save_new(void *context, rmt_error_t *error)
{
    (void) context;
    return rmt_io_save(s_path, "new", 3, 0600, error);
}

static size_t
s_count_names(void)
{
    size_t count = 0;
    DIR *folder = opendir(s_folder);
    assert_non_null(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count - 2; // "." and ".."
}

// A failed save leaves the old file: at most its name could not be made durable.
static void
s_assert_whole(void *context, const refused_t *by)
{
    rmt_error_t error = {0};
    rmt_auto_ptr data = NULL;
    size_t size = 0;
    refuse_each_assert_told(context, by);
    RMT_OK(rmt_io_load(s_path, 100, &data, &size, &error));
    assert_int_equal(size, 3);
    if (by->result == 0)
        assert_memory_equal(data, "new", 3);
    else
        assert_true(memcmp(data, "old", 3) == 0 || memcmp(data, "new", 3) == 0);
    if (s_count_names() != 1)
        fail_msg("call %zu, %ld: a temporary file is left", by->number, by->call);
}

static void
test_a_saved_file_is_the_old_one_or_the_new_one(void **state)
{
    (void) state;
    s_refuse(s_save_new, s_save_old, s_assert_whole);
}

// ---- Folders

#define TREE "a/b/c"

static int
s_make(void *context, rmt_error_t *error)
{
    (void) context;
    rmt_auto_str path = rmt_text("%s/" TREE, s_folder);
    return rmt_io_mkdirs(path, 0755, error);
}

static void
s_assert_made(void *context, const refused_t *by)
{
    refuse_each_assert_told(context, by);
    rmt_auto_str path = rmt_text("%s/" TREE, s_folder);
    if (by->result == 0)
        assert_int_equal(access(path, F_OK), 0);
    rmt_error_t error = {0};
    rmt_auto_str top = rmt_text("%s/a", s_folder);
    if (access(top, F_OK) == 0)
        RMT_OK(rmt_io_remove_tree(top, &error));
}

static void
test_a_folder_is_made_or_the_failure_is_told(void **state)
{
    (void) state;
    s_refuse(s_make, NULL, s_assert_made);
}

static void
s_fill(void *context)
{
    rmt_error_t error = {0};
    RMT_OK(s_make(context, &error));
    rmt_auto_str file = rmt_text("%s/a/b/file", s_folder);
    RMT_OK(rmt_io_save(file, "x", 1, 0600, &error));
}

static int
s_remove(void *context, rmt_error_t *error)
{
    (void) context;
    rmt_auto_str path = rmt_text("%s/a", s_folder);
    return rmt_io_remove_tree(path, error);
}

static void
s_assert_removed(void *context, const refused_t *by)
{
    (void) context; // A folder that cannot be read is one that is not empty
    rmt_auto_str path = rmt_text("%s/a", s_folder);
    if (by->result == 0 && access(path, F_OK) == 0)
        fail_msg("call %zu, %ld: the tree is still there", by->number, by->call);
}

static void
test_a_tree_is_removed_or_the_failure_is_told(void **state)
{
    (void) state;
    s_refuse(s_remove, s_fill, s_assert_removed);
}

// ---- Keys

static int
s_load_key(void *context, rmt_error_t *error)
{
    (void) context;
    rmt_key_t key;
    if (rmt_key_load(&key, s_path, error) == -1)
        return -1;
    return memcmp(&key, &s_key, sizeof key) == 0
               ? 0
               : rmt_fail(error, RMT_E_INTERNAL, ANOTHER);
}

static void
test_a_key_that_is_read_is_the_key(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    RMT_OK(rmt_key_save(&s_key, s_path, &error));
    s_refuse(s_load_key, NULL, refuse_each_assert_told);
}

static int
s_save_key(void *context, rmt_error_t *error)
{
    (void) context;
    return rmt_key_save(&s_key, s_path, error);
}

// No moment has a key that others can read.
static void
s_assert_closed(void *context, const refused_t *by)
{
    struct stat status;
    refuse_each_assert_told(context, by);
    if (stat(s_path, &status) == 0)
        assert_int_equal(status.st_mode & 07777, 0600);
    else
        assert_int_equal(by->result, -1);
    (void) unlink(s_path);
}

static void
test_a_key_that_is_saved_is_closed_to_others(void **state)
{
    (void) state;
    s_refuse(s_save_key, NULL, s_assert_closed);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_saved_file_is_the_old_one_or_the_new_one),
        CASE(test_a_folder_is_made_or_the_failure_is_told),
        CASE(test_a_tree_is_removed_or_the_failure_is_told),
        CASE(test_a_key_that_is_read_is_the_key),
        CASE(test_a_key_that_is_saved_is_closed_to_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
