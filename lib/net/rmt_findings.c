#include "net/rmt_findings.h"
#include "base/rmt_auto.h"

#include <stdlib.h>

#define PAGE_COUNT 64
#define PAGE_BYTES ((size_t) 48 * 1024)

struct rmt_findings {
    rmt_task_t *task;
    rmt_records_t *page;
    size_t page_bytes;
    uint64_t sent, count;
    bool has_failed;
    rmt_error_t why;
};

rmt_findings_t *
rmt_findings_new(rmt_task_t *task)
{
    rmt_findings_t *self = calloc(1, sizeof *self);
    if (!self)
        abort();
    self->task = task;
    self->page = rmt_records_new();
    return self;
}

void
rmt_findings_destroy(rmt_findings_t **self_p)
{
    rmt_findings_t *self = *self_p;
    if (!self)
        return;
    rmt_records_destroy(&self->page);
    free(self);
    *self_p = NULL;
}

static int
s_send(rmt_findings_t *self, rmt_error_t *error)
{
    char text[33];
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "task", rmt_uid_text(rmt_task_id(self->task), text));
    rmt_record_set_u64(body, "attempt", rmt_task_attempt(self->task));
    rmt_record_set_u64(body, "at", self->sent);
    rmt_auto(rmt_msg) reply =
        rmt_task_request(self->task, "finding.put", body, self->page, error);
    if (!reply)
        return rmt_wrap(error, "send the findings");
    self->sent += rmt_records_count(self->page);
    rmt_records_destroy(&self->page);
    self->page = rmt_records_new();
    self->page_bytes = 0;
    return 0;
}

void
rmt_findings_add(rmt_findings_t *self, rmt_record_t **record_p)
{
    self->count++;
    self->page_bytes += rmt_msg_record_size(*record_p);
    rmt_records_append(self->page, record_p);
    if (self->has_failed) {
        // No broker gets these findings; their number alone is of use now.
        rmt_records_destroy(&self->page);
        self->page = rmt_records_new();
    } else if (rmt_records_count(self->page) >= PAGE_COUNT ||
               self->page_bytes >= PAGE_BYTES) {
        self->has_failed = s_send(self, &self->why) == -1;
    }
}

int
rmt_findings_finish(rmt_findings_t *self, rmt_error_t *error)
{
    rmt_record_set_u64(rmt_task_outputs(self->task), "findings", self->count);
    if (self->has_failed) {
        *error = self->why;
        return -1;
    }
    return self->count > self->sent || self->count == 0 ? s_send(self, error) : 0;
}
