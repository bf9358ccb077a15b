// A store whose power is cut while images are committed to it (P13 [2.12]): no image that
// was acknowledged is lost, and no chunk of any image is damaged.
#include "cuts/power.h"
#include "unit/store_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"

static bool s_is_sync_off; // In the writer of the counter-test

// fsync(2) of this program is the test's own.
int
fsync(int fd)
{
    return s_is_sync_off ? 0 : (int) syscall(SYS_fsync, fd);
}

// The first 40 characters of an id name an image of this test.
static void
s_writer(const char *folder, int acks)
{
    rmt_auto_str root = rmt_text("%s/store", folder);
    rmt_auto(rmt_store) store = fixture_open(root);
    for (uint64_t n = 1;; n++) {
        char text[RMT_ID_TEXT_SIZE];
        const rmt_id_t id = fixture_image(store, n * 1000, 5);
        power_acknowledge(acks, rmt_id_text(&id, text));
    }
}

static void
s_writer_without_sync(const char *folder, int acks)
{
    s_is_sync_off = true;
    s_writer(folder, acks);
}

static bool
s_has(const rmt_records_t *images, const char ack[POWER_ACK_SIZE])
{
    for (size_t i = 0; i < rmt_records_count(images); i++)
        if (strncmp(rmt_record_text(rmt_records_at(images, i), "id", ""), ack,
                    POWER_ACK_SIZE) == 0)
            return true;
    return false;
}

// A store that cannot be opened has lost all.
static void
s_reader(const char *folder, const char *acks, power_loss_t *loss)
{
    rmt_auto_str root = rmt_text("%s/store", folder);
    rmt_error_t error = {0};
    rmt_auto(rmt_store) store = rmt_store_new(root, false, &error);
    rmt_auto(rmt_records) images = store ? rmt_store_image_list(store, &error) : NULL;
    rmt_store_report_t report;
    if (!images || rmt_store_check(store, true, NULL, &report, &error) == -1) {
        loss->lost += loss->acknowledged;
        return;
    }
    loss->damaged += report.missing + report.damaged;
    for (size_t i = 0; i < loss->acknowledged; i++)
        loss->lost += !s_has(images, acks + i * POWER_ACK_SIZE);
}

static const char *const s_file_systems[] = {"ext4", "xfs", "btrfs"};

// P13
static void
test_a_power_cut_loses_no_committed_image(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof s_file_systems / sizeof *s_file_systems; i++) {
        const power_run_t run = {s_file_systems[i], s_writer, s_reader, 60};
        const power_loss_t loss =
            power_cut(&run, power_cuts_asked(10), power_seed_asked());
        assert_true(loss.acknowledged > 0);
        assert_int_equal(loss.lost, 0);
        assert_int_equal(loss.damaged, 0);
    }
}

// The counter-test: without fsync the same cuts do lose images, so a cut can be seen.
static void
test_a_power_cut_is_seen_where_fsync_does_nothing(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof s_file_systems / sizeof *s_file_systems; i++) {
        const power_run_t run = {s_file_systems[i], s_writer_without_sync, s_reader, 60};
        const power_loss_t loss = power_cut(&run, 3, power_seed_asked());
        assert_true(loss.lost + loss.damaged > 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_a_power_cut_loses_no_committed_image,
                                  power_teardown),
        cmocka_unit_test_teardown(test_a_power_cut_is_seen_where_fsync_does_nothing,
                                  power_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
