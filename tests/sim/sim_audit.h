// sim_audit - the audit files of the brokers, and what must hold of them.
//
// A file lives as long as the world. What was appended is durable; a broker may die
// between an append and the call by which it tells Redis.
#pragma once

#include "base/rmt_record.h"

void sim_audit_begin(void);
void sim_audit_end(void);

// The words of a fault in the files of any broker; NULL: each is one chain, and no entry
// is in it twice but behind a mark that Redis was restored. Valid until the next call.
const char *sim_audit_fault(void);

// Does the broker have this entry in its files? folder: as its settings say.
bool sim_audit_has(const char *folder, const rmt_record_t *entry);
