#include "cuts/power.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_process.h"
#include "base/rmt_random.h"
#include "tools/rmt_test.h"
#include "tools/rmt_wait.h"

#define ROUND_CUTS 20 // With one file system; a new one begins small again
#define SHELF_BYTES ((off_t) 6 << 30)
#define DISK_BYTES ((off_t) 512 << 20)
#define ACKS_MAX ((size_t) 1 << 20)

typedef struct {
    const power_run_t *run;
    char folder[32];     // shelf.img, shelf/ (the XFS: disk.img, cut-N.img), live/, cut/
    char acks[ACKS_MAX]; // Of this round
    size_t ack_bytes;
    size_t seen[ROUND_CUTS]; // Bytes of acks before each cut
    uint64_t random;
    power_loss_t loss;
    pid_t writer; // 0: none
} power_t;

static power_t *s_power; // The computer of this test, until it is unmade

static void
s_do(const char *const *words)
{
    rmt_error_t error = {0};
    RMT_OK(rmt_process_run(words, NULL, NULL, &error));
}
#define DO(...) s_do((const char *const[]){__VA_ARGS__, NULL})

static char *
s_path(const power_t *self, const char *name)
{
    return rmt_text("%s/%s", self->folder, name);
}

static uint64_t
s_random(power_t *self, uint64_t below)
{
    self->random = self->random * 6364136223846793005u + 1442695040888963407u;
    return (self->random >> 33) % below;
}

static void
s_file(const char *path, off_t bytes)
{
    rmt_auto_fd fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd != -1);
    assert_int_equal(ftruncate(fd, bytes), 0);
}

static void
s_mount(const power_t *self, const char *image, const char *at)
{
    const bool is_xfs = strcmp(self->run->file_system, "xfs") == 0;
    DO("mount", "-o", is_xfs ? "loop,nouuid" : "loop", image, at);
}

// btrfs remembers the devices that it has seen, and a cut has the UUID of its disk.
static void
s_unmount(const power_t *self, const char *at)
{
    DO("umount", at);
    if (strcmp(self->run->file_system, "btrfs") == 0)
        DO("btrfs", "device", "scan", "--forget");
}

// ---- The computer

static void
s_make(power_t *self)
{
    snprintf(self->folder, sizeof self->folder, "/tmp/ramet-cuts-XXXXXX");
    assert_non_null(mkdtemp(self->folder));
    static const char *const folders[] = {"shelf", "live", "cut"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        rmt_auto_str path = s_path(self, folders[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    rmt_auto_str image = s_path(self, "shelf.img");
    rmt_auto_str shelf = s_path(self, "shelf");
    s_file(image, SHELF_BYTES);
    DO("mkfs.xfs", "-q", "-f", "-m", "reflink=1", image);
    DO("mount", "-o", "loop", image, shelf);
}

static void
s_unmake(power_t *self)
{
    rmt_error_t error = {0};
    rmt_auto_str shelf = s_path(self, "shelf");
    // A loop device lets go of its file a moment after its file system is unmounted.
    RMT_WAIT_UNTIL(umount2(shelf, 0) == 0, 20000);
    RMT_OK(rmt_io_remove_tree(self->folder, &error));
    s_power = NULL;
    free(self);
}

static void
s_end_writer(power_t *self)
{
    if (self->writer == 0)
        return;
    kill(-self->writer, SIGKILL);
    while (waitpid(-self->writer, NULL, 0) > 0)
        continue; // Its own children are ours by now
    self->writer = 0;
}

int
power_teardown(void **state)
{
    (void) state;
    rmt_error_t ignored = {0};
    power_t *self = s_power;
    if (!self)
        return 0;
    s_end_writer(self);
    static const char *const mounts[] = {"cut", "live", "shelf"};
    for (size_t i = 0; i < sizeof mounts / sizeof *mounts; i++) {
        rmt_auto_str at = s_path(self, mounts[i]);
        (void) umount2(at, MNT_DETACH);
    }
    (void) rmt_io_remove_tree(self->folder, &ignored);
    s_power = NULL;
    free(self);
    return 0;
}

static void
s_format(const power_t *self, const char *disk)
{
    const char *type = self->run->file_system;
    rmt_auto_str program = rmt_text("mkfs.%s", type);
    s_file(disk, DISK_BYTES);
    if (strcmp(type, "ext4") == 0)
        DO(program, "-q", "-F", disk);
    else
        DO(program, "-q", "-f", disk);
}

// ---- The writer and its acknowledgements

void
power_acknowledge(int acks, const char ack[POWER_ACK_SIZE])
{
    // At most PIPE_BUF bytes go whole, or not at all.
    if (write(acks, ack, POWER_ACK_SIZE) != POWER_ACK_SIZE)
        _exit(1);
}

static pid_t
s_start(const power_t *self, const char *live, int *acks_out)
{
    int pipe_fds[2];
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    const pid_t pid = fork();
    assert_true(pid != -1);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setpgid(0, 0);
        setenv("CMOCKA_TEST_ABORT", "1", 1); // It must not go on as the test would
        close(pipe_fds[0]);
        self->run->writer(live, pipe_fds[1]);
        _exit(0);
    }
    setpgid(pid, pid); // What the writer starts dies with it
    close(pipe_fds[1]);
    assert_int_equal(fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK), 0);
    *acks_out = pipe_fds[0];
    return pid;
}

static void
s_read_acks(power_t *self, int acks)
{
    for (;;) {
        assert_true(self->ack_bytes + POWER_ACK_SIZE < ACKS_MAX);
        const ssize_t size =
            read(acks, self->acks + self->ack_bytes, ACKS_MAX - 1 - self->ack_bytes);
        if (size == 0)
            fail_msg("the writer ended by itself");
        if (size == -1) {
            assert_int_equal(errno, EAGAIN);
            return;
        }
        self->ack_bytes += (size_t) size;
    }
}

static void
s_cut(power_t *self, const char *disk, size_t number)
{
    rmt_auto_str copy = rmt_text("%s/shelf/cut-%zu.img", self->folder, number);
    rmt_auto_fd from = open(disk, O_RDONLY | O_CLOEXEC);
    rmt_auto_fd to = open(copy, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(from != -1 && to != -1);
    self->seen[number] = self->ack_bytes - self->ack_bytes % POWER_ACK_SIZE;
    assert_int_equal(ioctl(to, FICLONE, from), 0);
}

static void
s_write(power_t *self, size_t cuts)
{
    rmt_auto_str disk = s_path(self, "shelf/disk.img");
    rmt_auto_str live = s_path(self, "live");
    s_format(self, disk);
    s_mount(self, disk, live);
    int acks = -1;
    self->ack_bytes = 0;
    self->writer = s_start(self, live, &acks);
    const int64_t limit = rmt_clock_ms() + 20000;
    while (self->ack_bytes == 0) { // The first one comes when the writer is ready
        s_read_acks(self, acks);
        if (rmt_clock_ms() > limit)
            fail_msg("the writer acknowledged nothing within 20 s");
        rmt_wait_turn();
    }
    for (size_t i = 0; i < cuts; i++) {
        rmt_pause((int) s_random(self, (uint64_t) self->run->cut_ms_max) + 1,
                  "each cut comes at another moment");
        s_read_acks(self, acks);
        s_cut(self, disk, i);
    }
    s_end_writer(self);
    close(acks);
    s_unmount(self, live);
}

// ---- What is left

static void
s_read(power_t *self, size_t cuts)
{
    rmt_auto_str at = s_path(self, "cut");
    for (size_t i = 0; i < cuts; i++) {
        rmt_auto_str copy = rmt_text("%s/shelf/cut-%zu.img", self->folder, i);
        rmt_auto_str acks = strndup(self->acks, self->seen[i]);
        power_loss_t loss = {.acknowledged = self->seen[i] / POWER_ACK_SIZE};
        s_mount(self, copy, at);
        self->run->reader(at, acks, &loss);
        s_unmount(self, at);
        assert_int_equal(unlink(copy), 0);
        self->loss.acknowledged += loss.acknowledged;
        self->loss.lost += loss.lost;
        self->loss.damaged += loss.damaged;
    }
}

power_loss_t
power_cut(const power_run_t *run, size_t cuts, uint64_t seed)
{
    power_t *self = calloc(1, sizeof *self);
    assert_non_null(self);
    s_power = self;
    self->run = run;
    self->random = seed;
    s_make(self);
    for (size_t done = 0; done < cuts; done += ROUND_CUTS) {
        const size_t part = cuts - done < ROUND_CUTS ? cuts - done : ROUND_CUTS;
        s_write(self, part);
        s_read(self, part);
    }
    const power_loss_t loss = self->loss;
    s_unmake(self);
    print_message(
        "%s: %zu cuts, %zu acknowledged, %zu lost, %zu damaged (seed %" PRIu64 ")\n",
        run->file_system, cuts, loss.acknowledged, loss.lost, loss.damaged, seed);
    return loss;
}

size_t
power_cuts_asked(size_t preset)
{
    const char *text = getenv("RAMET_CUTS");
    return text ? strtoul(text, NULL, 10) : preset;
}

uint64_t
power_seed_asked(void)
{
    const char *text = getenv("RAMET_SEED");
    uint32_t seed = 0;
    if (text)
        return strtoull(text, NULL, 10);
    rmt_random_bytes(&seed, sizeof seed);
    return seed;
}
