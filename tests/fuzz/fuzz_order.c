// The records of an order, in their text form. What is accepted can be written, and is
// then read as the same; no volume is lost from the order of writing.
#include <stdint.h>
#include <string.h>

#include "base/rmt_auto.h"
#include "facts/rmt_facts.h"
#include "facts/rmt_order.h"
#include "fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
s_check_volumes(const rmt_layout_t *layout)
{
    rmt_auto_ptr memory = rmt_order_volumes(layout);
    const rmt_layout_volume_t *const *volumes = memory;
    for (size_t i = 0; i < layout->volume_count; i++) {
        size_t found = 0;
        for (size_t k = 0; k < layout->volume_count; k++)
            found += volumes[k] == &layout->volumes[i];
        MUST(found == 1);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rmt_error_t error = {0};
    rmt_auto_str text = strndup((const char *) data, size);
    rmt_auto(rmt_records) records = rmt_facts_parse(text, &error);
    rmt_auto(rmt_order) order = records ? rmt_order_read(records, &error) : NULL;
    MUST(order || error.code != RMT_E_OK);
    if (!order)
        return 0;
    MUST(order->layout->disk_count >= 1 &&
         order->choice_count == order->layout->disk_count);
    s_check_volumes(order->layout);
    rmt_auto(rmt_records) written = rmt_order_write(order, &error);
    MUST(written);
    rmt_auto(rmt_order) again = rmt_order_read(written, &error);
    MUST(again);
    rmt_auto(rmt_records) twice = rmt_order_write(again, &error);
    MUST(twice);
    rmt_auto_str first = rmt_facts_print(written);
    rmt_auto_str second = rmt_facts_print(twice);
    MUST(strcmp(first, second) == 0);
    return 0;
}
