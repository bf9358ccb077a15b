// dispatch_acts - the actions of the table in dispatch.c, by the file that has them.
#pragma once

#include "broker/dispatch_ops.h"

typedef void(rmt_act_fn)(rmt_step_t *step);

// Of dispatch_ops.c: any job.
rmt_act_fn rmt_act_fail_job;
// Of dispatch_image.c: image and import jobs.
rmt_act_fn rmt_act_begin_capture;
rmt_act_fn rmt_act_capture_failed;
rmt_act_fn rmt_act_begin_commit;
rmt_act_fn rmt_act_end_image;
rmt_act_fn rmt_act_begin_import;
// Of dispatch_upkeep.c: jobs of one task.
rmt_act_fn rmt_act_begin_upkeep;
rmt_act_fn rmt_act_end_upkeep;
// Of dispatch_match.c: plans, and deployments up to their locks.
rmt_act_fn rmt_act_begin_match;
rmt_act_fn rmt_act_join_match;
// Of dispatch_engine.c: a deployment until its targets begin.
rmt_act_fn rmt_act_begin_package;
rmt_act_fn rmt_act_stop_all;
rmt_act_fn rmt_act_begin_build;
rmt_act_fn rmt_act_engine_built;
rmt_act_fn rmt_act_stop_engine;
rmt_act_fn rmt_act_begin_orders;
// Of dispatch_target.c: one target of a deployment.
rmt_act_fn rmt_act_begin_prepare;
rmt_act_fn rmt_act_await_agent;
rmt_act_fn rmt_act_arm;
rmt_act_fn rmt_act_write_failed;
rmt_act_fn rmt_act_begin_netboot;
rmt_act_fn rmt_act_begin_reboot;
rmt_act_fn rmt_act_await_boot;
rmt_act_fn rmt_act_fail_target;
rmt_act_fn rmt_act_agent_failed;
