// What a first boot tells of the system that has just started (M25). Each case is a
// computer of its own as far as it can look: a namespace of processes and mounts, whose
// first process is the test.
#include "tools/rmt_child.h"
#include "tools/rmt_test.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "agent/firstboot/health.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

// Whether the report has this; NULL: no such field.
static bool
s_tells(const rmt_record_t *report, const char *name, const char *text)
{
    const char *told = rmt_record_text(report, name, NULL);
    if (text ? told && strcmp(told, text) == 0 : !told)
        return true;
    fprintf(stderr, "%s is '%s'\n", name, told ? told : "absent");
    return false;
}

static rmt_record_t *
s_collect(const char *const *wanted)
{
    rmt_record_t *report = rmt_record_new();
    rmt_health_collect(wanted, 1, report);
    return report;
}

// ---- As the first process

static int
s_first(bool (*look)(void))
{
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == -1 ||
        mount("proc", "/proc", "proc", 0, NULL) == -1 ||
        mount("none", "/run", "tmpfs", 0, NULL) == -1)
        return 2;
    return look() ? 0 : 1;
}

static int
s_second(bool (*look)(void))
{
    int status = 0;
    if (unshare(CLONE_NEWPID | CLONE_NEWNS) == -1)
        return 3;
    const pid_t first = fork();
    if (first == 0)
        rmt_child_end(s_first(look));
    return waitpid(first, &status, 0) == first && WIFEXITED(status) ? WEXITSTATUS(status)
                                                                    : 4;
}

static void
s_assert(bool (*look)(void))
{
    int status = 0;
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0)
        _exit(s_second(look));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

// ---- Cases

static bool
s_address_is_up(void)
{
    static const char *const wanted[] = {"127.0.0.1", NULL};
    rmt_auto(rmt_record) report = s_collect(wanted);
    return s_tells(report, "missing-addresses", NULL) &&
           s_tells(report, "degraded", NULL) &&
           strcmp(rmt_record_text(report, "addresses", "not checked"), "not checked") !=
               0;
}

static void
test_an_address_that_is_up_is_not_missing(void **state)
{
    (void) state;
    s_assert(s_address_is_up);
}

static bool
s_addresses_are_missing(void)
{
    static const char *const wanted[] = {"192.0.2.77", "2001:db8::77", "none", NULL};
    rmt_auto(rmt_record) report = s_collect(wanted);
    return s_tells(report, "missing-addresses", "192.0.2.77 2001:db8::77 none") &&
           s_tells(report, "degraded", "yes");
}

static void
test_addresses_that_do_not_come_degrade_the_boot(void **state)
{
    (void) state;
    s_assert(s_addresses_are_missing);
}

// A systemd that does not answer is no system without failed units.
static bool
s_systemd_is_silent(void)
{
    rmt_error_t error = {0};
    static const char *const wanted[] = {NULL};
    rmt_auto(rmt_record) without = s_collect(wanted);
    if (rmt_io_mkdirs("/run/systemd/system", 0755, &error) == -1)
        return false;
    rmt_auto(rmt_record) silent = s_collect(wanted);
    return s_tells(without, "failed-units", "unknown") &&
           s_tells(silent, "failed-units", "unknown") &&
           s_tells(silent, "degraded", NULL);
}

static void
test_units_are_unknown_where_systemd_does_not_answer(void **state)
{
    (void) state;
    s_assert(s_systemd_is_silent);
}

static bool
s_look_in_chroot(void)
{
    static const char *const wanted[] = {"192.0.2.77", NULL};
    rmt_auto_fd here = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (here == -1 || chroot("/run/tree") == -1)
        return false;
    rmt_auto(rmt_record) report = s_collect(wanted);
    // Back, so that counts of coverage do not get into the tree.
    return fchdir(here) == 0 && chroot(".") == 0 &&
           s_tells(report, "addresses", "not checked") &&
           s_tells(report, "failed-units", "unknown") &&
           s_tells(report, "degraded", NULL);
}

// A tree that another than the first process starts in a chroot.
static bool
s_chroot_is_told(void)
{
    rmt_error_t error = {0};
    int status = 0;
    if (rmt_io_mkdirs("/run/tree/proc", 0755, &error) == -1 ||
        mount("/proc", "/run/tree/proc", NULL, MS_BIND, NULL) == -1)
        return false;
    const pid_t child = fork();
    if (child == 0)
        rmt_child_end(s_look_in_chroot() ? 0 : 1);
    return waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

static void
test_a_chroot_tells_nothing_of_its_host(void **state)
{
    (void) state;
    s_assert(s_chroot_is_told);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_address_that_is_up_is_not_missing),
        cmocka_unit_test(test_addresses_that_do_not_come_degrade_the_boot),
        cmocka_unit_test(test_units_are_unknown_where_systemd_does_not_answer),
        cmocka_unit_test(test_a_chroot_tells_nothing_of_its_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
