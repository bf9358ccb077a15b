#include "broker/dispatch.h"
#include "crypto/rmt_id.h"

#include <string.h>

rmt_job_view_t
rmt_view_of(const rmt_msg_t *reply)
{
    return (rmt_job_view_t){
        .job = reply->body,
        .image = rmt_records_find(reply->items, "what", "image"),
        .task = rmt_records_find(reply->items, "what", "task"),
        .target = rmt_records_find(reply->items, "what", "target"),
        .items = reply->items,
    };
}

void
rmt_dispatch_task_id(const char *job, const char *stage, const char *subject,
                     uint8_t id_out[RMT_UID_SIZE])
{
    rmt_digest_t *digest = rmt_digest_new();
    rmt_digest_update(digest, job, strlen(job) + 1);
    rmt_digest_update(digest, stage, strlen(stage) + 1);
    rmt_digest_update(digest, subject, strlen(subject));
    rmt_id_t id;
    rmt_digest_finish(digest, &id);
    rmt_digest_destroy(&digest);
    memcpy(id_out, id.bytes + 1, RMT_UID_SIZE);
}
