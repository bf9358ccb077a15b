// sim_farm - the programs of one farm in a world: brokers, workers, agents, machines.
//
// Real: the broker as a whole, the loop of workers with their link and their tasks in
// hand, the gate of the target's agent, the codec, the function library. Played: what a
// task does meanwhile, the machine under an agent, the agent of the first boot, the
// console (sim_console.h).
#pragma once

#include "sim/sim_redis.h"
#include "sim/sim_world.h"

#define SIM_BROKERS 2
#define SIM_TARGETS 3
#define SIM_NODES 8 // Workers and agents
#define SIM_SPARE 1 // The node that the farm can do without

typedef enum {
    SIM_BUG_NONE,
    SIM_BUG_NO_GATE,     // The agent does not ask its gate
    SIM_BUG_NO_NEW_LIFE, // No new life begins when a writer has ended
    SIM_BUG_COUNT
} sim_agent_bug_t;

// Put what every farm has into an empty Redis: records and approved keys.
void sim_farm_seed(sim_redis_t *redis);

// All programs, started. The world has begun, and Redis has what sim_farm_seed put there.
void sim_farm_begin(sim_agent_bug_t bug, bool refuses); // sim_work.h
void sim_farm_end(void);

sim_process_t *sim_farm_broker(size_t index);
sim_process_t *sim_farm_node(size_t index);
const char *sim_farm_role(size_t node);
// Start a node that has ended or was killed, after a time. A machine starts as it would:
// from the network, or from its disk.
void sim_farm_restart(sim_process_t *node, int64_t delay);
// True when a node is to be heard of: its program has run for long enough to be greeted,
// and it is no installed machine.
bool sim_farm_is_expected(const sim_process_t *node);
// True when a node has not run for this time.
bool sim_farm_is_gone(const sim_process_t *node, int64_t time);
// Cut the power of a machine, and start it from the network.
void sim_farm_netboot(size_t node);
// A person at the farm turns on each machine that is off, or whose installed system has
// reported, when its next netboot leads to the agent; by_hand: it is started from the
// network in any case.
void sim_farm_wake_machines(bool by_hand);

// The setting `audit` of a broker.
const char *sim_farm_audit_folder(size_t broker);

// Public key and address of the console's port for sim_console.c.
const char *sim_farm_admin_key(void);
void sim_farm_console_address(size_t broker, char out[64]);
