#include "agent/disk_tools/vfat.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"

#include <dirent.h>
#include <string.h>

// Names are UTF-8, whatever the agent was started with; the geometry of old disks, which
// other makers of file systems get wrong, and a user's drive letters are of no interest.
#define MTOOLS                                                                           \
    "env", "LC_ALL=C.UTF-8", "MTOOLS_SKIP_CHECK=1", "MTOOLSRC=/dev/null", "mcopy"

static int
s_is_name(const struct dirent *item)
{
    return strcmp(item->d_name, ".") != 0 && strcmp(item->d_name, "..") != 0;
}

int
rmt_vfat_copy_out(const char *device, const char *folder, rmt_error_t *error)
{
    const char *arguments[] = {MTOOLS, "-s",   "-p",  "-m",   "-n",
                               "-i",   device, "::/", folder, NULL};
    if (rmt_process_run_on_disk(arguments, error) == -1)
        return rmt_wrap(error, "read FAT volume %s by mcopy (package mtools)", device);
    return 0;
}

// One call for each name at the top: a list of unknown length is no argument list.
int
rmt_vfat_copy_in(const char *folder, const char *device, rmt_error_t *error)
{
    struct dirent **items = NULL;
    const int count = scandir(folder, &items, s_is_name, alphasort);
    if (count == -1)
        return rmt_fail_errno(error, "list %s", folder);
    int rc = 0;
    for (int i = 0; i < count; i++) {
        rmt_auto_str path = rmt_text("%s/%s", folder, items[i]->d_name);
        const char *arguments[] = {MTOOLS, "-s",   "-p", "-m",  "-Q", "-n",
                                   "-i",   device, path, "::/", NULL};
        if (rc == 0 && rmt_process_run_on_disk(arguments, error) == -1)
            rc = rmt_wrap(error, "write %s to FAT volume %s", items[i]->d_name, device);
        free(items[i]);
    }
    free(items);
    return rc;
}
