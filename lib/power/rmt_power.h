// rmt_power - the power of machines: a table of ways to switch it
// (docs/spec/4-control.md, "Power").
//
// What a record may name is an address and an account, never a file or a program: those
// are the engine's own. The password of a BMC lies in a file that is called like its
// address, so a record cannot lead a password to another host.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/rmt_error.h"
#include "base/rmt_record.h"

typedef enum {
    RMT_POWER_STATUS,
    RMT_POWER_ON,
    RMT_POWER_OFF,
    RMT_POWER_CYCLE,
    RMT_POWER_NETBOOT, // Once from the network, at a start that is made now
} rmt_power_action_t;

// What the engine's settings say; borrowed, "" for what is not set.
typedef struct {
    const char *secrets;   // Folder of the files with passwords
    const char *program;   // Of the way exec
    const char *broadcast; // Of the way wol, for records without power-address
    const char *ca;        // File of the authorities of BMCs that speak Redfish
    uint32_t cipher;       // Cipher suite of IPMI; 0: the BMC is asked
    uint32_t timeout_ms;   // For one action on one machine
} rmt_power_config_t;

typedef struct {
    const char *what; // "on", "off", "unknown", or "sent": it was told, nothing answers
    char text[200];   // For people; "" for nothing to say
} rmt_power_end_t;

// The action of a word. False: there is none of that name.
bool rmt_power_action(const char *word, rmt_power_action_t *action_out);

// False for an end before the time is over. May be called by several threads.
typedef bool(rmt_power_go_on_fn)(void *context);

// Do the action on the machine of a target's record {name, power, power-address,
// power-user, power-boot, mac, present}, and look whether it was done. Blocks for
// timeout_ms and the end of one program more; for several threads.
// 0, or -1 with machine, address, reason and next step: USAGE (a field of the record that
// none can have), CONFIG (a setting or file of the engine), UNSUPPORTED (this way cannot
// do that), UNAVAILABLE (no answer, or a wrong one), NOT_ALLOWED (the BMC refuses the
// password), TIMEOUT (it was told, and did nothing), CANCELLED, IO.
int rmt_power_do(const rmt_power_config_t *config, const rmt_record_t *target,
                 rmt_power_action_t action, rmt_power_go_on_fn *go_on, void *context,
                 rmt_power_end_t *end_out, rmt_error_t *error);
