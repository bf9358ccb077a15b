// cursor - which of two audit entries is the younger one.
#pragma once

#include <stdbool.h>

#define CURSOR_SIZE 48 // Of the longest cursor, two numbers, with its NUL

// True when an event with this cursor is newer than the snapshot with that one, and when
// one of them is no id of an entry: percentages have no place in the audit stream.
bool cursor_is_newer(const char *cursor, const char *snapshot);
