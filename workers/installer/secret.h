// secret - the passphrases of encrypted partitions: this engine's own from a file, or one
// made for each target, which only its agent and the person named by a setting can read.
#pragma once

#include "base/rmt_config.h"
#include "facts/rmt_layout.h"
#include "net/rmt_worker.h"

// Has this engine a passphrase for encrypted partitions, or a person to whom it tells
// those that it makes? 0, or -1: CONFIG, with what to set.
int installer_secret_check(const rmt_config_t *config, rmt_error_t *error);

// Seal a passphrase for the agent that the task names, and a made one for that person:
// `secret` and `told-secret` of the outputs. Nothing for a layout without encryption. 0,
// or -1: CONFIG, REFUSED (the agent is not there).
int installer_secret_add(rmt_task_t *task, const rmt_config_t *config,
                         const rmt_layout_t *layout, rmt_error_t *error);
