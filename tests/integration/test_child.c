// The end of a writer, as its agent sees it. A shell plays the writer.
#include "tools/rmt_test.h"
#include "tools/rmt_wait.h"

#include "agent/install/child.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "net/rmt_task.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WAIT_MS 20000

static char s_script[] = "/tmp/ramet-child-XXXXXX";
static atomic_bool s_waits, s_has_left;

// Starts the writer and lets go of it at once.
static int
s_leave(rmt_task_t *task, void *context, rmt_error_t *error)
{
    (void) context;
    rmt_auto(rmt_child) child = rmt_child_new(s_script, task, error);
    if (!child)
        return -1;
    atomic_store(&s_waits, true);
    rmt_child_destroy(&child);
    atomic_store(&s_has_left, true);
    return 0;
}

// [6.23]: also when the agent only waits for its writer to end.
static void
test_a_cancel_during_the_wait_reaches_the_writer(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    static const char text[] = "#!/bin/sh\nexec tail -f /dev/null >/dev/null\n";
    const int fd = mkstemp(s_script);
    assert_return_code(fd, 0);
    RMT_OK(rmt_io_write(fd, text, strlen(text), &error));
    assert_int_equal(fchmod(fd, 0700), 0);
    close(fd);
    rmt_msg_t *msg = rmt_msg_new(RMT_MSG_TASK);
    rmt_msg_body(msg);
    const rmt_task_setup_t setup = {s_leave, NULL, "h"};
    rmt_task_t *task = rmt_task_new(&msg, &setup);
    RMT_WAIT_UNTIL(atomic_load(&s_waits), WAIT_MS);
    rmt_pause(300, "the agent looks at the wish to cancel before it waits");
    assert_false(atomic_load(&s_has_left));
    rmt_task_cancel(task);
    RMT_WAIT_UNTIL(atomic_load(&s_has_left), WAIT_MS);
    rmt_task_destroy(&task);
    (void) unlink(s_script);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_cancel_during_the_wait_reaches_the_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
