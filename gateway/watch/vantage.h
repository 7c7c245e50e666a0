/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_VANTAGE_H
#define KIDO_WATCH_VANTAGE_H

#include <stdbool.h>

#include "watch/finding.h"

/* From where a wire is seen. */
enum vantage {
  VANTAGE_PORT,   /* a port of a switch: broadcasts, what is flooded, and the gateway's own traffic */
  VANTAGE_MIRROR, /* a mirror port: the wire, as far as the switch copies it */
  VANTAGE_TAP,    /* a tap: everything on that cable */
  VANTAGE_COUNT_,
};

/* How well a kind of finding can be seen from a vantage. */
enum vantage_sight {
  SIGHT_FULL,
  SIGHT_PARTIAL, /* only what is broadcast, flooded or touches the gateway */
};

/* Whether there is always something on a wire. */
enum presence { PRESENCE_SOMETIMES, PRESENCE_ALWAYS, PRESENCE_COUNT_ };

const char *vantage_name(enum vantage vantage);    /* "port" */
const char *presence_name(enum presence presence); /* "always" */
bool vantage_parse(const char *name, enum vantage *ret_vantage);
bool presence_parse(const char *name, enum presence *ret_presence);

enum vantage_sight vantage_sees(enum vantage vantage, enum finding_kind kind);

#endif
