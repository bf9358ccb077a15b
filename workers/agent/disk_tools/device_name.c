#include "agent/disk_tools/device_name.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_sysfs.h"

#include <assert.h>
#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define LINKS "/dev/disk/by-"
#define PARTITION_MAX 1024

// The kernel's own names: @ stands for letters, # for digits; between disk and number.
static const struct {
    const char *pattern, *gap;
} s_kernel_names[] = {
    {"/dev/sd@", ""},         {"/dev/hd@", ""},    {"/dev/vd@", ""},
    {"/dev/xvd@", ""},        {"/dev/dasd@", ""},  {"/dev/nvme#n#", "p"},
    {"/dev/mmcblk#", "p"},    {"/dev/pmem#", "p"}, {"/dev/nbd#", "p"},
    {"/dev/cciss/c#d#", "p"},
};

// Where a pattern ends in a text, or NULL when it does not fit.
static const char *
s_fit(const char *text, const char *pattern)
{
    for (; *pattern; pattern++) {
        const char *begin = text;
        if (*pattern == '@')
            text += strspn(text, "abcdefghijklmnopqrstuvwxyz");
        else if (*pattern == '#')
            text += strspn(text, "0123456789");
        else
            text += *text == *pattern;
        if (text == begin)
            return NULL;
    }
    return text;
}

// A number as kernels write it, up to the end of the text.
static bool
s_read_number(const char *text, uint64_t *number_out)
{
    const size_t size = strspn(text, "0123456789");
    if (size == 0 || size > 4 || text[size] || text[0] == '0')
        return false;
    *number_out = strtoull(text, NULL, 10);
    return *number_out <= PARTITION_MAX;
}

static bool
s_split_at(const char *path, const char *end, const char *gap, char **disk_out,
           uint64_t *partition_out)
{
    const size_t size = strlen(gap);
    uint64_t number = 0;
    if (*end && (strncmp(end, gap, size) != 0 || !s_read_number(end + size, &number)))
        return false;
    *disk_out = rmt_text("%.*s", (int) (end - path), path);
    *partition_out = number;
    return true;
}

// Links that udev makes for disks, with -part before the number of a partition.
static bool
s_split_link(const char *path, char **disk_out, uint64_t *partition_out)
{
    static const char *const folders[] = {LINKS "id/", LINKS "path/", LINKS "diskseq/"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        if (strncmp(path, folders[i], strlen(folders[i])) != 0)
            continue;
        const char *end = path + strlen(path);
        for (const char *at = path; (at = strstr(at, "-part")); at++) {
            uint64_t number;
            if (s_read_number(at + strlen("-part"), &number))
                end = at;
        }
        return s_split_at(path, end, "-part", disk_out, partition_out);
    }
    return false;
}

bool
rmt_device_name_split(const char *path, char **disk_out, uint64_t *partition_out)
{
    assert(path && disk_out && partition_out);
    for (size_t i = 0; i < sizeof s_kernel_names / sizeof *s_kernel_names; i++) {
        const char *end = s_fit(path, s_kernel_names[i].pattern);
        if (end)
            return s_split_at(path, end, s_kernel_names[i].gap, disk_out, partition_out);
    }
    return s_split_link(path, disk_out, partition_out);
}

bool
rmt_device_name_is_first(const char *disk)
{
    static const char *const names[] = {"/dev/sda",     "/dev/hda",   "/dev/vda",
                                        "/dev/xvda",    "/dev/dasda", "/dev/nvme0n1",
                                        "/dev/mmcblk0", "/dev/pmem0", "/dev/cciss/c0d0"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], disk) == 0)
            return true;
    return false;
}

bool
rmt_device_name_find(const char *path, const char *disk, uint64_t *partition_out)
{
    struct stat own, found;
    char text[RMT_SYSFS_TEXT_SIZE];
    if (stat(disk, &own) == -1 || stat(path, &found) == -1 || !S_ISBLK(own.st_mode) ||
        !S_ISBLK(found.st_mode))
        return false;
    *partition_out = 0;
    if (own.st_rdev == found.st_rdev)
        return true;
    rmt_auto_str folder =
        rmt_text("/sys/dev/block/%u:%u", major(found.st_rdev), minor(found.st_rdev));
    *partition_out = rmt_sysfs_number("%s/partition", folder);
    rmt_auto_str whole = rmt_text("%u:%u", major(own.st_rdev), minor(own.st_rdev));
    return *partition_out &&
           strcmp(rmt_sysfs_text(text, "%s/../dev", folder), whole) == 0;
}
