/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What flows cover. A flow is a product: senders, receivers and services have nothing to do with each other, so it is
 * as many boxes as the product of their ranges, and all flows of a pair of zones are drawn in one pass over all their
 * boxes. The leaf inside of a box is the set of flows that cover it. A flow with very many boxes is drawn by itself, as
 * the intersection of its three sides, which costs their sum and not their product.
 *
 * A packet's tuple is laid over the bits of the packet in one of several ways: see `struct layout`.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proof/authorised_parts.h"

enum { SLOTS = 6, BOX_SIZE = 1 + 16 + 16 + 2 + 2 + 1, MOST_BOXES = 64, MOST_BOXES_BY_CLASSES = 4096 };

/*
 * Where in the packet the tuple of the connection's opener stands. A reply has it turned around. For an ICMP error the
 * tuple of what it quotes has fields of its own, laid as conntrack keeps it: type and code in place of the destination
 * port.
 */
struct layout {
  enum space_field fields[SLOTS];
  unsigned field_count;
  unsigned destination, source, port, type; /* places in `fields` */
  unsigned readable;                        /* likewise; 0: not asked */
  bool answers;                             /* an ICMP type is that of the answer */
};

enum layout_name { LAYOUT_OPENER, LAYOUT_ORIGINAL, LAYOUT_REPLY, LAYOUT_QUOTED };

static const struct layout LAYOUTS[] = {
    [LAYOUT_OPENER] = {{FIELD_PROTOCOL, FIELD_TRANSPORT_READABLE, FIELD_DESTINATION, FIELD_SOURCE,
                        FIELD_DESTINATION_PORT, FIELD_SOURCE_PORT},
                       6,
                       .readable = 1,
                       .destination = 2,
                       .source = 3,
                       .port = 4,
                       .type = 5},
    [LAYOUT_ORIGINAL] = {{FIELD_PROTOCOL, FIELD_DESTINATION, FIELD_SOURCE, FIELD_DESTINATION_PORT, FIELD_SOURCE_PORT},
                         5,
                         .destination = 1,
                         .source = 2,
                         .port = 3,
                         .type = 4},
    [LAYOUT_REPLY] = {{FIELD_PROTOCOL, FIELD_DESTINATION, FIELD_SOURCE, FIELD_DESTINATION_PORT, FIELD_SOURCE_PORT},
                      5,
                      .destination = 2,
                      .source = 1,
                      .port = 4,
                      .type = 4,
                      .answers = true},
    [LAYOUT_QUOTED] = {{FIELD_ORIGINAL_PROTOCOL, FIELD_ORIGINAL_DESTINATION, FIELD_ORIGINAL_SOURCE,
                        FIELD_ORIGINAL_DESTINATION_PORT, FIELD_ORIGINAL_SOURCE_PORT},
                       5,
                       .destination = 1,
                       .source = 2,
                       .port = 3,
                       .type = 3},
};

/* ---- learning ---- */

static const struct zone *zone_of(const struct authorised *authorised, zone_index zone) {
  return authorised_is_zone(authorised, zone) ? &authorised->policy->zones[zone] : NULL;
}

/* Both ends lie in a zone that may be seen here. */
static bool is_sound(const struct authorised *authorised, const struct flow *flow) {
  const zone_index ends[] = {flow->from_zone, flow->to_zone};
  for (size_t i = 0; i < 2; i++) {
    const struct zone *zone = zone_of(authorised, ends[i]);
    if (ends[i] != ZONE_GATEWAY && (zone == NULL || zone->class == CLASS_UNROUTED))
      return false;
  }
  return true;
}

static size_t place_of(const struct authorised *authorised, zone_index zone) {
  return zone == ZONE_GATEWAY ? authorised->policy->zone_count : (size_t)zone;
}

static struct join *join_at(const struct authorised *authorised, zone_index left, zone_index right) {
  size_t width = authorised->policy->zone_count + 1;
  return &authorised->joins[place_of(authorised, left) * width + place_of(authorised, right)];
}

struct join authorised_join(const struct authorised *authorised, zone_index left, zone_index right) {
  return *join_at(authorised, left, right);
}

static void note_join(struct authorised *authorised, const struct flow *flow) {
  struct join *join = join_at(authorised, flow->from_zone, flow->to_zone);
  join->joined = true;
  join->tunnels |= authorised_tunnels_of(flow);
  *join_at(authorised, flow->to_zone, flow->from_zone) = *join;
}

static int compare_pairs(const void *left, const void *right) {
  const struct flow *one = *(const struct flow *const *)left, *other = *(const struct flow *const *)right;
  if (one->from_zone != other->from_zone)
    return one->from_zone < other->from_zone ? -1 : 1;
  if (one->to_zone != other->to_zone)
    return one->to_zone < other->to_zone ? -1 : 1;
  return one->index < other->index ? -1 : one->index > other->index;
}

static int group_by_pair(struct authorised *authorised, const struct flow **flows, size_t count) {
  size_t capacity = 0;
  if (count != 0)
    qsort(flows, count, sizeof(const struct flow *), compare_pairs);
  for (size_t i = 0; i < count; i++) {
    struct pair_flows *pair = authorised->pair_count != 0 ? &authorised->pairs[authorised->pair_count - 1] : NULL;
    if (pair == NULL || pair->from != flows[i]->from_zone || pair->to != flows[i]->to_zone) {
      if (arena_grow(authorised->arena, (void **)&authorised->pairs, authorised->pair_count, &capacity, sizeof *pair) <
          0)
        return -ENOMEM;
      pair = &authorised->pairs[authorised->pair_count++];
      *pair = (struct pair_flows){flows[i]->from_zone, flows[i]->to_zone, &flows[i], 0};
    }
    pair->count++;
  }
  return 0;
}

/* Whether a flow comes into force at all; conditions may open and shut in turn, but not for ever. */
static bool comes_into_force(const struct authorised *authorised, const struct flow *flow) {
  const struct authorised_question *question = &authorised->question;
  struct instant at = question->now, until;
  for (;;) {
    enum force_state state = restricted_flow_force(question->policy, question->restrictions, flow, at, &until);
    if (state != FORCE_OUTSIDE_WINDOW || until.seconds == INSTANT_NEVER.seconds)
      return state == FORCE_YES;
    at = until;
  }
}

static bool counts(const struct authorised *authorised, const struct flow *flow) {
  const struct authorised_question *question = &authorised->question;
  switch (question->when) {
  case WHEN_NOW:
    return restricted_flow_force(question->policy, question->restrictions, flow, question->now, NULL) == FORCE_YES;
  case WHEN_FROM_NOW_ON:
    return comes_into_force(authorised, flow);
  case WHEN_EVER:
    break;
  }
  return true;
}

int authorised_learn_flows(struct authorised *authorised) {
  const struct policy *policy = authorised->policy;
  size_t width = policy->zone_count + 1, count = 0;
  const struct flow **flows = ARENA_ARRAY(authorised->arena, policy->flow_count + 1, const struct flow *);
  authorised->joins = ARENA_ARRAY(authorised->arena, width * width, struct join);
  authorised->in_force = ARENA_ARRAY(authorised->arena, policy->flow_count + 1, bool);
  authorised->lists = flow_lists_new(policy, authorised->arena);
  if (flows == NULL || authorised->joins == NULL || authorised->in_force == NULL || authorised->lists == NULL)
    return -ENOMEM;
  authorised->join_operation = diagram_operation(authorised->store);
  for (size_t i = 0; i < policy->flow_count; i++) {
    const struct flow *flow = &policy->flows[i];
    if (!is_sound(authorised, flow) || (authorised->question.only != NULL && authorised->question.only != flow))
      continue;
    flows[count++] = flow;
    note_join(authorised, flow);
    authorised->in_force[i] = counts(authorised, flow);
  }
  return group_by_pair(authorised, flows, count);
}

static const struct pair_flows *find_pair(const struct authorised *authorised, const struct zone_pair *pair) {
  size_t low = 0, high = authorised->pair_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    const struct pair_flows *found = &authorised->pairs[middle];
    if (found->from == pair->from && found->to == pair->to)
      return found;
    if (found->from < pair->from || (found->from == pair->from && found->to < pair->to))
      low = middle + 1;
    else
      high = middle;
  }
  return NULL;
}

/* ---- the sides of a flow ---- */

/* The drawing of one pair of zones. */
struct canvas {
  struct authorised *authorised;
  const struct layout *layout;
  enum address_family family;
  bool right_mac; /* false: senders whose MAC is not the one that they are pinned to */
  struct arena *scratch;
  unsigned order[SLOTS];              /* places in the layout, in the order of their variables */
  struct diagram_field fields[SLOTS]; /* in that order */
  size_t offsets[SLOTS];              /* in the bytes of a corner, by place in the layout */
  size_t box_size;
  struct diagram_box *boxes;
  size_t box_count, box_capacity;
  diagram *wide; /* flows that are drawn by themselves */
  size_t wide_count, wide_capacity;
};

struct ranges {
  const struct address_range *ranges;
  size_t count;
};

static bool needs_mac(const struct endpoint *end) {
  return end->kind == ENDPOINT_HOST && end->host->mac_count != 0 && end->host->mac_scope == MAC_SCOPE_DIRECT;
}

/* Appends what an end covers; false without memory. */
static bool add_end(const struct canvas *canvas, const struct endpoint *end, zone_index peer,
                    struct address_range **ranges, size_t *count, size_t *capacity) {
  const struct authorised *authorised = canvas->authorised;
  const struct address_set *set = NULL;
  if (end->kind == ENDPOINT_ZONE && authorised_is_zone(authorised, end->zone))
    set = &authorised->zones[end->zone].local;
  if (end->kind == ENDPOINT_GATEWAY && authorised_is_zone(authorised, peer))
    set = &authorised->zones[peer].gateway;
  bool host = end->kind == ENDPOINT_HOST && end->host != NULL;
  size_t more = host ? end->host->address_count : set != NULL ? set->count : 0;
  for (size_t i = 0; i < more; i++) {
    const struct address_range *range = host ? &end->host->addresses[i].range : &set->ranges[i];
    if (range->first.family != canvas->family)
      continue;
    if (arena_grow(canvas->scratch, (void **)ranges, *count, capacity, sizeof **ranges) < 0)
      return false;
    (*ranges)[(*count)++] = *range;
  }
  return true;
}

/* All addresses of one side, in few ranges. */
static bool side_of(const struct canvas *canvas, const struct endpoint *ends, size_t count, zone_index peer,
                    bool senders, struct address_set *ret_set) {
  struct address_range *ranges = NULL;
  size_t used = 0, capacity = 0;
  for (size_t i = 0; i < count; i++)
    if (!senders || canvas->right_mac || !needs_mac(&ends[i]))
      if (!add_end(canvas, &ends[i], peer, &ranges, &used, &capacity))
        return false;
  if (used > 1)
    return address_set_build(canvas->scratch, ranges, used, ret_set) == 0;
  *ret_set = (struct address_set){ranges, used};
  return true;
}

/* ---- services ---- */

/* What a service says of the parts of a tuple that are no addresses. */
struct demand {
  uint8_t protocol;
  uint16_t first_port, last_port, first_type, last_type; /* type and code */
  bool readable;
};

/* nf_conntrack_proto_icmp.c and _icmpv6.c, invmap: the type of the answer; -1: none is ever one. */
static int answer_of(enum address_family family, uint8_t type) {
  static const uint8_t pairs4[][2] = {{8, 0}, {13, 14}, {15, 16}, {17, 18}}, pairs6[][2] = {{128, 129}, {139, 140}};
  const uint8_t(*pairs)[2] = family == FAMILY_IPV4 ? pairs4 : pairs6;
  size_t count = family == FAMILY_IPV4 ? sizeof pairs4 / sizeof *pairs4 : sizeof pairs6 / sizeof *pairs6;
  for (size_t i = 0; i < count; i++)
    for (size_t side = 0; side < 2; side++)
      if (pairs[i][side] == type)
        return pairs[i][1 - side];
  return -1;
}

static bool icmp_demand(const struct canvas *canvas, const struct service *service, struct demand *ret_demand) {
  int type = service->icmp_type;
  if (service->protocol != (canvas->family == FAMILY_IPV4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6))
    return false;
  if (canvas->layout->answers)
    type = answer_of(canvas->family, service->icmp_type);
  if (type < 0)
    return false;
  *ret_demand = (struct demand){.protocol = service->protocol, .last_port = UINT16_MAX, .readable = true};
  ret_demand->first_type = (uint16_t)(type << 8);
  ret_demand->last_type = (uint16_t)(type << 8 | 0xff);
  return true;
}

/* False when nothing in this layout can be of the service. */
static bool demand_of(const struct canvas *canvas, const struct service *service, struct demand *ret_demand) {
  if (service->protocol == PROTOCOL_ICMP || service->protocol == PROTOCOL_ICMPV6)
    return icmp_demand(canvas, service, ret_demand);
  *ret_demand = (struct demand){.protocol = service->protocol, .last_port = UINT16_MAX, .last_type = UINT16_MAX};
  if (service->protocol != PROTOCOL_TCP && service->protocol != PROTOCOL_UDP)
    return true;
  ret_demand->readable = true;
  ret_demand->first_port = service->first_port;
  ret_demand->last_port = service->last_port;
  return service->first_port <= service->last_port;
}

/* ---- boxes ---- */

static void put_word(uint8_t *bytes, uint16_t word) {
  bytes[0] = (uint8_t)(word >> 8);
  bytes[1] = (uint8_t)word;
}

/* The bytes of one corner. */
static void put_corner(const struct canvas *canvas, uint8_t *bytes, const struct address *destination,
                       const struct address *source, const struct demand *demand, bool last) {
  const struct layout *layout = canvas->layout;
  const size_t *at = canvas->offsets;
  bytes[at[0]] = demand->protocol;
  memcpy(bytes + at[layout->destination], destination->bytes, address_length(canvas->family));
  memcpy(bytes + at[layout->source], source->bytes, address_length(canvas->family));
  bool icmp = demand->protocol == PROTOCOL_ICMP || demand->protocol == PROTOCOL_ICMPV6;
  put_word(bytes + at[layout->field_count - 2], last ? UINT16_MAX : 0);
  put_word(bytes + at[layout->field_count - 1], last ? UINT16_MAX : 0);
  if (icmp)
    put_word(bytes + at[layout->type], last ? demand->last_type : demand->first_type);
  else
    put_word(bytes + at[layout->port], last ? demand->last_port : demand->first_port);
  if (layout->readable != 0)
    bytes[at[layout->readable]] = last || demand->readable;
}

static bool add_box(struct canvas *canvas, const struct address_range *destination, const struct address_range *source,
                    const struct demand *demand, uint32_t value) {
  uint8_t *bytes = arena_alloc(canvas->scratch, 2 * canvas->box_size);
  if (bytes == NULL || arena_grow(canvas->scratch, (void **)&canvas->boxes, canvas->box_count, &canvas->box_capacity,
                                  sizeof *canvas->boxes) < 0)
    return false;
  put_corner(canvas, bytes, &destination->first, &source->first, demand, false);
  put_corner(canvas, bytes + canvas->box_size, &destination->last, &source->last, demand, true);
  canvas->boxes[canvas->box_count++] = (struct diagram_box){bytes, bytes + canvas->box_size, value};
  return true;
}

static bool add_boxes(struct canvas *canvas, const struct address_set *to, const struct address_set *from,
                      const struct demand *demand, uint32_t value) {
  for (size_t i = 0; i < to->count; i++)
    for (size_t j = 0; j < from->count; j++)
      if (!add_box(canvas, &to->ranges[i], &from->ranges[j], demand, value))
        return false;
  return true;
}

/* ---- flows of very many boxes ---- */

static diagram draw_service(const struct canvas *canvas, const struct demand *demand) {
  struct authorised *authorised = canvas->authorised;
  const struct layout *layout = canvas->layout;
  bool icmp = demand->protocol == PROTOCOL_ICMP || demand->protocol == PROTOCOL_ICMPV6;
  diagram set = authorised_number(authorised, layout->fields[0], demand->protocol, demand->protocol);
  diagram rest =
      icmp ? authorised_number(authorised, layout->fields[layout->type], demand->first_type, demand->last_type)
           : authorised_number(authorised, layout->fields[layout->port], demand->first_port, demand->last_port);
  set = diagram_and(authorised->store, set, rest);
  if (layout->readable != 0 && demand->readable)
    set = diagram_and(authorised->store, set, authorised_flag(authorised, layout->fields[layout->readable]));
  return set;
}

static bool add_wide(struct canvas *canvas, const struct address_set *to, const struct address_set *from,
                     const struct flow *flow) {
  struct authorised *authorised = canvas->authorised;
  const struct layout *layout = canvas->layout;
  diagram services = DIAGRAM_FALSE;
  struct demand demand;
  for (size_t i = 0; i < flow->service_count; i++)
    if (demand_of(canvas, &flow->services[i], &demand))
      services = diagram_or(authorised->store, services, draw_service(canvas, &demand));
  diagram set = diagram_and(authorised->store, services,
                            authorised_addresses(authorised, layout->fields[layout->destination], canvas->family, to));
  set = diagram_and(authorised->store, set,
                    authorised_addresses(authorised, layout->fields[layout->source], canvas->family, from));
  if (arena_grow(canvas->scratch, (void **)&canvas->wide, canvas->wide_count, &canvas->wide_capacity,
                 sizeof *canvas->wide) < 0)
    return false;
  canvas->wide[canvas->wide_count++] =
      diagram_choose(authorised->store, set, diagram_leaf(authorised->store, flow_lists_single(flow)), DIAGRAM_FALSE);
  return true;
}

/* ---- all flows of a pair ---- */

static bool add_flow(struct canvas *canvas, const struct flow *flow) {
  struct address_set to, from;
  struct demand demand;
  if (!side_of(canvas, flow->from, flow->from_count, flow->to_zone, true, &from) ||
      !side_of(canvas, flow->to, flow->to_count, flow->from_zone, false, &to))
    return false;
  if (to.count == 0 || from.count == 0)
    return true;
  size_t most = canvas->authorised->classes != NULL ? MOST_BOXES_BY_CLASSES : MOST_BOXES;
  if (to.count * from.count * flow->service_count > most)
    return add_wide(canvas, &to, &from, flow);
  for (size_t i = 0; i < flow->service_count; i++)
    if (demand_of(canvas, &flow->services[i], &demand) &&
        !add_boxes(canvas, &to, &from, &demand, flow_lists_single(flow)))
      return false;
  return true;
}

/* Pairwise, so that large diagrams meet large ones. */
static diagram join_all(struct canvas *canvas, diagram boxes) {
  struct authorised *authorised = canvas->authorised;
  for (size_t count = canvas->wide_count; count > 1; count = (count + 1) / 2)
    for (size_t i = 0; i < count / 2; i++) {
      diagram last = canvas->wide[count - 1 - i];
      canvas->wide[i] = diagram_combine(authorised->store, authorised->join_operation, flow_lists_join,
                                        authorised->lists, canvas->wide[i], last);
    }
  return canvas->wide_count == 0 ? boxes
                                 : diagram_combine(authorised->store, authorised->join_operation, flow_lists_join,
                                                   authorised->lists, boxes, canvas->wide[0]);
}

static struct class_end class_end(const struct canvas *canvas, zone_index zone, zone_index peer, unsigned slot) {
  struct authorised *authorised = canvas->authorised;
  enum space_field field = canvas->layout->fields[slot];
  struct class_end end = {.claimed = DIAGRAM_TRUE, .offset = canvas->offsets[slot]};
  if (field != FIELD_DESTINATION && field != FIELD_SOURCE)
    return end;
  if (zone == ZONE_GATEWAY && authorised_is_zone(authorised, peer)) {
    end.claims = &authorised->zones[peer].gateway;
    end.claimed = authorised_addresses(authorised, field, canvas->family, end.claims);
  } else if (authorised_is_zone(authorised, zone)) {
    end.claims = &authorised->zones[zone].claims;
    end.claimed = authorised_claims(authorised, zone, field, canvas->family);
  }
  return end;
}

/* What classes make up; the other boxes stay. */
static diagram draw_by_classes(struct canvas *canvas, const struct pair_flows *flows) {
  const struct layout *layout = canvas->layout;
  struct class_draft draft = {.family = canvas->family,
                              .fields = canvas->fields,
                              .field_count = layout->field_count,
                              .protocol_offset = canvas->offsets[0],
                              .ends = {class_end(canvas, flows->to, flows->from, layout->destination),
                                       class_end(canvas, flows->from, flows->to, layout->source)}};
  return authorised_draw_classes(canvas->authorised, &draft, canvas->boxes, &canvas->box_count);
}

static diagram draw(struct canvas *canvas, const struct pair_flows *flows, bool in_force) {
  struct authorised *authorised = canvas->authorised;
  for (size_t i = 0; i < flows->count; i++)
    if ((!in_force || authorised->in_force[flows->flows[i]->index]) && !add_flow(canvas, flows->flows[i]))
      return DIAGRAM_NONE;
  diagram by_classes = authorised->classes != NULL ? draw_by_classes(canvas, flows) : DIAGRAM_FALSE;
  diagram boxes = diagram_boxes(authorised->store, canvas->fields, canvas->layout->field_count, canvas->boxes,
                                canvas->box_count, authorised->join_operation, flow_lists_join, authorised->lists);
  boxes = diagram_combine(authorised->store, authorised->join_operation, flow_lists_join, authorised->lists, boxes,
                          by_classes);
  diagram all = join_all(canvas, boxes);
  return flow_lists_failed(authorised->lists) ? DIAGRAM_NONE : all;
}

/* Fields of boxes stand in the order of their variables, whatever that is. */
static void order_fields(struct canvas *canvas) {
  const struct layout *layout = canvas->layout;
  const struct space *space = canvas->authorised->space;
  for (unsigned i = 0; i < layout->field_count; i++) {
    unsigned place = i, variable = space_field_variable(space, layout->fields[i], 0);
    for (; place > 0 && space_field_variable(space, layout->fields[canvas->order[place - 1]], 0) > variable; place--)
      canvas->order[place] = canvas->order[place - 1];
    canvas->order[place] = i;
  }
}

static void prepare(struct canvas *canvas) {
  const struct layout *layout = canvas->layout;
  order_fields(canvas);
  for (unsigned i = 0; i < layout->field_count; i++) {
    unsigned slot = canvas->order[i];
    bool address = slot == layout->destination || slot == layout->source;
    unsigned width = address ? (unsigned)address_length(canvas->family) * 8 : 0;
    canvas->fields[i] = space_field(canvas->authorised->space, layout->fields[slot], width);
    canvas->offsets[slot] = canvas->box_size;
    canvas->box_size += (canvas->fields[i].width + 7) / 8;
  }
}

static diagram draw_pair(struct authorised *authorised, const struct zone_pair *pair, enum address_family family,
                         enum layout_name layout, bool in_force, bool right_mac) {
  const struct pair_flows *flows = find_pair(authorised, pair);
  if (flows == NULL)
    return DIAGRAM_FALSE;
  struct canvas canvas = {.authorised = authorised,
                          .layout = &LAYOUTS[layout],
                          .family = family,
                          .right_mac = right_mac,
                          .scratch = arena_new(0)};
  diagram drawn = DIAGRAM_NONE;
  if (canvas.scratch != NULL) {
    prepare(&canvas);
    drawn = draw(&canvas, flows, in_force);
  }
  arena_free(canvas.scratch);
  authorised->failed = authorised->failed || drawn == DIAGRAM_NONE;
  return drawn;
}

/* ---- answers ---- */

static struct opener_drawing *find_drawing(const struct authorised *authorised, const struct opener_drawing *wanted) {
  for (struct opener_drawing *drawing = authorised->drawings; drawing != NULL; drawing = drawing->next)
    if (drawing->pair.from == wanted->pair.from && drawing->pair.to == wanted->pair.to &&
        drawing->family == wanted->family && drawing->layout == wanted->layout && drawing->in_force == wanted->in_force)
      return drawing;
  return NULL;
}

static bool has_pins(const struct pair_flows *flows) {
  for (size_t i = 0; flows != NULL && i < flows->count; i++)
    for (size_t j = 0; j < flows->flows[i]->from_count; j++)
      if (flows->flows[i]->from[j].kind == ENDPOINT_HOST && flows->flows[i]->from[j].host != NULL &&
          needs_mac(&flows->flows[i]->from[j]))
        return true;
  return false;
}

static diagram draw_openers(struct authorised *authorised, const struct zone_pair *pair, enum address_family family,
                            enum layout_name layout, bool in_force) {
  diagram covered = draw_pair(authorised, pair, family, layout, in_force, true);
  if (layout != LAYOUT_OPENER || !has_pins(find_pair(authorised, pair)))
    return covered;
  diagram wrong = authorised_mismatched(authorised, pair->from, family);
  diagram rest = draw_pair(authorised, pair, family, layout, in_force, false);
  return diagram_choose(authorised->store, wrong, rest, covered);
}

/* NULL: no flow, or no memory (then the whole has failed). */
static struct opener_drawing *drawing_of(struct authorised *authorised, const struct zone_pair *pair,
                                         enum address_family family, enum layout_name layout, bool in_force) {
  if (find_pair(authorised, pair) == NULL)
    return NULL;
  struct opener_drawing wanted = {*pair, family, layout, in_force, DIAGRAM_NONE, authorised->drawings, DIAGRAM_TRUE};
  struct opener_drawing *drawing = find_drawing(authorised, &wanted);
  if (drawing != NULL)
    return drawing;
  drawing = ARENA_NEW(authorised->arena, struct opener_drawing);
  if (drawing == NULL) {
    authorised->failed = true;
    return NULL;
  }
  *drawing = wanted;
  authorised->care = DIAGRAM_TRUE;
  drawing->openers = draw_openers(authorised, pair, family, layout, in_force);
  drawing->care = authorised->care;
  authorised->drawings = drawing;
  return drawing;
}

static diagram openers(struct authorised *authorised, const struct zone_pair *pair, enum address_family family,
                       enum layout_name layout, bool in_force) {
  const struct opener_drawing *drawing = drawing_of(authorised, pair, family, layout, in_force);
  if (drawing == NULL)
    return authorised->failed ? DIAGRAM_NONE : DIAGRAM_FALSE;
  return drawing->openers;
}

diagram authorised_openers(struct authorised *authorised, const struct zone_pair *pair, enum address_family family,
                           bool in_force) {
  return openers(authorised, pair, family, LAYOUT_OPENER, in_force);
}

static enum layout_name layout_of(enum situation_tracking tracking) {
  static const enum layout_name layouts[TRACKING_COUNT_] = {
      [TRACKING_OPENS] = LAYOUT_ORIGINAL,          [TRACKING_OPENS_AGAIN] = LAYOUT_ORIGINAL,
      [TRACKING_ORIGINAL] = LAYOUT_ORIGINAL,       [TRACKING_REPLY] = LAYOUT_REPLY,
      [TRACKING_RELATED_ORIGINAL] = LAYOUT_QUOTED, [TRACKING_RELATED_REPLY] = LAYOUT_QUOTED,
      [TRACKING_INVALID] = LAYOUT_ORIGINAL,        [TRACKING_UNTRACKED] = LAYOUT_ORIGINAL,
  };
  return layouts[tracking];
}

diagram authorised_connections(struct authorised *authorised, const struct zone_pair *pair,
                               const struct situation *situation, bool in_force) {
  return openers(authorised, pair, situation->family, layout_of(situation->tracking), in_force);
}

void authorised_use_classes(struct authorised *authorised, struct classes *classes) {
  authorised->classes = classes;
}

diagram authorised_care(struct authorised *authorised, const struct zone_pair *pair,
                        const struct situation *situation) {
  bool opens = situation->tracking == TRACKING_OPENS;
  enum layout_name layout = opens ? LAYOUT_OPENER : layout_of(situation->tracking);
  if (authorised->classes == NULL || layout == LAYOUT_QUOTED)
    return DIAGRAM_TRUE;
  const struct opener_drawing *drawing = drawing_of(authorised, pair, situation->family, layout, false);
  return drawing != NULL ? drawing->care : authorised->failed ? DIAGRAM_NONE : DIAGRAM_TRUE;
}

struct flow_list authorised_flows(const struct authorised *authorised, uint32_t leaf) {
  return flow_lists_members(authorised->lists, leaf);
}

bool authorised_counts(const struct authorised *authorised, const struct flow *flow) {
  return authorised->in_force[flow->index];
}
