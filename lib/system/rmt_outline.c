#include "system/rmt_outline.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "system/rmt_sshd_config.h"

#include <assert.h>
#include <czmq.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRIES_MAX 30000
#define CONTENTS_MAX ((size_t) 3 * 1024 * 1024)
#define CONTENT_MAX ((size_t) 64 * 1024)
#define LINKS_MAX 40
#define PATH_SIZE_MAX 2048

// What the planner asks for lies in these places.
static const struct {
    const char *path;
    unsigned depth;   // Folders down
    bool has_content; // Of small files
} s_places[] = {
    {"/", 1, false},
    {"/etc", 12, true},
    {"/usr/etc", 12, true},
    {"/usr/local/etc", 8, true},
    {"/usr/lib", 1, true},
    {"/lib", 1, false},
    {"/lib/modules", 1, false},
    {"/usr/lib/systemd", 3, false},
    {"/lib/systemd", 3, false},
    {"/usr/lib/systemd/network", 2, true},
    {"/lib/systemd/network", 2, true},
    {"/usr/local/lib/systemd", 3, true},
    {"/usr/lib/NetworkManager", 3, true},
    {"/usr/lib/netplan", 1, true},
    {"/lib/netplan", 1, true},
    {"/usr/sbin", 1, false},
    {"/sbin", 1, false},
    {"/usr/bin", 1, false},
    {"/bin", 1, false},
    {"/boot", 5, true},
    {"/efi", 4, true},
    {"/var/lib", 2, false},
    {"/var/lib/dbus", 1, true},
    {"/var/lib/cloud", 4, false},
    {"/var/lib/systemd", 3, false},
    {"/var/lib/NetworkManager", 2, false},
    {"/var/lib/iwd", 1, true},
    {"/var/lib/ipsec", 2, false},
    {"/root", 1, false},
    {"/var/lib/snmp", 1, true},
    {"/var/lib/net-snmp", 1, true},
    {"/var/qmail/control", 1, true},
    {"/var/lib/kubelet/pki", 1, false},
    {"/var/lib/rancher/k3s/agent", 1, false},
    {"/var/lib/samba/private", 1, false},
    {"/var/lib/nomad/client", 1, false},
    {"/var/lib/ubuntu-advantage/private", 1, false},
    {"/var/ossec/etc", 1, false},
    {"/opt/consul", 1, false},
    {"/opt/nomad/data/client", 1, false},
};

// Large folders of files that no plan reads: their names are enough.
static const char *const s_skipped[] = {
    "/etc/alternatives", "/etc/apparmor.d", "/etc/ca-certificates",
    "/etc/fonts",        "/etc/pki",        "/etc/selinux",
    "/etc/ssl",          "/etc/X11",        "/etc/shadow",
    "/etc/shadow-",      "/etc/gshadow",    "/etc/gshadow-",
};

typedef struct {
    const rmt_outline_tree_t *trees;
    size_t count;
    rmt_records_t *records;
    zhashx_t *seen; // path -> its record, borrowed
    size_t contents;
    bool is_cut;
} take_t;

// ---- Looking

// The tree that a path lies in; *rest_out is the path from there.
static int
s_tree_of(const take_t *self, const char *path, const char **rest_out)
{
    int fd = -1;
    size_t longest = 0;
    for (size_t i = 0; i < self->count; i++) {
        const char *mount = self->trees[i].mount;
        const size_t size = strcmp(mount, "/") == 0 ? 0 : strlen(mount);
        if (strncmp(path, mount, size) != 0 || (path[size] && path[size] != '/') ||
            (fd != -1 && size < longest))
            continue;
        fd = self->trees[i].fd;
        longest = size;
    }
    *rest_out = path + longest;
    return fd;
}

static bool
s_is_skipped(const char *path)
{
    if (strcmp(path, "/etc/selinux/config") == 0)
        return false;
    for (size_t i = 0; i < sizeof s_skipped / sizeof *s_skipped; i++) {
        const size_t size = strlen(s_skipped[i]);
        if (strncmp(path, s_skipped[i], size) == 0 && (!path[size] || path[size] == '/'))
            return true;
    }
    return false;
}

static bool
s_is_private_key(const char *content, size_t size)
{
    static const char begin[] = "-----BEGIN ";
    return size > sizeof begin && strncmp(content, begin, sizeof begin - 1) == 0 &&
           memmem(content, size, "PRIVATE KEY-----", sizeof "PRIVATE KEY-----" - 1);
}

// A live file may go or change meanwhile; then its name is all that is known.
static void
s_add_content(take_t *self, const char *path, rmt_record_t *record)
{
    rmt_error_t ignored = {0};
    const char *rest;
    const int tree = s_tree_of(self, path, &rest);
    rmt_auto_fd fd = -1;
    struct stat info;
    if (rmt_record_has(record, "content") || s_is_skipped(path) ||
        rmt_rooted_open(tree, rest, &fd, &ignored) == -1 || fd == -1 ||
        fstat(fd, &info) == -1 || (size_t) info.st_size > CONTENT_MAX)
        return;
    const size_t size = (size_t) info.st_size;
    if (self->contents + size > CONTENTS_MAX) {
        self->is_cut = true;
        return;
    }
    rmt_auto_str content = malloc(size + 1);
    if (!content)
        abort();
    if (rmt_io_read(fd, content, size, &ignored) == -1)
        return;
    content[size] = '\0';
    if (s_is_private_key(content, size))
        return;
    self->contents += size;
    rmt_record_put(record, "content", content, size);
}

static rmt_record_t *
s_add(take_t *self, const char *path, const struct stat *info)
{
    if (rmt_records_count(self->records) == ENTRIES_MAX) {
        self->is_cut = true;
        return NULL;
    }
    rmt_record_t *record = rmt_records_add(self->records);
    rmt_record_set(record, "path", path);
    rmt_record_set(record, "kind",
                   S_ISDIR(info->st_mode)   ? "folder"
                   : S_ISREG(info->st_mode) ? "file"
                   : S_ISLNK(info->st_mode) ? "link"
                                            : "other");
    if (S_ISREG(info->st_mode)) {
        rmt_record_setf(record, "mode", "%04o", (unsigned) info->st_mode & 07777);
        rmt_record_set_u64(record, "bytes", (uint64_t) info->st_size);
    }
    zhashx_insert(self->seen, path, record);
    return record;
}

// The record of what is at this very path, whose folders are no symlinks; NULL for
// nothing.
static rmt_record_t *
s_note(take_t *self, const char *path)
{
    rmt_record_t *record = zhashx_lookup(self->seen, path);
    const char *rest;
    struct stat info;
    if (record || strlen(path) >= PATH_SIZE_MAX)
        return record;
    const int tree = s_tree_of(self, path, &rest);
    if (tree == -1 || rmt_rooted_status(tree, rest, &info) == -1)
        return NULL;
    record = s_add(self, path, &info);
    if (record && S_ISLNK(info.st_mode)) {
        rmt_auto_str target = rmt_rooted_readlink(tree, rest);
        rmt_record_set(record, "target", target ? target : "");
    }
    return record;
}

// ---- Paths

static bool
s_is(const rmt_record_t *record, const char *kind)
{
    return rmt_record_is(record, "kind", kind);
}

// Note all on the way to a path as that system would go, and what is there. The path
// without symlinks, the caller's; NULL where it leads to nothing.
static char *
s_reach(take_t *self, const char *path)
{
    rmt_auto_str real = rmt_text("%s", "");
    rmt_auto_str rest = rmt_text("%s", path);
    for (unsigned links = 0; *rest;) {
        const size_t gap = strspn(rest, "/");
        const size_t size = strcspn(rest + gap, "/");
        rmt_auto_str part = rmt_text("%.*s", (int) size, rest + gap);
        rmt_auto_str left = rmt_text("%s", rest + gap + size);
        rmt_auto_str next = rmt_text("%s/%s", real, part);
        free(rest);
        rest = rmt_take(&left);
        if (!*part || strcmp(part, ".") == 0)
            continue;
        if (strcmp(part, "..") == 0) {
            char *slash = strrchr(real, '/');
            if (slash)
                *slash = '\0';
            continue;
        }
        const rmt_record_t *record = s_note(self, next);
        if (!record)
            return NULL;
        if (!s_is(record, "link")) {
            free(real);
            real = rmt_take(&next);
            continue;
        }
        const char *target = rmt_record_text(record, "target", "");
        char *longer = rmt_text("%s/%s", target, rest);
        free(rest);
        rest = longer;
        if (*target == '/')
            *real = '\0';
        if (++links > LINKS_MAX || strlen(rest) >= PATH_SIZE_MAX)
            return NULL;
    }
    return rmt_take(&real);
}

static void
s_follow(take_t *self, const char *path)
{
    rmt_auto_str real = s_reach(self, path);
    rmt_record_t *record = real ? zhashx_lookup(self->seen, real) : NULL;
    if (record && s_is(record, "file"))
        s_add_content(self, real, record);
}

static void
s_walk(take_t *self, const char *folder, unsigned depth, bool has_content)
{
    const char *rest;
    const int tree = s_tree_of(self, folder, &rest);
    rmt_auto_str names = rmt_rooted_list(tree, rest);
    for (const char *name = names; *name && !self->is_cut; name += strlen(name) + 1) {
        rmt_auto_str path = rmt_text("%s/%s", folder, name);
        rmt_record_t *record = s_note(self, path);
        if (!record)
            continue;
        if (s_is(record, "folder") && depth > 1)
            s_walk(self, path, depth - 1, has_content);
        else if (s_is(record, "file") && has_content)
            s_add_content(self, path, record);
        else if (s_is(record, "link") && has_content && !s_is_skipped(path))
            s_follow(self, path);
    }
}

// Names of the host keys that settings name, wherever they are.
static void
s_take_keys(take_t *self)
{
    rmt_error_t ignored = {0};
    rmt_auto(rmt_records) found = rmt_records_new();
    for (size_t i = 0; i < self->count; i++)
        if (strcmp(self->trees[i].mount, "/") == 0)
            (void) rmt_sshd_config_read(self->trees[i].fd, found, &ignored);
    for (size_t i = 0; i < rmt_records_count(found) && !self->is_cut; i++) {
        const char *path = rmt_record_text(rmt_records_at(found, i), "path", "");
        rmt_auto_str public = rmt_text("%s.pub", path);
        s_follow(self, path);
        s_follow(self, public);
    }
}

rmt_records_t *
rmt_outline_take(const rmt_outline_tree_t *trees, size_t count, bool *cut_out)
{
    assert(trees);
    assert(cut_out);
    take_t self = {.trees = trees,
                   .count = count,
                   .records = rmt_records_new(),
                   .seen = zhashx_new()};
    for (size_t i = 0; i < sizeof s_places / sizeof *s_places && !self.is_cut; i++) {
        rmt_auto_str real = s_reach(&self, s_places[i].path);
        if (real)
            s_walk(&self, real, s_places[i].depth, s_places[i].has_content);
    }
    s_take_keys(&self);
    zhashx_destroy(&self.seen);
    *cut_out = self.is_cut;
    return self.records;
}

// ---- Building

// What lies in it is put there by a folder's own rights.
static int
s_build_special(int folder_fd, const char *path, mode_t kind, rmt_error_t *error)
{
    const char *name;
    rmt_auto_fd parent = rmt_rooted_open_parent(folder_fd, path, &name, error);
    if (parent == -1)
        return -1;
    const int rc = kind == S_IFDIR ? mkdirat(parent, name, 0700)
                                   : mknodat(parent, name, S_IFIFO | 0600, 0);
    return rc == -1 && errno != EEXIST ? rmt_fail_errno(error, "make %s", path) : 0;
}

static int
s_build_one(int folder_fd, const rmt_record_t *record, rmt_error_t *error)
{
    const char *path = rmt_record_text(record, "path", "");
    size_t size = 0;
    if (*path != '/')
        return rmt_fail(error, RMT_E_PROTOCOL, "a record without a path");
    if (s_is(record, "folder") || s_is(record, "other"))
        return s_build_special(folder_fd, path, s_is(record, "folder") ? S_IFDIR : 0,
                               error);
    if (s_is(record, "link"))
        return rmt_rooted_symlink(folder_fd, path, rmt_record_text(record, "target", "/"),
                                  error);
    if (!s_is(record, "file"))
        return rmt_fail(error, RMT_E_PROTOCOL,
                        "the kind of %s is not folder, file, link or other", path);
    const void *content = rmt_record_get(record, "content", &size);
    const unsigned long mode =
        strtoul(rmt_record_text(record, "mode", "0600"), NULL, 8) & 0777;
    const struct stat own = {
        .st_mode = (mode_t) mode | 0600, .st_uid = geteuid(), .st_gid = getegid()};
    return rmt_rooted_write(folder_fd, path, content ? content : "", size, &own, error);
}

int
rmt_outline_build(const rmt_records_t *outline, int folder_fd, rmt_error_t *error)
{
    assert(outline);
    for (size_t i = 0; i < rmt_records_count(outline); i++) {
        if (s_build_one(folder_fd, rmt_records_at(outline, i), error) == -1)
            return rmt_wrap(error, "outline of the system");
    }
    return 0;
}
