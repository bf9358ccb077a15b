// rmt_hosts_file - /etc/hosts of a copy. Private to lib/system. Pure.
//
// Only the entries of the image's machine change: those of its addresses, and its own
// name. Of a line of its own the other names go over to the line of the copy.
#pragma once

#include "facts/rmt_network.h"
#include "system/rmt_own_address.h"
#include "system/rmt_own_name.h"

// Caller owns the text (free), with its size in *size_out.
char *rmt_hosts_file_edit(rmt_span_t text, const rmt_own_name_t *name,
                          const rmt_own_address_t *address, const rmt_network_t *network,
                          size_t *size_out);
