// Failpoints do what their plan says, at the time it says, and nothing before.
#include "tools/rmt_child.h"
#include "tools/rmt_test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rmt_clock.h"
#include "base/rmt_failpoint.h"

static int
s_pass(void)
{
    return RMT_FAILPOINT("test.point");
}

static void
s_arm(const char *plan)
{
    rmt_error_t error = {0};
    rmt_failpoint_arm(plan, &error);
    assert_string_equal(error.text, "");
}

static int
s_disarm(void **state)
{
    (void) state;
    s_arm(NULL);
    return 0;
}

// How a child ends that comes by the point: by a plan of its environment, or by one that
// is armed.
static int
s_status_of_child(const char *environment, const char *plan, int options)
{
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        if (environment)
            setenv("RAMET_FAILPOINT", environment, 1);
        if (plan)
            s_arm(plan);
        rmt_child_end(s_pass() == -1 ? errno : 0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, options), child);
    if (WIFSTOPPED(status)) {
        kill(child, SIGCONT);
        int end = 0;
        assert_int_equal(waitpid(child, &end, 0), child);
        assert_true(WIFEXITED(end) && WEXITSTATUS(end) == 0);
    }
    return status;
}

// First in the list: the environment is read when a program first comes by a point.
static void
test_the_environment_arms_a_program(void **state)
{
    (void) state;
    const int crashed = s_status_of_child("other.point=stop,test.point=crash", NULL, 0);
    assert_true(WIFSIGNALED(crashed) && WTERMSIG(crashed) == SIGKILL);
    const int failed = s_status_of_child("test.point=error:ENOSPC", NULL, 0);
    assert_true(WIFEXITED(failed) && WEXITSTATUS(failed) == ENOSPC);
    const int wrong = s_status_of_child("test.point=explode", NULL, 0);
    assert_true(WIFSIGNALED(wrong) && WTERMSIG(wrong) == SIGABRT);
}

static void
test_a_point_does_nothing_until_it_is_armed(void **state)
{
    (void) state;
    s_arm(NULL);
    errno = EBADF;
    assert_int_equal(s_pass(), 0);
    assert_int_equal(errno, EBADF);
    assert_int_equal(rmt_failpoint_acted(), 0);
}

static void
test_an_error_is_given_with_its_errno(void **state)
{
    (void) state;
    s_arm("test.point=error:ENOSPC");
    for (int i = 0; i < 3; i++) {
        errno = 0;
        assert_int_equal(s_pass(), -1);
        assert_int_equal(errno, ENOSPC);
    }
    assert_int_equal(rmt_failpoint_acted(), 3);
}

static void
test_only_the_nth_time_counts(void **state)
{
    (void) state;
    s_arm("test.point=error:EIO@3");
    static const int expected[] = {0, 0, -1, 0, 0};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(s_pass(), expected[i]);
    assert_int_equal(rmt_failpoint_acted(), 1);
}

static void
test_crash_and_stop_hit_the_whole_program(void **state)
{
    (void) state;
    const int crashed = s_status_of_child(NULL, "test.point=crash", 0);
    assert_true(WIFSIGNALED(crashed) && WTERMSIG(crashed) == SIGKILL);
    const int stopped = s_status_of_child(NULL, "test.point=stop", WUNTRACED);
    assert_true(WIFSTOPPED(stopped) && WSTOPSIG(stopped) == SIGSTOP);
}

static void
test_a_delay_waits(void **state)
{
    (void) state;
    s_arm("test.point=delay:50");
    const int64_t before = rmt_clock_ms();
    assert_int_equal(s_pass(), 0);
    assert_true(rmt_clock_ms() - before >= 50);
}

static void
test_a_wrong_plan_is_refused_and_the_old_one_stays(void **state)
{
    (void) state;
    static const char *const wrong[] = {
        "test.point",           "test.point=",         "test.point=explode",
        "test.point=error",     "test.point=error:EX", "test.point=delay",
        "test.point=delay:-1",  "test.point=delay:1x", "test.point=crash:1",
        "test.point=crash@0",   "test.point=crash@",   "test.point=crash@x",
        "test.point=stop,what", "no.such.point=crash",
    };
    s_arm("test.point=error:EIO");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        rmt_error_t error = {0};
        const bool is_unknown = strncmp(wrong[i], "no.", 3) == 0;
        RMT_FAILS(rmt_failpoint_arm(wrong[i], &error),
                  is_unknown ? RMT_E_NOT_FOUND : RMT_E_USAGE);
    }
    assert_int_equal(s_pass(), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_environment_arms_a_program),
        cmocka_unit_test_teardown(test_a_point_does_nothing_until_it_is_armed, s_disarm),
        cmocka_unit_test_teardown(test_an_error_is_given_with_its_errno, s_disarm),
        cmocka_unit_test_teardown(test_only_the_nth_time_counts, s_disarm),
        cmocka_unit_test_teardown(test_crash_and_stop_hit_the_whole_program, s_disarm),
        cmocka_unit_test_teardown(test_a_delay_waits, s_disarm),
        cmocka_unit_test_teardown(test_a_wrong_plan_is_refused_and_the_old_one_stays,
                                  s_disarm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
