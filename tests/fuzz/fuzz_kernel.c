// The kernel of a foreign system: its lists of modules and settings as a grove, or an
// initramfs alone. The first byte says which.
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "fuzz/grove.h"
#include "fuzz/must.h"
#include "kernel/rmt_drivers.h"
#include "kernel/rmt_initramfs.h"
#include "kernel/rmt_kernel.h"

#define VERSION "6.1.0"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Names are sorted, each once, a line each.
static void
s_fuzz_initramfs(const uint8_t *data, size_t size)
{
    rmt_error_t error = {0};
    rmt_auto_str names = NULL;
    rmt_auto_fd fd = memfd_create("initramfs", MFD_CLOEXEC);
    MUST(fd != -1 && rmt_io_write(fd, data, size, &error) == 0);
    MUST(lseek(fd, 0, SEEK_SET) == 0);
    if (rmt_initramfs_modules(NULL, fd, UINT64_MAX, VERSION, &names, &error) == -1) {
        MUST(error.code != RMT_E_OK);
        return;
    }
    const char *before = "";
    char *rest = names;
    for (char *line = strsep(&rest, "\n"); line && rest; line = strsep(&rest, "\n")) {
        MUST(strcmp(before, line) < 0 || !*before);
        before = line;
    }
}

// A damaged list is left out here, as what is behind it is to be reached.
static int
s_add(void *context, const char *name, const void *data, size_t size, rmt_error_t *error)
{
    if (rmt_drivers_add(context, name, data, size, error) == -1)
        MUST(error->code == RMT_E_CORRUPT || error->code == RMT_E_UNSUPPORTED);
    return 0;
}

static void
s_find(rmt_drivers_t *drivers)
{
    static const char *const names[] = {"virtio:d00000002v00001AF4",
                                        "pci:v00008086d00002922sv0sd0bc01sc06i01", "nvme",
                                        "scsi:t-0x00", "x*y[a-z]?"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *module = NULL;
        const rmt_served_t served =
            rmt_drivers_find(drivers, names[i], "virtio_blk", &module);
        MUST(module && (served != RMT_SERVED_NOT || !*module));
    }
}

static void
s_fuzz_tree(const uint8_t *data, size_t size)
{
    rmt_error_t error = {0};
    const rmt_kernel_tree_t tree = {.mount = "/", .fd = grove_make(data, size, false)};
    rmt_auto(rmt_record) kernel = NULL;
    MUST(setenv("TMPDIR", grove_top(), 1) == 0);
    rmt_auto(rmt_drivers) drivers = rmt_drivers_new(VERSION, true, &error);
    MUST(drivers);
    const int rc = rmt_kernel_read(&tree, 1, s_add, drivers, &kernel, &error);
    MUST(rc == 0);
    if (kernel && rmt_drivers_open(drivers, &error) == 0)
        s_find(drivers);
    grove_end();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0)
        (data[0] % 2 ? s_fuzz_tree : s_fuzz_initramfs)(data + 1, size - 1);
    return 0;
}
