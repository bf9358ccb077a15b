// board - the progress of a job on a terminal: as many lines as fit, drawn over again.
//
// A frame has a line for the job, with a sum, a rate and the time that is left, and one
// for each task and target that has not ended. When these are more than the terminal has
// lines, there is one for each phase instead, and one for each of the slowest. Without a
// terminal a line is written when a phase changes, or when something waits.
#pragma once

#include <stdbool.h>
#include "base/rmt_record.h"

typedef struct board board_t;

// job: the name that people use. Caller owns.
board_t *board_new(const char *job, bool quiet);
void board_destroy(board_t **self_p);

// News of a task or a target: {phase, state, done, total, text, error, stuck}. A target
// has ended by its state.
void board_update(board_t *self, const char *name, const rmt_record_t *news);

// A task has ended, and its line goes. News of it bring it back.
void board_drop(board_t *self, const char *name);

// What the job as a whole waits for; "" for nothing.
void board_set_stuck(board_t *self, const char *stuck);

// Show a frame, unless the last one is just there; without a terminal nothing.
void board_draw(board_t *self);

// Take the frame away, and say how the job ended, with the reasons of targets that
// failed, equal ones once, and what to do next.
void board_end(board_t *self, const char *state, const char *error);
