// diskw_look - what is on a disk that the writer has written.
#pragma once

#include "facts/rmt_layout.h"

// The table is that of the layout, and the tree on it is that of the folder but for what
// belongs to the first boot; fails the test otherwise.
void diskw_look(const char *path, const char *tree, const rmt_layout_t *layout);
