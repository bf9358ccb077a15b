// ramet-board TARGETS ROUNDS - a deployment to so many targets as `ramet job watch` would
// draw it, on standard error: each round brings all of them forward. The last one fails.
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "console/board.h"
#include "tools/rmt_wait.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MIB (1024 * 1024)

static const char *const s_phases[] = {"prepare", "partition", "unpack",
                                       "verify",  "reboot",    "awaiting-first-boot"};
#define PHASE_COUNT (sizeof s_phases / sizeof *s_phases)

static void
s_step(board_t *board, unsigned number, unsigned count, unsigned step, unsigned rounds)
{
    char name[16];
    snprintf(name, sizeof name, "n%04u", number);
    rmt_auto(rmt_record) news = rmt_record_new();
    // A target is the later the higher its number is, by two phases at most.
    const unsigned place = step * ((unsigned) PHASE_COUNT + 2) * 100 / rounds;
    const unsigned own =
        place - (place < 200 * number / count ? place : 200 * number / count);
    const unsigned phase = own / 100;
    if (phase >= PHASE_COUNT) {
        rmt_record_set(news, "state", number == count ? "failed" : "done");
        rmt_record_set(news, "phase", number == count ? "failed" : "confirmed");
        if (number == count)
            rmt_record_set(news, "error", "the disk is gone");
    } else {
        rmt_record_set(news, "state", "running");
        rmt_record_set(news, "phase", s_phases[phase]);
        rmt_record_set_u64(news, "done", (uint64_t) (own % 100) * MIB);
        rmt_record_set_u64(news, "total", (uint64_t) 100 * MIB);
        rmt_record_set(news, "text",
                       "a text that is longer than the terminal is wide, as reasons are, "
                       "so that it would be broken into two lines and more");
    }
    board_update(board, name, news);
}

int
main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: ramet-board TARGETS ROUNDS\n", stderr);
        return 64;
    }
    const unsigned count = (unsigned) atoi(argv[1]), rounds = (unsigned) atoi(argv[2]);
    rmt_auto(board) board = board_new("j-abcdefgh", false);
    for (unsigned step = 0; step <= rounds; step++) {
        for (unsigned number = 1; number <= count; number++)
            s_step(board, number, count, step, rounds);
        board_draw(board);
        rmt_pause(105, "the frames of a terminal are 100 ms apart");
    }
    board_end(board, "partial", "");
    return 1;
}
