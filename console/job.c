#include "console/job.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "wire/rmt_msg.h"

#include <stdlib.h>

void
job_set_name(rmt_record_t *job, const char *field)
{
    uint8_t uid[RMT_UID_SIZE];
    rmt_error_t error = {0};
    if (rmt_uid_parse(uid, rmt_record_text(job, field, ""), &error) == -1)
        return;
    char name[RMT_JOB_TEXT_SIZE];
    rmt_record_set(job, "name", rmt_job_text(uid, name));
}

rmt_records_t *
job_list(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_auto(rmt_records) items = call_list(call, "job.list", body, error);
    for (size_t i = 0; items && i < rmt_records_count(items); i++)
        job_set_name(rmt_records_at(items, i), "id");
    return rmt_take(&items);
}

rmt_msg_t *
job_show(call_t *call, const char *job, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "job", job);
    rmt_auto(rmt_msg) reply = call_whole(call, "job.show", body, error);
    if (reply)
        job_set_name(reply->body, "id");
    return rmt_take(&reply);
}

// The id of an entry begins with its time in milliseconds.
static void
s_add_time(rmt_record_t *entry)
{
    char text[RMT_CLOCK_TEXT_SIZE];
    const char *id = rmt_record_text(entry, "id", "0");
    rmt_record_set(entry, "time", rmt_clock_text(strtoll(id, NULL, 10), text));
}

rmt_records_t *
job_logs(call_t *call, const char *job, const char *target, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "job", job);
    if (target)
        rmt_record_set(body, "target", target);
    rmt_auto(rmt_records) items = call_list(call, "job.logs", body, error);
    for (size_t i = 0; items && i < rmt_records_count(items); i++)
        s_add_time(rmt_records_at(items, i));
    return rmt_take(&items);
}
