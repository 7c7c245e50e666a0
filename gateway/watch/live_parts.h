/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_LIVE_PARTS_H
#define KIDO_WATCH_LIVE_PARTS_H

#include "watch/canary.h"
#include "watch/intervals.h"
#include "watch/live.h"
#include "watch/merge.h"
#include "watch/silence.h"
#include "wire/machine.h"

/* Between live.c (captures and their frames), live_look.c (whether they see) and live_filter.c (what is withheld). */

enum { OWN_ADDRESSES = 1024 };

/* Why a wire is not, or not fully, seen. The first of them that holds is its state. */
enum condition {
  CONDITION_MISSING,
  CONDITION_DOWN,
  CONDITION_FAILED,
  CONDITION_XDP,
  CONDITION_CANARY,
  CONDITION_COUNTERS,
  CONDITION_SILENT,
  CONDITION_COUNT_,
};

/* The canary that is on its way, by both clocks. */
struct canary_watch {
  bool wanted, outstanding;
  uint64_t number; /* of the last one sent; 0: none */
  int64_t sent_at, next_at;
  int64_t seen_at;      /* by the clock of the day: when the last one that came back was sent; 0: none */
  uint64_t seen_number; /* of the last one that came back */
  uint64_t sent, seen, missed;
};

struct live_wire {
  char *name;
  char zone[64];
  const struct wire_settings *settings; /* NULL: none */
  bool wanted;                          /* the policy has it, or the settings for a zone of the policy */
  bool listens;                         /* a port of the settings: nothing is ever sent there unasked */
  int number;                           /* of the watch */
  unsigned interface_number;
  struct mac mac;
  unsigned conditions; /* a bit for each that holds */
  int64_t retry_at;
  uint64_t drops;
  int64_t dropped_at;
  struct canary_watch canary;
  struct silence silence;
  struct intervals intervals;
  uint64_t kernel_packets; /* that the kernel had counted when a frame was last seen */
  uint64_t frames;         /* that had been seen by then */
  int64_t framed_at;       /* when that was */
};

/* Times are of a clock that nobody sets, except where they go into an event. */
struct live {
  struct watch *watch;
  const struct live_settings *settings;
  struct live_wire wires[WATCH_WIRES];
  struct merge_source sources[WATCH_WIRES]; /* by wire */
  size_t count;
  int epoll, sender; /* sender -1: not opened */
  int tick;          /* a timer that takes the place of the captures' own wakeups under load */
  int due;           /* a timer for what waits for the second copy of a frame */
  int64_t due_until; /* what it is set for, by the time of frames; 0: not set */
  bool busy;         /* ... as it does now */
  int64_t counted_at;
  uint64_t counted;           /* frames since then */
  int64_t check_at, renew_at; /* when the filters are read back, and chosen anew */
  int64_t checked_at;         /* when they were read back last */
  struct machine *machine;
  struct canary_key key;
  struct address_range own[OWN_ADDRESSES];
  int own_count;
  int64_t own_at;
  int64_t started, now, looked_at, drained_at, excused_at;
  int64_t wall, wall_looked_at; /* the clock of the day, at this look and at the last */
  uint64_t crowded_out;         /* as the watch said at the last look */
};

/* Opens the capture of a wire; false when that failed. */
bool live_open_capture(struct live *live, size_t wire, unsigned interface_number);
void live_close_capture(struct live *live, size_t wire);
/* Gives every wire the gateway's MACs that it must know. */
void live_tell_macs(struct live *live);
int64_t live_steady_now(void);

void live_look_after_filters(struct live *live);
/* From now on every frame is given. */
void live_withhold_nothing(struct live *live);

enum wire_state live_wire_state(const struct live *live, size_t wire);
/* Why it is not fully seen; "" when it is. */
const char *live_wire_reason(const struct live_wire *wire);

#endif
