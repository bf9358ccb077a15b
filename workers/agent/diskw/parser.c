#include "agent/diskw/parser.h"
#include "agent/diskw/parser_link.h"
#include "base/rmt_auto.h"
#include "tree/rmt_inode.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define SELF "/proc/self/exe"
#define PIPE_SIZE (1024 * 1024)
#define FOLDER_FD 3 // Of the parser
#define DEVICE_FD 4

typedef struct {
    rmt_work_t *work;
    const rmt_parser_task_t *task;
    int folder;   // The root of the volume
    dev_t device; // Its file system
    int blocks;   // Of a raw volume; -1: it has a tree
    int link;
    int out; // The pipe to the parser; -1: all was handed on
    rmt_relay_t waits;
    pid_t pid;
    rmt_parser_message_t *message;
    rmt_parser_message_t *answer;
    rmt_parser_end_t end;
} run_t;

// ---- Starting

static int
s_spawn(run_t *self, int in, int link, rmt_error_t *error)
{
    static char program[] = "ramet-diskw", word[] = RMT_PARSER_WORD;
    char *const arguments[] = {program, word, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    // The signals that end the writer stay blocked: it ends its parser itself.
    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, link, STDOUT_FILENO);
    if (self->blocks != -1)
        posix_spawn_file_actions_adddup2(&actions, self->blocks, DEVICE_FD);
    posix_spawn_file_actions_adddup2(&actions, self->folder, FOLDER_FD);
    const int rc = posix_spawn(&self->pid, SELF, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    errno = rc;
    return rc ? rmt_fail_errno(error, "start the parser") : 0;
}

// What is verified comes from the medium, not from a cache.
static int
s_open_blocks(run_t *self, rmt_error_t *error)
{
    const bool is_unpack = self->task->stage == RMT_FILTER_UNPACK;
    const char *device = self->task->volume->device;
    const int own = is_unpack ? O_RDWR : O_RDONLY;
    self->blocks = open(device, own | O_CLOEXEC);
    if (self->blocks == -1 || (!is_unpack && ioctl(self->blocks, BLKFLSBUF, 0) == -1))
        return rmt_fail_errno(error, "open %s", device);
    assert(self->blocks > DEVICE_FD && self->folder > DEVICE_FD);
    return 0;
}

// The blocks of a raw volume are on the medium when it counts as unpacked.
static int
s_settle(const run_t *self, rmt_error_t *error)
{
    if (self->blocks == -1 || fsync(self->blocks) == 0)
        return 0;
    return rmt_fail_errno(error, "write out %s", self->task->volume->device);
}

static int
s_open(run_t *self, rmt_error_t *error)
{
    struct stat status;
    self->folder = open(self->task->volume->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (self->folder == -1 || fstat(self->folder, &status) == -1)
        return rmt_fail_errno(error, "open %s", self->task->volume->folder);
    self->device = status.st_dev;
    return rmt_work_is_raw(self->task->volume) ? s_open_blocks(self, error) : 0;
}

static int
s_start(run_t *self, rmt_error_t *error)
{
    int tree[2], links[2];
    if (s_open(self, error) == -1)
        return -1;
    if (pipe2(tree, O_CLOEXEC) == -1)
        return rmt_fail_errno(error, "make a pipe");
    rmt_auto_fd in = tree[0];
    self->out = tree[1];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, links) == -1)
        return rmt_fail_errno(error, "make a pair of sockets");
    rmt_auto_fd other = links[1];
    self->link = links[0];
    // A refusal only costs speed: the limit for users may be lower.
    (void) fcntl(self->out, F_SETPIPE_SZ, PIPE_SIZE);
    if (fcntl(self->out, F_SETFL, O_NONBLOCK) == -1)
        return rmt_fail_errno(error, "prepare a pipe");
    return s_spawn(self, in, other, error);
}

static int
s_tell_task(run_t *self, rmt_error_t *error)
{
    const rmt_work_volume_t *volume = self->task->volume;
    rmt_parser_message_t *task = self->answer;
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    memset(task, 0, offsetof(rmt_parser_message_t, bytes));
    task->kind = RMT_PARSER_TASK;
    task->fd = -1;
    task->numbers[RMT_PARSER_STAGE] = self->task->stage;
    task->numbers[RMT_PARSER_KIND] = rmt_work_is_vfat(volume)  ? RMT_PARSER_VFAT
                                     : rmt_work_is_raw(volume) ? RMT_PARSER_RAW
                                                               : RMT_PARSER_TREE;
    task->numbers[RMT_PARSER_SEES_TRUSTED] = volume->has_trusted;
    task->numbers[RMT_PARSER_THREADS] = processors > 0 ? processors : 1;
    task->size = sizeof volume->ordered->root;
    memcpy(task->bytes, &volume->ordered->root, task->size);
    return rmt_parser_send(self->link, task, error);
}

// ---- What it says

// Its descriptor is of this volume, and its task lets it.
static bool
s_is_allowed(const run_t *self, const rmt_parser_message_t *message)
{
    struct stat status;
    const bool is_read =
        message->code == RMT_INODE_LIST || message->code == RMT_INODE_GET;
    return message->fd != -1 && fstat(message->fd, &status) == 0 &&
           status.st_dev == self->device &&
           (is_read || self->task->stage == RMT_FILTER_UNPACK);
}

static int
s_serve(run_t *self, const rmt_parser_message_t *message, rmt_error_t *error)
{
    rmt_parser_message_t *answer = self->answer;
    const uint64_t room = (uint64_t) message->numbers[0];
    const bool is_set = message->code == RMT_INODE_SET;
    const rmt_inode_request_t request = {
        .act = (rmt_inode_act_t) message->code,
        .fd = message->fd,
        .name = message->name,
        .value = message->bytes,
        .answer = answer->bytes,
        .size =
            is_set ? message->size
                   : (size_t) (room < sizeof answer->bytes ? room : sizeof answer->bytes),
        .mode = (mode_t) message->numbers[1]};
    errno = EPERM;
    const ssize_t done = s_is_allowed(self, message) ? rmt_inode_serve(&request) : -1;
    memset(answer, 0, offsetof(rmt_parser_message_t, bytes));
    answer->kind = RMT_PARSER_ANSWER;
    answer->code = done == -1 ? (uint32_t) errno : 0;
    answer->numbers[0] = done;
    answer->fd = -1;
    const bool has_bytes =
        message->code == RMT_INODE_LIST || message->code == RMT_INODE_GET;
    answer->size = has_bytes && done > 0 && request.size ? (uint32_t) done : 0;
    if (done == 0 && is_set && strncmp(message->name, "trusted.", 8) == 0)
        self->task->volume->has_trusted = true;
    return rmt_parser_send(self->link, answer, error);
}

static int
s_find(const run_t *self, const rmt_parser_message_t *message, rmt_error_t *error)
{
    const char *texts[3];
    size_t at = 0;
    for (size_t i = 0; i < 3; i++) {
        texts[i] = (const char *) message->bytes + at;
        at += strnlen(texts[i], message->size - at) + 1;
        if (at > message->size)
            return rmt_fail(error, RMT_E_PROTOCOL, "a finding without its texts came");
    }
    const rmt_compare_finding_t finding = {
        .path = texts[0],
        .what = texts[1],
        .text = texts[2],
        .why = message->code ? rmt_code_from(message->code) : RMT_E_OK};
    if (self->task->finding_fn)
        self->task->finding_fn(self->task->context, &finding);
    return 0;
}

static int
s_take_result(run_t *self, const rmt_parser_message_t *message, rmt_error_t *error)
{
    if (message->code) {
        rmt_fail(error, rmt_code_from(message->code), "%.*s", (int) message->size,
                 (const char *) message->bytes);
        for (char *text = error->text; *text; text++)
            if ((unsigned char) *text < ' ')
                *text = '?';
        return -1;
    }
    if (self->out != -1)
        return rmt_fail(error, RMT_E_PROTOCOL,
                        "the parser ended before the end of the volume");
    self->end.done = (uint64_t) message->numbers[RMT_PARSER_DONE];
    self->end.entries = (uint64_t) message->numbers[RMT_PARSER_ENTRIES];
    return 1;
}

// 1: it was the result.
static int
s_handle(run_t *self, rmt_error_t *error)
{
    const rmt_parser_message_t *message = self->message;
    switch (message->kind) {
    case RMT_PARSER_PROGRESS:
        return self->task->progress_fn(
            self->task->context, (uint64_t) message->numbers[RMT_PARSER_DONE], error);
    case RMT_PARSER_FINDING:
        return s_find(self, message, error);
    case RMT_PARSER_REQUEST:
        return s_serve(self, message, error);
    case RMT_PARSER_RESULT:
        return s_take_result(self, message, error);
    default:
        return rmt_fail(error, RMT_E_PROTOCOL, "the parser sent a message of kind %u",
                        message->kind);
    }
}

// It has ended without a result.
static int
s_explain(run_t *self, rmt_error_t *error)
{
    int status = 0;
    while (waitpid(self->pid, &status, 0) == -1 && errno == EINTR)
        continue;
    self->pid = 0;
    if (!WIFSIGNALED(status))
        return rmt_fail(error, RMT_E_INTERNAL, "the parser ended with status %d",
                        WEXITSTATUS(status));
    const int number = WTERMSIG(status);
    return rmt_fail(error, number == SIGSYS ? RMT_E_REFUSED : RMT_E_INTERNAL,
                    "the parser was ended by signal %d (%s); keep this message: it tells "
                    "of a fault or of an attack",
                    number, strsignal(number));
}

static int
s_hear(run_t *self, rmt_error_t *error)
{
    const int rc = rmt_parser_recv(self->link, self->message, error);
    if (rc == 0)
        return s_explain(self, error);
    const int result = rc == 1 ? s_handle(self, error) : -1;
    if (self->message->fd != -1)
        close(self->message->fd);
    return result;
}

// ---- Between the pipe and the parser

static int
s_hand_on(run_t *self, rmt_error_t *error)
{
    if (rmt_pipe_relay(self->work->pipe, self->out, &self->waits, error) == -1)
        return -1;
    // At the end of its input the parser knows that no more comes.
    if (self->waits == RMT_RELAY_ENDED)
        close(rmt_take_fd(&self->out));
    return 0;
}

// 1: the result is there.
static int
s_step(run_t *self, rmt_error_t *error)
{
    const int in = rmt_pipe_in(self->work->pipe);
    struct pollfd polls[3] = {{.fd = self->work->signals, .events = POLLIN},
                              {.fd = self->link, .events = POLLIN},
                              {.fd = -1}};
    if (self->waits == RMT_RELAY_IN)
        polls[2] = (struct pollfd){.fd = in, .events = POLLIN};
    else if (self->waits == RMT_RELAY_OUT)
        polls[2] = (struct pollfd){.fd = self->out, .events = POLLOUT};
    if (poll(polls, 3, -1) == -1)
        return errno == EINTR ? 0 : rmt_fail_errno(error, "wait for the parser");
    if (polls[0].revents)
        return rmt_fail(error, RMT_E_CANCELLED, "the writer was ended by a signal");
    if (polls[1].revents) {
        const int rc = s_hear(self, error);
        if (rc != 0)
            return rc;
    }
    return polls[2].revents ? s_hand_on(self, error) : 0;
}

static int
s_follow(run_t *self, rmt_error_t *error)
{
    // What was read with the frame before is here already.
    if (s_tell_task(self, error) == -1 || s_hand_on(self, error) == -1)
        return -1;
    int rc;
    do
        rc = s_step(self, error);
    while (rc == 0);
    return rc == 1 ? 0 : -1;
}

// The volume is in use until the parser is gone.
static void
s_end(run_t *self)
{
    const int fds[] = {self->folder, self->blocks, self->link, self->out};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] != -1)
            close(fds[i]);
    if (self->pid > 0) {
        (void) kill(self->pid, SIGKILL);
        while (waitpid(self->pid, NULL, 0) == -1 && errno == EINTR)
            continue;
    }
    free(self->message);
    free(self->answer);
}

int
rmt_parser_run(rmt_work_t *work, const rmt_parser_task_t *task, rmt_parser_end_t *end_out,
               rmt_error_t *error)
{
    run_t self = {
        .work = work, .task = task, .folder = -1, .blocks = -1, .link = -1, .out = -1};
    self.message = calloc(1, sizeof *self.message);
    self.answer = calloc(1, sizeof *self.answer);
    assert(self.message);
    assert(self.answer);
    const int rc = s_start(&self, error) == -1 || s_follow(&self, error) == -1 ||
                           s_settle(&self, error) == -1
                       ? -1
                       : 0;
    if (rc == 0)
        *end_out = self.end;
    s_end(&self);
    return rc;
}
