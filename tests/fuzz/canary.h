// canary - what lies beside the tree of a fuzzer, and may not change.
#pragma once

// Plant it in the folder, in which "root" is the tree. Borrows the descriptor.
void canary_plant(int folder_fd);
// The process ends when anything in the folder has changed since, but for what is in
// "root".
void canary_look(int folder_fd);
