// sim_net - rmt_socket.h over a network that is played.
//
// A connection is that of ZeroMQ over TCP: messages of one direction keep their order; a
// cut loses what is under way, and the client's side connects again by itself; what is
// sent meanwhile waits. Every message goes through the real codec.
#pragma once

#include "net/rmt_socket.h"
#include "sim/sim_world.h"

// Forget all connections; the processes have ended.
void sim_net_end(void);

// Longest time that one message is under way.
void sim_net_set_delay(int64_t delay_max);

// Cut all connections of a process, or let nothing through to or from it for a time.
void sim_net_cut(const sim_process_t *process);
void sim_net_block(sim_process_t *process, int64_t time);

// Send an old TASK, of this connection's past or of another life of its client, once more
// to a process: the act of a peer that has the broker's key. False when none is known.
bool sim_net_replay(sim_process_t *process);

// Called with each EVENT that a process publishes.
typedef void(sim_event_heard_fn)(const sim_process_t *process, const rmt_msg_t *msg);
void sim_net_on_event(sim_event_heard_fn *fn);
