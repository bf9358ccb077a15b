// sound - is a chunk here, and whole? What an engine has and is damaged, it fetches again
// as what it lacks.
#pragma once

#include <stdbool.h>
#include "store/rmt_store.h"

// Reads and checks the chunk; one that is damaged is logged with the place's name.
bool installer_is_sound(rmt_store_t *store, const char *place, const rmt_id_t *id);
