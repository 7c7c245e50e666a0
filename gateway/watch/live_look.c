/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether the captures see, looked at ten times a second and whenever the kernel says that an interface changed.
 *
 * A wire has conditions; as long as one holds it is not, or not fully, watched. Each is an alert of its own that begins
 * with the last look (or canary, or frame) at which all was well, and ends when it is well again. What was over when it
 * was noticed (frames that were dropped, a time in which this process did not run) is told as an interval.
 *
 * Each look compares what the interface is with what the capture was opened on: the number of an interface that was
 * made anew is another, and its old capture will never see a frame again.
 */
#include <string.h>

#include "watch/live_parts.h"
#include "wire/sender.h"

static const int64_t SECOND = 1000000000, MILLISECOND = 1000000;
#define RETRY SECOND                        /* between two tries to open a capture */
#define OWN_INTERVAL SECOND                 /* between two looks at the machine's addresses */
#define HELD_UP (600 * MILLISECOND)         /* between two looks: the watchman did not run */
#define BEHIND (800 * MILLISECOND)          /* without ever being done with the frames that wait */
#define CANARY_DEADLINE (300 * MILLISECOND) /* from sending it to seeing it */
#define COUNTING_TIME (700 * MILLISECOND)   /* that the kernel counts frames of which none is seen */

enum {
  COUNTED_FRAMES = 20000, /* so many of which not one is seen: also a filter lets a sample pass */
  BUNDLE = 4096,
};

static const struct {
  const char *reason;
  enum wire_state state;
} CONDITIONS[CONDITION_COUNT_] = {
    [CONDITION_MISSING] = {"interface-missing", WIRE_INTERFACE_MISSING},
    [CONDITION_DOWN] = {"interface-down", WIRE_INTERFACE_DOWN},
    [CONDITION_FAILED] = {"capture-failed", WIRE_CAPTURE_FAILED},
    [CONDITION_XDP] = {"xdp-attached", WIRE_BLIND},
    [CONDITION_CANARY] = {"canary-missed", WIRE_BLIND},
    [CONDITION_COUNTERS] = {"counters-rise", WIRE_BLIND},
    [CONDITION_SILENT] = {"silent", WIRE_BLIND},
};

/* ---- conditions ---- */

static bool holds(const struct live_wire *wire, enum condition condition) {
  return (wire->conditions & 1u << condition) != 0;
}

/* since: by the clock of the day; told when the condition begins, and kept up while it lasts. */
static void set_condition(struct live *live, struct live_wire *wire, enum condition condition, bool on, int64_t since) {
  const char *reason = CONDITIONS[condition].reason;
  if (on) {
    wire->conditions |= 1u << condition;
    watch_loses_sight(live->watch, wire->number, reason, since, live->wall);
    intervals_open(&wire->intervals, live->now - (live->wall - since));
  } else if (holds(wire, condition)) {
    wire->conditions &= ~(1u << condition);
    watch_sees_again(live->watch, wire->number, reason, live->wall);
  }
}

/* Exactly this one of them holds, or none (CONDITION_COUNT_). */
static void set_sight(struct live *live, struct live_wire *wire, enum condition which) {
  for (enum condition condition = CONDITION_MISSING; condition <= CONDITION_FAILED; condition++)
    if (condition != which)
      set_condition(live, wire, condition, false, 0);
  if (which != CONDITION_COUNT_)
    set_condition(live, wire, which, true, live->wall_looked_at);
}

/* What can only be known of a wire that is captured. */
static void forget_doubts(struct live *live, struct live_wire *wire) {
  for (enum condition condition = CONDITION_FAILED + 1; condition < CONDITION_COUNT_; condition++)
    set_condition(live, wire, condition, false, 0);
  wire->canary.outstanding = false;
  wire->canary.seen_at = 0;
  wire->framed_at = 0;
  silence_forget(&wire->silence);
}

const char *live_wire_reason(const struct live_wire *wire) {
  for (enum condition condition = 0; condition < CONDITION_COUNT_; condition++)
    if (holds(wire, condition))
      return CONDITIONS[condition].reason;
  return "";
}

enum wire_state live_wire_state(const struct live *live, size_t at) {
  const struct live_wire *wire = &live->wires[at];
  for (enum condition condition = 0; condition < CONDITION_COUNT_; condition++)
    if (holds(wire, condition))
      return CONDITIONS[condition].state;
  return live->sources[at].capture != NULL ? WIRE_WATCHED : WIRE_CAPTURE_FAILED;
}

/* ---- canaries ---- */

static void send_canary(struct live *live, size_t at) {
  struct live_wire *wire = &live->wires[at];
  struct canary_watch *watch = &wire->canary;
  uint8_t frame[CANARY_SIZE];
  if (live->sender < 0)
    live->sender = sender_open(NULL);
  watch->next_at = live->now + live->settings->canary_milliseconds * MILLISECOND;
  struct canary canary = {.wire = (uint32_t)at, .number = ++watch->number};
  canary_write(&live->key, &canary, &wire->mac, frame);
  watch->sent_at = live->now;
  watch->outstanding = true;
  watch->sent++;
  watch->seen_at = watch->seen_at == 0 ? live->wall : watch->seen_at;
  if (live->sender >= 0)
    (void)sender_send(live->sender, wire->interface_number, frame, sizeof frame); /* it will be missed */
}

/* Missed only when everything that was captured since has been looked at: who is late has not lost it. */
static void look_for_canary(struct live *live, size_t at) {
  struct live_wire *wire = &live->wires[at];
  struct canary_watch *watch = &wire->canary;
  bool late = watch->outstanding && live->now - watch->sent_at >= CANARY_DEADLINE;
  if (late && live->drained_at - watch->sent_at >= CANARY_DEADLINE) {
    watch->outstanding = false;
    watch->missed++;
    set_condition(live, wire, CONDITION_CANARY, true, watch->seen_at);
  } else if (!watch->outstanding && watch->seen > 0 && watch->seen_number == watch->number) {
    set_condition(live, wire, CONDITION_CANARY, false, 0);
  }
  if (watch->wanted && !watch->outstanding && live->now >= watch->next_at)
    send_canary(live, at);
}

/* ---- frames ---- */

static uint64_t frames_of(const struct live *live, const struct live_wire *wire) {
  struct watch_counters counters;
  watch_read_counters(live->watch, wire->number, &counters);
  return counters.frames;
}

static void look_at_counters(struct live *live, struct live_wire *wire, uint64_t frames, uint64_t kernel_packets) {
  bool new_frames = frames + wire->canary.seen != wire->frames;
  if (new_frames || wire->framed_at == 0 || kernel_packets < wire->kernel_packets) {
    wire->frames = frames + wire->canary.seen;
    wire->kernel_packets = kernel_packets;
    wire->framed_at = live->now;
    set_condition(live, wire, CONDITION_COUNTERS, false, 0);
  } else if (kernel_packets - wire->kernel_packets >= COUNTED_FRAMES && live->now - wire->framed_at >= COUNTING_TIME) {
    set_condition(live, wire, CONDITION_COUNTERS, true, live->wall - (live->now - wire->framed_at));
  }
}

/* What the kernel counts is not silence, whether or not a filter withholds it; our own canaries are. */
static void look_at_silence(struct live *live, struct live_wire *wire, uint64_t frames, uint64_t kernel_packets) {
  if (wire->settings == NULL || wire->settings->presence != PRESENCE_ALWAYS)
    return;
  bool silent = silence_look(&wire->silence, frames + kernel_packets - wire->canary.sent, live->now);
  set_condition(live, wire, CONDITION_SILENT, silent, live->wall - (live->now - wire->silence.heard));
}

static void count_drops(struct live *live, size_t at) {
  struct live_wire *wire = &live->wires[at];
  uint64_t drops = capture_new_drops(live->sources[at].capture);
  if (drops == 0)
    return;
  wire->drops += drops;
  wire->dropped_at = live->now;
  watch_was_blind(live->watch, wire->number, "kernel-drops", drops, live->wall_looked_at, live->wall);
  intervals_add(&wire->intervals, live->looked_at, live->now);
}

/* ---- one wire ---- */

static void take_mac(struct live *live, struct live_wire *wire, const struct mac *mac) {
  if (mac_equal(&wire->mac, mac))
    return;
  wire->mac = *mac;
  live_tell_macs(live);
}

static void open_capture(struct live *live, size_t at, unsigned interface_number) {
  struct live_wire *wire = &live->wires[at];
  if (live->now < wire->retry_at)
    return;
  wire->retry_at = live->now + RETRY;
  live_open_capture(live, at, interface_number);
}

static void look_at_capture(struct live *live, size_t at, const struct interface_facts *facts) {
  struct live_wire *wire = &live->wires[at];
  uint64_t frames = frames_of(live, wire);
  set_condition(live, wire, CONDITION_XDP, facts->xdp, live->wall_looked_at);
  look_for_canary(live, at);
  look_at_counters(live, wire, frames, facts->packets);
  look_at_silence(live, wire, frames, facts->packets);
  count_drops(live, at);
  if (wire->conditions == 0)
    intervals_close(&wire->intervals, live->now);
}

static void look_after_wire(struct live *live, size_t at) {
  struct live_wire *wire = &live->wires[at];
  struct merge_source *source = &live->sources[at];
  struct interface_facts facts;
  if (machine_interface(live->machine, wire->name, &facts) < 0)
    return;
  if (source->capture != NULL && (facts.number != wire->interface_number || source->ended)) {
    live_close_capture(live, at);
    wire->retry_at = 0;
  }
  if (facts.state != INTERFACE_MISSING)
    take_mac(live, wire, &facts.mac);
  if (facts.state != INTERFACE_MISSING && source->capture == NULL)
    open_capture(live, at, facts.number);
  enum condition sight = facts.state == INTERFACE_MISSING ? CONDITION_MISSING
                         : source->capture == NULL        ? CONDITION_FAILED
                         : facts.state == INTERFACE_DOWN  ? CONDITION_DOWN
                                                          : CONDITION_COUNT_;
  set_sight(live, wire, sight);
  if (sight == CONDITION_COUNT_)
    look_at_capture(live, at, &facts);
  else
    forget_doubts(live, wire);
}

/* ---- all wires ---- */

static void look_at_own_addresses(struct live *live) {
  if (live->own_at != 0 && live->now < live->own_at)
    return;
  live->own_at = live->now + OWN_INTERVAL;
  struct address_range own[OWN_ADDRESSES];
  memset(own, 0, sizeof own);
  int count = machine_addresses(own, OWN_ADDRESSES);
  if (count < 0 || (count == live->own_count && memcmp(own, live->own, sizeof own) == 0))
    return;
  if (watch_set_own(live->watch, own, (size_t)count) < 0)
    return; /* no memory now: the next look tries again */
  memcpy(live->own, own, sizeof own);
  live->own_count = count;
}

static void note_everywhere(struct live *live, int64_t since) {
  for (size_t i = 0; i < live->count; i++)
    if (live->wires[i].wanted)
      intervals_add(&live->wires[i].intervals, since, live->now);
}

static void tell_everywhere(struct live *live, const char *reason, int64_t since) {
  watch_was_blind(live->watch, WIRE_NONE, reason, 1, live->wall - (live->now - since), live->wall);
  note_everywhere(live, since);
}

void live_excuse(struct live *live) {
  live->excused_at = live_steady_now();
}

static int64_t later(int64_t left, int64_t right) {
  return left > right ? left : right;
}

static void look_at_ourselves(struct live *live) {
  uint64_t crowded_out = 0;
  for (enum watch_table table = 0; table < WATCH_TABLE_COUNT_; table++)
    crowded_out += watch_crowded_out(live->watch, table);
  if (live->looked_at != 0 && live->now - later(live->looked_at, live->excused_at) > HELD_UP)
    tell_everywhere(live, "stalled", live->looked_at);
  else if (live->drained_at != 0 && live->now - later(live->drained_at, live->excused_at) > BEHIND)
    tell_everywhere(live, "behind", live->drained_at);
  if (crowded_out > live->crowded_out) /* the watch told it */
    note_everywhere(live, live->looked_at);
  live->crowded_out = crowded_out;
}

static void take_time(struct live *live, int64_t wall) {
  live->now = live_steady_now();
  live->wall = wall;
  /* The last look by the clock as it is now: it may have been set since. */
  live->wall_looked_at = live->looked_at != 0 ? wall - (live->now - live->looked_at) : wall;
}

void live_look_after(struct live *live, int64_t now) {
  machine_drain(live->machine);
  live_read(live, BUNDLE); /* who waits for frames is not woken when there are none */
  take_time(live, now);
  look_at_ourselves(live);
  look_at_own_addresses(live);
  for (size_t i = 0; i < live->count; i++) {
    if (live->wires[i].wanted)
      look_after_wire(live, i);
    else
      live_close_capture(live, i);
  }
  live_look_after_filters(live);
  live->looked_at = live->now;
  watch_advance(live->watch, now);
}
