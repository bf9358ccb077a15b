#include "crypto/rmt_secret.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
s_check(const struct stat *status, const char *path, rmt_error_t *error)
{
    if (!S_ISREG(status->st_mode))
        return rmt_fail(error, RMT_E_CONFIG,
                        "key file %s is not a plain file; name a plain file", path);
    if (status->st_uid != geteuid())
        return rmt_fail(
            error, RMT_E_CONFIG,
            "key file %s belongs to user %u, and this process runs as user %u; chown it",
            path, status->st_uid, geteuid());
    if (status->st_mode & 077)
        return rmt_fail(
            error, RMT_E_CONFIG,
            "other users can read or write key file %s (mode %03o); run: chmod 600 %s",
            path, status->st_mode & 0777, path);
    if ((uint64_t) status->st_size > RMT_SECRET_FILE_SIZE_MAX)
        return rmt_fail(error, RMT_E_CONFIG, "key file %s is larger than %zu bytes", path,
                        RMT_SECRET_FILE_SIZE_MAX);
    return 0;
}

int
rmt_secret_load(const char *path, char **text_out, rmt_error_t *error)
{
    // Without O_NONBLOCK a FIFO in the file's place would hold us for ever.
    rmt_auto_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd == -1 && errno == ELOOP)
        return rmt_fail(error, RMT_E_CONFIG,
                        "key file %s is a symbolic link; name the file itself", path);
    struct stat status;
    if (fd == -1 || fstat(fd, &status) == -1)
        return rmt_fail_errno(error, "key file %s", path);
    if (s_check(&status, path, error) == -1)
        return -1;
    const size_t size = (size_t) status.st_size;
    char *text = calloc(1, size + 1);
    if (!text)
        abort();
    if (rmt_io_read(fd, text, size, error) == -1) {
        rmt_secret_free(&text);
        return rmt_wrap(error, "key file %s", path);
    }
    *text_out = text;
    return 0;
}

void
rmt_secret_free(char **text_p)
{
    if (!*text_p)
        return;
    sodium_memzero(*text_p, strlen(*text_p));
    free(*text_p);
    *text_p = NULL;
}
