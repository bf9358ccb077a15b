#include "installer/secret.h"
#include "base/rmt_auto.h"
#include "crypto/rmt_box.h"
#include "crypto/rmt_secret.h"

#include <string.h>

#define NO_PASSPHRASE                                                                    \
    "the image has an encrypted partition, and this engine has no passphrase for it; "   \
    "in its installer.cfg set luks-passphrase = \"FILE\", or luks-recipient = \"KEY\" "  \
    "of an admin (ramet key list), who reads those that are made with: ramet target "    \
    "secret NAME"

// Caller gives *text_out back to rmt_secret_free.
static int
s_load(const char *path, char **text_out, rmt_error_t *error)
{
    rmt_auto_secret text = NULL;
    if (rmt_secret_load(path, "file of luks-passphrase", &text, error) == -1)
        return -1;
    text[strcspn(text, "\n")] = '\0';
    if (rmt_box_check_passphrase(text, error) == -1)
        return rmt_wrap(error, "%s", path);
    *text_out = rmt_take(&text);
    return 0;
}

// *recipient_out is "" for a passphrase of the file.
static int
s_find(const rmt_config_t *config, char **text_out, const char **recipient_out,
       rmt_error_t *error)
{
    const char *path = rmt_config_text(config, "luks-passphrase");
    const char *recipient = rmt_config_text(config, "luks-recipient");
    if (*path && *recipient)
        return rmt_fail(error, RMT_E_CONFIG,
                        "luks-passphrase and luks-recipient are both set; set one");
    if (!*path && !*recipient)
        return rmt_fail(error, RMT_E_CONFIG, NO_PASSPHRASE);
    if (*recipient && !rmt_key_is_valid(recipient))
        return rmt_fail(error, RMT_E_CONFIG,
                        "luks-recipient is not a public key of 40 Z85 characters, as "
                        "ramet key list shows it");
    *recipient_out = recipient;
    if (*path)
        return s_load(path, text_out, error);
    *text_out = rmt_box_passphrase();
    return 0;
}

int
installer_secret_check(const rmt_config_t *config, rmt_error_t *error)
{
    rmt_auto_secret text = NULL;
    const char *recipient;
    return s_find(config, &text, &recipient, error);
}

int
installer_secret_add(rmt_task_t *task, const rmt_config_t *config,
                     const rmt_layout_t *layout, rmt_error_t *error)
{
    const char *key = rmt_record_text(rmt_task_body(task), "agent-key", "");
    const char *recipient;
    rmt_auto_secret text = NULL;
    if (layout->crypt_count == 0)
        return 0;
    if (s_find(config, &text, &recipient, error) == -1)
        return -1;
    if (!rmt_key_is_valid(key))
        return rmt_fail(error, RMT_E_REFUSED,
                        "the target's agent is not there, and the passphrase of its "
                        "disk is sealed for it; start the machine, then: ramet job "
                        "retry JOB --failed");
    rmt_auto_str sealed = rmt_box_seal(key, text);
    rmt_record_set(rmt_task_outputs(task), "secret", sealed);
    if (!*recipient)
        return 0;
    rmt_auto_str told = rmt_box_seal(recipient, text);
    rmt_record_set(rmt_task_outputs(task), "told-secret", told);
    return 0;
}
