// What people say of machines: records in their text form, locations, endpoints and
// policies. The first byte says which.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/rmt_auto.h"
#include "facts/rmt_endpoint.h"
#include "facts/rmt_facts.h"
#include "facts/rmt_fields.h"
#include "facts/rmt_location.h"
#include "facts/rmt_network.h"
#include "facts/rmt_policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// What set takes has a canonical form, which it takes as it is, and which is read as what
// was said.
static void
s_fuzz_record(const char *class, const rmt_record_t *said)
{
    rmt_error_t error;
    rmt_network_t network;
    rmt_auto(rmt_record) once = rmt_record_dup(said);
    if (rmt_fields_check(class, once, NULL, &error) == -1)
        return;
    rmt_auto(rmt_record) twice = rmt_record_dup(once);
    if (rmt_fields_check(class, twice, NULL, &error) == -1 ||
        !rmt_record_equal(once, twice))
        abort();
    if (rmt_network_parse(said, &network, &error) !=
        rmt_network_parse(once, &network, &error))
        abort();
}

static void
s_fuzz_text(const char *text)
{
    static const char *const classes[] = {"target", "source", "engine"};
    rmt_error_t error;
    rmt_auto(rmt_records) records = rmt_facts_parse(text, &error);
    for (size_t i = 0; records && i < rmt_records_count(records); i++) {
        for (size_t k = 0; k < sizeof classes / sizeof *classes; k++)
            s_fuzz_record(classes[k], rmt_records_at(records, i));
        (void) rmt_fields_check_enrolment(rmt_records_at(records, i), &error);
    }
}

static void
s_fuzz_location(const char *text)
{
    rmt_error_t error;
    rmt_location_t location;
    (void) rmt_location_parse(text, &location, &error);
}

static void
s_fuzz_endpoint(const char *text)
{
    rmt_error_t error;
    rmt_auto_str port = rmt_endpoint_broker(text, RMT_PORT_EVENTS, &error);
    rmt_auto_str expanded = rmt_endpoint_expand(text, "10.0.0.1", &error);
    (void) port;
    (void) expanded;
}

static void
s_fuzz_policy(const char *text)
{
    rmt_error_t error;
    (void) rmt_policy_check(text, &error);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const parsers[])(const char *text) = {s_fuzz_text, s_fuzz_location,
                                                        s_fuzz_endpoint, s_fuzz_policy};
    if (size == 0)
        return 0;
    rmt_auto_str text = strndup((const char *) data + 1, size - 1);
    if (!text)
        abort();
    parsers[data[0] % 4](text);
    return 0;
}
