/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_SANDBOX_CALLS_H
#define KIDO_CONTROL_SANDBOX_CALLS_H

#include "base/error.h"

/* From here on only the calls of the list; *ret_listener hears of packet sockets that are asked for. 0 or a negative
 * errno with *error. */
int sandbox_calls_limit(int *ret_listener, struct error *error);

#endif
