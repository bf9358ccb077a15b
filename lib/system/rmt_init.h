// rmt_init - the program that starts the services of a tree. Private to lib/system.
#pragma once

#include "base/rmt_error.h"

// systemd openrc runit busybox sysv; "none" where nothing starts services; else the name
// of a program that ramet does not know.
typedef struct {
    char name[64];
} rmt_init_t;

// Tell it by what /sbin/init is, and by the tables that it reads; without /sbin/init by
// the tables and by systemd's own program. Nothing is run.
// 0, or -1: what rmt_rooted_load says.
int rmt_init_look(int root_fd, rmt_init_t *init_out, rmt_error_t *error);
