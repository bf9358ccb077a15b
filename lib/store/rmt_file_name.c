#include "store/rmt_file_name.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_random.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

rmt_file_name_t
rmt_file_name_new(void)
{
    rmt_file_name_t name;
    rmt_random_bytes(name.bytes, sizeof name.bytes);
    return name;
}

char *
rmt_file_name_text(const rmt_file_name_t *name, char out[RMT_FILE_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < RMT_FILE_NAME_SIZE; i++) {
        out[2 * i] = digits[name->bytes[i] >> 4];
        out[2 * i + 1] = digits[name->bytes[i] & 15];
    }
    out[2 * RMT_FILE_NAME_SIZE] = '\0';
    return out;
}

bool
rmt_file_name_parse(rmt_file_name_t *name_out, const char *text)
{
    static const char digits[] = "0123456789abcdef";
    rmt_file_name_t name;
    if (strnlen(text, RMT_FILE_TEXT_SIZE) != RMT_FILE_TEXT_SIZE - 1)
        return false;
    for (size_t i = 0; i < RMT_FILE_NAME_SIZE; i++) {
        const char *high = strchr(digits, text[2 * i]);
        const char *low = strchr(digits, text[2 * i + 1]);
        if (!high || !low)
            return false;
        name.bytes[i] = (uint8_t) ((high - digits) << 4 | (low - digits));
    }
    *name_out = name;
    return true;
}

int
rmt_file_name_compare(const void *a, const void *b)
{
    return memcmp(a, b, RMT_FILE_NAME_SIZE);
}

char *
rmt_file_name_path(const char *root, const char *folder, const rmt_file_name_t *name)
{
    char text[RMT_FILE_TEXT_SIZE];
    return rmt_text("%s/%s/%s", root, folder, rmt_file_name_text(name, text));
}

// ---- Lists

static void
s_close_folder(DIR **folder)
{
    if (*folder)
        closedir(*folder);
}

int
rmt_file_names_read(const char *root, const char *folder, rmt_buffer_t *names_out,
                    uint64_t *other_count_out, rmt_error_t *error)
{
    rmt_auto_str path = rmt_text("%s/%s", root, folder);
    __attribute__((cleanup(s_close_folder))) DIR *open_folder = opendir(path);
    if (!open_folder)
        return rmt_fail_errno(error, "open folder %s", path);
    rmt_buffer_t names = {0};
    uint64_t others = 0;
    errno = 0;
    for (struct dirent *entry; (entry = readdir(open_folder)); errno = 0) {
        rmt_file_name_t name;
        if (rmt_file_name_parse(&name, entry->d_name))
            rmt_file_names_add(&names, &name);
        else if (entry->d_name[0] != '.')
            others++;
    }
    if (errno) {
        rmt_buffer_clear(&names);
        return rmt_fail_errno(error, "read folder %s", path);
    }
    rmt_file_names_sort(&names);
    *names_out = names;
    if (other_count_out)
        *other_count_out = others;
    return 0;
}

size_t
rmt_file_names_count(const rmt_buffer_t *names)
{
    return names->used / RMT_FILE_NAME_SIZE;
}

rmt_file_name_t
rmt_file_names_at(const rmt_buffer_t *names, size_t index)
{
    rmt_file_name_t name;
    assert(index < rmt_file_names_count(names));
    memcpy(name.bytes, names->data + index * RMT_FILE_NAME_SIZE, sizeof name);
    return name;
}

void
rmt_file_names_add(rmt_buffer_t *names, const rmt_file_name_t *name)
{
    rmt_buffer_add(names, name->bytes, sizeof *name);
}

void
rmt_file_names_sort(rmt_buffer_t *names)
{
    if (names->used > 0)
        qsort(names->data, rmt_file_names_count(names), RMT_FILE_NAME_SIZE,
              rmt_file_name_compare);
}

bool
rmt_file_names_have(const rmt_buffer_t *names, const rmt_file_name_t *name)
{
    return names->used > 0 && bsearch(name, names->data, rmt_file_names_count(names),
                                      RMT_FILE_NAME_SIZE, rmt_file_name_compare);
}
