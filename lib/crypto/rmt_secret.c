#include "crypto/rmt_secret.h"
#include "base/rmt_guarded.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

int
rmt_secret_load(const char *path, const char *what, char **text_out, rmt_error_t *error)
{
    size_t size;
    const rmt_guarded_t file = {path, what, RMT_GUARDED_SECRET, RMT_SECRET_FILE_SIZE_MAX};
    return rmt_guarded_load(&file, text_out, &size, error);
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
