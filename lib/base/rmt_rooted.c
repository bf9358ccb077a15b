#include "base/rmt_rooted.h"
#include "base/rmt_auto.h"
#include "base/rmt_grow.h"
#include "base/rmt_io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#define FILE_SIZE_MAX ((size_t) 16 * 1024 * 1024)
#define NAMES_MAX ((size_t) 65536)
#define DEPTH_MAX 64
#define TRIES_MAX 10000
#define REAL_PARTS_MAX 256 // Of a path and of the links on its way
#define REAL_SIZE_MAX ((size_t) 64 * 1024)
#define LABEL "security.selinux"
#define LABEL_SIZE_MAX 256
#define RESOLVE_FOLLOW (RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
#define RESOLVE_STRICT (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)

#define FD_PATH_SIZE 32

static const char *
s_fd_path(int fd, char out[FD_PATH_SIZE])
{
    snprintf(out, FD_PATH_SIZE, "/proc/self/fd/%d", fd);
    return out;
}

static const char *
s_relative(const char *path)
{
    path += strspn(path, "/");
    return *path ? path : ".";
}

static int
s_open(int root_fd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
    const struct open_how how = {
        .flags = (unsigned) (flags | O_CLOEXEC),
        .mode = mode,
        .resolve = resolve,
    };
    // A rename or mount anywhere on this computer, in the middle of a path with ".." in
    // it, makes the kernel ask for another try.
    int fd, tries = 0;
    do
        fd = (int) syscall(SYS_openat2, root_fd, s_relative(path), &how, sizeof how);
    while (fd == -1 && errno == EAGAIN && ++tries < TRIES_MAX);
    return fd;
}

// What a path gives that leads to nothing, also for the system whose tree this is.
static bool
s_leads_nowhere(int number)
{
    return number == ENOENT || number == ENOTDIR || number == ELOOP ||
           number == ENAMETOOLONG;
}

// ---- Looks that failed

// The first one of this thread. A look has no place for an error in its result.
static _Thread_local rmt_error_t s_failed;

static void
s_note(const char *what, const char *path)
{
    if (!*s_failed.text && !s_leads_nowhere(errno))
        rmt_fail_errno(&s_failed, "%s /%s", what, s_relative(path));
}

void
rmt_rooted_begin(void)
{
    s_failed = (rmt_error_t){0};
}

int
rmt_rooted_end(int result, rmt_error_t *error)
{
    if (!*s_failed.text)
        return result;
    *error = s_failed;
    return -1;
}

// ---- Reading

int
rmt_rooted_reopen(int path_fd)
{
    char path[FD_PATH_SIZE];
    struct stat info;
    errno = ENXIO;
    if (fstat(path_fd, &info) == -1 || !S_ISREG(info.st_mode))
        return -1;
    return open(s_fd_path(path_fd, path), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

int
rmt_rooted_open(int root_fd, const char *path, int *fd_out, rmt_error_t *error)
{
    rmt_auto_fd fd = s_open(root_fd, path, O_PATH, 0, RESOLVE_FOLLOW);
    *fd_out = fd == -1 ? -1 : rmt_rooted_reopen(fd);
    if (*fd_out != -1 || (fd == -1 ? s_leads_nowhere(errno) : errno == ENXIO))
        return 0;
    return rmt_fail_errno(error, "open /%s", s_relative(path));
}

int
rmt_rooted_load(int root_fd, const char *path, char **data_out, size_t *size_out,
                rmt_error_t *error)
{
    rmt_auto_fd fd = -1;
    struct stat info;
    *data_out = NULL;
    if (rmt_rooted_open(root_fd, path, &fd, error) == -1)
        return -1;
    if (fd == -1)
        return 0;
    if (fstat(fd, &info) == -1)
        return rmt_fail_errno(error, "status of /%s", s_relative(path));
    const size_t size = (size_t) info.st_size;
    if (size > FILE_SIZE_MAX)
        return rmt_fail(error, RMT_E_TOO_BIG,
                        "/%s has %zu bytes, and at most %zu are read", s_relative(path),
                        size, FILE_SIZE_MAX);
    rmt_auto_str data = malloc(size + 1);
    if (!data)
        abort();
    if (rmt_io_read(fd, data, size, error) == -1)
        return rmt_wrap(error, "/%s", s_relative(path));
    data[size] = '\0';
    if (size_out)
        *size_out = size;
    *data_out = rmt_take(&data);
    return 0;
}

bool
rmt_rooted_exists(int root_fd, const char *path)
{
    rmt_auto_fd fd = s_open(root_fd, path, O_PATH, 0, RESOLVE_FOLLOW);
    if (fd == -1)
        s_note("look for", path);
    return fd != -1;
}

// The folder that holds path, with no symlink on the way; *name_out is within path.
static int
s_open_folder(int root_fd, const char *path, const char **name_out)
{
    const char *relative = s_relative(path);
    const char *slash = strrchr(relative, '/');
    *name_out = slash ? slash + 1 : relative;
    rmt_auto_str parent =
        slash ? rmt_text("%.*s", (int) (slash - relative), relative) : rmt_text(".");
    return s_open(root_fd, parent, O_PATH | O_DIRECTORY, 0, RESOLVE_STRICT);
}

int
rmt_rooted_status(int root_fd, const char *path, struct stat *info_out)
{
    const char *name;
    rmt_auto_fd fd = s_open_folder(root_fd, path, &name);
    if (fd != -1 && fstatat(fd, name, info_out, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    s_note("status of", path);
    return -1;
}

mode_t
rmt_rooted_kind(int root_fd, const char *path)
{
    struct stat info;
    return rmt_rooted_status(root_fd, path, &info) == -1 ? 0 : info.st_mode & S_IFMT;
}

char *
rmt_rooted_readlink(int root_fd, const char *path)
{
    const char *name;
    char target[PATH_MAX];
    rmt_auto_fd fd = s_open_folder(root_fd, path, &name);
    const ssize_t size = fd == -1 ? -1 : readlinkat(fd, name, target, sizeof target - 1);
    if (size != -1)
        return rmt_text("%.*s", (int) size, target);
    if (errno != EINVAL) // There is something else
        s_note("read symlink", path);
    return NULL;
}

// One part further from a folder that is reached without links: *done_p is where it is,
// *rest_p what is left to walk. False for a part that is not there.
static bool
s_walk_part(int root_fd, char **done_p, char **rest_p)
{
    const char *part = s_relative(*rest_p);
    const size_t size = strcspn(part, "/");
    const bool is_up = size == 2 && memcmp(part, "..", 2) == 0;
    rmt_auto_str next = rmt_text("%s/%.*s", *done_p, (int) size, part);
    rmt_auto_str rest = rmt_text("%s", part + size);
    rmt_auto_str target = NULL;
    if (is_up || (size == 1 && *part == '.')) {
        char *slash = is_up ? strrchr(*done_p, '/') : NULL;
        if (slash)
            *slash = '\0';
    } else if ((target = rmt_rooted_readlink(root_fd, next))) {
        char *longer = rmt_text("%s/%s", target, rest);
        free(rest);
        rest = longer;
        if (target[0] == '/')
            **done_p = '\0';
    } else {
        if (!rmt_rooted_kind(root_fd, next))
            return false;
        free(*done_p);
        *done_p = rmt_take(&next);
    }
    free(*rest_p);
    *rest_p = rmt_take(&rest);
    return true;
}

char *
rmt_rooted_real(int root_fd, const char *path)
{
    rmt_auto_str done = rmt_text("%s", "");
    rmt_auto_str rest = rmt_text("%s", path);
    for (int parts = 0; rest[strspn(rest, "/")]; parts++)
        if (parts == REAL_PARTS_MAX || strlen(rest) > REAL_SIZE_MAX ||
            !s_walk_part(root_fd, &done, &rest))
            return NULL;
    return *done ? rmt_take(&done) : rmt_text("/");
}

static int
s_compare_name(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

// The next name of a folder; NULL at its end.
static const char *
s_next_name(DIR *folder, const char *path)
{
    errno = 0;
    const struct dirent *entry = readdir(folder);
    if (!entry && errno)
        s_note("read folder", path);
    return entry ? entry->d_name : NULL;
}

char *
rmt_rooted_list(int root_fd, const char *path)
{
    const int fd = s_open(root_fd, path, O_RDONLY | O_DIRECTORY, 0, RESOLVE_FOLLOW);
    DIR *folder = fd == -1 ? NULL : fdopendir(fd);
    char **names = NULL;
    size_t count = 0, room = 0;
    if (!folder)
        s_note("open folder", path);
    for (const char *name;
         folder && count < NAMES_MAX && (name = s_next_name(folder, path));) {
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        rmt_grow(&names, &room, count + 1);
        names[count++] = rmt_text("%s", name);
    }
    if (folder)
        closedir(folder);
    if (count)
        qsort(names, count, sizeof *names, s_compare_name);
    char *list = NULL;
    size_t size;
    FILE *out = open_memstream(&list, &size);
    for (size_t i = 0; i < count; i++) {
        fwrite(names[i], 1, strlen(names[i]) + 1, out);
        free(names[i]);
    }
    fputc('\0', out);
    if (fclose(out))
        abort();
    free(names);
    return list;
}

static size_t
s_count(int fd, dev_t device, size_t depth)
{
    DIR *folder = fdopendir(fd);
    if (!folder) {
        close(fd);
        return 0;
    }
    size_t count = 0;
    const struct dirent *entry;
    while ((entry = readdir(folder))) {
        struct stat info;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            fstatat(fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == -1)
            continue;
        if (!S_ISDIR(info.st_mode)) {
            count++;
            continue;
        }
        const int below = info.st_dev != device || depth == DEPTH_MAX
                              ? -1
                              : openat(fd, entry->d_name,
                                       O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below != -1)
            count += s_count(below, device, depth + 1);
    }
    closedir(folder);
    return count;
}

size_t
rmt_rooted_count(int root_fd, const char *path)
{
    rmt_auto_fd fd = s_open(root_fd, path, O_RDONLY | O_DIRECTORY, 0, RESOLVE_FOLLOW);
    struct stat info;
    if (fd == -1 || fstat(fd, &info) == -1)
        return 0;
    return s_count(rmt_take_fd(&fd), info.st_dev, 0);
}

static int
s_fail(const char *what, const char *path, rmt_error_t *error)
{
    if (errno == ELOOP || errno == EXDEV || errno == ENOTDIR)
        return rmt_fail(error, RMT_E_REFUSED,
                        "%s %s: a parent in this path is not a plain folder", what, path);
    return rmt_fail_errno(error, "%s %s", what, path);
}

// ---- Flags that keep an inode from changing (chattr +i, +a)

#define LOCKS (FS_IMMUTABLE_FL | FS_APPEND_FL)

// Take them off; those that there were. A file system without flags has none.
static int
s_unlock(int fd)
{
    int flags = 0;
    if (fd == -1 || ioctl(fd, FS_IOC_GETFLAGS, &flags) == -1 || !(flags & LOCKS))
        return 0;
    const int without = flags & ~LOCKS;
    return ioctl(fd, FS_IOC_SETFLAGS, &without) == -1 ? 0 : flags & LOCKS;
}

// The same of what has a name in a folder, so that it can be replaced or removed.
static int
s_unlock_at(int parent, const char *name)
{
    struct stat info;
    if (fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) == -1 || !S_ISREG(info.st_mode))
        return 0;
    rmt_auto_fd fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    return s_unlock(fd);
}

// Set again what was taken off, on this or on what took its place.
static int
s_lock(int fd, int locks, const char *path, rmt_error_t *error)
{
    int flags = 0;
    if (!locks)
        return 0;
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == -1)
        return rmt_fail_errno(error, "read the flags of %s", path);
    flags |= locks;
    return ioctl(fd, FS_IOC_SETFLAGS, &flags) == -1
               ? rmt_fail_errno(error, "set the flags of %s", path)
               : 0;
}

// ---- Changes

// Make a folder where there is none.
static int
s_make_folder(int parent, const char *name, const char *path, rmt_error_t *error)
{
    struct stat info;
    if (fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    const int locks = s_unlock(parent);
    if (mkdirat(parent, name, 0755) == -1)
        return s_fail("make the folders of", path, error);
    return s_lock(parent, locks, path, error);
}

// Open the folder that holds path; *name_out is the last part, within path.
static int
s_open_parent(int root_fd, const char *path, bool make, const char **name_out,
              rmt_error_t *error)
{
    rmt_auto_str parts = rmt_text("%s", s_relative(path));
    rmt_auto_fd fd = s_open(root_fd, ".", O_RDONLY | O_DIRECTORY, 0, RESOLVE_STRICT);
    if (fd == -1)
        return s_fail("open", path, error);
    char *rest = parts;
    char *part = strsep(&rest, "/");
    while (rest) {
        if (part[0]) {
            if (make && s_make_folder(fd, part, path, error) == -1)
                return -1;
            const int below = s_open(fd, part, O_RDONLY | O_DIRECTORY, 0, RESOLVE_STRICT);
            if (below == -1)
                return s_fail("open", path, error);
            close(rmt_take_fd(&fd));
            fd = below;
        }
        part = strsep(&rest, "/");
    }
    if (!part[0] || strcmp(part, ".") == 0 || strcmp(part, "..") == 0)
        return rmt_fail(error, RMT_E_USAGE, "'%s' cannot name a file", path);
    *name_out = path + strlen(path) - strlen(part);
    return rmt_take_fd(&fd);
}

int
rmt_rooted_open_parent(int root_fd, const char *path, const char **name_out,
                       rmt_error_t *error)
{
    return s_open_parent(root_fd, path, false, name_out, error);
}

// The label by which SELinux tells what a file is for; *size_out is 0 for none. Without
// it a daemon that is confined could not read what is put here.
static void
s_read_label(int parent, const char *name, char label_out[LABEL_SIZE_MAX],
             size_t *size_out)
{
    char path[FD_PATH_SIZE];
    rmt_auto_fd old = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    ssize_t size =
        old == -1 ? -1 : getxattr(s_fd_path(old, path), LABEL, label_out, LABEL_SIZE_MAX);
    if (size <= 0)
        size = fgetxattr(parent, LABEL, label_out, LABEL_SIZE_MAX);
    *size_out = size > 0 ? (size_t) size : 0;
}

// A new inode: the old one may be a symlink, or have other names.
static int
s_replace(int parent, const char *name, const char *path, rmt_error_t *error)
{
    if (unlinkat(parent, name, 0) == -1 && errno != ENOENT)
        return s_fail("replace", path, error);
    const int fd =
        openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return fd == -1 ? s_fail("create", path, error) : fd;
}

int
rmt_rooted_write(int root_fd, const char *path, const void *data, size_t size,
                 const struct stat *owner_and_mode, rmt_error_t *error)
{
    const char *name;
    rmt_auto_fd parent = s_open_parent(root_fd, path, true, &name, error);
    if (parent == -1)
        return -1;
    char label[LABEL_SIZE_MAX];
    size_t label_size;
    s_read_label(parent, name, label, &label_size);
    const int folder_locks = s_unlock(parent);
    const int locks = s_unlock_at(parent, name);
    rmt_auto_fd fd = s_replace(parent, name, path, error);
    if (fd == -1)
        return -1;
    if (rmt_io_write(fd, data, size, error) == -1)
        return rmt_wrap(error, "%s", path);
    if (fchown(fd, owner_and_mode->st_uid, owner_and_mode->st_gid) == -1 ||
        fchmod(fd, owner_and_mode->st_mode & 07777) == -1)
        return s_fail("set the owner of", path, error);
    if (label_size && fsetxattr(fd, LABEL, label, label_size, 0) == -1)
        return s_fail("set the label of", path, error);
    if (s_lock(fd, locks, path, error) == -1)
        return -1;
    return s_lock(parent, folder_locks, path, error);
}

int
rmt_rooted_set_label(int root_fd, const char *path, const char *label, rmt_error_t *error)
{
    const char *name;
    char of_file[FD_PATH_SIZE];
    rmt_auto_fd parent = s_open_parent(root_fd, path, false, &name, error);
    if (parent == -1)
        return -1;
    rmt_auto_fd file = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (file == -1)
        return s_fail("set the label of", path, error);
    const int locks = s_unlock_at(parent, name);
    // By its descriptor, as a symlink cannot be opened.
    const int rc = setxattr(s_fd_path(file, of_file), LABEL, label, strlen(label) + 1, 0);
    if (rc == -1 && errno != EOPNOTSUPP)
        return s_fail("set the label of", path, error);
    if (!locks)
        return 0;
    rmt_auto_fd fd = rmt_rooted_reopen(file);
    return s_lock(fd, locks, path, error);
}

int
rmt_rooted_symlink(int root_fd, const char *path, const char *target, rmt_error_t *error)
{
    const char *name;
    rmt_auto_fd parent = s_open_parent(root_fd, path, true, &name, error);
    if (parent == -1)
        return -1;
    const int folder_locks = s_unlock(parent);
    (void) s_unlock_at(parent, name);
    if (unlinkat(parent, name, 0) == -1 && errno != ENOENT)
        return s_fail("replace", path, error);
    if (symlinkat(target, parent, name) == -1)
        return s_fail("create", path, error);
    return s_lock(parent, folder_locks, path, error);
}

int
rmt_rooted_remove(int root_fd, const char *path, rmt_error_t *error)
{
    const char *name;
    struct stat info;
    rmt_auto_fd parent = s_open_parent(root_fd, path, false, &name, error);
    if (parent == -1)
        return error->code == RMT_E_NOT_FOUND ? 0 : -1;
    if (fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) == -1)
        return errno == ENOENT ? 0 : s_fail("remove", path, error);
    const int folder_locks = s_unlock(parent);
    (void) s_unlock_at(parent, name);
    if (unlinkat(parent, name, 0) == -1)
        return s_fail("remove", path, error);
    return s_lock(parent, folder_locks, path, error);
}

int
rmt_rooted_remove_folder(int root_fd, const char *path, rmt_error_t *error)
{
    const char *name;
    rmt_auto_fd parent = s_open_parent(root_fd, path, false, &name, error);
    if (parent == -1)
        return error->code == RMT_E_NOT_FOUND ? 0 : -1;
    const int locks = s_unlock(parent);
    if (unlinkat(parent, name, AT_REMOVEDIR) == -1 && errno != ENOENT &&
        errno != ENOTEMPTY && errno != EEXIST)
        return s_fail("remove", path, error);
    return s_lock(parent, locks, path, error);
}

int
rmt_rooted_move(int root_fd, const char *from, const char *path, rmt_error_t *error)
{
    const char *old_name, *name;
    rmt_auto_fd old_parent = s_open_parent(root_fd, from, false, &old_name, error);
    if (old_parent == -1)
        return error->code == RMT_E_NOT_FOUND ? 0 : -1;
    struct stat info;
    if (fstatat(old_parent, old_name, &info, AT_SYMLINK_NOFOLLOW) == -1)
        return errno == ENOENT ? 0 : s_fail("move", from, error);
    rmt_auto_fd parent = s_open_parent(root_fd, path, true, &name, error);
    if (parent == -1)
        return -1;
    const int old_locks = s_unlock(old_parent), locks = s_unlock(parent);
    const int own_locks = s_unlock_at(old_parent, old_name);
    if (renameat(old_parent, old_name, parent, name) == -1)
        return s_fail("move", from, error);
    rmt_auto_fd file =
        own_locks ? openat(parent, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (s_lock(file, own_locks, path, error) == -1 ||
        s_lock(old_parent, old_locks, from, error) == -1)
        return -1;
    return s_lock(parent, locks, path, error);
}

int
rmt_rooted_mkdirs(int root_fd, const char *path, rmt_error_t *error)
{
    const char *name;
    rmt_auto_fd parent = s_open_parent(root_fd, path, true, &name, error);
    return parent == -1 ? -1 : s_make_folder(parent, name, path, error);
}
