// A store whose disk refuses a step says which one, and for which file, and keeps all
// that was committed before (P13).
#include "store_fixture.h"
#include "tools/refuse.h"
#include "tools/rmt_child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "base/rmt_failpoint.h"
#include "base/rmt_io.h"
#include "store/rmt_batch.h"
#include "store/rmt_image.h"
#include "store/rmt_slot.h"

#define PACKS_MAX 4
// What fits into a pack of chunks of one byte.
#define PACK_ENDS_SIZE 96
#define CHUNKS_OF_A_PACK                                                                 \
    ((uint64_t) ((RMT_PACK_SIZE_MAX - PACK_ENDS_SIZE) /                                  \
                 (RMT_RECORD_HEAD_SIZE + 1 + RMT_SLOT_SIZE)))

typedef struct {
    const char *root;
    rmt_store_t *store;
    uint64_t next; // Number of the next chunk
    rmt_id_t image;
} scene_t;

typedef int(act_fn)(void *scene, rmt_error_t *error);

// A chunk of one byte whose id is its number: the store does not look into it.
static rmt_chunk_t
s_chunk(uint64_t number)
{
    rmt_chunk_t chunk = {.codec = RMT_CODEC_RAW, .plain_size = 1, .size = 1, .data = "r"};
    const uint64_t mixed = number * 0x9e3779b97f4a7c15;
    chunk.id.bytes[0] = RMT_ID_SHA256;
    memcpy(chunk.id.bytes + 1, &mixed, sizeof mixed);
    return chunk;
}

static int
s_put(void *context, rmt_error_t *error)
{
    scene_t *scene = context;
    const rmt_chunk_t chunk = s_chunk(scene->next);
    if (rmt_store_put(scene->store, &chunk, error) == -1)
        return -1;
    scene->next++;
    return 0;
}

static int
s_commit(void *context, rmt_error_t *error)
{
    scene_t *scene = context;
    return rmt_store_commit(scene->store, error);
}

static int
s_commit_with(scene_t *scene, const char *plan, rmt_error_t *error)
{
    return rmt_failpoint_arm(plan, error) == -1 ? -1 : s_commit(scene, error);
}

static int
s_commit_without_second_rename(void *context, rmt_error_t *error)
{
    return s_commit_with(context, "store.commit.rename=error:EIO@2", error);
}

static int
s_commit_without_second_sync(void *context, rmt_error_t *error)
{
    return s_commit_with(context, "io.folder.sync=error:EIO@2", error);
}

// What was put is read before it is committed, so that the open pack must be written.
static int
s_read_own(void *context, rmt_error_t *error)
{
    scene_t *scene = context;
    const rmt_chunk_t own = s_chunk(scene->next - 1);
    rmt_chunk_t chunk;
    if (rmt_store_get(scene->store, &own.id, false, &chunk, error) == 0)
        return 0;
    rmt_error_t again = {0};
    const bool is_final = s_put(scene, &again) == -1 && s_commit(scene, &again) == -1 &&
                          strstr(again.text, "an earlier write of this batch failed");
    return is_final ? -1 : rmt_fail(error, RMT_E_INTERNAL, "the batch went on");
}

// The packs that are open, which a child shares with the test.
typedef struct {
    int fds[PACKS_MAX];
    off_t sizes[PACKS_MAX];
    size_t count;
} packs_t;

static void
s_find_packs(const char *root, packs_t *packs_out)
{
    rmt_auto_str folder = rmt_text("%s/tmp/", root);
    packs_out->count = 0;
    for (int fd = 3; fd < 200 && packs_out->count < PACKS_MAX; fd++) {
        char link[40], path[300] = "";
        struct stat status;
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        if (readlink(link, path, sizeof path - 1) > 0 && fstat(fd, &status) == 0 &&
            S_ISREG(status.st_mode) && strncmp(path, folder, strlen(folder)) == 0) {
            packs_out->sizes[packs_out->count] = status.st_size;
            packs_out->fds[packs_out->count++] = fd;
        }
    }
}

// Take back what a child has written.
static void
s_rewind_packs(const packs_t *packs)
{
    for (size_t i = 0; i < packs->count; i++) {
        assert_int_equal(ftruncate(packs->fds[i], packs->sizes[i]), 0);
        assert_int_equal(lseek(packs->fds[i], 0, SEEK_END), packs->sizes[i]);
    }
}

// One try under a refusal: its error, and that nothing is lost by it.
typedef struct {
    const char *step;
    act_fn *act;
    refusal_t refusal;
    bool is_of_packs; // The call is refused for each open pack
    rmt_code_t code;
    const char *text;
} row_t;

static void
s_try(scene_t *scene, const row_t *row)
{
    packs_t packs;
    s_find_packs(scene->root, &packs);
    refusal_t rows[PACKS_MAX] = {row->refusal};
    size_t count = row->refusal.call >= 0 ? 1 : 0;
    for (size_t i = 0; row->is_of_packs && i < packs.count; i++) {
        rows[i] = (refusal_t){row->refusal.call, row->refusal.code, 0, UINT32_MAX,
                              (uint32_t) packs.fds[i]};
        count = packs.count;
    }
    rmt_error_t error = {0};
    const int rc = refuse_in_child(rows, count, row->act, scene, &error);
    if (rc == 0 || error.code != row->code || !strstr(error.text, row->text))
        fail_msg("%s: %d, %s: %s", row->step, rc, rmt_code_name(error.code), error.text);
    s_rewind_packs(&packs);
}

#define EACH(call_, code_)                                                               \
    {                                                                                    \
        .call = (call_), .code = (code_)                                                 \
    }
#define NONE                                                                             \
    {                                                                                    \
        .call = -1                                                                       \
    }
#define FLAG(call_, code_, argument_, flag_)                                             \
    {                                                                                    \
        (call_), (code_), (argument_), (uint32_t) (flag_), (uint32_t) (flag_)            \
    }

// ---- The first put

static const row_t s_first_rows[] = {
    {"the folder of a batch", s_put, EACH(SYS_mkdir, ENOSPC), false, RMT_E_NO_SPACE,
     "make folder "},
    {"to open it", s_put, FLAG(SYS_openat, EMFILE, 2, O_DIRECTORY), false, RMT_E_IO,
     "lock folder "},
    {"to lock it", s_put, EACH(SYS_flock, ENOLCK), false, RMT_E_IO, "lock folder "},
    {"its status", s_put, FLAG(SYS_newfstatat, EIO, 3, AT_EMPTY_PATH), false, RMT_E_DISK,
     "lock folder "},
    {"a new pack", s_put, FLAG(SYS_openat, ENOSPC, 2, O_EXCL), false, RMT_E_NO_SPACE,
     "create pack "},
};

static void
test_a_put_names_the_step_that_was_refused(void **state)
{
    scene_t scene = {.root = *state};
    rmt_auto(rmt_store) store = fixture_open(*state);
    scene.store = store;
    for (size_t i = 0; i < sizeof s_first_rows / sizeof *s_first_rows; i++)
        s_try(&scene, &s_first_rows[i]);
    rmt_error_t error = {0};
    RMT_OK(s_put(&scene, &error));
    RMT_OK(s_commit(&scene, &error));
}

// ---- A commit

static const row_t s_commit_rows[] = {
    {"to write the pack", s_commit, EACH(SYS_write, ENOSPC), true, RMT_E_NO_SPACE,
     "pack: write "},
    {"to write it for a read", s_read_own, EACH(SYS_write, ENOSPC), true, RMT_E_NO_SPACE,
     "pack: write "},
    {"to sync the pack", s_commit, EACH(SYS_fsync, EIO), true, RMT_E_DISK, "sync pack"},
    {"to close the pack", s_commit, EACH(SYS_close, EIO), true, RMT_E_DISK, "close pack"},
    {"a new index", s_commit, FLAG(SYS_openat, ENOSPC, 2, O_EXCL), false, RMT_E_NO_SPACE,
     "create index "},
    {"to map the index", s_commit, FLAG(SYS_mmap, ENFILE, 3, MAP_SHARED), false, RMT_E_IO,
     "map index "},
    {"to name the pack", s_commit, EACH(SYS_rename, EROFS), false, RMT_E_DISK,
     "publish "},
    {"the folder of packs", s_commit, FLAG(SYS_openat, EMFILE, 2, O_DIRECTORY), false,
     RMT_E_IO, "sync folder "},
    {"to name the index", s_commit_without_second_rename, NONE, false, RMT_E_DISK,
     "publish "},
    {"the folder of indexes", s_commit_without_second_sync, NONE, false, RMT_E_DISK,
     "sync folder "},
};

static void
test_a_commit_names_the_step_that_was_refused_and_loses_nothing(void **state)
{
    scene_t scene = {.root = *state};
    rmt_error_t error = {0};
    rmt_auto(rmt_store) before = fixture_open(*state);
    const rmt_id_t image = fixture_image(before, 1, 3);
    for (size_t i = 0; i < sizeof s_commit_rows / sizeof *s_commit_rows; i++) {
        rmt_auto(rmt_store) store = fixture_open(*state);
        scene.store = store;
        RMT_OK(s_put(&scene, &error));
        s_try(&scene, &s_commit_rows[i]);
        rmt_auto(rmt_store) after = fixture_open(*state);
        scene.store = after;
        rmt_store_report_t report;
        RMT_OK(rmt_store_verify(after, &image, NULL, &report, &error));
        assert_int_equal(report.missing + report.damaged, 0);
        RMT_OK(s_put(&scene, &error));
        RMT_OK(s_commit(&scene, &error));
    }
}

// ---- Images

static int
s_list(void *context, rmt_error_t *error)
{
    scene_t *scene = context;
    rmt_auto(rmt_records) images = rmt_store_image_list(scene->store, error);
    return images ? 0 : -1;
}

static int
s_retire(void *context, rmt_error_t *error)
{
    scene_t *scene = context;
    return rmt_store_image_retire(scene->store, &scene->image, INT64_MAX, error);
}

static int
s_put_image(void *context, rmt_error_t *error)
{
    scene_t *scene = context;
    rmt_auto_ptr data = NULL;
    size_t size;
    rmt_id_t id;
    if (rmt_store_image_get(scene->store, &scene->image, &data, &size, error) == -1)
        return -1;
    return rmt_store_image_put(scene->store, data, size, &id, error);
}

static const row_t s_image_rows[] = {
    {"the folder of images", s_list, FLAG(SYS_openat, EMFILE, 2, O_DIRECTORY), false,
     RMT_E_IO, "open folder "},
    {"their names", s_list, EACH(SYS_getdents64, EIO), false, RMT_E_DISK, "read folder "},
    {"the lock of images, to save one", s_put_image, EACH(SYS_flock, ENOLCK), false,
     RMT_E_IO, "lock "},
    {"the lock of images, to remove one", s_retire, EACH(SYS_flock, ENOLCK), false,
     RMT_E_IO, "lock "},
    {"the names of signatures", s_retire, FLAG(SYS_openat, EMFILE, 2, O_DIRECTORY), false,
     RMT_E_IO, "open folder "},
    {"to read their names", s_retire, EACH(SYS_getdents64, EIO), false, RMT_E_DISK,
     "read folder "},
    {"to remove a signature", s_retire, EACH(SYS_unlinkat, EROFS), false, RMT_E_DISK,
     "remove "},
};

static void
test_an_image_stays_where_a_step_is_refused(void **state)
{
    scene_t scene = {.root = *state};
    rmt_error_t error = {0};
    char text[RMT_ID_TEXT_SIZE];
    rmt_auto(rmt_store) store = fixture_open(*state);
    scene.store = store;
    scene.image = fixture_image(store, 1, 3);
    rmt_auto_str signature =
        rmt_text("%s/images/%s.sig.a", scene.root, rmt_id_text(&scene.image, text));
    RMT_OK(rmt_io_save(signature, "s", 1, 0600, &error));
    for (size_t i = 0; i < sizeof s_image_rows / sizeof *s_image_rows; i++) {
        s_try(&scene, &s_image_rows[i]);
        rmt_store_report_t report;
        RMT_OK(rmt_store_verify(store, &scene.image, NULL, &report, &error));
    }
    assert_int_equal(s_retire(&scene, &error), 1);
    assert_int_equal(fixture_count(scene.root, "images"), 0);
}

static void
s_assert_corrupt(rmt_store_t *store, const char *root, const rmt_id_t *id, size_t size)
{
    rmt_error_t error = {0};
    char text[RMT_ID_TEXT_SIZE];
    rmt_auto_str path = rmt_text("%s/images/%s", root, rmt_id_text(id, text));
    rmt_auto_ptr data = calloc(1, size);
    memset(data, 0xff, size);
    RMT_OK(rmt_io_save(path, data, size, 0600, &error));
    rmt_auto(rmt_records) records = rmt_image_load(store, id, &error);
    RMT_FAILS(records, RMT_E_CORRUPT);
}

// P14: what lies in the place of an image and is none.
static void
test_what_is_no_image_is_not_delivered_and_not_saved(void **state)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = fixture_open(*state);
    rmt_id_t id;
    rmt_id_compute(&id, "\xff\xff", 2);
    s_assert_corrupt(store, *state, &id, 2);
    s_assert_corrupt(store, *state, &id, 3);
    s_assert_corrupt(store, *state, &id, RMT_IMAGE_SIZE_MAX + 1);
    RMT_FAILS(rmt_store_image_put(store, "\xff\xff", 2, &id, &error), RMT_E_CORRUPT);
    assert_non_null(strstr(error.text, "check the image: descriptor"));
}

static void
test_a_batch_without_chunks_publishes_nothing(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    rmt_error_t error = {0};
    rmt_auto(rmt_batch) batch = rmt_batch_new(*state, &error);
    RMT_OK(batch);
    RMT_OK(rmt_batch_flush(batch, &error));
    RMT_OK(rmt_batch_publish(batch, &error));
    assert_int_equal(fixture_count(*state, "packs") + fixture_count(*state, "index"), 0);
    rmt_batch_destroy(&batch);
    rmt_batch_destroy(&batch);
    assert_int_equal(fixture_count(*state, "tmp"), 0);
}

// ---- More slots than fit into memory

static void
s_put_many(scene_t *scene, uint64_t count)
{
    rmt_error_t error = {0};
    for (uint64_t i = 0; i < count; i++)
        if (s_put(scene, &error) == -1)
            fail_msg("put %" PRIu64 ": %s", scene->next, error.text);
}

static void
s_assert_has(scene_t *scene, uint64_t number, bool is_there)
{
    const rmt_chunk_t chunk = s_chunk(number);
    assert_int_equal(rmt_store_has(scene->store, &chunk.id), is_there);
}

static const row_t s_full_rows[] = {
    {"to write the end of a full pack", s_put, EACH(SYS_write, ENOSPC), true,
     RMT_E_NO_SPACE, "pack: write "},
    {"to sync the pack before it", s_put, EACH(SYS_fsync, EIO), true, RMT_E_DISK,
     "sync pack"},
    {"an index of its own", s_put, FLAG(SYS_openat, ENOSPC, 2, O_EXCL), false,
     RMT_E_NO_SPACE, "create index "},
    {"to map it", s_put, FLAG(SYS_mmap, ENFILE, 3, MAP_SHARED), false, RMT_E_IO,
     "map index "},
};

// Give the slot of a chunk in one index another number of its pack; returns the one
// before.
static uint32_t
s_change_slot(const char *path, const rmt_id_t *id, uint32_t pack)
{
    const size_t size = fixture_size(path);
    rmt_auto_fd fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(data != MAP_FAILED);
    uint8_t *slot = memmem(data, size, id->bytes, RMT_ID_SIZE);
    assert_non_null(slot);
    rmt_slot_t old;
    rmt_slot_decode(&old, slot);
    rmt_slot_t new = old;
    new.pack = pack;
    rmt_slot_encode(slot, &new);
    assert_int_equal(munmap(data, size), 0);
    return old.pack;
}

// The same in each index below tmp: beside the batch's own lies the one of a child that
// was refused to map it, and which of them a folder names first is not said.
static uint32_t
s_change_pack(scene_t *scene, uint64_t number, uint32_t pack)
{
    const rmt_chunk_t chunk = s_chunk(number);
    rmt_auto_str folder = fixture_file(scene->root, "tmp", 0);
    rmt_auto_str inside = rmt_text("tmp/%s", strrchr(folder, '/') + 1);
    uint32_t old = UINT32_MAX;
    for (size_t i = 0; i < fixture_count(scene->root, inside); i++) {
        rmt_auto_str path = fixture_file(scene->root, inside, i);
        const char *end = strrchr(path, '.');
        if (end && strcmp(end, ".index") == 0)
            old = s_change_slot(path, &chunk.id, pack);
    }
    return old;
}

// A million slots go to an index of the batch's own, and are found there; one that names
// no pack is none.
static void
test_a_batch_of_over_a_million_chunks_keeps_each(void **state)
{
    scene_t scene = {.root = *state};
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = fixture_open(*state);
    scene.store = store;
    s_put_many(&scene, 2 * CHUNKS_OF_A_PACK);
    s_assert_has(&scene, 0, true);
    for (size_t i = 0; i < sizeof s_full_rows / sizeof *s_full_rows; i++)
        s_try(&scene, &s_full_rows[i]);
    const uint64_t last = scene.next;
    s_put_many(&scene, 1);
    s_assert_has(&scene, 0, true);
    s_assert_has(&scene, last, true);
    s_assert_has(&scene, last + 1, false);
    const rmt_chunk_t first = s_chunk(0);
    rmt_chunk_t chunk;
    RMT_OK(rmt_store_get(store, &first.id, false, &chunk, &error));
    assert_memory_equal(chunk.data, "r", 1);
    const uint32_t pack = s_change_pack(&scene, 1, UINT32_MAX);
    s_assert_has(&scene, 1, false);
    (void) s_change_pack(&scene, 1, pack);
    RMT_OK(s_commit(&scene, &error));
    for (uint64_t number = 0; number <= last; number += last / 100)
        s_assert_has(&scene, number, true);
    s_assert_has(&scene, last, true);
}

static int
s_put_until_it_fails(void *context, rmt_error_t *error)
{
    for (uint64_t i = 0; i < CHUNKS_OF_A_PACK; i++)
        if (s_put(context, error) == -1)
            return -1;
    return 0;
}

static void
test_a_put_that_fills_the_buffer_names_the_step_that_was_refused(void **state)
{
    scene_t scene = {.root = *state};
    rmt_auto(rmt_store) store = fixture_open(*state);
    scene.store = store;
    s_put_many(&scene, 1);
    static const row_t row = {"to write a full buffer", s_put_until_it_fails,
                              EACH(SYS_write, ENOSPC),  true,
                              RMT_E_NO_SPACE,           "pack: write "};
    s_try(&scene, &row);
}

// ---- A sweeper takes the folder of a batch away before it is locked

static void
s_remove_tmp(const char *root)
{
    rmt_error_t error = {0};
    rmt_auto_str folder = fixture_file(root, "tmp", 0);
    RMT_OK(rmt_io_remove_tree(folder, &error));
}

static void
s_sweep_while_stopped(const char *root, const char *plan)
{
    rmt_error_t error = {0};
    const pid_t child = fork();
    if (child == 0) {
        rmt_auto(rmt_batch) batch = NULL;
        if (rmt_failpoint_arm(plan, &error) == 0)
            batch = rmt_batch_new(root, &error);
        const bool is_there = batch && access(rmt_batch_folder(batch), F_OK) == 0;
        rmt_batch_destroy(&batch);
        rmt_child_end(is_there ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
    s_remove_tmp(root);
    assert_int_equal(kill(child, SIGCONT), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(fixture_count(root, "tmp"), 0);
}

static void
test_a_batch_whose_folder_is_swept_makes_another(void **state)
{
    rmt_auto(rmt_store) store = fixture_open(*state);
    s_sweep_while_stopped(*state, "store.batch.open=stop@1");
    s_sweep_while_stopped(*state, "store.batch.lock=stop@1");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int
main(void)
{
    // A refusal loses nothing of what the kernel has, so memory will do.
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0);
    const struct CMUnitTest tests[] = {
        CASE(test_a_put_names_the_step_that_was_refused),
        CASE(test_a_commit_names_the_step_that_was_refused_and_loses_nothing),
        CASE(test_an_image_stays_where_a_step_is_refused),
        CASE(test_what_is_no_image_is_not_delivered_and_not_saved),
        CASE(test_a_batch_without_chunks_publishes_nothing),
        CASE(test_a_put_that_fills_the_buffer_names_the_step_that_was_refused),
        CASE(test_a_batch_of_over_a_million_chunks_keeps_each),
        CASE(test_a_batch_whose_folder_is_swept_makes_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
