#include "agent/diskw/parser_tasks.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_failpoint.h"
#include "tree/rmt_compare.h"
#include "tree/rmt_writer.h"

#include <string.h>
#include <sys/stat.h>

#define TELL_MS 250
#define ENTRIES_BETWEEN_LOOKS 64

int
rmt_parse_tell(rmt_parse_t *self, rmt_error_t *error)
{
    const int64_t now_ms = rmt_clock_ms();
    if (now_ms - self->told_ms < TELL_MS)
        return 0;
    self->told_ms = now_ms;
    rmt_parser_message_t *message = &self->message;
    memset(message, 0, offsetof(rmt_parser_message_t, bytes));
    message->kind = RMT_PARSER_PROGRESS;
    message->fd = -1;
    message->numbers[RMT_PARSER_DONE] = (int64_t) self->done;
    return rmt_parser_send(self->link, message, error);
}

// ---- Unpacking

// FAT knows files and folders alone. The files of such a volume wait in a folder of this
// machine, where a tool would follow a link and open a device.
static int
s_check_vfat(const rmt_entry_t *entry, rmt_error_t *error)
{
    if (S_ISREG(entry->mode) || S_ISDIR(entry->mode))
        return 0;
    return rmt_fail(error, RMT_E_UNSUPPORTED,
                    "/%s is neither a file nor a folder, and its volume is FAT",
                    entry->path);
}

typedef struct {
    rmt_writer_t *writer;
    rmt_entry_buffer_t *buffer;
} tree_t;

static int
s_take_entry(const rmt_parse_t *self, const tree_t *tree, const rmt_frame_t *frame,
             rmt_error_t *error)
{
    rmt_entry_t entry;
    if (rmt_entry_decode(frame->data, frame->size, tree->buffer, &entry, error) == -1 ||
        (self->is_vfat && s_check_vfat(&entry, error) == -1))
        return -1;
    if (RMT_FAILPOINT("disk.tree.entry") == -1)
        return rmt_fail_errno(error, "write an entry");
    return rmt_writer_entry(tree->writer, &entry, error);
}

static int
s_take_data(rmt_parse_t *self, rmt_writer_t *writer, const rmt_frame_t *frame,
            rmt_error_t *error)
{
    if (rmt_writer_data(writer, frame->data, frame->size, error) == -1)
        return -1;
    self->done += frame->size;
    return rmt_parse_tell(self, error);
}

static int
s_take_tree(rmt_parse_t *self, rmt_writer_t *writer, rmt_error_t *error)
{
    rmt_auto(rmt_entry_buffer) buffer = rmt_entry_buffer_new();
    const tree_t tree = {writer, buffer};
    for (;;) {
        rmt_frame_t frame;
        if (rmt_pipe_recv(self->pipe, -1, &frame, error) == -1)
            return -1;
        if (frame.kind == RMT_PIPE_VOLUME_END)
            return 0;
        int rc;
        if (frame.kind == RMT_PIPE_ENTRY)
            rc = s_take_entry(self, &tree, &frame, error);
        else if (frame.kind == RMT_PIPE_DATA)
            rc = s_take_data(self, writer, &frame, error);
        else
            rc = rmt_fail(error, RMT_E_PROTOCOL, "a frame of kind %d came within a tree",
                          (int) frame.kind);
        if (rc == -1)
            return -1;
    }
}

int
rmt_parse_unpack(rmt_parse_t *self, rmt_error_t *error)
{
    rmt_writer_report_t report = {0};
    rmt_auto(rmt_writer) writer = rmt_writer_new(self->root, self->threads, error);
    if (!writer || s_take_tree(self, writer, error) == -1 ||
        rmt_writer_finish(writer, &report, error) == -1)
        return -1;
    self->done = report.size;
    self->entries = report.files + report.folders + report.symlinks + report.others +
                    report.hard_links;
    return 0;
}

// ---- Verifying

int
rmt_parse_read_chunk(void *context, const rmt_id_t *id, void *plain_out, size_t *size_out,
                     rmt_error_t *error)
{
    rmt_parse_t *self = context;
    rmt_frame_t frame;
    if (rmt_pipe_recv(self->pipe, -1, &frame, error) == -1)
        return -1;
    if (frame.kind != RMT_PIPE_DATA || frame.size > RMT_CHUNK_PLAIN_MAX)
        return rmt_fail(error, RMT_E_PROTOCOL,
                        "a frame of kind %d came within a manifest", (int) frame.kind);
    rmt_id_t found;
    rmt_id_compute(&found, frame.data, frame.size);
    if (!rmt_id_equal(&found, id))
        return rmt_fail(error, RMT_E_CORRUPT,
                        "a chunk of the manifest differs from its id");
    memcpy(plain_out, frame.data, frame.size);
    *size_out = frame.size;
    return 0;
}

typedef struct {
    rmt_parse_t *parse;
    bool is_broken; // The link gave up; its error is kept
    rmt_error_t error;
} verify_t;

// As much of a text as has room, with its NUL.
static void
s_add_text(rmt_parser_message_t *message, const char *text, size_t most)
{
    const size_t size = strnlen(text, most - 1);
    memcpy(message->bytes + message->size, text, size);
    message->bytes[message->size + size] = '\0';
    message->size += (uint32_t) size + 1;
}

int
rmt_parse_find(rmt_parse_t *self, const rmt_compare_finding_t *finding,
               rmt_error_t *error)
{
    rmt_parser_message_t *message = &self->message;
    memset(message, 0, offsetof(rmt_parser_message_t, bytes));
    message->kind = RMT_PARSER_FINDING;
    message->code = finding->why;
    message->fd = -1;
    s_add_text(message, finding->path, RMT_PARSER_BYTES_MAX / 2);
    s_add_text(message, finding->what, RMT_PARSER_BYTES_MAX / 4);
    s_add_text(message, finding->text, RMT_PARSER_BYTES_MAX / 4);
    return rmt_parser_send(self->link, message, error);
}

static void
s_find(void *context, const rmt_compare_finding_t *finding)
{
    verify_t *self = context;
    if (!self->is_broken && rmt_parse_find(self->parse, finding, &self->error) == -1)
        self->is_broken = true;
}

static bool
s_is_over(void *context)
{
    verify_t *self = context;
    if (!self->is_broken && ++self->parse->done % ENTRIES_BETWEEN_LOOKS == 0)
        self->is_broken = rmt_parse_tell(self->parse, &self->error) == -1;
    return self->is_broken;
}

int
rmt_parse_drain(rmt_pipe_t *pipe, rmt_error_t *error)
{
    rmt_frame_t frame;
    do {
        if (rmt_pipe_recv(pipe, -1, &frame, error) == -1)
            return -1;
    } while (frame.kind == RMT_PIPE_DATA);
    if (frame.kind != RMT_PIPE_VOLUME_END)
        return rmt_fail(error, RMT_E_PROTOCOL,
                        "a frame of kind %d came within a manifest", (int) frame.kind);
    return 0;
}

int
rmt_parse_verify(rmt_parse_t *self, rmt_error_t *error)
{
    verify_t verify = {.parse = self};
    const rmt_compare_input_t expected = {
        .root = &self->manifest, .source = rmt_parse_read_chunk, .source_context = self};
    const rmt_compare_input_t found = {.tree_fd = self->root};
    const rmt_compare_options_t options = {.finding_fn = s_find,
                                           .cancelled_fn = s_is_over,
                                           .context = &verify,
                                           .threads = self->threads};
    rmt_compare_report_t report = {0};
    if (rmt_compare_run(&expected, &found, &options, &report, error) == -1 ||
        rmt_parse_drain(self->pipe, error) == -1)
        return -1;
    if (verify.is_broken) {
        *error = verify.error;
        return -1;
    }
    self->done = self->entries = report.entries;
    return 0;
}
