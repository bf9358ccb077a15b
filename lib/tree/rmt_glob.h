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

// What a glob means in a tree that is mounted at folder ("/home") of the tree that it is
// for: its rest, "" when it matches folder or one above it, NULL when it matches nothing
// in there. Caller owns the result.
char *rmt_glob_below(const char *glob, const char *folder);
// The glob that matches this path alone. Caller owns the result.
char *rmt_glob_quote(const char *path);
