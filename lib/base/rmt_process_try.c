#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define OUTPUT_SIZE_MAX ((size_t) 64 * 1024)
#define TAIL_SIZE ((size_t) 1024)
#define LOOK_MS 50
#define GRACE_MS 5000
#define DRAIN_MAX 256

typedef struct {
    pid_t pid;
    int reader;
    bool is_ended;
    int wait_status;
    char *output, *tail;
    size_t output_max, used, tail_used;
} run_t;

// ---- Starting

static int
s_spawn(const rmt_process_t *process, int out, pid_t *pid_out)
{
    sigset_t none, defaults;
    sigemptyset(&none);
    sigfillset(&defaults);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETPGROUP);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDERR_FILENO);
    posix_spawn_file_actions_addchdir_np(&actions, "/");
    char *const *list = (char *const *) (uintptr_t) process->arguments;
    char *const *environment =
        process->environment ? (char *const *) (uintptr_t) process->environment : environ;
    const int rc =
        posix_spawnp(pid_out, list[0], &actions, &attributes, list, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

// ---- Its output

static void
s_keep(run_t *run, const char *data, size_t size)
{
    const size_t room = run->output_max - run->used;
    const size_t kept = size < room ? size : room;
    memcpy(run->output + run->used, data, kept);
    run->used += kept;
    if (size >= TAIL_SIZE) {
        memcpy(run->tail, data + size - TAIL_SIZE, TAIL_SIZE);
        run->tail_used = TAIL_SIZE;
        return;
    }
    if (run->tail_used + size > TAIL_SIZE) {
        const size_t gone = run->tail_used + size - TAIL_SIZE;
        memmove(run->tail, run->tail + gone, run->tail_used - gone);
        run->tail_used -= gone;
    }
    memcpy(run->tail + run->tail_used, data, size);
    run->tail_used += size;
}

// What waits in the pipe; of a program that never stops talking only so much, so that
// its time can be over.
static void
s_drain(run_t *run)
{
    char data[4096];
    for (int i = 0; i < DRAIN_MAX; i++) {
        const ssize_t got = read(run->reader, data, sizeof data);
        if (got > 0)
            s_keep(run, data, (size_t) got);
        else if (got == 0 || errno != EINTR)
            return;
    }
}

// ---- Its end

static void
s_look(run_t *run)
{
    if (!run->is_ended)
        run->is_ended = waitpid(run->pid, &run->wait_status, WNOHANG) == run->pid;
}

// Until it has ended or the time is over (0: none). The pipe does not tell the end:
// something that was left in the background may hold it open.
static void
s_wait(run_t *run, int64_t until_ms)
{
    while (!run->is_ended && (!until_ms || rmt_clock_ms() < until_ms)) {
        struct pollfd item = {.fd = run->reader, .events = POLLIN};
        const int count = poll(&item, 1, LOOK_MS);
        s_drain(run);
        if (count > 0 && item.revents & POLLHUP && !(item.revents & POLLIN))
            (void) poll(NULL, 0, LOOK_MS / 10); // It closed its output and goes on
        s_look(run);
    }
}

static void
s_end_group(run_t *run)
{
    (void) kill(-run->pid, SIGTERM);
    s_wait(run, rmt_clock_ms() + GRACE_MS);
    (void) kill(-run->pid, SIGKILL);
    s_wait(run, 0);
}

static int
s_run(const rmt_process_t *process, run_t *run, rmt_process_end_t *end_out,
      rmt_error_t *error)
{
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) == -1)
        return rmt_fail_errno(error, "pipe");
    rmt_auto_fd reader = pipe_fds[0];
    (void) fcntl(reader, F_SETFL, O_NONBLOCK);
    const int rc = s_spawn(process, pipe_fds[1], &run->pid);
    close(pipe_fds[1]);
    if (rc) {
        errno = rc;
        return rmt_fail_errno(error, "run %s", process->arguments[0]);
    }
    run->reader = reader;
    const int64_t start_ms = rmt_clock_ms();
    s_wait(run, process->timeout_ms ? start_ms + process->timeout_ms : 0);
    *end_out = (rmt_process_end_t){.is_timeout = !run->is_ended};
    if (!run->is_ended)
        s_end_group(run);
    s_drain(run);
    end_out->time_ms = (uint32_t) (rmt_clock_ms() - start_ms);
    const int status = run->wait_status;
    end_out->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    end_out->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return 0;
}

int
rmt_process_try(const rmt_process_t *process, rmt_process_end_t *end_out,
                rmt_error_t *error)
{
    assert(process->arguments);
    run_t run = {.output_max =
                     process->output_max ? process->output_max : OUTPUT_SIZE_MAX};
    rmt_auto_str output = calloc(1, run.output_max + 1);
    rmt_auto_str tail = calloc(1, TAIL_SIZE + 1);
    assert(output && tail);
    run.output = output;
    run.tail = tail;
    if (s_run(process, &run, end_out, error) == -1)
        return -1;
    end_out->output = rmt_take(&output);
    end_out->tail = rmt_take(&tail);
    return 0;
}

void
rmt_process_end_clear(rmt_process_end_t *end)
{
    free(end->output);
    free(end->tail);
    *end = (rmt_process_end_t){.status = 0};
}
