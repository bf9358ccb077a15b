// A manifest that nobody has checked, written to a tree: whatever it says, nothing
// outside the root may change, and what was written must be readable again.
//
// An input is a list of entries: a size of two bytes (little-endian), then the entry in
// its encoded form. Contents are zeros, as long as the entry says, up to a bound. The
// tree is a small tmpfs in a mount namespace of this process. Needs root.
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "fuzz/canary.h"
#include "fuzz/must.h"
#include "tree/rmt_capture.h"
#include "tree/rmt_writer.h"

#define ROOM "size=512m,nr_inodes=40000,mode=0755"
#define INPUTS_PER_MOUNT 64
#define INPUTS_PER_READING 64
#define CONTENTS_MAX ((uint64_t) 4 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// A tmpfs that a descriptor holds: no name is left behind.
static int
s_mount(void)
{
    static bool is_apart;
    if (!is_apart) {
        MUST(unshare(CLONE_NEWNS) == 0);
        MUST(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
        is_apart = true;
    }
    char folder[] = "/tmp/ramet-fuzz-XXXXXX";
    MUST(mkdtemp(folder));
    MUST(mount("none", folder, "tmpfs", 0, ROOM) == 0);
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    MUST(fd != -1);
    MUST(umount2(folder, MNT_DETACH) == 0 && rmdir(folder) == 0);
    return fd;
}

// The folder of one input, with root/ and the canary beside it. Mounting takes long, so
// many inputs share a tmpfs.
static int
s_enter(void)
{
    static int mounted = -1;
    static unsigned count;
    if (count++ % INPUTS_PER_MOUNT == 0) {
        if (mounted != -1)
            close(mounted);
        mounted = s_mount();
    }
    char name[16];
    snprintf(name, sizeof name, "%u", count);
    MUST(mkdirat(mounted, name, 0755) == 0);
    const int fd = openat(mounted, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    MUST(fd != -1);
    MUST(mkdirat(fd, "root", 0755) == 0);
    canary_plant(fd);
    return fd;
}

static int
s_write_data(rmt_writer_t *writer, const rmt_entry_t *entry, uint64_t *left,
             rmt_error_t *error)
{
    static const uint8_t zeros[65536];
    for (size_t i = 0; i < entry->chunk_count; i++)
        for (uint32_t at = 0; at < entry->chunk_sizes[i];) {
            uint32_t piece = entry->chunk_sizes[i] - at;
            piece = piece < sizeof zeros ? piece : (uint32_t) sizeof zeros;
            if (*left < piece || rmt_writer_data(writer, zeros, piece, error) == -1)
                return -1;
            *left -= piece;
            at += piece;
        }
    return 0;
}

static int
s_write(rmt_writer_t *writer, const uint8_t *data, size_t size)
{
    rmt_auto(rmt_entry_buffer) room = rmt_entry_buffer_new();
    rmt_error_t error = {0};
    uint64_t left = CONTENTS_MAX;
    while (size > 2) {
        size_t length = (size_t) (data[0] | data[1] << 8);
        data += 2;
        size -= 2;
        length = length < size ? length : size;
        rmt_entry_t entry;
        if (rmt_entry_decode(data, length, room, &entry, &error) == -1)
            return -1;
        if (rmt_writer_entry(writer, &entry, &error) == -1 ||
            s_write_data(writer, &entry, &left, &error) == -1)
            return -1;
        data += length;
        size -= length;
    }
    rmt_writer_report_t report;
    return rmt_writer_finish(writer, &report, &error);
}

static int
s_drop(void *context, const rmt_chunk_t *chunk, rmt_error_t *error)
{
    (void) context;
    (void) chunk;
    (void) error;
    return 0;
}

// What was written can be captured, whatever it is.
static void
s_read_back(int root)
{
    const rmt_capture_options_t options = {.root_fd = root, .threads = 1};
    const rmt_capture_sink_t sink = {.chunk_fn = s_drop};
    rmt_capture_report_t report = {0};
    rmt_id_t id;
    rmt_error_t error = {0};
    MUST(rmt_capture_run(&options, &sink, &id, &report, &error) == 0);
    rmt_capture_report_clear(&report);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int top = s_enter();
    const int root = openat(top, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    MUST(root != -1);
    rmt_error_t error = {0};
    {
        rmt_auto(rmt_writer) writer = rmt_writer_new(root, 1, &error);
        MUST(writer);
        (void) s_write(writer, data, size);
    }
    canary_look(top);
    // Capturing files this young takes a pause.
    static unsigned count;
    if (count++ % INPUTS_PER_READING == 0)
        s_read_back(root);
    close(root);
    close(top);
    return 0;
}
