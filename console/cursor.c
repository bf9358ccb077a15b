#include "console/cursor.h"

#include <inttypes.h>
#include <stdio.h>

bool
cursor_is_newer(const char *cursor, const char *snapshot)
{
    uint64_t a[2] = {0, 0}, b[2] = {0, 0};
    if (sscanf(cursor, "%" SCNu64 "-%" SCNu64, &a[0], &a[1]) != 2 ||
        sscanf(snapshot, "%" SCNu64 "-%" SCNu64, &b[0], &b[1]) != 2)
        return true;
    return a[0] != b[0] ? a[0] > b[0] : a[1] > b[1];
}
