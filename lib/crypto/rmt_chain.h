// rmt_chain - lines of text of which each holds the one before: the form of audit files.
//
//     {"n":17,<members>,"link":"<64 digits>"}\n
//     {"n":18,"mark":"<word>","prev":"<64 digits>","key":"<64 digits>",<members>,
//      "link":"<64 digits>","signature":"<128 digits>"}\n     (one line)
//
// A link is the SHA-256 over the 32 octets of the link before and the line from its first
// octet to the last one before ,"link". So the octets that are read are those that were
// hashed, whatever they mean as JSON. A mark is signed, and names the link before it: a
// reader can begin there. Format: docs/spec/8-audit.md. Pure: no file.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/rmt_error.h"
#include "crypto/rmt_sign.h"

#define RMT_CHAIN_LINK_SIZE 32
#define RMT_CHAIN_LINK_TEXT_SIZE (2 * RMT_CHAIN_LINK_SIZE + 1)
#define RMT_CHAIN_LINE_MAX ((size_t) 256 * 1024) // Octets of a line, its end included

// Where a chain stands: behind the line n. All zero: before its first line.
typedef struct {
    uint64_t n;
    uint8_t link[RMT_CHAIN_LINK_SIZE];
} rmt_chain_t;

// The next line, with these members of a JSON object (no braces, not empty). Moves the
// chain on. Caller owns the result (free).
char *rmt_chain_add(rmt_chain_t *self, const char *members);

// The same of a mark; word has no character that JSON escapes. key is a pair.
char *rmt_chain_mark(rmt_chain_t *self, const char *word, const char *members,
                     const rmt_sign_key_t *key);

// A line as it is written.
typedef struct {
    rmt_chain_t at;   // Its number and its link
    size_t body_size; // Octets before ,"link"
    char mark[16];    // "" when it is none
    // Of a mark alone:
    uint8_t prev[RMT_CHAIN_LINK_SIZE];
    rmt_sign_key_t key;
    uint8_t signature[RMT_SIGN_SIZE];
} rmt_chain_line_t;

// Read a line, which may be foreign; size counts its end of line if it has one.
// 0, or -1: CORRUPT.
int rmt_chain_read(rmt_chain_line_t *line_out, const char *text, size_t size,
                   rmt_error_t *error);

// Is this the link of the text, which was read as line, behind the link prev?
bool rmt_chain_holds(const uint8_t prev[RMT_CHAIN_LINK_SIZE],
                     const rmt_chain_line_t *line, const char *text);

// Is the signature of a mark by its own key? Whose key it is, the caller knows.
bool rmt_chain_is_signed(const rmt_chain_line_t *line);

char *rmt_chain_link_text(const uint8_t link[RMT_CHAIN_LINK_SIZE],
                          char out[RMT_CHAIN_LINK_TEXT_SIZE]);
