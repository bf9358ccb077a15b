#include "agent/diskw/harden.h"

#include <linux/capability.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

// Mounts, tables, attributes trusted.* and subvolumes; nodes; owners and modes of any
// inode; security.capability and labels; flags of inodes; reserved blocks; signals to
// tools; the root of a parser.
static const unsigned s_kept[] = {
    CAP_SYS_ADMIN, CAP_MKNOD,        CAP_CHOWN,           CAP_DAC_OVERRIDE,
    CAP_FOWNER,    CAP_FSETID,       CAP_DAC_READ_SEARCH, CAP_SETFCAP,
    CAP_MAC_ADMIN, CAP_MAC_OVERRIDE, CAP_LINUX_IMMUTABLE, CAP_SYS_RESOURCE,
    CAP_KILL,      CAP_SYS_CHROOT,
};

static bool
s_is_one_of(const unsigned *kept, size_t count, unsigned capability)
{
    for (size_t i = 0; i < count; i++)
        if (kept[i] == capability)
            return true;
    return false;
}

// The bounding set is that of programs, the other sets are those of this process.
static int
s_drop(rmt_error_t *error)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {{0, 0, 0}};
    if (syscall(SYS_capget, &head, sets) == -1)
        return rmt_fail_errno(error, "read the capabilities of this process");
    for (unsigned i = 0; prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++) {
        if (s_is_one_of(s_kept, sizeof s_kept / sizeof *s_kept, i))
            continue;
        if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) == -1)
            return rmt_fail_errno(error, "drop capability %u for programs", i);
        sets[i / 32].effective &= ~(1U << i % 32);
        sets[i / 32].permitted &= ~(1U << i % 32);
        sets[i / 32].inheritable = 0;
    }
    if (syscall(SYS_capset, &head, sets) == -1)
        return rmt_fail_errno(error, "drop the capabilities of this process");
    return 0;
}

int
rmt_harden_keep(const unsigned *kept, size_t count, rmt_error_t *error)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {{0, 0, 0}};
    if (syscall(SYS_capget, &head, sets) == -1)
        return rmt_fail_errno(error, "read the capabilities of this process");
    for (unsigned i = 0; i < 32 * _LINUX_CAPABILITY_U32S_3; i++)
        if (!s_is_one_of(kept, count, i))
            sets[i / 32].permitted &= ~(1U << i % 32);
    for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        sets[i].effective = sets[i].permitted;
        sets[i].inheritable = 0;
    }
    if (syscall(SYS_capset, &head, sets) == -1)
        return rmt_fail_errno(error, "drop the capabilities of this process");
    return 0;
}

int
rmt_harden(rmt_error_t *error)
{
    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) == -1)
        return rmt_fail_errno(error, "turn core files off");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
        return rmt_fail_errno(error, "give up new privileges");
    return s_drop(error);
}
