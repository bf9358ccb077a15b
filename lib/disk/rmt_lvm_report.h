// rmt_lvm_report - what the program lvs prints of logical volumes: one line each, as
// "  LVM2_A='x'|LVM2_B='y'". Warnings may stand among the lines. Private to lib/disk; the
// whole text is for rmt_lvm_parse.
#pragma once

#include <stdbool.h>
#include "disk/rmt_lvm.h"

// What lvs is asked for.
#define RMT_LVM_REPORT_FIELDS                                                            \
    "vg_name,lv_name,lv_size,vg_free,lv_layout,lv_snapshot_invalid"

// False: the line is none of a volume.
bool rmt_lvm_report_volume(const char *line, rmt_lvm_t *volume_out);
// Whether a report of one snapshot says that its space was used up.
bool rmt_lvm_report_is_invalid(const char *report);
