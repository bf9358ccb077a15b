// A frozen file system is let go, whatever happens (M8).
#include "tools/rmt_child.h"
#include "tools/rmt_test.h"
#include "tools/rmt_wait.h"

#include "agent/source/freeze.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

typedef struct {
    char *folder, *disk, *mount;
    int tree;
} fixture_t;

static void
s_do(const char *const *arguments)
{
    rmt_error_t error = {0};
    if (rmt_process_run(arguments, NULL, NULL, &error) == -1)
        fail_msg("%s", error.text);
}

static int
s_setup(void **state)
{
    fixture_t *self = calloc(1, sizeof *self);
    char folder[] = "/var/tmp/ramet-freeze-XXXXXX";
    assert_non_null(mkdtemp(folder));
    self->folder = rmt_text("%s", folder);
    self->disk = rmt_text("%s/disk", folder);
    self->mount = rmt_text("%s/mnt", folder);
    assert_int_equal(mkdir(self->mount, 0700), 0);
    s_do((const char *const[]){"truncate", "-s", "16M", self->disk, NULL});
    s_do((const char *const[]){"mkfs.ext4", "-q", "-F", self->disk, NULL});
    s_do((const char *const[]){"mount", "-o", "loop", self->disk, self->mount, NULL});
    self->tree = open(self->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(self->tree != -1);
    *state = self;
    return 0;
}

static int
s_teardown(void **state)
{
    fixture_t *self = *state;
    close(self->tree);
    s_do((const char *const[]){"umount", self->mount, NULL});
    rmt_error_t error = {0};
    RMT_OK(rmt_io_remove_tree(self->folder, &error));
    free(self->folder);
    free(self->disk);
    free(self->mount);
    free(self);
    return 0;
}

// How long a write takes, in a process that can be waited for.
static int64_t
s_write_ms(const fixture_t *self)
{
    const int64_t start = rmt_clock_ms();
    rmt_auto_str path = rmt_text("%s/file", self->mount);
    s_do((const char *const[]){"timeout", "20", "touch", path, NULL});
    return rmt_clock_ms() - start;
}

static void
test_writers_wait_until_it_is_let_go(void **state)
{
    fixture_t *self = *state;
    rmt_error_t error = {0};
    rmt_freeze_t *freeze = rmt_freeze_new(self->tree, "/var/tmp", 30, &error);
    RMT_OK(freeze);
    const pid_t writer = fork();
    if (writer == 0) {
        const int fd = openat(self->tree, "new", O_WRONLY | O_CREAT, 0600);
        rmt_child_end(fd == -1);
    }
    int status = 0;
    rmt_pause(300, "nothing may be written meanwhile");
    assert_int_equal(waitpid(writer, &status, WNOHANG), 0); // It waits
    assert_true(rmt_freeze_end(&freeze));
    assert_int_equal(waitpid(writer, &status, 0), writer);
    assert_int_equal(status, 0);
}

static void
test_it_is_let_go_when_its_time_is_over(void **state)
{
    fixture_t *self = *state;
    rmt_error_t error = {0};
    rmt_freeze_t *freeze = rmt_freeze_new(self->tree, "/var/tmp", 1, &error);
    RMT_OK(freeze);
    assert_in_range(s_write_ms(self), 100, 15000);
    assert_false(rmt_freeze_end(&freeze));
}

static void
test_it_is_let_go_when_its_owner_dies(void **state)
{
    fixture_t *self = *state;
    const pid_t owner = fork();
    if (owner == 0) {
        rmt_error_t error = {0};
        rmt_child_end(rmt_freeze_new(self->tree, "/var/tmp", 60, &error) ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(owner, &status, 0), owner);
    assert_int_equal(status, 0);
    assert_in_range(s_write_ms(self), 0, 15000);
}

static void
test_what_the_agent_writes_to_is_never_frozen(void **state)
{
    fixture_t *self = *state;
    rmt_error_t error = {0};
    const int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    RMT_FAILS(rmt_freeze_new(root, "/var/tmp", 1, &error), RMT_E_REFUSED);
    close(root);
    RMT_FAILS(rmt_freeze_new(self->tree, self->mount, 1, &error),
              RMT_E_REFUSED); // Its state
    const int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    RMT_FAILS(rmt_freeze_new(proc, "/var/tmp", 1, &error), RMT_E_UNSUPPORTED);
    close(proc);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, s_setup, s_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_writers_wait_until_it_is_let_go),
        CASE(test_it_is_let_go_when_its_time_is_over),
        CASE(test_it_is_let_go_when_its_owner_dies),
        CASE(test_what_the_agent_writes_to_is_never_frozen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
