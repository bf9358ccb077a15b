#include "tree/rmt_glob.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <assert.h>
#include <fnmatch.h>
#include <stdlib.h>
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

// The first component of *text_p, which then stands behind it. Caller owns the result.
static char *
s_component(const char **text_p)
{
    const char *start = *text_p + strspn(*text_p, "/");
    const size_t size = strcspn(start, "/");
    *text_p = start + size;
    *text_p += strspn(*text_p, "/");
    return rmt_text("%.*s", (int) size, start);
}

char *
rmt_glob_below(const char *glob, const char *folder)
{
    const bool is_name = !strchr(glob, '/');
    const char *at = folder + strspn(folder, "/");
    const char *rest = glob;
    while (*at) {
        if (!is_name && !*rest)
            return rmt_text("%s", "");
        rmt_auto_str pattern = is_name ? rmt_text("%s", glob) : s_component(&rest);
        rmt_auto_str name = s_component(&at);
        const bool matches = fnmatch(pattern, name, 0) == 0;
        if (is_name && matches)
            return rmt_text("%s", "");
        if (!is_name && !matches)
            return NULL;
    }
    if (is_name)
        return rmt_text("%s", glob);
    rest += strspn(rest, "/");
    return *rest ? rmt_text("/%s", rest) : rmt_text("%s", "");
}

char *
rmt_glob_quote(const char *path)
{
    char *quoted = malloc(2 * strlen(path) + 2);
    assert(quoted);
    size_t size = 0;
    if (path[0] != '/')
        quoted[size++] = '/';
    for (; *path; path++) {
        if (strchr("*?[]\\", *path))
            quoted[size++] = '\\';
        quoted[size++] = *path;
    }
    quoted[size] = '\0';
    return quoted;
}
