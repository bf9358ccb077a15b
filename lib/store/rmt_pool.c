#include "store/rmt_pool.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#define POOL_SIZE 64

typedef struct {
    rmt_file_name_t name;
    int fd; // -1: free
    uint64_t last_use;
} s_seat_t;

struct rmt_pool {
    s_seat_t seats[POOL_SIZE];
    uint64_t uses;
};

rmt_pool_t *
rmt_pool_new(void)
{
    rmt_pool_t *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    for (size_t i = 0; i < POOL_SIZE; i++)
        self->seats[i].fd = -1;
    return self;
}

void
rmt_pool_destroy(rmt_pool_t **self_p)
{
    rmt_pool_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < POOL_SIZE; i++)
        rmt_auto_close(&self->seats[i].fd);
    free(self);
    *self_p = NULL;
}

static int
s_open(const rmt_file_name_t *name, const char *folder)
{
    char text[RMT_FILE_TEXT_SIZE];
    rmt_auto_str path = rmt_text("%s/%s", folder, rmt_file_name_text(name, text));
    return open(path, O_RDONLY | O_CLOEXEC);
}

int
rmt_pool_get(rmt_pool_t *self, const rmt_file_name_t *name, const char *folder,
             const char *second, rmt_error_t *error)
{
    s_seat_t *oldest = &self->seats[0];
    for (size_t i = 0; i < POOL_SIZE; i++) {
        s_seat_t *seat = &self->seats[i];
        if (seat->fd != -1 && rmt_file_name_compare(&seat->name, name) == 0) {
            seat->last_use = ++self->uses;
            return seat->fd;
        }
        if (seat->last_use < oldest->last_use)
            oldest = seat;
    }
    int fd = s_open(name, folder);
    if (fd == -1 && errno == ENOENT && second)
        fd = s_open(name, second);
    if (fd == -1)
        return rmt_fail_errno(error, "open");
    rmt_auto_close(&oldest->fd);
    *oldest = (s_seat_t){*name, fd, ++self->uses};
    return fd;
}
