#include "imager/imager.h"

// The data port receives; the service is offered so that `holders` finds this worker.
int
imager_receive(rmt_task_t *task, void *holder, rmt_error_t *error)
{
    (void) task;
    (void) holder;
    return rmt_fail(error, RMT_E_REFUSED,
                    "service receive is a data port and takes no tasks");
}
