#include "console/import.h"
#include "base/rmt_auto.h"
#include "wire/rmt_msg.h"

#define PART_COUNT 250
#define PART_BYTES ((size_t) 128 * 1024)

// The records from *at on that go together; at least one. Caller owns.
static rmt_records_t *
s_part(const rmt_records_t *items, size_t *at)
{
    rmt_records_t *part = rmt_records_new();
    size_t bytes = 0;
    while (*at < rmt_records_count(items) && rmt_records_count(part) < PART_COUNT) {
        const rmt_record_t *item = rmt_records_at(items, *at);
        bytes += rmt_msg_record_size(item);
        if (bytes > PART_BYTES && rmt_records_count(part) > 0)
            break;
        rmt_record_t *copy = rmt_record_dup(item);
        rmt_records_append(part, &copy);
        ++*at;
    }
    return part;
}

// The broker sees one part at a time.
static int
s_check_names(const rmt_records_t *items, rmt_error_t *error)
{
    rmt_auto(zhashx) seen = zhashx_new();
    for (size_t i = 0; i < rmt_records_count(items); i++) {
        const char *name = rmt_record_text(rmt_records_at(items, i), "name", "");
        if (zhashx_insert(seen, name, (void *) name) == -1)
            return rmt_fail(error, RMT_E_EXISTS,
                            "%.60s is in the list twice; remove one of the two rows",
                            name);
    }
    return 0;
}

// Adds to the sums of the answers. *done_out: records that were sent well.
static int
s_send_all(call_t *call, const char *verb, const rmt_records_t *items, bool is_check,
           rmt_record_t *sums, size_t *done_out, rmt_error_t *error)
{
    static const char *const fields[] = {"added", "changed"};
    uint64_t counts[2] = {0};
    for (size_t at = 0; at < rmt_records_count(items); *done_out = at) {
        rmt_auto(rmt_records) part = s_part(items, &at);
        rmt_auto(rmt_record) body = rmt_record_new();
        if (is_check)
            rmt_record_set(body, "check", "yes");
        rmt_auto(rmt_msg) reply = call_request(call, verb, body, part, error);
        if (!reply)
            return -1;
        for (size_t i = 0; i < 2; i++)
            counts[i] += rmt_record_u64(reply->body, fields[i], 0);
    }
    for (size_t i = 0; i < 2; i++)
        rmt_record_set_u64(sums, fields[i], counts[i]);
    return 0;
}

rmt_record_t *
import_records(call_t *call, const char *verb, const rmt_records_t *items,
               rmt_error_t *error)
{
    size_t done = 0;
    rmt_auto(rmt_record) sums = rmt_record_new();
    size_t first = 0;
    rmt_auto(rmt_records) part = s_part(items, &first);
    const size_t count = rmt_records_count(items);
    if (first < count && (s_check_names(items, error) == -1 ||
                          s_send_all(call, verb, items, true, sums, &done, error) == -1))
        return NULL;
    done = 0;
    if (s_send_all(call, verb, items, false, sums, &done, error) == 0)
        return rmt_take(&sums);
    if (done > 0)
        rmt_wrap(error, "%zu of %zu records were taken, and can be imported again", done,
                 count);
    return NULL;
}
