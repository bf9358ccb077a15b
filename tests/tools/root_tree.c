#include "tools/root_tree.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "tools/rmt_test.h"

static char s_path[64];
static int s_fd = -1;

int
root_tree_setup(void **state)
{
    (void) state;
    strcpy(s_path, "/tmp/ramet-root-XXXXXX");
    if (!mkdtemp(s_path))
        return -1;
    s_fd = open(s_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return s_fd == -1 ? -1 : 0;
}

int
root_tree_teardown(void **state)
{
    (void) state;
    rmt_error_t error = {0};
    close(s_fd);
    return rmt_io_remove_tree(s_path, &error);
}

const char *
root_tree_path(void)
{
    return s_path;
}

int
root_tree_fd(void)
{
    return s_fd;
}

// The full path; its folders are made. Caller owns it (free).
static char *
s_make_folders(const char *path)
{
    rmt_error_t error = {0};
    char *full = rmt_text("%s/%s", s_path, path);
    rmt_auto_str folder = strdup(full);
    *strrchr(folder, '/') = '\0';
    RMT_OK(rmt_io_mkdirs(folder, 0755, &error));
    return full;
}

void
root_tree_put(const char *path, const char *text)
{
    rmt_error_t error = {0};
    rmt_auto_str full = s_make_folders(path);
    RMT_OK(rmt_io_save(full, text, strlen(text), 0644, &error));
}

void
root_tree_link(const char *path, const char *target)
{
    rmt_auto_str full = s_make_folders(path);
    (void) unlink(full);
    assert_int_equal(symlink(target, full), 0);
}

bool
root_tree_has(const char *path)
{
    struct stat info;
    return fstatat(s_fd, path, &info, AT_SYMLINK_NOFOLLOW) == 0;
}

char *
root_tree_get(const char *path)
{
    rmt_error_t error = {0};
    rmt_auto_str full = rmt_text("%s/%s", s_path, path);
    void *data = NULL;
    size_t size;
    RMT_OK(rmt_io_load(full, 1000000, &data, &size, &error));
    return data;
}

void
root_tree_expect(const char *path, const char *wanted)
{
    rmt_auto_str text = root_tree_get(path);
    assert_string_equal(text, wanted);
}
