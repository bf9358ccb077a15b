#include "system/rmt_personal.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"

#include <assert.h>
#include <string.h>

// An action before this one takes the path away, or makes it anew.
static bool
s_is_replaced(const rmt_records_t *actions, size_t before, const char *path)
{
    for (size_t i = 0; i < before; i++) {
        if (rmt_record_is(rmt_records_at(actions, i), "path", path))
            return true;
    }
    return false;
}

// The folders on the way: all plain, or not there yet.
static int
s_try_way(int root_fd, const rmt_records_t *actions, size_t index, const char *path,
          rmt_error_t *error)
{
    rmt_auto_str way = rmt_text("%s", path);
    for (char *slash = strchr(way + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        const mode_t kind = rmt_rooted_kind(root_fd, way);
        if (kind == 0 || s_is_replaced(actions, index, way))
            return 0;
        if (kind != S_IFDIR)
            return rmt_fail(error, RMT_E_REFUSED,
                            "%s: %s on the way to it is %s; make it a plain folder on "
                            "the source, or have that path left out of the image",
                            path, way, kind == S_IFLNK ? "a symlink" : "no plain folder");
        *slash = '/';
    }
    return 0;
}

int
rmt_personal_try(int root_fd, const rmt_records_t *actions, rmt_error_t *error)
{
    assert(actions);
    for (size_t i = 0; i < rmt_records_count(actions); i++) {
        const rmt_record_t *action = rmt_records_at(actions, i);
        const char *path = rmt_record_text(action, "path", "");
        if (s_try_way(root_fd, actions, i, path, error) == -1)
            return -1;
        if (!rmt_record_is(action, "class", "remove-folder") &&
            rmt_rooted_kind(root_fd, path) == S_IFDIR)
            return rmt_fail(error, RMT_E_REFUSED,
                            "%s is a folder, where a file is to be written or removed; "
                            "move it away on the source",
                            path);
    }
    return 0;
}
