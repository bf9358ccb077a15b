#include "installer/sound.h"
#include "base/rmt_log.h"

bool
installer_is_sound(rmt_store_t *store, const char *place, const rmt_id_t *id)
{
    rmt_chunk_t chunk;
    rmt_error_t why = {0};
    if (!rmt_store_has(store, id))
        return false;
    if (rmt_store_get(store, id, true, &chunk, &why) == 0)
        return true;
    rmt_log(RMT_WARN, "chunk.damaged", "place=%s text=\"%s\"", place, why.text);
    return false;
}
