/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_POLICY_READ_SCAN_H
#define KIDO_POLICY_READ_SCAN_H

#include "base/diagnostic.h"
#include "base/error.h"
#include "policy/read_source.h"

/*
 * Looks over the text before libconfig sees it. Reports what is wrong with its form, and writes the text that
 * libconfig is to parse, with the same lines:
 *
 * - a key that stands twice in one group was reported and has a '*' in its name, to be skipped;
 * - a group of the outermost level with many members is cut into "flows", "flows*1", "flows*2" and so on, because
 *   libconfig compares each new name with all before it in its group.
 *
 * 0 with *ret_text (to be freed); *ret_text NULL after a syntax error; -ENOMEM.
 */
int scan_source(const struct source *source, struct diagnostic_list *diagnostics, char **ret_text, struct error *error);

/* For names in the text above: length of the name as it stands in the file; false when it is to be skipped. */
bool scan_name_length(const char *name, size_t *ret_length);

#endif
