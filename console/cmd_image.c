// Images: make, list, show, look into (M2 - M7).
#include "console/cmd.h"
#include "console/image_archive.h"
#include "console/image_mount.h"
#include "console/contents.h"
#include "console/diff.h"
#include "console/output.h"
#include "console/release.h"
#include "console/report.h"
#include "base/rmt_auto.h"
#include "console/watch.h"

#include <stdio.h>

static const char *const s_columns[] = {"name",        "state", "source",  "place",
                                        "files",       "bytes", "created", "tags",
                                        "description", NULL};

static int
s_create(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "source", call->operands[0]);
    static const char *const fields[] = {"name", "place",    "exclude", "without",
                                         "raw",  "paranoid", "dry-run"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        const char *value = rmt_record_text(call->options, fields[i], NULL);
        if (value)
            rmt_record_set(body, fields[i], value);
    }
    rmt_auto(rmt_msg) reply = call_request(call, "image.create", body, NULL, error);
    if (reply && rmt_record_has(body, "dry-run"))
        return report_made(call, reply, true, error);
    return reply ? watch_made(call, reply, error) : -1;
}

static int
s_rename(call_t *call, rmt_error_t *error)
{
    rmt_auto(rmt_record) body = rmt_record_new();
    rmt_record_set(body, "name", call->operands[0]);
    rmt_record_set(body, "to", call->operands[1]);
    rmt_auto(rmt_msg) reply = call_request(call, "image.rename", body, NULL, error);
    return reply ? output_record(reply->body, NULL, NULL, NULL, &call->view, error) : -1;
}

static const option_t s_create_options[] = {
    {"name", "NAME", "of the image; default: the source's name and a number"},
    {"place", "PLACE", "place that stores it; default: the only place with an imager"},
    {"exclude", "GLOB", "leave out matching paths; may be given several times"},
    {"without", "PART",
     "leave out a partition: its number, GUID, name or label; may be given several "
     "times"},
    {"raw", "PART",
     "carry the blocks in use of a partition that ramet does not read; likewise"},
    {"dry-run", NULL,
     "make no image; list the paths that an image would contain, leave out and "
     "replace, and its private keys"},
    {"paranoid", NULL, "read every file, also files with unchanged times"},
    {"wait", NULL, "follow the job to its end"},
    {"timeout", "TIME", "with --wait: " OPTION_TIMEOUT},
    {NULL, NULL, NULL},
};

static const option_t s_verify_options[] = {
    {"place", "PLACE",
     "the store to check: an engine that has the image; default: the image's place"},
    {"against", "MACHINE", "compare the files of a running machine with the image"},
    {"ignore", "GLOB", "with --against: leave out matching paths"},
    {"all", NULL,
     "with --against: show also differences by intent, such as names and addresses"},
    {"timeout", "TIME", OPTION_TIMEOUT},
    {NULL, NULL, NULL},
};

static const option_t s_sign_options[] = {
    {"key", "FILE", "the image key that signs; made with: ramet trust key FILE"},
    {"counter", "N",
     "release counter, which rises from image to image; default: seconds since 1970"},
    {NULL, NULL, NULL},
};

static const option_t s_import_options[] = {
    {"name", "NAME", "name of the image"},
    {"place", "PLACE", "place that stores it; default: the only place with an imager"},
    {"like", "IMAGE",
     "take hardware and layout of IMAGE, for archives of other programs"},
    {"wait", NULL, "follow the job to its end"},
    {"timeout", "TIME", "with --wait: " OPTION_TIMEOUT},
    {NULL, NULL, NULL},
};

#define OPTION_HOLDER                                                                    \
    "the store to fetch from: an engine that has the image; default: the image's "       \
    "place, "                                                                            \
    "else an engine"

static const option_t s_holder_options[] = {
    {"place", "PLACE", OPTION_HOLDER},
    {NULL, NULL, NULL},
};

static const option_t s_checkout_options[] = {
    {"place", "PLACE", OPTION_HOLDER},
    {"update", NULL,
     "make what the folder has the tree of the image: files that are the same stay, what "
     "the image lacks is removed"},
    {"keep", "GLOB",
     "with --update: leave matching paths alone, and all below them; may be given "
     "several "
     "times"},
    {"dry-run", NULL, "with --update: tell what would be done, and change nothing"},
    {"yes", NULL, "with --update: remove and replace what differs in the folder"},
    {NULL, NULL, NULL},
};

static const option_t s_mount_options[] = {
    {"place", "PLACE", OPTION_HOLDER},
    {"cache", "MIB", "keep at most this many MiB of contents in memory (default 64)"},
    {"allow-other", NULL,
     "show the files to other users too, as owners and modes let them; for root"},
    {NULL, NULL, NULL},
};

const command_t cmd_image[] = {
    {"image", "create", "SOURCE", 1, 1, "Make an image of a source.", s_create, NULL,
     NULL, s_create_options},
    {"image", "list", "", 0, 0, "List images.", command_run_list, "image.list", s_columns,
     NULL},
    {"image", "show", "IMAGE", 1, 1,
     "Show an image: its parts, and its fuzzy and unreadable files.", contents_show, NULL,
     NULL, NULL},
    {"image", "files", "IMAGE [PATH]", 1, 2, "List the files of an image.",
     contents_files, NULL, contents_columns, s_holder_options},
    {"image", "diff", "IMAGE IMAGE", 2, 2,
     "List the names that were added, removed and changed between two images.",
     diff_images, NULL, diff_columns, NULL},
    {"image", "sign", "IMAGE", 1, 1,
     "Sign an image and its release counter, so that targets may install it.",
     release_sign, NULL, NULL, s_sign_options},
    {"image", "verify", "IMAGE", 1, 1,
     "Re-hash every chunk of an image in its store, or compare a machine with the image.",
     diff_verify, NULL, NULL, s_verify_options},
    {"image", "checkout", "IMAGE FOLDER", 2, 2,
     "Write the tree of an image into an empty folder, or update one (needs root).",
     contents_checkout, NULL, NULL, s_checkout_options},
    {"image", "mount", "IMAGE FOLDER", 2, 2,
     "Show the tree of an image in an empty folder, until it is unmounted or Ctrl-C ends "
     "it; contents are fetched when they are read.",
     image_mount_run, NULL, NULL, s_mount_options},
    {"image", "export", "IMAGE FILE.tar", 2, 2,
     "Write an image as a pax archive; - is standard output.", archive_export, NULL, NULL,
     s_holder_options},
    {"image", "import", "FILE.tar", 1, 1,
     "Make an image of a tar archive; - is standard input.", archive_import, NULL, NULL,
     s_import_options},
    {"image", "set", "IMAGE FIELD=VALUE...", 2, -1,
     "Set the description or the tags of an image, such as tags=web,stable; an empty "
     "value removes them.",
     command_run_act, "image.set", NULL, NULL},
    {"image", "rename", "IMAGE NAME", 2, 2,
     "Give an image another name; its contents, signatures and pins stay.", s_rename,
     NULL, NULL, NULL},
    {"image", "remove", "IMAGE", 1, 1, "Remove an image from the catalogue.",
     command_run_act, "image.remove", NULL, NULL},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL},
};
