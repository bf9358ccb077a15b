// A backup of the broker's computer. ramet-setup makes it, for it knows which files a
// part has, and reads it back (ops/lib/backup.sh).
#include "console/cmd.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ramet-setup stands in sbin, beside the bin of this program.
static int
s_backup(call_t *call, rmt_error_t *error)
{
    char own[PATH_MAX] = "";
    if (readlink("/proc/self/exe", own, sizeof own - 1) == -1)
        return rmt_fail_errno(error, "read the path of this program");
    char *name = strrchr(own, '/');
    if (name)
        *name = '\0';
    char *bin = strrchr(own, '/');
    if (bin)
        *bin = '\0';
    rmt_auto_str setup = rmt_text("%s/sbin/ramet-setup", own);
    char *const words[] = {"ramet-setup", "backup", call->operands[0], NULL};
    (void) fflush(NULL);
    (void) execv(setup, words);
    if (errno != ENOENT)
        return rmt_fail_errno(error, "run %s", setup);
    return rmt_fail(error, RMT_E_NOT_FOUND,
                    "%s is not there; the package ramet has it, and in a source tree it "
                    "is ops/setup",
                    setup);
}

const command_t cmd_backup[] = {
    {"backup", "", "FILE", 1, 1,
     "Write the keys, settings, records, audit and trust root of this computer's broker "
     "into one file. The file must not be there yet, and has the keys of the farm: keep "
     "it as you keep them. The images in the stores are not in it. It runs on the "
     "broker's computer as root; ramet-setup broker --restore FILE reads it back.",
     s_backup, NULL, NULL, NULL},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL},
};
