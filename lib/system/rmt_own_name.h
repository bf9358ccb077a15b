// rmt_own_name - what the image's machine is called, and what its copy is called in its
// place. Private to lib/system.
//
// A name is compared whole and in any case of letters. localhost and its relatives are
// names of every machine, and never the own one.
#pragma once

#include "base/rmt_error.h"
#include "facts/rmt_network.h"
#include "system/rmt_span.h"

#define RMT_OWN_NAMES_MAX 8
#define RMT_OWN_NAME_SIZE 256

typedef struct {
    char names[RMT_OWN_NAMES_MAX][RMT_OWN_NAME_SIZE]; // As its files of names say them
    size_t count;
} rmt_own_name_t;

// Read the files that give a system its host name. 0, or -1: TOO_BIG, DISK, IO.
int rmt_own_name_read(int root_fd, rmt_own_name_t *self_out, rmt_error_t *error);

// Add one more, such as a name with its domain that another file tells. What is no name,
// everyone's or known is left out, and so is what there is no space for.
void rmt_own_name_add(rmt_own_name_t *self, rmt_span_t word);

// Is the word one of the names?
bool rmt_own_name_is(const rmt_own_name_t *self, rmt_span_t word);
// One of the names, one with its domain, or without it?
bool rmt_own_name_is_form(const rmt_own_name_t *self, rmt_span_t word);

// Has the word a domain, and is one of the names the same without or with another one?
bool rmt_own_name_is_with_domain(const rmt_own_name_t *self, rmt_span_t word);

// Take a text off *rest up to the next word that is a form of the name. Words of the name
// of a variable ($web) or of a path (/srv/web) are none. False when there is none.
bool rmt_own_name_find(const rmt_own_name_t *self, rmt_span_t *rest,
                       rmt_span_t *word_out);

// The copy's name in the form of an old word: with a domain where that has one. The
// domain of the record comes before that of the word. Caller owns the result (free).
char *rmt_own_name_new(const rmt_network_t *network, rmt_span_t word);
