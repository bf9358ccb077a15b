// check - the store check of the command line (P13, P14).
#pragma once

// Re-hash every chunk and read every manifest; findings go to standard output.
// Returns the exit status: 0 all well, 2 something is missing or damaged.
int imager_check_store(const char *folder);
