#include "console/trust_file.h"
#include "base/rmt_auto.h"
#include "base/rmt_guarded.h"
#include "base/rmt_io.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

rmt_root_t *
trust_load(const char *path, rmt_error_t *error)
{
    rmt_auto_str text = NULL;
    size_t size;
    const rmt_guarded_t file = {path, "trust root", RMT_GUARDED_TRUST,
                                RMT_SIGNED_SIZE_MAX};
    if (rmt_guarded_load(&file, &text, &size, error) == -1)
        return NULL;
    rmt_root_t *root = rmt_root_read(text, size, error);
    if (!root)
        rmt_wrap(error, "%s", path);
    return root;
}

// Say whether enough root keys have signed it.
static void
s_say(const char *path, const rmt_root_t *root)
{
    rmt_error_t why = {0};
    if (rmt_root_check(root, &why) == 0)
        fprintf(stderr,
                "%s: trust root %" PRIu64
                " of farm %s is signed by enough of its root keys\n",
                path, rmt_root_version(root), rmt_root_farm(root));
    else
        fprintf(stderr, "%s: %s\n", path, why.text);
}

int
trust_save(const char *path, const char *text, rmt_error_t *error)
{
    rmt_auto(rmt_root) root = rmt_root_read(text, strlen(text), error);
    if (!root || rmt_io_save(path, text, strlen(text), 0644, error) == -1)
        return -1;
    s_say(path, root);
    return 0;
}

int
trust_of(call_t *call, rmt_root_t **root_out, rmt_error_t *error)
{
    const char *path = call_path(call, "trust-root", error);
    if (!path)
        return -1;
    *root_out = NULL;
    if (!*path)
        return 0;
    rmt_auto(rmt_root) root = trust_load(path, error);
    if (!root || rmt_root_check(root, error) == -1)
        return -1;
    *root_out = rmt_take(&root);
    return 0;
}
