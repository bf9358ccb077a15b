// profiles - the profiles that come with the program, from ops/profiles.
#pragma once

#include <stddef.h>

typedef struct {
    const char *name, *text;
} rmt_profile_text_t;

// Ends with a NULL name.
extern const rmt_profile_text_t rmt_profile_texts[];
