// Keys and tokens.
#include "console/cmd.h"
#include "console/output.h"
#include "console/trust_file.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "crypto/rmt_key.h"

#include <stdio.h>
#include <string.h>

static const char *const s_key_columns[] = {"name",  "role", "place",
                                            "state", "key",  NULL};
static const char *const s_token_columns[] = {
    "id", "role", "name", "place", "uses", "left-s", "approve", "by", NULL};

static int
s_make_key(const char *folder, const char *name, rmt_error_t *error)
{
    rmt_auto_str secret = rmt_text("%s/%s.key", folder, name);
    rmt_auto_str public = rmt_text("%s/%s.pub", folder, name);
    if (access(secret, F_OK) == 0)
        return rmt_fail(
            error, RMT_E_EXISTS,
            "the key file %s exists, and ramet never replaces a key; name another folder",
            secret);
    rmt_key_t key;
    if (rmt_key_new(&key, error) == -1 || rmt_key_save(&key, secret, error) == -1 ||
        rmt_key_save_public(&key, public, error) == -1)
        return -1;
    printf("%s\n%s\n", secret, public);
    return 0;
}

static int
s_key_init(call_t *call, rmt_error_t *error)
{
    const char *folder = call->operands[0];
    if (rmt_io_mkdirs(folder, 0700, error) == -1)
        return -1;
    if (s_make_key(folder, "broker", error) == -1 ||
        s_make_key(folder, "admin", error) == -1)
        return -1;
    return 0;
}

// The token of a target also tells the trust root on which its agent relies: by the word
// of this console, not of the broker.
static int
s_tell_root(call_t *call, rmt_record_t *answer, rmt_error_t *error)
{
    char text[RMT_TOKEN_TEXT_SIZE];
    rmt_token_t token;
    rmt_auto(rmt_root) root = NULL;
    if (trust_of(call, &root, error) == -1)
        return -1;
    if (!root) {
        fputs("ramet: the console's configuration names no trust-root, so an agent with "
              "this token carries out no order; see: ramet trust create --help\n",
              stderr);
        return 0;
    }
    if (rmt_token_parse(&token, rmt_record_text(answer, "token", ""), error) == -1)
        return -1;
    (void) rmt_id_text(rmt_root_id(root), token.root);
    rmt_record_set(answer, "token", rmt_token_text(&token, text));
    return 0;
}

static int
s_key_token(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = call_body(call);
    rmt_record_set(body, "role", call->operands[0]);
    rmt_auto(rmt_msg) reply = call_request(call, "key.token", body, NULL, error);
    if (!reply || (rmt_record_is(body, "role", "target") &&
                   s_tell_root(call, rmt_msg_body(reply), error) == -1))
        return -1;
    if (call->json)
        return output_record(reply->body, NULL, NULL, NULL, &call->view, error);
    puts(rmt_record_text(reply->body, "token", ""));
    return 0;
}

// The text of --token: of standard input, of a file, or of the command line.
static char *
s_token(const call_t *call, rmt_error_t *error)
{
    const char *word = rmt_record_text(call->options, "token", "");
    if (!*word) {
        rmt_fail(error, RMT_E_USAGE,
                 "enrolment needs --token; an admin makes one with: ramet key token %s",
                 call->operands[0]);
        return NULL;
    }
    if (strcmp(word, "-") != 0)
        return rmt_token_find(word, error);
    char line[RMT_TOKEN_TEXT_SIZE + 1] = "";
    if (!fgets(line, sizeof line, stdin)) {
        rmt_fail(error, RMT_E_USAGE, "standard input has no token");
        return NULL;
    }
    line[strcspn(line, "\n")] = '\0';
    return strdup(line);
}

static int
s_key_enrol(call_t *call, rmt_error_t *error)
{
    rmt_auto_str token = s_token(call, error);
    if (!token)
        return -1;
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "role", call->operands[0]);
    rmt_record_set(body, "name", rmt_record_text(call->options, "name", ""));
    rmt_auto(rmt_record) answer = call_enrol(call, token, body, error);
    if (!answer)
        return -1;
    if (rmt_record_count(answer) == 0)
        return rmt_fail(error, RMT_E_EXISTS,
                        "this console has a key already; the setting key names its file");
    return output_record(answer, NULL, NULL, NULL, &call->view, error);
}

static int
s_whoami(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_msg) reply = call_request(call, "key.whoami", NULL, NULL, error);
    if (!reply)
        return -1;
    return output_record(reply->body, NULL, NULL, NULL, &call->view, error);
}

// The new pair waits beside the old one, so that a rotation that was cut off goes on with
// the same pair.
static int
s_next_key(const char *path, rmt_key_t *key_out, rmt_error_t *error)
{
    if (rmt_key_load(key_out, path, error) == 0)
        return 0;
    if (error->code != RMT_E_NOT_FOUND)
        return -1;
    return rmt_key_new(key_out, error) == -1 || rmt_key_save(key_out, path, error) == -1
               ? -1
               : 0;
}

static int
s_key_rotate(call_t *call, rmt_error_t *error)
{
    if (call_connect(call, error) == -1)
        return -1;
    rmt_key_t next;
    const char *own = rmt_config_text(call->config, "key");
    rmt_auto_str path = rmt_text("%s.next", own);
    if (s_next_key(path, &next, error) == -1)
        return -1;
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "key", next.public_text);
    rmt_key_wipe(&next);
    rmt_auto(rmt_msg) reply = call_request(call, "key.rotate", body, NULL, error);
    if (!reply)
        return -1;
    if (rename(path, own) == -1)
        return rmt_fail_errno(error, "rename %s", path);
    if (rmt_io_sync_parent(own, error) == -1)
        return -1;
    rmt_client_destroy(&call->client); // The new key asks, and the old one ends
    return s_whoami(call, error);
}

static const option_t s_token_options[] = {
    {"name", "NAME", "only a machine of this name"},
    {"place", "PLACE", "place of an imager or installer, engine of a target"},
    {"ttl-s", "SECONDS", "life time in seconds (default 3600)"},
    {"uses", "N", "number of machines that may use it (default 1)"},
    {"approve", NULL, "approve keys that enrol with it at once"},
    {NULL, NULL, NULL},
};
static const option_t s_revoke_options[] = {
    {"force", NULL, "revoke all keys of the name"},
    {NULL, NULL, NULL},
};
static const option_t s_enrol_options[] = {
    {"token", "FILE", "file (or - for standard input) with a token, or a token"},
    {"name", "NAME", "name of the key in lists"},
    {NULL, NULL, NULL},
};

const command_t cmd_key[] = {
    {"key", "init", "FOLDER", 1, 1,
     "Make the keys of a new farm: broker and first admin.", s_key_init, NULL, NULL,
     NULL},
    {"key", "list", "", 0, 0, "List enrolled keys.", command_run_list, "key.list",
     s_key_columns, NULL},
    {"key", "token", "ROLE", 1, 1, "Make an enrolment token.", s_key_token, NULL, NULL,
     s_token_options},
    {"key", "enrol", "ROLE", 1, 1,
     "Enrol this console's key as operator, viewer or dashboard, with a token.",
     s_key_enrol, NULL, NULL, s_enrol_options},
    {"key", "rotate", "", 0, 0,
     "Replace this console's key by a new one; the old one ends when the new one works.",
     s_key_rotate, NULL, NULL, NULL},
    {"key", "approve", "NAME", 1, 1, "Approve a pending key.", command_run_act,
     "key.approve", NULL, NULL},
    {"key", "revoke", "NAME", 1, 1,
     "Revoke a key; it is refused from its next message on.", command_run_act,
     "key.revoke", NULL, s_revoke_options},
    {"token", "list", "", 0, 0, "List the tokens that may still be used.",
     command_run_list, "token.list", s_token_columns, NULL},
    {"token", "revoke", "ID", 1, 1, "Revoke a token.", command_run_act, "token.revoke",
     NULL, NULL},
    {"whoami", "", "", 0, 0, "Show the name and role of this console's key.", s_whoami,
     NULL, NULL, NULL},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL},
};
