#include "tree/rmt_names.h"
#include "base/rmt_grow.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int
s_compare(const void *a, const void *b)
{
    return strcmp(((const rmt_name_t *) a)->text, ((const rmt_name_t *) b)->text);
}

static int
s_read(rmt_names_t *self, DIR *folder, rmt_error_t *error)
{
    const struct dirent *found;
    while ((void) (errno = 0), (found = readdir(folder))) {
        if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0)
            continue;
        rmt_grow(&self->items, &self->room, self->count + 1);
        self->items[self->count] = (rmt_name_t){.text = strdup(found->d_name)};
        assert(self->items[self->count].text);
        self->count++;
    }
    if (errno)
        return rmt_fail_errno(error, "read the names of a folder");
    if (self->count > 1)
        qsort(self->items, self->count, sizeof *self->items, s_compare);
    return 0;
}

int
rmt_names_read(rmt_names_t *self, int folder_fd, rmt_error_t *error)
{
    const int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd == -1 ? NULL : fdopendir(fd);
    if (!folder) {
        rmt_fail_errno(error, "read the names of a folder");
        if (fd != -1)
            close(fd);
        return -1;
    }
    const int result = s_read(self, folder, error);
    closedir(folder);
    return result;
}

void
rmt_names_free(rmt_names_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        free(self->items[i].text);
    free(self->items);
    *self = (rmt_names_t){0};
}

void
rmt_names_mark(rmt_names_t *self, const char *name)
{
    const rmt_name_t key = {.text = (char *) (uintptr_t) name};
    rmt_name_t *found =
        self->count ? bsearch(&key, self->items, self->count, sizeof key, s_compare)
                    : NULL;
    if (found)
        found->is_marked = true;
}
