// The names of files in a store's folders, and its locks.
#include "store/rmt_store_inside.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>

char *
rmt_store_path(const rmt_store_t *self, const char *folder, const rmt_file_name_t *name)
{
    char text[RMT_FILE_TEXT_SIZE];
    return rmt_text("%s/%s/%s", self->root, folder, rmt_file_name_text(name, text));
}

static void
s_close_folder(DIR **folder)
{
    if (*folder)
        closedir(*folder);
}

int
rmt_store_list(const rmt_store_t *self, const char *folder, rmt_buffer_t *names_out,
               uint64_t *other_count_out, rmt_error_t *error)
{
    rmt_auto_str path = rmt_text("%s/%s", self->root, folder);
    __attribute__((cleanup(s_close_folder))) DIR *open_folder = opendir(path);
    if (!open_folder)
        return rmt_fail_errno(error, "open folder %s", path);
    rmt_buffer_t names = {0};
    uint64_t others = 0;
    errno = 0;
    for (struct dirent *entry; (entry = readdir(open_folder)); errno = 0) {
        rmt_file_name_t name;
        if (rmt_file_name_parse(&name, entry->d_name))
            rmt_buffer_add(&names, name.bytes, sizeof name);
        else if (entry->d_name[0] != '.')
            others++;
    }
    if (errno) {
        rmt_buffer_clear(&names);
        return rmt_fail_errno(error, "read folder %s", path);
    }
    if (names.used > 0)
        qsort(names.data, names.used / RMT_FILE_NAME_SIZE, RMT_FILE_NAME_SIZE,
              rmt_file_name_compare);
    *names_out = names;
    if (other_count_out)
        *other_count_out = others;
    return 0;
}

bool
rmt_names_have(const rmt_buffer_t *names, const rmt_file_name_t *name)
{
    return names->used > 0 && bsearch(name, names->data, names->used / RMT_FILE_NAME_SIZE,
                                      RMT_FILE_NAME_SIZE, rmt_file_name_compare);
}

int
rmt_store_lock(const rmt_store_t *self, const char *file, int operation,
               rmt_error_t *error)
{
    rmt_auto_str path = rmt_text("%s/%s", self->root, file);
    rmt_auto_fd fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd == -1)
        return rmt_fail_errno(error, "open %s", path);
    while (flock(fd, operation) == -1) {
        if (errno == EWOULDBLOCK)
            return rmt_fail(error, RMT_E_UNAVAILABLE, "%s is held", path);
        if (errno != EINTR)
            return rmt_fail_errno(error, "lock %s", path);
    }
    return rmt_take_fd(&fd);
}
