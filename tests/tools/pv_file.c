#include "tools/pv_file.h"
#include "tools/rmt_test.h"

#include "disk/rmt_pv.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define DATA_START ((uint64_t) 1024 * 1024)

int
pv_file_new(void)
{
    const int fd = memfd_create("pv", MFD_CLOEXEC);
    assert_int_not_equal(fd, -1);
    assert_int_equal(ftruncate(fd, (off_t) PV_FILE_BYTES), 0);
    return fd;
}

int
pv_file_put(int fd, const char *uuid, const char *text, rmt_error_t *error)
{
    rmt_pv_t pv = {
        .bytes = PV_FILE_BYTES, .data_start = DATA_START, .text = (char *) text};
    snprintf(pv.uuid, sizeof pv.uuid, "%s", uuid);
    return rmt_pv_write(fd, 0, &pv, error);
}
