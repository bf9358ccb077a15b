// rmt_glob - the globs that leave paths out of captures and comparisons.
//
// A glob with a slash is matched against the whole path from the root of the tree, its
// leading slash optional, and its '*' does not cross slashes. A glob without a slash is
// matched against the last name. What lies below a match is left out too.
#pragma once

#include <stdbool.h>

// True when one of the NULL-terminated globs (NULL = none) matches path itself, which is
// without a leading slash.
bool rmt_glob_match(const char *const *globs, const char *path);
// The same for path or one of the folders above it.
bool rmt_glob_match_any(const char *const *globs, const char *path);
