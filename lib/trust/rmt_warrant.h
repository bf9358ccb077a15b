// rmt_warrant - what an operator has confirmed for one target, signed (P20, P21;
// docs/spec/7-trust.md).
//
// It is a signed text (trust/rmt_signed.h), one for each target of a job:
//     class=warrant farm= image= target= identity= policy= issued= not-after= least=
//         allow-older=yes|no nonce= personal=
//     class=choice role= disk= bytes=      a disk that may be written, as in the order
//     class=script name= hash= timeout-s=  a script that runs at the first boot
// The console signs it, the agent checks it; broker and workers carry it unread. Pure.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/rmt_error.h"
#include "base/rmt_record.h"
#include "crypto/rmt_sign.h"
#include "facts/rmt_order.h"
#include "trust/rmt_release.h"
#include "trust/rmt_root.h"

#define RMT_WARRANT_SIZE_MAX ((size_t) 16 * 1024)
#define RMT_WARRANT_SIGNER_SIZE 288
#define RMT_WARRANT_LIFE_S 86400 // Where its user says nothing else

typedef struct {
    const char *farm, *image, *target, *identity, *policy;
    const char *nonce;    // Of the job's warrants, as text
    const char *personal; // Digest of the target's record (rmt_order_personal_id)
    uint64_t issued_s, not_after_s;
    uint64_t least;   // Release counter that the image must have at least; 0: none
    bool allow_older; // Install a release that is older than least, too
    const rmt_records_t *choice;  // Records of class choice {role, disk, bytes}
    const rmt_records_t *scripts; // Records with {name, hash, timeout-s}
} rmt_warrant_t;

// Caller owns the text (free).
char *rmt_warrant_sign(const rmt_warrant_t *self, const rmt_sign_key_t *key);

// Seconds since 1970 by the computer's clock, or the day from which on this version is
// built when that is later: a clock that was set back makes no warrant last longer.
uint64_t rmt_warrant_now_s(void);

// What the machine knows, against which a warrant is held. Borrowed.
typedef struct {
    const rmt_root_t *root;
    const char *target, *identity; // Of this machine
    const char *only_mac;          // Of its only interface; NULL where it has several
    const rmt_order_t *order;      // That it is to carry out
    const rmt_records_t *releases; // Signatures of the image
    uint64_t now_s;
    uint64_t newest_s; // When the newest warrant was issued that it has accepted
} rmt_warrant_case_t;

typedef struct {
    char operator[RMT_WARRANT_SIGNER_SIZE]; // Who signed the warrant: person and key
    uint64_t issued_s;
    bool is_signed; // The image is; release tells by whom
    rmt_release_t release;
} rmt_warrant_signers_t;

// May the order be carried out? Every field is held against the case, and an image that
// is not signed against the trust root. *signers_out is set on success.
// 0, or -1: NOT_ALLOWED (what differs, and what to do), PROTOCOL (is no warrant).
int rmt_warrant_check(const char *text, const rmt_warrant_case_t *against,
                      rmt_warrant_signers_t *signers_out, rmt_error_t *error);
