// metrics - the farm and the gateway in the text format of Prometheus 0.0.4. No label
// has the name of a machine, so their number does not grow with the farm.
#pragma once

#include "console/call.h"
#include "gateway/web.h"
#include "gateway/webhook.h"

// Of the farm. Caller owns. NULL: what the broker said, UNAVAILABLE.
char *metrics_farm(call_t *call, rmt_error_t *error);

// Of the gateway itself and its webhooks, which are told by their places in the settings,
// and whether metrics_farm had an answer. Caller owns.
char *metrics_own(const web_counts_t *counts, const webhook_counts_t *hooks,
                  size_t hook_count, bool is_broker_up);
