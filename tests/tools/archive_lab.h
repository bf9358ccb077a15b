// archive_lab - what the tests of lib/archive share: the manifests of a tree_lab to an
// archive in its folder and back.
#pragma once

#include "archive/rmt_archive_writer.h"
#include "tree_lab.h"

// Path of the archive. Caller owns it (free).
char *archive_lab_path(const tree_lab_t *lab);

// Write the manifest of root; fails the test when it fails.
void archive_lab_export(tree_lab_t *lab, const rmt_id_t *root, const char *head,
                        rmt_archive_report_t *report_out);

// Import the archive; the root's id, or -1 and what went wrong. head_out may be NULL.
int archive_lab_import(tree_lab_t *lab, rmt_id_t *root_out, char head_out[64],
                       rmt_error_t *error);
