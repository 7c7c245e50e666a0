/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CLI_REPLAY_WIRES_H
#define KIDO_CLI_REPLAY_WIRES_H

#include "base/arena.h"
#include "policy/policy.h"
#include "watch/watch.h"

/*
 * Which wire the frames of a capture file lay on: by what the command line says of the file (a zone, or an interface of
 * the policy), else by the names of interfaces in the file. Wires come into being with their first frame; files that
 * were rotated share theirs.
 */
struct replay_wires;

/* A file, or all its frames but those of interfaces that the policy does not have. Exactly one place is given. */
struct replay_source {
  const char *path;
  const char *zone;      /* "lgwan" */
  const char *interface; /* "ens1f0.110", or "ens1f0", the trunk of some of the policy's */
  bool by_name;          /* the file's interfaces say it */
};

enum {
  REPLAY_NO_WIRE = -1,   /* of an interface that the policy does not have */
  REPLAY_NO_MEMORY = -2, /* or more than WATCH_WIRES */
};

struct replay_wires *replay_wires_new(struct arena *arena, const struct policy *policy, struct watch *watch,
                                      const struct replay_source *sources, size_t count);

/* A MAC of the gateway, on all wires of a zone or on that of an interface. */
int replay_wires_add_mac(struct replay_wires *wires, const char *place, const struct mac *mac);
/* Whether every wire that can come has one. */
bool replay_wires_all_have_macs(const struct replay_wires *wires);

/*
 * The number of the wire of that frame, of the source with that number; interface_name: of the frame's interface, or
 * NULL. What the file says of the frame's sender is taken back where the gateway's MACs were given.
 */
int replay_wires_find(struct replay_wires *wires, size_t source, const char *interface_name,
                      struct captured_frame *frame);
/* The same for a loss on an interface. */
int replay_wires_find_interface(struct replay_wires *wires, size_t source, const char *interface_name,
                                unsigned interface);

/* Whether a zone or an interface (or the trunk of some) has that name. */
bool replay_wires_knows_zone(const struct policy *policy, const char *name);
bool replay_wires_knows_interface(const struct policy *policy, const char *name);

/* Frames for which there was no wire, in the whole of a source. */
uint64_t replay_wires_passed_over(const struct replay_wires *wires, size_t source);
/* Whether there was a wire for none of its frames. */
bool replay_wires_knows_none(const struct replay_wires *wires, size_t source);

#endif
