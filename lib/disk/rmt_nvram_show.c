// In a file of its own: <sys/mount.h> and <linux/fs.h> name the same things.
#include "disk/rmt_nvram.h"
#include "base/rmt_auto.h"
#include "base/rmt_sysfs.h"

#include <sys/mount.h>

void
rmt_nvram_show(void)
{
    rmt_auto_str variables = rmt_sysfs_list("%s", RMT_NVRAM_FOLDER);
    if (!*variables)
        (void) mount("efivarfs", RMT_NVRAM_FOLDER, "efivarfs",
                     MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}
