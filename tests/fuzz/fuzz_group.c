// The head of a physical volume of LVM, and the text about its group: as bytes of a disk,
// and with sums that are right. A group that fits is printed and read as the same.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "disk/rmt_group.h"
#include "disk/rmt_pv.h"
#include "fuzz/must.h"

#define MIB ((uint64_t) 1024 * 1024)
#define UUID "aaaaaa-0000-0000-0000-0000-0000-aaaaaa"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static rmt_layout_t *
s_new_layout(void)
{
    rmt_layout_t *layout = rmt_layout_new();
    rmt_layout_add_disk(layout, "system")->table = RMT_TABLE_GPT;
    rmt_layout_partition_t *partition = rmt_layout_add_partition(layout, 0);
    partition->number = 1;
    partition->start = 2048;
    partition->size = 204800;
    strcpy(partition->type, "E6D6D379-F507-44C2-A23C-238F2A3DF928");
    return layout;
}

// NULL: it is refused.
static rmt_layout_t *
s_read(int fd)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_groups) groups = rmt_groups_new();
    rmt_auto(rmt_layout) layout = s_new_layout();
    const int rc =
        rmt_groups_add(groups, &(rmt_group_place_t){.partition = 1}, fd, &error) == 0
            ? rmt_groups_finish(groups, layout, &error)
            : -1;
    if (rc == -1)
        MUST(error.code != RMT_E_OK && *error.text);
    return rc == 0 && rmt_layout_check(layout, &error) == 0 ? rmt_take(&layout) : NULL;
}

static int
s_put(const char *uuid, const char *text)
{
    rmt_error_t error = {0};
    rmt_pv_t pv = {.bytes = 100 * MIB, .data_start = MIB, .text = (char *) text};
    snprintf(pv.uuid, sizeof pv.uuid, "%s", uuid);
    const int fd = memfd_create("pv", MFD_CLOEXEC);
    MUST(fd != -1 && ftruncate(fd, (off_t) (2 * MIB)) == 0);
    MUST(rmt_pv_write(fd, 0, &pv, &error) == 0 || error.code == RMT_E_TOO_BIG);
    return fd;
}

static void
s_fuzz_text(const uint8_t *data, size_t size)
{
    static const uint64_t bytes[] = {100 * MIB};
    rmt_auto_str text = strndup((const char *) data, size);
    rmt_auto_fd fd = s_put(UUID, text);
    rmt_auto(rmt_layout) layout = s_read(fd);
    if (!layout || layout->group_count == 0)
        return;
    rmt_auto_str printed = rmt_group_print(layout, 0, bytes);
    rmt_auto_fd second = s_put(UUID, printed);
    rmt_auto(rmt_layout) again = s_read(second);
    MUST(again && again->logical_count == layout->logical_count);
    for (size_t i = 0; i < layout->logical_count; i++)
        MUST(strcmp(again->logicals[i].name, layout->logicals[i].name) == 0 &&
             again->logicals[i].extents == layout->logicals[i].extents &&
             rmt_layout_is_spread(again, &again->logicals[i]) ==
                 rmt_layout_is_spread(layout, &layout->logicals[i]));
}

static void
s_fuzz_head(const uint8_t *data, size_t size)
{
    rmt_error_t error = {0};
    rmt_pv_t pv = {.text = NULL};
    rmt_auto_fd fd = memfd_create("pv", MFD_CLOEXEC);
    MUST(fd != -1 && rmt_io_pwrite(fd, data, size, 0, &error) == 0);
    if (rmt_pv_read(fd, 0, &pv, &error) == 0)
        MUST(strlen(pv.uuid) == RMT_PV_UUID_SIZE - 1);
    rmt_pv_clear(&pv);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    (data[0] % 2 ? s_fuzz_head : s_fuzz_text)(data + 1, size - 1);
    return 0;
}
