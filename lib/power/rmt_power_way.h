// rmt_power_way - what a way to switch power has to offer, and what it works with. Inside
// of the room.
#pragma once

#include "power/rmt_power.h"

#define POWER_PATH_SIZE 200

// One action on one machine under way.
typedef struct {
    const rmt_power_config_t *config;
    const rmt_record_t *target;
    const char *name;    // Of the machine
    const char *address; // power-address, or ""
    rmt_power_action_t action;
    int64_t until_ms;           // On rmt_clock_ms
    char path[POWER_PATH_SIZE]; // Of the system at a BMC, once it is known; or ""
    rmt_power_go_on_fn *go_on;
    void *context;
} power_run_t;

typedef enum { POWER_GO_ON, POWER_GO_OFF, POWER_NEXT_NETBOOT } power_order_t;

// Either the parts of a BMC, of which all actions are made, or the whole at once.
typedef struct {
    const char *name;
    // Is the power on? 0, or -1.
    int (*look)(power_run_t *run, bool *is_on_out, rmt_error_t *error);
    // Tell the BMC; that it answers well does not say that it was done. 0, or -1.
    int (*tell)(power_run_t *run, power_order_t order, rmt_error_t *error);
    int (*whole)(power_run_t *run, rmt_power_end_t *end_out, rmt_error_t *error);
} power_way_t;

extern const power_way_t power_wol;
extern const power_way_t power_ipmi;
extern const power_way_t power_redfish;
extern const power_way_t power_exec;

// Milliseconds that are left, at least 1.
uint32_t power_left_ms(const power_run_t *run);

// Keep the last line of what a program said.
void power_last_line(char *said);

// The file with the password for the machine's address: checked, and neither read nor
// followed. Caller owns the result (free). NULL: CONFIG, with the command that makes it.
char *power_secret_file(const power_run_t *run, rmt_error_t *error);

// The host and port (0: none) of power-address. 0, or -1: CONFIG.
int power_host(const power_run_t *run, char *host_out, uint16_t *port_out,
               rmt_error_t *error);
