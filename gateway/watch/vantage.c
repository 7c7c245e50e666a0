/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch/vantage.h"

#include <string.h>

static const char *const vantages[] = {[VANTAGE_PORT] = "port", [VANTAGE_MIRROR] = "mirror", [VANTAGE_TAP] = "tap"};
static const char *const presences[] = {[PRESENCE_SOMETIMES] = "sometimes", [PRESENCE_ALWAYS] = "always"};

/* What hosts of one wire do among themselves, by frames sent to one machine, never reaches another port of a switch. */
static const bool needs_the_wire[FINDING_KIND_COUNT_] = {
    [FINDING_BRIDGED] = true,      [FINDING_BYPASS] = true,       [FINDING_DUAL_HOMED] = true,
    [FINDING_ROGUE_ROUTER] = true, [FINDING_ROGUE_UPLINK] = true, [FINDING_IDENTITY_THEFT] = true,
    [FINDING_TUNNEL] = true,       [FINDING_MALFORMED] = true,    [FINDING_UNKNOWN_SEGMENT] = true,
};

const char *vantage_name(enum vantage vantage) {
  return (unsigned)vantage < VANTAGE_COUNT_ ? vantages[vantage] : vantages[VANTAGE_PORT];
}

const char *presence_name(enum presence presence) {
  return (unsigned)presence < PRESENCE_COUNT_ ? presences[presence] : presences[PRESENCE_SOMETIMES];
}

bool vantage_parse(const char *name, enum vantage *ret_vantage) {
  for (enum vantage vantage = 0; vantage < VANTAGE_COUNT_; vantage++)
    if (strcmp(vantages[vantage], name) == 0) {
      *ret_vantage = vantage;
      return true;
    }
  return false;
}

bool presence_parse(const char *name, enum presence *ret_presence) {
  for (enum presence presence = 0; presence < PRESENCE_COUNT_; presence++)
    if (strcmp(presences[presence], name) == 0) {
      *ret_presence = presence;
      return true;
    }
  return false;
}

enum vantage_sight vantage_sees(enum vantage vantage, enum finding_kind kind) {
  return vantage == VANTAGE_PORT && needs_the_wire[kind] ? SIGHT_PARTIAL : SIGHT_FULL;
}
