// outline - what an engine has to see of a source's system to plan a personalisation of
// its copies, before there is a tree of it.
#pragma once

#include "agent/source/pieces.h"
#include "base/rmt_error.h"
#include "base/rmt_record.h"
#include "system/rmt_outline.h"

// Append the record of class outline (docs/spec/5-image.md), and put the chunks that it
// names. 0, or -1: what put says.
int rmt_agent_outline(const rmt_outline_tree_t *trees, size_t count,
                      rmt_pieces_put_fn *put, void *context, rmt_records_t *records,
                      rmt_error_t *error);
