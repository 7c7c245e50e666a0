/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Captures and their frames. Frames of all captures are judged in the order of their time stamps, so that a frame's
 * entry is known before its exit. Our own canaries are taken out here and never judged.
 *
 * As long as little comes, each frame wakes the watchman at once. Under load a wakeup for each frame would cost more
 * than judging it, and slow down whoever forwards it; then the captures wake nobody, and a timer has them read a
 * thousand times a second.
 */
#include "watch/live.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "watch/live_parts.h"

static const int64_t SECOND = 1000000000;
#define RECENT (60 * SECOND) /* drops within it make the watch degraded */

#define COUNTING (SECOND / 100) /* over which frames are counted to know the load */

enum {
  LATE_CANARIES = 2, /* one that was given up may still come */
  BUSY_FRAMES = 200, /* within COUNTING: 20,000 a second */
  CALM_FRAMES = 100,
  TICK_NANOSECONDS = 1000000,
  TICK_EVENT = WATCH_WIRES, /* beside the numbers of the wires */
  DUE_EVENT,
  READY_MOST = 64,
};

int64_t live_steady_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_BOOTTIME, &time);
  return (int64_t)time.tv_sec * SECOND + time.tv_nsec;
}

static int open_epoll(struct live *live, struct error *error) {
  live->epoll = epoll_create1(EPOLL_CLOEXEC);
  live->tick = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  live->due = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = TICK_EVENT};
  struct epoll_event due = {.events = EPOLLIN, .data.u32 = DUE_EVENT};
  if (live->epoll < 0 || live->tick < 0 || live->due < 0 ||
      epoll_ctl(live->epoll, EPOLL_CTL_ADD, live->tick, &event) < 0 ||
      epoll_ctl(live->epoll, EPOLL_CTL_ADD, live->due, &due) < 0)
    return error_set(error, errno, "epoll: %s", strerror(errno));
  return 0;
}

int live_new(struct watch *watch, const struct live_settings *settings, struct live **ret_live, struct error *error) {
  struct live *live = calloc(1, sizeof *live);
  if (live == NULL)
    return error_set(error, ENOMEM, "not enough memory to watch");
  live->watch = watch;
  live->settings = settings;
  live->own_count = live->sender = live->epoll = live->tick = live->due = -1;
  live->started = live_steady_now();
  int result = open_epoll(live, error);
  if (result == 0)
    result = machine_open(&live->machine, error);
  if (result == 0)
    result = canary_make_key(&live->key, error);
  if (result < 0)
    live_free(live);
  else
    *ret_live = live;
  return result;
}

bool live_open_capture(struct live *live, size_t wire, unsigned interface_number) {
  struct merge_source *source = &live->sources[wire];
  unsigned buffer = live->settings->buffer != 0 ? live->settings->buffer : CAPTURE_BUFFER_MEGABYTES;
  struct error error = {0};
  if (capture_open_interface(live->wires[wire].name, buffer, &source->capture, &error) < 0) {
    source->capture = NULL;
    return false;
  }
  source->has_frame = source->ended = false;
  live->wires[wire].interface_number = interface_number;
  struct epoll_event event = {.events = live->busy ? 0 : EPOLLIN, .data.u32 = (uint32_t)wire};
  epoll_ctl(live->epoll, EPOLL_CTL_ADD, capture_descriptor(source->capture), &event);
  return true;
}

void live_close_capture(struct live *live, size_t wire) {
  struct merge_source *source = &live->sources[wire];
  if (source->capture != NULL)
    epoll_ctl(live->epoll, EPOLL_CTL_DEL, capture_descriptor(source->capture), NULL);
  *source = (struct merge_source){.capture = capture_close(source->capture)};
}

struct live *live_free(struct live *live) {
  if (live == NULL)
    return NULL;
  for (size_t i = 0; i < live->count; i++) {
    live_close_capture(live, i);
    free(live->wires[i].name);
  }
  machine_close(live->machine);
  if (live->sender >= 0)
    close(live->sender);
  if (live->tick >= 0)
    close(live->tick);
  if (live->due >= 0)
    close(live->due);
  if (live->epoll >= 0)
    close(live->epoll);
  free(live);
  return NULL;
}

/* ---- interfaces of the policy and of the settings ---- */

static struct live_wire *find_wire(struct live *live, const char *name) {
  for (size_t i = 0; i < live->count; i++)
    if (strcmp(live->wires[i].name, name) == 0)
      return &live->wires[i];
  return NULL;
}

static struct live_wire *add_wire(struct live *live, const char *name, const char *zone) {
  int number = live->count < WATCH_WIRES ? watch_add_wire(live->watch, name, zone) : -ENOSPC;
  char *copy = number >= 0 ? strdup(name) : NULL;
  if (copy == NULL)
    return NULL;
  struct live_wire *wire = &live->wires[live->count++];
  *wire = (struct live_wire){.name = copy, .number = number, .listens = zone != NULL};
  wire->settings = live_settings_wire(live->settings, name);
  intervals_start(&wire->intervals, live_steady_now());
  return wire;
}

static bool wants_canary(const struct live_wire *wire, enum zone_class class) {
  enum canary_choice choice = wire->settings != NULL ? wire->settings->canary : CANARY_BY_CLASS;
  if (choice != CANARY_BY_CLASS)
    return choice == CANARY_ALWAYS;
  return !wire->listens && class != CLASS_LGWAN_LINE && class != CLASS_CLOUD;
}

/* listen_in: the zone of a port of the settings, NULL for an interface of the policy. */
static int want(struct live *live, const char *name, const struct zone *zone, const char *listen_in, bool pending,
                struct error *error) {
  struct live_wire *wire = find_wire(live, name);
  if (wire == NULL)
    wire = add_wire(live, name, listen_in);
  if (wire == NULL)
    return error_set(error, ENOSPC, "%s: too many interfaces to watch", name);
  wire->wanted = true;
  wire->canary.wanted = wants_canary(wire, zone->class);
  snprintf(wire->zone, sizeof wire->zone, "%s", zone->name);
  if (!pending)
    wire->conditions = 0; /* open alerts are closed with the policy before: say it again */
  return 0;
}

static bool zone_has_interface(const struct policy *policy, const char *name) {
  for (size_t z = 0; z < policy->zone_count; z++)
    for (size_t i = 0; i < policy->zones[z].interface_count; i++)
      if (strcmp(policy->zones[z].interfaces[i].text, name) == 0)
        return true;
  return false;
}

/* A port of the settings that only listens; one that the policy has is none, and one for an unknown zone waits for a
 * policy that has it. */
static int want_listener(struct live *live, const struct policy *policy, const struct wire_settings *settings,
                         bool pending, struct error *error) {
  if (settings->zone == NULL || zone_has_interface(policy, settings->interface))
    return 0;
  for (size_t z = 0; z < policy->zone_count; z++)
    if (strcmp(policy->zones[z].name, settings->zone) == 0)
      return want(live, settings->interface, &policy->zones[z], settings->zone, pending, error);
  return 0;
}

int live_set_policy(struct live *live, const struct policy *policy, bool pending, struct error *error) {
  int result = 0;
  live_withhold_nothing(live);
  for (size_t i = 0; i < live->count; i++)
    live->wires[i].wanted = pending && live->wires[i].wanted;
  for (size_t z = 0; z < policy->zone_count; z++)
    for (size_t i = 0; i < policy->zones[z].interface_count && result == 0; i++)
      result = want(live, policy->zones[z].interfaces[i].text, &policy->zones[z], NULL, pending, error);
  for (size_t i = 0; i < live->settings->wire_count && result == 0; i++)
    result = want_listener(live, policy, &live->settings->wires[i], pending, error);
  return result;
}

/* ---- MACs ---- */

static void tell_own_macs(struct live *live, const struct live_wire *wire, int number) {
  static const struct mac none;
  if (!mac_equal(&wire->mac, &none))
    watch_add_gateway_mac(live->watch, number, &wire->mac);
}

/* A port that only listens sees the gateway by the MACs of its other interfaces of that zone. */
void live_tell_macs(struct live *live) {
  for (size_t i = 0; i < live->count; i++) {
    const struct live_wire *wire = &live->wires[i];
    watch_forget_gateway_macs(live->watch, wire->number);
    for (size_t other = 0; other < live->count; other++)
      if (!live->wires[other].listens && (other == i || (wire->listens && live->wires[other].wanted &&
                                                         strcmp(live->wires[other].zone, wire->zone) == 0)))
        tell_own_macs(live, &live->wires[other], wire->number);
    for (size_t mac = 0; wire->settings != NULL && mac < wire->settings->gateway_mac_count; mac++)
      watch_add_gateway_mac(live->watch, wire->number, &wire->settings->gateway_macs[mac]);
  }
}

/* ---- frames ---- */

int live_descriptor(const struct live *live) {
  return live->epoll;
}

int live_interface_descriptor(const struct live *live) {
  return machine_descriptor(live->machine);
}

static void take_own_canary(struct live *live, size_t at, const struct canary *canary,
                            const struct captured_frame *frame) {
  struct live_wire *sent = canary->wire < live->count ? &live->wires[canary->wire] : NULL;
  if (sent == NULL || canary->number > sent->canary.number || canary->number + LATE_CANARIES < sent->canary.number) {
    watch_finds_forged_canary(live->watch, live->wires[at].number, frame);
  } else if (canary->wire != at) {
    if (!canary->tagged) /* else the trunk below a VLAN that is watched itself */
      watch_finds_strayed_canary(live->watch, live->wires[at].number, sent->number, frame);
  } else if (canary->number == sent->canary.number && sent->canary.outstanding) {
    sent->canary.outstanding = false;
    sent->canary.seen++;
    sent->canary.seen_number = canary->number;
    sent->canary.seen_at = frame->time;
  }
}

/* True when the frame was a canary, or is told as a forged one. */
static bool take_canary(struct live *live, size_t at, const struct captured_frame *frame) {
  struct canary canary;
  enum canary_sight sight = canary_read(&live->key, frame, &canary);
  if (sight == CANARY_OWN)
    take_own_canary(live, at, &canary, frame);
  else if (sight == CANARY_FORGED)
    watch_finds_forged_canary(live->watch, live->wires[at].number, frame);
  return sight != CANARY_NONE;
}

/* Who is to wake the watchman: every frame, or the timer. */
static void set_busy(struct live *live, bool busy) {
  struct timespec interval = {.tv_nsec = busy ? TICK_NANOSECONDS : 0};
  struct itimerspec timer = {.it_interval = interval, .it_value = interval};
  if (timerfd_settime(live->tick, 0, &timer, NULL) < 0)
    return;
  live->busy = busy;
  for (size_t i = 0; i < live->count; i++) {
    struct epoll_event event = {.events = busy ? 0 : EPOLLIN, .data.u32 = (uint32_t)i};
    if (live->sources[i].capture != NULL)
      epoll_ctl(live->epoll, EPOLL_CTL_MOD, capture_descriptor(live->sources[i].capture), &event);
  }
}

static void weigh_load(struct live *live, size_t count) {
  int64_t now = live->drained_at;
  live->counted += count;
  if (now - live->counted_at < COUNTING)
    return;
  int64_t spans = (now - live->counted_at) / COUNTING;
  uint64_t frames = live->counted / (uint64_t)spans;
  if (frames >= BUSY_FRAMES && !live->busy)
    set_busy(live, true);
  else if (frames < CALM_FRAMES && live->busy)
    set_busy(live, false);
  live->counted_at = now;
  live->counted = 0;
}

/* All that was there has been judged. */
static void rest(struct live *live) {
  uint64_t ticks;
  live->drained_at = live_steady_now();
  if (live->busy && read(live->tick, &ticks, sizeof ticks) < 0 && errno != EAGAIN)
    set_busy(live, false);
}

/* What waits for the second copy of a frame is told when that does not come, though no other frame comes either. */
static void look_at_waiting(struct live *live) {
  uint64_t ticks;
  if (live->due_until != 0 && read(live->due, &ticks, sizeof ticks) > 0) {
    watch_tell_waiting(live->watch, live->due_until);
    live->due_until = 0;
  }
  int64_t until = watch_waits_until(live->watch);
  if (live->due_until != 0 || until == 0)
    return;
  struct itimerspec timer = {.it_value.tv_nsec = WATCH_LIVE_WAIT};
  if (timerfd_settime(live->due, 0, &timer, NULL) == 0)
    live->due_until = until;
}

/* Who has nothing need not be asked; the kernel tells of all at once. Under load it is not asked to. */
static void leave_out_empty(struct live *live) {
  struct epoll_event ready[READY_MOST];
  int count = live->busy ? -1 : epoll_wait(live->epoll, ready, READY_MOST, 0);
  if (count < 0 || count == READY_MOST)
    return;
  for (size_t i = 0; i < live->count; i++)
    live->sources[i].empty = true;
  for (int i = 0; i < count; i++)
    if (ready[i].data.u32 < live->count)
      live->sources[ready[i].data.u32].empty = false;
}

/* False when there was nothing more in this round. */
static bool read_one(struct live *live, struct merge *merge, size_t *count) {
  struct captured_frame frame;
  struct error error = {0};
  size_t wire;
  enum capture_step step = merge_next(merge, &wire, &frame, &error);
  if (step == CAPTURE_FRAME && live->wires[wire].wanted) {
    if (!take_canary(live, wire, &frame))
      watch_frame(live->watch, live->wires[wire].number, &frame);
    ++*count;
  }
  return step != CAPTURE_NOTHING && step != CAPTURE_END;
}

size_t live_read(struct live *live, size_t most) {
  struct merge merge = {.sources = live->sources, .count = live->count};
  size_t count = 0;
  do {
    merge_begin(&merge);
    leave_out_empty(live);
    while (count < most && read_one(live, &merge, &count))
      ;
  } while (count < most && !live->busy && merge_holds(&merge));
  if (count < most)
    rest(live);
  watch_flush(live->watch);
  look_at_waiting(live);
  weigh_load(live, count);
  return count;
}

/* ---- status ---- */

static void describe_watching(const struct live *live, const struct live_wire *wire,
                              struct watch_status_interface *interface) {
  int64_t whole, unwatched;
  intervals_read(&wire->intervals, live->now, &whole, &unwatched);
  interface->whole = (uint64_t)whole;
  interface->unwatched = (uint64_t)unwatched;
  interface->intervals = wire->intervals.count;
  interface->canaries_sent = wire->canary.sent;
  interface->canaries_missed = wire->canary.missed;
  interface->canary = wire->canary.wanted;
  interface->listens = wire->listens;
  interface->vantage = wire->settings != NULL ? (uint8_t)wire->settings->vantage : VANTAGE_PORT;
  interface->presence = wire->settings != NULL ? (uint8_t)wire->settings->presence : PRESENCE_SOMETIMES;
}

uint64_t live_drops(const struct live *live, const char *interface) {
  for (size_t i = 0; i < live->count; i++)
    if (strcmp(live->wires[i].name, interface) == 0)
      return live->wires[i].drops;
  return 0;
}

static void describe_wire(const struct live *live, const struct live_wire *wire,
                          struct watch_status_interface *interface) {
  struct watch_counters counters;
  watch_read_counters(live->watch, wire->number, &counters);
  snprintf(interface->name, sizeof interface->name, "%.31s", wire->name);
  snprintf(interface->zone, sizeof interface->zone, "%s", wire->zone);
  interface->state = live_wire_state(live, (size_t)(wire - live->wires));
  snprintf(interface->reason, sizeof interface->reason, "%s", live_wire_reason(wire));
  interface->frames = counters.frames;
  interface->bytes = counters.bytes;
  interface->everyday = counters.everyday;
  interface->findings = counters.findings;
  interface->drops = wire->drops;
  describe_watching(live, wire, interface);
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
    seen += live_wire_state(live, i) == WIRE_WATCHED ? 1 : 0;
    dropped = dropped || (wire->drops > 0 && live->now - wire->dropped_at < RECENT);
  }
  status->interface_count = (uint32_t)wanted;
  status->state = seen == 0 ? WATCH_BLIND : seen < wanted || dropped ? WATCH_DEGRADED : WATCH_WATCHING;
}
