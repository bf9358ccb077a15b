// In which order a store calls the disk. fsync(2) and rename(2) of this program are the
// test's own: they write down what they were asked for, then do it, or fail.
#include "store_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#define CALLS_MAX 200

typedef struct {
    bool is_rename;
    char path[200], old[200]; // Below the store; old: of a rename
} call_t;

static struct {
    char root[200];
    call_t calls[CALLS_MAX];
    size_t count, syncs;
    size_t failing;   // The sync that fails, from 1; 0: none
    size_t failed_at; // Its call; SIZE_MAX: it did not come
    size_t folders;   // That were there when the format got its name
} s_log = {.failed_at = SIZE_MAX};

static void
s_note(bool is_rename, const char *path, const char *old)
{
    const size_t size = strlen(s_log.root);
    if (size == 0 || strncmp(path, s_log.root, size) != 0)
        return;
    assert_true(s_log.count < CALLS_MAX);
    call_t *call = &s_log.calls[s_log.count++];
    call->is_rename = is_rename;
    snprintf(call->path, sizeof call->path, "%s", path + size + 1);
    snprintf(call->old, sizeof call->old, "%s", old ? old + size + 1 : "");
}

int
fsync(int fd)
{
    char link[40], path[200] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t size = readlink(link, path, sizeof path - 1);
    assert_true(size > 0);
    s_note(false, path, NULL);
    if (*s_log.root && ++s_log.syncs == s_log.failing) {
        s_log.failed_at = s_log.count - 1;
        errno = EIO;
        return -1;
    }
    return (int) syscall(SYS_fsync, fd);
}

static const char *const s_folders[] = {"packs", "index", "images", "trash", "tmp"};
#define FOLDER_COUNT (sizeof s_folders / sizeof *s_folders)

static size_t
s_count_folders(void)
{
    size_t count = 0;
    for (size_t i = 0; i < FOLDER_COUNT; i++) {
        struct stat status;
        rmt_auto_str path = rmt_text("%s/%s", s_log.root, s_folders[i]);
        count += stat(path, &status) == 0 && S_ISDIR(status.st_mode);
    }
    return count;
}

int
rename(const char *old, const char *new)
{
    s_note(true, new, old);
    if (*s_log.root && strcmp(strrchr(new, '/'), "/format") == 0)
        s_log.folders = s_count_folders();
    return (int) syscall(SYS_renameat2, -1, old, -1, new, 0);
}

static void
s_watch(const char *root, size_t failing)
{
    memset(&s_log, 0, sizeof s_log);
    snprintf(s_log.root, sizeof s_log.root, "%s", root);
    s_log.failing = failing;
    s_log.failed_at = SIZE_MAX;
}

static int
s_teardown(void **state)
{
    *s_log.root = '\0';
    return fixture_teardown(state);
}

// The first call at or behind from whose path begins so. Fails when there is none.
static size_t
s_find(bool is_rename, const char *start, size_t from)
{
    for (size_t i = from; i < s_log.count; i++)
        if (s_log.calls[i].is_rename == is_rename &&
            strncmp(s_log.calls[i].path, start, strlen(start)) == 0)
            return i;
    fail_msg("no %s of %s", is_rename ? "rename" : "fsync", start);
    return 0;
}

// The number of the rename into folder, which is the only one. What is renamed was synced
// before, and the folder is synced behind it, before call number next.
static size_t
s_assert_durable(const char *folder, size_t next)
{
    rmt_auto_str below = rmt_text("%s/", folder);
    const size_t at = s_find(true, below, 0);
    assert_true(s_find(false, s_log.calls[at].old, 0) < at);
    size_t sync = s_find(false, folder, at);
    while (strcmp(s_log.calls[sync].path, folder) != 0)
        sync = s_find(false, folder, sync + 1);
    assert_true(sync < next);
    return at;
}

// [2.12] packs, then the index that names them, then the image that needs them; each is
// durable before the next one is visible.
static void
test_what_is_named_is_durable_before_what_names_it(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    s_watch(*state, 0);
    fixture_image(store, 1, 20);
    const size_t image = s_assert_durable("images", SIZE_MAX);
    const size_t index = s_assert_durable("index", image);
    const size_t pack = s_assert_durable("packs", index);
    assert_true(pack < index && index < image);
    assert_int_equal(strncmp(s_log.calls[pack].old, "tmp/", 4), 0);
    assert_int_equal(strncmp(s_log.calls[index].old, "tmp/", 4), 0);
}

// [2.13] whichever fsync fails: nothing is made visible behind it, the same batch is not
// tried again, and a new one succeeds.
static void
test_after_a_failed_sync_nothing_becomes_visible(void **state)
{
    size_t failing = 0;
    for (bool is_over = false; !is_over;) {
        rmt_error_t error = {0};
        rmt_auto_str root = rmt_text("%s/%zu", (char *) *state, ++failing);
        rmt_auto(rmt_store) store = fixture_open(root);
        s_watch(root, failing);
        const rmt_id_t id = fixture_put(store, 1, 1000);
        if (rmt_store_commit(store, &error) == 0) {
            is_over = true;
            continue;
        }
        assert_int_equal(error.code, RMT_E_DISK);
        for (size_t i = s_log.failed_at; i < s_log.count; i++)
            assert_false(s_log.calls[i].is_rename);
        RMT_FAILS(rmt_store_commit(store, &error), RMT_E_IO);
        rmt_store_rollback(store);
        fixture_put(store, 1, 1000);
        RMT_OK(rmt_store_commit(store, &error));
        uint8_t plain[1000];
        size_t size = 0;
        RMT_OK(rmt_store_read(store, &id, plain, &size, &error));
    }
    assert_true(failing > 4); // Pack, index, and their two folders
    assert_int_equal(s_log.failed_at, SIZE_MAX);
}

// [2.7] a folder with the file has all that belongs to a store.
static void
test_the_format_is_written_last(void **state)
{
    rmt_auto_str root = rmt_text("%s/new", (char *) *state);
    s_watch(root, 0);
    rmt_auto(rmt_store) store = fixture_open(root);
    assert_true(s_find(true, "format", 0) < s_log.count);
    assert_int_equal(s_log.folders, FOLDER_COUNT);
}

typedef struct {
    char name[300];
    rmt_id_t id;
} file_t;

static size_t
s_list_files(const char *root, file_t *files, size_t room)
{
    static const char *const folders[] = {"packs", "index", "images"};
    size_t count = 0;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        for (size_t n = 0; n < fixture_count(root, folders[i]); n++) {
            rmt_error_t error = {0};
            rmt_auto_str path = fixture_file(root, folders[i], n);
            rmt_auto_ptr data = NULL;
            size_t size = 0;
            assert_true(count < room);
            RMT_OK(rmt_io_load(path, 1 << 26, &data, &size, &error));
            rmt_id_compute(&files[count].id, data, size);
            snprintf(files[count++].name, sizeof files->name, "%s", path);
        }
    return count;
}

// [2.8] what a name has stood for once, it stands for until it is gone.
static void
test_a_file_never_changes_under_its_name(void **state)
{
    enum { ROOM = 200, ROUNDS = 30 };
    static file_t before[ROOM], after[ROOM];
    rmt_auto(rmt_store) store = fixture_open(*state);
    size_t count = 0, kept = 0;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        fixture_image(store, 100 * (round % 20), 10); // The last ones are there already
        const size_t now = s_list_files(*state, after, ROOM);
        for (size_t i = 0; i < count; i++)
            for (size_t k = 0; k < now; k++)
                if (strcmp(before[i].name, after[k].name) == 0) {
                    assert_true(rmt_id_equal(&before[i].id, &after[k].id));
                    kept++;
                }
        memcpy(before, after, sizeof before);
        count = now;
    }
    assert_true(kept > ROUNDS);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, s_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_what_is_named_is_durable_before_what_names_it),
        CASE(test_after_a_failed_sync_nothing_becomes_visible),
        CASE(test_the_format_is_written_last),
        CASE(test_a_file_never_changes_under_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
