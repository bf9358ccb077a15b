// redis_server - a real redis-server in a temporary folder, on a unix socket only.
#pragma once

#include <sys/types.h>

typedef struct {
    char dir[64];
    char socket[96];
    pid_t pid;
} redis_server_t;

// Make the folder and start. Fails the test when it does not answer in 10 s.
void redis_server_new(redis_server_t *self);
// End it with this signal by its pid, and wait.
void redis_server_end(redis_server_t *self, int signal);
// Start it again over what it has on disk.
void redis_server_start(redis_server_t *self);
// Load a library of functions in place of the one that has its name.
void redis_server_load(const redis_server_t *self, const char *library, size_t size);
// What redis-cli prints of a script. Caller owns the result.
char *redis_server_eval(const redis_server_t *self, const char *script);
// End it and remove the folder.
void redis_server_destroy(redis_server_t *self);

// Start a program with its output in dir/name.log; its pid.
pid_t spawn_program(const char *dir, const char *name, char *const *argv);
// Send the signal and wait up to 10 s for the end. Returns the status of waitpid.
int end_program(pid_t *pid, int signal);
