#include "tools/pe_file.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MARK_AT 0x80
#define OPTIONAL_SIZE 0xf0
#define TABLE_AT ((size_t) MARK_AT + 24 + OPTIONAL_SIZE)
#define HEAD_SIZE ((size_t) 2048)

static void
s_put(uint8_t *at, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t) (value >> (8 * i));
}

static size_t
s_stored(const pe_file_section_t *section)
{
    return (section->size + PE_FILE_BLOCK - 1) / PE_FILE_BLOCK * PE_FILE_BLOCK;
}

void *
pe_file_make(uint16_t machine, const pe_file_section_t *sections, size_t count,
             size_t *size_out)
{
    size_t size = HEAD_SIZE;
    assert(count <= 16);
    for (size_t i = 0; i < count; i++)
        size += s_stored(&sections[i]);
    uint8_t *file = calloc(1, size);
    if (!file)
        abort();
    memcpy(file, "MZ", 2);
    s_put(file + 60, MARK_AT, 4);
    memcpy(file + MARK_AT, "PE\0\0", 4);
    s_put(file + MARK_AT + 4, machine, 2);
    s_put(file + MARK_AT + 6, count, 2);
    s_put(file + MARK_AT + 20, OPTIONAL_SIZE, 2);
    size_t at = HEAD_SIZE;
    for (size_t i = 0; i < count; i++) {
        uint8_t *row = file + TABLE_AT + i * 40;
        const size_t length = strlen(sections[i].name);
        memcpy(row, sections[i].name, length < 8 ? length : 8);
        s_put(row + 8, sections[i].size, 4);
        s_put(row + 16, s_stored(&sections[i]), 4);
        s_put(row + 20, at, 4);
        if (sections[i].data)
            memcpy(file + at, sections[i].data, sections[i].size);
        at += s_stored(&sections[i]);
    }
    *size_out = size;
    return file;
}
