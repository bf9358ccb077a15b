// Trust roots, warrants and signatures of images, as an agent gets them from a broker
// that it does not trust. A signature that is added changes nothing but the signatures,
// and nothing passes by a trust root without keys.
#include <stdint.h>
#include <string.h>

#include "base/rmt_auto.h"
#include "fuzz/must.h"
#include "trust/rmt_warrant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Of a trust root without keys nothing is true.
static void
s_try_others(const uint8_t *data, size_t size)
{
    static const char empty[] =
        "class=root farm=mill version=1 threshold=1 unsigned-images=yes\n";
    rmt_error_t error = {0};
    rmt_auto_str text = strndup((const char *) data, size);
    rmt_auto(rmt_root) root = rmt_root_read(empty, strlen(empty), &error);
    rmt_auto(rmt_records) none = rmt_records_new();
    rmt_auto(rmt_records) releases = rmt_releases_read(text, &error);
    const rmt_order_t order = {.image = {.bytes = {RMT_ID_SHA256}}};
    rmt_release_t best;
    MUST(!releases || !rmt_releases_best(releases, &order.image, root, &best));
    const rmt_warrant_case_t against = {.root = root,
                                        .target = "n1",
                                        .identity = "uuid:1",
                                        .order = &order,
                                        .releases = none};
    rmt_warrant_signers_t signers;
    MUST(rmt_warrant_check(text, &against, &signers, &error) == -1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    s_try_others(data, size);
    static rmt_sign_key_t key;
    static const rmt_sign_key_t none;
    if (memcmp(&key, &none, sizeof key) == 0)
        rmt_sign_key_new(&key);
    rmt_error_t error = {0};
    rmt_auto(rmt_root) root = rmt_root_read(data, size, &error);
    MUST(root || error.code != RMT_E_OK);
    if (!root)
        return 0;
    MUST(rmt_root_version(root) > 0 && *rmt_root_farm(root));
    const size_t count = rmt_records_count(rmt_root_text(root)->signatures);
    rmt_auto_str text = rmt_root_sign(root, &key);
    rmt_auto(rmt_root) again = rmt_root_read(text, strlen(text), &error);
    MUST(again || count == RMT_SIGNED_KEYS_MAX || error.code == RMT_E_TOO_BIG);
    if (!again)
        return 0;
    const rmt_records_t *signatures = rmt_root_text(again)->signatures;
    MUST(rmt_id_equal(rmt_root_id(root), rmt_root_id(again)));
    MUST(rmt_records_count(signatures) == count + 1);
    // The key has no role, so the root is as good as it was.
    rmt_error_t before = {0}, after = {0};
    MUST(rmt_root_check(root, &before) == rmt_root_check(again, &after));
    return 0;
}
