#include "disk/rmt_overlay.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "disk/rmt_blockdev.h"
#include "disk/rmt_fuse_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define KEPT 3 // The child's descriptors, beside the standard ones

struct rmt_overlay {
    char *room; // Folder
    uint64_t limit;
    rmt_cow_t *cow;
    char *file; // Mount point of the FUSE file system; NULL: not mounted
    pid_t child;
    rmt_blockdev_t *disk;
};

// ---- The child

// It holds nothing of its parent open that it does not need: a connection would live on.
static void
s_close_others(int fuse, const rmt_cow_t *cow)
{
    int keep[KEPT] = {fuse, rmt_cow_base(cow), rmt_cow_room(cow)};
    for (size_t i = 0; i < KEPT; i++)
        for (size_t j = i + 1; j < KEPT; j++)
            if (keep[j] < keep[i]) {
                const int higher = keep[i];
                keep[i] = keep[j];
                keep[j] = higher;
            }
    unsigned next = STDERR_FILENO + 1;
    for (size_t i = 0; i < KEPT; i++) {
        if ((unsigned) keep[i] > next)
            (void) syscall(SYS_close_range, next, (unsigned) keep[i] - 1, 0);
        next = (unsigned) keep[i] + 1;
    }
    (void) syscall(SYS_close_range, next, ~0u, 0);
}

// It ends with its parent, and not before: a signal to all of them would end it first,
// and what is mounted over it could not be unmounted in peace.
static void
s_run_child(pid_t parent, int fuse, rmt_cow_t *cow, void *room)
{
    const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        (void) signal(ignored[i], SIG_IGN);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() != parent)
        _exit(1);
    s_close_others(fuse, cow);
    rmt_fuse_file_serve(fuse, cow, room);
    _exit(0);
}

// ---- The parent

// A file without a name, where the file system knows such; else one whose name goes at
// once.
static int
s_open_room(const char *folder, rmt_error_t *error)
{
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd == -1 && (errno == EOPNOTSUPP || errno == EISDIR)) {
        rmt_auto_str path = rmt_text("%s/overlay-XXXXXX", folder);
        fd = mkostemp(path, O_CLOEXEC);
        if (fd != -1)
            (void) unlink(path);
    }
    return fd == -1 ? rmt_fail_errno(error, "make a file in %s", folder) : fd;
}

static int
s_open_cow(rmt_overlay_t *self, const rmt_overlay_setup_t *setup, rmt_error_t *error)
{
    rmt_auto_fd base = open(setup->device, O_RDONLY | O_CLOEXEC);
    if (base == -1)
        return rmt_fail_errno(error, "open %s", setup->device);
    const off_t size = lseek(base, 0, SEEK_END);
    if (size == -1)
        return rmt_fail_errno(error, "size of %s", setup->device);
    rmt_auto_fd room = s_open_room(setup->room, error);
    if (room == -1)
        return -1;
    self->cow = rmt_cow_new(rmt_take_fd(&base), rmt_take_fd(&room), (uint64_t) size,
                            setup->limit);
    return 0;
}

// The mount point is a file, so that the root of the file system is one.
static int
s_mount(rmt_overlay_t *self, int fuse, const char *folder, rmt_error_t *error)
{
    rmt_auto_str path = rmt_text("%s/overlay", folder);
    rmt_auto_str options =
        rmt_text("fd=%d,rootmode=%o,user_id=0,group_id=0", fuse, (unsigned) S_IFREG);
    rmt_auto_fd point = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (point == -1)
        return rmt_fail_errno(error, "make %s", path);
    if (mount("ramet", path, "fuse", MS_NODEV | MS_NOSUID | MS_NOEXEC, options) == -1)
        return rmt_fail_errno(error, "mount a FUSE file system on %s", path);
    self->file = rmt_take(&path);
    return 0;
}

static int
s_start(rmt_overlay_t *self, const char *folder, rmt_error_t *error)
{
    rmt_auto_fd fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fuse == -1)
        return rmt_fail(error, RMT_E_UNSUPPORTED,
                        "this computer's kernel has no FUSE (%s); load it: modprobe fuse",
                        strerror(errno));
    if (s_mount(self, fuse, folder, error) == -1)
        return -1;
    rmt_auto_ptr room = malloc(RMT_FUSE_FILE_ROOM);
    assert(room);
    const pid_t parent = getpid();
    self->child = fork();
    if (self->child == 0)
        s_run_child(parent, fuse, self->cow, room);
    return self->child == -1 ? rmt_fail_errno(error, "start a process") : 0;
}

rmt_overlay_t *
rmt_overlay_new(const rmt_overlay_setup_t *setup, rmt_error_t *error)
{
    assert(setup && setup->device && setup->folder && setup->room);
    rmt_auto(rmt_overlay) self = calloc(1, sizeof *self);
    assert(self);
    self->child = -1;
    self->room = rmt_text("%s", setup->room);
    self->limit = setup->limit;
    if (s_open_cow(self, setup, error) == -1 || s_start(self, setup->folder, error) == -1)
        return NULL;
    self->disk = rmt_blockdev_new(self->file, 0, setup->sector, setup->folder, error);
    return self->disk ? rmt_take(&self) : NULL;
}

void
rmt_overlay_destroy(rmt_overlay_t **self_p)
{
    rmt_overlay_t *self = *self_p;
    if (!self)
        return;
    rmt_blockdev_destroy(&self->disk);
    if (self->file)
        (void) umount2(self->file, MNT_DETACH);
    if (self->child != -1) {
        (void) kill(self->child, SIGKILL);
        while (waitpid(self->child, NULL, 0) == -1 && errno == EINTR)
            continue;
    }
    rmt_cow_destroy(&self->cow);
    free(self->file);
    free(self->room);
    free(self);
    *self_p = NULL;
}

const char *
rmt_overlay_device(const rmt_overlay_t *self)
{
    return rmt_blockdev_path(self->disk);
}

uint64_t
rmt_overlay_written(const rmt_overlay_t *self)
{
    return rmt_cow_written(self->cow);
}

int
rmt_overlay_flush(rmt_overlay_t *self, rmt_error_t *error)
{
    const int rc = rmt_blockdev_flush(self->disk, error);
    if (!rmt_cow_is_full(self->cow))
        return rc;
    const uint64_t written = rmt_cow_written(self->cow);
    if (written + RMT_COW_BLOCK > self->limit)
        return rmt_fail(error, RMT_E_NO_SPACE,
                        "it needs more than the %" PRIu64 " MiB that replay-mib allows",
                        self->limit >> 20);
    return rmt_fail(error, RMT_E_NO_SPACE,
                    "the file system of %s is full after %" PRIu64 " bytes", self->room,
                    written);
}
