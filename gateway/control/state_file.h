/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_STATE_FILE_H
#define KIDO_CONTROL_STATE_FILE_H

#include "control/state.h"

/* Inside state.c and history.c: one policy in one file. directory: a descriptor. All return 0 or a negative errno;
 * -EBADMSG for a file that is not whole. */

int state_file_write(int directory, const char *name, const struct confirmed_policy *policy);
int state_file_read(int directory, const char *name, struct arena *arena, struct confirmed_policy *ret_policy);
/* Only the first line and the size of the file. */
int state_file_read_metadata(int directory, const char *name, struct arena *arena, struct confirmed_policy *ret_policy);

#endif
