/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CLI_KIDOBAN_COMMAND_H
#define KIDO_CLI_KIDOBAN_COMMAND_H

/* The whole of `kidoban`: parses its command line, watches until SIGTERM, returns the exit code. */
int kidoban_run(int argument_count, char **arguments);

#endif
