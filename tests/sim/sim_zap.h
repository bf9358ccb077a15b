// sim_zap - rmt_zap.h without a thread: who may connect, asked by the network that is
// played.
#pragma once

#include "net/rmt_zap.h"

// Of the process that was started last.
rmt_zap_t *sim_zap_last(void);

bool sim_zap_admits(const rmt_zap_t *self, const char *domain, const char *key);
// Its lists are complete: who is not admitted is refused, and does not wait.
bool sim_zap_is_closed(const rmt_zap_t *self);
