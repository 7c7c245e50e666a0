/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "rules/boxes.h"
#include "rules/compile_parts.h"

/*
 * Theory of operation.
 *
 * The flows that open from one zone to another are sorted into eight groups, by IP version and kind of service, each of
 * which has a key of its own in the kernel. Within a group every flow is a set of boxes; cut apart (boxes.h), those
 * that are single points go into a hash map, the others into an interval map, layer by layer.
 */
enum service_kind { KIND_TCP, KIND_UDP, KIND_ECHO, KIND_OTHER, KIND_COUNT_ };

static const struct {
  const char *name;
  uint8_t protocol[IP_COUNT_]; /* that the rule checks; 0: none, the key holds it */
  enum match service;          /* field of the key; MATCH_COUNT_: none */
  enum field_type field;
  bool service_last; /* in the key: behind the source */
} kinds[KIND_COUNT_] = {
    [KIND_TCP] = {"tcp", {IPPROTO_TCP, IPPROTO_TCP}, MATCH_ORIGINAL_PORT, KEY_FIELD_PORT, false},
    [KIND_UDP] = {"udp", {IPPROTO_UDP, IPPROTO_UDP}, MATCH_ORIGINAL_PORT, KEY_FIELD_PORT, false},
    [KIND_ECHO] = {"echo", {IPPROTO_ICMP, IPPROTO_ICMPV6}, MATCH_COUNT_, KEY_FIELD_COUNT_, false},
    [KIND_OTHER] = {"other", {0, 0}, MATCH_CT_PROTOCOL, KEY_FIELD_PROTOCOL, true},
};

enum { ECHO_REQUEST = 8, ECHO_REQUEST_V6 = 128 };

struct cover_list {
  struct cover *items;
  size_t count, capacity;
};

/* Flows from one zone to another. */
struct direction {
  struct compilation *compilation;
  const char *from, *to;
  size_t from_place, to_place;
  struct cover_list covers[KIND_COUNT_][IP_COUNT_];
  struct piece_list pieces[KIND_COUNT_][IP_COUNT_];
  uint32_t layers;
  const char *limits;  /* map from marks to limits; NULL for none */
  size_t logged_count; /* flows with a record of each connection */
  const char *logged;  /* the set of their marks; NULL: all flows */
  const char *opening; /* chain for TCP; NULL where no flow is TCP */
};

/* ---- from flows to boxes ---- */

/* The kind of a service in that version of IP; KIND_COUNT_ when the kernel can never see it open a connection. */
static enum service_kind kind_of(const struct service *service, enum ip_version version) {
  switch (service->protocol) {
  case IPPROTO_TCP:
    return KIND_TCP;
  case IPPROTO_UDP:
    return KIND_UDP;
  case IPPROTO_ICMP:
    return version == IP4 && service->icmp_type == ECHO_REQUEST ? KIND_ECHO : KIND_COUNT_;
  case IPPROTO_ICMPV6:
    return version == IP6 && service->icmp_type == ECHO_REQUEST_V6 ? KIND_ECHO : KIND_COUNT_;
  default:
    return KIND_OTHER;
  }
}

static void service_span(const struct service *service, enum service_kind kind, struct box *box) {
  if (kind == KIND_TCP || kind == KIND_UDP) {
    box->first[AXIS_SERVICE] = service->first_port;
    box->last[AXIS_SERVICE] = service->last_port;
  } else {
    box->first[AXIS_SERVICE] = box->last[AXIS_SERVICE] = kind == KIND_OTHER ? service->protocol : 0;
  }
}

static int add_cover(struct direction *direction, enum service_kind kind, enum ip_version version,
                     const struct cover *cover) {
  struct cover_list *list = &direction->covers[kind][version];
  int status = arena_grow(direction->compilation->arena, (void **)&list->items, list->count, &list->capacity,
                          sizeof *list->items);
  if (status == 0)
    list->items[list->count++] = *cover;
  return status;
}

static int add_service(struct direction *direction, struct cover cover, const struct service *service,
                       const struct address_set *from, const struct address_set *to) {
  int status = 0;
  for (size_t i = 0; i < to->count; i++)
    for (size_t j = 0; j < from->count && status == 0; j++) {
      const struct address_range *target = &to->ranges[i], *source = &from->ranges[j];
      enum ip_version version = target->first.family == FAMILY_IPV4 ? IP4 : IP6;
      enum service_kind kind = kind_of(service, version);
      if (target->first.family != source->first.family || kind == KIND_COUNT_)
        continue;
      service_span(service, kind, &cover.box);
      cover.box.first[AXIS_DESTINATION] = number_from_address(&target->first);
      cover.box.last[AXIS_DESTINATION] = number_from_address(&target->last);
      cover.box.first[AXIS_SOURCE] = number_from_address(&source->first);
      cover.box.last[AXIS_SOURCE] = number_from_address(&source->last);
      status = add_cover(direction, kind, version, &cover);
    }
  return status;
}

static bool services_same_protocol(const struct service *left, const struct service *right) {
  return left->protocol == right->protocol && left->icmp_type == right->icmp_type;
}

/* Whether a service stands, as a whole or in part, in an earlier one of its flow: boxes of one flow must be disjoint.
 */
static bool service_joins(struct service *into, const struct service *other) {
  if (!services_same_protocol(into, other) || other->first_port > (uint32_t)into->last_port + 1 ||
      into->first_port > (uint32_t)other->last_port + 1)
    return false;
  if (other->first_port < into->first_port)
    into->first_port = other->first_port;
  if (other->last_port > into->last_port)
    into->last_port = other->last_port;
  return true;
}

/* Merges overlapping and adjacent services in place, until nothing merges any more; returns how many are left. */
static size_t merge_services(struct service *services, size_t count) {
  for (size_t i = 0; i < count;) {
    size_t before = count;
    for (size_t j = i + 1; j < count;)
      if (service_joins(&services[i], &services[j]))
        services[j] = services[--count];
      else
        j++;
    if (count == before)
      i++;
  }
  return count;
}

static int add_flow(struct direction *direction, uint32_t index) {
  struct compilation *compilation = direction->compilation;
  const struct policy *policy = compilation->policy;
  const struct flow *flow = &policy->flows[index];
  struct instant until;
  enum force_state force =
      restricted_flow_force(policy, compilation->options->restrictions, flow, compilation->options->now, &until);
  if (force == FORCE_EXPIRED)
    return 0;
  struct address_set from, to;
  int status = policy_end_addresses(policy, flow->from, flow->from_count, flow->to_zone, compilation->arena, &from);
  if (status == 0)
    status = policy_end_addresses(policy, flow->to, flow->to_count, flow->from_zone, compilation->arena, &to);
  struct service *services = arena_memdup(compilation->arena, flow->services, flow->service_count * sizeof *services);
  if (services == NULL)
    return -ENOMEM;
  struct cover cover = {.owner = index, .lasting = force == FORCE_YES && until.seconds == INT64_MAX};
  size_t count = merge_services(services, flow->service_count);
  for (size_t i = 0; i < count && status == 0; i++)
    status = add_service(direction, cover, &services[i], &from, &to);
  return status;
}

/* ---- from pieces to maps ---- */

static struct set_draft *piece_map(struct direction *direction, enum service_kind kind, enum ip_version version,
                                   uint32_t layer, bool exact) {
  struct compilation *compilation = direction->compilation;
  enum field_type address = ip_words[version].address, service = kinds[kind].field;
  enum field_type fields[4] = {address, service, address, KEY_FIELD_COUNT_};
  if (service == KEY_FIELD_COUNT_ || kinds[kind].service_last) {
    fields[1] = address;
    fields[2] = service;
  }
  char suffix[16] = "";
  if (layer > 0)
    snprintf(suffix, sizeof suffix, ".%u", layer + 1);
  const char *name = arena_printf(compilation->arena, "%s%c.%s.%s.%s%s", exact ? "exact" : "range",
                                  ip_words[version].digit, kinds[kind].name, direction->from, direction->to, suffix);
  struct set_draft *draft = builder_set(&compilation->builder, name, MAP_MARK, fields);
  draft->set.interval = !exact;
  draft->set.origin = zone_origin_at(compilation, direction->from_place);
  return draft;
}

static void write_service(const struct set *set, uint8_t *key, size_t field, enum service_kind kind, number value) {
  uint16_t port = htons((uint16_t)value);
  uint8_t protocol = (uint8_t)value;
  if (kinds[kind].field == KEY_FIELD_PORT)
    key_write(set, key, field, &port);
  else if (kinds[kind].field == KEY_FIELD_PROTOCOL)
    key_write(set, key, field, &protocol);
}

static void write_corner(const struct set *set, uint8_t *key, enum service_kind kind, enum ip_version version,
                         const number *corner) {
  size_t length = address_length(ip_words[version].family);
  bool middle = kinds[kind].field != KEY_FIELD_COUNT_ && !kinds[kind].service_last;
  uint8_t bytes[16];
  number_to_bytes(corner[AXIS_DESTINATION], length, bytes);
  key_write(set, key, 0, bytes);
  number_to_bytes(corner[AXIS_SOURCE], length, bytes);
  key_write(set, key, middle ? 2 : 1, bytes);
  write_service(set, key, middle ? 1 : 2, kind, corner[AXIS_SERVICE]);
}

static void add_piece_element(struct direction *direction, struct set_draft *map, enum service_kind kind,
                              enum ip_version version, const struct piece *piece) {
  const struct flow *flow = &direction->compilation->policy->flows[piece->owner];
  struct element *element = builder_element(&direction->compilation->builder, map);
  write_corner(&map->set, element->key, kind, version, piece->box.first);
  write_corner(&map->set, element->key_end, kind, version, piece->box.last);
  element->mark = direction->compilation->marks[piece->owner];
  element->comment = flow->name;
  element->origin = flow_origin(flow);
}

/* The lookup in one map; nothing where the map would be empty. */
static void look_up_opener(struct direction *direction, struct chain_draft *chain, enum service_kind kind,
                           enum ip_version version, const char *map) {
  const struct ip_words *words = &ip_words[version];
  struct rule_writer rule = rule_begin(&direction->compilation->builder, chain);
  if (kinds[kind].protocol[version] != 0)
    rule_transport(&rule, kinds[kind].protocol[version]);
  if (kinds[kind].field == KEY_FIELD_COUNT_)
    rule_mark_map(&rule, FIELDS(words->original_destination, words->original_source), map);
  else if (kinds[kind].service_last)
    rule_mark_map(&rule, FIELDS(words->original_destination, words->original_source, kinds[kind].service), map);
  else
    rule_mark_map(&rule, FIELDS(words->original_destination, kinds[kind].service, words->original_source), map);
  rule.origin = zone_origin_at(direction->compilation, direction->from_place);
  rule_end(&rule, VERDICT_NONE, NULL);
}

static bool compile_map(struct direction *direction, struct chain_draft *chain, enum service_kind kind,
                        enum ip_version version, uint32_t layer, bool exact) {
  const struct piece_list *pieces = &direction->pieces[kind][version];
  struct set_draft *map = NULL;
  for (size_t i = 0; i < pieces->count; i++) {
    const struct piece *piece = &pieces->items[i];
    if (piece->layer != layer || box_is_point(&piece->box) != exact)
      continue;
    if (map == NULL)
      map = piece_map(direction, kind, version, layer, exact);
    add_piece_element(direction, map, kind, version, piece);
  }
  if (map == NULL)
    return false;
  if (exact) {
    map->set.size = builder_room(map->set.element_count);
    map->set.name = arena_printf(direction->compilation->arena, "%s-%u", map->set.name, map->set.size);
  }
  look_up_opener(direction, chain, kind, version, builder_seal_set(&direction->compilation->builder, map));
  return true;
}

/* ---- limits ---- */

static bool has_limit(const struct direction *direction, uint32_t index) {
  const struct flow *flow = &direction->compilation->policy->flows[index];
  return flow->limit.set && (flow->limit.new_per_second > 0 || flow->limit.connections > 0);
}

static void end_over(struct direction *direction, struct rule_writer *rule, uint32_t index) {
  rule_count(rule, denied_counter(direction->compilation, direction->from_place, direction->to_place, "limit"));
  rule->origin = flow_origin(&direction->compilation->policy->flows[index]);
  end_denial(direction->compilation, rule, "limit");
}

/* A chain that drops what is over the limit of one flow, and returns otherwise. */
static const char *compile_limit(struct direction *direction, uint32_t index) {
  struct compilation *compilation = direction->compilation;
  const struct flow *flow = &compilation->policy->flows[index];
  struct chain_draft *chain =
      builder_chain(&compilation->builder, arena_printf(compilation->arena, "limit.%s", flow->name), flow->name);
  chain->chain.origin = flow_origin(flow);
  if (flow->limit.new_per_second > 0) {
    struct rule_writer rule = rule_begin(&compilation->builder, chain);
    rule_over(&rule, flow->limit.new_per_second);
    end_over(direction, &rule, index);
  }
  if (flow->limit.connections > 0) {
    struct rule_writer rule = rule_begin(&compilation->builder, chain);
    rule_over_connections(&rule, flow->limit.connections);
    end_over(direction, &rule, index);
  }
  return builder_seal_chain(&compilation->builder, chain);
}

/* The map from marks to the limits of their flows; NULL where no flow has one. */
static const char *compile_limits(struct direction *direction, const struct link *link, size_t side) {
  struct compilation *compilation = direction->compilation;
  struct set_draft *map = NULL;
  for (size_t i = 0; i < link->flow_counts[side]; i++) {
    uint32_t index = link->flows[side][i];
    if (!has_limit(direction, index))
      continue;
    if (map == NULL)
      map = builder_set(&compilation->builder,
                        arena_printf(compilation->arena, "limited.%s.%s", direction->from, direction->to), MAP_VERDICT,
                        (const enum field_type[]){KEY_FIELD_MARK, KEY_FIELD_COUNT_});
    struct element *element = builder_element(&compilation->builder, map);
    key_write(&map->set, element->key, 0, &compilation->marks[index]);
    element->verdict = (struct verdict){.code = VERDICT_JUMP, .chain = compile_limit(direction, index)};
    element->comment = compilation->policy->flows[index].name;
    element->origin = flow_origin(&compilation->policy->flows[index]);
  }
  return map == NULL ? NULL : builder_seal_set(&compilation->builder, map);
}

/* Only openings count, and only those that would pass. */
static void apply_limits(struct direction *direction, struct chain_draft *chain, const char *in_force) {
  if (direction->limits == NULL)
    return;
  struct rule_writer rule = rule_begin(&direction->compilation->builder, chain);
  rule_state(&rule, STATE_NEW);
  rule_in(&rule, FIELDS(MATCH_CT_MARK), in_force);
  rule_verdict_map(&rule, FIELDS(MATCH_CT_MARK), direction->limits);
  rule_end(&rule, VERDICT_NONE, NULL);
}

/* ---- records ---- */

static size_t count_logged(const struct direction *direction, const struct link *link, size_t side) {
  const struct policy *policy = direction->compilation->policy;
  size_t count = 0;
  for (size_t i = 0; i < link->flow_counts[side]; i++)
    count += flow_logs_new(policy, &policy->flows[link->flows[side][i]]);
  return count;
}

/* The set of the marks whose connections are recorded; NULL where it would hold all of them. */
static const char *compile_logged(struct direction *direction, const struct link *link, size_t side) {
  struct compilation *compilation = direction->compilation;
  const struct policy *policy = compilation->policy;
  if (direction->logged_count == link->flow_counts[side])
    return NULL;
  struct set_draft *set = builder_set(&compilation->builder,
                                      arena_printf(compilation->arena, "logged.%s.%s", direction->from, direction->to),
                                      MAP_NONE, (const enum field_type[]){KEY_FIELD_MARK, KEY_FIELD_COUNT_});
  set->set.origin = zone_origin_at(compilation, direction->from_place);
  for (size_t i = 0; i < link->flow_counts[side]; i++) {
    const struct flow *flow = &policy->flows[link->flows[side][i]];
    if (!flow_logs_new(policy, flow))
      continue;
    struct element *element = builder_element(&compilation->builder, set);
    key_write(&set->set, element->key, 0, &compilation->marks[link->flows[side][i]]);
    element->comment = flow->name;
    element->origin = flow_origin(flow);
  }
  return builder_seal_set(&compilation->builder, set);
}

/* With conntrack's own events off, only what these rules name is told: the others cost nothing. */
static void tell_events(struct direction *direction, struct chain_draft *chain) {
  if (direction->logged_count == 0)
    return;
  struct rule_writer rule = rule_begin(&direction->compilation->builder, chain);
  rule.origin = zone_origin_at(direction->compilation, direction->from_place);
  rule_state(&rule, STATE_NEW);
  if (direction->logged != NULL)
    rule_in(&rule, FIELDS(MATCH_CT_MARK), direction->logged);
  rule_tell_events(&rule);
  rule_end(&rule, VERDICT_NONE, NULL);
}

static void send_openings(struct direction *direction, struct chain_draft *chain, const char *in_force) {
  if (direction->opening == NULL)
    return;
  struct rule_writer rule = rule_begin(&direction->compilation->builder, chain);
  rule.origin = zone_origin_at(direction->compilation, direction->from_place);
  rule_transport(&rule, IPPROTO_TCP);
  rule_state(&rule, STATE_NEW);
  rule_in(&rule, FIELDS(MATCH_CT_MARK), in_force);
  rule_end(&rule, VERDICT_GOTO, direction->opening);
}

static bool opens_tcp(const struct direction *direction) {
  return direction->pieces[KIND_TCP][IP4].count > 0 || direction->pieces[KIND_TCP][IP6].count > 0;
}

/* Maps of single points, or of ranges; false where there are none. */
static bool compile_maps(struct direction *direction, struct chain_draft *chain, uint32_t layer, bool exact) {
  bool any = false;
  for (enum service_kind kind = KIND_TCP; kind < KIND_COUNT_; kind++)
    for (enum ip_version version = IP4; version < IP_COUNT_; version++)
      any = compile_map(direction, chain, kind, version, layer, exact) || any;
  return any;
}

/* What was found so far, and is in force, passes. */
static void accept_found(struct direction *direction, struct chain_draft *chain, const char *in_force) {
  tell_events(direction, chain);
  send_openings(direction, chain, in_force);
  apply_limits(direction, chain, in_force);
  struct rule_writer rule = rule_begin(&direction->compilation->builder, chain);
  rule_in(&rule, FIELDS(MATCH_CT_MARK), in_force);
  rule_end(&rule, VERDICT_ACCEPT, NULL);
}

/* Keys of one layer are disjoint: what is found among the points need not wait for the slower ranges. */
static void compile_layer(struct direction *direction, struct chain_draft *chain, uint32_t layer,
                          const char *in_force) {
  for (size_t i = 0; i < 2; i++)
    if (compile_maps(direction, chain, layer, i == 0))
      accept_found(direction, chain, in_force);
}

static int cut_all(struct direction *direction) {
  int status = 0;
  size_t total = 0;
  for (enum service_kind kind = KIND_TCP; kind < KIND_COUNT_; kind++)
    for (enum ip_version version = IP4; version < IP_COUNT_ && status == 0; version++) {
      const struct cover_list *covers = &direction->covers[kind][version];
      struct piece_list *pieces = &direction->pieces[kind][version];
      status =
          boxes_cut(covers->items, covers->count, RULESET_ELEMENT_LIMIT - total, direction->compilation->arena, pieces);
      total += pieces->count;
      for (size_t i = 0; i < pieces->count; i++)
        if (pieces->items[i].layer >= direction->layers)
          direction->layers = pieces->items[i].layer + 1;
    }
  return status;
}

/* The chain that judges openers from one zone to another; NULL when no flow opens that way. */
static const char *compile_openers(struct compilation *compilation, const struct link *link, size_t side) {
  size_t from = side == 0 ? link->low : link->high, to = side == 0 ? link->high : link->low;
  struct direction direction = {.compilation = compilation,
                                .from = zone_name_at(compilation, from),
                                .to = zone_name_at(compilation, to),
                                .from_place = from,
                                .to_place = to};
  int status = 0;
  for (size_t i = 0; i < link->flow_counts[side] && status == 0; i++)
    status = add_flow(&direction, link->flows[side][i]);
  if (status == 0)
    status = cut_all(&direction);
  if (status < 0) {
    compilation->status = error_set(compilation->error, -status,
                                    status == -E2BIG ? "flows from %s to %s overlap in too many ways"
                                                     : "no memory for the flows from %s to %s",
                                    direction.from, direction.to);
    return NULL;
  }
  if (direction.layers == 0)
    return NULL;
  direction.limits = compile_limits(&direction, link, side);
  direction.logged_count = count_logged(&direction, link, side);
  if (direction.logged_count > 0)
    direction.logged = compile_logged(&direction, link, side);
  if (opens_tcp(&direction))
    direction.opening = compile_opening(compilation, from, to, direction.limits);
  struct chain_draft *chain = builder_chain(
      &compilation->builder, arena_printf(compilation->arena, "open.%s.%s", direction.from, direction.to),
      arena_printf(compilation->arena, "%s → %s", zone_label_at(compilation, from), zone_label_at(compilation, to)));
  chain->chain.origin = zone_origin_at(compilation, from);
  for (uint32_t layer = 0; layer < direction.layers; layer++)
    compile_layer(&direction, chain, layer, link->in_force);
  return builder_seal_chain(&compilation->builder, chain);
}

/* ---- flows in force ---- */

static void add_in_force(struct compilation *compilation, struct set_draft *set, uint32_t index) {
  const struct policy *policy = compilation->policy;
  const struct flow *flow = &policy->flows[index];
  struct instant until;
  if (restricted_flow_force(policy, compilation->options->restrictions, flow, compilation->options->now, &until) !=
      FORCE_YES)
    return;
  struct element *element = builder_element(&compilation->builder, set);
  key_write(&set->set, element->key, 0, &compilation->marks[index]);
  element->expires = until;
  element->comment = flow->name;
  element->origin = flow_origin(flow);
}

static const char *compile_in_force(struct compilation *compilation, const struct link *link) {
  const char *name = arena_printf(compilation->arena, "in_force.%s.%s", zone_name_at(compilation, link->low),
                                  zone_name_at(compilation, link->high));
  struct set_draft *set =
      builder_set(&compilation->builder, name, MAP_NONE, (const enum field_type[]){KEY_FIELD_MARK, KEY_FIELD_COUNT_});
  set->set.timeouts = set->set.counters = true;
  set->set.origin = zone_origin_at(compilation, link->low);
  for (size_t side = 0; side < 2; side++)
    for (size_t i = 0; i < link->flow_counts[side]; i++)
      add_in_force(compilation, set, link->flows[side][i]);
  return builder_seal_set(&compilation->builder, set);
}

void compile_links(struct compilation *compilation) {
  for (size_t i = 0; i < compilation->link_count && compilation->status == 0; i++) {
    struct link *link = &compilation->links[i];
    link->in_force = compile_in_force(compilation, link);
    for (size_t side = 0; side < 2 && compilation->status == 0; side++)
      link->open_chains[side] = compile_openers(compilation, link, side);
  }
}
