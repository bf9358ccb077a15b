// grove - the input of a fuzzer as a tree of files, in memory, with a canary beside it.
//
// An input is sections, each with a line before its bytes:
//     == PATH           a file; the bytes up to the next such line are its contents
//     == PATH/          a folder
//     == PATH -> WHERE  a symlink
// Paths that lead out of the tree are left out, links may lead anywhere.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Make the tree of an input. Returns the descriptor of its root, which is grove's.
// is_closed: links that lead out are left out too.
int grove_make(const uint8_t *data, size_t size, bool is_closed);
// Its path; and the path of the folder around it, which lasts as long as the process and
// in which others may keep files.
const char *grove_root(void);
const char *grove_top(void);
// Look that nothing but the tree has changed, and remove it.
void grove_end(void);
