/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_HOMES_PARTS_H
#define KIDO_WATCH_HOMES_PARTS_H

#include "watch/watch_parts.h"

/* Between homes.c (who is seen where) and joints.c (which wires are one, and what is told of it). */

enum { HELD = 128, HELD_BYTES = 160, JOINTS = 32 };

struct held {
  struct finding finding;
  uint64_t digest;
  int64_t due;
  bool dropped;
  struct captured_frame captured; /* its first bytes, as evidence */
  uint8_t bytes[HELD_BYTES];
};

/* Two wires that were seen to be one. */
struct joint {
  int wires[2];
  int64_t last; /* 0: free */
  const char *reason;
};

struct homes {
  struct machines *machines;
  int64_t wait;
  struct held held[HELD]; /* a ring, in the order of `due` */
  unsigned held_first, held_count;
  struct joint joints[JOINTS];
  /* The frame under judgement. */
  bool bridged, two_homes, told, digested;
  int other_wire;
  const char *reason;
  uint64_t subject, digest;
  const struct joint *joint;
};

/* Remembers that the wires are one. */
const struct joint *joints_join(struct watch *watch, int left, int right, const char *reason, int64_t now);
/* A second copy of a frame came: what the first showed is told with it. */
void joints_drop_copies(struct homes *homes);

#endif
