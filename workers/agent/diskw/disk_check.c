#include "agent/diskw/disk_check.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "machine/rmt_inventory.h"
#include "match/rmt_match.h"

#include <inttypes.h>
#include <limits.h>
#include <linux/loop.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static int
s_check_file(const rmt_record_t *target, int fd, rmt_error_t *error)
{
    struct loop_info64 info;
    if (ioctl(fd, LOOP_GET_STATUS64, &info) == -1)
        return rmt_fail_errno(error, "status of the loop device");
    if (info.lo_device != rmt_record_u64(target, "device", 0) ||
        info.lo_inode != rmt_record_u64(target, "inode", 0))
        return rmt_fail(error, RMT_E_INCOMPATIBLE,
                        "%s is another file than the one that was prepared",
                        rmt_record_text(target, "path", ""));
    return 0;
}

static int
s_check_device(const rmt_record_t *target, int fd, const char *root, rmt_error_t *error)
{
    struct stat status;
    if (fstat(fd, &status) == -1)
        return rmt_fail_errno(error, "status of the disk");
    rmt_auto_str link = rmt_text("%s/sys/dev/block/%u:%u", root, major(status.st_rdev),
                                 minor(status.st_rdev));
    char path[PATH_MAX];
    if (!realpath(link, path))
        return rmt_fail_errno(error, "%s", link);
    rmt_auto(rmt_records) hardware = rmt_inventory_read_at(root, error);
    if (!hardware)
        return -1;
    const char *name = strrchr(path, '/') + 1;
    for (size_t i = 0; i < rmt_records_count(hardware); i++) {
        const rmt_record_t *disk = rmt_records_at(hardware, i);
        if (rmt_record_is(disk, "class", "disk") && rmt_record_is(disk, "name", name) &&
            strcmp(rmt_match_disk_identity(disk),
                   rmt_record_text(target, "identity", "")) == 0)
            return 0;
    }
    return rmt_fail(error, RMT_E_INCOMPATIBLE, "%s is no longer disk '%s'",
                    rmt_record_text(target, "path", ""),
                    rmt_record_text(target, "identity", ""));
}

int
rmt_disk_check(const rmt_record_t *target, int fd, uint64_t bytes, const char *root,
               rmt_error_t *error)
{
    const uint64_t ordered = rmt_record_u64(target, "bytes", 0);
    if ((rmt_record_has(target, "inode") ? s_check_file(target, fd, error)
                                         : s_check_device(target, fd, root, error)) == -1)
        return -1;
    if (bytes / 512 == ordered / 512)
        return 0;
    return rmt_fail(error, RMT_E_INCOMPATIBLE,
                    "disk %s has %" PRIu64 " bytes, and the order says %" PRIu64,
                    rmt_record_text(target, "path", ""), bytes, ordered);
}
