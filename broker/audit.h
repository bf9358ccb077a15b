// audit - writes the audit stream into the files of this broker.
//
// Each broker writes the whole stream, in a chain of its own (crypto/rmt_chain.h), and
// tells Redis how far it has come; the stream keeps what a broker does not have yet. What
// happens to the files or to the stream is written down as a signed mark. A file that
// cannot be written stops no request: it is told to Redis, and tried again at each tick.
#pragma once

#include "broker/broker.h"

rmt_audit_t *rmt_audit_new(rmt_broker_t *broker);
void rmt_audit_destroy(rmt_audit_t **self_p);

// Write what the stream has; newest: the id of its last entry, or "" when that is not
// known. Cheap when there is nothing new.
void rmt_audit_tick(rmt_audit_t *self, const char *newest);

// Lines are written beside the loop: readable when that has ended, and then to be called.
// Never blocks.
int rmt_audit_fd(const rmt_audit_t *self);
void rmt_audit_handle(rmt_audit_t *self);

// The broker ends: sign what was written. Waits for the disk.
void rmt_audit_stop(rmt_audit_t *self);

// Why nothing can be written, or "".
const char *rmt_audit_fault(const rmt_audit_t *self);

// One page of all files, from the first line on, into a reply: body {key, content} and
// the cursor of the next page, "" at the end. The first page has the files signed first.
// 0, or -1: BUSY while lines are written, USAGE for a cursor of others, IO, NO_SPACE.
int rmt_audit_page(rmt_audit_t *self, const char *cursor, rmt_msg_t *reply,
                   rmt_error_t *error);
