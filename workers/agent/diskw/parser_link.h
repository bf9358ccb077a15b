// parser_link - messages between the writer and the process that parses for it, over a
// pair of sockets that keep messages apart. The receiver checks each size, and the
// descriptor that comes along.
#pragma once

#include "base/rmt_error.h"

#include <linux/limits.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    RMT_PARSER_TASK = 1, // To the parser, once
    RMT_PARSER_PROGRESS, // From the parser: numbers {done}
    RMT_PARSER_FINDING,  // Of a comparison: path, what and text, each with its NUL
    RMT_PARSER_REQUEST,  // An act on an inode, with its descriptor
    RMT_PARSER_ANSWER,   // To the parser, of each request
    RMT_PARSER_RESULT,   // From the parser, its last: code and text, or numbers
} rmt_parser_kind_t;

#define RMT_PARSER_BYTES_MAX ((size_t) XATTR_SIZE_MAX)

// Of RMT_PARSER_TASK.
enum {
    RMT_PARSER_STAGE,
    RMT_PARSER_KIND, // RMT_PARSER_TREE ...
    RMT_PARSER_SEES_TRUSTED,
    RMT_PARSER_THREADS
};
enum { RMT_PARSER_TREE, RMT_PARSER_VFAT, RMT_PARSER_RAW };
// Of RMT_PARSER_RESULT; PROGRESS has the first.
enum { RMT_PARSER_DONE, RMT_PARSER_ENTRIES };

typedef struct {
    uint32_t kind;
    uint32_t code;      // RESULT, FINDING: rmt_code_t; REQUEST: act; ANSWER: errno
    int64_t numbers[4]; // REQUEST: room, mode; ANSWER: result
    char name[XATTR_NAME_MAX + 1]; // REQUEST: of an attribute; "" for none
    uint32_t size;                 // Of bytes
    // Not part of what is sent:
    int fd; // With a REQUEST, else -1
    uint8_t bytes[XATTR_SIZE_MAX];
} rmt_parser_message_t;

// Send a message; borrows fd. 0, or -1: IO.
int rmt_parser_send(int link, const rmt_parser_message_t *message, rmt_error_t *error);
// Wait for one. 1: the caller owns its fd; 0: the other side has ended; -1: PROTOCOL, IO.
int rmt_parser_recv(int link, rmt_parser_message_t *message_out, rmt_error_t *error);
