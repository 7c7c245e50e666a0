/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/policy.h"

#include <errno.h>
#include <string.h>

#include "policy/words.h"

/* ---- names ---- */

const char *const zone_class_words[CLASS_COUNT_] = {
    [CLASS_MYNUMBER] = "mynumber",
    [CLASS_MYNUMBER_CLOUD] = "mynumber_cloud",
    [CLASS_LGWAN] = "lgwan",
    [CLASS_LGWAN_LINE] = "lgwan_line",
    [CLASS_RELAY] = "relay",
    [CLASS_INTERNET] = "internet",
    [CLASS_CLOUD] = "cloud",
    [CLASS_BREAKOUT] = "breakout",
    [CLASS_MANAGEMENT] = "management",
    [CLASS_MAINTENANCE] = "maintenance",
    [CLASS_OT] = "ot",
    [CLASS_UNROUTED] = "unrouted",
};

const char *const connection_model_words[MODEL_COUNT_] = {
    [MODEL_ALPHA] = "alpha",
    [MODEL_ALPHA_PRIME] = "alpha_prime",
    [MODEL_BETA] = "beta",
    [MODEL_BETA_PRIME] = "beta_prime",
};

const char *const approval_role_words[ROLE_COUNT_] = {
    [ROLE_NONE] = NULL,
    [ROLE_MANAGER] = "manager",
    [ROLE_SECTION] = "section",
    [ROLE_DEPARTMENT] = "department",
    [ROLE_CHIEF] = "chief",
    [ROLE_CISO] = "ciso",
    [ROLE_EMERGENCY] = "emergency",
};

const char *const flow_method_words[METHOD_COUNT_] = {
    [METHOD_SCREEN] = "screen",
    [METHOD_MAILTEXT] = "mailtext",
    [METHOD_CDR] = "cdr",
    [METHOD_SPECIFIC] = "specific",
    [METHOD_LGWAN_SERVICE] = "lgwan_service",
    [METHOD_AGGREGATE] = "aggregate",
    [METHOD_BREAKOUT] = "breakout",
    [METHOD_OPS] = "ops",
    [METHOD_MAINTENANCE] = "maintenance",
    [METHOD_EXCEPTION] = "exception",
};

static const struct {
  const char *japanese, *english;
} METHOD_LABELS[METHOD_COUNT_] = {
    [METHOD_SCREEN] = {"画面転送", "screen transfer"},
    [METHOD_MAILTEXT] = {"メールテキスト化", "mail as text"},
    [METHOD_CDR] = {"危険因子除去", "content disarm"},
    [METHOD_SPECIFIC] = {"特定通信", "specific communication"},
    [METHOD_LGWAN_SERVICE] = {"LGWANサービス", "LGWAN service"},
    [METHOD_AGGREGATE] = {"セキュリティクラウド集約", "security cloud aggregation"},
    [METHOD_BREAKOUT] = {"ローカルブレイクアウト", "local breakout"},
    [METHOD_OPS] = {"運用管理", "operations"},
    [METHOD_MAINTENANCE] = {"保守接続", "maintenance"},
    [METHOD_EXCEPTION] = {"例外措置", "exception"},
};

const char *zone_class_name(enum zone_class class) {
  return (unsigned)class < CLASS_COUNT_ ? zone_class_words[class] : "-";
}

const char *flow_method_name(enum flow_method method) {
  return (unsigned)method < METHOD_COUNT_ ? flow_method_words[method] : "-";
}

const char *approval_role_name(enum approval_role role) {
  return (unsigned)role < ROLE_COUNT_ && approval_role_words[role] != NULL ? approval_role_words[role] : "-";
}

const char *connection_model_name(enum connection_model model) {
  return (unsigned)model < MODEL_COUNT_ ? connection_model_words[model] : "-";
}

const char *flow_method_label(enum flow_method method, enum language language) {
  if ((unsigned)method >= METHOD_COUNT_)
    return "-";
  return language_choose(language, METHOD_LABELS[method].japanese, METHOD_LABELS[method].english);
}

/* ---- finding ---- */

static const struct zone *zone_at(const struct policy *policy, zone_index zone) {
  return zone >= 0 && (size_t)zone < policy->zone_count ? &policy->zones[zone] : NULL;
}

const char *policy_zone_name(const struct policy *policy, zone_index zone) {
  const struct zone *found = zone_at(policy, zone);
  return found != NULL ? found->name : zone == ZONE_GATEWAY ? "gateway" : "-";
}

const char *policy_zone_label(const struct policy *policy, zone_index zone) {
  const struct zone *found = zone_at(policy, zone);
  if (policy->header.language != LANGUAGE_JAPANESE)
    return policy_zone_name(policy, zone);
  if (zone == ZONE_GATEWAY)
    return "本機";
  return found != NULL && found->label != NULL && found->label[0] != '\0' ? found->label
                                                                          : policy_zone_name(policy, zone);
}

zone_index policy_find_zone(const struct policy *policy, const char *name) {
  for (size_t i = 0; i < policy->zone_count; i++)
    if (strcmp(policy->zones[i].name, name) == 0)
      return (zone_index)i;
  return strcmp(name, "gateway") == 0 ? ZONE_GATEWAY : ZONE_NONE;
}

const struct host *policy_find_host(const struct policy *policy, const char *name) {
  for (size_t i = 0; i < policy->host_count; i++)
    if (strcmp(policy->hosts[i].name, name) == 0)
      return &policy->hosts[i];
  return NULL;
}

const struct flow *policy_find_flow(const struct policy *policy, const char *name) {
  for (size_t i = 0; i < policy->flow_count; i++)
    if (strcmp(policy->flows[i].name, name) == 0)
      return &policy->flows[i];
  return NULL;
}

zone_index policy_zone_of_interface(const struct policy *policy, const char *interface) {
  for (size_t i = 0; i < policy->zone_count; i++)
    for (size_t j = 0; j < policy->zones[i].interface_count; j++)
      if (strcmp(policy->zones[i].interfaces[j].text, interface) == 0)
        return (zone_index)i;
  return ZONE_NONE;
}

const char *flow_note_text(const struct flow *flow, const char *key) {
  for (size_t i = 0; i < flow->note_count; i++)
    if (strcmp(flow->notes[i].key, key) == 0)
      return flow->notes[i].value.text;
  return NULL;
}

/* ---- records of connections ---- */

static bool flow_touches(const struct policy *policy, const struct flow *flow, enum zone_class class) {
  const struct zone *from = zone_at(policy, flow->from_zone), *to = zone_at(policy, flow->to_zone);
  return (from != NULL && from->class == class) || (to != NULL && to->class == class);
}

bool flow_logs_new(const struct policy *policy, const struct flow *flow) {
  if (flow->log != LOG_DEFAULT)
    return flow->log == LOG_NEW;
  if (flow->method == METHOD_MAINTENANCE || flow->method == METHOD_EXCEPTION)
    return true;
  if (flow_touches(policy, flow, CLASS_MYNUMBER) || flow_touches(policy, flow, CLASS_MYNUMBER_CLOUD))
    return true;
  return flow_touches(policy, flow, CLASS_LGWAN) &&
         (flow_touches(policy, flow, CLASS_INTERNET) || flow_touches(policy, flow, CLASS_RELAY));
}

/* ---- special-purpose addresses ---- */

enum special_column {
  SPECIAL_SOURCE = 1 << 0,      /* refused as a source unless exempt */
  SPECIAL_DESTINATION = 1 << 1, /* refused as a destination unless exempt */
  SPECIAL_BOTH = SPECIAL_SOURCE | SPECIAL_DESTINATION,
  NOT_GLOBAL = 1 << 2, /* never global unicast, exempt or not: no default_route claims it */
};

struct special_prefix {
  enum address_family family;
  uint8_t bytes[16];
  uint8_t length;
  unsigned columns;
};

/* IANA special-purpose registries (RFC 6890) as far as 2-enforcement.md names them. IPv6 is refused as a whole save
 * 2000::/3; what is cut out of that follows. */
static const struct special_prefix SPECIAL[] = {
    {FAMILY_IPV4, {0}, 8, SPECIAL_BOTH | NOT_GLOBAL},          /* this network */
    {FAMILY_IPV4, {10}, 8, NOT_GLOBAL},                        /* private */
    {FAMILY_IPV4, {100, 64}, 10, NOT_GLOBAL},                  /* shared */
    {FAMILY_IPV4, {127}, 8, SPECIAL_BOTH | NOT_GLOBAL},        /* loopback */
    {FAMILY_IPV4, {169, 254}, 16, SPECIAL_BOTH | NOT_GLOBAL},  /* link local */
    {FAMILY_IPV4, {172, 16}, 12, NOT_GLOBAL},                  /* private */
    {FAMILY_IPV4, {192, 0, 0}, 24, SPECIAL_BOTH},              /* protocol assignments */
    {FAMILY_IPV4, {192, 0, 2}, 24, SPECIAL_BOTH},              /* documentation */
    {FAMILY_IPV4, {192, 168}, 16, NOT_GLOBAL},                 /* private */
    {FAMILY_IPV4, {198, 18}, 15, SPECIAL_BOTH},                /* benchmarking */
    {FAMILY_IPV4, {198, 51, 100}, 24, SPECIAL_BOTH},           /* documentation */
    {FAMILY_IPV4, {203, 0, 113}, 24, SPECIAL_BOTH},            /* documentation */
    {FAMILY_IPV4, {224}, 4, SPECIAL_SOURCE | NOT_GLOBAL},      /* multicast */
    {FAMILY_IPV4, {240}, 4, SPECIAL_BOTH | NOT_GLOBAL},        /* reserved, limited broadcast */
    {FAMILY_IPV6, {0x00}, 3, SPECIAL_BOTH | NOT_GLOBAL},       /* unspecified, loopback, IPv4-mapped and -compatible */
    {FAMILY_IPV6, {0x20, 0x01, 0x00, 0x02}, 48, SPECIAL_BOTH}, /* benchmarking */
    {FAMILY_IPV6, {0x20, 0x01, 0x00, 0x10}, 28, SPECIAL_BOTH}, /* ORCHID */
    {FAMILY_IPV6, {0x20, 0x01, 0x00, 0x20}, 28, SPECIAL_BOTH}, /* ORCHIDv2 */
    {FAMILY_IPV6, {0x20, 0x01, 0x0d, 0xb8}, 32, SPECIAL_BOTH}, /* documentation */
    {FAMILY_IPV6, {0x3f, 0xff, 0x00}, 20, SPECIAL_BOTH},       /* documentation */
    {FAMILY_IPV6, {0x40}, 2, SPECIAL_BOTH | NOT_GLOBAL},       /* unassigned, up to ... */
    {FAMILY_IPV6, {0x80}, 2, SPECIAL_BOTH | NOT_GLOBAL},
    {FAMILY_IPV6, {0xc0}, 3, SPECIAL_BOTH | NOT_GLOBAL},
    {FAMILY_IPV6, {0xe0}, 4, SPECIAL_BOTH | NOT_GLOBAL},
    {FAMILY_IPV6, {0xf0}, 5, SPECIAL_BOTH | NOT_GLOBAL},
    {FAMILY_IPV6, {0xf8}, 6, SPECIAL_BOTH | NOT_GLOBAL},   /* ... here */
    {FAMILY_IPV6, {0xfc}, 7, SPECIAL_BOTH | NOT_GLOBAL},   /* unique local */
    {FAMILY_IPV6, {0xfe}, 8, SPECIAL_BOTH | NOT_GLOBAL},   /* link local, site local */
    {FAMILY_IPV6, {0xff}, 8, SPECIAL_SOURCE | NOT_GLOBAL}, /* multicast */
};
enum { SPECIAL_COUNT = sizeof(SPECIAL) / sizeof(SPECIAL[0]) };

static struct address_range range_of_special(const struct special_prefix *prefix) {
  struct address_range range = {{.family = prefix->family}, {.family = prefix->family}};
  memcpy(range.first.bytes, prefix->bytes, sizeof(range.first.bytes));
  range.last = range.first;
  for (size_t bit = prefix->length; bit < address_length(prefix->family) * 8; bit++)
    range.last.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
  return range;
}

static bool is_exempt(const struct policy *policy, const struct address *address) {
  for (size_t i = 0; i < policy->header.special_exempt_count; i++)
    if (range_contains(&policy->header.special_exempt[i].range, address))
      return true;
  return false;
}

static int exempt_set(const struct policy *policy, struct arena *arena, struct address_set *ret_set) {
  size_t count = policy->header.special_exempt_count;
  struct address_range *ranges = ARENA_ARRAY(arena, count, struct address_range);
  if (ranges == NULL)
    return -ENOMEM;
  for (size_t i = 0; i < count; i++)
    ranges[i] = policy->header.special_exempt[i].range;
  return address_set_build(arena, ranges, count, ret_set);
}

static int special_set(struct arena *arena, unsigned column, struct address_set *ret_set) {
  struct address_range ranges[SPECIAL_COUNT];
  size_t count = 0;
  for (size_t i = 0; i < SPECIAL_COUNT; i++)
    if ((SPECIAL[i].columns & column) != 0)
      ranges[count++] = range_of_special(&SPECIAL[i]);
  return address_set_build(arena, ranges, count, ret_set);
}

static int special_less_exempt(const struct policy *policy, struct arena *arena, unsigned column,
                               struct address_set *ret_set) {
  struct address_set all, exempt;
  if (special_set(arena, column, &all) < 0 || exempt_set(policy, arena, &exempt) < 0)
    return -ENOMEM;
  return address_set_subtract(arena, &all, &exempt, ret_set);
}

int policy_special_sources(const struct policy *policy, struct arena *arena, struct address_set *ret_set) {
  return special_less_exempt(policy, arena, SPECIAL_SOURCE, ret_set);
}

int policy_special_destinations(const struct policy *policy, struct arena *arena, struct address_set *ret_set) {
  return special_less_exempt(policy, arena, SPECIAL_DESTINATION, ret_set);
}

static bool special_at(const struct policy *policy, const struct address *address, unsigned column) {
  for (size_t i = 0; i < SPECIAL_COUNT; i++) {
    struct address_range range = range_of_special(&SPECIAL[i]);
    if ((SPECIAL[i].columns & column) != 0 && range_contains(&range, address))
      return !is_exempt(policy, address);
  }
  return false;
}

bool policy_is_special_source(const struct policy *policy, const struct address *address) {
  return special_at(policy, address, SPECIAL_SOURCE);
}

bool policy_is_special_destination(const struct policy *policy, const struct address *address) {
  return special_at(policy, address, SPECIAL_DESTINATION);
}

/* ---- whose address it is ---- */

/* The zone that claims what nobody else does; ZONE_NONE when there is none. */
static zone_index default_zone(const struct policy *policy) {
  for (size_t i = 0; i < policy->zone_count; i++)
    if (policy->zones[i].default_route)
      return (zone_index)i;
  return ZONE_NONE;
}

static bool zone_speaks(const struct zone *zone, enum address_family family) {
  if (family == FAMILY_IPV4)
    return true;
  for (size_t i = 0; i < zone->network_count; i++)
    if (zone->networks[i].range.first.family == family)
      return true;
  return false;
}

bool policy_is_global(const struct policy *policy, const struct address *address) {
  for (size_t i = 0; i < SPECIAL_COUNT; i++) {
    struct address_range range = range_of_special(&SPECIAL[i]);
    if (range_contains(&range, address))
      return (SPECIAL[i].columns & NOT_GLOBAL) == 0 && is_exempt(policy, address);
  }
  return address->family != FAMILY_NONE;
}

zone_index policy_zone_of_address(const struct policy *policy, const struct address_set *own,
                                  const struct address *address) {
  for (size_t i = 0; i < policy->zone_count; i++)
    if (address_set_contains(&policy->zones[i].local, address))
      return (zone_index)i;
  zone_index zone = default_zone(policy);
  if (zone == ZONE_NONE || !zone_speaks(&policy->zones[zone], address->family) || !policy_is_global(policy, address))
    return ZONE_NONE;
  return own != NULL && address_set_contains(own, address) ? ZONE_NONE : zone;
}

/* Every global unicast address of the families that a zone speaks. */
static int global_set(const struct policy *policy, const struct zone *zone, struct arena *arena,
                      struct address_set *ret_set) {
  struct address_range everything[2] = {{{.family = FAMILY_IPV4}, {.family = FAMILY_IPV4}},
                                        {{.family = FAMILY_IPV6}, {.family = FAMILY_IPV6}}};
  memset(everything[0].last.bytes, 0xff, 4);
  memset(everything[1].last.bytes, 0xff, 16);
  struct address_set all, never, special, rest;
  if (address_set_build(arena, everything, zone_speaks(zone, FAMILY_IPV6) ? 2 : 1, &all) < 0 ||
      special_set(arena, NOT_GLOBAL, &never) < 0 || special_less_exempt(policy, arena, SPECIAL_BOTH, &special) < 0 ||
      address_set_subtract(arena, &all, &never, &rest) < 0)
    return -ENOMEM;
  return address_set_subtract(arena, &rest, &special, ret_set);
}

int policy_zone_addresses(const struct policy *policy, zone_index zone, struct arena *arena,
                          struct address_set *ret_set) {
  const struct zone *found = zone_at(policy, zone);
  if (found == NULL || zone != default_zone(policy)) {
    *ret_set = found != NULL ? found->local : (struct address_set){0};
    return 0;
  }
  struct address_set space, rest;
  if (global_set(policy, found, arena, &space) < 0)
    return -ENOMEM;
  for (size_t i = 0; i < policy->zone_count; i++) {
    if (address_set_subtract(arena, &space, &policy->zones[i].local, &rest) < 0)
      return -ENOMEM;
    space = rest;
  }
  return address_set_union(arena, &space, &found->local, ret_set);
}

/* The ranges of one end, or only their number when target is NULL. */
static size_t end_ranges(const struct policy *policy, const struct endpoint *end, zone_index peer,
                         struct address_range *target) {
  const struct placed_range *placed = NULL;
  size_t count = 0;
  const struct zone *zone = zone_at(policy, end->kind == ENDPOINT_GATEWAY ? peer : end->zone);
  if (end->kind == ENDPOINT_HOST && end->host != NULL) {
    placed = end->host->addresses;
    count = end->host->address_count;
  } else if (end->kind == ENDPOINT_GATEWAY && zone != NULL) {
    placed = zone->networks;
    count = zone->network_count;
  } else if (end->kind == ENDPOINT_ZONE && zone != NULL) {
    if (target != NULL && zone->local.count != 0)
      memcpy(target, zone->local.ranges, zone->local.count * sizeof(*target));
    return zone->local.count;
  }
  for (size_t i = 0; target != NULL && i < count; i++) {
    struct address broadcast;
    target[i] = placed[i].range;
    if (end->kind == ENDPOINT_GATEWAY && range_broadcast(&target[i], &broadcast))
      (void)address_previous(&broadcast,
                             &target[i].last); /* a call to everybody on the wire is no call to the gateway */
  }
  return count;
}

int policy_end_addresses(const struct policy *policy, const struct endpoint *ends, size_t count, zone_index peer,
                         struct arena *arena, struct address_set *ret_set) {
  size_t total = 0;
  for (size_t i = 0; i < count; i++)
    total += end_ranges(policy, &ends[i], peer, NULL);
  struct address_range *ranges = ARENA_ARRAY(arena, total, struct address_range);
  if (ranges == NULL)
    return -ENOMEM;
  size_t used = 0;
  for (size_t i = 0; i < count; i++)
    used += end_ranges(policy, &ends[i], peer, ranges + used);
  return address_set_build(arena, ranges, used, ret_set);
}

/* ---- when a flow is in force ---- */

/* One condition on time: whether it holds now, and when that ends. */
struct span {
  bool open;
  struct instant until; /* INSTANT_NEVER: it stays so */
};

static struct span windows_at(const struct flow *flow, struct instant now) {
  struct span span = {.open = flow->window_count == 0, .until = INSTANT_NEVER};
  if (span.open)
    return span;
  int64_t open_until = now.seconds;
  for (bool grown = true; grown;) { /* windows may touch or overlap, in any order */
    grown = false;
    for (size_t i = 0; i < flow->window_count; i++) {
      const struct window *window = &flow->windows[i];
      if (window->valid && window->start.seconds <= open_until && window->end.seconds > open_until) {
        open_until = window->end.seconds;
        grown = true;
      }
    }
  }
  if (open_until > now.seconds)
    return (struct span){true, {open_until}};
  for (size_t i = 0; i < flow->window_count; i++)
    if (flow->windows[i].valid && flow->windows[i].start.seconds > now.seconds)
      span.until = instant_earlier(span.until, flow->windows[i].start);
  return span;
}

/* The span of hours that starts on the day `days` after the civil day, as instants; false when that weekday has none.
 */
static bool hours_of_day(const struct timezone *zone, const struct hours *hours, const struct civil_time *today,
                         int days, struct window *ret_span) {
  int weekday = ((today->weekday + days) % 7 + 7) % 7;
  if ((hours->weekdays >> weekday & 1) == 0)
    return false;
  int first = (int)hours->first_minute, last = (int)hours->last_minute;
  ret_span->start = timezone_instant(zone, today->year, today->month, today->day + days, 0, first, 0);
  ret_span->end = timezone_instant(zone, today->year, today->month, today->day + days + (last < first), 0, last, 0);
  return ret_span->start.seconds < ret_span->end.seconds;
}

static struct span hours_at(const struct policy *policy, const struct flow *flow, struct instant now) {
  const struct hours *hours = &flow->hours;
  struct span span = {.open = !hours->set, .until = INSTANT_NEVER};
  bool whole_week = hours->first_minute == 0 && hours->last_minute == 1440 && (hours->weekdays & 0x7f) == 0x7f;
  if (span.open || policy->header.timezone == NULL)
    return span;
  if (whole_week)
    return (struct span){true, INSTANT_NEVER};
  struct civil_time today;
  timezone_civil(policy->header.timezone, now, &today);
  for (int days = -1; days <= 8; days++) { /* in order of time, so one pass joins what touches */
    struct window part;
    if (!hours_of_day(policy->header.timezone, hours, &today, days, &part))
      continue;
    if (span.open ? part.start.seconds <= span.until.seconds && part.end.seconds > span.until.seconds
                  : part.start.seconds <= now.seconds && part.end.seconds > now.seconds)
      span = (struct span){true, part.end};
    else if (!span.open && part.start.seconds > now.seconds)
      span.until = instant_earlier(span.until, part.start);
  }
  return span;
}

/* The state at an instant, and the first moment at which one of its conditions turns. */
static enum force_state force_at(const struct policy *policy, const struct flow *flow, struct instant now,
                                 struct instant *ret_turn) {
  struct instant end = flow->expires_set ? flow->expires : INSTANT_NEVER;
  *ret_turn = INSTANT_NEVER;
  if (now.seconds >= end.seconds)
    return FORCE_EXPIRED;
  struct span windows = windows_at(flow, now);
  if (!windows.open && windows.until.seconds == INT64_MAX)
    return FORCE_EXPIRED;
  *ret_turn = instant_earlier(end, windows.until);
  if (!windows.open)
    return FORCE_OUTSIDE_WINDOW;
  struct span hours = hours_at(policy, flow, now);
  *ret_turn = instant_earlier(*ret_turn, hours.until);
  return hours.open ? FORCE_YES : FORCE_OUTSIDE_WINDOW;
}

enum force_state policy_flow_force(const struct policy *policy, const struct flow *flow, struct instant now,
                                   struct instant *ret_until) {
  struct instant turn, next;
  enum force_state state = force_at(policy, flow, now, &turn);
  /* A turn that opens one condition while another is shut changes nothing; each step passes a window at least. */
  while (turn.seconds != INT64_MAX && force_at(policy, flow, turn, &next) == state)
    turn = next;
  if (ret_until != NULL)
    *ret_until = turn;
  return state;
}
