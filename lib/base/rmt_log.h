// rmt_log - one logfmt line to standard error for each event.
//
//     rmt_log(RMT_INFO, "chunk.stored", "job=%s size=%zu", job, size);
//
// Only programs log; library code returns errors. `event` is a stable name.
// Control characters in the formatted fields are escaped. Thread-safe: one write
// for each line.
#pragma once

typedef enum { RMT_ERROR = 0, RMT_WARN = 1, RMT_INFO = 2, RMT_DEBUG = 3 } rmt_level_t;

// Lines above this level are not written. Default RMT_INFO. Set before threads start.
void rmt_log_set_level(rmt_level_t level);

void rmt_log(rmt_level_t level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// The last lines of this process, whole ones, oldest first, each with its newline: as
// many as size holds with the terminating NUL, and no more than RMT_LOG_TAIL_SIZE. Any
// thread.
#define RMT_LOG_TAIL_SIZE 2048
void rmt_log_tail(char *out, unsigned long size);

// Quote for logfmt and terminals: control and non-ASCII bytes as \xNN. Writes at
// most size bytes with the terminating NUL to out. Returns out.
char *rmt_log_escape(char *out, unsigned long size, const char *text);
