#include "system/rmt_unit.h"
#include "system/rmt_action.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"

#include <fnmatch.h>
#include <string.h>

#define OWN "/etc/systemd/system"

static bool
s_is_masked(int root_fd, const char *unit)
{
    rmt_auto_str path = rmt_text(OWN "/%s", unit);
    rmt_auto_str target = rmt_rooted_readlink(root_fd, path);
    return target && strcmp(target, "/dev/null") == 0;
}

// Whether a folder of units has a link to this one in one of its *.wants; the removal of
// each is planned where actions is not NULL.
static bool
s_find_wants(int root_fd, const char *folder, const char *unit, rmt_records_t *actions)
{
    bool found = false;
    rmt_auto_str names = rmt_rooted_list(root_fd, folder);
    for (const char *name = names; *name; name += strlen(name) + 1) {
        if (fnmatch("*.wants", name, 0) != 0 && fnmatch("*.requires", name, 0) != 0)
            continue;
        rmt_auto_str path = rmt_text("%s/%s/%s", folder, name, unit);
        if (!rmt_rooted_kind(root_fd, path))
            continue;
        found = true;
        if (actions)
            rmt_action_remove(actions, path, "network");
    }
    return found;
}

static bool
s_is_in_rc(int root_fd, const char *name)
{
    static const char *const folders[] = {"/etc/rcS.d", "/etc/rc2.d", "/etc/rc3.d",
                                          "/etc/rc5.d", "/etc/init.d"};
    rmt_auto_str pattern = rmt_text("S[0-9][0-9]%s", name);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        rmt_auto_str names = rmt_rooted_list(root_fd, folders[i]);
        for (const char *link = names; *link; link += strlen(link) + 1) {
            if (fnmatch(pattern, link, 0) == 0)
                return true;
        }
    }
    return false;
}

// OpenRC and runit start what has a link in the folder of a level; the removal of each is
// planned where actions is not NULL.
static bool
s_find_levels(int root_fd, const char *name, rmt_records_t *actions)
{
    static const char *const levels[] = {"/etc/runlevels/boot",
                                         "/etc/runlevels/default",
                                         "/etc/runlevels/sysinit",
                                         "/etc/runit/runsvdir/default",
                                         "/etc/service",
                                         "/var/service",
                                         "/service"};
    bool found = false;
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        rmt_auto_str path = rmt_text("%s/%s", levels[i], name);
        if (!rmt_rooted_kind(root_fd, path))
            continue;
        found = true;
        if (actions)
            rmt_action_remove(actions, path, "network");
    }
    return found;
}

bool
rmt_unit_is_enabled(int root_fd, const char *name)
{
    rmt_auto_str unit = rmt_text("%s.service", name);
    if (s_is_masked(root_fd, unit))
        return false;
    return s_find_wants(root_fd, OWN, unit, NULL) ||
           s_find_wants(root_fd, "/usr/lib/systemd/system", unit, NULL) ||
           s_find_wants(root_fd, "/lib/systemd/system", unit, NULL) ||
           s_is_in_rc(root_fd, name) || s_find_levels(root_fd, name, NULL);
}

void
rmt_unit_disable(int root_fd, const char *unit, rmt_records_t *actions)
{
    rmt_auto_str name = rmt_text("%.*s", (int) strcspn(unit, "."), unit);
    s_find_wants(root_fd, OWN, unit, actions);
    s_find_levels(root_fd, name, actions);
}
