// Paths in a manifest: their order, and what may follow what.
#include "store/rmt_entry.h"

size_t
rmt_path_shared(const char *a, size_t a_size, const char *b, size_t b_size)
{
    const size_t limit = a_size < b_size ? a_size : b_size;
    size_t at = 0;
    while (at < limit && a[at] == b[at])
        at++;
    return at;
}

// Order of what may stand at one place: the end, the end of a component, a byte.
static int
s_rank(const char *path, size_t size, size_t at)
{
    if (at == size)
        return -2;
    return path[at] == '/' ? -1 : (unsigned char) path[at];
}

int
rmt_path_compare(const char *a, size_t a_size, const char *b, size_t b_size)
{
    const size_t at = rmt_path_shared(a, a_size, b, b_size);
    return s_rank(a, a_size, at) - s_rank(b, b_size, at);
}

const char *
rmt_path_refusal(const char *previous, size_t previous_size, bool previous_is_folder,
                 const char *path, size_t path_size, size_t shared)
{
    if (s_rank(previous, previous_size, shared) >= s_rank(path, path_size, shared))
        return "the entries are not sorted";
    const char *slash = memrchr(path, '/', path_size);
    const size_t parent = slash ? (size_t) (slash - path) : 0;
    // All folders above the previous entry were given, so it is enough that the parent
    // is the previous entry or one of those.
    if (parent > shared)
        return "the entry's folder is missing";
    if (parent == previous_size)
        return previous_is_folder ? NULL : "the entry's parent is not a folder";
    if (parent > 0 && previous[parent] != '/')
        return "the entry's folder is missing";
    return NULL;
}
