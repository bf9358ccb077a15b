#include "agent/firstboot/leave.h"
#include "agent/install/bundle.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "system/rmt_personal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_SIZE_MAX ((size_t) 1024 * 1024)

static int
s_remove(const char *root, const char *path, rmt_error_t *error)
{
    rmt_auto_str full = rmt_text("%s%s", root, path);
    struct stat info;
    if (lstat(full, &info) == 0 && S_ISDIR(info.st_mode))
        return rmt_io_remove_tree(full, error);
    // A folder in the way was never there, or the file neither.
    if (unlink(full) == -1 && errno != ENOENT && errno != ENOTDIR)
        return rmt_fail_errno(error, "remove %s", full);
    return 0;
}

static int
s_remove_tree(const char *root, const char *path, rmt_error_t *error)
{
    rmt_auto_str full = rmt_text("%s%s", root, path);
    if (access(full, F_OK) == -1)
        return 0;
    return rmt_io_remove_tree(full, error);
}

// Lines that name the agent are ours, in files that are the system's.
static int
s_remove_lines(const char *root, const char *path, rmt_error_t *error)
{
    rmt_auto_str full = rmt_text("%s%s", root, path);
    rmt_auto_ptr data = NULL;
    size_t size;
    struct stat info;
    rmt_error_t why;
    if (rmt_io_load(full, FILE_SIZE_MAX, &data, &size, &why) == -1 ||
        !strstr(data, RMT_PERSONAL_MARK) || stat(full, &info) == -1)
        return 0;
    char *text = NULL;
    size_t kept;
    FILE *out = open_memstream(&text, &kept);
    char *rest = data;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        if (!strstr(line, RMT_PERSONAL_MARK) && (line[0] || rest))
            fprintf(out, "%s\n", line);
    }
    if (fclose(out))
        abort();
    const int rc = rmt_io_save(full, text, kept, info.st_mode & 07777, error);
    free(text);
    return rc;
}

int
rmt_leave_run(const char *root, const char *key, rmt_error_t *error)
{
    if (s_remove(root, key, error) == -1)
        return -1;
    rmt_auto_str key_path = rmt_text("%s%s", root, key);
    if (rmt_io_sync_parent(key_path, error) == -1)
        return -1;
    for (const char *const *path = RMT_PERSONAL_STARTERS; *path; path++) {
        if (s_remove(root, *path, error) == -1)
            return -1;
    }
    for (const char *const *path = RMT_PERSONAL_LINES; *path; path++) {
        if (s_remove_lines(root, *path, error) == -1)
            return -1;
    }
    rmt_auto_str folder = rmt_text("%s/usr/lib/ramet", root);
    if (s_remove_tree(root, "/usr/lib/ramet/scripts", error) == -1 ||
        s_remove_tree(root, "/" RMT_BUNDLE_FOLDER, error) == -1)
        return -1;
    (void) rmdir(folder); // Something else may be in it
    return 0;
}
