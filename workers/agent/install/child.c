#include "agent/install/child.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define LEAVE_MS 60000

struct rmt_child {
    pid_t pid;
    rmt_pipe_t *pipe;
    rmt_task_t *task;
    uint64_t moved;       // Bytes that the child had read and written when last looked at
    rmt_record_t *answer; // After DONE
    rmt_error_t said;     // After ERROR: its words
};

// What a process has read and written; 0 when it is gone.
static uint64_t
s_moved(pid_t pid)
{
    rmt_auto_str path = rmt_text("/proc/%d/io", (int) pid);
    rmt_auto_ptr text = NULL;
    size_t size = 0;
    rmt_error_t ignored = {0};
    if (rmt_io_load(path, 4096, &text, &size, &ignored) == -1)
        return 0;
    uint64_t moved = 0;
    for (const char *p = text; (p = strchr(p, ':')); p++)
        moved += strtoull(p + 1, NULL, 10);
    return moved;
}

// A child that is busy inside one large file says nothing, but its counters move, or
// those of the process that parses for it. One that hangs shows none, and the task's
// lease ends as it should.
static void
s_look(rmt_child_t *self)
{
    rmt_auto_str path =
        rmt_text("/proc/%d/task/%d/children", (int) self->pid, (int) self->pid);
    rmt_auto_ptr text = NULL;
    size_t size = 0;
    rmt_error_t ignored = {0};
    uint64_t moved = s_moved(self->pid);
    if (rmt_io_load(path, 4096, &text, &size, &ignored) == 0) {
        char *at = text;
        for (long pid; (pid = strtol(at, &at, 10)) > 0;)
            moved += s_moved((pid_t) pid);
    }
    if (moved != self->moved)
        rmt_task_tick(self->task);
    self->moved = moved;
}

static int
s_handle(rmt_child_t *self, const rmt_frame_t *frame, rmt_error_t *error)
{
    rmt_auto(rmt_record) record = rmt_pipe_record(frame, error);
    if (!record)
        return -1;
    switch (frame->kind) {
    case RMT_PIPE_PROGRESS:
        rmt_task_progress(self->task, rmt_record_text(record, "phase", ""),
                          rmt_record_u64(record, "done", 0),
                          rmt_record_u64(record, "total", 0), NULL);
        return 0;
    case RMT_PIPE_DONE:
        rmt_record_destroy(&self->answer);
        self->answer = rmt_take(&record);
        return 0;
    case RMT_PIPE_ERROR:
        rmt_fail(&self->said, rmt_code_from((uint32_t) rmt_record_u64(record, "code", 0)),
                 "%s", rmt_record_text(record, "text", ""));
        *error = self->said;
        return -1;
    default:
        return rmt_fail(error, RMT_E_PROTOCOL, "ramet-diskw sent a frame of kind %d",
                        (int) frame->kind);
    }
}

// All that has come, after waiting so long for the first.
static int
s_listen(rmt_child_t *self, int timeout_ms, rmt_error_t *error)
{
    rmt_frame_t frame;
    int rc = rmt_pipe_recv(self->pipe, timeout_ms, &frame, error);
    if (rc == 0)
        s_look(self);
    while (rc == 1) {
        if (s_handle(self, &frame, error) == -1)
            return -1;
        rc = self->answer ? 0 : rmt_pipe_recv(self->pipe, 0, &frame, error);
    }
    return rc;
}

static int
s_wait(void *context, rmt_error_t *error)
{
    rmt_child_t *self = context;
    if (rmt_task_cancelled(self->task))
        return rmt_fail(error, RMT_E_CANCELLED,
                        "the task was cancelled while the disk was written");
    return s_listen(self, 0, error);
}

static int
s_spawn(const char *program, int in, int out, pid_t *pid_out, rmt_error_t *error)
{
    char *const arguments[] = {(char *) (uintptr_t) program, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    const int rc =
        posix_spawn(pid_out, program, &actions, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    errno = rc;
    return rc ? rmt_fail_errno(error, "start %s", program) : 0;
}

rmt_child_t *
rmt_child_new(const char *program, rmt_task_t *task, rmt_error_t *error)
{
    int down[2], up[2];
    if (pipe2(down, O_CLOEXEC) == -1) {
        rmt_fail_errno(error, "pipe");
        return NULL;
    }
    rmt_auto_fd child_in = down[0];
    rmt_auto_fd out = down[1];
    if (pipe2(up, O_CLOEXEC) == -1) {
        rmt_fail_errno(error, "pipe");
        return NULL;
    }
    rmt_auto_fd in = up[0];
    rmt_auto_fd child_out = up[1];
    pid_t pid;
    if (s_spawn(program, child_in, child_out, &pid, error) == -1)
        return NULL;
    rmt_child_t *self = calloc(1, sizeof *self);
    assert(self);
    self->pid = pid;
    self->task = task;
    self->pipe = rmt_pipe_new(rmt_take_fd(&in), rmt_take_fd(&out));
    rmt_pipe_on_wait(self->pipe, s_wait, self);
    return self;
}

// Has the writer ended? It is not reaped: its number stays that of its group.
static bool
s_has_ended(const rmt_child_t *self)
{
    siginfo_t info = {.si_pid = 0};
    const int rc = waitid(P_PID, (id_t) self->pid, &info, WEXITED | WNOHANG | WNOWAIT);
    return rc == -1 || info.si_pid == self->pid;
}

// The writer and every tool that it has started: a tool of a writer that was killed would
// go on writing. When the last one is reaped, the kernel has taken their mount namespace
// apart and closed their devices.
static void
s_end_all(const rmt_child_t *self)
{
    (void) kill(-self->pid, SIGKILL);
    while (waitpid(-self->pid, NULL, 0) != -1 || errno == EINTR)
        continue;
}

void
rmt_child_destroy(rmt_child_t **self_p)
{
    rmt_child_t *self = *self_p;
    if (!self)
        return;
    rmt_pipe_destroy(&self->pipe);
    int64_t end_ms = rmt_clock_ms() + LEAVE_MS;
    bool is_told = false;
    while (!s_has_ended(self) && rmt_clock_ms() < end_ms) {
        // The task may be cancelled while its writer is waited for.
        if (!is_told && rmt_task_cancelled(self->task)) {
            (void) kill(-self->pid, SIGTERM);
            is_told = true;
            end_ms = rmt_clock_ms() + LEAVE_MS;
        }
        const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
        nanosleep(&pause, NULL);
    }
    s_end_all(self);
    rmt_record_destroy(&self->answer);
    free(self);
    *self_p = NULL;
}

rmt_pipe_t *
rmt_child_pipe(rmt_child_t *self)
{
    return self->pipe;
}

int
rmt_child_explain(rmt_child_t *self, rmt_error_t *error)
{
    if (error->code != RMT_E_IO && error->code != RMT_E_CANCELLED)
        return -1;
    rmt_error_t said = self->said;
    while (said.code == RMT_E_OK && s_listen(self, 1000, &said) == 0 &&
           !rmt_task_cancelled(self->task))
        if (self->answer)
            return -1;
    if (said.code != RMT_E_OK && said.code != RMT_E_CANCELLED)
        *error = said;
    else if (!rmt_task_cancelled(self->task))
        rmt_fail(error, RMT_E_IO,
                 "ramet-diskw ended without a result; the disk is unfinished");
    return -1;
}

int
rmt_child_finish(rmt_child_t *self, rmt_record_t **answer_out, rmt_error_t *error)
{
    if (rmt_pipe_flush(self->pipe, error) == -1)
        return -1;
    while (!self->answer) {
        if (rmt_task_cancelled(self->task))
            return rmt_fail(error, RMT_E_CANCELLED,
                            "the task was cancelled while the disk was written");
        if (s_listen(self, 1000, error) == -1)
            return -1;
    }
    *answer_out = rmt_take(&self->answer);
    return 0;
}
