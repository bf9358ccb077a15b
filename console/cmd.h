// cmd - the tables of verbs, one for each file cmd_*.c; each ends with a NULL noun.
#pragma once

#include "console/command.h"

extern const command_t cmd_record[];
extern const command_t cmd_image[];
extern const command_t cmd_store[];
extern const command_t cmd_deploy[];
extern const command_t cmd_job[];
extern const command_t cmd_lock[];
extern const command_t cmd_key[];
extern const command_t cmd_script[];
extern const command_t cmd_trust[];
extern const command_t cmd_audit[];
extern const command_t cmd_backup[];
extern const command_t cmd_farm[];
extern const command_t cmd_doctor[];
