// The files in which a kernel shows its machine (sysfs, DMI, /proc), as a grove. What is
// told of it can be written as text, and is then read as the same.
#include <stdint.h>
#include <string.h>

#include "base/rmt_auto.h"
#include "facts/rmt_facts.h"
#include "fuzz/grove.h"
#include "fuzz/must.h"
#include "machine/rmt_inventory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
s_check(const rmt_records_t *records)
{
    rmt_error_t error;
    rmt_auto_str text = rmt_facts_print(records);
    rmt_auto(rmt_records) again = rmt_facts_parse(text, &error);
    MUST(again && rmt_records_count(again) == rmt_records_count(records));
    for (size_t i = 0; i < rmt_records_count(records); i++)
        MUST(rmt_record_equal(rmt_records_at(records, i), rmt_records_at(again, i)));
    rmt_auto_str identity = rmt_inventory_identity(records);
    MUST(!identity || strchr(identity, ':'));
    rmt_auto_str no_disk = rmt_inventory_no_disk(records);
    MUST(!no_disk == (rmt_records_find(records, "class", "disk") != NULL));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rmt_error_t error;
    (void) grove_make(data, size, true);
    rmt_auto(rmt_records) records = rmt_inventory_read_at(grove_root(), &error);
    if (records)
        s_check(records);
    grove_end();
    return 0;
}
