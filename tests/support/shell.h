/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_TESTS_SUPPORT_SHELL_H
#define KIDO_TESTS_SUPPORT_SHELL_H

#include "base/arena.h"

/* Runs a command line to its end. Returns what it printed, *ret_status as from pclose(); NULL when it cannot be run. */
char *shell_output(struct arena *arena, const char *command, int *ret_status);

#endif
