#include "archive_lab.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "archive/rmt_archive_cutter.h"
#include "archive/rmt_archive_list.h"
#include "archive/rmt_archive_reader.h"
#include "base/rmt_io.h"

char *
archive_lab_path(const tree_lab_t *lab)
{
    return rmt_text("%s/archive.tar", tree_lab_folder(lab));
}

void
archive_lab_export(tree_lab_t *lab, const rmt_id_t *root, const char *head,
                   rmt_archive_report_t *report_out)
{
    rmt_error_t error = {0};
    rmt_auto_str path = archive_lab_path(lab);
    rmt_auto_fd fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    rmt_auto(rmt_archive_writer) writer =
        rmt_archive_writer_new(fd, head, strlen(head), &error);
    RMT_OK(writer);
    rmt_auto(rmt_manifest_reader) reader =
        rmt_manifest_reader_new(root, tree_lab_get, lab, &error);
    rmt_auto_ptr plain = malloc(RMT_CHUNK_PLAIN_MAX);
    rmt_entry_t entry;
    while (rmt_manifest_reader_next(reader, &entry, &error) == 1) {
        (void) rmt_archive_writer_entry(writer, &entry, &error);
        for (size_t i = 0; i < entry.chunk_count; i++) {
            size_t size;
            RMT_OK(tree_lab_get(lab, &entry.chunks[i], plain, &size, &error));
            (void) rmt_archive_writer_data(writer, plain, size, &error);
        }
        assert_string_equal(error.text, "");
    }
    RMT_OK(rmt_archive_writer_finish(writer, report_out, &error));
}

int
archive_lab_import(tree_lab_t *lab, rmt_id_t *root_out, char head_out[64],
                   rmt_error_t *error)
{
    rmt_auto_str path = archive_lab_path(lab);
    rmt_auto_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    rmt_auto(rmt_archive_reader) reader = rmt_archive_reader_new(fd, error);
    rmt_auto(rmt_archive_cutter) cutter = rmt_archive_cutter_new();
    rmt_auto(rmt_archive_list) list = rmt_archive_list_new();
    if (!reader)
        return -1;
    size_t size = 0;
    const char *head = rmt_archive_reader_head(reader, &size);
    if (head_out)
        snprintf(head_out, 64, "%.*s", (int) size, head ? head : "");
    rmt_entry_t entry;
    const char *link;
    int rc;
    while ((rc = rmt_archive_reader_next(reader, &entry, &link, error)) == 1) {
        if (!link && S_ISREG(entry.mode) &&
            rmt_archive_cutter_run(cutter, reader, &entry, tree_lab_put, lab, error) ==
                -1)
            return -1;
        if (rmt_archive_list_add(list, &entry, link, error) == -1)
            return -1;
    }
    rmt_archive_totals_t totals;
    return rc == -1 ? -1
                    : rmt_archive_list_write(list, tree_lab_put, lab, root_out, &totals,
                                             error);
}
