// Files that the console imports: lists of machines as JSON and CSV, and the parts of an
// archive's head. The first byte says which. What was read is the same after it was
// written as CSV and read again.
#include <fcntl.h>
#include <stdint.h>
#include <string.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "console/head_parts.h"
#include "console/output.h"
#include "fuzz/grove.h"
#include "fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static rmt_records_t *
s_import(const char *name, const void *data, size_t size)
{
    rmt_error_t error = {0};
    rmt_auto_str path = rmt_text("%s/%s", grove_top(), name);
    {
        rmt_auto_fd fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        MUST(fd != -1 && rmt_io_write(fd, data, size, &error) == 0);
    }
    rmt_records_t *items = output_import(path, NULL, &error);
    MUST(items || (error.code == RMT_E_USAGE && *error.text));
    return items;
}

static void
s_print(FILE *out, const char *text, bool is_last)
{
    fputc('"', out);
    for (; *text; text++)
        fprintf(out, *text == '"' ? "\"\"" : "%c", *text);
    fputs(is_last ? "\"\n" : "\",", out);
}

// One record with all its fields as a file of its own.
static void
s_check(const rmt_record_t *record)
{
    const size_t count = rmt_record_count(record);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    MUST(out);
    for (size_t i = 0; i < count; i++)
        s_print(out, rmt_record_name_at(record, i), i + 1 == count);
    for (size_t i = 0; i < count; i++)
        s_print(out, rmt_record_text(record, rmt_record_name_at(record, i), ""),
                i + 1 == count);
    MUST(fclose(out) == 0);
    rmt_auto(rmt_records) again = s_import("again.csv", text, size);
    free(text);
    MUST(again && rmt_records_count(again) == 1);
    // An empty value is as good as none in a table.
    for (size_t i = 0; i < count; i++) {
        const char *name = rmt_record_name_at(record, i);
        MUST(strcmp(rmt_record_text(record, name, ""),
                    rmt_record_text(rmt_records_at(again, 0), name, "")) == 0);
    }
}

static void
s_fuzz_parts(const uint8_t *data, size_t size)
{
    rmt_error_t error;
    rmt_buffer_t out = {0};
    size_t at = 0, part_size = 0;
    const void *part = NULL;
    int rc;
    while ((rc = head_parts_next(data, size, &at, &part, &part_size, &error)) == 1)
        head_parts_add(&out, part, part_size);
    MUST(rc == -1 || (out.used == size && (!size || memcmp(out.data, data, size) == 0)));
    rmt_buffer_clear(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] % 4 == 2) {
        s_fuzz_parts(data + 1, size - 1);
        return 0;
    }
    rmt_auto(rmt_records) items =
        s_import(data[0] % 2 ? "list.csv" : "list.json", data + 1, size - 1);
    for (size_t i = 0; items && i < rmt_records_count(items); i++)
        if (rmt_record_count(rmt_records_at(items, i)))
            s_check(rmt_records_at(items, i));
    return 0;
}
