// The trust root of a farm, and the keys of persons who sign (P20, P21).
#include "console/cmd.h"
#include "console/output.h"
#include "console/trust_file.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const s_key_columns[] = {"role", "name", "key", NULL};
static const char *const s_revoked_columns[] = {"key", NULL};
static const char *const s_signature_columns[] = {"name", "key", "counts", NULL};

// ---- Files alone

// PATH, and PATH.pub for others.
static int
s_make_key(const char *path, rmt_error_t *error)
{
    rmt_auto_str public = rmt_text("%s.pub", path);
    rmt_sign_key_t key;
    rmt_sign_key_new(&key);
    const int rc = rmt_sign_key_save(&key, path, error) == -1
                       ? -1
                       : rmt_sign_key_save_public(&key, public, error);
    rmt_sign_key_wipe(&key);
    return rc;
}

static int
s_key(call_t *call, rmt_error_t *error)
{
    const char *path = call->operands[0];
    if (access(path, F_OK) == 0)
        return rmt_fail(
            error, RMT_E_EXISTS,
            "the key file %s exists, and ramet never replaces a key; name another file",
            path);
    if (s_make_key(path, error) == -1)
        return -1;
    printf("%s\n%s.pub\n", path, path);
    return 0;
}

static int
s_init(call_t *call, rmt_error_t *error)
{
    const char *path = call->operands[0];
    const char *farm = rmt_record_text(call->options, "farm", "");
    const uint64_t threshold = rmt_record_u64(call->options, "threshold", 1);
    if (access(path, F_OK) == 0)
        return rmt_fail(error, RMT_E_EXISTS,
                        "the file %s exists; change it with: ramet trust add %s ROLE KEY",
                        path, path);
    if (!*farm)
        return rmt_fail(error, RMT_E_USAGE,
                        "a trust root needs the name of its farm: --farm NAME");
    rmt_auto_str text = rmt_root_draft(
        farm, threshold, rmt_record_has(call->options, "unsigned-images"), error);
    return text ? trust_save(path, text, error) : -1;
}

// A key as its digits, or the file that has it.
static int
s_find_key(const char *word, char out[RMT_SIGN_PUBLIC_TEXT_SIZE], rmt_error_t *error)
{
    rmt_sign_key_t key;
    if (!rmt_sign_key_parse(&key, word) &&
        rmt_sign_key_load_public(&key, word, error) == -1)
        return -1;
    (void) rmt_sign_key_text(&key, out);
    return 0;
}

static int
s_add(call_t *call, rmt_error_t *error)
{
    rmt_root_role_t role;
    char key[RMT_SIGN_PUBLIC_TEXT_SIZE];
    if (!rmt_root_role_parse(call->operands[1], &role))
        return rmt_fail(error, RMT_E_USAGE,
                        "\"%s\" is not a role of a trust root; write root, order or "
                        "image",
                        call->operands[1]);
    rmt_auto(rmt_root) root = trust_load(call->operands[0], error);
    if (!root || s_find_key(call->operands[2], key, error) == -1)
        return -1;
    rmt_auto_str text = rmt_root_draft_add(
        root, role, key, rmt_record_text(call->options, "name", ""), error);
    return text ? trust_save(call->operands[0], text, error) : -1;
}

static int
s_remove(call_t *call, rmt_error_t *error)
{
    char key[RMT_SIGN_PUBLIC_TEXT_SIZE];
    rmt_auto(rmt_root) root = trust_load(call->operands[0], error);
    if (!root || s_find_key(call->operands[1], key, error) == -1)
        return -1;
    rmt_auto_str text = rmt_root_draft_remove(root, key, error);
    return text ? trust_save(call->operands[0], text, error) : -1;
}

static int
s_sign(call_t *call, rmt_error_t *error)
{
    const char *path = rmt_record_text(call->options, "key", "");
    rmt_sign_key_t key;
    if (!*path)
        return rmt_fail(error, RMT_E_USAGE,
                        "the signature needs a key: --key FILE; make one with: ramet "
                        "trust key FILE");
    rmt_auto(rmt_root) root = trust_load(call->operands[0], error);
    if (!root || rmt_sign_key_load(&key, path, error) == -1)
        return -1;
    rmt_auto_str text = rmt_root_sign(root, &key);
    rmt_sign_key_wipe(&key);
    return trust_save(call->operands[0], text, error);
}

// ---- With the broker

// Of the version, or the newest for 0. Caller owns. NULL: what the broker said, USAGE.
static rmt_root_t *
s_ask(call_t *call, uint64_t version, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    if (version)
        rmt_record_set_u64(body, "version", version);
    rmt_auto(rmt_msg) reply = call_request(call, "trust.root", body, NULL, error);
    if (!reply)
        return NULL;
    size_t size = 0;
    const void *text = rmt_record_get(reply->body, "root", &size);
    return rmt_root_read(text, size, error);
}

// id_out: of the trust root.
static int
s_send(call_t *call, const rmt_root_t *root, char id_out[RMT_ID_TEXT_SIZE],
       rmt_error_t *error)
{
    const uint64_t version = rmt_root_version(root);
    if (version > 1) {
        rmt_auto(rmt_root) before = s_ask(call, version - 1, error);
        if (!before || rmt_root_check_next(before, root, error) == -1)
            return -1;
    }
    const rmt_signed_t *text = rmt_root_text(root);
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set_u64(body, "version", version);
    rmt_record_set(body, "id", rmt_id_text(rmt_root_id(root), id_out));
    rmt_record_set(body, "root", text->text);
    rmt_auto(rmt_msg) reply = call_request(call, "trust.publish", body, NULL, error);
    return reply ? 0 : -1;
}

static int
s_publish(call_t *call, rmt_error_t *error)
{
    char id[RMT_ID_TEXT_SIZE];
    rmt_auto(rmt_root) root = trust_load(call->operands[0], error);
    if (!root || rmt_root_check(root, error) == -1 || s_send(call, root, id, error) == -1)
        return -1;
    printf("%s\n", id);
    rmt_auto_str path = realpath(call->operands[0], NULL); // As settings need it
    fprintf(
        stderr,
        "tokens of targets tell it to new agents, when the console's configuration has "
        "trust-root = \"%s\"; to others: trust-root = \"%s\" in their settings, "
        "ramet.root=%s on the command line of the thin-kernel\n",
        path ? path : call->operands[0], id, id);
    return 0;
}

// ---- All at once

// The pair in FOLDER/ROLE.key, which is made when it is missing.
static int
s_need_key(const char *folder, rmt_root_role_t role, rmt_sign_key_t *key_out,
           rmt_error_t *error)
{
    rmt_auto_str path = rmt_text("%s/%s.key", folder, rmt_root_role_name(role));
    if (access(path, F_OK) != 0 && s_make_key(path, error) == -1)
        return -1;
    return rmt_sign_key_load(key_out, path, error);
}

// The draft with the key of one role in addition. Takes and gives texts that their owner
// frees. NULL: as rmt_root_draft_add, IO.
static char *
s_add_role(const char *folder, rmt_root_role_t role, const char *farm, char *text,
           rmt_error_t *error)
{
    rmt_auto_str before = text;
    char digits[RMT_SIGN_PUBLIC_TEXT_SIZE];
    rmt_sign_key_t key;
    rmt_auto_str person = rmt_text("%s %s", farm, rmt_root_role_name(role));
    rmt_auto(rmt_root) root = rmt_root_read(before, strlen(before), error);
    if (!root || s_need_key(folder, role, &key, error) == -1)
        return NULL;
    (void) rmt_sign_key_text(&key, digits);
    rmt_sign_key_wipe(&key);
    return rmt_root_draft_add(root, role, digits, person, error);
}

// A first version with a key of each role, signed. Caller owns the text.
static char *
s_make_root(const call_t *call, const char *folder, rmt_error_t *error)
{
    const char *farm = rmt_record_text(call->options, "farm", "");
    rmt_sign_key_t key;
    if (!*farm) {
        rmt_fail(error, RMT_E_USAGE,
                 "a trust root needs the name of its farm: --farm NAME");
        return NULL;
    }
    char *text =
        rmt_root_draft(farm, 1, rmt_record_has(call->options, "unsigned-images"), error);
    for (rmt_root_role_t role = 0; text && role < RMT_ROOT_ROLE_COUNT; role++)
        text = s_add_role(folder, role, farm, text, error);
    rmt_auto_str draft = text;
    rmt_auto(rmt_root) root = draft ? rmt_root_read(draft, strlen(draft), error) : NULL;
    if (!root || s_need_key(folder, RMT_ROOT_ROLE_ROOT, &key, error) == -1)
        return NULL;
    char *signed_text = rmt_root_sign(root, &key);
    rmt_sign_key_wipe(&key);
    return signed_text;
}

static int
s_create(call_t *call, rmt_error_t *error)
{
    char id[RMT_ID_TEXT_SIZE];
    if (rmt_io_mkdirs(call->operands[0], 0700, error) == -1)
        return -1;
    rmt_auto_str folder = realpath(call->operands[0], NULL); // As settings need it
    if (!folder)
        return rmt_fail_errno(error, "find %s", call->operands[0]);
    rmt_auto_str path = rmt_text("%s/farm.root", folder);
    if (access(path, F_OK) != 0) {
        rmt_auto_str text = s_make_root(call, folder, error);
        if (!text || trust_save(path, text, error) == -1)
            return -1;
    }
    rmt_auto(rmt_root) root = trust_load(path, error);
    if (!root || rmt_root_check(root, error) == -1 || s_send(call, root, id, error) == -1)
        return -1;
    printf("%s\n", id);
    fprintf(
        stderr,
        "write into the console's configuration:\n"
        "  trust-root = \"%s\"\n  order-key = \"%s/order.key\"\n"
        "into the settings of imagers:\n  sign-key = \"%s/image.key\"\n"
        "into the settings of agents of targets that have a key already:\n"
        "  trust-root = \"%s\"\n"
        "keep %s/root.key off the network: the next trust root is signed with this key\n",
        path, folder, folder, id, folder);
    return 0;
}

// ---- Showing

static void
s_add_keys(const rmt_root_t *root, rmt_records_t *keys, rmt_records_t *revoked)
{
    const rmt_records_t *records = rmt_root_text(root)->records;
    for (size_t i = 0; i < rmt_records_count(records); i++) {
        const rmt_record_t *record = rmt_records_at(records, i);
        rmt_record_t *copy = rmt_record_dup(record);
        rmt_record_remove(copy, "class");
        if (rmt_record_is(record, "class", "key"))
            rmt_records_append(keys, &copy);
        else if (rmt_record_is(record, "class", "revoked"))
            rmt_records_append(revoked, &copy);
        else
            rmt_record_destroy(&copy);
    }
}

static void
s_add_signatures(const rmt_root_t *root, rmt_records_t *signatures)
{
    const rmt_signed_t *text = rmt_root_text(root);
    for (size_t i = 0; i < rmt_records_count(text->signatures); i++) {
        const rmt_record_t *record = rmt_records_at(text->signatures, i);
        const char *key = rmt_record_text(record, "key", "");
        const char *person = rmt_root_person(root, RMT_ROOT_ROLE_ROOT, key);
        rmt_record_t *row = rmt_records_add(signatures);
        rmt_record_set(row, "name", person ? person : "");
        rmt_record_set(row, "key", key);
        rmt_record_set(row, "counts", person ? "yes" : "no");
    }
}

static int
s_show(call_t *call, rmt_error_t *error)
{
    const char *path = call_operand(call, 0);
    rmt_auto(rmt_root) root = path ? trust_load(path, error) : s_ask(call, 0, error);
    if (!root)
        return -1;
    rmt_error_t why = {0};
    char id[RMT_ID_TEXT_SIZE];
    const rmt_signed_t *text = rmt_root_text(root);
    rmt_auto(rmt_record) head = rmt_record_dup(rmt_records_at(text->records, 0));
    rmt_record_remove(head, "class");
    rmt_record_set(head, "id", rmt_id_text(rmt_root_id(root), id));
    rmt_record_set(head, "signed",
                   rmt_root_check(root, &why) == 0 ? "enough root keys" : why.text);
    rmt_auto(rmt_records) keys = rmt_records_new();
    rmt_auto(rmt_records) revoked = rmt_records_new();
    rmt_auto(rmt_records) signatures = rmt_records_new();
    s_add_keys(root, keys, revoked);
    s_add_signatures(root, signatures);
    const output_section_t sections[] = {
        {"keys", keys, s_key_columns},
        {"revoked", revoked, s_revoked_columns},
        {"signatures", signatures, s_signature_columns},
    };
    output_sections(head, sections, sizeof sections / sizeof *sections, &call->view);
    return 0;
}

static const option_t s_init_options[] = {
    {"farm", "NAME", "name of the farm, which each warrant names"},
    {"threshold", "N", "root keys that must sign each version (default 1)"},
    {"unsigned-images", NULL, "let targets install images that are not signed"},
    {NULL, NULL, NULL},
};
static const option_t s_add_options[] = {
    {"name", "PERSON", "name of the person with this key"},
    {NULL, NULL, NULL},
};
static const option_t s_sign_options[] = {
    {"key", "FILE", "the key that signs; made with: ramet trust key FILE"},
    {NULL, NULL, NULL},
};

static const option_t s_create_options[] = {
    {"farm", "NAME", "name of the farm, which each warrant names"},
    {"unsigned-images", NULL, "let targets install images that are not signed"},
    {NULL, NULL, NULL},
};

const command_t cmd_trust[] = {
    {"trust", "create", "FOLDER", 1, 1,
     "Make a trust root with one key for each role in FOLDER, and publish it: all that a "
     "farm of one person needs. What is there already stays.",
     s_create, NULL, NULL, s_create_options},
    {"trust", "key", "FILE", 1, 1,
     "Make the signing key of a person: FILE, and FILE.pub for others.", s_key, NULL,
     NULL, NULL},
    {"trust", "init", "FILE", 1, 1, "Begin a trust root in a file.", s_init, NULL, NULL,
     s_init_options},
    {"trust", "add", "FILE ROLE KEY", 3, 3,
     "Let a key (a .pub file, or its digits) sign roots (role root), warrants (order) or "
     "images (image). A change of a signed trust root begins its next version.",
     s_add, NULL, NULL, s_add_options},
    {"trust", "remove", "FILE KEY", 2, 2, "Revoke a key in a trust root.", s_remove, NULL,
     NULL, NULL},
    {"trust", "sign", "FILE", 1, 1, "Sign a trust root with a root key.", s_sign, NULL,
     NULL, s_sign_options},
    {"trust", "show", "[FILE]", 0, 1,
     "Show a trust root with its keys and signatures: of the file, or the newest of the "
     "broker.",
     s_show, NULL, NULL, NULL},
    {"trust", "publish", "FILE", 1, 1,
     "Give a signed trust root to the broker, from which agents fetch it.", s_publish,
     NULL, NULL, NULL},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL},
};
