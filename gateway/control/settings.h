/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_SETTINGS_H
#define KIDO_CONTROL_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/language.h"
#include "events/scribe.h"

/*
 * The settings file, kido.conf: what differs from box to box and is not policy. libconfig; every key has a default, an
 * unknown one is an error. Options of a command line go before it.
 */
struct settings {
  const char *policy;
  const char *state_directory, *run_directory;
  bool repair;
  bool table_owner;
  uint16_t denied_log_group; /* 0: none */
  uint64_t prove_interval;   /* seconds */
  struct scribe_settings scribe;
  bool language_set;
  enum language language;
};

enum { PROVE_INTERVAL_DEFAULT = 60, PROVE_INTERVAL_MIN = 5, PROVE_INTERVAL_MAX = 86400 };

struct settings settings_defaults(void);

/*
 * Reads the file over what *settings holds. Returns 0, -ENOENT when there is no file (then nothing changes), -EINVAL
 * with *error (file, line, key) when it is wrong, or the errno of reading.
 */
int settings_read(const char *path, struct arena *arena, struct settings *settings, struct error *error);

#endif
