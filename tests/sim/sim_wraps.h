// sim_wraps - functions of the product that the linker replaces in the simulation alone
// (--wrap in tests/cmake/sim.cmake). Whole rooms that are played have no entry here:
// sim_net.c is rmt_socket.c and rmt_zap.c, sim_state.c is rmt_state.c and rmt_redis.c,
// sim_task.c is rmt_task.c.
#pragma once

#include <czmq.h>
#include "base/rmt_error.h"
#include "base/rmt_guarded.h"
#include "broker/aside.h"
#include "broker/audit_file.h"
#include "crypto/rmt_key.h"

// sim_world.c
int64_t __wrap_rmt_clock_ms(void);
int64_t __wrap_rmt_clock_wall_ms(void);
void __wrap_rmt_random_bytes(void *bytes, size_t size);

// sim_farm.c: no signals, the state files of brokers, which no crash can tear, keys by
// chance, and no identity of a machine
int __wrap_rmt_signals_read(int fd);
int __wrap_rmt_io_load(const char *path, size_t limit, void **data_out, size_t *size_out,
                       rmt_error_t *error);
int __wrap_rmt_guarded_load(const rmt_guarded_t *file, char **text_out, size_t *size_out,
                            rmt_error_t *error);
int __wrap_rmt_io_save(const char *path, const void *data, size_t size, mode_t mode,
                       rmt_error_t *error);
// The computer that the simulation runs on has no part in it.
char *__wrap_rmt_inventory_own_identity(void);
int __wrap_rmt_key_new(rmt_key_t *key_out, rmt_error_t *error);

// sim_net.c: zsock_destroy of what rmt_socket_new has made
void __wrap_zsock_destroy_checked(zsock_t **socket_p, const char *file, size_t line);

// sim_audit.c: the audit files of brokers, which stay when a broker ends, and a key of
// each
rmt_audit_file_t *__wrap_rmt_audit_file_new(const char *folder);
void __wrap_rmt_audit_file_destroy(rmt_audit_file_t **self_p);
int __wrap_rmt_audit_file_open(rmt_audit_file_t *self, char **last_out,
                               rmt_error_t *error);
int __wrap_rmt_audit_file_key(const rmt_audit_file_t *self, rmt_sign_key_t *key_out,
                              rmt_error_t *error);
uint64_t __wrap_rmt_audit_file_size(const rmt_audit_file_t *self);
int64_t __wrap_rmt_audit_file_begun_ms(const rmt_audit_file_t *self);
int __wrap_rmt_audit_file_next(rmt_audit_file_t *self, uint64_t n, rmt_error_t *error);
int __wrap_rmt_audit_file_append(rmt_audit_file_t *self, const char *lines, size_t size,
                                 rmt_error_t *error);
// The simulation has one thread.
void __wrap_rmt_aside_begin(rmt_aside_t *self, rmt_aside_fn *work, rmt_aside_fn *done,
                            void *context);
