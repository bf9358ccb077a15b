// rmt_escape - characters that the links of udev write as digits: \x20 for a blank.
#pragma once

// Put the characters in place of their digits, each once: what comes out is not read
// again. Other backslashes, and digits that are too few or make a NUL, stay as they are.
// Changes text, and returns it.
char *rmt_escape_undo(char *text);
