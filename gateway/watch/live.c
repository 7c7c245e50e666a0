/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A wire is watched, or it is blind for one reason at a time. Each look compares what the interface is with what the
 * capture was opened on: the number of an interface that was made anew is another, and its old capture will never see a
 * frame again. Frames of all captures are judged in the order of their time stamps, so that a frame's entry is known
 * before its exit.
 */
#include "watch/live.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "watch/merge.h"
#include "wire/machine.h"

enum { OWN_ADDRESSES = 1024 };

static const int64_t SECOND = 1000000000;
#define RETRY SECOND         /* between two tries to open a capture */
#define OWN_INTERVAL SECOND  /* between two looks at the machine's addresses */
#define HELD_UP (2 * SECOND) /* between two looks: the watchman did not run */
#define RECENT (60 * SECOND) /* drops within it make the watch degraded */

struct live_wire {
  char *name;
  char zone[64];
  bool wanted; /* the policy has it */
  int number;  /* of the watch */
  unsigned interface_number;
  struct mac mac;
  enum wire_state state;
  const char *blind_reason; /* NULL: it is seen */
  int64_t retry_at;
  uint64_t drops;
  int64_t dropped_at;
};

struct live {
  struct watch *watch;
  unsigned buffer;
  struct live_wire wires[WATCH_WIRES];
  struct merge_source sources[WATCH_WIRES]; /* by wire */
  size_t count;
  int epoll;
  struct address_range own[OWN_ADDRESSES];
  int own_count;
  int64_t own_at, looked_at, now;
};

struct live *live_new(struct watch *watch, unsigned buffer) {
  struct live *live = calloc(1, sizeof *live);
  if (live == NULL)
    return NULL;
  live->watch = watch;
  live->buffer = buffer;
  live->own_count = -1;
  live->epoll = epoll_create1(EPOLL_CLOEXEC);
  return live->epoll >= 0 ? live : live_free(live);
}

static void close_capture(struct live *live, size_t wire) {
  struct merge_source *source = &live->sources[wire];
  if (source->capture != NULL)
    epoll_ctl(live->epoll, EPOLL_CTL_DEL, capture_descriptor(source->capture), NULL);
  *source = (struct merge_source){.capture = capture_close(source->capture)};
}

struct live *live_free(struct live *live) {
  if (live == NULL)
    return NULL;
  for (size_t i = 0; i < live->count; i++) {
    close_capture(live, i);
    free(live->wires[i].name);
  }
  if (live->epoll >= 0)
    close(live->epoll);
  free(live);
  return NULL;
}

/* ---- interfaces of the policy ---- */

static struct live_wire *find_wire(struct live *live, const char *name) {
  for (size_t i = 0; i < live->count; i++)
    if (strcmp(live->wires[i].name, name) == 0)
      return &live->wires[i];
  return NULL;
}

static struct live_wire *add_wire(struct live *live, const char *name) {
  int number = live->count < WATCH_WIRES ? watch_add_wire(live->watch, name, NULL) : -ENOSPC;
  char *copy = number >= 0 ? strdup(name) : NULL;
  if (copy == NULL)
    return NULL;
  struct live_wire *wire = &live->wires[live->count++];
  *wire = (struct live_wire){.name = copy, .number = number};
  return wire;
}

int live_set_policy(struct live *live, const struct policy *policy, bool pending, struct error *error) {
  for (size_t i = 0; i < live->count; i++)
    live->wires[i].wanted = pending && live->wires[i].wanted;
  for (size_t z = 0; z < policy->zone_count; z++) {
    for (size_t i = 0; i < policy->zones[z].interface_count; i++) {
      const char *name = policy->zones[z].interfaces[i].text;
      struct live_wire *wire = find_wire(live, name);
      if (wire == NULL)
        wire = add_wire(live, name);
      if (wire == NULL)
        return error_set(error, ENOSPC, "%s: too many interfaces to watch", name);
      wire->wanted = true;
      snprintf(wire->zone, sizeof wire->zone, "%s", policy->zones[z].name);
      if (!pending)
        wire->blind_reason = NULL; /* open alerts are closed with the policy before: say it again */
    }
  }
  return 0;
}

/* ---- one wire ---- */

static void see(struct live *live, struct live_wire *wire) {
  if (wire->blind_reason != NULL)
    watch_sees_again(live->watch, wire->number, wire->blind_reason, live->now);
  wire->blind_reason = NULL;
  wire->state = WIRE_WATCHED;
}

static void lose(struct live *live, struct live_wire *wire, enum wire_state state, const char *reason) {
  if (wire->blind_reason != NULL && wire->blind_reason != reason)
    watch_sees_again(live->watch, wire->number, wire->blind_reason, live->now);
  wire->state = state;
  wire->blind_reason = reason;
  watch_is_blind(live->watch, wire->number, reason, 1, true, live->now);
}

static void take_mac(struct live *live, struct live_wire *wire, const struct mac *mac) {
  if (mac_equal(&wire->mac, mac))
    return;
  wire->mac = *mac;
  watch_forget_gateway_macs(live->watch, wire->number);
  watch_add_gateway_mac(live->watch, wire->number, mac);
}

static void open_capture(struct live *live, size_t at, const struct interface_facts *facts) {
  struct live_wire *wire = &live->wires[at];
  struct merge_source *source = &live->sources[at];
  struct error error = {0};
  if (live->now < wire->retry_at)
    return;
  wire->retry_at = live->now + RETRY;
  if (capture_open_interface(wire->name, live->buffer, &source->capture, &error) < 0) {
    source->capture = NULL;
    lose(live, wire, WIRE_CAPTURE_FAILED, "capture-failed");
    return;
  }
  source->has_frame = source->ended = false;
  wire->interface_number = facts->number;
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)at};
  epoll_ctl(live->epoll, EPOLL_CTL_ADD, capture_descriptor(source->capture), &event);
}

static void count_drops(struct live *live, size_t at) {
  struct live_wire *wire = &live->wires[at];
  uint64_t drops = capture_new_drops(live->sources[at].capture);
  if (drops == 0)
    return;
  wire->drops += drops;
  wire->dropped_at = live->now;
  watch_is_blind(live->watch, wire->number, "kernel-drops", drops, false, live->now);
}

static void look_after_wire(struct live *live, size_t at) {
  struct live_wire *wire = &live->wires[at];
  struct merge_source *source = &live->sources[at];
  struct interface_facts facts;
  machine_interface(wire->name, &facts);
  if (source->capture != NULL && (facts.number != wire->interface_number || source->ended)) {
    close_capture(live, at);
    wire->retry_at = 0;
  }
  if (facts.state == INTERFACE_MISSING) {
    lose(live, wire, WIRE_INTERFACE_MISSING, "interface-missing");
    return;
  }
  take_mac(live, wire, &facts.mac);
  if (source->capture == NULL)
    open_capture(live, at, &facts);
  if (source->capture == NULL)
    return;
  if (facts.state == INTERFACE_DOWN)
    lose(live, wire, WIRE_INTERFACE_DOWN, "interface-down");
  else
    see(live, wire);
  count_drops(live, at);
}

/* ---- all wires ---- */

static void look_at_own_addresses(struct live *live) {
  if (live->now < live->own_at)
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

int live_descriptor(const struct live *live) {
  return live->epoll;
}

size_t live_read(struct live *live, size_t most) {
  struct merge merge = {live->sources, live->count};
  struct captured_frame frame;
  struct error error = {0};
  size_t count = 0, wire;
  while (count < most) {
    enum capture_step step = merge_next(&merge, &wire, &frame, &error);
    if (step == CAPTURE_FRAME && live->wires[wire].wanted) {
      watch_frame(live->watch, live->wires[wire].number, &frame);
      count++;
    } else if (step == CAPTURE_NOTHING || step == CAPTURE_END) {
      break;
    }
  }
  watch_flush(live->watch);
  return count;
}

void live_look_after(struct live *live, int64_t now) {
  live->now = now;
  if (live->looked_at != 0 && now - live->looked_at > HELD_UP)
    watch_is_blind(live->watch, -1, "stalled", 1, false, now);
  live->looked_at = now;
  look_at_own_addresses(live);
  for (size_t i = 0; i < live->count; i++) {
    if (live->wires[i].wanted)
      look_after_wire(live, i);
    else
      close_capture(live, i);
  }
  watch_advance(live->watch, now);
}

/* ---- status ---- */

static void describe_wire(const struct live *live, const struct live_wire *wire,
                          struct watch_status_interface *interface) {
  struct watch_counters counters;
  watch_read_counters(live->watch, wire->number, &counters);
  snprintf(interface->name, sizeof interface->name, "%.31s", wire->name);
  snprintf(interface->zone, sizeof interface->zone, "%s", wire->zone);
  interface->state = wire->blind_reason == NULL && live->sources[wire - live->wires].capture == NULL
                         ? (uint32_t)WIRE_CAPTURE_FAILED
                         : (uint32_t)wire->state;
  interface->frames = counters.frames;
  interface->bytes = counters.bytes;
  interface->everyday = counters.everyday;
  interface->findings = counters.findings;
  interface->drops = wire->drops;
}

void live_status(const struct live *live, struct watch_status *status) {
  size_t seen = 0, wanted = 0;
  bool dropped = false;
  for (size_t i = 0; i < live->count; i++) {
    const struct live_wire *wire = &live->wires[i];
    if (!wire->wanted)
      continue;
    if (wanted < WATCH_STATUS_INTERFACES)
      describe_wire(live, wire, &status->interfaces[wanted]);
    wanted++;
    seen += wire->state == WIRE_WATCHED && live->sources[i].capture != NULL ? 1 : 0;
    dropped = dropped || (wire->drops > 0 && live->now - wire->dropped_at < RECENT);
  }
  status->interface_count = (uint32_t)wanted;
  status->state = seen == 0 ? WATCH_BLIND : seen < wanted || dropped ? WATCH_DEGRADED : WATCH_WATCHING;
}
