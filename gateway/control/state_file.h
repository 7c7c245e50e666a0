/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_STATE_FILE_H
#define KIDO_CONTROL_STATE_FILE_H

#include "control/state.h"

/* Inside state.c and history.c: one policy in one file, and files that change in one rename. directory: a descriptor.
 * All return 0 or a negative errno; -EBADMSG for a file that is not whole. */

int state_file_write(int directory, const char *name, const struct confirmed_policy *policy);
int state_file_read(int directory, const char *name, struct arena *arena, struct confirmed_policy *ret_policy);
/* Only the first line and the size of the file. */
int state_file_read_metadata(int directory, const char *name, struct arena *arena, struct confirmed_policy *ret_policy);

/* Any bytes: written beside, flushed, renamed; the directory flushed. */
int state_file_replace(int directory, const char *name, const char *head, const char *data, size_t size);
/* A whole file of at most `limit` bytes, with a NUL behind it. */
int state_file_slurp(int directory, const char *name, size_t limit, struct arena *arena, char **ret_text,
                     size_t *ret_size);

#endif
