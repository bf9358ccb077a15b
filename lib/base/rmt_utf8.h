// rmt_utf8 - characters of UTF-8 (RFC 3629: shortest form, no surrogates). NUL is none:
// texts end with it.
#pragma once

#include <stddef.h>

// How many bytes at data are one character; 0: they are none, or size is 0.
size_t rmt_utf8_character(const void *data, size_t size);

// How many bytes at data are characters, up to the first that is none.
size_t rmt_utf8_span(const void *data, size_t size);
