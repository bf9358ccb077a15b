// rmt_unsent - how many octets wait in this process to be sent to one peer.
//
// libzmq bounds a queue by its messages and does not tell what it holds. Here each
// message is counted until libzmq frees it, which is when it has gone to the kernel, or
// when its connection ends. The count is made and read in one thread; the threads of
// libzmq take away from it, also after the owner has destroyed it.
#pragma once

#include <czmq.h>

typedef struct rmt_unsent rmt_unsent_t;

rmt_unsent_t *rmt_unsent_new(void);
void rmt_unsent_destroy(rmt_unsent_t **self_p);

size_t rmt_unsent_size(const rmt_unsent_t *self);

// Make a message of the octets of a frame, and count them until it is freed. Takes
// *frame_p. The message is to be sent or closed.
void rmt_unsent_wrap(rmt_unsent_t *self, zframe_t **frame_p, zmq_msg_t *message_out);
