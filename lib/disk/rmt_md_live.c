#include "disk/rmt_md_live.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_sysfs.h"
#include "disk/rmt_holders.h"

#include <assert.h>
#include <string.h>

static int
s_refuse(const char *name, const char *what, const char *remedy, rmt_error_t *error)
{
    return rmt_fail(error, RMT_E_UNSUPPORTED,
                    "array /dev/%.60s %s, which is not supported; %s", name, what,
                    remedy);
}

static int
s_check(const char *sysfs, const char *name, rmt_error_t *error)
{
    char state[RMT_SYSFS_TEXT_SIZE], at[RMT_SYSFS_TEXT_SIZE];
    rmt_auto_str folder = rmt_text("%s/class/block/%s/md", sysfs, name);
    rmt_sysfs_text(state, "%s/array_state", folder);
    rmt_sysfs_text(at, "%s/reshape_position", folder);
    if (!*state || strcmp(state, "inactive") == 0 || strcmp(state, "clear") == 0)
        return s_refuse(name, "does not run", "start it with mdadm --run", error);
    if (*at && strcmp(at, "none") != 0)
        return s_refuse(name, "gets another form", "wait until mdadm --wait ends", error);
    if (rmt_sysfs_number("%s/degraded", folder))
        return s_refuse(name, "lacks a member",
                        "bring it back to full strength with mdadm --add, and wait until "
                        "mdadm --wait ends",
                        error);
    return 0;
}

int
rmt_md_live_find(const char *sysfs, const char *device, char **node_out,
                 rmt_error_t *error)
{
    assert(sysfs && device && node_out);
    *node_out = NULL;
    rmt_auto_str holders = rmt_holders_list(sysfs, device, error);
    if (!holders)
        return -1;
    for (const char *name = holders; *name; name += strlen(name) + 1) {
        if (!rmt_sysfs_exists("%s/class/block/%s/md", sysfs, name))
            continue;
        if (s_check(sysfs, name, error) == -1)
            return -1;
        *node_out = rmt_text("/dev/%s", name);
        return 0;
    }
    return rmt_fail(error, RMT_E_UNSUPPORTED,
                    "%s is a member of an array that does not run, which is not "
                    "supported; start it with mdadm --assemble --scan, or clear it with "
                    "mdadm --zero-superblock",
                    device);
}
