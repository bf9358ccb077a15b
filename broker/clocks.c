#include "broker/clocks.h"

#include <inttypes.h>
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"

#define APART_S 30 // Less says nothing, for a message takes its time

// By how many seconds a time of day is ahead of the broker's; 0 when it is nearly so.
static int64_t
s_ahead_s(uint64_t wall_ms)
{
    if (wall_ms == 0 || wall_ms > INT64_MAX)
        return 0;
    const int64_t ahead_s = ((int64_t) wall_ms - rmt_clock_wall_ms()) / 1000;
    return ahead_s < APART_S && ahead_s > -APART_S ? 0 : ahead_s;
}

void
rmt_clocks_look(const rmt_member_t *member, rmt_record_t *body)
{
    const int64_t ahead_s = s_ahead_s(rmt_record_u64(body, "wall-ms", 0));
    rmt_record_remove(body, "wall-ms");
    rmt_record_remove(body, "clock-ahead-s");
    if (ahead_s == 0)
        return;
    rmt_auto_str text = rmt_text("%+" PRId64, ahead_s);
    rmt_record_set(body, "clock-ahead-s", text);
    rmt_log(RMT_WARN, "clock.differs", "role=%s name=%s ahead-s=%s", member->role,
            member->name, text);
}

void
rmt_clocks_add_redis(rmt_record_t *body)
{
    const int64_t ahead_s = s_ahead_s(rmt_record_u64(body, "redis-ms", 0));
    rmt_record_remove(body, "redis-ms");
    if (ahead_s == 0)
        return;
    const char *others = rmt_record_text(body, "clocks", "");
    rmt_auto_str text =
        rmt_text("redis %+" PRId64 " s%s%s", ahead_s, *others ? ", " : "", others);
    rmt_record_set(body, "clocks", text);
}
