#include "agent/source/freeze.h"
#include "base/rmt_auto.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define FROZEN 'F'

struct rmt_freeze {
    int tree_fd;
    int line; // To the watcher; closed: thaw
    pid_t watcher;
};

// What the agent writes to: the root of this system, its state, where its log goes, and
// where temporary files lie.
static bool
s_is_own(int tree_fd, const char *state)
{
    const char *const paths[] = {"/", state, "/tmp", "/dev/shm", "/proc/self/fd/2"};
    struct stat tree, own;
    if (fstat(tree_fd, &tree) == -1)
        return true;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (stat(paths[i], &own) == 0 && own.st_dev == tree.st_dev)
            return true;
    return false;
}

// The watcher. After a fork beside other threads nothing but system calls is allowed.
static void
s_watch(int tree_fd, int line, int limit_ms)
{
    if (ioctl(tree_fd, FIFREEZE, 0) == -1)
        _exit(errno == EOPNOTSUPP || errno == ENOTTY ? 3 : 2);
    const char word = FROZEN;
    const bool is_heard = write(line, &word, 1) == 1;
    struct pollfd wait = {.fd = line, .events = POLLIN};
    int ready = 0;
    do
        ready = is_heard ? poll(&wait, 1, limit_ms) : 1;
    while (ready == -1 && errno == EINTR);
    const bool is_thawed = ioctl(tree_fd, FITHAW, 0) == 0;
    _exit(is_thawed && ready == 1 ? 0 : 1);
}

static int
s_wait_frozen(const rmt_freeze_t *self, uint32_t limit_s, rmt_error_t *error)
{
    struct pollfd wait = {.fd = self->line, .events = POLLIN};
    char word = 0;
    int ready;
    do
        ready = poll(&wait, 1, (int) limit_s * 1000);
    while (ready == -1 && errno == EINTR);
    if (ready == 1 && read(self->line, &word, 1) == 1 && word == FROZEN)
        return 0;
    if (ready == 0)
        return rmt_fail(error, RMT_E_TIMEOUT, "the freeze took more than %u s", limit_s);
    return rmt_fail(error, RMT_E_UNSUPPORTED, "this file system cannot freeze");
}

rmt_freeze_t *
rmt_freeze_new(int tree_fd, const char *state, uint32_t limit_s, rmt_error_t *error)
{
    if (s_is_own(tree_fd, state)) {
        rmt_fail(error, RMT_E_REFUSED, "the agent itself writes to this file system");
        return NULL;
    }
    int lines[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, lines) == -1) {
        rmt_fail_errno(error, "make a socket to the watcher");
        return NULL;
    }
    const pid_t watcher = fork();
    if (watcher == 0) {
        close(lines[0]);
        s_watch(tree_fd, lines[1], (int) limit_s * 1000);
    }
    close(lines[1]);
    rmt_freeze_t *self = calloc(1, sizeof *self);
    assert(self);
    *self = (rmt_freeze_t){.tree_fd = tree_fd, .line = lines[0], .watcher = watcher};
    if (watcher == -1)
        rmt_fail_errno(error, "start the watcher");
    else if (s_wait_frozen(self, limit_s, error) == 0)
        return self;
    (void) rmt_freeze_end(&self);
    return NULL;
}

bool
rmt_freeze_end(rmt_freeze_t **self_p)
{
    rmt_freeze_t *self = *self_p;
    if (!self)
        return false;
    int status = 1;
    // A word, and not its end alone: another process may have inherited the line.
    (void) send(self->line, "T", 1, MSG_NOSIGNAL);
    close(self->line);
    while (self->watcher != -1 && waitpid(self->watcher, &status, 0) == -1 &&
           errno == EINTR)
        continue;
    // A watcher that was killed has let nothing go.
    if (!WIFEXITED(status))
        (void) ioctl(self->tree_fd, FITHAW, 0);
    free(self);
    *self_p = NULL;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
