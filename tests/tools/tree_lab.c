#include <linux/fs.h>
#include "tools/tree_lab.h"
#include "tools/rmt_wait.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

typedef struct {
    rmt_id_t id;
    size_t size;
    void *plain;
} chunk_t;

struct tree_lab {
    char *folder;
    int source, copy;
    chunk_t *chunks;
    size_t count;
    rmt_capture_report_t report;
};

void
tree_lab_run_list(const char *const *arguments)
{
    rmt_error_t error = {0};
    if (rmt_process_run(arguments, NULL, NULL, &error) == -1)
        fail_msg("%s", error.text);
}

static int
s_make_dir(const char *folder, const char *name)
{
    rmt_auto_str path = rmt_text("%s/%s", folder, name);
    assert_int_equal(mkdir(path, 0755), 0);
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_not_equal(fd, -1);
    return fd;
}

tree_lab_t *
tree_lab_new(void)
{
    tree_lab_t *self = calloc(1, sizeof *self);
    assert_non_null(self);
    self->folder = strdup("/tmp/ramet-tree-XXXXXX");
    assert_non_null(mkdtemp(self->folder));
    self->source = s_make_dir(self->folder, "source");
    self->copy = s_make_dir(self->folder, "copy");
    return self;
}

void
tree_lab_destroy(tree_lab_t **self_p)
{
    tree_lab_t *self = *self_p;
    close(self->source);
    close(self->copy);
    // A case that failed may have left its file system here.
    rmt_auto_str mount_point = rmt_text("%s/mnt", self->folder);
    (void) umount2(mount_point, MNT_DETACH);
    // Fails for devices and the like, and that is all right.
    const char *const unlock[] = {"chattr", "-R", "-f", "-i", "-a", self->folder, NULL};
    rmt_error_t error = {0};
    (void) rmt_process_run(unlock, NULL, NULL, &error);
    tree_lab_run("rm", "-rf", "--one-file-system", self->folder);
    for (size_t i = 0; i < self->count; i++)
        free(self->chunks[i].plain);
    free(self->chunks);
    rmt_capture_report_clear(&self->report);
    free(self->folder);
    free(self);
    *self_p = NULL;
}

const char *
tree_lab_folder(const tree_lab_t *self)
{
    return self->folder;
}

int
tree_lab_source(const tree_lab_t *self)
{
    return self->source;
}

int
tree_lab_copy(const tree_lab_t *self)
{
    return self->copy;
}

void
tree_lab_set_source(tree_lab_t *self, int fd)
{
    close(self->source);
    self->source = dup(fd);
}

void
tree_lab_set_copy(tree_lab_t *self, int fd)
{
    close(self->copy);
    self->copy = dup(fd);
}

// ---- The hard tree

void
tree_lab_file(int dir_fd, const char *name, size_t size, unsigned seed)
{
    const int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_int_not_equal(fd, -1);
    uint8_t *data = malloc(size + 1);
    assert_non_null(data);
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1103515245u + 12345u;
        // Compressible, and with no long runs.
        data[i] = (uint8_t) ((seed >> 16) & 0x3f);
    }
    rmt_error_t error = {0};
    RMT_OK(rmt_io_write(fd, data, size, &error));
    free(data);
    close(fd);
}

static void
s_time(int dir_fd, const char *name, int64_t seconds, long ns)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {seconds, ns}};
    assert_int_equal(utimensat(dir_fd, name, times, AT_SYMLINK_NOFOLLOW), 0);
}

static void
s_xattr(int dir_fd, const char *name, const char *attribute, const void *value,
        size_t size)
{
    rmt_auto_str path = rmt_text("/proc/self/fd/%d/%s", dir_fd, name);
    assert_int_equal(lsetxattr(path, attribute, value, size, 0), 0);
}

static void
s_flags(int dir_fd, const char *name, unsigned flags)
{
    const int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
    unsigned have = 0;
    assert_int_equal(ioctl(fd, FS_IOC_GETFLAGS, &have), 0);
    have |= flags;
    assert_int_equal(ioctl(fd, FS_IOC_SETFLAGS, &have), 0);
    close(fd);
}

static void
s_fill_sparse(int root)
{
    int fd = openat(root, "holes", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(pwrite(fd, "data", 4, 1 << 20), 4);
    assert_int_equal(pwrite(fd, "more", 4, 5 << 20), 4);
    assert_int_equal(ftruncate(fd, (off_t) 1 << 40), 0);
    close(fd);
    fd = openat(root, "only-hole", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, 123457), 0);
    close(fd);
    fd = openat(root, "zeros", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    static const char zeros[100000];
    assert_int_equal(write(fd, zeros, sizeof zeros), sizeof zeros);
    close(fd);
}

static void
s_fill_attributes(int root)
{
    static const uint8_t capability[20] = {1, 0, 0, 2, 0, 4};
    static const uint8_t acl[] = {2,   0,   0,   0,   1,   0,    6,  0,   255, 255, 255,
                                  255, 2,   0,   4,   0,   0xe8, 3,  0,   0,   4,   0,
                                  4,   0,   255, 255, 255, 255,  16, 0,   4,   0,   255,
                                  255, 255, 255, 32,  0,   0,    0,  255, 255, 255, 255};
    tree_lab_file(root, "attributes", 100, 1);
    char large[1500];
    memset(large, 'x', sizeof large);
    s_xattr(root, "attributes", "user.empty", "", 0);
    s_xattr(root, "attributes", "user.binary\n\xff", "\0\1\2", 3);
    s_xattr(root, "attributes", "user.large", large, sizeof large);
    s_xattr(root, "attributes", "trusted.secret", "t", 1);
    tree_lab_file(root, "capable", 100, 2);
    assert_int_equal(fchownat(root, "capable", 12, 34, 0), 0);
    s_xattr(root, "capable", "security.capability", capability, sizeof capability);
    tree_lab_file(root, "acl", 100, 3);
    s_xattr(root, "acl", "system.posix_acl_access", acl, sizeof acl);
    mkdirat(root, "acl-dir", 0750);
    s_xattr(root, "acl-dir", "system.posix_acl_access", acl, sizeof acl);
    s_xattr(root, "acl-dir", "system.posix_acl_default", acl, sizeof acl);
    symlinkat("nowhere", root, "trusted-link");
    s_xattr(root, "trusted-link", "trusted.l", "v", 1);
    tree_lab_file(root, "locked", 100, 4);
    assert_int_equal(linkat(root, "locked", root, "locked-too", 0), 0);
    s_flags(root, "locked", FS_IMMUTABLE_FL | FS_NODUMP_FL);
    mkdirat(root, "locked-dir", 0755);
    tree_lab_file(root, "locked-dir/inside", 10, 5);
    s_flags(root, "locked-dir", FS_APPEND_FL);
}

static void
s_fill_kinds(int root)
{
    char target[4001];
    memset(target, 'l', 4000);
    target[4000] = '\0';
    assert_int_equal(symlinkat(target, root, "link-long"), 0);
    symlinkat("/etc/passwd", root, "link-absolute");
    symlinkat("../../odd\n\xfe", root, "link-odd");
    linkat(root, "link-odd", root, "link-odd-too", 0);
    assert_int_equal(fchownat(root, "link-odd", 7, 8, AT_SYMLINK_NOFOLLOW), 0);
    s_time(root, "link-odd", 1000000000, 5);
    mkfifoat(root, "fifo", 0620);
    assert_int_equal(mknodat(root, "char", S_IFCHR | 0666, makedev(1, 3)), 0);
    assert_int_equal(mknodat(root, "block", S_IFBLK | 0660, makedev(259, 70000)), 0);
    assert_int_equal(mknodat(root, "whiteout", S_IFCHR, makedev(0, 0)), 0);
    mkdirat(root, "empty", 0700);
    mkdirat(root, "sticky", 0);
    assert_int_equal(fchmodat(root, "sticky", 01777, 0), 0);
    tree_lab_file(root, "setuid", 100, 6);
    assert_int_equal(fchownat(root, "setuid", 4294967294u, 4294967294u, 0), 0);
    assert_int_equal(fchmodat(root, "setuid", 06755, 0), 0);
    tree_lab_file(root, "no-mode", 10, 7);
    assert_int_equal(fchmodat(root, "no-mode", 0, 0), 0);
    tree_lab_file(root, "nothing", 0, 0);
}

static void
s_fill_names(int root)
{
    mkdirat(root, "a", 0755);
    mkdirat(root, "a/b", 0755);
    // "a.b" and "a-b" come after all of "a/..." in components, before it as whole bytes.
    tree_lab_file(root, "a.b", 10, 10);
    tree_lab_file(root, "a-b", 10, 11);
    tree_lab_file(root, "new\nline \xff\xfe\x01", 10, 12);
    tree_lab_file(root, " ", 10, 13);
    char name[256];
    memset(name, 'n', 255);
    name[255] = '\0';
    tree_lab_file(root, name, 10, 14);
    tree_lab_file(root, "a/shared", 70000, 15);
    linkat(root, "a/shared", root, "a/b/shared", 0);
    linkat(root, "a/shared", root, "Shared", 0);
    tree_lab_file(root, "twin-1", 5000, 16);
    tree_lab_file(root, "twin-2", 5000, 16);
    mkdirat(root, "many", 0755);
    for (unsigned i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "many/%u", i);
        tree_lab_file(root, name, i * 37, i);
    }
}

static void
s_fill_deep(int root)
{
    int at = dup(root);
    for (int i = 0; i < 160; i++) {
        char name[64];
        snprintf(name, sizeof name, "deep-%052d", i);
        assert_int_equal(mkdirat(at, name, 0755), 0);
        const int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_not_equal(next, -1);
        tree_lab_file(at, "e", 10, (unsigned) i);
        close(at);
        at = next;
    }
    tree_lab_file(at, "bottom", 1000, 20);
    linkat(at, "bottom", root, "z-from-the-bottom", 0);
    close(at);
}

void
tree_lab_fill(int root)
{
    s_fill_names(root);
    s_fill_kinds(root);
    s_fill_sparse(root);
    s_fill_attributes(root);
    s_fill_deep(root);
    tree_lab_file(root, "large", 9000000, 30);
    tree_lab_file(root, "medium", 600000, 31);
    s_time(root, "large", -315619200, 123456789);
    s_time(root, "medium", 4102444800, 999999999);
    s_time(root, "a/b", 0, 1);
    assert_int_equal(fchmod(root, 0711), 0);
    s_time(root, ".", 1234567890, 42);
}

// ---- Chunks

static chunk_t *
s_find(const tree_lab_t *self, const rmt_id_t *id)
{
    for (size_t i = 0; i < self->count; i++)
        if (rmt_id_equal(&self->chunks[i].id, id))
            return &self->chunks[i];
    return NULL;
}

int
tree_lab_put(void *context, const rmt_chunk_t *chunk, rmt_error_t *error)
{
    tree_lab_t *self = context;
    if (s_find(self, &chunk->id))
        return 0;
    void *plain = malloc(RMT_CHUNK_PLAIN_MAX);
    assert_non_null(plain);
    assert_int_equal(rmt_chunk_open(chunk, plain, error), 0);
    self->chunks = realloc(self->chunks, (self->count + 1) * sizeof *self->chunks);
    assert_non_null(self->chunks);
    plain = realloc(plain, chunk->plain_size);
    self->chunks[self->count++] = (chunk_t){chunk->id, chunk->plain_size, plain};
    return 0;
}

int
tree_lab_get(void *context, const rmt_id_t *id, void *plain_out, size_t *size_out,
             rmt_error_t *error)
{
    const chunk_t *chunk = s_find(context, id);
    if (!chunk)
        return rmt_fail(error, RMT_E_NOT_FOUND, "no such chunk");
    memcpy(plain_out, chunk->plain, chunk->size);
    *size_out = chunk->size;
    return 0;
}

// ---- Work

// The clock that the kernel takes times of files from; it ticks slowly.
static bool
s_is_past(const struct timespec *then)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return now.tv_sec != then->tv_sec ? now.tv_sec > then->tv_sec
                                      : now.tv_nsec > then->tv_nsec;
}

void
tree_lab_settle(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    RMT_WAIT_UNTIL(s_is_past(&now), 5000);
}

rmt_id_t
tree_lab_capture(tree_lab_t *self, unsigned threads, const char *const *excludes)
{
    const rmt_capture_options_t options = {
        .root_fd = self->source, .excludes = excludes, .threads = threads};
    const rmt_capture_sink_t sink = {.context = self, .chunk_fn = tree_lab_put};
    rmt_id_t root;
    rmt_error_t error = {0};
    rmt_capture_report_clear(&self->report);
    if (rmt_capture_run(&options, &sink, &root, &self->report, &error) == -1)
        fail_msg("%s", error.text);
    return root;
}

rmt_entry_t
tree_lab_find(tree_lab_t *self, const rmt_id_t *root, const char *path)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_manifest_reader) reader =
        rmt_manifest_reader_new(root, tree_lab_get, self, &error);
    RMT_OK(reader);
    rmt_entry_t entry;
    while (rmt_manifest_reader_next(reader, &entry, &error) == 1)
        if (strcmp(entry.path, path) == 0)
            return (rmt_entry_t){.mode = entry.mode,
                                 .uid = entry.uid,
                                 .size = entry.size,
                                 .unreadable = entry.unreadable,
                                 .fuzzy = entry.fuzzy};
    return (rmt_entry_t){0};
}

const rmt_capture_report_t *
tree_lab_report(const tree_lab_t *self)
{
    return &self->report;
}

static int
s_write_entries(tree_lab_t *self, rmt_manifest_reader_t *reader, rmt_writer_t *writer,
                rmt_error_t *error)
{
    rmt_auto_ptr plain = malloc(RMT_CHUNK_PLAIN_MAX);
    rmt_entry_t entry;
    int more;
    while ((more = rmt_manifest_reader_next(reader, &entry, error)) == 1) {
        if (rmt_writer_entry(writer, &entry, error) == -1)
            return -1;
        for (size_t i = 0; i < entry.chunk_count; i++) {
            size_t size;
            if (tree_lab_get(self, &entry.chunks[i], plain, &size, error) == -1 ||
                rmt_writer_data(writer, plain, size, error) == -1)
                return -1;
        }
    }
    return more;
}

int
tree_lab_try_write(tree_lab_t *self, const rmt_id_t *root,
                   rmt_writer_report_t *report_out, rmt_error_t *error)
{
    rmt_auto(rmt_manifest_reader) reader =
        rmt_manifest_reader_new(root, tree_lab_get, self, error);
    if (!reader)
        return -1;
    rmt_auto(rmt_writer) writer = rmt_writer_new(self->copy, 2, error);
    if (!writer || s_write_entries(self, reader, writer, error) == -1)
        return -1;
    return rmt_writer_finish(writer, report_out, error);
}

rmt_writer_report_t
tree_lab_write(tree_lab_t *self, const rmt_id_t *root)
{
    rmt_error_t error = {0};
    rmt_writer_report_t report = {0};
    if (tree_lab_try_write(self, root, &report, &error) == -1)
        fail_msg("%s", error.text);
    return report;
}

static void
s_note(void *context, const rmt_compare_finding_t *finding)
{
    char **lines = context;
    char *longer = rmt_text("%s%s %s\n", *lines, finding->what, finding->path);
    free(*lines);
    *lines = longer;
}

char *
tree_lab_compare(tree_lab_t *self, const rmt_id_t *root, const char *const *ignores)
{
    const rmt_compare_input_t tree = {.tree_fd = self->source};
    const rmt_compare_input_t manifest = {
        .root = root, .source = tree_lab_get, .source_context = self};
    const rmt_compare_input_t copy = {.tree_fd = self->copy};
    char *lines = strdup("");
    const rmt_compare_options_t options = {
        .ignores = ignores, .finding_fn = s_note, .context = &lines};
    rmt_compare_report_t report;
    rmt_error_t error = {0};
    if (rmt_compare_run(root ? &manifest : &tree, &copy, &options, &report, &error) == -1)
        fail_msg("%s", error.text);
    return lines;
}
