#include "archive/rmt_archive_writer.h"
#include "archive/rmt_archive_acl.h"
#include "archive/rmt_archive_head.h"
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"

#include <archive.h>
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

// Holes are told to the library as bytes that it does not look at; so many at once, which
// is all that it takes.
#define HOLE_SIZE ((size_t) INT_MAX)

// The first member of a group of hard links.
typedef struct {
    uint64_t group;
    char *path;
    uint32_t mode, uid, gid, mtime_ns;
    int64_t mtime_s;
} s_link_t;

struct rmt_archive_writer {
    int fd;
    struct archive *archive;
    struct archive_entry *entry;
    char *mount;
    s_link_t *links; // Of this volume, in the order of their groups
    size_t link_count, link_room;
    void *hole;         // HOLE_SIZE bytes that are never touched
    rmt_extent_t *runs; // Of the last entry
    size_t run_count, run_at, run_room;
    uint64_t position, size; // In the last entry's contents, and its size
    bool is_waiting;         // For data
    rmt_error_t io;          // What write(2) said
    rmt_archive_report_t report;
};

// ---- The library

static la_ssize_t
s_write(struct archive *archive, void *context, const void *data, size_t size)
{
    rmt_archive_writer_t *self = context;
    if (rmt_io_write(self->fd, data, size, &self->io) == 0)
        return (la_ssize_t) size;
    archive_set_error(archive, EIO, "%s", self->io.text);
    return -1;
}

// What the library says, or what was the reason for it.
static int
s_fail(rmt_archive_writer_t *self, rmt_error_t *error)
{
    if (self->io.code != RMT_E_OK) {
        *error = self->io;
        return -1;
    }
    return rmt_fail(error, RMT_E_IO, "%s", archive_error_string(self->archive));
}

static int
s_open(rmt_archive_writer_t *self, rmt_error_t *error)
{
    self->archive = archive_write_new();
    self->entry = archive_entry_new();
    assert(self->archive && self->entry);
    if (archive_write_set_format_pax(self->archive) != ARCHIVE_OK ||
        archive_write_set_format_option(self->archive, "pax", "xattrheader", "SCHILY") !=
            ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(self->archive, 1) != ARCHIVE_OK ||
        archive_write_open(self->archive, self, NULL, s_write, NULL) != ARCHIVE_OK)
        return s_fail(self, error);
    self->hole = mmap(NULL, HOLE_SIZE, PROT_READ,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return self->hole == MAP_FAILED ? rmt_fail_errno(error, "map a hole in memory") : 0;
}

rmt_archive_writer_t *
rmt_archive_writer_new(int fd, const void *head, size_t size, rmt_error_t *error)
{
    rmt_auto(rmt_archive_writer) self = calloc(1, sizeof *self);
    assert(self);
    self->fd = fd;
    self->hole = MAP_FAILED;
    self->mount = rmt_text("%s", "");
    if ((head && rmt_archive_head_write(fd, head, size, error) == -1) ||
        s_open(self, error) == -1)
        return NULL;
    return rmt_take(&self);
}

static void
s_forget_links(rmt_archive_writer_t *self)
{
    for (size_t i = 0; i < self->link_count; i++)
        free(self->links[i].path);
    self->link_count = 0;
}

void
rmt_archive_writer_destroy(rmt_archive_writer_t **self_p)
{
    rmt_archive_writer_t *self = *self_p;
    if (!self)
        return;
    if (self->archive) {
        archive_write_fail(self->archive); // Nothing more is written
        archive_write_free(self->archive);
    }
    archive_entry_free(self->entry);
    s_forget_links(self);
    free(self->links);
    free(self->mount);
    free(self->runs);
    if (self->hole != MAP_FAILED)
        munmap(self->hole, HOLE_SIZE);
    free(self);
    *self_p = NULL;
}

void
rmt_archive_writer_volume(rmt_archive_writer_t *self, const char *mount)
{
    s_forget_links(self);
    free(self->mount);
    self->mount = rmt_text("%s", mount);
}

// ---- Attributes

static void
s_set_status(struct archive_entry *to, uint32_t mode, uint32_t uid, uint32_t gid,
             int64_t mtime_s, uint32_t mtime_ns)
{
    archive_entry_set_mode(to, mode);
    archive_entry_set_uid(to, uid);
    archive_entry_set_gid(to, gid);
    archive_entry_set_mtime(to, mtime_s, mtime_ns);
}

// Flags that have no name are not written.
static void
s_set_flags(rmt_archive_writer_t *self, uint32_t flags)
{
    if (!flags)
        return;
    archive_entry_set_fflags(self->entry, flags, 0);
    uint32_t named = 0;
    for (uint32_t bit = 1; bit; bit <<= 1) {
        struct archive_entry *probe = flags & bit ? archive_entry_new() : NULL;
        if (!probe)
            continue;
        archive_entry_set_fflags(probe, bit, 0);
        const char *text = archive_entry_fflags_text(probe);
        named |= text && *text ? bit : 0;
        archive_entry_free(probe);
    }
    self->report.flags += named != flags;
}

static bool
s_is_plain_name(const char *name)
{
    for (; *name; name++)
        if (*name <= ' ' || *name > '~' || *name == '=' || *name == '%')
            return false;
    return true;
}

static int
s_set_xattrs(rmt_archive_writer_t *self, const rmt_entry_t *entry, rmt_error_t *error)
{
    bool is_odd = false;
    for (size_t i = 0; i < entry->xattr_count; i++) {
        const rmt_xattr_t *xattr = &entry->xattrs[i];
        const bool is_acl = strcmp(xattr->name, RMT_ACL_ACCESS) == 0 ||
                            strcmp(xattr->name, RMT_ACL_DEFAULT) == 0;
        if (is_acl && rmt_archive_acl_put(self->entry, xattr, error) == -1)
            return -1;
        if (!is_acl)
            archive_entry_xattr_add_entry(self->entry, xattr->name, xattr->value,
                                          xattr->value_size);
        is_odd |= !s_is_plain_name(xattr->name);
    }
    self->report.odd_names += is_odd;
    return 0;
}

// ---- Contents

static void
s_set_contents(rmt_archive_writer_t *self, const rmt_entry_t *entry)
{
    const bool is_missing = entry->unreadable;
    self->size = is_missing ? 0 : entry->size;
    self->position = 0;
    self->run_at = 0;
    self->run_count = entry->sparse && !is_missing ? entry->extent_count : 1;
    rmt_grow(&self->runs, &self->run_room, self->run_count + 1);
    if (!entry->sparse || is_missing)
        self->runs[0] = (rmt_extent_t){0, self->size};
    else if (self->run_count)
        memcpy(self->runs, entry->extents, self->run_count * sizeof *self->runs);
    archive_entry_set_size(self->entry, (la_int64_t) self->size);
    for (size_t i = 0; entry->sparse && !is_missing && i < self->run_count; i++)
        archive_entry_sparse_add_entry(self->entry, (la_int64_t) self->runs[i].offset,
                                       (la_int64_t) self->runs[i].size);
    // A file that is a hole has a map too: an empty run at its end.
    if (entry->sparse && !is_missing && self->run_count == 0)
        archive_entry_sparse_add_entry(self->entry, (la_int64_t) self->size, 0);
    self->is_waiting = self->size > 0;
    self->report.size += self->size;
}

static int
s_put(rmt_archive_writer_t *self, const void *data, size_t size, rmt_error_t *error)
{
    const uint8_t *at = data;
    while (size > 0) {
        const la_ssize_t put = archive_write_data(self->archive, at, size);
        if (put <= 0)
            return s_fail(self, error);
        at += put;
        size -= (size_t) put;
        self->position += (uint64_t) put;
    }
    return 0;
}

static int
s_put_hole(rmt_archive_writer_t *self, uint64_t until, rmt_error_t *error)
{
    while (self->position < until) {
        const uint64_t left = until - self->position;
        if (s_put(self, self->hole, left < HOLE_SIZE ? (size_t) left : HOLE_SIZE,
                  error) == -1)
            return -1;
    }
    return 0;
}

// The contents of the last entry are complete except for holes.
static int
s_end_contents(rmt_archive_writer_t *self, rmt_error_t *error)
{
    if (!self->is_waiting)
        return 0;
    if (self->run_at < self->run_count && self->runs[self->run_at].size > 0)
        return rmt_fail(error, RMT_E_CORRUPT, "the contents of an entry are incomplete");
    self->is_waiting = false;
    return s_put_hole(self, self->size, error);
}

int
rmt_archive_writer_data(rmt_archive_writer_t *self, const void *plain, size_t size,
                        rmt_error_t *error)
{
    const uint8_t *at = plain;
    while (size > 0) {
        if (!self->is_waiting || self->run_at == self->run_count)
            return rmt_fail(error, RMT_E_CORRUPT,
                            "the contents are longer than the entry's size");
        const rmt_extent_t *run = &self->runs[self->run_at];
        if (s_put_hole(self, run->offset, error) == -1)
            return -1;
        const uint64_t left = run->offset + run->size - self->position;
        const size_t part = size < left ? size : (size_t) left;
        if (s_put(self, at, part, error) == -1)
            return -1;
        at += part;
        size -= part;
        self->run_at += part == left;
    }
    return 0;
}

// ---- Entries

static const s_link_t *
s_find_link(const rmt_archive_writer_t *self, uint64_t group)
{
    size_t low = 0, high = self->link_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (self->links[middle].group < group)
            low = middle + 1;
        else
            high = middle;
    }
    return low < self->link_count && self->links[low].group == group ? &self->links[low]
                                                                     : NULL;
}

static int
s_add_link(rmt_archive_writer_t *self, const rmt_entry_t *entry, const char *path,
           rmt_error_t *error)
{
    if (s_find_link(self, entry->link_group))
        return rmt_fail(error, RMT_E_CORRUPT,
                        "a group of hard links has two first entries");
    rmt_grow(&self->links, &self->link_room, self->link_count + 1);
    // Numbers nearly always rise, so the place is at the end or close to it.
    size_t at = self->link_count++;
    for (; at > 0 && self->links[at - 1].group > entry->link_group; at--)
        self->links[at] = self->links[at - 1];
    self->links[at] = (s_link_t){.group = entry->link_group,
                                 .path = rmt_text("%s", path),
                                 .mode = entry->mode,
                                 .uid = entry->uid,
                                 .gid = entry->gid,
                                 .mtime_s = entry->mtime_s,
                                 .mtime_ns = entry->mtime_ns};
    return 0;
}

static int
s_fill_link(rmt_archive_writer_t *self, const rmt_entry_t *entry, rmt_error_t *error)
{
    const s_link_t *first = s_find_link(self, entry->link_group);
    if (!first)
        return rmt_fail(error, RMT_E_CORRUPT,
                        "a hard link has no first entry in its group");
    s_set_status(self->entry, first->mode, first->uid, first->gid, first->mtime_s,
                 first->mtime_ns);
    archive_entry_copy_hardlink(self->entry, first->path);
    archive_entry_set_size(self->entry, 0);
    return 0;
}

static int
s_fill(rmt_archive_writer_t *self, const rmt_entry_t *entry, const char *path,
       rmt_error_t *error)
{
    if (entry->link_group && !entry->link_first)
        return s_fill_link(self, entry, error);
    if (entry->link_group && s_add_link(self, entry, path, error) == -1)
        return -1;
    s_set_status(self->entry, entry->mode, entry->uid, entry->gid, entry->mtime_s,
                 entry->mtime_ns);
    if (S_ISSOCK(entry->mode))
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "is a socket, which an archive cannot hold");
    if (S_ISLNK(entry->mode))
        archive_entry_copy_symlink(self->entry, entry->target ? entry->target : "");
    if (S_ISCHR(entry->mode) || S_ISBLK(entry->mode)) {
        archive_entry_set_rdevmajor(self->entry, entry->rdev_major);
        archive_entry_set_rdevminor(self->entry, entry->rdev_minor);
    }
    if (S_ISREG(entry->mode))
        s_set_contents(self, entry);
    s_set_flags(self, entry->flags);
    self->report.projects += entry->project != 0;
    self->report.reserved += entry->reserved_count > 0;
    self->report.hints += entry->hints != 0;
    self->report.marks += entry->fuzzy || entry->unreadable;
    return s_set_xattrs(self, entry, error);
}

int
rmt_archive_writer_entry(rmt_archive_writer_t *self, const rmt_entry_t *entry,
                         rmt_error_t *error)
{
    if (s_end_contents(self, error) == -1)
        return -1;
    archive_entry_clear(self->entry);
    const bool has_both = *self->mount && *entry->path;
    rmt_auto_str path = rmt_text("%s%s%s", self->mount, has_both ? "/" : "", entry->path);
    char shown[200];
    archive_entry_copy_pathname(self->entry, *path ? path : ".");
    if (s_fill(self, entry, path, error) == -1)
        return rmt_wrap(error, "/%s", rmt_log_escape(shown, sizeof shown, path));
    // ARCHIVE_WARN: a name that is no UTF-8 is written as bytes, and marked as such.
    if (archive_write_header(self->archive, self->entry) < ARCHIVE_WARN) {
        (void) s_fail(self, error);
        return rmt_wrap(error, "/%s", rmt_log_escape(shown, sizeof shown, path));
    }
    self->report.entries++;
    return 0;
}

int
rmt_archive_writer_finish(rmt_archive_writer_t *self, rmt_archive_report_t *report_out,
                          rmt_error_t *error)
{
    if (s_end_contents(self, error) == -1)
        return -1;
    if (archive_write_close(self->archive) != ARCHIVE_OK)
        return s_fail(self, error);
    *report_out = self->report;
    return 0;
}
