/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CLI_WATCHMAN_H
#define KIDO_CLI_WATCHMAN_H

#include <stdbool.h>

#include "base/error.h"
#include "base/language.h"
#include "watch/live_settings.h"

/* A running kidoban: captures, a policy from a file or from kidod, outputs for events, the status socket. */
struct watchman_options {
  const char *policy_file; /* NULL: follow kidod */
  const char *events;      /* a further output, "-" for standard output; NULL: none */
  const char *state_directory, *run_directory;
  enum language language;
  bool language_forced;
  bool print; /* alerts in words on standard output */
  bool colour;
  struct live_settings *settings; /* of the wires, and where events go */
};

/*
 * Watches until SIGTERM or SIGINT. Returns 0 after a clean end, or a negative errno with *error when it could not
 * start: -EINVAL for a policy with errors.
 */
int watchman_run(const struct watchman_options *options, struct error *error);

#endif
