// Lines of audit files, as the console reads them from anywhere. What is read has one
// form, and a chain takes only what it has written itself.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/rmt_auto.h"
#include "crypto/rmt_chain_walk.h"
#include "fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// A line that is read, with another octet in what its link covers, does not hold.
static void
s_try_line(const char *text, size_t size)
{
    rmt_error_t error = {0};
    rmt_chain_line_t line, again;
    if (rmt_chain_read(&line, text, size, &error) == -1) {
        MUST(error.code == RMT_E_CORRUPT);
        return;
    }
    MUST(line.body_size < size && line.at.n > 0);
    MUST(rmt_chain_read(&again, text, size, &error) == 0);
    MUST(memcmp(&line.at, &again.at, sizeof line.at) == 0);
    static const uint8_t zeros[RMT_CHAIN_LINK_SIZE];
    const uint8_t *prev = *line.mark ? line.prev : zeros;
    if (!rmt_chain_holds(prev, &line, text))
        return;
    rmt_auto_ptr memory = malloc(size);
    char *other = memory;
    MUST(other);
    memcpy(other, text, size);
    other[line.body_size - 1] ^= 1;
    MUST(!rmt_chain_holds(prev, &line, other));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rmt_chain_walk_t walk = {0};
    uint64_t number = 0, whole = 0;
    const char *at = (const char *) data, *end = at + size;
    while (at < end) {
        const char *next = memchr(at, '\n', (size_t) (end - at));
        const size_t length = next ? (size_t) (next - at) + 1 : (size_t) (end - at);
        rmt_chain_line_t line;
        s_try_line(at, length);
        if (rmt_chain_walk_step(&walk, (rmt_chain_walk_place_t){"f", ++number}, at,
                                length, &line)) {
            MUST(walk.fault == RMT_CHAIN_WALK_WHOLE && line.at.n == walk.at.n);
            whole++;
        }
        at += length;
    }
    MUST(walk.lines == whole && walk.signed_n <= walk.at.n);
    rmt_auto_str text = rmt_chain_walk_text(&walk);
    MUST((text == NULL) == (walk.fault == RMT_CHAIN_WALK_WHOLE));
    return 0;
}
