// rmt_pipe - frames between the two halves of writing: the agent, which talks to the
// network, and ramet-diskw, which holds the disk.
//
// A frame is one byte kind, three zero bytes, the payload's size as four bytes little
// endian, and the payload. Frames are gathered and sent in large writes; a sender that
// wants an answer flushes first. The frames of a volume, after VOLUME or VERIFY and up to
// VOLUME_END, travel in blocks: frames of their own kind around whole and cut ones. So a
// receiver can hand exactly them on without a look at what is in them. Both ends are on
// one machine and of one version; the receiver still checks every size before it takes
// memory. An instance belongs to one thread.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/rmt_error.h"
#include "base/rmt_record.h"

typedef enum {
    // Agent to diskw, in this order.
    RMT_PIPE_ORDER = 1, // Records: class=target for each disk, then the layout
    RMT_PIPE_VOLUME,    // Record of class volume; then its entries, then VOLUME_END
    RMT_PIPE_ENTRY,     // rmt_entry_encode
    RMT_PIPE_DATA,      // Plain bytes: of an entry, of a file, a manifest's chunk
    RMT_PIPE_VOLUME_END,
    RMT_PIPE_FILE,       // Record {name, mode, size} for the first boot, then its DATA
    RMT_PIPE_PERSONAL,   // Records: class=target, script, command
    RMT_PIPE_SETTLE,     // All is written: bring it to the medium, forget the caches
    RMT_PIPE_VERIFY,     // Record of class volume; then its manifest's chunks as a
                         // reader needs them, then VOLUME_END
    RMT_PIPE_BOOT,       // Records: class=boot {disk, offset, content}
    RMT_PIPE_FINISH,     // Make it bootable
    RMT_PIPE_BLOCK,      // Of a volume's frames
    RMT_PIPE_BLOCK_LAST, // Of a volume's frames; VOLUME_END is at its end
    // Diskw to agent.
    RMT_PIPE_PROGRESS = 64, // Record {phase, done, total}
    RMT_PIPE_DONE,          // Answer to FINISH: record {files, bytes, verified}
    RMT_PIPE_ERROR,         // Record {code, text}; the last frame
} rmt_pipe_kind_t;

#define RMT_PIPE_SIZE_MAX ((size_t) 256 * 1024 * 1024) // An entry names all its chunks

typedef struct rmt_pipe rmt_pipe_t;

typedef struct {
    rmt_pipe_kind_t kind;
    const void *data; // Valid until the next receive
    size_t size;
} rmt_frame_t;

// Takes both descriptors (they are closed by destroy; -1 for none) and makes pipes
// larger where the system lets us. Caller owns the result.
rmt_pipe_t *rmt_pipe_new(int in, int out);
void rmt_pipe_destroy(rmt_pipe_t **self_p);

// Called while a send waits for room, when a frame can be received; without it the
// send just blocks. Returns 0, or -1 to end the send with error.
typedef int(rmt_pipe_wait_fn)(void *context, rmt_error_t *error);
void rmt_pipe_on_wait(rmt_pipe_t *self, rmt_pipe_wait_fn *wait, void *context);

// Queue a frame; borrows data. Blocks while the other side is slow.
// 0, or -1: IO (also when the other side is gone).
int rmt_pipe_send(rmt_pipe_t *self, rmt_pipe_kind_t kind, const void *data, size_t size,
                  rmt_error_t *error);
int rmt_pipe_send_records(rmt_pipe_t *self, rmt_pipe_kind_t kind,
                          const rmt_records_t *records, rmt_error_t *error);
// A list of this one record.
int rmt_pipe_send_record(rmt_pipe_t *self, rmt_pipe_kind_t kind,
                         const rmt_record_t *record, rmt_error_t *error);
int rmt_pipe_flush(rmt_pipe_t *self, rmt_error_t *error);

// Wait at most timeout_ms (-1: for ever) for the next frame. 1: frame_out is set; 0: none
// in time; -1: CANCELLED when the other side has closed the pipe, PROTOCOL, TOO_BIG, IO.
int rmt_pipe_recv(rmt_pipe_t *self, int timeout_ms, rmt_frame_t *frame_out,
                  rmt_error_t *error);

typedef enum {
    RMT_RELAY_IN,    // Nothing has come
    RMT_RELAY_OUT,   // The receiver is slow
    RMT_RELAY_ENDED, // All of the volume was handed on
    RMT_RELAY_GONE,  // The receiver has closed it
} rmt_relay_t;

// Hand the frames of the volume whose VOLUME or VERIFY was received last on to a pipe,
// which does not block: what goes at once. Only the heads of blocks are looked at.
// 0: *wait_out says what it waits for; -1: CANCELLED when the other side has closed the
// pipe, PROTOCOL, TOO_BIG, IO.
int rmt_pipe_relay(rmt_pipe_t *self, int out, rmt_relay_t *wait_out, rmt_error_t *error);
// The descriptor on which RMT_RELAY_IN waits.
int rmt_pipe_in(const rmt_pipe_t *self);

// The records of a frame. Caller owns the result. NULL: PROTOCOL, TOO_BIG.
rmt_records_t *rmt_pipe_records(const rmt_frame_t *frame, rmt_error_t *error);
// Its first record. Caller owns the result. NULL: as above, or PROTOCOL when empty.
rmt_record_t *rmt_pipe_record(const rmt_frame_t *frame, rmt_error_t *error);
