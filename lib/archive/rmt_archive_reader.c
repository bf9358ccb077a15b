#include "archive/rmt_archive_reader.h"
#include "archive/rmt_archive_acl.h"
#include "archive/rmt_archive_head.h"
#include "base/rmt_auto.h"
#include "base/rmt_log.h"

#include <archive.h>
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define READ_SIZE ((size_t) 256 * 1024)
#define XATTR_COUNT_MAX 1024

struct rmt_archive_reader {
    int fd;
    struct archive *archive;
    struct archive_entry *entry; // The library's
    void *head;
    size_t head_size;
    uint8_t *buffer; // [READ_SIZE]; begins with what the head has read already
    size_t first_size;
    // Of the last entry
    char *path, *link, *target;
    rmt_xattr_t *xattrs;
    size_t xattr_count;
    void *acls[2];
    char *names; // Of attributes
    rmt_extent_t *runs;
    size_t run_count, run_at;
    uint64_t run_position; // In the run at run_at
    const uint8_t *block;  // What is left of the library's last block
    size_t block_size;
};

// ---- The library

static la_ssize_t
s_read(struct archive *archive, void *context, const void **data_out)
{
    rmt_archive_reader_t *self = context;
    *data_out = self->buffer;
    if (self->first_size) {
        const size_t size = self->first_size;
        self->first_size = 0;
        return (la_ssize_t) size;
    }
    for (;;) {
        const ssize_t size = read(self->fd, self->buffer, READ_SIZE);
        if (size >= 0)
            return size;
        if (errno != EINTR) {
            archive_set_error(archive, errno, "read archive: %s", strerror(errno));
            return -1;
        }
    }
}

static int
s_fail(const rmt_archive_reader_t *self, rmt_error_t *error)
{
    const char *text = archive_error_string(self->archive);
    return rmt_fail(error, RMT_E_CORRUPT, "the archive cannot be read: %s",
                    text ? text : "libarchive gives no reason");
}

rmt_archive_reader_t *
rmt_archive_reader_new(int fd, rmt_error_t *error)
{
    rmt_auto(rmt_archive_reader) self = calloc(1, sizeof *self);
    assert(self);
    self->fd = fd;
    self->buffer = malloc(READ_SIZE);
    self->archive = archive_read_new();
    assert(self->buffer && self->archive);
    if (rmt_archive_head_read(fd, &self->head, &self->head_size, self->buffer,
                              &self->first_size, error) == -1)
        return NULL;
    if (archive_read_support_format_tar(self->archive) != ARCHIVE_OK ||
        archive_read_open(self->archive, self, NULL, s_read, NULL) != ARCHIVE_OK) {
        (void) s_fail(self, error);
        return NULL;
    }
    return rmt_take(&self);
}

static void
s_clear(rmt_archive_reader_t *self)
{
    free(self->path);
    free(self->link);
    free(self->target);
    free(self->xattrs);
    free(self->acls[0]);
    free(self->acls[1]);
    free(self->names);
    free(self->runs);
    self->path = self->link = self->target = self->names = NULL;
    self->xattrs = NULL;
    self->acls[0] = self->acls[1] = NULL;
    self->runs = NULL;
    self->xattr_count = self->run_count = self->run_at = 0;
    self->run_position = 0;
    self->block_size = 0;
}

void
rmt_archive_reader_destroy(rmt_archive_reader_t **self_p)
{
    rmt_archive_reader_t *self = *self_p;
    if (!self)
        return;
    s_clear(self);
    archive_read_free(self->archive);
    free(self->head);
    free(self->buffer);
    free(self);
    *self_p = NULL;
}

const void *
rmt_archive_reader_head(const rmt_archive_reader_t *self, size_t *size_out)
{
    *size_out = self->head_size;
    return self->head;
}

// ---- Names

// Without "./", double slashes and slashes at the ends. NULL: it leads out of the tree.
static char *
s_clean_path(const char *name)
{
    char *clean = malloc(strlen(name) + 1);
    assert(clean);
    char *out = clean;
    while (*name) {
        const size_t size = strcspn(name, "/");
        if (size == 2 && memcmp(name, "..", 2) == 0) {
            free(clean);
            return NULL;
        }
        if (size > 0 && !(size == 1 && *name == '.')) {
            if (out != clean)
                *out++ = '/';
            out = mempcpy(out, name, size);
        }
        name += size + (name[size] == '/');
    }
    *out = '\0';
    return clean;
}

static int
s_read_names(rmt_archive_reader_t *self, rmt_error_t *error)
{
    const char *path = archive_entry_pathname(self->entry);
    const char *link = archive_entry_hardlink(self->entry);
    char shown[200];
    if (!path)
        return rmt_fail(error, RMT_E_CORRUPT, "an entry has no name");
    self->path = s_clean_path(path);
    self->link = link ? s_clean_path(link) : NULL;
    if (!self->path || (link && !self->link))
        return rmt_fail(error, RMT_E_CORRUPT,
                        "the name '%s' leads out of the archive's tree",
                        rmt_log_escape(shown, sizeof shown, self->path ? link : path));
    return 0;
}

// ---- Attributes

static int
s_hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

// Writers of archives put bytes that a pax keyword cannot have as %XX, and % itself so;
// the library does not take that back. Returns the end of out.
static char *
s_decode_name(const char *name, char *out)
{
    while (*name) {
        const int high = *name == '%' ? s_hex(name[1]) : -1;
        const int low = high != -1 ? s_hex(name[2]) : -1;
        if (low != -1 && (high || low)) {
            *out++ = (char) (high << 4 | low);
            name += 3;
        } else {
            *out++ = *name++;
        }
    }
    *out = '\0';
    return out + 1;
}

static int
s_compare_xattrs(const void *a, const void *b)
{
    const rmt_xattr_t *one = a;
    const rmt_xattr_t *two = b;
    return strcmp(one->name, two->name);
}

// Space for all attributes and their names, the two ACLs among them.
static size_t
s_make_room(rmt_archive_reader_t *self)
{
    const int count = archive_entry_xattr_reset(self->entry);
    size_t size = sizeof RMT_ACL_ACCESS + sizeof RMT_ACL_DEFAULT;
    const char *name;
    const void *value;
    size_t value_size;
    while (archive_entry_xattr_next(self->entry, &name, &value, &value_size) ==
           ARCHIVE_OK)
        size += strlen(name) + 1;
    self->xattrs = calloc((size_t) count + 2, sizeof *self->xattrs);
    self->names = malloc(size);
    assert(self->xattrs && self->names);
    archive_entry_xattr_reset(self->entry);
    return (size_t) count;
}

// Some programs write an ACL twice, as text and as the attribute that it is; the latter
// has numbers only.
static int
s_add_acl(rmt_archive_reader_t *self, bool is_default, rmt_error_t *error)
{
    const char *name = is_default ? RMT_ACL_DEFAULT : RMT_ACL_ACCESS;
    for (size_t i = 0; i < self->xattr_count; i++)
        if (strcmp(self->xattrs[i].name, name) == 0)
            return 0;
    uint32_t size = 0;
    if (rmt_archive_acl_get(self->entry, is_default, &self->acls[is_default], &size,
                            error) == -1)
        return -1;
    if (self->acls[is_default])
        self->xattrs[self->xattr_count++] =
            (rmt_xattr_t){name, self->acls[is_default], size};
    return 0;
}

// The library puts what an ACL grants the owning group into the mode; in st_mode these
// bits are those of the mask.
static void
s_mend_mode(const rmt_archive_reader_t *self, rmt_entry_t *entry)
{
    for (size_t i = 0; i < self->xattr_count; i++) {
        const rmt_xattr_t *xattr = &self->xattrs[i];
        const int mask = strcmp(xattr->name, RMT_ACL_ACCESS) == 0
                             ? rmt_archive_acl_mask(xattr->value, xattr->value_size)
                             : -1;
        if (mask != -1)
            entry->mode = (entry->mode & ~070u) | (uint32_t) mask << 3;
    }
}

static int
s_read_xattrs(rmt_archive_reader_t *self, rmt_entry_t *entry, rmt_error_t *error)
{
    const size_t count = s_make_room(self);
    if (count > XATTR_COUNT_MAX)
        return rmt_fail(error, RMT_E_TOO_BIG, "has %zu extended attributes", count);
    char *at = self->names;
    const char *name;
    const void *value;
    size_t size;
    while (archive_entry_xattr_next(self->entry, &name, &value, &size) == ARCHIVE_OK) {
        if (size > UINT32_MAX)
            return rmt_fail(error, RMT_E_TOO_BIG, "has an attribute of %zu bytes", size);
        self->xattrs[self->xattr_count++] = (rmt_xattr_t){at, value, (uint32_t) size};
        at = s_decode_name(name, at);
    }
    if (s_add_acl(self, false, error) == -1 || s_add_acl(self, true, error) == -1)
        return -1;
    if (self->xattr_count)
        qsort(self->xattrs, self->xattr_count, sizeof *self->xattrs, s_compare_xattrs);
    s_mend_mode(self, entry);
    entry->xattrs = self->xattrs;
    entry->xattr_count = self->xattr_count;
    return 0;
}

// The library has wider numbers; cut to ours they would mean another owner or device.
static int
s_take_number(uint64_t number, uint32_t limit, const char *what, uint32_t *number_out,
              rmt_error_t *error)
{
    if (number > limit)
        return rmt_fail(error, RMT_E_CORRUPT,
                        "the %s is %lld, and the highest one is %" PRIu32, what,
                        (long long) number, limit);
    *number_out = (uint32_t) number;
    return 0;
}

static int
s_read_status(rmt_archive_reader_t *self, rmt_entry_t *entry, rmt_error_t *error)
{
    // The highest number of all means "leave as it is" (chown(2)).
    const uint32_t owner_max = UINT32_MAX - 1;
    struct archive_entry *from = self->entry;
    if (s_take_number((uint64_t) archive_entry_uid(from), owner_max, "owner", &entry->uid,
                      error) == -1 ||
        s_take_number((uint64_t) archive_entry_gid(from), owner_max, "group", &entry->gid,
                      error) == -1)
        return -1;
    entry->mode = archive_entry_mode(from);
    entry->mtime_s = archive_entry_mtime(from);
    entry->mtime_ns = (uint32_t) archive_entry_mtime_nsec(from);
    unsigned long set = 0, clear = 0;
    archive_entry_fflags(from, &set, &clear);
    entry->flags = (uint32_t) set;
    if (!S_ISCHR(entry->mode) && !S_ISBLK(entry->mode))
        return 0;
    if (s_take_number(archive_entry_rdevmajor(from), UINT32_MAX, "major device number",
                      &entry->rdev_major, error) == -1)
        return -1;
    return s_take_number(archive_entry_rdevminor(from), UINT32_MAX, "minor device number",
                         &entry->rdev_minor, error);
}

// ---- Contents

static void
s_add_run(rmt_archive_reader_t *self, uint64_t offset, uint64_t size)
{
    rmt_extent_t *last = self->run_count ? &self->runs[self->run_count - 1] : NULL;
    if (size == 0)
        return;
    if (last && last->offset + last->size == offset)
        last->size += size;
    else
        self->runs[self->run_count++] = (rmt_extent_t){offset, size};
}

static void
s_read_map(rmt_archive_reader_t *self, rmt_entry_t *entry)
{
    const int count = archive_entry_sparse_reset(self->entry);
    entry->size = (uint64_t) archive_entry_size(self->entry);
    self->runs = calloc((size_t) count + 1, sizeof *self->runs);
    assert(self->runs);
    la_int64_t offset, size;
    while (archive_entry_sparse_next(self->entry, &offset, &size) == ARCHIVE_OK)
        s_add_run(self, (uint64_t) offset, (uint64_t) size);
    if (count == 0)
        s_add_run(self, 0, entry->size);
    const bool is_whole = self->run_count == 1 && self->runs[0].offset == 0 &&
                          self->runs[0].size == entry->size;
    entry->sparse = entry->size > 0 && !is_whole;
    if (entry->sparse) {
        entry->extents = self->runs;
        entry->extent_count = self->run_count;
    }
}

// Get the next block, which must be what the map promises.
static int
s_next_block(rmt_archive_reader_t *self, rmt_error_t *error)
{
    const void *block = NULL;
    size_t size = 0;
    la_int64_t offset = 0;
    do {
        const int result = archive_read_data_block(self->archive, &block, &size, &offset);
        if (result == ARCHIVE_EOF)
            return rmt_fail(error, RMT_E_CORRUPT, "the contents end early");
        if (result != ARCHIVE_OK)
            return s_fail(self, error);
    } while (size == 0);
    const rmt_extent_t *run = &self->runs[self->run_at];
    if ((uint64_t) offset != run->offset + self->run_position ||
        size > run->size - self->run_position)
        return rmt_fail(error, RMT_E_CORRUPT,
                        "the contents lie outside the entry's map of data");
    self->block = block;
    self->block_size = size;
    return 0;
}

int
rmt_archive_reader_read(rmt_archive_reader_t *self, void *data, size_t size,
                        size_t *size_out, rmt_error_t *error)
{
    uint8_t *out = data;
    size_t done = 0;
    while (done < size && self->run_at < self->run_count) {
        if (self->block_size == 0 && s_next_block(self, error) == -1) {
            char shown[200];
            return rmt_wrap(error, "/%s",
                            rmt_log_escape(shown, sizeof shown, self->path));
        }
        const size_t part =
            size - done < self->block_size ? size - done : self->block_size;
        memcpy(out + done, self->block, part);
        done += part;
        self->block += part;
        self->block_size -= part;
        self->run_position += part;
        if (self->run_position == self->runs[self->run_at].size) {
            self->run_at++;
            self->run_position = 0;
        }
    }
    *size_out = done;
    return 0;
}

// ---- Entries

// Names that are no text of the locale are given as bytes, which is what is wanted; any
// other warning means that something was lost.
static bool
s_is_harmless(const rmt_archive_reader_t *self)
{
    const char *text = archive_error_string(self->archive);
    return text && strstr(text, "can't be converted from");
}

static int
s_fill(rmt_archive_reader_t *self, rmt_entry_t *entry, rmt_error_t *error)
{
    if (s_read_status(self, entry, error) == -1)
        return -1;
    if (self->link)
        return 0;
    if (S_ISLNK(entry->mode)) {
        const char *target = archive_entry_symlink(self->entry);
        self->target = strdup(target ? target : "");
        entry->target = self->target;
    }
    if (S_ISREG(entry->mode))
        s_read_map(self, entry);
    return s_read_xattrs(self, entry, error);
}

int
rmt_archive_reader_next(rmt_archive_reader_t *self, rmt_entry_t *entry_out,
                        const char **link_out, rmt_error_t *error)
{
    s_clear(self);
    const int result = archive_read_next_header(self->archive, &self->entry);
    if (result == ARCHIVE_EOF)
        return 0;
    if (result != ARCHIVE_OK && !(result == ARCHIVE_WARN && s_is_harmless(self)))
        return s_fail(self, error);
    rmt_entry_t entry = {0};
    if (s_read_names(self, error) == -1)
        return -1;
    entry.path = self->path;
    entry.path_size = strlen(self->path);
    rmt_error_t why = {0};
    if (s_fill(self, &entry, &why) == -1 ||
        (!self->link && !entry.size && rmt_entry_check(&entry, &why) == -1)) {
        char shown[200];
        return rmt_fail(error, why.code, "/%s: %s",
                        rmt_log_escape(shown, sizeof shown, self->path), why.text);
    }
    *entry_out = entry;
    *link_out = self->link;
    return 1;
}
