#include "disk/rmt_holders.h"
#include "base/rmt_io.h"
#include "base/rmt_sysfs.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

char *
rmt_holders_list(const char *sysfs, const char *device, rmt_error_t *error)
{
    char path[PATH_MAX];
    struct stat status;
    assert(sysfs && device);
    if (!realpath(device, path) || stat(path, &status) == -1) {
        rmt_fail_errno(error, "find device %s", device);
        return NULL;
    }
    // A node below /dev/mapper may be no link, and have a name of its own.
    return S_ISBLK(status.st_mode)
               ? rmt_sysfs_list("%s/dev/block/%u:%u/holders", sysfs,
                                major(status.st_rdev), minor(status.st_rdev))
               : rmt_sysfs_list("%s/class/block/%s/holders", sysfs,
                                strrchr(path, '/') + 1);
}
