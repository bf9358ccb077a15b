// rmt_library - the text of the Redis function library, made from the .lua files.
#pragma once

#include <stddef.h>

extern const char rmt_state_library[];
extern const size_t rmt_state_library_size; // Without the NUL at the end
