// What people say of machines: records in their text form, locations, endpoints and
// policies. The first byte says which.
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "facts/rmt_endpoint.h"
#include "facts/rmt_facts.h"
#include "facts/rmt_fields.h"
#include "facts/rmt_location.h"
#include "facts/rmt_network.h"
#include "facts/rmt_policy.h"
#include "fuzz/must.h"

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

// A location is said again from its parts, and is the same.
static void
s_fuzz_location(const char *text)
{
    rmt_error_t error;
    rmt_location_t once = {0}, twice = {0};
    if (rmt_location_parse(text, &once, &error) == -1) {
        MUST(error.code == RMT_E_USAGE && *error.text);
        return;
    }
    const bool is_bare = !strchr(once.host, ':');
    rmt_auto_str port = once.port ? rmt_text(":%u", once.port) : rmt_text("%s", "");
    rmt_auto_str again = rmt_text("%s://%s%s%s%s%s%s%s", once.is_ssh ? "ssh" : "https",
                                  once.user, *once.user ? "@" : "", is_bare ? "" : "[",
                                  once.host, is_bare ? "" : "]", port, once.path);
    MUST(rmt_location_parse(again, &twice, &error) == 0);
    MUST(once.is_ssh == twice.is_ssh && once.port == twice.port);
    MUST(strcmp(once.user, twice.user) == 0 && strcmp(once.host, twice.host) == 0);
    MUST(strcmp(once.path, twice.path) == 0 && *once.path == '/');
    MUST(once.is_ssh || !*once.user);
}

static void
s_fuzz_endpoint(const char *text)
{
    rmt_error_t error;
    char host[RMT_ENDPOINT_HOST_SIZE];
    uint16_t number = 0;
    rmt_auto_str enrol = rmt_endpoint_broker(text, RMT_PORT_ENROL, &error);
    rmt_auto_str events = rmt_endpoint_broker(text, RMT_PORT_EVENTS, &error);
    MUST(enrol || !events);
    if (enrol) {
        MUST(rmt_endpoint_split(enrol, host, &number, &error) == 0 && *host);
        MUST(strncmp(enrol, host, strlen(host)) == 0 && number > 0);
        rmt_auto_str same = rmt_endpoint_broker(enrol, RMT_PORT_ENROL, &error);
        MUST(same && strcmp(same, enrol) == 0);
    }
    uint16_t last = 0;
    if (events)
        MUST(rmt_endpoint_split(events, host, &last, &error) == 0 &&
             last == number + RMT_PORT_EVENTS);
    rmt_auto_str expanded = rmt_endpoint_expand(text, "10.0.0.1", &error);
    if (expanded) {
        rmt_auto_str still = rmt_endpoint_expand(expanded, "10.0.0.9", &error);
        MUST(still && strcmp(still, expanded) == 0);
    }
}

// A policy is said again as a word for each component, and is the same.
static void
s_fuzz_policy(const char *text)
{
    rmt_error_t error;
    rmt_auto(rmt_record) once = rmt_record_new();
    rmt_auto(rmt_record) twice = rmt_record_new();
    const int rc = rmt_policy_parse(once, text, &error);
    MUST(rmt_policy_check(text, &error) == rc);
    if (rc == -1)
        return;
    for (size_t i = 0; i < rmt_record_count(once); i++) {
        const char *name = rmt_record_name_at(once, i);
        rmt_auto_str word = rmt_text("%s=%s", name, rmt_record_text(once, name, ""));
        MUST(rmt_policy_parse(twice, word, &error) == 0);
    }
    MUST(rmt_record_equal(once, twice));
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
