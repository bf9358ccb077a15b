#include "integration/writer_bench.h"

#include "agent/source/default_layout.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "integration/writer_process.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>

void
bench_write_file(const bench_t *self, const char *name, const void *data, size_t size)
{
    rmt_error_t error = {0};
    rmt_auto_str path = rmt_text("%s/%s", self->tree, name);
    RMT_OK(rmt_io_save(path, data, size, 0640, &error));
}

static void
s_make_tree(const bench_t *self)
{
    static const char big[200000] = "not only zeros";
    rmt_error_t error = {0};
    rmt_auto_str deep = rmt_text("%s/etc/deep/er", self->tree);
    rmt_auto_str systemd = rmt_text("%s/usr/lib/systemd", self->tree);
    rmt_auto_str link = rmt_text("%s/link", self->tree);
    rmt_auto_str first = rmt_text("%s/hello", self->tree);
    rmt_auto_str second = rmt_text("%s/hello-too", self->tree);
    rmt_auto_str queue = rmt_text("%s/queue", self->tree);
    rmt_auto_str node = rmt_text("%s/node", self->tree);
    RMT_OK(rmt_io_mkdirs(deep, 0755, &error));
    bench_write_file(self, "hello", "hello\n", 6);
    bench_write_file(self, "etc/deep/er/big", big, sizeof big);
    bench_write_file(self, "empty", "", 0);
    RMT_OK(rmt_io_mkdirs(systemd, 0755, &error));
    bench_write_file(self, "usr/lib/systemd/systemd", "", 0);
    assert_int_equal(symlink("/etc/passwd", link), 0);
    assert_int_equal(linkat(AT_FDCWD, first, AT_FDCWD, second, 0), 0);
    // So many names of one folder that sorting them takes memory.
    for (int i = 0; i < 300; i++) {
        rmt_auto_str name = rmt_text("etc/deep/%d", i);
        bench_write_file(self, name, "", 0);
    }
    // What a process without privileges cannot set, or not on what cannot be opened.
    assert_int_equal(setxattr(first, "trusted.ramet", "file", 4, 0), 0);
    assert_int_equal(setxattr(deep, "trusted.ramet", "folder", 6, 0), 0);
    assert_int_equal(lsetxattr(link, "trusted.ramet", "link", 4, 0), 0);
    assert_int_equal(lsetxattr(link, "security.ramet", "label", 5, 0), 0);
    assert_int_equal(setxattr(first, "security.ramet", "label", 5, 0), 0);
    assert_int_equal(mkfifo(queue, 0624), 0);
    assert_int_equal(chmod(queue, 0624), 0);
    assert_int_equal(mknod(node, S_IFCHR | 0666, makedev(1, 3)), 0);
    assert_int_equal(chmod(node, 0606), 0);
}

static int
s_store_chunk(void *context, const rmt_chunk_t *chunk, rmt_error_t *error)
{
    return rmt_store_put(context, chunk, error);
}

void
bench_capture(const bench_t *self, rmt_id_t *root_out, rmt_capture_report_t *report_out)
{
    rmt_error_t error = {0};
    rmt_auto_fd fd = open(self->tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const rmt_capture_options_t options = {.root_fd = fd};
    const rmt_capture_sink_t sink = {.context = self->store, .chunk_fn = s_store_chunk};
    RMT_OK(rmt_capture_run(&options, &sink, root_out, report_out, &error));
    RMT_OK(rmt_store_commit(self->store, &error));
}

int
bench_setup(void **state)
{
    bench_t *self = calloc(1, sizeof *self);
    rmt_error_t error = {0};
    char path[] = "/tmp/test-diskw-XXXXXX";
    assert_non_null(mkdtemp(path));
    (void) signal(SIGPIPE, SIG_IGN);
    self->folder = rmt_text("%s", path);
    self->tree = rmt_text("%s/tree", path);
    self->disk = rmt_text("%s/disk", path);
    rmt_auto_str store = rmt_text("%s/store", path);
    self->store = rmt_store_new(store, true, &error);
    assert_non_null(self->store);
    assert_int_equal(mkdir(self->tree, 0755), 0);
    s_make_tree(self);
    rmt_auto_fd fd = open(self->disk, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, DISK_BYTES), 0);
    self->layout = rmt_default_layout_new("test", NULL);
    rmt_layout_volume_t *volume = &self->layout->volumes[0];
    rmt_capture_report_t report = {0};
    bench_capture(self, &volume->root, &report);
    volume->has_root = true;
    volume->files = report.files;
    volume->bytes_tree = report.size;
    rmt_capture_report_clear(&report);
    rmt_default_layout_settle(self->layout);
    self->pid = writer_process_start(&self->pipe);
    *state = self;
    return 0;
}

int
bench_reap(bench_t *self)
{
    int status = 0;
    rmt_pipe_destroy(&self->pipe);
    if (self->pid)
        (void) waitpid(self->pid, &status, 0);
    self->pid = 0;
    return status;
}

int
bench_teardown(void **state)
{
    bench_t *self = *state;
    rmt_error_t error = {0};
    (void) bench_reap(self);
    rmt_store_destroy(&self->store);
    rmt_layout_destroy(&self->layout);
    (void) rmt_io_remove_tree(self->folder, &error);
    free(self->folder);
    free(self->tree);
    free(self->disk);
    free(self);
    return 0;
}

// ---- The agent's part

void
bench_root(const bench_t *self, rmt_id_t *root_out)
{
    *root_out = self->layout->volumes[0].root;
}

// Name the volume of which the next frames are.
void
bench_send_volume(const bench_t *self, rmt_pipe_kind_t kind)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_record) volume =
        rmt_layout_write_volume(self->layout, &self->layout->volumes[0]);
    RMT_OK(rmt_pipe_send_record(self->pipe, kind, volume, &error));
}

void
bench_send_order(bench_t *self, ino_t inode_offset)
{
    struct stat status;
    rmt_error_t error = {0};
    assert_int_equal(stat(self->disk, &status), 0);
    rmt_auto(rmt_records) order = rmt_records_new();
    rmt_layout_write(self->layout, order);
    rmt_record_t *target = rmt_records_add(order);
    rmt_record_set(target, "class", "target");
    rmt_record_set(target, "role", "system");
    rmt_record_set(target, "path", self->disk);
    rmt_record_set_u64(target, "bytes", (uint64_t) DISK_BYTES);
    rmt_record_set_u64(target, "device", status.st_dev);
    rmt_record_set_u64(target, "inode", status.st_ino + inode_offset);
    RMT_OK(rmt_pipe_send_records(self->pipe, RMT_PIPE_ORDER, order, &error));
}

static void
s_send_entry(bench_t *self, const rmt_entry_t *entry, void *room)
{
    rmt_error_t error = {0};
    uint8_t *bytes = NULL;
    size_t used = 0, size = 0;
    rmt_entry_encode(entry, &bytes, &used, &size);
    RMT_OK(rmt_pipe_send(self->pipe, RMT_PIPE_ENTRY, bytes, used, &error));
    free(bytes);
    for (size_t i = 0; i < entry->chunk_count; i++) {
        RMT_OK(rmt_store_read(self->store, &entry->chunks[i], room, &size, &error));
        RMT_OK(rmt_pipe_send(self->pipe, RMT_PIPE_DATA, room, size, &error));
    }
}

void
bench_send_tree(bench_t *self, const rmt_id_t *root)
{
    rmt_error_t error = {0};
    rmt_auto_ptr room = malloc(RMT_CHUNK_PLAIN_MAX);
    rmt_auto(rmt_manifest_reader) reader =
        rmt_manifest_reader_new(root, rmt_store_read, self->store, &error);
    RMT_OK(reader);
    bench_send_volume(self, RMT_PIPE_VOLUME);
    rmt_entry_t entry;
    while (rmt_manifest_reader_next(reader, &entry, &error) == 1)
        s_send_entry(self, &entry, room);
    RMT_OK(rmt_pipe_send(self->pipe, RMT_PIPE_VOLUME_END, NULL, 0, &error));
}

void
bench_send_personal(bench_t *self)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_record) file = rmt_record_new();
    rmt_record_set(file, "name", "key");
    rmt_record_set(file, "mode", "0600");
    rmt_record_set_u64(file, "size", strlen(BENCH_SECRET));
    rmt_auto(rmt_records) personal = rmt_records_new();
    rmt_record_t *command = rmt_records_add(personal);
    rmt_record_set(command, "class", "command");
    rmt_record_set(command, "command", "/usr/lib/ramet/firstboot/agent");
    rmt_record_t *script = rmt_records_add(personal);
    rmt_record_set(script, "class", "script");
    rmt_record_set(script, "name", "hello");
    rmt_record_set(script, "content", "#!/bin/sh\n");
    RMT_OK(rmt_pipe_send_record(self->pipe, RMT_PIPE_FILE, file, &error));
    RMT_OK(rmt_pipe_send(self->pipe, RMT_PIPE_DATA, BENCH_SECRET, strlen(BENCH_SECRET),
                         &error));
    RMT_OK(rmt_pipe_send_records(self->pipe, RMT_PIPE_PERSONAL, personal, &error));
}

typedef struct {
    bench_t *bench;
    bool damage; // Flip a bit of every chunk that is sent
} sender_t;

static int
s_read_and_send(void *context, const rmt_id_t *id, void *plain_out, size_t *size_out,
                rmt_error_t *error)
{
    const sender_t *self = context;
    uint8_t *bytes = plain_out;
    if (rmt_store_read(self->bench->store, id, plain_out, size_out, error) == -1)
        return -1;
    bytes[0] ^= self->damage;
    const int rc =
        rmt_pipe_send(self->bench->pipe, RMT_PIPE_DATA, bytes, *size_out, error);
    bytes[0] ^= self->damage;
    return rc;
}

void
bench_begin_verify(bench_t *self)
{
    rmt_error_t error = {0};
    RMT_OK(rmt_pipe_send(self->pipe, RMT_PIPE_SETTLE, NULL, 0, &error));
    bench_send_volume(self, RMT_PIPE_VERIFY);
    RMT_OK(rmt_pipe_flush(self->pipe, &error));
}

// A writer that has failed takes no more; then its answer is all that counts.
void
bench_send_manifest(bench_t *self, const rmt_id_t *root, bool damage)
{
    rmt_error_t error = {0};
    sender_t sender = {self, damage};
    rmt_auto(rmt_manifest_reader) reader =
        rmt_manifest_reader_new(root, s_read_and_send, &sender, &error);
    RMT_OK(reader);
    rmt_entry_t entry;
    while (rmt_manifest_reader_next(reader, &entry, &error) == 1)
        continue;
    (void) rmt_pipe_send(self->pipe, RMT_PIPE_VOLUME_END, NULL, 0, &error);
    (void) rmt_pipe_flush(self->pipe, &error);
}

void
bench_send_verify(bench_t *self, const rmt_id_t *root, bool damage)
{
    bench_begin_verify(self);
    bench_send_manifest(self, root, damage);
}

void
bench_send_finish(bench_t *self)
{
    rmt_error_t error = {0};
    RMT_OK(rmt_pipe_send(self->pipe, RMT_PIPE_FINISH, NULL, 0, &error));
    // A writer that has failed already has gone; then its answer is all that counts.
    (void) rmt_pipe_flush(self->pipe, &error);
}

// The kind of the last frame; its record is the caller's.
rmt_pipe_kind_t
bench_answer(bench_t *self, rmt_record_t **record_out)
{
    rmt_error_t error = {0};
    for (;;) {
        rmt_frame_t frame;
        assert_int_equal(rmt_pipe_recv(self->pipe, 30000, &frame, &error), 1);
        if (frame.kind == RMT_PIPE_PROGRESS)
            continue;
        *record_out = rmt_pipe_record(&frame, &error);
        RMT_OK(*record_out);
        return frame.kind;
    }
}

void
bench_assert_refused(bench_t *self, rmt_code_t code)
{
    rmt_auto(rmt_record) record = NULL;
    assert_int_equal(bench_answer(self, &record), RMT_PIPE_ERROR);
    assert_int_equal(rmt_record_u64(record, "code", 0), code);
    assert_int_not_equal(bench_reap(self), 0);
}

bool
bench_is_attached(const bench_t *self)
{
    bool found = false;
    DIR *folder = opendir("/sys/block");
    assert_non_null(folder);
    for (struct dirent *item; (item = readdir(folder));) {
        rmt_auto_str path = rmt_text("/sys/block/%s/loop/backing_file", item->d_name);
        rmt_auto_ptr text = NULL;
        size_t size = 0;
        rmt_error_t error = {0};
        if (rmt_io_load(path, 4096, &text, &size, &error) == 0 &&
            strstr(text, self->disk))
            found = true;
    }
    closedir(folder);
    return found;
}
