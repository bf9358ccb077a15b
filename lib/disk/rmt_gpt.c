#include "disk/rmt_gpt.h"
#include "base/rmt_bytes.h"
#include "base/rmt_io.h"

#include <string.h>
#include <unistd.h>

#define ENTRIES_MAX ((uint64_t) 4 << 20)
#define HEAD_SIZE 92
#define HEAD_COUNT 80 // How many entries
#define HEAD_ENTRY 84 // The size of one

// 1: there is one; 0: none; -1: IO.
static int
s_is_large(int fd, off_t at, rmt_error_t *error)
{
    uint8_t head[HEAD_SIZE];
    if (rmt_io_pread(fd, head, sizeof head, at, error) == -1)
        return -1;
    const uint64_t count = rmt_get32(head + HEAD_COUNT);
    const uint64_t size = rmt_get32(head + HEAD_ENTRY);
    return memcmp(head, "EFI PART", 8) == 0 && size > 0 && count > ENTRIES_MAX / size;
}

int
rmt_gpt_find_large(int fd, uint64_t offset, uint64_t size, int64_t *at_out,
                   rmt_error_t *error)
{
    static const off_t sectors[] = {512, 4096};
    const off_t first = (off_t) offset;
    const off_t end = size ? first + (off_t) size : lseek(fd, 0, SEEK_END);
    if (end == -1)
        return rmt_fail_errno(error, "find its end");
    *at_out = -1;
    for (size_t i = 0; i < 2 * (sizeof sectors / sizeof *sectors); i++) {
        const off_t sector = sectors[i / 2];
        const off_t at = i % 2 ? end - sector : first + sector;
        const int rc = end - first < 2 * sector ? 0 : s_is_large(fd, at, error);
        if (rc == 1)
            *at_out = at;
        if (rc != 0)
            return rc == -1 ? -1 : 0;
    }
    return 0;
}

int
rmt_gpt_check(int fd, uint64_t offset, uint64_t size, const char *path,
              rmt_error_t *error)
{
    int64_t at;
    if (rmt_gpt_find_large(fd, offset, size, &at, error) == -1)
        return rmt_wrap(error, "%s", path);
    if (at == -1)
        return 0;
    return rmt_fail(error, RMT_E_UNSUPPORTED,
                    "%s has a GPT whose entries would take more than 4 MiB; repair it "
                    "with gdisk, or, if nothing on it is needed: wipefs -a %s",
                    path, path);
}
