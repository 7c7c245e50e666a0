/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_WATCH_H
#define KIDO_WATCH_WATCH_H

#include "base/arena.h"
#include "base/error.h"
#include "events/event.h"
#include "policy/policy.h"
#include "policy/restrictions.h"
#include "watch/tables.h"
#include "wire/filter.h"
#include "wire/frame.h"

/*
 * The watchman: frames in, events out. It knows nothing of sockets, files and clocks; the daemon and `kido replay`
 * drive the same code. After watch_set_policy() judging allocates nothing.
 */
struct watch;

/* Gets each event; fills in its id when that is empty (event_log_write() does). */
typedef void watch_tell(void *context, struct event *event, const struct timezone *timezone);

/* Gets a frame of a finding, right after its event was told: for evidence. */
typedef void watch_keep(void *context, const char *id, const char *interface, const struct captured_frame *captured);

struct watch_settings {
  enum language language;
  bool language_forced; /* else that of the policy */
  size_t connections;   /* size of the table; 0: 65,536 */
  size_t passages;      /* frames held until they leave; 0: 8,192 */
  size_t fragmented;    /* packets in fragments; 0: 1,024 */
  size_t machines;      /* that are remembered; 0: 16,384 */
  int64_t copy_wait;    /* nanoseconds for the second copy of a frame; 0: 200 ms, for files of several captures */
  bool now_fixed;       /* judge as of `now` instead of each frame's own time */
  struct instant now;
  watch_tell *tell;
  watch_keep *keep;     /* NULL: nobody wants frames */
  unsigned keep_frames; /* of each alert; 0: none. An event whose frames are kept is told with an empty `evidence` */
  void *context;
};

struct watch *watch_new(const struct watch_settings *settings);
struct watch *watch_free(struct watch *watch);

enum { WATCH_WIRES = 256, WATCH_LIVE_WAIT = 5000000 /* copy_wait of live captures: of one kernel, read together */ };

/*
 * A wire to be watched. name: the interface, or the file. zone_name: its zone; NULL: that of the interface `name`.
 * Returns its number or -ENOSPC. Names are copied.
 */
int watch_add_wire(struct watch *watch, const char *name, const char *zone_name);
/* The gateway's MAC on that wire; several may be given. */
int watch_add_gateway_mac(struct watch *watch, int wire, const struct mac *mac);
void watch_forget_gateway_macs(struct watch *watch, int wire);

/*
 * Judges by this policy from now on; takes over its arena (also on failure), or leaves it to the caller when NULL. Open
 * alerts are closed. pending: the policy is about to be in force: what either policy allows is accepted until the next
 * call. 0 or -ENOMEM.
 */
int watch_set_policy(struct watch *watch, const struct policy *policy, struct arena *arena, bool pending, int64_t now);
/* The same with what holds the policy back (emergency cuts, closed windows, the ends of a trial), which lives in that
 * arena, or as long as the policy; NULL: nothing does. */
int watch_set_restricted_policy(struct watch *watch, const struct policy *policy,
                                const struct restrictions *restrictions, struct arena *arena, bool pending,
                                int64_t now);
/* The pending policy did not come in force. */
void watch_drop_pending(struct watch *watch);
const struct policy *watch_policy(const struct watch *watch); /* NULL before the first */

/* The addresses of the gateway, as ranges of one address each. 0 or -ENOMEM. */
int watch_set_own(struct watch *watch, const struct address_range *own, size_t count);

/*
 * A frame was seen. It may be judged a few frames later, so that the memory has time to find its conversation: call
 * watch_flush() whenever no further frame is there at once.
 */
void watch_frame(struct watch *watch, int wire, const struct captured_frame *captured);
void watch_flush(struct watch *watch);

/*
 * What a capture may withhold without anything being missed (watch/prefilter.c says why). To be chosen each second,
 * then listed for each wire; to be undone at once when watch_withholding_stands() no longer does.
 */
void watch_choose_withheld(struct watch *watch, int64_t now);
size_t watch_list_withheld(const struct watch *watch, int wire, struct filter_tuple *tuples, size_t most);
bool watch_withholding_stands(const struct watch *watch, int64_t now);

/* Time passed: tells what is due. INT64_MAX is not a time: use watch_finish(). */
void watch_advance(struct watch *watch, int64_t now);

/* Until when, by the time of frames, findings wait for a second copy; 0: none does. And tells those that waited so
 * long, for a caller who knows that no earlier frame will come. */
int64_t watch_waits_until(const struct watch *watch);
void watch_tell_waiting(struct watch *watch, int64_t until);

/* Something was not watched. reason: a constant. lasting: until watch_sees_again(). */
void watch_is_blind(struct watch *watch, int wire, const char *reason, uint64_t frames, bool lasting, int64_t now);
void watch_sees_again(struct watch *watch, int wire, const char *reason, int64_t now);
/* The same, lasting, where it began before it was noticed. */
void watch_loses_sight(struct watch *watch, int wire, const char *reason, int64_t since, int64_t now);
/* The same for a time that is over. wire: WIRE_NONE for all of them. */
void watch_was_blind(struct watch *watch, int wire, const char *reason, uint64_t frames, int64_t from, int64_t to);

/* A frame that pretends to be a canary of ours, and one of ours that lies on the wire of another zone. */
void watch_finds_forged_canary(struct watch *watch, int wire, const struct captured_frame *captured);
void watch_finds_strayed_canary(struct watch *watch, int wire, int sent, const struct captured_frame *captured);

/* The clock was set: what is open is told and closed by the time before, and `now` is the time from here on. */
void watch_clock_stepped(struct watch *watch, int64_t now);

/* Tells everything that is held and closes all alerts. */
void watch_finish(struct watch *watch, int64_t now);

struct watch_counters {
  uint64_t frames, bytes;
  uint64_t everyday; /* link-local talk of bridges and office machines: counted only */
  uint64_t findings;
};

void watch_read_counters(const struct watch *watch, int wire, struct watch_counters *ret_counters);
size_t watch_open_alerts(const struct watch *watch, enum event_severity severity);
/* Conversations that were taken up in their middle: they began before the watch, or their opener was not seen. */
uint64_t watch_taken_up(const struct watch *watch);
/* What a table had no room for though it was still needed, as far as it was told. */
uint64_t watch_crowded_out(const struct watch *watch, enum watch_table table);

#endif
