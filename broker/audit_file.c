#include "broker/audit_file.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_failpoint.h"
#include "base/rmt_io.h"

#define NAME_FORMAT "audit-%016" PRIu64 ".jsonl"
#define KEY_FILE "audit.key"
#define PUBLIC_FILE "audit.pub"
#define LOCK_FILE "audit.lock"

struct rmt_audit_file {
    char *folder;
    int lock, fd; // -1: none
    uint64_t n;   // Of the first line of the newest file; 0: there is no file
    uint64_t size;
    int64_t begun_ms;
};

rmt_audit_file_t *
rmt_audit_file_new(const char *folder)
{
    assert(folder);
    rmt_audit_file_t *self = calloc(1, sizeof *self);
    assert(self);
    self->folder = rmt_text("%s", folder);
    self->lock = self->fd = -1;
    return self;
}

static void
s_close(int *fd)
{
    if (*fd != -1)
        (void) close(*fd);
    *fd = -1;
}

void
rmt_audit_file_destroy(rmt_audit_file_t **self_p)
{
    rmt_audit_file_t *self = *self_p;
    if (!self)
        return;
    s_close(&self->fd);
    s_close(&self->lock);
    free(self->folder);
    free(self);
    *self_p = NULL;
}

static char *
s_path(const rmt_audit_file_t *self, uint64_t n)
{
    return rmt_text("%s/" NAME_FORMAT, self->folder, n);
}

// ---- The files of the folder

// The number in a name; 0: it is no name of an audit file.
static uint64_t
s_number_of(const char *name)
{
    uint64_t n = 0;
    char again[48];
    if (sscanf(name, "audit-%" SCNu64 ".jsonl", &n) != 1)
        return 0;
    snprintf(again, sizeof again, NAME_FORMAT, n);
    return strcmp(again, name) == 0 ? n : 0;
}

// The newest file (above 0, below UINT64_MAX), or the oldest one behind n. 0 in *n_out:
// there is none. 0, or -1: IO.
static int
s_find(const rmt_audit_file_t *self, bool is_newest, uint64_t behind, uint64_t *n_out,
       rmt_error_t *error)
{
    DIR *folder = opendir(self->folder);
    if (!folder)
        return rmt_fail_errno(error, "open %s", self->folder);
    uint64_t found = 0;
    errno = 0;
    for (struct dirent *entry; (entry = readdir(folder)); errno = 0) {
        const uint64_t n = s_number_of(entry->d_name);
        if (n > behind && (found == 0 || (n > found) == is_newest))
            found = n;
    }
    // A file that is not seen would be written a second time.
    const int rc = errno ? rmt_fail_errno(error, "read folder %s", self->folder) : 0;
    (void) closedir(folder);
    if (rc == -1)
        return -1;
    *n_out = found;
    return 0;
}

// ---- Opening

static int
s_lock(rmt_audit_file_t *self, rmt_error_t *error)
{
    if (rmt_io_mkdirs(self->folder, 0750, error) == -1)
        return -1;
    rmt_auto_str path = rmt_text("%s/" LOCK_FILE, self->folder);
    rmt_auto_fd lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock == -1)
        return rmt_fail_errno(error, "open %s", path);
    if (flock(lock, LOCK_EX | LOCK_NB) == -1)
        return errno == EWOULDBLOCK
                   ? rmt_fail(error, RMT_E_CONFIG,
                              "another broker writes its audit into %s; give each a "
                              "folder of its own by the setting audit",
                              self->folder)
                   : rmt_fail_errno(error, "lock %s", path);
    self->lock = rmt_take_fd(&lock);
    return 0;
}

// How many octets at the end of the data are no whole line.
static size_t
s_torn(const char *data, size_t size)
{
    const char *end = size > 0 ? memrchr(data, '\n', size) : NULL;
    return end ? (size_t) (data + size - end) - 1 : size;
}

// The last line, unless the file ends with what is no line: that is taken off.
static int
s_read_end(rmt_audit_file_t *self, char **last_out, rmt_error_t *error)
{
    const size_t most = 2 * RMT_CHAIN_LINE_MAX;
    const size_t size = self->size < most ? (size_t) self->size : most;
    rmt_auto_str data = malloc(size + 1);
    assert(data);
    if (rmt_io_pread(self->fd, data, size, (off_t) (self->size - size), error) == -1)
        return -1;
    const size_t torn = s_torn(data, size);
    if (torn > 0) {
        if (ftruncate(self->fd, (off_t) (self->size - torn)) == -1 ||
            fsync(self->fd) == -1)
            return rmt_fail_errno(error, "take the torn end off");
        self->size -= torn;
        return 0;
    }
    const char *before = memrchr(data, '\n', size - 1);
    const char *last = before ? before + 1 : data;
    *last_out = rmt_text("%.*s", (int) (data + size - last), last);
    return 0;
}

// The last line; what a crash has torn behind it is taken off, however long that is. A
// file without a whole line is as good as none.
static int
s_read_last(rmt_audit_file_t *self, char **last_out, rmt_error_t *error)
{
    while (!*last_out && self->size > 0)
        if (s_read_end(self, last_out, error) == -1)
            return -1;
    return 0;
}

static int
s_open_file(rmt_audit_file_t *self, char **last_out, rmt_error_t *error)
{
    struct stat status;
    rmt_auto_str path = s_path(self, self->n);
    self->fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    if (self->fd == -1 || fstat(self->fd, &status) == -1)
        return rmt_fail_errno(error, "open %s", path);
    if (!S_ISREG(status.st_mode))
        return rmt_fail(error, RMT_E_CONFIG, "%s is not a file; move it away", path);
    self->size = (uint64_t) status.st_size;
    self->begun_ms = (int64_t) status.st_mtim.tv_sec * 1000;
    if (s_read_last(self, last_out, error) == -1)
        return rmt_wrap(error, "%s", path);
    if (*last_out)
        return 0;
    s_close(&self->fd);
    return unlink(path) == -1 ? rmt_fail_errno(error, "remove %s", path) : 0;
}

// A file that was begun, and then nothing was written, is none.
static int
s_open_newest(rmt_audit_file_t *self, char **last_out, rmt_error_t *error)
{
    do {
        if (s_find(self, true, 0, &self->n, error) == -1)
            return -1;
        if (self->n != 0 && s_open_file(self, last_out, error) == -1)
            return -1;
    } while (self->n != 0 && !*last_out);
    return 0;
}

int
rmt_audit_file_open(rmt_audit_file_t *self, char **last_out, rmt_error_t *error)
{
    assert(self && last_out && error);
    *last_out = NULL;
    s_close(&self->fd);
    self->size = self->n = 0;
    self->begun_ms = 0;
    if (self->lock == -1 && s_lock(self, error) == -1)
        return -1;
    if (s_open_newest(self, last_out, error) == 0)
        return 0;
    s_close(&self->fd);
    s_close(&self->lock);
    return -1;
}

int
rmt_audit_file_key(const rmt_audit_file_t *self, rmt_sign_key_t *key_out,
                   rmt_error_t *error)
{
    rmt_auto_str path = rmt_text("%s/" KEY_FILE, self->folder);
    rmt_auto_str public_path = rmt_text("%s/" PUBLIC_FILE, self->folder);
    if (rmt_sign_key_load(key_out, path, error) == 0)
        return 0;
    if (error->code != RMT_E_NOT_FOUND)
        return -1;
    rmt_sign_key_new(key_out);
    if (rmt_sign_key_save(key_out, path, error) == -1)
        return -1;
    return rmt_sign_key_save_public(key_out, public_path, error);
}

uint64_t
rmt_audit_file_size(const rmt_audit_file_t *self)
{
    return self->size;
}

int64_t
rmt_audit_file_begun_ms(const rmt_audit_file_t *self)
{
    return self->begun_ms;
}

// ---- Writing

int
rmt_audit_file_next(rmt_audit_file_t *self, uint64_t n, rmt_error_t *error)
{
    assert(self && n > 0 && error);
    struct stat status;
    rmt_auto_str path = s_path(self, n);
    rmt_auto_fd fd =
        open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd == -1 || fstat(fd, &status) == -1)
        return rmt_fail_errno(error, "make %s", path);
    // One without lines is there when the last try could write none.
    if (!S_ISREG(status.st_mode) || status.st_size > 0)
        return rmt_fail(error, RMT_E_CORRUPT, "another program has made %s", path);
    if (rmt_io_sync_parent(path, error) == -1)
        return -1;
    s_close(&self->fd);
    self->fd = rmt_take_fd(&fd);
    self->n = n;
    self->size = 0;
    self->begun_ms = rmt_clock_wall_ms();
    return 0;
}

// No other program may write, cut or remove the file.
static bool
s_is_as_left(const rmt_audit_file_t *self)
{
    struct stat status;
    return fstat(self->fd, &status) == 0 && status.st_nlink > 0 &&
           (uint64_t) status.st_size == self->size;
}

static int
s_write(const rmt_audit_file_t *self, const char *lines, size_t size, rmt_error_t *error)
{
    if (RMT_FAILPOINT("audit.write") == -1)
        return rmt_fail_errno(error, "write %zu bytes", size);
    if (rmt_io_write(self->fd, lines, size, error) == -1)
        return -1;
    if (RMT_FAILPOINT("audit.sync") == -1 || fdatasync(self->fd) == -1)
        return rmt_fail_errno(error, "sync %zu bytes", size);
    return 0;
}

int
rmt_audit_file_append(rmt_audit_file_t *self, const char *lines, size_t size,
                      rmt_error_t *error)
{
    assert(self && lines && error && self->fd != -1);
    rmt_auto_str path = s_path(self, self->n);
    if (!s_is_as_left(self))
        return rmt_fail(error, RMT_E_CORRUPT, "another program has changed %s", path);
    if (s_write(self, lines, size, error) == -1) {
        // What was written of it is taken off, so that the next try is whole. When that
        // fails too, the file is not as it was left, and is opened anew.
        (void) !ftruncate(self->fd, (off_t) self->size);
        return rmt_wrap(error, "%s", path);
    }
    self->size += size;
    return 0;
}

// ---- Reading

rmt_audit_place_t
rmt_audit_file_end(const rmt_audit_file_t *self)
{
    return (rmt_audit_place_t){self->n, self->size};
}

static int
s_read_at(const rmt_audit_file_t *self, const rmt_audit_place_t *place, void *data,
          size_t size, size_t *used_out, rmt_error_t *error)
{
    rmt_auto_str path = s_path(self, place->n);
    rmt_auto_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd == -1)
        return rmt_fail_errno(error, "open %s", path);
    const ssize_t done = pread(fd, data, size, (off_t) place->offset);
    if (done == -1)
        return rmt_fail_errno(error, "read %s", path);
    *used_out = (size_t) done;
    return 0;
}

int
rmt_audit_file_read(const rmt_audit_file_t *self, rmt_audit_place_t *place,
                    rmt_audit_place_t end, void *data, size_t size, size_t *used_out,
                    rmt_error_t *error)
{
    *used_out = 0;
    if (place->n == 0 && s_find(self, false, 0, &place->n, error) == -1)
        return -1;
    while (place->n != 0 && place->n <= end.n) {
        const uint64_t left = place->n < end.n             ? UINT64_MAX
                              : end.offset > place->offset ? end.offset - place->offset
                                                           : 0;
        if (left > 0 && s_read_at(self, place, data, left < size ? (size_t) left : size,
                                  used_out, error) == -1)
            return -1;
        place->offset += *used_out;
        if (*used_out > 0 || place->n == end.n)
            return 0;
        uint64_t next = 0;
        if (s_find(self, false, place->n, &next, error) == -1)
            return -1;
        *place = (rmt_audit_place_t){next, 0};
    }
    return 0;
}
