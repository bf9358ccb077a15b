#include "console/cmd.h"

#include <stddef.h>

const command_t *const command_tables[] = {
    cmd_record, cmd_image, cmd_store,  cmd_deploy, cmd_job,    cmd_lock,   cmd_key,
    cmd_trust,  cmd_audit, cmd_script, cmd_farm,   cmd_doctor, cmd_backup, NULL,
};
