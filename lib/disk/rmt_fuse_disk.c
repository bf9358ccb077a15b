#include "disk/rmt_fuse_disk.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "disk/rmt_blockdev.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct rmt_fuse_disk {
    char *file; // Mount point of the FUSE file system; NULL: not mounted
    pid_t child;
    rmt_blockdev_t *disk;
};

// ---- The child

// What the child needs, made before it is forked: it makes system calls and nothing else.
typedef struct {
    pid_t parent;
    int fuse;
    const rmt_fuse_blocks_t *blocks;
    int *keep; // Descriptors that stay open, sorted
    size_t count;
    void *room;
} child_t;

// It holds nothing of its parent open that it does not need: a connection would live on.
static void
s_close_others(const child_t *self)
{
    unsigned next = STDERR_FILENO + 1;
    for (size_t i = 0; i < self->count; i++) {
        const unsigned keep = (unsigned) self->keep[i];
        if (keep > next)
            (void) syscall(SYS_close_range, next, keep - 1, 0);
        if (keep >= next)
            next = keep + 1;
    }
    (void) syscall(SYS_close_range, next, ~0u, 0);
}

// It ends with its parent, and not before: a signal to all of them would end it first,
// and what is mounted over it could not be unmounted in peace. Memory that is asked for
// while it writes must not wait for what is to be written through it.
static void
s_run_child(const child_t *self)
{
    const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        (void) signal(ignored[i], SIG_IGN);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() != self->parent)
        _exit(1);
    (void) prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0); // Since Linux 5.6
    s_close_others(self);
    rmt_fuse_file_serve(self->fuse, self->blocks, self->room);
    _exit(0);
}

// ---- The parent

static int
s_open(rmt_error_t *error)
{
    const int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fuse == -1)
        rmt_fail(error, RMT_E_UNSUPPORTED,
                 "this computer's kernel has no FUSE (%s); load it: modprobe fuse",
                 strerror(errno));
    return fuse;
}

int
rmt_fuse_disk_check(rmt_error_t *error)
{
    rmt_auto_fd fuse = s_open(error);
    return fuse == -1 ? -1 : 0;
}

// The mount point is a file, so that the root of the file system is one.
static int
s_mount(rmt_fuse_disk_t *self, int fuse, const rmt_fuse_disk_setup_t *setup,
        rmt_error_t *error)
{
    rmt_auto_str path = rmt_text("%s/%s", setup->folder, setup->name);
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
s_compare(const void *a, const void *b)
{
    const int one = *(const int *) a, two = *(const int *) b;
    return one < two ? -1 : one > two;
}

static int
s_start(rmt_fuse_disk_t *self, const rmt_fuse_disk_setup_t *setup, rmt_error_t *error)
{
    const rmt_fuse_blocks_t *blocks = setup->blocks;
    rmt_auto_fd fuse = s_open(error);
    if (fuse == -1 || s_mount(self, fuse, setup, error) == -1)
        return -1;
    rmt_auto_ptr room = malloc(RMT_FUSE_FILE_ROOM);
    rmt_auto_ptr keep = calloc(blocks->fd_count + 1, sizeof(int));
    assert(room && keep);
    const child_t child = {getpid(), fuse, blocks, keep, blocks->fd_count + 1, room};
    child.keep[0] = fuse;
    for (size_t i = 0; i < blocks->fd_count; i++)
        child.keep[i + 1] = blocks->fds[i];
    qsort(child.keep, child.count, sizeof *child.keep, s_compare);
    self->child = fork();
    if (self->child == 0)
        s_run_child(&child);
    return self->child == -1 ? rmt_fail_errno(error, "start a process") : 0;
}

rmt_fuse_disk_t *
rmt_fuse_disk_new(const rmt_fuse_disk_setup_t *setup, rmt_error_t *error)
{
    assert(setup && setup->blocks && setup->folder && setup->name);
    rmt_auto(rmt_fuse_disk) self = calloc(1, sizeof *self);
    assert(self);
    self->child = -1;
    if (s_start(self, setup, error) == -1)
        return NULL;
    self->disk =
        rmt_blockdev_new(self->file, setup->flags, setup->sector, setup->folder, error);
    return self->disk ? rmt_take(&self) : NULL;
}

void
rmt_fuse_disk_destroy(rmt_fuse_disk_t **self_p)
{
    assert(self_p);
    rmt_fuse_disk_t *self = *self_p;
    if (!self)
        return;
    rmt_blockdev_destroy(&self->disk);
    if (self->file) {
        (void) umount2(self->file, MNT_DETACH);
        (void) unlink(self->file);
    }
    if (self->child != -1) {
        (void) kill(self->child, SIGKILL);
        while (waitpid(self->child, NULL, 0) == -1 && errno == EINTR)
            continue;
    }
    free(self->file);
    free(self);
    *self_p = NULL;
}

const char *
rmt_fuse_disk_device(const rmt_fuse_disk_t *self)
{
    return rmt_blockdev_path(self->disk);
}

rmt_blockdev_t *
rmt_fuse_disk_blockdev(const rmt_fuse_disk_t *self)
{
    return self->disk;
}

int
rmt_fuse_disk_flush(rmt_fuse_disk_t *self, rmt_error_t *error)
{
    return rmt_blockdev_flush(self->disk, error);
}
