/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a flow declares is the most of the flow as a whole; where it declares nothing, its method has a limit for each
 * machine that opens it: a terminal of a screen transfer sends key strokes, and an upload of a file shows whether or
 * not two hundred others are at work.
 *
 * A minute is six slots of ten seconds, the last of them still filling: what is within the limit in every minute is
 * never told, and what is a fifth above it always is.
 */
#include "watch/shape.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { SLOTS = 6, WAYS = 4, SIDES = 2, MINUTE = 60, SLOT = 10 };

static const int64_t SECOND = 1000000000;
static const uint64_t MEGABYTE = 1000000;

/* A screen transfer that is slow on purpose: this part of the limit, for so many minutes without a pause. */
enum { SUSTAINED_PART = 5, SUSTAINED_MINUTES = 15 };

/* Far above its history: so often the average of the minutes in which it was used, once so many are known. */
enum { FAR_ABOVE = 20, HISTORY_MINUTES = 60, HISTORY_WEIGHT = 32 };
#define FAR_ABOVE_LEAST (50 * MEGABYTE)

/* A relay may send so often what it received from the other side within a day (a document becomes a picture), and this
 * much on top; more in the first hours, when it may still hold what came before the watch. */
enum { RELAY_GROWTH = 20, HALF_DAY = 43200, RELAY_WARM_UP = 7200 };
#define RELAY_FREE (8 * MEGABYTE)
#define RELAY_FREE_AT_START (200 * MEGABYTE)

static const struct {
  enum flow_method method;
  uint64_t limits[SIDES];
} DEFAULTS[] = {
    {METHOD_SCREEN, {[SHAPE_UP] = 10000000, [SHAPE_DOWN] = 0}},
};

struct minute {
  int64_t slot; /* number of the newest */
  uint64_t bytes[SIDES][SLOTS], total[SIDES];
};

struct history {
  int64_t minute;
  uint64_t bytes, average; /* of minutes in which anything was carried */
  unsigned minutes;
};

struct flow_state {
  uint64_t name; /* digest */
  struct minute minute;
  struct history history;
  int relay;     /* index, NO_RELAY */
  bool outside;  /* the other end of the relay is not on the lgwan side */
  bool relay_up; /* the relay opens: what goes up is sent by it */
};

enum { NO_RELAY = -1 };

struct relay {
  const char *pair;
  int64_t half_day, since;
  uint64_t sent[2], received[2]; /* by the relay, inside and outside */
};

struct talker {
  uint64_t flow;         /* digest of its name */
  struct address opener; /* family FAMILY_NONE: free */
  int64_t seen;
  struct minute minute;
  int64_t wall_minute;
  uint64_t wall_bytes; /* up, in wall_minute */
  unsigned run;        /* minutes without a pause in which much went up */
};

struct shapes {
  const struct policy *policy;
  struct flow_state *flows;
  size_t flow_count;
  struct relay *relays;
  size_t relay_count;
  struct talker *talkers;
  size_t sets;
  uint64_t seed, crowded_out;
};

/* ---- limits ---- */

static uint64_t declared_limit(const struct flow *flow, enum shape_side side) {
  return side == SHAPE_UP ? flow->shape.up_bytes_per_minute : flow->shape.down_bytes_per_minute;
}

static uint64_t default_limit(const struct flow *flow, enum shape_side side) {
  for (size_t i = 0; i < sizeof DEFAULTS / sizeof DEFAULTS[0]; i++)
    if (DEFAULTS[i].method == flow->method)
      return DEFAULTS[i].limits[side];
  return 0;
}

uint64_t shape_limit(const struct flow *flow, enum shape_side side) {
  uint64_t declared = declared_limit(flow, side);
  return declared != 0 ? declared : default_limit(flow, side);
}

static bool is_relayed(const struct flow *flow) {
  return flow->method == METHOD_MAILTEXT || flow->method == METHOD_CDR;
}

bool shape_needs_all(const struct flow *flow) {
  return shape_limit(flow, SHAPE_UP) != 0 || shape_limit(flow, SHAPE_DOWN) != 0 || is_relayed(flow) ||
         flow->protocol.text != NULL;
}

/* ---- life ---- */

struct shapes *shapes_new(size_t talkers) {
  struct shapes *shapes = calloc(1, sizeof *shapes);
  if (shapes == NULL)
    return NULL;
  shapes->sets = talkers / WAYS + 1;
  shapes->talkers = calloc(shapes->sets * WAYS, sizeof *shapes->talkers);
  if (shapes->talkers == NULL)
    return shapes_free(shapes);
  if (getrandom(&shapes->seed, sizeof shapes->seed, GRND_NONBLOCK) < 0)
    shapes->seed = 0x9e3779b97f4a7c15;
  return shapes;
}

struct shapes *shapes_free(struct shapes *shapes) {
  if (shapes != NULL) {
    free(shapes->flows);
    free(shapes->relays);
    free(shapes->talkers);
  }
  free(shapes);
  return NULL;
}

static uint64_t mix(uint64_t state, uint64_t value) {
  state = (state ^ value) * 0xff51afd7ed558ccd;
  return state ^ state >> 32;
}

static uint64_t digest_name(const char *name) {
  uint64_t digest = 0xcbf29ce484222325;
  for (; *name != '\0'; name++)
    digest = (digest ^ (uint8_t)*name) * 0x100000001b3;
  return digest;
}

/* ---- relays ---- */

static enum zone_class class_of(const struct policy *policy, zone_index zone) {
  return zone >= 0 ? policy->zones[zone].class : CLASS_COUNT_;
}

static bool is_inside(enum zone_class class) {
  return class == CLASS_LGWAN || class == CLASS_LGWAN_LINE;
}

static int find_relay(const struct relay *relays, size_t count, const char *pair) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(relays[i].pair, pair) == 0)
      return (int)i;
  return NO_RELAY;
}

static void note_relay(const struct policy *policy, const struct flow *flow, struct flow_state *state,
                       struct relay *relays, size_t *count) {
  enum zone_class from = class_of(policy, flow->from_zone), to = class_of(policy, flow->to_zone);
  state->relay = NO_RELAY;
  if (!is_relayed(flow) || flow->pair.text == NULL || (from == CLASS_RELAY) == (to == CLASS_RELAY))
    return;
  state->relay_up = from == CLASS_RELAY;
  state->outside = !is_inside(state->relay_up ? to : from);
  state->relay = find_relay(relays, *count, flow->pair.text);
  if (state->relay == NO_RELAY) {
    relays[*count] = (struct relay){.pair = flow->pair.text};
    state->relay = (int)(*count)++;
  }
}

/* ---- policies ---- */

static int compare_states(const void *left, const void *right) {
  const struct flow_state *const *a = left, *const *b = right;
  return ((*a)->name > (*b)->name) - ((*a)->name < (*b)->name);
}

static const struct flow_state *find_state(struct flow_state *const *sorted, size_t count, uint64_t name) {
  struct flow_state wanted = {.name = name}, *key = &wanted;
  struct flow_state *const *found =
      count > 0 ? bsearch(&key, sorted, count, sizeof(struct flow_state *), compare_states) : NULL;
  return found != NULL ? *found : NULL;
}

/* What was counted of flows and relays that keep their names. */
static void inherit(const struct shapes *old, struct shapes *next, struct flow_state **sorted) {
  for (size_t i = 0; i < old->flow_count; i++)
    sorted[i] = &old->flows[i];
  qsort(sorted, old->flow_count, sizeof(struct flow_state *), compare_states);
  for (size_t i = 0; i < next->flow_count; i++) {
    const struct flow_state *before = find_state(sorted, old->flow_count, next->flows[i].name);
    if (before == NULL)
      continue;
    next->flows[i].minute = before->minute;
    next->flows[i].history = before->history;
  }
  for (size_t i = 0; i < next->relay_count; i++) {
    int before = find_relay(old->relays, old->relay_count, next->relays[i].pair);
    if (before == NO_RELAY)
      continue;
    const char *pair = next->relays[i].pair;
    next->relays[i] = old->relays[before];
    next->relays[i].pair = pair;
  }
}

static void lay_out(struct shapes *next, const struct policy *policy) {
  for (size_t i = 0; i < policy->flow_count; i++) {
    next->flows[i].name = digest_name(policy->flows[i].name);
    note_relay(policy, &policy->flows[i], &next->flows[i], next->relays, &next->relay_count);
  }
}

int shapes_set_policy(struct shapes *shapes, const struct policy *policy) {
  struct shapes next = *shapes;
  struct flow_state **sorted = calloc(shapes->flow_count + 1, sizeof(struct flow_state *));
  next.policy = policy;
  next.flow_count = policy->flow_count;
  next.relay_count = 0;
  next.flows = calloc(policy->flow_count + 1, sizeof *next.flows);
  next.relays = calloc(policy->flow_count + 1, sizeof *next.relays);
  if (sorted == NULL || next.flows == NULL || next.relays == NULL) {
    free(sorted);
    free(next.flows);
    free(next.relays);
    return -ENOMEM;
  }
  lay_out(&next, policy);
  inherit(shapes, &next, sorted);
  free(sorted);
  free(shapes->flows);
  free(shapes->relays);
  *shapes = next;
  return 0;
}

/* ---- a minute ---- */

static void forget_slot(struct minute *minute, size_t at) {
  for (size_t side = 0; side < SIDES; side++) {
    minute->total[side] -= minute->bytes[side][at];
    minute->bytes[side][at] = 0;
  }
}

static uint64_t minute_add(struct minute *minute, int64_t time, enum shape_side side, uint64_t bytes) {
  int64_t slot = time / (SLOT * SECOND);
  if (slot - minute->slot >= SLOTS || slot < minute->slot - SLOTS)
    *minute = (struct minute){.slot = slot};
  for (; minute->slot < slot; minute->slot++)
    forget_slot(minute, (size_t)((minute->slot + 1) % SLOTS));
  minute->bytes[side][minute->slot % SLOTS] += bytes;
  minute->total[side] += bytes;
  return minute->total[side];
}

/* ---- talkers ---- */

static struct talker *find_talker(struct shapes *shapes, const struct shape_portion *portion) {
  uint64_t parts[2], flow = shapes->flows[portion->flow->index].name;
  memcpy(parts, portion->opener.bytes, sizeof parts);
  uint64_t hash = mix(mix(mix(shapes->seed, parts[0]), parts[1]), flow);
  struct talker *set = &shapes->talkers[hash % shapes->sets * WAYS], *oldest = set;
  for (size_t way = 0; way < WAYS; way++) {
    if (set[way].flow == flow && address_equal(&set[way].opener, &portion->opener))
      return &set[way];
    if (set[way].seen < oldest->seen)
      oldest = &set[way];
  }
  bool busy = oldest->opener.family != FAMILY_NONE && portion->time - oldest->seen < MINUTE * SECOND;
  shapes->crowded_out += busy ? 1 : 0;
  *oldest = (struct talker){.flow = flow, .opener = portion->opener};
  return oldest;
}

/* The minutes in a row in which at least `least` went up, the present one not counted. */
static unsigned follow_run(struct talker *talker, const struct shape_portion *portion, uint64_t least) {
  int64_t minute = portion->time / (MINUTE * SECOND);
  if (minute != talker->wall_minute) {
    bool goes_on = minute == talker->wall_minute + 1 && talker->wall_bytes >= least;
    talker->run = goes_on ? talker->run + 1 : 0;
    talker->wall_minute = minute;
    talker->wall_bytes = 0;
  }
  talker->wall_bytes += portion->side == SHAPE_UP ? portion->bytes : 0;
  return talker->run;
}

static const char *judge_limit(uint64_t bytes, uint64_t limit, enum shape_side side) {
  if (limit == 0 || bytes <= limit)
    return NULL;
  return side == SHAPE_UP ? "upload-above-shape" : "download-above-shape";
}

static const char *count_talker(struct shapes *shapes, const struct shape_portion *portion, uint64_t *ret_bytes) {
  uint64_t limit = default_limit(portion->flow, portion->side);
  if (declared_limit(portion->flow, portion->side) != 0 || limit == 0)
    return NULL;
  struct talker *talker = find_talker(shapes, portion);
  talker->seen = portion->time;
  uint64_t bytes = minute_add(&talker->minute, portion->time, portion->side, portion->bytes);
  unsigned run = follow_run(talker, portion, limit / SUSTAINED_PART);
  const char *reason = judge_limit(bytes, limit, portion->side);
  if (reason == NULL && run >= SUSTAINED_MINUTES && portion->side == SHAPE_UP)
    reason = "sustained-upload";
  if (reason != NULL)
    *ret_bytes = bytes;
  return reason;
}

/* ---- flows ---- */

static void fold_minute(struct history *history) {
  uint64_t most = history->average * FAR_ABOVE;
  uint64_t bytes = history->minutes >= HISTORY_MINUTES && history->bytes > most ? most : history->bytes;
  if (history->minutes < HISTORY_WEIGHT)
    history->average = (history->average * history->minutes + bytes) / (history->minutes + 1);
  else
    history->average += (bytes >> 5) - (history->average >> 5);
  history->minutes++;
  history->bytes = 0;
}

static const char *count_history(struct flow_state *state, const struct shape_portion *portion, uint64_t *ret_bytes) {
  struct history *history = &state->history;
  int64_t minute = portion->time / (MINUTE * SECOND);
  if (minute != history->minute && history->bytes > 0)
    fold_minute(history);
  history->minute = minute;
  history->bytes += portion->bytes;
  if (history->minutes < HISTORY_MINUTES || history->bytes <= FAR_ABOVE_LEAST ||
      history->bytes <= history->average * FAR_ABOVE)
    return NULL;
  *ret_bytes = history->bytes;
  return "above-history";
}

static const char *count_flow(struct flow_state *state, const struct shape_portion *portion, uint64_t *ret_bytes) {
  uint64_t bytes = minute_add(&state->minute, portion->time, portion->side, portion->bytes);
  const char *reason = judge_limit(bytes, declared_limit(portion->flow, portion->side), portion->side);
  if (reason != NULL)
    *ret_bytes = bytes;
  return reason;
}

static void let_relay_forget(struct relay *relay, int64_t seconds) {
  if (relay->since == 0) {
    relay->since = seconds;
    relay->half_day = seconds / HALF_DAY;
  }
  for (; relay->half_day < seconds / HALF_DAY; relay->half_day++)
    for (size_t side = 0; side < 2; side++) {
      relay->sent[side] /= 2;
      relay->received[side] /= 2;
    }
}

/* What is asked for and answered on one side is no forwarding: only what goes out there beyond what came in. */
static const char *count_relay(struct shapes *shapes, const struct flow_state *state,
                               const struct shape_portion *portion, uint64_t *ret_bytes) {
  if (state->relay == NO_RELAY)
    return NULL;
  struct relay *relay = &shapes->relays[state->relay];
  int64_t seconds = portion->time / SECOND;
  let_relay_forget(relay, seconds);
  size_t side = state->outside ? 1 : 0;
  bool sends = state->relay_up == (portion->side == SHAPE_UP);
  *(sends ? &relay->sent[side] : &relay->received[side]) += portion->bytes;
  uint64_t granted = seconds - relay->since < RELAY_WARM_UP ? RELAY_FREE_AT_START : RELAY_FREE;
  uint64_t covered = relay->received[side] + relay->received[1 - side] * RELAY_GROWTH + granted;
  if (!sends || relay->sent[side] <= covered)
    return NULL;
  *ret_bytes = relay->sent[side];
  return "relay-without-input";
}

bool shapes_count(struct shapes *shapes, const struct shape_portion *portion, struct shape_verdict *ret_verdict) {
  if (portion->flow->index >= shapes->flow_count || portion->time < 0)
    return false;
  struct flow_state *state = &shapes->flows[portion->flow->index];
  uint64_t bytes = 0;
  const char *of_history = count_history(state, portion, &bytes);
  const char *of_relay = count_relay(shapes, state, portion, &bytes);
  const char *of_flow = count_flow(state, portion, &bytes);
  const char *of_opener = count_talker(shapes, portion, &bytes);
  const char *whole = of_flow != NULL ? of_flow : of_relay != NULL ? of_relay : of_history;
  *ret_verdict = (struct shape_verdict){of_opener != NULL ? of_opener : whole, of_opener == NULL, bytes};
  return ret_verdict->reason != NULL;
}

uint64_t shapes_crowded_out(const struct shapes *shapes) {
  return shapes->crowded_out;
}
