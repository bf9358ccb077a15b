// A store of which any one call to the kernel fails: what was committed stays readable,
// and the next one who opens it goes on (P13).
#include "store_fixture.h"
#include "tools/refuse_each.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"
#include "store/rmt_gc.h"
#include "store/rmt_scrub.h"

#define CHUNKS 3

typedef struct {
    const char *root;
    char *store;
    rmt_id_t kept;    // An image that no act touches
    rmt_id_t retired; // One that they may remove
    bool adds;        // Whether the act puts the chunk
    rmt_chunk_t chunk;
    uint8_t plain[3000], room[4096];
} scene_t;

static void
s_run(const char *const *arguments)
{
    rmt_error_t error = {0};
    RMT_OK(rmt_process_run(arguments, NULL, NULL, &error));
}

static void
s_copy(void *context)
{
    const scene_t *scene = context;
    rmt_auto_str from = rmt_text("%s/template", scene->root);
    s_run((const char *const[]){"rm", "-rf", scene->store, NULL});
    s_run((const char *const[]){"cp", "-a", from, scene->store, NULL});
}

// A store with two images, a pack that no image needs, and what a dead writer left.
static scene_t *
s_fill(const char *root)
{
    static scene_t scene;
    scene = (scene_t){.root = root, .store = rmt_text("%s/store", root)};
    rmt_auto_str template = rmt_text("%s/template", root);
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = fixture_open(template);
    scene.kept = fixture_image(store, 1, CHUNKS);
    RMT_OK(rmt_store_commit(store, &error));
    scene.retired = fixture_image(store, 100, CHUNKS);
    RMT_OK(rmt_store_commit(store, &error));
    fixture_put(store, 1000, 5000);
    RMT_OK(rmt_store_commit(store, &error));
    memset(scene.plain, 'p', sizeof scene.plain);
    rmt_chunk_make(&scene.chunk, scene.plain, sizeof scene.plain, scene.room);
    return &scene;
}

static int
s_setup(void **state)
{
    // Nothing is read after a power cut here, so memory will do.
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 0);
    if (fixture_setup(state) == -1)
        return -1;
    *state = s_fill(*state);
    return 0;
}

static int
s_teardown(void **state)
{
    scene_t *scene = *state;
    void *root = (void *) (uintptr_t) scene->root;
    free(scene->store);
    return fixture_teardown(&root);
}

// ---- What is done to it

static int
s_put_chunk(rmt_store_t *store, const scene_t *scene, rmt_error_t *error)
{
    return rmt_store_put(store, &scene->chunk, error) == -1 ||
                   rmt_store_commit(store, error) == -1
               ? -1
               : 0;
}

static int
s_add(rmt_store_t *store, const scene_t *scene, rmt_error_t *error)
{
    rmt_auto_ptr data = NULL;
    size_t size;
    rmt_id_t id;
    if (s_put_chunk(store, scene, error) == -1 ||
        rmt_store_image_get(store, &scene->retired, &data, &size, error) == -1)
        return -1;
    return rmt_store_image_put(store, data, size, &id, error);
}

static int
s_look(rmt_store_t *store, const scene_t *scene, rmt_error_t *error)
{
    rmt_store_report_t report;
    if (rmt_store_check(store, true, NULL, &report, error) == -1 ||
        rmt_store_verify(store, &scene->kept, NULL, &report, error) == -1)
        return -1;
    rmt_auto(rmt_records) images = rmt_store_image_list(store, error);
    return images ? 0 : -1;
}

static int
s_gc(rmt_store_t *store, const scene_t *scene, rmt_error_t *error)
{
    rmt_gc_report_t report;
    if (rmt_store_image_retire(store, &scene->retired, INT64_MAX, error) == -1 ||
        rmt_store_gc(store, 0, NULL, &report, error) == -1)
        return -1;
    return rmt_store_gc(store, 0, NULL, &report, error);
}

static int
s_scrub(rmt_store_t *store, const scene_t *scene, rmt_error_t *error)
{
    (void) scene;
    rmt_scrub_report_t report;
    return rmt_store_scrub(store, &(rmt_scrub_options_t){.again = true}, &report, error);
}

#define ACT(name)                                                                        \
    static int name##_act(void *context, rmt_error_t *error)                             \
    {                                                                                    \
        const scene_t *scene = context;                                                  \
        rmt_auto(rmt_store) store = rmt_store_new(scene->store, true, error);            \
        return store ? name(store, scene, error) : -1;                                   \
    }
ACT(s_add)
ACT(s_look)
ACT(s_gc)
ACT(s_scrub)

// ---- What holds after each try

static void
s_assert_kept(void *context, const refused_t *by)
{
    const scene_t *scene = context;
    rmt_error_t error = {0};
    rmt_store_report_t report;
    rmt_auto(rmt_store) store = fixture_open(scene->store);
    RMT_OK(rmt_store_verify(store, &scene->kept, NULL, &report, &error));
    if (report.missing + report.damaged > 0)
        fail_msg("call %zu, %ld: the image lost chunks", by->number, by->call);
    if (scene->adds && by->result == 0)
        fixture_assert_readable(store, &scene->chunk.id);
    RMT_OK(s_put_chunk(store, scene, &error));
    rmt_auto(rmt_store) other = fixture_open(scene->store);
    fixture_assert_readable(other, &scene->chunk.id);
}

static void
s_refuse(scene_t *scene, int (*act)(void *, rmt_error_t *), void (*before)(void *))
{
    const refuse_each_t each = {
        .calls = refuse_each_files,
        .count = refuse_each_files_count,
        .code = EIO,
        .act = act,
        .before = before,
        .after = s_assert_kept,
        .context = scene,
    };
    assert_in_range(refuse_each(&each), 20, 300);
}

static void
test_no_failed_call_of_a_writer_loses_what_was_committed(void **state)
{
    scene_t *scene = *state;
    scene->adds = true;
    s_refuse(scene, s_add_act, s_copy);
}

static void
test_no_failed_call_of_a_reader_changes_the_store(void **state)
{
    s_copy(*state);
    s_refuse(*state, s_look_act, NULL);
}

static void
test_no_failed_call_of_gc_loses_what_an_image_needs(void **state)
{
    s_refuse(*state, s_gc_act, s_copy);
}

// A pack that no image needs is damaged, so that scrub has something to put aside.
static void
s_copy_damaged(void *context)
{
    const scene_t *scene = context;
    s_copy(context);
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = fixture_open(scene->store);
    rmt_store_report_t report;
    for (size_t i = 0; i < fixture_count(scene->store, "packs"); i++) {
        rmt_auto_str pack = fixture_file(scene->store, "packs", i);
        const size_t bit = fixture_size(pack) * 4;
        fixture_flip(pack, bit);
        RMT_OK(rmt_store_verify(store, &scene->kept, NULL, &report, &error));
        if (report.missing + report.damaged == 0)
            return;
        fixture_flip(pack, bit);
    }
    fail();
}

static void
test_no_failed_call_of_scrub_loses_what_is_sound(void **state)
{
    s_refuse(*state, s_scrub_act, s_copy_damaged);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_no_failed_call_of_a_writer_loses_what_was_committed),
        CASE(test_no_failed_call_of_a_reader_changes_the_store),
        CASE(test_no_failed_call_of_gc_loses_what_an_image_needs),
        CASE(test_no_failed_call_of_scrub_loses_what_is_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
