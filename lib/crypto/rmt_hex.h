// rmt_hex - reading hexadecimal digits in their one form. Private to lib/crypto.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Read 2 * size lower-case digits at `at`; what is behind them is not looked at. `at` has
// so many octets, or a NUL. False for anything else; then out has no meaning.
bool rmt_hex_read(uint8_t *out, size_t size, const char *at);
