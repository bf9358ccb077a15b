#include "base/rmt_pe.h"
#include "base/rmt_bytes.h"

#include <string.h>

#define SECTIONS_MAX 64
#define SECTION_SIZE ((size_t) 40)
#define NAME_SIZE 8
#define MACHINE_X64 0x8664
#define COFF_SIZE ((size_t) 24) // With the mark before it

// Where the mark "PE" stands; 0: nowhere.
static size_t
s_mark(const uint8_t *head, size_t size)
{
    if (size < 64 || memcmp(head, "MZ", 2) != 0)
        return 0;
    const size_t at = (size_t) rmt_get_le(head + 60, 4);
    return at >= 64 && at <= size && size - at >= COFF_SIZE &&
                   memcmp(head + at, "PE\0\0", 4) == 0
               ? at
               : 0;
}

bool
rmt_pe_is_x64(const void *head, size_t size)
{
    const size_t mark = s_mark(head, size);
    return mark && rmt_get_le((const uint8_t *) head + mark + 4, 2) == MACHINE_X64;
}

bool
rmt_pe_find(const void *data, size_t size, const char *name,
            rmt_pe_section_t *section_out)
{
    const uint8_t *head = data;
    if (!rmt_pe_is_x64(head, size))
        return false;
    const size_t mark = s_mark(head, size);
    const size_t count = (size_t) rmt_get_le(head + mark + 6, 2);
    const size_t table = mark + COFF_SIZE + (size_t) rmt_get_le(head + mark + 20, 2);
    for (size_t i = 0; i < count && i < SECTIONS_MAX; i++) {
        const size_t at = table + i * SECTION_SIZE;
        if (at + SECTION_SIZE > size)
            return false;
        if (strncmp((const char *) head + at, name, NAME_SIZE) != 0)
            continue;
        // What is stored is padded to whole blocks, and what is loaded may be longer.
        const uint64_t loaded = rmt_get_le(head + at + 8, 4);
        const uint64_t stored = rmt_get_le(head + at + 16, 4);
        if (section_out)
            *section_out = (rmt_pe_section_t){
                .offset = rmt_get_le(head + at + 20, 4),
                .size = loaded && loaded < stored ? loaded : stored,
            };
        return true;
    }
    return false;
}
