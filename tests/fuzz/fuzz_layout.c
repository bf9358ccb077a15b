// A layout out of foreign records, in their text form. What is accepted can be written,
// and is then read as the same.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/rmt_auto.h"
#include "facts/rmt_facts.h"
#include "facts/rmt_layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
s_ask_everything(const rmt_layout_t *layout)
{
    (void) rmt_layout_root(layout);
    for (size_t i = 0; i < layout->disk_count; i++) {
        rmt_auto(rmt_layout) one = rmt_layout_select(layout, i);
        if (rmt_layout_min_bytes(layout, i) != rmt_layout_min_bytes(one, 0))
            abort();
    }
    for (size_t i = 0; i < layout->volume_count; i++)
        (void) rmt_layout_is_esp(layout, &layout->volumes[i]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rmt_error_t error = {0};
    rmt_auto_str text = calloc(1, size + 1);
    if (!text)
        abort();
    memcpy(text, data, size);
    rmt_auto(rmt_records) records = rmt_facts_parse(text, &error);
    rmt_auto(rmt_layout) layout = records ? rmt_layout_read(records, &error) : NULL;
    if (!layout)
        return 0;
    s_ask_everything(layout);
    rmt_auto(rmt_records) written = rmt_records_new();
    rmt_layout_write(layout, written);
    rmt_auto(rmt_layout) again = rmt_layout_read(written, &error);
    rmt_auto(rmt_records) twice = rmt_records_new();
    if (!again)
        abort();
    rmt_layout_write(again, twice);
    rmt_auto_str first = rmt_facts_print(written);
    rmt_auto_str second = rmt_facts_print(twice);
    if (strcmp(first, second) != 0)
        abort();
    return 0;
}
