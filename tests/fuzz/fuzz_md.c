// A superblock of md, as bytes of a member and with a sum that is right: what is read is
// written and read as the same, and an array of one member has its bytes on it.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/rmt_auto.h"
#include "base/rmt_bytes.h"
#include "base/rmt_io.h"
#include "disk/rmt_array.h"
#include "disk/rmt_md.h"
#include "fuzz/must.h"

#define BYTES ((uint64_t) 1024 * 1024)
#define SUPER ((size_t) 4096)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
s_memory(void)
{
    const int fd = memfd_create("member", MFD_CLOEXEC);
    MUST(fd != -1 && ftruncate(fd, (off_t) BYTES) == 0);
    return fd;
}

// As the kernel adds: of version 1 over the head and the table, of 0.90 over all.
static void
s_put_sum(uint8_t *super)
{
    const bool is_old = rmt_get32(super + 4) == 0;
    const size_t at = is_old ? 152 : 216, count = rmt_get32(super + 220);
    const size_t size = is_old ? SUPER : 256 + (count <= 1920 ? count * 2 : 0);
    uint64_t sum = 0;
    rmt_put32(super + at, 0);
    for (size_t i = 0; i + 4 <= size; i += 4)
        sum += rmt_get32(super + i);
    if (size % 4)
        sum += rmt_get16(super + size - 2);
    rmt_put32(super + at, (uint32_t) ((sum & UINT32_MAX) + (sum >> 32)));
}

static void
s_fuzz_array(int fd)
{
    rmt_error_t error = {0};
    rmt_auto(rmt_arrays) arrays = rmt_arrays_new();
    rmt_auto(rmt_records) told = rmt_records_new();
    rmt_auto(rmt_layout) layout = rmt_layout_new();
    rmt_layout_add_disk(layout, "system")->table = RMT_TABLE_GPT;
    rmt_layout_partition_t *partition = rmt_layout_add_partition(layout, 0);
    partition->number = 1;
    partition->start = 2048;
    partition->size = BYTES / 512;
    strcpy(partition->type, "A19D880F-05FC-4D3B-A006-743F0F84911E");
    if (rmt_arrays_add(arrays, 0, 1, fd, BYTES, &error) == -1 ||
        rmt_arrays_finish(arrays, layout, told, &error) == -1 ||
        rmt_layout_check(layout, &error) == -1) {
        MUST(error.code != RMT_E_OK && *error.text);
        return;
    }
    const rmt_array_place_t place = {.fd = fd, .bytes = BYTES};
    if (layout->array_count == 0)
        return;
    const uint64_t bytes = rmt_array_bytes(layout, 0, &place);
    MUST(bytes > 0 && bytes <= BYTES);
    rmt_auto(rmt_mapping) mapping = rmt_array_map(layout, 0, &place);
    rmt_auto_ptr all = malloc((size_t) bytes);
    MUST(rmt_mapping_size(mapping) == bytes);
    MUST(rmt_mapping_read(mapping, all, (size_t) bytes, 0) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t places[] = {BYTES - 65536, BYTES - 8192, 0, 4096};
    rmt_error_t error = {0};
    uint8_t super[SUPER] = {0};
    if (size < 2)
        return 0;
    memcpy(super, data + 1, size - 1 < SUPER ? size - 1 : SUPER);
    if (data[0] & 0x80)
        s_put_sum(super);
    rmt_auto_fd fd = s_memory();
    MUST(rmt_io_pwrite(fd, super, SUPER, (off_t) places[data[0] % 4], &error) == 0);
    rmt_md_t md, again;
    if (rmt_md_read(fd, 0, BYTES, &md, &error) == -1) {
        MUST(error.code != RMT_E_OK && *error.text);
        return 0;
    }
    rmt_auto_fd second = s_memory();
    MUST(rmt_md_write(second, 0, BYTES, &md, &error) == 0);
    MUST(rmt_md_read(second, 0, BYTES, &again, &error) == 0);
    MUST(memcmp(again.array.uuid, md.array.uuid, 16) == 0 &&
         again.array.size == md.array.size && again.array.count == md.array.count);
    s_fuzz_array(fd);
    return 0;
}
