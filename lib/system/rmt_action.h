// rmt_action - the records that a personalisation is made of. Private to lib/system.
//
//   class=write  {path, what, mode (octal), uid, gid, content}
//   class=link   {path, what, target}
//   class=remove {path, what}
//
// `what` is a word for people and for reports, such as "hostname".
#pragma once

#include <stddef.h>
#include "base/rmt_record.h"

void rmt_action_write(rmt_records_t *actions, const char *path, const char *what,
                      unsigned mode, const void *content, size_t size);
void rmt_action_link(rmt_records_t *actions, const char *path, const char *what,
                     const char *target);
void rmt_action_remove(rmt_records_t *actions, const char *path, const char *what);
