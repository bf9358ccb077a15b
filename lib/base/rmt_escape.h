// rmt_escape - characters that tables of mounts and names of links write as digits.
#pragma once

typedef enum {
    RMT_ESCAPE_OCTAL, // \040 of fstab and mountinfo
    RMT_ESCAPE_HEX,   // \x20 of the links that udev makes
} rmt_escape_t;

// Put the characters in place of their digits, each once: what comes out is not read
// again. Other backslashes, and digits that are too few or make a NUL, stay as they are.
// Changes text, and returns it.
char *rmt_escape_undo(char *text, rmt_escape_t kind);
