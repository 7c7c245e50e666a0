/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_CONTROLLER_H
#define KIDO_CONTROL_CONTROLLER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/language.h"
#include "events/event.h"

/* kidod: from its start to its clean stop. */
struct controller_options {
  const char *policy_file; /* what SIGHUP reads */
  const char *state_directory, *run_directory;
  bool repair;                          /* put back what somebody else changed in our table */
  const struct scribe_settings *scribe; /* where else events go, and how long they are kept */
  bool table_owner;                     /* where the kernel can: nobody else can change it */
  uint64_t prove_interval;              /* seconds */
  uint16_t denied_log_group;            /* NFLOG group that is told of some of what is denied; 0: none */
  enum language language;
  bool language_forced;
  /* Told about every event, for the journal; may be NULL. */
  void (*say)(enum event_severity severity, const char *kind, const char *message, void *context);
  void *context;
};

/*
 * Runs until SIGTERM or SIGINT, then closes the gate. 0, or a negative errno with *error when it could not start or
 * could not close.
 */
int controller_run(const struct controller_options *options, struct error *error);

/* Closes the gate and returns: at boot before the network, and where the package is removed. */
int controller_close(const struct controller_options *options, struct error *error);

#endif
