#include "store/rmt_sweep.h"
#include "crypto/rmt_id.h"
#include "base/rmt_auto.h"
#include "base/rmt_failpoint.h"
#include "base/rmt_io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

// Remove path, of which only the name in its folder is given here, or just count it.
typedef int(s_found_fn)(const char *path, const char *name, bool *is_found_out,
                        rmt_error_t *error);

static void
s_close_folder(DIR **folder)
{
    if (*folder)
        closedir(*folder);
}

static int
s_each(const char *root, const char *folder, s_found_fn *fn, uint64_t *count,
       rmt_error_t *error)
{
    rmt_auto_str path = rmt_text("%s/%s", root, folder);
    __attribute__((cleanup(s_close_folder))) DIR *open_folder = opendir(path);
    if (!open_folder)
        return rmt_fail_errno(error, "open folder %s", path);
    for (struct dirent *entry; (entry = readdir(open_folder));) {
        if (entry->d_name[0] == '.')
            continue;
        rmt_auto_str inside = rmt_text("%s/%s", path, entry->d_name);
        bool is_found = false;
        if (fn(inside, entry->d_name, &is_found, error) == -1)
            return -1;
        *count += is_found;
    }
    return 0;
}

// A descriptor with the lock of a folder whose owner is dead, or -1.
static int
s_take_over(const char *path)
{
    rmt_auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd == -1 || flock(fd, LOCK_EX | LOCK_NB) == -1)
        return -1;
    return rmt_take_fd(&fd);
}

static int
s_count_folder(const char *path, const char *name, bool *is_found_out, rmt_error_t *error)
{
    (void) name;
    (void) error;
    rmt_auto_fd fd = s_take_over(path);
    *is_found_out = fd != -1;
    return 0;
}

static int
s_remove_folder(const char *path, const char *name, bool *is_found_out,
                rmt_error_t *error)
{
    (void) name;
    rmt_auto_fd fd = s_take_over(path);
    *is_found_out = fd != -1;
    if (fd == -1)
        return 0;
    if (RMT_FAILPOINT("store.sweep.folder") == -1)
        return rmt_fail_errno(error, "remove %s", path);
    return rmt_io_remove_tree(path, error);
}

static int
s_remove_file(const char *path, bool *is_found_out, rmt_error_t *error)
{
    if ((RMT_FAILPOINT("store.sweep.file") == -1 || unlink(path) == -1) &&
        errno != ENOENT)
        return rmt_fail_errno(error, "remove %s", path);
    *is_found_out = true;
    return 0;
}

static int
s_remove_index(const char *path, const char *name, bool *is_found_out, rmt_error_t *error)
{
    const char *suffix = strchr(name, '.');
    return suffix && strcmp(suffix, ".new") == 0
               ? s_remove_file(path, is_found_out, error)
               : 0;
}

// The temporary name of an image: its id, a point and six letters or digits.
static int
s_remove_image(const char *path, const char *name, bool *is_found_out, rmt_error_t *error)
{
    const size_t id_size = RMT_ID_TEXT_SIZE - 1;
    const bool is_temporary = strlen(name) == id_size + 7 && name[id_size] == '.' &&
                              !strchr(name + id_size + 1, '.');
    return is_temporary ? s_remove_file(path, is_found_out, error) : 0;
}

int
rmt_sweep_count(const char *root, uint64_t *count_out, rmt_error_t *error)
{
    uint64_t count = 0;
    if (s_each(root, "tmp", s_count_folder, &count, error) == -1)
        return -1;
    *count_out = count;
    return 0;
}

int
rmt_sweep(const char *root, uint64_t *count_out, rmt_error_t *error)
{
    uint64_t count = 0;
    if (s_each(root, "tmp", s_remove_folder, &count, error) == -1 ||
        s_each(root, "index", s_remove_index, &count, error) == -1 ||
        s_each(root, "images", s_remove_image, &count, error) == -1)
        return -1;
    *count_out = count;
    return 0;
}
