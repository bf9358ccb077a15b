#include "state/rmt_farm_clock.h"

#include "base/rmt_clock.h"

int64_t
rmt_farm_clock_ms(const rmt_farm_clock_t *self)
{
    return self->ms ? self->ms + rmt_clock_ms() - self->at : 0;
}

void
rmt_farm_clock_hear(rmt_farm_clock_t *self, uint64_t clock_ms)
{
    // A number that no clock has is no time.
    if (clock_ms > INT64_MAX / 2 || (int64_t) clock_ms <= rmt_farm_clock_ms(self))
        return;
    self->ms = (int64_t) clock_ms;
    self->at = rmt_clock_ms();
}
