#include "console/contents.h"
#include "console/field.h"
#include "console/image.h"
#include "console/release.h"
#include "console/update.h"
#include "console/output.h"
#include "base/rmt_auto.h"
#include "base/rmt_io.h"
#include "base/rmt_rooted.h"
#include "tree/rmt_beneath.h"
#include "tree/rmt_writer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

// ---- show

// The parts of a descriptor, each with what a table shows of it.
static const struct {
    const char *part, *class; // class NULL: all of the part
    const char *title;
    const char *const columns[7];
} s_parts[] = {
    {"hardware",
     NULL,
     "hardware",
     {"class", "vendor", "device", "model", "driver", "bytes", NULL}},
    {"layout", NULL, "layout", {"class", "disk", "number", "type", "fs", "mount", NULL}},
    {"os", NULL, "os", {"class", "id", "version", "kind", "path", NULL}},
    {"boot", "boot", "boot", {"disk", "offset", NULL}},
    {"boot", "entry", "entry", {"label", "path", NULL}},
    {"exclude", NULL, "left-out", {"path", "what", NULL}},
    {"list", "unreadable", "unreadable", {"path", "reason", NULL}},
    {"list", "fuzzy", "fuzzy", {"path", "reason", NULL}},
    {"list", "dropped", "dropped", {"path", "reason", NULL}},
    {"list", "replayed", "replayed", {"path", "reason", NULL}},
};
#define PART_COUNT (sizeof s_parts / sizeof *s_parts)

static const char *const s_signature_columns[] = {"release", "name", "state", NULL};

static rmt_records_t *
s_part(const rmt_records_t *descriptor, size_t part)
{
    rmt_records_t *found = rmt_records_new();
    for (size_t i = 0; i < rmt_records_count(descriptor); i++) {
        const rmt_record_t *record = rmt_records_at(descriptor, i);
        if (!rmt_record_is(record, "part", s_parts[part].part) ||
            (s_parts[part].class && !rmt_record_is(record, "class", s_parts[part].class)))
            continue;
        rmt_record_t *copy = rmt_record_dup(record);
        rmt_record_remove(copy, "part");
        if (rmt_record_has(copy, "content")) // Boot code is for machines alone
            rmt_record_remove(copy, "content");
        rmt_records_append(found, &copy);
    }
    return found;
}

static void
s_show_parts(const rmt_record_t *record, rmt_records_t *signatures,
             const rmt_records_t *descriptor, const view_t *view)
{
    output_section_t sections[PART_COUNT + 1];
    sections[PART_COUNT] =
        (output_section_t){"signatures", signatures, s_signature_columns};
    for (size_t i = 0; i < PART_COUNT; i++)
        sections[i] = (output_section_t){s_parts[i].title, s_part(descriptor, i),
                                         s_parts[i].columns};
    output_sections(record, sections, PART_COUNT + 1, view);
    for (size_t i = 0; i < PART_COUNT; i++)
        rmt_records_destroy(&sections[i].items);
}

int
contents_show(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "name", call->operands[0]);
    rmt_auto(rmt_msg) reply = call_request(call, "image.show", body, NULL, error);
    if (!reply)
        return -1;
    rmt_error_t why = {0};
    rmt_auto(image) image = image_open(call, call->operands[0], &why);
    if (!image) {
        // The catalogue's own record says most of it, also when no holder is there.
        rmt_auto_str safe = field_safe(why.text, strlen(why.text));
        fprintf(stderr, "ramet: the lists of the image cannot be read: %s\n", safe);
        return output_record(reply->body, NULL, NULL, NULL, &call->view, error);
    }
    rmt_auto(rmt_record) record = rmt_record_dup(reply->body);
    const rmt_record_t *facts = rmt_records_find(image->descriptor, "class", "image");
    static const char *const taken[] = {"firmware", "fuzzy", "unreadable"};
    static const char *const called[] = {"firmware", "fuzzy-count", "unreadable-count"};
    for (size_t i = 0; facts && i < sizeof taken / sizeof *taken; i++)
        if (rmt_record_has(facts, taken[i]))
            rmt_record_set(record, called[i], rmt_record_text(facts, taken[i], ""));
    rmt_record_remove(record, "hardware");
    rmt_record_remove(record, "layout");
    rmt_auto(rmt_records) signatures = release_take(call, record, error);
    if (!signatures)
        return -1;
    s_show_parts(record, signatures, image->descriptor, &call->view);
    return 0;
}

// ---- files

const char *const contents_columns[] = {"mode", "owner", "size", "mtime", "path", NULL};

typedef struct {
    const char *below; // Without slashes at its ends; "" for all
    size_t below_size;
    rmt_records_t *items;
} listing_t;

static int
s_list_entry(void *context, const rmt_record_t *volume, const rmt_entry_t *entry,
             rmt_error_t *error)
{
    (void) error;
    listing_t *listing = context;
    rmt_auto_str path = rmt_text("%s/%s", image_mount(volume), entry->path);
    const size_t size = listing->below_size;
    if (size && (strncmp(path + 1, listing->below, size) != 0 ||
                 (path[1 + size] && path[1 + size] != '/')))
        return 0;
    rmt_record_t *item = rmt_records_add(listing->items);
    rmt_record_setf(item, "mode", "%06o", entry->mode);
    rmt_record_setf(item, "owner", "%u:%u", entry->uid, entry->gid);
    rmt_record_set_u64(item, "size", entry->size);
    rmt_record_setf(item, "mtime", "%" PRId64 ".%09u", entry->mtime_s, entry->mtime_ns);
    rmt_record_put(item, "path", path, strlen(path));
    if (entry->target)
        rmt_record_put(item, "target", entry->target, strlen(entry->target));
    if (entry->link_group)
        rmt_record_set_u64(item, "link-group", entry->link_group);
    if (entry->fuzzy || entry->unreadable)
        rmt_record_set(item, "state", entry->unreadable ? "unreadable" : "fuzzy");
    return 0;
}

int
contents_files(call_t *call, rmt_error_t *error)
{
    rmt_auto(image) self = image_open(call, call->operands[0], error);
    if (!self)
        return -1;
    const char *below = call_operand(call, 1) ? call_operand(call, 1) : "";
    rmt_auto(rmt_records) items = rmt_records_new();
    listing_t listing = {.below = below + strspn(below, "/"), .items = items};
    listing.below_size = strlen(listing.below);
    while (listing.below_size && listing.below[listing.below_size - 1] == '/')
        listing.below_size--;
    const rmt_record_t *volume;
    for (size_t i = 0; (volume = image_volume(self, i)); i++)
        if (image_each_entry(self, volume, s_list_entry, &listing, error) == -1)
            return -1;
    if (listing.below_size && rmt_records_count(items) == 0)
        return rmt_fail(error, RMT_E_NOT_FOUND, "image %s has no file %s",
                        call->operands[0], below);
    return output_list(items, contents_columns, &call->view, error);
}

// ---- checkout (M17)

typedef struct {
    image_t *image;
    rmt_writer_t *writer;
    uint8_t *plain; // [RMT_CHUNK_PLAIN_MAX]
} checkout_t;

static int
s_checkout_entry(void *context, const rmt_record_t *volume, const rmt_entry_t *entry,
                 rmt_error_t *error)
{
    (void) volume;
    checkout_t *checkout = context;
    rmt_fetch_t *fetch = checkout->image->data;
    if (rmt_writer_entry(checkout->writer, entry, error) == -1)
        return -1;
    for (size_t i = 0; i < entry->chunk_count; i++) {
        size_t size;
        if (rmt_fetch_read(fetch, &entry->chunks[i], checkout->plain, &size, error) ==
                -1 ||
            rmt_writer_data(checkout->writer, checkout->plain, size, error) == -1)
            return rmt_wrap(error, "%s", entry->path);
    }
    return 0;
}

// The folder of a volume below that of the checkout, where the links of the image lead to
// as they do on its machine, and never out of it (P22). One that is missing is made, as
// systemd makes it.
static int
s_open_volume(int folder, const char *mount, rmt_error_t *error)
{
    rmt_auto_str real = rmt_rooted_real(folder, mount);
    if (!real && rmt_rooted_mkdirs(folder, mount, error) == -1)
        return rmt_wrap(error, "make %.512s for the volume that is mounted there", mount);
    const char *path = real ? real : mount;
    path += strspn(path, "/");
    const int fd = rmt_beneath_open(folder, *path ? path : ".",
                                    O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd == -1)
        (void) rmt_fail_errno(error,
                              "the image has no folder %.512s for the volume that it "
                              "mounts there; look at: ramet image files",
                              mount);
    return fd;
}

static int
s_checkout_volume(image_t *self, const rmt_record_t *volume, int folder, uint8_t *plain,
                  rmt_error_t *error)
{
    rmt_auto_fd root =
        s_open_volume(folder, rmt_record_text(volume, "mount", "/"), error);
    if (root == -1)
        return -1;
    rmt_auto(rmt_writer) writer = rmt_writer_new(root, 2, error);
    checkout_t checkout = {self, writer, plain};
    if (!writer || image_expect_contents(self, volume, error) == -1 ||
        image_each_entry(self, volume, s_checkout_entry, &checkout, error) == -1)
        return -1;
    rmt_writer_report_t report;
    return rmt_writer_finish(writer, &report, error);
}

int
contents_checkout(call_t *call, rmt_error_t *error)
{
    const char *folder = call->operands[1];
    if (rmt_record_has(call->options, "update"))
        return update_folder(call, error);
    static const char *const only[] = {"keep", "dry-run", "yes"};
    for (size_t i = 0; i < sizeof only / sizeof *only; i++)
        if (rmt_record_has(call->options, only[i]))
            return rmt_fail(error, RMT_E_USAGE, "--%s goes with --update", only[i]);
    if (mkdir(folder, 0700) == -1 && errno != EEXIST)
        return rmt_fail_errno(error, "make folder %s", folder);
    if (rmdir(folder) == -1 || mkdir(folder, 0700) == -1)
        return rmt_fail_errno(
            error,
            "use the folder %s, which must be empty; to update an older checkout, add "
            "--update",
            folder);
    rmt_auto(image) self = image_open(call, call->operands[0], error);
    if (!self)
        return -1;
    rmt_auto_ptr plain = malloc(RMT_CHUNK_PLAIN_MAX);
    assert(plain);
    rmt_auto_fd fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd == -1)
        return rmt_fail_errno(error, "open %s", folder);
    const rmt_record_t *volume;
    for (size_t i = 0; (volume = image_volume(self, i)); i++)
        if (s_checkout_volume(self, volume, fd, plain, error) == -1)
            return -1;
    return 0;
}
