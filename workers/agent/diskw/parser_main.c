#include "agent/diskw/harden.h"
#include "agent/diskw/parser.h"
#include "agent/diskw/parser_raw.h"
#include "base/rmt_auto.h"
#include "base/rmt_process.h"
#include "tree/rmt_inode.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

#define LINK STDOUT_FILENO
#define FOLDER_FD 3
#define DEVICE_FD 4

// ---- Rights

// Owners, modes, flags and names of any inode, reserved blocks, and, last, device nodes,
// which no process can open on a file system of the writer's.
static const unsigned s_unpack[] = {
    CAP_CHOWN,  CAP_DAC_OVERRIDE,    CAP_DAC_READ_SEARCH, CAP_FOWNER,
    CAP_FSETID, CAP_LINUX_IMMUTABLE, CAP_SYS_RESOURCE,    CAP_MKNOD,
};
static const unsigned s_verify[] = {CAP_DAC_READ_SEARCH};

// The folder becomes the root, and nothing that leads out of it stays open. A FAT
// volume's folder is none of its own file system: no device node is made in it. Of a raw
// volume the device stays open, which is all that it needs.
static int
s_confine(rmt_parse_t *self, rmt_filter_stage_t stage, rmt_error_t *error)
{
    const size_t unpack_count = sizeof s_unpack / sizeof *s_unpack - self->is_vfat;
    const bool is_unpack = stage == RMT_FILTER_UNPACK;
    if (close_range(FOLDER_FD + 1 + self->is_raw, ~0U, 0) == -1)
        return rmt_fail_errno(error, "close what the writer has open");
    if (fchdir(FOLDER_FD) == -1 || chroot(".") == -1)
        return rmt_fail_errno(error, "make the volume the root of its parser");
    self->root = FOLDER_FD;
    self->device = DEVICE_FD;
    const size_t count = self->is_raw ? 0 : is_unpack ? unpack_count : 1;
    if (rmt_harden_keep(is_unpack ? s_unpack : s_verify, count, error) == -1)
        return -1;
    return rmt_filter_enter(stage, error);
}

// ---- What the writer does for it

typedef struct {
    int link;
    pthread_mutex_t mutex; // Of a request and its answer
    rmt_parser_message_t message;
} door_t;

static ssize_t
s_ask(door_t *self, const rmt_inode_request_t *request)
{
    rmt_error_t error = {0};
    rmt_parser_message_t *message = &self->message;
    memset(message, 0, offsetof(rmt_parser_message_t, bytes));
    message->kind = RMT_PARSER_REQUEST;
    message->code = request->act;
    message->fd = request->fd;
    message->numbers[0] = (int64_t) request->size;
    message->numbers[1] = request->mode;
    errno = ERANGE;
    if (request->name && strlen(request->name) >= sizeof message->name)
        return -1;
    if (request->name)
        strcpy(message->name, request->name);
    if (request->value && request->size > RMT_PARSER_BYTES_MAX)
        return -1;
    if (request->value) {
        memcpy(message->bytes, request->value, request->size);
        message->size = (uint32_t) request->size;
    }
    errno = ECONNRESET;
    if (rmt_parser_send(self->link, message, &error) == -1 ||
        rmt_parser_recv(self->link, message, &error) != 1)
        return -1;
    assert(message->kind == RMT_PARSER_ANSWER && message->size <= request->size);
    if (request->answer)
        memcpy(request->answer, message->bytes, message->size);
    errno = (int) message->code;
    return (ssize_t) message->numbers[0];
}

static ssize_t
s_call(void *context, const rmt_inode_request_t *request)
{
    door_t *self = context;
    pthread_mutex_lock(&self->mutex);
    const ssize_t done = s_ask(self, request);
    const int failure = errno;
    pthread_mutex_unlock(&self->mutex);
    errno = failure;
    return done;
}

// ---- One task

static void
s_tell_result(rmt_parse_t *self, int rc, const rmt_error_t *error)
{
    rmt_error_t ignored = {0};
    rmt_parser_message_t *message = &self->message;
    memset(message, 0, offsetof(rmt_parser_message_t, bytes));
    message->kind = RMT_PARSER_RESULT;
    message->fd = -1;
    if (rc == 0) {
        message->numbers[RMT_PARSER_DONE] = (int64_t) self->done;
        message->numbers[RMT_PARSER_ENTRIES] = (int64_t) self->entries;
    } else {
        message->code = error->code;
        message->size = (uint32_t) strlen(error->text);
        memcpy(message->bytes, error->text, message->size);
    }
    (void) rmt_parser_send(self->link, message, &ignored);
}

static int
s_parse(rmt_parse_t *self, bool is_unpack, rmt_error_t *error)
{
    if (self->is_raw)
        return is_unpack ? rmt_parse_raw_unpack(self, error)
                         : rmt_parse_raw_verify(self, error);
    return is_unpack ? rmt_parse_unpack(self, error) : rmt_parse_verify(self, error);
}

static int
s_run(rmt_parse_t *self, const rmt_parser_message_t *task, door_t *door,
      rmt_error_t *error)
{
    const rmt_filter_stage_t stage = (rmt_filter_stage_t) task->numbers[RMT_PARSER_STAGE];
    const rmt_inode_door_t way = {s_call, door,
                                  task->numbers[RMT_PARSER_SEES_TRUSTED] != 0};
    const bool is_unpack = stage == RMT_FILTER_UNPACK;
    self->is_vfat = task->numbers[RMT_PARSER_KIND] == RMT_PARSER_VFAT;
    self->is_raw = task->numbers[RMT_PARSER_KIND] == RMT_PARSER_RAW;
    self->threads = (unsigned) task->numbers[RMT_PARSER_THREADS];
    memcpy(&self->manifest, task->bytes, sizeof self->manifest);
    self->pipe = rmt_pipe_new(STDIN_FILENO, -1);
    rmt_inode_use_door(&way);
    int rc = s_confine(self, stage, error);
    if (rc == 0)
        rc = s_parse(self, is_unpack, error);
    // A refused call is told also where what made it went on without.
    if (rmt_filter_check(is_unpack ? "unpack" : "verify", error) == -1)
        rc = -1;
    return rc;
}

int
rmt_parser_main(void)
{
    rmt_error_t error = {0};
    rmt_parse_t *parse = calloc(1, sizeof *parse);
    door_t *door = calloc(1, sizeof *door);
    assert(parse);
    assert(door);
    parse->link = door->link = LINK;
    pthread_mutex_init(&door->mutex, NULL);
    rmt_process_keep_secrets();
    // It is started as /proc/self/exe, which ps would show as "exe". It does not outlive
    // its writer, whose volume it keeps in use.
    if (prctl(PR_SET_NAME, "ramet-parser") == -1 ||
        prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 ||
        rmt_parser_recv(LINK, &door->message, &error) != 1 ||
        door->message.kind != RMT_PARSER_TASK)
        return rmt_code_exit(RMT_E_USAGE);
    const rmt_parser_message_t task = door->message;
    const int rc = s_run(parse, &task, door, &error);
    s_tell_result(parse, rc, &error);
    // Nothing is freed: the process has no other task.
    _exit(rc == 0 ? 0 : rmt_code_exit(error.code));
}
