/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "random_policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ZONES = 6, HOSTS_MAX = 5, FLOWS_MAX = 12, CROWD_MAX = 150, INTERFACES_MAX = 2 };

/* Zone `n` of the topology. The last one leads outside. */
struct site {
  const char *class;
  const char *interfaces[INTERFACES_MAX];
  const char *networks[4];
  const char *remote[3];
};

static const struct site sites[ZONES] = {
    {"lgwan", {"a0", "a1"}, {"10.0.0.0/24", "10.0.1.0/24", "2400:8500:0:100::/64", "2400:8500:0:101::/64"}, {0}},
    {"internet", {"b0.10"}, {"10.1.0.0/24", "2400:8500:0:200::/64"}, {"10.1.128.0/17", "2400:8500:1::/48"}},
    {"ot", {"c0", "c1"}, {"10.2.0.0/25", "10.2.0.128/25", "2400:8500:0:300::/120"}, {0}},
    {"management", {"d0.990"}, {"192.168.3.0/28", "2400:8500:0:400::/124"}, {0}},
    {"mynumber", {"e0"}, {"172.16.4.0/22", "fd12:3456:789a:1::/64"}, {"198.51.100.0/24"}},
    {"cloud", {"f0"}, {"172.31.250.0/29", "2400:8500:0:600::/64"}, {"9.9.0.0/16"}},
};

static const char *const site_names[ZONES] = {"alpha", "bravo", "charly", "delta", "echo", "foxtrot"};

const char *const random_spare_interfaces[] = {"spare", NULL};

/* ---- text ---- */

static void write_list(FILE *out, const char *key, const char *const *items, size_t count) {
  fprintf(out, "    %s = [ ", key);
  bool first = true;
  for (size_t i = 0; i < count && items[i] != NULL; i++) {
    fprintf(out, "%s\"%s\"", first ? "" : ", ", items[i]);
    first = false;
  }
  fprintf(out, " ];\n");
}

static void write_header(FILE *out, const char *exempt) {
  fprintf(out,
          "policy = { name = \"random\"; number = \"1\"; basis = \"test\"; effective = \"2026-04-01\"; model = "
          "\"alpha\"; timezone = \"Asia/Tokyo\"; language = \"en\"; special_exempt = [ %s ]; };\n",
          exempt);
}

const char *random_topology(void) {
  static char text[8192];
  FILE *out = fmemopen(text, sizeof(text), "w");
  if (out == NULL)
    return "";
  write_header(out, "\"198.51.100.0/24\", \"fd12:3456:789a::/48\"");
  fprintf(out, "zones = {\n");
  for (size_t i = 0; i < ZONES; i++) {
    fprintf(out, "  %s = { class = \"%s\";\n", site_names[i], sites[i].class);
    write_list(out, "interfaces", sites[i].interfaces, INTERFACES_MAX);
    write_list(out, "networks", sites[i].networks, 4);
    write_list(out, "remote", sites[i].remote, 3);
    fprintf(out, "%s  };\n", i == ZONES - 1 ? "default_route = true; " : "");
  }
  fprintf(out, "};\nhosts = { };\nservices = { };\nflows = { };\n");
  fclose(out);
  return text;
}

/* What a random policy has chosen so far. */
struct draft {
  struct dice *dice;
  struct instant now;
  FILE *out;
  bool present[ZONES];    /* has interfaces in this policy */
  bool unrouted[ZONES];   /* declared, without interfaces */
  bool outside;           /* the last zone has the default route */
  size_t networks[ZONES]; /* how many of the site's it names */
  bool remote[ZONES];
  unsigned hosts[ZONES];
};

static void draft_zone(struct draft *draft, size_t i) {
  struct dice *dice = draft->dice;
  const struct site *site = &sites[i];
  draft->present[i] = i < 2 || dice_percent(dice, 70);
  draft->unrouted[i] = !draft->present[i] && dice_percent(dice, 50);
  if (!draft->present[i] && !draft->unrouted[i])
    return;
  fprintf(draft->out, "  %s = { class = \"%s\";\n", site_names[i], draft->unrouted[i] ? "unrouted" : site->class);
  if (draft->present[i])
    write_list(draft->out, "interfaces", site->interfaces, dice_percent(dice, 90) ? 2 : 1);
  draft->networks[i] = dice_percent(dice, 85) ? 4 : 2;
  write_list(draft->out, "networks", site->networks, draft->networks[i]);
  draft->remote[i] = draft->present[i] && dice_percent(dice, 85);
  if (draft->remote[i])
    write_list(draft->out, "remote", site->remote, 3);
  if (draft->present[i] && dice_percent(dice, 40))
    fprintf(draft->out, "    within = \"%s\";\n", dice_percent(dice, 60) ? "allow" : "deny");
  if (draft->present[i] && dice_percent(dice, 20))
    fprintf(draft->out, "    on_deny = \"reject\";\n");
  if (draft->present[i] && i == ZONES - 1 && dice_percent(dice, 70)) {
    fprintf(draft->out, "    default_route = true;\n");
    draft->outside = true;
  }
  fprintf(draft->out, "  };\n");
}

/* Few distinct numbers, so that ranges of hosts overlap, touch and nest. */
static unsigned small_offset(struct dice *dice) {
  static const unsigned offsets[] = {2, 3, 4, 5, 7, 8, 9, 10, 11, 12};
  return offsets[dice_below(dice, sizeof(offsets) / sizeof(offsets[0]))];
}

static struct address at_offset(const struct address *base, unsigned offset) {
  struct address address = *base;
  size_t last = address_length(base->family) - 1;
  unsigned sum = address.bytes[last] + offset;
  address.bytes[last] = (uint8_t)sum;
  return address;
}

/* One address, a short range, or the whole network. */
static void choose_station(struct draft *draft, const struct address_range *range, struct address_range *ret_chosen) {
  unsigned low = small_offset(draft->dice), high = small_offset(draft->dice);
  struct address first = at_offset(&range->first, low < high ? low : high);
  struct address last = at_offset(&range->first, low < high ? high : low);
  bool fits = range_contains(range, &first) && range_contains(range, &last);
  unsigned shape = dice_below(draft->dice, 10);
  *ret_chosen = *range;
  if (!fits || shape == 0)
    return;
  *ret_chosen = (struct address_range){first, shape < 6 ? first : last};
}

static const char *random_network(struct draft *draft, size_t zone, bool *ret_attached) {
  static const char *const outside[] = {"8.8.8.0/24", "1.1.1.0/28", "2606:4700::/32", "2001:4860:4860::/64"};
  const struct site *site = &sites[zone];
  const char *candidates[12];
  size_t count = 0, attached;
  for (size_t i = 0; i < draft->networks[zone] && site->networks[i] != NULL; i++)
    candidates[count++] = site->networks[i];
  attached = count;
  for (size_t i = 0; draft->remote[zone] && site->remote[i] != NULL; i++)
    candidates[count++] = site->remote[i];
  if (draft->outside && zone == ZONES - 1)
    for (size_t i = 0; i < 4; i++)
      candidates[count++] = outside[i];
  size_t choice = dice_below(draft->dice, (unsigned)count);
  *ret_attached = choice < attached;
  return candidates[choice];
}

/* A prefix of the network, a bit narrower. */
static void choose_prefix(struct draft *draft, const struct address_range *range, struct address_range *ret_chosen) {
  char text[RANGE_TEXT_SIZE], address[ADDRESS_TEXT_SIZE];
  const char *reason;
  int most = (int)address_length(range->first.family) * 8;
  int narrower = range_prefix_length(range) + (int)dice_below(draft->dice, 6);
  snprintf(text, sizeof(text), "%s/%d", address_format(&range->first, address), narrower < most ? narrower : most);
  if (!range_parse(text, ret_chosen, &reason))
    *ret_chosen = *range;
}

static struct address_range choose_addresses(struct draft *draft, size_t zone, bool *ret_attached) {
  struct address_range network = {0}, chosen = {0};
  const char *reason;
  if (!range_parse(random_network(draft, zone, ret_attached), &network, &reason))
    return chosen;
  if (dice_percent(draft->dice, 20))
    choose_prefix(draft, &network, &chosen);
  else
    choose_station(draft, &network, &chosen);
  return chosen;
}

static void draft_host(struct draft *draft, size_t zone, unsigned number) {
  struct dice *dice = draft->dice;
  bool attached, second_attached = true;
  char text[RANGE_TEXT_SIZE];
  struct address_range first = choose_addresses(draft, zone, &attached), second = first;
  if (dice_percent(dice, 30))
    second = choose_addresses(draft, zone, &second_attached);
  fprintf(draft->out, "  h%zu-%u = { zone = \"%s\"; address = [ \"%s\"", zone, number, site_names[zone],
          range_format(&first, text));
  if (!range_equal(&first, &second))
    fprintf(draft->out, ", \"%s\"", range_format(&second, text));
  fprintf(draft->out, " ];");
  if (attached && second_attached && dice_percent(dice, 30))
    fprintf(draft->out, " mac = [ \"02:00:00:00:%02zx:%02x\"%s ];", zone, number + 1,
            dice_percent(dice, 30) ? ", \"02:00:00:00:ff:01\"" : "");
  fprintf(draft->out, " };\n");
}

static void draft_hosts(struct draft *draft) {
  fprintf(draft->out, "hosts = {\n");
  for (size_t i = 0; i < ZONES; i++) {
    if (!draft->present[i])
      continue;
    draft->hosts[i] = 1 + dice_below(draft->dice, HOSTS_MAX - 1);
    for (unsigned j = 0; j < draft->hosts[i]; j++)
      draft_host(draft, i, j);
  }
  fprintf(draft->out, "};\n");
}

static const char *const service_choices[] = {
    "tcp/80",
    "tcp/80-90",
    "tcp/85-100",
    "tcp/443",
    "tcp+udp/53",
    "udp/53",
    "udp/1000-1010",
    "tcp/1-65535",
    "udp/1005-1020",
    "icmp/echo-request",
    "icmpv6/echo-request",
    "proto/132",
    "proto/47",
    "proto/200",
    "tcp/22",
    "udp/3544",
    "tcp/91",
    "tcp/79-80",
    "proto/50",
    "udp/1-65535",
};

static void write_end(struct draft *draft, const char *key, int zone) {
  struct dice *dice = draft->dice;
  if (zone < 0) {
    fprintf(draft->out, "    %s = \"gateway\";", key);
    return;
  }
  unsigned hosts = draft->hosts[zone];
  if (dice_percent(dice, 12)) {
    fprintf(draft->out, "    %s = \"zone:%s\";", key, site_names[zone]);
  } else if (hosts > 1 && dice_percent(dice, 25)) {
    unsigned first = dice_below(dice, hosts);
    fprintf(draft->out, "    %s = [ \"h%d-%u\", \"h%d-%u\" ];", key, zone, first, zone, (first + 1) % hosts);
  } else {
    fprintf(draft->out, "    %s = \"h%d-%u\";", key, zone, dice_below(dice, hosts));
  }
}

static int random_zone(struct draft *draft) {
  for (;;) {
    unsigned zone = dice_below(draft->dice, ZONES);
    if (draft->present[zone])
      return (int)zone;
  }
}

static void write_moment(struct draft *draft, const char *key, int64_t offset) {
  time_t moment = (time_t)(draft->now.seconds + offset);
  struct tm civil;
  gmtime_r(&moment, &civil);
  fprintf(draft->out, " %s = \"%04d-%02d-%02dT%02d:%02d:%02dZ\";", key, civil.tm_year + 1900, civil.tm_mon + 1,
          civil.tm_mday, civil.tm_hour, civil.tm_min, civil.tm_sec);
}

/* A minute of the day in Asia/Tokyo, not so near to now that it could pass while the test runs. */
static unsigned random_minute(struct draft *draft) {
  enum { DAY_MINUTES = 24 * 60, MARGIN = 10, TOKYO_MINUTES = 9 * 60 };
  unsigned now = (unsigned)(draft->now.seconds / 60 + TOKYO_MINUTES) % DAY_MINUTES;
  return (now + MARGIN + dice_below(draft->dice, DAY_MINUTES - 2 * MARGIN)) % DAY_MINUTES;
}

static void write_hours(struct draft *draft) {
  static const char *const days[] = {"mon-sun", "mon-fri", "sat,sun", "sun", "mon", "sat", "fri,sun,tue", "wed-sun"};
  unsigned first = random_minute(draft), last = random_minute(draft);
  if (first == last || last == 0)
    return;
  fprintf(draft->out, " hours = \"%s %02u:%02u-%02u:%02u\";",
          days[dice_below(draft->dice, sizeof(days) / sizeof(days[0]))], first / 60, first % 60, last / 60, last % 60);
}

/* Ends that lie well away from now, on either side. */
static void write_times(struct draft *draft) {
  static const int64_t hour = 3600, day = 86400;
  struct dice *dice = draft->dice;
  unsigned kind = dice_below(dice, 20);
  if (kind < 2)
    write_moment(draft, "expires", kind == 0 ? day : -day);
  if (kind >= 2 && kind < 5) {
    const int64_t starts[] = {-2 * hour, -5 * hour, 2 * hour};
    fprintf(draft->out, " window = ( {");
    write_moment(draft, "start", starts[kind - 2]);
    write_moment(draft, "end", starts[kind - 2] + 4 * hour - (kind == 3 ? hour : 0));
    fprintf(draft->out, " attended = true; } );");
    write_moment(draft, "expires", 2 * day);
  }
  if (kind == 5 || kind == 6)
    write_hours(draft);
}

static void draft_flow(struct draft *draft, unsigned number) {
  struct dice *dice = draft->dice;
  int from = random_zone(draft), to = random_zone(draft);
  while (to == from)
    to = random_zone(draft);
  if (dice_percent(dice, 10))
    from = -1;
  else if (dice_percent(dice, 10))
    to = -1;
  fprintf(draft->out, "  F-%u = {\n", number);
  write_end(draft, "from", from);
  write_end(draft, "to", to);
  fprintf(draft->out, "\n    services = [ ");
  unsigned services = 1 + dice_below(dice, 3);
  unsigned total = sizeof(service_choices) / sizeof(service_choices[0]), base = dice_below(dice, total);
  for (unsigned i = 0; i < services; i++)
    fprintf(draft->out, "%s\"%s\"", i > 0 ? ", " : "", service_choices[(base + i * 3) % total]);
  fprintf(draft->out, " ]; method = \"exception\"; purpose = \"p\"; owner = \"o\"; reason = \"r\"; log = \"%s\";\n",
          dice_percent(dice, 50) ? "none" : "new");
  fprintf(draft->out, "    approval = { by = \"b\"; role = \"ciso\"; document = \"d\"; date = \"2026-04-01\"; author = "
                      "\"a\"; }; review = \"2027-01-01\";");
  write_times(draft);
  fprintf(draft->out, "\n  };\n");
}

static const char *random_exempt(struct dice *dice) {
  static const char *const choices[] = {"", "\"198.51.100.0/24\"", "\"fd12:3456:789a::/48\"",
                                        "\"198.51.100.0/24\", \"fd12:3456:789a::/48\"",
                                        "\"198.51.100.0/24\", \"fc00::/7\", \"192.0.2.0/28\""};
  return choices[dice_below(dice, 5)];
}

char *random_policy_text(struct dice *dice, struct instant now, struct arena *arena) {
  char *text = NULL;
  size_t size = 0;
  struct draft draft = {.dice = dice, .now = now, .out = open_memstream(&text, &size)};
  if (draft.out == NULL)
    return NULL;
  write_header(draft.out, random_exempt(dice));
  fprintf(draft.out, "zones = {\n");
  for (size_t i = 0; i < ZONES; i++)
    draft_zone(&draft, i);
  fprintf(draft.out, "};\n");
  draft_hosts(&draft);
  fprintf(draft.out, "services = { };\nflows = {\n");
  unsigned flows = 1 + dice_below(dice, dice_percent(dice, 4) ? CROWD_MAX : FLOWS_MAX);
  for (unsigned i = 0; i < flows; i++)
    draft_flow(&draft, i + 1);
  fprintf(draft.out, "};\n");
  fclose(draft.out);
  char *copy = arena_strndup(arena, text, size);
  free(text);
  return copy;
}

/* ---- variations ---- */

/* One flow of the text, changed or not; `later` takes what is to stand at the end. */
static void vary_flow(struct draft *draft, const char *block, size_t length, FILE *later) {
  unsigned kind = dice_below(draft->dice, 10);
  FILE *out = kind == 0 || kind == 1 ? later : draft->out;
  const char *services = memmem(block, length, "services = [ ", 13), *end = block + length;
  if (kind == 2 || kind == 3) /* gone */
    return;
  if (kind == 1 || kind == 4) { /* renamed */
    fprintf(out, "  G%.*s", (int)(length - 3), block + 3);
  } else if (kind == 5) { /* ended */
    fprintf(out, "%.*s", (int)(length - strlen("  };\n")), block);
    if (memmem(block, length, "expires", 7) == NULL)
      fprintf(out, "    expires = \"2020-01-01\";\n");
    fprintf(out, "  };\n");
  } else if (kind == 6 && services != NULL) { /* narrowed to its first service */
    const char *first = services + 13, *quote = memchr(first + 1, '"', (size_t)(end - first - 1));
    const char *close = memchr(first, ']', (size_t)(end - first));
    fprintf(out, "%.*s %.*s", (int)(quote + 1 - block), block, (int)(end - close), close);
  } else {
    fprintf(out, "%.*s", (int)length, block);
  }
}

char *random_policy_vary(struct dice *dice, const char *text, struct instant now, struct arena *arena) {
  char *varied = NULL, *moved = NULL;
  size_t size = 0, moved_size = 0;
  struct draft draft = {.dice = dice, .now = now, .out = open_memstream(&varied, &size)};
  FILE *later = open_memstream(&moved, &moved_size);
  const char *flows = strstr(text, "flows = {\n");
  if (draft.out == NULL || later == NULL || flows == NULL)
    return NULL;
  const char *at = flows + strlen("flows = {\n");
  fprintf(draft.out, "%.*s", (int)(at - text), text);
  for (const char *end; (end = strstr(at, "\n  };\n")) != NULL; at = end) {
    end += strlen("\n  };\n");
    vary_flow(&draft, at, (size_t)(end - at), later);
  }
  fclose(later);
  fprintf(draft.out, "%s%s", moved, at);
  fclose(draft.out);
  char *copy = arena_strndup(arena, varied, size);
  free(varied);
  free(moved);
  return copy;
}

/* ---- packets ---- */

enum { POOL_MAX = 4096 };

struct pool {
  struct address items[POOL_MAX];
  size_t count;
};

/* The first address of an attached IPv6 network is anycast: the gateway takes packets to it for its own. */
static struct address not_anycast(const struct duel_field *field, const struct address *address) {
  struct address next;
  bool anycast = address->family == FAMILY_IPV6 && address->bytes[0] != 0xff &&
                 lab_route(field->lab, address).kind == LAB_ROUTE_BROADCAST;
  return anycast && address_next(address, &next) ? next : *address;
}

static void pool_add(struct pool *pool, const struct address *address) {
  if (pool->count < POOL_MAX)
    pool->items[pool->count++] = *address;
}

static void pool_add_range(struct pool *pool, const struct address_range *range) {
  struct address beside;
  pool_add(pool, &range->first);
  pool_add(pool, &range->last);
  if (address_previous(&range->first, &beside))
    pool_add(pool, &beside);
  if (address_next(&range->first, &beside))
    pool_add(pool, &beside);
  if (address_previous(&range->last, &beside))
    pool_add(pool, &beside);
  if (address_next(&range->last, &beside))
    pool_add(pool, &beside);
}

static const char *const strange_addresses[] = {
    "0.0.0.0",
    "0.1.2.3",
    "127.0.0.1",
    "169.254.1.1",
    "192.0.0.1",
    "192.0.2.3",
    "192.0.2.77",
    "198.18.0.1",
    "198.51.100.9",
    "203.0.113.9",
    "224.0.0.9",
    "239.1.2.3",
    "240.0.0.1",
    "255.255.255.255",
    "100.64.0.1",
    "10.99.0.1",
    "192.168.77.1",
    "8.8.8.8",
    "1.1.1.1",
    "9.9.9.9",
    "fe80::99",
    "fec0::1",
    "ff02::1",
    "ff05::2",
    "::",
    "::1",
    "::ffff:10.0.0.9",
    "::10.0.0.9",
    "2001:db8::1",
    "3fff::1",
    "fd12:3456:789a:1::7",
    "fd99::1",
    "4000::1",
    "2606:4700::1111",
    "2001:4860:4860::8888",
    "2002:a00:1::1",
};

static void pool_fill(struct pool *pool, const struct duel_field *field) {
  const struct policy *policy = field->policy;
  for (size_t i = 0; i < policy->zone_count; i++) {
    for (size_t j = 0; j < policy->zones[i].network_count; j++)
      pool_add_range(pool, &policy->zones[i].networks[j].range);
    for (size_t j = 0; j < policy->zones[i].remote_count; j++)
      pool_add_range(pool, &policy->zones[i].remote[j].range);
  }
  for (size_t i = 0; i < policy->host_count; i++)
    for (size_t j = 0; j < policy->hosts[i].address_count; j++)
      pool_add_range(pool, &policy->hosts[i].addresses[j].range);
  for (size_t i = 0; i < lab_own(field->lab)->count; i++)
    pool_add_range(pool, &lab_own(field->lab)->ranges[i]);
  for (size_t i = 0; i < sizeof(strange_addresses) / sizeof(strange_addresses[0]); i++) {
    struct address address;
    if (address_parse(strange_addresses[i], &address))
      pool_add(pool, &address);
  }
}

struct thrower {
  struct dice *dice;
  const struct duel_field *field;
  struct duel_list *list;
  struct pool pool;
};

static struct address random_in(struct dice *dice, const struct address_range *range) {
  struct address address = dice_percent(dice, 50) ? range->first : range->last, beside;
  unsigned step = dice_below(dice, 8);
  if (step == 0 && address_next(&address, &beside))
    return beside;
  if (step == 1 && address_previous(&address, &beside))
    return beside;
  return address;
}

/* An address at the edge of an end of a flow. */
static struct address random_of_end(struct thrower *thrower, const struct endpoint *ends, size_t count,
                                    enum address_family family) {
  struct dice *dice = thrower->dice;
  for (int tries = 0; tries < 8 && count > 0; tries++) {
    const struct endpoint *end = &ends[dice_below(dice, (unsigned)count)];
    if (end->kind == ENDPOINT_HOST && end->host->address_count > 0) {
      const struct address_range *range =
          &end->host->addresses[dice_below(dice, (unsigned)end->host->address_count)].range;
      if (range->first.family == family)
        return random_in(dice, range);
    } else if (end->kind == ENDPOINT_ZONE) {
      const struct zone *zone = &thrower->field->policy->zones[end->zone];
      const struct address_range *range = &zone->networks[dice_below(dice, (unsigned)zone->network_count)].range;
      if (range->first.family == family)
        return random_in(dice, range);
    } else if (end->kind == ENDPOINT_GATEWAY) {
      const struct address_set *own = lab_own(thrower->field->lab);
      const struct address *address = &own->ranges[dice_below(dice, (unsigned)own->count)].first;
      if (address->family == family)
        return *address;
    }
  }
  for (;;) {
    const struct address *address = &thrower->pool.items[dice_below(dice, (unsigned)thrower->pool.count)];
    if (address->family == family)
      return *address;
  }
}

static uint16_t random_port(struct dice *dice, const struct service *service) {
  if (service->protocol == PROTOCOL_ICMP || service->protocol == PROTOCOL_ICMPV6)
    return dice_percent(dice, 80) ? service->icmp_type : (uint16_t)dice_below(dice, 256);
  switch (dice_below(dice, 6)) {
  case 0:
    return (uint16_t)(service->first_port - 1);
  case 1:
    return (uint16_t)(service->last_port + 1);
  case 2:
    return service->last_port;
  case 3:
    return (uint16_t)(service->first_port + dice_below(dice, (unsigned)(service->last_port - service->first_port) + 1));
  default:
    return service->first_port;
  }
}

static int random_wire(struct thrower *thrower, const struct address *source) {
  int right = lab_interface_of(thrower->field->lab, source);
  if (address_set_contains(lab_own(thrower->field->lab), source) && dice_percent(thrower->dice, 60))
    return LAB_GATEWAY;
  if (right >= 0 && dice_percent(thrower->dice, 85))
    return right;
  return (int)dice_below(thrower->dice, (unsigned)lab_interface_count(thrower->field->lab));
}

static void random_mischief(struct thrower *thrower, struct duel *duel) {
  static const uint8_t record_route[] = {7, 7, 4, 0, 0, 0, 0, 0}, router_alert[] = {148, 4, 0, 0};
  struct dice *dice = thrower->dice;
  static const uint8_t padding[16] = {0};
  struct lab_frame_recipe *recipe = &duel->probe.recipe;
  bool ipv6 = recipe->packet.source.family == FAMILY_IPV6;
  if (duel->probe.interface == LAB_GATEWAY)
    return;
  if (dice_percent(dice, 6))
    recipe->source_mac.bytes[5] ^= (uint8_t)(1 + dice_below(dice, 3));
  unsigned kind = dice_below(dice, 40);
  if (kind == 0 && !ipv6) {
    recipe->ip_options = dice_percent(dice, 50) ? record_route : router_alert;
    recipe->ip_option_length = recipe->ip_options == record_route ? 8 : 4;
  } else if (kind == 0 || (kind == 1 && ipv6)) {
    bool hop_by_hop = kind == 0;
    recipe->extensions[0] = (struct lab_frame_extension){.type = hop_by_hop ? 0 : 43, .length = 7};
    recipe->extensions[0].body[1] = hop_by_hop ? 1 : 0; /* PadN of four, or routing type 0 with none left */
    recipe->extensions[0].body[2] = hop_by_hop ? 4 : 0;
    recipe->extension_count = 1;
  } else if (kind == 2) {
    duel->probe.split = 24; /* every header within the first part, the tail within the second */
    recipe->payload = padding;
    recipe->payload_length = sizeof(padding);
    if (recipe->packet.protocol == PROTOCOL_ICMPV6 && dice_percent(dice, 50))
      recipe->packet.icmp_type = (uint8_t)(135 + dice_below(dice, 2));
  } else if (kind == 3 && recipe->packet.protocol == PROTOCOL_TCP) {
    recipe->packet.tcp_flags = (uint8_t)dice_below(dice, 64);
  }
}

static void throw_packet(struct thrower *thrower, const struct address *source, const struct address *destination,
                         uint8_t protocol, uint16_t port, const char *label) {
  struct dice *dice = thrower->dice;
  unsigned number = (unsigned)thrower->list->count;
  struct duel *duel = duel_add(thrower->list, "%s", label);
  if (duel == NULL)
    return;
  struct address from = not_anycast(thrower->field, source), to = not_anycast(thrower->field, destination);
  duel_set_packet(thrower->field, duel, random_wire(thrower, &from), &from, &to, protocol, port, number);
  random_mischief(thrower, duel);
  if (dice_percent(dice, 30))
    (void)duel_add_answer(thrower->field, thrower->list, 1, "its answer");
  else if (dice_percent(dice, 15)) {
    bool ipv6 = source->family == FAMILY_IPV6;
    static const uint8_t errors4[] = {3, 3, 11, 12, 4, 5}, errors6[] = {1, 2, 3, 4, 1, 2};
    unsigned choice = dice_below(dice, sizeof(errors4));
    (void)duel_add_error(thrower->field, thrower->list, 1, ipv6 ? errors6[choice] : errors4[choice], 0,
                         "error about it");
  }
}

/* At a flow: its services and addresses, and one step beside them. */
static void throw_at_flow(struct thrower *thrower) {
  struct dice *dice = thrower->dice;
  const struct policy *policy = thrower->field->policy;
  const struct flow *flow = &policy->flows[dice_below(dice, (unsigned)policy->flow_count)];
  const struct service *service = &flow->services[dice_below(dice, (unsigned)flow->service_count)];
  enum address_family family =
      service->protocol == PROTOCOL_ICMPV6 || dice_percent(dice, 40) ? FAMILY_IPV6 : FAMILY_IPV4;
  if (service->protocol == PROTOCOL_ICMP)
    family = FAMILY_IPV4;
  struct address source = random_of_end(thrower, flow->from, flow->from_count, family);
  struct address destination = random_of_end(thrower, flow->to, flow->to_count, family);
  uint16_t port = random_port(dice, service);
  if (dice_percent(dice, 15))
    throw_packet(thrower, &destination, &source, service->protocol, port, "random, a flow backwards");
  else
    throw_packet(thrower, &source, &destination, service->protocol, port, "random, at a flow");
}

/* Anything to anywhere. */
static void throw_anywhere(struct thrower *thrower) {
  static const uint8_t protocols[] = {
      PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_TCP, PROTOCOL_UDP, 0, 47, 50, 132, 200, 4, 41};
  static const uint16_t ports[] = {53, 80, 443, 22, 3544, 1000, 1010, 0, 65535};
  struct dice *dice = thrower->dice;
  const struct pool *pool = &thrower->pool;
  const struct address *source = &pool->items[dice_below(dice, (unsigned)pool->count)], *destination;
  do
    destination = &pool->items[dice_below(dice, (unsigned)pool->count)];
  while (destination->family != source->family);
  uint8_t protocol = protocols[dice_below(dice, sizeof(protocols))];
  uint16_t port = ports[dice_below(dice, sizeof(ports) / sizeof(ports[0]))];
  if (protocol == 0) {
    bool ipv6 = source->family == FAMILY_IPV6;
    protocol = ipv6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP;
    port = dice_percent(dice, 50) ? (ipv6 ? 128 : 8) : (uint16_t)dice_below(dice, 256);
  }
  throw_packet(thrower, source, destination, protocol, port, "random, anywhere");
}

void random_duels(struct dice *dice, const struct duel_field *field, size_t count, struct duel_list *list) {
  struct thrower *thrower = calloc(1, sizeof(*thrower));
  if (thrower == NULL)
    return;
  thrower->dice = dice;
  thrower->field = field;
  thrower->list = list;
  pool_fill(&thrower->pool, field);
  while (list->count < count)
    if (field->policy->flow_count > 0 && dice_percent(dice, 65))
      throw_at_flow(thrower);
    else
      throw_anywhere(thrower);
  free(thrower);
}
