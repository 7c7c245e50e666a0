/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch/aggregate.h"

#include <stdlib.h>
#include <string.h>

enum {
  ALERTS = 1024,             /* a power of two */
  PASSING_MOST = ALERTS / 2, /* open at one time of what passes, and of what lasts; and then one of each kind */
  HELD_MOST = ALERTS / 4,
  OWN_BUDGET = 4,
  SHARED_BUDGET = 20,
  SHARED_RESERVE = 10, /* which notices do not touch */
  REPEAT_BUDGET = 20,
  PAIRS_OF_KIND = 6,
  CLOSED = 512, /* causes that are remembered after they were over; a power of two */
};

/* There is always a free slot: searches end, and every finding has an alert in which it is counted. */
_Static_assert(PASSING_MOST + HELD_MOST + FINDING_KIND_COUNT_ < ALERTS, "the table of alerts is too small");

static const int64_t SECOND = 1000000000;
#define QUIET (10 * SECOND)                   /* an alert that heard nothing for so long is over */
#define QUIET_MOST (600 * SECOND)             /* ... at most, for a cause that comes back again and again */
#define RETURNING 4                           /* how much longer the next time */
#define FORGOTTEN (3600 * SECOND)             /* a cause that stayed away for so long is new */
#define REFILL (5 * SECOND)                   /* one more of a budget each */
static const int64_t REPEATS[] = {1, 10, 60}; /* seconds after the first; then each minute */

/* A number of lines that comes back with time. */
struct budget {
  int left, most;
  int64_t refilled;
};

/* What makes two findings one cause; compared as bytes, so it is always filled over zeros. */
struct cause {
  uint8_t source[16], destination[16], mac[6];
  uint8_t family, kind, scope;
  uint8_t unused[3]; /* no hidden padding: it would be compared */
  int32_t zone, other_zone, wire, protocol, port, vlan, ethertype;
  const char *reason;
  uint64_t subject;
};

struct slot {
  struct alert alert;
  struct cause cause;
  bool used, held;
  uint64_t told; /* count when last told */
  unsigned repeats;
  int64_t repeat_at;
  int64_t quiet; /* when it heard nothing for so long, it is over */
};

/* A cause that was over. */
struct closed {
  uint64_t hash;
  int64_t time, quiet;
};

struct aggregate {
  aggregate_tell *tell;
  void *context;
  struct slot slots[ALERTS];
  struct closed closed[CLOSED];
  struct finding lasting[HELD_MOST]; /* while the clock is set */
  size_t used, held;
  size_t open[EVENT_INFO + 1];
  unsigned pairs[FINDING_KIND_COUNT_];
  struct budget own[FINDING_KIND_COUNT_], shared, repeat;
};

struct aggregate *aggregate_new(aggregate_tell *tell, void *context) {
  struct aggregate *aggregate = calloc(1, sizeof *aggregate);
  if (aggregate == NULL)
    return NULL;
  aggregate->tell = tell;
  aggregate->context = context;
  for (size_t i = 0; i < FINDING_KIND_COUNT_; i++)
    aggregate->own[i] = (struct budget){OWN_BUDGET, OWN_BUDGET, 0};
  aggregate->shared = (struct budget){SHARED_BUDGET, SHARED_BUDGET, 0};
  aggregate->repeat = (struct budget){REPEAT_BUDGET, REPEAT_BUDGET, 0};
  return aggregate;
}

struct aggregate *aggregate_free(struct aggregate *aggregate) {
  free(aggregate);
  return NULL;
}

static bool take(struct budget *budget, int reserve, int64_t now) {
  int64_t earned = (now - budget->refilled) / REFILL;
  if (budget->refilled == 0 || earned < 0 || earned > budget->most) {
    budget->left = budget->refilled == 0 || earned > 0 ? budget->most : budget->left;
    budget->refilled = now;
  } else if (earned > 0) {
    budget->left = budget->left + (int)earned < budget->most ? budget->left + (int)earned : budget->most;
    budget->refilled += earned * REFILL;
  }
  if (budget->left <= reserve)
    return false;
  budget->left--;
  return true;
}

/* ---- causes ---- */

static bool by_wire(enum finding_kind kind) {
  return kind == FINDING_BLIND || kind == FINDING_UNKNOWN_SEGMENT || kind == FINDING_MALFORMED ||
         kind == FINDING_ROGUE_ROUTER || kind == FINDING_ROGUE_UPLINK || kind == FINDING_IDENTITY_THEFT;
}

static bool by_reason(enum finding_kind kind) {
  return by_wire(kind) && kind != FINDING_ROGUE_UPLINK;
}

/* What joins two zones joins the second with the first, too; and a tunnel has two directions. */
static bool without_direction(enum finding_kind kind) {
  return kind == FINDING_BRIDGED || kind == FINDING_DUAL_HOMED || kind == FINDING_TUNNEL;
}

/* Two machines that build a tunnel greet on one port, encrypt on another, and answer to a third: one cause. */
static void fill_tunnel(struct cause *cause) {
  uint8_t source[sizeof cause->source];
  cause->port = -1;
  if (memcmp(cause->source, cause->destination, sizeof source) <= 0)
    return;
  memcpy(source, cause->source, sizeof source);
  memcpy(cause->source, cause->destination, sizeof source);
  memcpy(cause->destination, source, sizeof source);
}

static void fill_details(const struct finding *finding, struct cause *cause) {
  cause->reason = by_reason(finding->kind) ? finding->reason : NULL;
  cause->subject = finding->subject;
  if (finding->subject != 0)
    return;
  cause->family = (uint8_t)finding->source.family;
  memcpy(cause->source, finding->source.bytes, sizeof cause->source);
  memcpy(cause->destination, finding->destination.bytes, sizeof cause->destination);
  if (finding->source.family == FAMILY_NONE)
    memcpy(cause->mac, finding->source_mac.bytes, sizeof cause->mac);
  cause->protocol = finding->protocol;
  cause->port = finding->protocol == 1 || finding->protocol == 58 ? finding->icmp_type : finding->destination_port;
  cause->vlan = finding->vlan;
  cause->ethertype = finding->ethertype;
  if (finding->kind == FINDING_TUNNEL)
    fill_tunnel(cause);
}

/* Whoever carries it, it is one cause. */
static void fill_flow(const struct finding *finding, struct cause *cause) {
  cause->reason = finding->reason;
  cause->port = finding->flow != NULL ? (int)finding->flow->index : -1;
}

static void cause_of(const struct finding *finding, enum alert_scope scope, struct cause *ret_cause) {
  memset(ret_cause, 0, sizeof *ret_cause);
  ret_cause->kind = (uint8_t)finding->kind;
  ret_cause->scope = (uint8_t)scope;
  if (scope == ALERT_KIND)
    return;
  bool turned = without_direction(finding->kind) && finding->other_zone < finding->zone;
  ret_cause->zone = turned ? finding->other_zone : finding->zone;
  ret_cause->other_zone = turned ? finding->zone : finding->other_zone;
  ret_cause->wire = by_wire(finding->kind) ? finding->wire : WIRE_NONE;
  if (scope != ALERT_CAUSE)
    return;
  if (finding->of_flow)
    fill_flow(finding, ret_cause);
  else
    fill_details(finding, ret_cause);
}

static size_t hash(const struct cause *cause) {
  uint8_t bytes[sizeof *cause];
  memcpy(bytes, cause, sizeof bytes);
  uint64_t value = 0xcbf29ce484222325;
  for (size_t i = 0; i < sizeof bytes; i++)
    value = (value ^ bytes[i]) * 0x100000001b3;
  return (size_t)(value ^ value >> 32);
}

/* The slot of a cause, or the free one where it would stand. */
static struct slot *find(struct aggregate *aggregate, const struct cause *cause) {
  for (size_t at = hash(cause);; at++) {
    struct slot *slot = &aggregate->slots[at & (ALERTS - 1)];
    if (!slot->used || memcmp(&slot->cause, cause, sizeof *cause) == 0)
      return slot;
  }
}

/* ---- telling ---- */

static void tell(struct aggregate *aggregate, struct slot *slot, int64_t now) {
  slot->told = slot->alert.finding.count;
  aggregate->tell(aggregate->context, &slot->alert, now);
}

static void schedule(struct slot *slot) {
  size_t steps = sizeof REPEATS / sizeof REPEATS[0];
  int64_t minutes = slot->repeats < steps ? 0 : (int64_t)(slot->repeats - steps + 1) * 60;
  int64_t seconds = slot->repeats < steps ? REPEATS[slot->repeats] : REPEATS[steps - 1] + minutes;
  slot->repeat_at = slot->alert.first_seen + seconds * SECOND;
  slot->repeats++;
}

static void forget_addresses(struct finding *finding, enum alert_scope scope) {
  finding->source.family = finding->destination.family = FAMILY_NONE;
  finding->protocol = finding->source_port = finding->destination_port = finding->icmp_type = -1;
  finding->vlan = finding->ethertype = -1;
  finding->has_source_mac = finding->has_destination_mac = false;
  finding->flow = NULL;
  finding->new_source.family = finding->new_destination.family = FAMILY_NONE;
  if (scope == ALERT_KIND)
    finding->zone = finding->other_zone = ZONE_NONE, finding->wire = finding->entry_wire = WIRE_NONE;
}

/* A retry each minute, a broadcast now and then: what comes back is waited for longer each time, so that it becomes one
 * alert and not one a minute. Blindness is told by intervals, which must not grow together. */
static int64_t quiet_of(const struct aggregate *aggregate, const struct cause *cause, int64_t now) {
  uint64_t value = hash(cause);
  const struct closed *closed = &aggregate->closed[value & (CLOSED - 1)];
  if (closed->quiet == 0 || closed->hash != value || now - closed->time > FORGOTTEN || cause->kind == FINDING_BLIND)
    return QUIET;
  int64_t longer = closed->quiet * RETURNING;
  return longer < QUIET_MOST ? longer : QUIET_MOST;
}

static void remember_closed(struct aggregate *aggregate, const struct slot *slot, int64_t now) {
  uint64_t value = hash(&slot->cause);
  aggregate->closed[value & (CLOSED - 1)] = (struct closed){value, now, slot->quiet};
}

static void open_alert(struct aggregate *aggregate, struct slot *slot, const struct cause *cause,
                       const struct finding *finding, enum alert_scope scope) {
  *slot = (struct slot){.cause = *cause, .used = true, .quiet = quiet_of(aggregate, cause, finding->time)};
  slot->alert = (struct alert){.finding = *finding,
                               .scope = scope,
                               .first_seen = finding->since != 0 ? finding->since : finding->time,
                               .last_seen = finding->time,
                               .still_going = true};
  if (scope != ALERT_CAUSE)
    forget_addresses(&slot->alert.finding, scope);
  aggregate->used++;
  aggregate->open[finding_rule(finding->kind)->severity]++;
  aggregate->pairs[finding->kind] += scope == ALERT_PAIR ? 1 : 0;
  schedule(slot);
  tell(aggregate, slot, finding->time);
}

static void count_to(struct slot *slot, const struct finding *finding) {
  slot->alert.finding.count += finding->count;
  slot->alert.finding.bytes += finding->bytes;
  if (finding->time > slot->alert.last_seen)
    slot->alert.last_seen = finding->time;
}

/* A flood of attempts leaves something to what is worse. */
static int reserve_of(const struct finding *finding) {
  return finding_rule(finding->kind)->severity >= EVENT_NOTICE ? SHARED_RESERVE : 0;
}

static bool may_open(struct aggregate *aggregate, const struct finding *finding, enum alert_scope scope) {
  if (aggregate->used - aggregate->held >= PASSING_MOST)
    return scope == ALERT_KIND;
  if (scope == ALERT_CAUSE)
    return take(&aggregate->own[finding->kind], 0, finding->time) ||
           take(&aggregate->shared, reserve_of(finding), finding->time);
  return scope == ALERT_KIND || aggregate->pairs[finding->kind] < PAIRS_OF_KIND;
}

static struct slot *add(struct aggregate *aggregate, const struct finding *finding) {
  for (enum alert_scope scope = ALERT_CAUSE;; scope++) {
    struct cause cause;
    cause_of(finding, scope, &cause);
    struct slot *slot = find(aggregate, &cause);
    if (slot->used) {
      count_to(slot, finding);
      return slot;
    }
    if (scope == ALERT_KIND || may_open(aggregate, finding, scope)) {
      open_alert(aggregate, slot, &cause, finding, scope);
      return slot;
    }
  }
}

struct alert *aggregate_add(struct aggregate *aggregate, const struct finding *finding) {
  return &add(aggregate, finding)->alert;
}

/* Far too many at one time: those that have no alert of their own keep that of their kind open, by being held again. */
static void hold_with_others(struct aggregate *aggregate, const struct finding *finding) {
  struct cause cause;
  cause_of(finding, ALERT_KIND, &cause);
  struct slot *slot = find(aggregate, &cause);
  if (!slot->used)
    open_alert(aggregate, slot, &cause, finding, ALERT_KIND);
  slot->alert.last_seen = finding->time;
}

void aggregate_hold(struct aggregate *aggregate, const struct finding *finding) {
  struct cause cause;
  cause_of(finding, ALERT_CAUSE, &cause);
  struct slot *slot = find(aggregate, &cause);
  if (!(slot->used && slot->held) && aggregate->held == HELD_MOST) {
    hold_with_others(aggregate, finding);
    return;
  }
  if (!slot->used)
    open_alert(aggregate, slot, &cause, finding, ALERT_CAUSE);
  aggregate->held += slot->held ? 0 : 1;
  slot->held = true;
  slot->alert.last_seen = finding->time;
}

/* ---- closing ---- */

/* Open addressing without marks: what stood behind a freed slot moves up. */
static void free_slot(struct aggregate *aggregate, struct slot *slot) {
  size_t hole = (size_t)(slot - aggregate->slots);
  for (size_t at = (hole + 1) & (ALERTS - 1); aggregate->slots[at].used; at = (at + 1) & (ALERTS - 1)) {
    size_t home = hash(&aggregate->slots[at].cause) & (ALERTS - 1);
    if (((at - home) & (ALERTS - 1)) < ((at - hole) & (ALERTS - 1)))
      continue;
    aggregate->slots[hole] = aggregate->slots[at];
    hole = at;
  }
  aggregate->slots[hole].used = false;
}

static void close_slot(struct aggregate *aggregate, struct slot *slot, int64_t now) {
  enum finding_kind kind = slot->alert.finding.kind;
  slot->alert.still_going = false;
  remember_closed(aggregate, slot, now);
  tell(aggregate, slot, now);
  aggregate->used--;
  aggregate->held -= slot->held ? 1 : 0;
  aggregate->open[finding_rule(kind)->severity]--;
  aggregate->pairs[kind] -= slot->alert.scope == ALERT_PAIR ? 1 : 0;
  free_slot(aggregate, slot);
}

void aggregate_end(struct aggregate *aggregate, const struct finding *finding) {
  struct cause cause;
  cause_of(finding, ALERT_CAUSE, &cause);
  struct slot *slot = find(aggregate, &cause);
  if (!slot->used)
    return;
  slot->alert.last_seen = finding->time;
  close_slot(aggregate, slot, finding->time);
}

static void repeat(struct aggregate *aggregate, struct slot *slot, int64_t now) {
  if (now < slot->repeat_at)
    return;
  while (slot->repeat_at <= now)
    schedule(slot);
  bool news = slot->alert.finding.count != slot->told || slot->held;
  if (news && take(&aggregate->repeat, 0, now))
    tell(aggregate, slot, now);
}

void aggregate_advance(struct aggregate *aggregate, int64_t now) {
  for (size_t i = 0; i < ALERTS && aggregate->used > 0;) {
    struct slot *slot = &aggregate->slots[i];
    if (slot->used && !slot->held && now - slot->alert.last_seen >= slot->quiet) {
      close_slot(aggregate, slot, slot->alert.last_seen + slot->quiet);
      continue; /* another may have moved into this slot */
    }
    if (slot->used)
      repeat(aggregate, slot, now);
    i++;
  }
}

void aggregate_close(struct aggregate *aggregate, int64_t now) {
  for (size_t i = 0; i < ALERTS && aggregate->used > 0;) {
    if (aggregate->slots[i].used)
      close_slot(aggregate, &aggregate->slots[i], now);
    else
      i++;
  }
}

void aggregate_restart(struct aggregate *aggregate, int64_t before, int64_t now) {
  size_t count = 0;
  for (size_t i = 0; i < ALERTS; i++) {
    const struct slot *slot = &aggregate->slots[i];
    if (!slot->used || !slot->held)
      continue;
    struct finding *lasting = &aggregate->lasting[count++];
    *lasting = slot->alert.finding;
    lasting->time = now;
    lasting->since = 0;
    lasting->count = 1;
  }
  aggregate_close(aggregate, before);
  for (size_t i = 0; i < count; i++)
    aggregate_hold(aggregate, &aggregate->lasting[i]);
}

size_t aggregate_open(const struct aggregate *aggregate, enum event_severity severity) {
  return aggregate->open[severity];
}
