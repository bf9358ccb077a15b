// rmt_luks - headers of LUKS: what they say of an encrypted partition, and making one, by
// the program cryptsetup. Never a key in an argument, a file or a message: cryptsetup
// gets passphrase and key by descriptors.
#pragma once

#include <stdint.h>
#include "base/rmt_error.h"
#include "base/rmt_record.h"
#include "facts/rmt_layout.h"

#define RMT_LUKS_KEY_MAX 64

// Set what the header on a device says; disk, partition and name stay. What a copy does
// not have, such as further passphrases, is added to told {path, reason}, for words.
// 0, or -1: NOT_FOUND (no cryptsetup), UNSUPPORTED (by name), IO.
int rmt_luks_read(const char *device, const char *words, rmt_layout_crypt_t *crypt,
                  rmt_records_t *told, rmt_error_t *error);
// The same from what `cryptsetup luksDump` prints; for tests.
int rmt_luks_parse(const char *dump, const char *words, rmt_layout_crypt_t *crypt,
                   rmt_records_t *told, rmt_error_t *error);

// Whether this computer has cryptsetup. 0, or -1: UNSUPPORTED.
int rmt_luks_check(rmt_error_t *error);

// Make the header of a layout's encrypted partition on a device, with a new key of its
// key_bytes, which the passphrase opens. The key is put into key_out; the caller
// overwrites it. 0, or -1: NOT_FOUND, IO.
int rmt_luks_format(const rmt_layout_crypt_t *crypt, const char *device,
                    const char *passphrase, uint8_t key_out[RMT_LUKS_KEY_MAX],
                    rmt_error_t *error);

// A mapping of dm-crypt that is open on a device.
typedef struct {
    char *name;   // Owned: below /dev/mapper
    char *device; // Owned: its node
    char *uuid;   // Owned: of the header, without dashes; NULL: it has none
} rmt_luks_open_t;

// The mapping on a device by what a sysfs folder tells ("/sys"); a name of NULL: there is
// none. 0, or -1: NOT_FOUND (no such device).
int rmt_luks_find_open(const char *sysfs, const char *device, rmt_luks_open_t *open_out,
                       rmt_error_t *error);
void rmt_luks_open_clear(rmt_luks_open_t *open);
