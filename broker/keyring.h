// keyring - the records of all keys in memory, and the keys that may shake hands.
//
// The truth is in Redis; administrators' keys alone come from files. Every message is
// checked against it, so a revoked key is refused at its next message.
#pragma once

#include "broker/broker.h"

rmt_keyring_t *rmt_keyring_new(rmt_broker_t *broker);
void rmt_keyring_destroy(rmt_keyring_t **self_p);

// Let the administrators of the settings in. 0, or -1: CONFIG, NOT_FOUND, IO.
int rmt_keyring_add_admins(rmt_keyring_t *self, rmt_error_t *error);

// Is there an admin of this name?
bool rmt_keyring_has_admin(const rmt_keyring_t *self, const char *name);

// Add the records of the admins to the items of a reply.
void rmt_keyring_list_admins(const rmt_keyring_t *self, rmt_msg_t *reply);

// Take a record {key, role, name, place, state, epoch} of Redis over.
void rmt_keyring_put(rmt_keyring_t *self, const rmt_record_t *record);

// Forget all that Redis said: only the administrators may act until it is read
// anew.
void rmt_keyring_forget(rmt_keyring_t *self);

// Read all keys; done(broker) is called when they are here.
void rmt_keyring_load(rmt_keyring_t *self, void (*done)(rmt_broker_t *broker));
// Read one key again.
void rmt_keyring_refresh(rmt_keyring_t *self, const char *key);

// The record of a key that may act now, or NULL. Valid until the loop turns.
const rmt_record_t *rmt_keyring_find(const rmt_keyring_t *self, const char *user);
