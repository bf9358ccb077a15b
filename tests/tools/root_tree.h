// root_tree - a temporary folder that a test fills as the root of a system: one at a
// time. Everything fails the test when it fails; paths are below the root.
#pragma once

#include <stdbool.h>

// cmocka set-up and tear-down: an empty root; it is removed with all that is in it.
int root_tree_setup(void **state);
int root_tree_teardown(void **state);

const char *root_tree_path(void);
int root_tree_fd(void);

// Write a file with its folders.
void root_tree_put(const char *path, const char *text);
// Make a symlink with its folders, in place of what has its name.
void root_tree_link(const char *path, const char *target);

// Whether there is something of this name, be it a symlink to nowhere.
bool root_tree_has(const char *path);
// The text of a file. Caller owns it (free).
char *root_tree_get(const char *path);
// The file has this text.
void root_tree_expect(const char *path, const char *wanted);
