/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_KERNEL_STANDING_H
#define KIDO_KERNEL_STANDING_H

#include <stdbool.h>

#include "base/error.h"

/* Whether a table of the family inet stands: one short question that waits for nobody's transaction. No memory is taken
 * after the socket was opened. */
int standing_open(int *ret_fd, struct error *error);
/* False only if the kernel says that there is no such table, or that it is dormant. */
bool standing_is(int fd, const char *table);

#endif
