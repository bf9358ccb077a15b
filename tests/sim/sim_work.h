// sim_work - what tasks do in the simulation, and the machines that they do it to.
#pragma once

#include "agent/install/gate.h"
#include "net/rmt_peer.h"
#include "net/rmt_socket.h"
#include "sim/sim_farm.h"
#include "sim/sim_task.h"

typedef struct {
    rmt_gate_t *gate;     // Of this start of the agent
    bool boots_from_disk; // What the next netboot leads to
    bool is_installed;    // The boot record is written
    rmt_key_t boot_key;   // Of the system on the disk
    char image[RMT_ID_TEXT_SIZE];
} sim_machine_t;

// What one attempt of a capture has sent, and to which life of which imager.
typedef struct {
    const sim_process_t *imager; // NULL: none yet
    uint64_t life, sent;
} sim_stream_t;

typedef struct {
    const char *name, *role, *place;
    size_t index; // Of the node
    char key[RMT_USER_SIZE];
    sim_process_t *process;
    rmt_worker_t *worker;
    sim_machine_t *machine; // Of a target
    sim_stream_t stream;    // Of a source
    bool runs_disk;         // The installed system runs, and not the agent
    rmt_peer_t *boot;       // Its agent
    int64_t reported_at;
    bool is_netbooted; // The next start is from the network, whatever the netboot says
} sim_node_t;

// The services of a node, up to a row without a name. The context of each is the node.
const rmt_service_t *sim_work_services(const sim_node_t *node);
// Machines of all targets, and mistakes that the agents make. refuses: the last target is
// a machine that no GO fits.
void sim_work_begin(sim_node_t *nodes, size_t count, sim_agent_bug_t bug, bool refuses);
