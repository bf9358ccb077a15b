#include "unit/md_member.h"
#include "tools/rmt_test.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const uint8_t md_uuid[16] = {0xa1, 0xb2, 0xc3, 0xd4, 1, 2,  3,  4,
                             5,    6,    7,    8,    9, 10, 11, 12};

int
md_memory(void)
{
    const int fd = memfd_create("member", MFD_CLOEXEC);
    assert_int_not_equal(fd, -1);
    assert_int_equal(ftruncate(fd, (off_t) BYTES), 0);
    return fd;
}

rmt_md_t
md_member(rmt_md_version_t version, int32_t level, uint32_t slot, uint32_t count)
{
    rmt_md_t md = {.array = {.version = version,
                             .level = level,
                             .layout = level == 10  ? 0x102
                                       : level == 5 ? 2
                                                    : 0,
                             .chunk = level == 1 ? 0 : 65536,
                             .count = count,
                             .size = level ? 4 * MIB : 0,
                             .created = 1700000000,
                             .updated = 1700000100,
                             .events = 17,
                             .sync = RMT_MD_IN_SYNC},
                   .number = slot,
                   .slot = slot,
                   .data_start = version >= RMT_MD_1_1 ? MIB : 0};
    memcpy(md.array.uuid, md_uuid, sizeof md_uuid);
    if (version == RMT_MD_0_90)
        md.array.minor = 5;
    else
        snprintf(md.array.name, sizeof md.array.name, "host:data");
    md.data_size = rmt_md_space(version, BYTES, md.data_start);
    if (version != RMT_MD_0_90)
        memset(md.uuid, 0x40 + (int) slot, sizeof md.uuid);
    for (size_t i = 0; i < RMT_MD_MEMBERS_MAX; i++)
        md.slots[i] = i < count ? (uint16_t) i : RMT_MD_SLOT_SPARE;
    return md;
}
