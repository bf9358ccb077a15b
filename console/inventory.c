#include "console/inventory.h"
#include "console/output.h"
#include "console/table.h"
#include "base/rmt_auto.h"
#include "wire/rmt_codec.h"
#include "facts/rmt_facts.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS_MAX 10

const char *const inventory_columns[] = {"class", "name", "model", "bytes", NULL};

static const struct {
    const char *class;
    const char *columns[COLUMNS_MAX];
} s_tables[] = {
    {"system", {"vendor", "product", "board", "firmware", "secure-boot", "arch", "uuid"}},
    {"cpu", {"name", "count", "vendor", "family", "model", "stepping"}},
    {"memory", {"bytes"}},
    {"disk",
     {"name", "bus", "media", "model", "bytes", "logical-sector", "serial", "controller",
      "path"}},
    {"content", {"disk", "kind", "name", "uuid"}},
    {"pci", {"slot", "vendor", "device", "pci-class", "driver-mode", "driver"}},
    {"nic", {"name", "mac", "driver", "media", "pci"}},
    {"usb", {"port", "vendor", "product", "model", "interfaces"}},
};

// A device that nothing drives is told as such, and not as a field that is not known.
static rmt_records_t *
s_class(const rmt_records_t *facts, const char *class)
{
    rmt_records_t *found = rmt_records_new();
    for (size_t i = 0; i < rmt_records_count(facts); i++) {
        const rmt_record_t *fact = rmt_records_at(facts, i);
        if (!rmt_record_is(fact, "class", class))
            continue;
        rmt_auto(rmt_record) copy = rmt_record_dup(fact);
        if (strcmp(class, "pci") == 0 && !rmt_record_has(copy, "driver"))
            rmt_record_set(copy, "driver", "(none)");
        rmt_records_append(found, &copy);
    }
    return found;
}

static void
s_print_tables(const rmt_records_t *facts, const view_t *view)
{
    for (size_t i = 0; i < sizeof s_tables / sizeof *s_tables; i++) {
        rmt_auto(rmt_records) found = s_class(facts, s_tables[i].class);
        if (!rmt_records_count(found))
            continue;
        printf("%s%s\n", i ? "\n" : "", s_tables[i].class);
        table_print(found, s_tables[i].columns, view);
    }
}

int
inventory_run(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "name", call->operands[0]);
    rmt_auto(rmt_msg) reply = call_request(call, "target.show", body, NULL, error);
    if (!reply)
        return -1;
    size_t size = 0;
    const void *packed = rmt_record_get(reply->body, "hardware", &size);
    if (!packed)
        return rmt_fail(
            error, RMT_E_NOT_FOUND,
            "the agent of target %s has not sent the hardware yet; start the agent",
            call->operands[0]);
    rmt_auto(rmt_records) facts = rmt_codec_unpack_records(packed, size, size + 1, error);
    if (!facts)
        return -1;
    const view_t *view = &call->view;
    if (view->format != VIEW_TABLE || view->columns || view->sort || view->filter ||
        view->limit)
        return output_list(facts, inventory_columns, view, error);
    if (rmt_record_has(call->options, "raw")) {
        rmt_auto_str text = rmt_facts_print(facts);
        fputs(text, stdout);
    } else {
        s_print_tables(facts, view);
    }
    return 0;
}
