// personal_list - the patterns of ops/lib/personal.list, made part of the program by the
// build. Relative to the root of a system; a '*' crosses slashes.
#pragma once

// NULL-terminated.
extern const char *const RMT_PERSONAL_LIST[];
