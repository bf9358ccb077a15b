#include "place/space.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_log.h"
#include "machine/rmt_inventory.h"
#include "store/rmt_space.h"

#include <time.h>

// Wait at least once: the try before has failed, whatever the file system says now.
static int
s_await(rmt_task_t *task, const rmt_holder_t *holder, rmt_error_t *error)
{
    const char *store = rmt_holder_store(holder);
    const char *place = rmt_holder_place(holder);
    const uint64_t needed = rmt_space_needed(store);
    (void) rmt_space_check(store, place, needed, error);
    rmt_log(RMT_WARN, "space.awaited", "place=%s error=\"%s\"", place, error->text);
    do {
        const struct timespec pause = {.tv_sec = 1};
        rmt_task_progress(task, "await-space", 0, 0, error->text);
        nanosleep(&pause, NULL);
        if (!rmt_task_go_on(task))
            return rmt_fail(error, RMT_E_CANCELLED,
                            "the task was cancelled while it waited for space");
    } while (rmt_space_check(store, place, needed, error) == -1);
    return 0;
}

int
place_with_space(rmt_task_t *task, void *holder, rmt_task_fn *run, rmt_error_t *error)
{
    while (run(task, holder, error) == -1) {
        if (error->code != RMT_E_NO_SPACE)
            return rmt_inventory_name_disk(rmt_holder_store(holder), error);
        if (s_await(task, holder, error) == -1)
            return -1;
    }
    return 0;
}
