/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CLI_KIDOD_COMMAND_H
#define KIDO_CLI_KIDOD_COMMAND_H

/* The whole of `kidod`: parses its command line and settings, runs the controller, returns the exit code. */
int kidod_run(int argument_count, char **arguments);

#endif
