#include "tree/rmt_glob.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <fnmatch.h>
#include <string.h>

bool
rmt_glob_match(const char *const *globs, const char *path)
{
    if (!globs)
        return false;
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    for (; *globs; globs++) {
        const char *glob = *globs;
        if (!strchr(glob, '/')) {
            if (fnmatch(glob, name, 0) == 0)
                return true;
            continue;
        }
        if (fnmatch(glob[0] == '/' ? glob + 1 : glob, path, FNM_PATHNAME) == 0)
            return true;
    }
    return false;
}

bool
rmt_glob_match_any(const char *const *globs, const char *path)
{
    if (!globs || !*globs)
        return false;
    rmt_auto_str copy = rmt_text("%s", path);
    for (;;) {
        if (rmt_glob_match(globs, copy))
            return true;
        char *slash = strrchr(copy, '/');
        if (!slash)
            return false;
        *slash = '\0';
    }
}
