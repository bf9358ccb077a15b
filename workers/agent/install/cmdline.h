// cmdline - the settings of a bare machine on the kernel's command line.
//
//     ramet.broker=HOST[:PORT][,...]  ramet.key=KEY  ramet.token=TOKEN
//     ramet.engine=NAME  ramet.name=NAME  ramet.shell
//
// KEY is a public key in Z85, or its 64 hexadecimal digits (no boot loader reads
// anything into these); without it the token's is used.
#pragma once

#include "base/rmt_error.h"

// Turn the line into a file for RMT_AGENT_ROWS: the role is target, the machine starts
// anew when it is written, and all that is kept lies in the folder. Words that are
// not ramet's are skipped. Caller owns the result (free).
// NULL: CONFIG (an unknown or repeated option, one that is missing or makes no sense).
char *rmt_cmdline_config(const char *line, const char *folder, rmt_error_t *error);
