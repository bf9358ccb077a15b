// In a file of its own: <sys/mount.h> and <linux/fs.h> name the same things.
#include "disk/rmt_nvram.h"

#include <dirent.h>
#include <sys/mount.h>

void
rmt_nvram_show(void)
{
    DIR *dir = opendir(RMT_NVRAM_FOLDER);
    size_t count = 0;
    if (!dir)
        return;
    while (count < 3 && readdir(dir))
        count++; // Two are the folder itself and the one above
    closedir(dir);
    if (count < 3)
        (void) mount("efivarfs", RMT_NVRAM_FOLDER, "efivarfs",
                     MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}
