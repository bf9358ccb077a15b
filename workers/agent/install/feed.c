#include "agent/install/feed.h"
#include "agent/install/bundle.h"
#include "base/rmt_auto.h"
#include "wire/rmt_codec.h"
#include "base/rmt_io.h"
#include "facts/rmt_network.h"
#include "agent/install/window.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define PIECE_SIZE ((size_t) 256 * 1024)

// ---- The order

static int
s_send_order(const rmt_feed_t *feed, rmt_error_t *error)
{
    rmt_auto(rmt_records) order = rmt_records_dup(feed->disks);
    rmt_layout_write(feed->order->layout, order);
    if (feed->passphrase) {
        rmt_record_t *secret = rmt_records_add(order);
        rmt_record_set(secret, "class", "secret");
        rmt_record_set(secret, "passphrase", feed->passphrase);
    }
    rmt_pipe_t *pipe = rmt_child_pipe(feed->child);
    if (rmt_pipe_send_records(pipe, RMT_PIPE_ORDER, order, error) == -1)
        return -1;
    return rmt_pipe_flush(pipe, error);
}

// ---- Trees

// The volume of which the next frames are.
static int
s_name_volume(const rmt_feed_t *feed, rmt_pipe_kind_t kind,
              const rmt_layout_volume_t *volume, rmt_error_t *error)
{
    rmt_auto(rmt_record) record = rmt_layout_write_volume(feed->order->layout, volume);
    return rmt_pipe_send_record(rmt_child_pipe(feed->child), kind, record, error);
}

static int
s_send_tree(const rmt_feed_t *feed, const rmt_layout_volume_t *volume, rmt_error_t *error)
{
    rmt_pipe_t *pipe = rmt_child_pipe(feed->child);
    rmt_auto(rmt_manifest_reader) reader =
        rmt_manifest_reader_new(&volume->root, rmt_supply_read, feed->supply, error);
    if (!reader || s_name_volume(feed, RMT_PIPE_VOLUME, volume, error) == -1)
        return -1;
    size_t count = 0;
    const rmt_id_t *chunks = rmt_manifest_reader_chunks(reader, &count);
    rmt_supply_expect(feed->supply, chunks, count);
    rmt_auto(rmt_window) window = rmt_window_new(feed->supply, pipe);
    rmt_entry_t entry;
    int rc;
    while ((rc = rmt_manifest_reader_next(reader, &entry, error)) == 1)
        if (rmt_window_add(window, &entry, error) == -1)
            return -1;
    if (rc == -1 || rmt_window_flush(window, error) == -1 ||
        rmt_pipe_send(pipe, RMT_PIPE_VOLUME_END, NULL, 0, error) == -1)
        return -1;
    return rmt_pipe_flush(pipe, error);
}

// A source that sends on each chunk it gives: the other half reads the same manifest
// with the same reader, and so needs the same chunks in the same order.
static int
s_read_and_send(void *context, const rmt_id_t *id, void *plain_out, size_t *size_out,
                rmt_error_t *error)
{
    const rmt_feed_t *feed = context;
    if (rmt_supply_read(feed->supply, id, plain_out, size_out, error) == -1)
        return -1;
    return rmt_pipe_send(rmt_child_pipe(feed->child), RMT_PIPE_DATA, plain_out, *size_out,
                         error);
}

static int
s_send_manifest(const rmt_feed_t *feed, const rmt_layout_volume_t *volume,
                rmt_error_t *error)
{
    rmt_pipe_t *pipe = rmt_child_pipe(feed->child);
    if (s_name_volume(feed, RMT_PIPE_VERIFY, volume, error) == -1)
        return -1;
    rmt_auto(rmt_manifest_reader) reader = rmt_manifest_reader_new(
        &volume->root, s_read_and_send, (void *) (uintptr_t) feed, error);
    if (!reader)
        return -1;
    size_t count = 0;
    const rmt_id_t *chunks = rmt_manifest_reader_chunks(reader, &count);
    rmt_supply_expect(feed->supply, chunks, count);
    rmt_entry_t entry;
    int rc;
    while ((rc = rmt_manifest_reader_next(reader, &entry, error)) == 1)
        continue;
    if (rc == -1 || rmt_pipe_send(pipe, RMT_PIPE_VOLUME_END, NULL, 0, error) == -1)
        return -1;
    return rmt_pipe_flush(pipe, error);
}

typedef int(s_volume_fn)(const rmt_feed_t *feed, const rmt_layout_volume_t *volume,
                         rmt_error_t *error);

static int
s_each_volume(const rmt_feed_t *feed, s_volume_fn *send, rmt_error_t *error)
{
    const rmt_layout_volume_t **volumes = rmt_order_volumes(feed->order->layout);
    int rc = 0;
    for (size_t i = 0; i < feed->order->layout->volume_count && rc == 0; i++) {
        const rmt_layout_volume_t *volume = volumes[i];
        if (rmt_layout_has_tree(volume) && send(feed, volume, error) == -1)
            rc = rmt_wrap(error, "volume '%s'", volume->mount ? volume->mount : "");
    }
    free(volumes);
    return rc;
}

// ---- The first boot

static int
s_send_contents(rmt_pipe_t *pipe, const char *name, const char *mode, const void *data,
                size_t size, rmt_error_t *error)
{
    rmt_auto(rmt_record) file = rmt_record_new();
    rmt_record_set(file, "name", name);
    rmt_record_set(file, "mode", mode);
    rmt_record_set_u64(file, "size", size);
    if (rmt_pipe_send_record(pipe, RMT_PIPE_FILE, file, error) == -1)
        return -1;
    const uint8_t *bytes = data;
    for (size_t sent = 0; sent < size;) {
        const size_t piece = size - sent < PIECE_SIZE ? size - sent : PIECE_SIZE;
        if (rmt_pipe_send(pipe, RMT_PIPE_DATA, bytes + sent, piece, error) == -1)
            return -1;
        sent += piece;
    }
    return 0;
}

static int
s_send_files(rmt_pipe_t *pipe, const rmt_records_t *files, rmt_error_t *error)
{
    for (size_t i = 0; i < rmt_records_count(files); i++) {
        const rmt_record_t *file = rmt_records_at(files, i);
        rmt_auto_ptr data = NULL;
        size_t size = 0;
        if (rmt_io_load(rmt_record_text(file, "from", ""), (size_t) 64 * 1024 * 1024,
                        &data, &size, error) == -1 ||
            s_send_contents(pipe, rmt_record_text(file, "name", ""),
                            rmt_record_text(file, "mode", "0755"), data, size,
                            error) == -1)
            return -1;
    }
    return 0;
}

// Every address of the target's record must be up.
static int
s_print_addresses(FILE *out, const rmt_records_t *personal, rmt_error_t *error)
{
    const rmt_record_t *target = rmt_records_find(personal, "class", "target");
    rmt_network_t network = {.count = 0};
    if (target && rmt_network_parse(target, &network, error) == -1)
        return -1;
    fputs("addresses = \"", out);
    for (size_t i = 0; i < network.count; i++) {
        for (size_t k = 0; k < network.interfaces[i].address_count; k++)
            fprintf(out, "%s ", network.interfaces[i].addresses[k].text);
    }
    fputs("\"\n", out);
    return 0;
}

// Caller owns the text. NULL: USAGE.
static char *
s_config_text(const rmt_feed_t *feed, rmt_error_t *error)
{
    char *text = NULL;
    size_t size = 0;
    char image[RMT_ID_TEXT_SIZE];
    FILE *out = open_memstream(&text, &size);
    if (!out)
        abort();
    fprintf(out, "brokers = \"");
    const char *const *brokers = rmt_config_list(feed->agent->config, "brokers");
    for (size_t i = 0; brokers[i]; i++)
        fprintf(out, "%s%s", i ? " " : "", brokers[i]);
    fprintf(out, "\"\nbroker-key = \"%s\"\nname = \"%s\"\nimage = \"%s\"\n",
            feed->agent->broker_key, feed->agent->name,
            rmt_id_text(&feed->order->image, image));
    const int rc = s_print_addresses(out, feed->order->personal, error);
    fclose(out);
    if (rc == -1) {
        free(text);
        return NULL;
    }
    return text;
}

static char *
s_key_text(const rmt_key_t *key)
{
    return rmt_text("public-key = \"%s\"\nsecret-key = \"%s\"\n", key->public_text,
                    key->secret_text);
}

static int
s_send_personal(const rmt_feed_t *feed, rmt_error_t *error)
{
    rmt_pipe_t *pipe = rmt_child_pipe(feed->child);
    rmt_auto(rmt_records) files = rmt_bundle_files(error);
    if (!files || s_send_files(pipe, files, error) == -1)
        return -1;
    rmt_auto_str config = s_config_text(feed, error);
    rmt_auto_str key = s_key_text(feed->boot_key);
    if (!config ||
        s_send_contents(pipe, RMT_BUNDLE_CONFIG, "0600", config, strlen(config), error) ==
            -1 ||
        s_send_contents(pipe, RMT_BUNDLE_KEY, "0600", key, strlen(key), error) == -1)
        return -1;
    rmt_auto(rmt_records) personal = rmt_records_dup(feed->order->personal);
    rmt_auto_str command = rmt_bundle_command(files);
    rmt_record_t *line = rmt_records_add(personal);
    rmt_record_set(line, "class", "command");
    rmt_record_set(line, "command", command);
    return rmt_pipe_send_records(pipe, RMT_PIPE_PERSONAL, personal, error);
}

// ---- Boot code, which is in the image's descriptor alone

static int
s_send_boot(const rmt_feed_t *feed, rmt_error_t *error)
{
    rmt_auto_ptr plain = malloc(RMT_CHUNK_PLAIN_MAX);
    if (!plain)
        abort();
    size_t size = 0;
    if (rmt_supply_read(feed->supply, &feed->order->image, plain, &size, error) == -1)
        return rmt_wrap(error, "description of the image");
    rmt_auto(rmt_records) all =
        rmt_codec_unpack_records(plain, size, RMT_CHUNK_PLAIN_MAX, error);
    if (!all)
        return -1;
    rmt_auto(rmt_records) boot = rmt_records_new();
    for (size_t i = 0; i < rmt_records_count(all); i++) {
        rmt_auto(rmt_record) copy = rmt_record_dup(rmt_records_at(all, i));
        if (rmt_record_is(copy, "class", "boot") || rmt_record_is(copy, "class", "entry"))
            rmt_records_append(boot, &copy);
    }
    return rmt_pipe_send_records(rmt_child_pipe(feed->child), RMT_PIPE_BOOT, boot, error);
}

static int
s_feed(const rmt_feed_t *feed, rmt_error_t *error)
{
    rmt_pipe_t *pipe = rmt_child_pipe(feed->child);
    if (s_send_order(feed, error) == -1 ||
        s_each_volume(feed, s_send_tree, error) == -1 ||
        s_send_personal(feed, error) == -1 ||
        rmt_pipe_send(pipe, RMT_PIPE_SETTLE, NULL, 0, error) == -1 ||
        s_each_volume(feed, s_send_manifest, error) == -1 ||
        s_send_boot(feed, error) == -1 ||
        rmt_pipe_send(pipe, RMT_PIPE_FINISH, NULL, 0, error) == -1)
        return -1;
    return 0;
}

int
rmt_feed_run(const rmt_feed_t *feed, rmt_record_t **answer_out, rmt_error_t *error)
{
    if (s_feed(feed, error) == -1)
        return rmt_child_explain(feed->child, error);
    if (rmt_child_finish(feed->child, answer_out, error) == -1)
        return rmt_child_explain(feed->child, error);
    return 0;
}
