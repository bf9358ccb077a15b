// The audit: who did what, and whether its files are whole (P24).
#include "console/audit_check.h"
#include "console/cmd.h"
#include "console/output.h"
#include "console/moment.h"
#include "base/rmt_auto.h"
#include "base/rmt_clock.h"
#include "base/rmt_io.h"
#include "crypto/rmt_sign.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIMIT 100        // Entries that are shown without --limit
#define HISTORY_MAX 1000 // Entries about one machine

static const char *const s_columns[] = {"time", "by",     "role", "what",    "act",
                                        "job",  "target", "text", "address", NULL};
static const char *const s_history_columns[] = {"time",  "what", "by", "job",
                                                "phase", "text", NULL};
static const char *const s_head_columns[] = {"broker", "n",   "since",
                                             "fault",  "key", NULL};
static const char *const s_check_columns[] = {"key",     "first", "n",
                                              "records", "state", NULL};

// One page; cursor "" for the first. Caller owns. NULL: what the broker said.
static rmt_msg_t *
s_page(call_t *call, const char *verb, const rmt_record_t *body, const char *cursor,
       rmt_error_t *error)
{
    const rmt_request_t request = {verb, body, NULL, cursor, NULL};
    return call_connect(call, error) == 0
               ? rmt_client_request(call->client, &request, error)
               : NULL;
}

// ---- ramet audit list

// For people: when, by whom by name, and in which role.
static void
s_add_words(rmt_record_t *entry)
{
    char clock[RMT_CLOCK_TEXT_SIZE];
    const uint64_t moment = rmt_record_u64(entry, "moment", 0); // Microseconds
    const char *key = rmt_record_text(entry, "by", rmt_record_text(entry, "key", ""));
    rmt_auto_str by = strdup(rmt_record_text(entry, "by-name", key));
    rmt_auto_str role = strdup(rmt_record_text(entry, "by-role", ""));
    rmt_record_set(entry, "time", rmt_clock_text((int64_t) (moment / 1000), clock));
    if (*key)
        rmt_record_set(entry, "by-key", key);
    if (*by)
        rmt_record_set(entry, "by", by);
    if (*role)
        rmt_record_set(entry, "role", role);
}

static int
s_add_page(call_t *call, rmt_record_t *body, uint64_t limit, rmt_records_t *found,
           char **cursor, rmt_error_t *error)
{
    rmt_record_set_u64(body, "limit", limit - rmt_records_count(found));
    rmt_auto(rmt_msg) page = s_page(call, "audit.list", body, *cursor, error);
    if (!page)
        return -1;
    for (size_t i = 0; i < rmt_records_count(page->items); i++) {
        rmt_record_t *entry = rmt_record_dup(rmt_records_at(page->items, i));
        s_add_words(entry);
        (void) rmt_records_append(found, &entry);
    }
    free(*cursor);
    *cursor = strdup(page->cursor ? page->cursor : "");
    return 0;
}

static int
s_list(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = call_body(call);
    const char *since = rmt_record_text(call->options, "since", NULL);
    const uint64_t limit = rmt_record_u64(call->options, "limit", LIMIT);
    int64_t since_ms = 0;
    if (since && moment_parse(since, false, &since_ms, error) == -1)
        return -1;
    rmt_record_remove(body, "since");
    if (since)
        rmt_record_set_u64(body, "since-ms", (uint64_t) since_ms);
    rmt_auto(rmt_records) found = rmt_records_new();
    rmt_auto_str cursor = strdup("");
    do {
        if (s_add_page(call, body, limit, found, &cursor, error) == -1)
            return -1;
    } while (*cursor && rmt_records_count(found) < limit);
    return output_list(found, s_columns, &call->view, error);
}

static int
s_need_target(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "name", call->operands[0]);
    rmt_auto(rmt_msg) reply = call_request(call, "target.show", body, NULL, error);
    return reply ? 0 : -1;
}

// What was done with a machine, the youngest first.
static int
s_history(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "target", call->operands[0]);
    rmt_auto(rmt_records) found = rmt_records_new();
    rmt_auto_str cursor = strdup("");
    const uint64_t limit =
        call->view.limit && !call->view.filter ? call->view.limit : HISTORY_MAX;
    do {
        if (s_add_page(call, body, limit, found, &cursor, error) == -1)
            return -1;
    } while (*cursor && rmt_records_count(found) < limit);
    if (!rmt_records_count(found) && s_need_target(call, error) == -1)
        return -1;
    return output_list(found, s_history_columns, &call->view, error);
}

// ---- ramet audit export

static int
s_write_pages(call_t *call, int fd, uint64_t *size_out, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_auto_str cursor = strdup("");
    rmt_auto_str key = NULL;
    do {
        rmt_auto(rmt_msg) page = s_page(call, "audit.export", body, cursor, error);
        if (!page)
            return -1;
        const char *of = rmt_record_text(page->body, "key", "");
        if (!key)
            key = strdup(of);
        if (strcmp(key, of) != 0)
            return rmt_fail(error, RMT_E_UNAVAILABLE,
                            "another broker answers now, and each has files of its own; "
                            "try again");
        size_t size = 0;
        const void *content = rmt_record_get(page->body, "content", &size);
        if (content && rmt_io_write(fd, content, size, error) == -1)
            return -1;
        *size_out += size;
        free(cursor);
        cursor = strdup(page->cursor ? page->cursor : "");
    } while (*cursor);
    return 0;
}

static int
s_export(call_t *call, rmt_error_t *error)
{
    const char *path = call->operands[0];
    rmt_auto_fd fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd == -1)
        return rmt_fail_errno(error, "make %s", path);
    uint64_t size = 0;
    if (s_write_pages(call, fd, &size, error) == -1) {
        (void) unlink(path);
        return -1;
    }
    if (fsync(fd) == -1)
        return rmt_fail_errno(error, "sync %s", path);
    fprintf(stderr, "%s: %" PRIu64 " bytes; look at them with: ramet audit verify %s\n",
            path, size, path);
    return 0;
}

// ---- ramet audit verify

// The keys that count: those that were given, or those of the farm's brokers.
static rmt_records_t *
s_heads(call_t *call, rmt_error_t *error)
{
    const char *given = rmt_record_text(call->options, "key", NULL);
    rmt_auto(rmt_record) body = rmt_record_new();
    if (!given) {
        rmt_records_t *heads = call_list(call, "audit.heads", body, error);
        if (!heads)
            rmt_wrap(error,
                     "ask the farm for its audit keys (--key KEY does without a broker)");
        return heads;
    }
    rmt_auto(rmt_records) heads = rmt_records_new();
    rmt_auto_str words = strdup(given);
    char *rest = NULL;
    for (char *word = strtok_r(words, ",", &rest); word;
         word = strtok_r(NULL, ",", &rest)) {
        rmt_sign_key_t key;
        char text[RMT_SIGN_PUBLIC_TEXT_SIZE];
        if (!rmt_sign_key_parse(&key, word) &&
            rmt_sign_key_load_public(&key, word, error) == -1)
            return NULL;
        rmt_record_set(rmt_records_add(heads), "key", rmt_sign_key_text(&key, text));
    }
    return rmt_take(&heads);
}

// Of chains that are whole, how much more the farm has.
static int
s_judge(const rmt_records_t *found, const rmt_records_t *heads)
{
    int status = 0;
    for (size_t i = 0; i < rmt_records_count(found); i++) {
        const rmt_record_t *chain = rmt_records_at(found, i);
        const rmt_record_t *head =
            rmt_records_find(heads, "key", rmt_record_text(chain, "key", ""));
        const uint64_t n = rmt_record_u64(chain, "n", 0);
        const uint64_t known = head ? rmt_record_u64(head, "n", 0) : 0;
        if (!rmt_record_is(chain, "state", "whole"))
            status = 1;
        else if (known > n)
            fprintf(stderr,
                    "line %" PRIu64 " is the last one here, and the broker has written "
                    "%" PRIu64
                    " more: they are newer than these files, or were cut off\n",
                    n, known - n);
    }
    return status;
}

static int
s_verify(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_records) heads = s_heads(call, error);
    rmt_auto(rmt_records) found =
        heads ? audit_check(call->operands, call->operand_count, heads, error) : NULL;
    if (!found)
        return -1;
    if (output_list(found, s_check_columns, &call->view, error) == -1)
        return -1;
    return s_judge(found, heads);
}

static const option_t s_list_options[] = {
    {"since", "TIME", "not older than this: 2026-11-30, 2026-11-30T10:00:00Z, 45m, 2h"},
    {"by", "WHO", "of this person, machine or key"},
    {"target", "NAME", "about this target"},
    {"job", "JOB", "about this job"},
    {"refused", NULL, "refused acts alone"},
    {"limit", "N", "so many entries (default 100)"},
    {NULL, NULL, NULL},
};
static const option_t s_verify_options[] = {
    {"key", "KEY",
     "a key that signs: its digits, or a file audit.pub; may be given several times, and "
     "asks no broker"},
    {NULL, NULL, NULL},
};

const command_t cmd_audit[] = {
    {"audit", "list", "", 0, 0,
     "Show who did what, the youngest first, from the audit stream.", s_list, NULL,
     s_columns, s_list_options},
    {"target", "history", "NAME", 1, 1,
     "Show what was done with a target, when and by whom, the youngest first.", s_history,
     NULL, s_history_columns, NULL},
    {"audit", "heads", "", 0, 0,
     "Show how far each broker has written its audit files, and the key that signs them.",
     command_run_list, "audit.heads", s_head_columns, NULL},
    {"audit", "export", "FILE", 1, 1,
     "Write all audit files of a broker into one file, with a signature at its end.",
     s_export, NULL, NULL, NULL},
    {"audit", "verify", "FILE...", 1, -1,
     "Look whether audit files are whole, and name the first line that was edited, cut "
     "out, moved or inserted. Exit status 1 when they are not.",
     s_verify, NULL, s_check_columns, s_verify_options},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL},
};
