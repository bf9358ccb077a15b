// What the process of the writer may do.
#include "integration/writer_process.h"
#include "tools/rmt_test.h"
#include "tools/rmt_wait.h"

#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#define WAIT_MS 20000

static pid_t s_pid;
static rmt_pipe_t *s_pipe;

static int
s_setup(void **state)
{
    (void) state;
    s_pid = writer_process_start(&s_pipe);
    return 0;
}

static int
s_teardown(void **state)
{
    (void) state;
    rmt_pipe_destroy(&s_pipe);
    return waitpid(s_pid, NULL, 0) == s_pid ? 0 : -1;
}

// A number of /proc/PID/status, in this base.
static uint64_t
s_status(const char *name, int base)
{
    rmt_error_t error = {0};
    rmt_auto_str path = rmt_text("/proc/%d/status", (int) s_pid);
    rmt_auto_ptr text = NULL;
    size_t size = 0;
    RMT_OK(rmt_io_load(path, 65536, &text, &size, &error));
    const char *line = strstr(text, name);
    assert_non_null(line);
    return strtoull(line + strlen(name), NULL, base);
}

// P22: a writer that is taken over gains nothing, and neither do its tools.
static void
test_the_writer_keeps_what_writing_needs_alone(void **state)
{
    (void) state;
    static const unsigned lost[] = {
        CAP_NET_ADMIN, CAP_NET_RAW,  CAP_SYS_PTRACE, CAP_SYS_MODULE, CAP_SYS_RAWIO,
        CAP_SYS_BOOT,  CAP_SYS_TIME, CAP_BPF,        CAP_SETUID,     CAP_SYS_NICE};
    static const char *const sets[] = {"CapPrm:", "CapEff:", "CapBnd:"};
    RMT_WAIT_UNTIL((s_status("CapEff:", 16) >> CAP_SYS_BOOT & 1) == 0, WAIT_MS);
    assert_int_equal(s_status("NoNewPrivs:", 10), 1);
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        const uint64_t set = s_status(sets[i], 16);
        assert_true(set >> CAP_SYS_ADMIN & 1);
        for (size_t k = 0; k < sizeof lost / sizeof *lost; k++)
            assert_false(set >> lost[k] & 1);
    }
    struct rlimit core;
    assert_int_equal(prlimit(s_pid, RLIMIT_CORE, NULL, &core), 0);
    assert_int_equal(core.rlim_max, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_writer_keeps_what_writing_needs_alone,
                                        s_setup, s_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
