/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_LIVE_SETTINGS_H
#define KIDO_WATCH_LIVE_SETTINGS_H

#include "base/arena.h"
#include "base/error.h"
#include "base/language.h"
#include "events/scribe.h"
#include "watch/vantage.h"

/*
 * The settings file of kidoban, kidoban.conf: what differs from box to box and is not policy. libconfig; every key has
 * a default, an unknown one is an error. Options of a command line go before it.
 */
enum { WIRE_SETTINGS_MACS = 8, WIRE_SETTINGS_MOST = 256 };

enum canary_choice {
  CANARY_BY_CLASS, /* not on lines of other organisations: lgwan_line and cloud; nor on listen-only ports */
  CANARY_NEVER,
  CANARY_ALWAYS,
};

/* Of one interface: of a zone of the policy, or of a port that only listens, which then names its zone. */
struct wire_settings {
  const char *interface, *zone; /* zone NULL: that of the policy */
  enum vantage vantage;
  enum presence presence;
  enum canary_choice canary;
  struct mac gateway_macs[WIRE_SETTINGS_MACS]; /* beside the interface's own */
  size_t gateway_mac_count;
};

struct live_settings {
  const char *policy; /* NULL: follow kidod */
  const char *state_directory, *run_directory;
  bool sandbox;
  const char *user; /* to whom to step down when started as root; NULL: kidoban, else nobody */
  unsigned buffer;  /* megabytes of each capture */
  int canary_milliseconds;
  bool without_prefilter; /* every frame is judged, also those of heavy lawful conversations */
  bool language_set;
  enum language language;
  struct wire_settings *wires;
  size_t wire_count;
  struct scribe_settings scribe; /* where events go, and what is kept of frames */
};

enum {
  LIVE_BUFFER_MOST = 2047,
  CANARY_MILLISECONDS_DEFAULT = 400,
  CANARY_MILLISECONDS_LEAST = 100,
  CANARY_MILLISECONDS_MOST = 60000,
};

struct live_settings live_settings_defaults(void);

/*
 * Reads the file over what *settings holds. Returns 0, -ENOENT when there is no file (then nothing changes), -EINVAL
 * with *error (file, line, key) when it is wrong, or the errno of reading.
 */
int live_settings_read(const char *path, struct arena *arena, struct live_settings *settings, struct error *error);

/* What the file says of an interface; NULL: nothing. */
const struct wire_settings *live_settings_wire(const struct live_settings *settings, const char *interface);

#endif
