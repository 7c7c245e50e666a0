/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a set of packets to boxes that people can read. The set is parted by the flow that allows, then by what its
 * boxes speak of (TCP and UDP have ports, ICMP has a type, all else has neither), then by the MAC: frames of any MAC,
 * of one that the policy names for the sender, of any other. Each part is covered by maximal boxes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proof/exact_parts.h"

enum { CLIENT_PORT = 50000, ECHO4 = 8, ECHO6 = 128 };

/* ---- the desk ---- */

int desk_open(struct desk *desk, struct arena *arena) {
  *desk = (struct desk){.arena = arena, .scratch = arena_new(0), .store = diagram_store_new(EXACT_BUDGET)};
  if (desk->scratch != NULL)
    desk->space = space_new(desk->scratch);
  desk->strange = (struct mac){{0x02, 0, 0, 0, 0, 1}};
  return desk->space != NULL && desk->store != NULL ? 0 : -ENOMEM;
}

void desk_close(struct desk *desk) {
  diagram_store_free(desk->store);
  arena_free(desk->scratch);
}

bool desk_overdrawn(const struct desk *desk) {
  return desk->failed || diagram_store_failed(desk->store) || arena_failed(desk->scratch);
}

diagram desk_trust(struct desk *desk, diagram set) {
  desk->failed = desk->failed || set == DIAGRAM_NONE;
  return set;
}

static bool names_mac(const struct desk *desk, const struct mac *mac) {
  uint8_t bits[2048] = {0}; /* more than there are variables of fields */
  uint32_t value = 0;
  for (unsigned bit = 0; bit < 48; bit++)
    bits[space_field_variable(desk->space, FIELD_SOURCE_MAC, bit)] = mac->bytes[bit / 8] >> (7 - bit % 8) & 1;
  return diagram_value(desk->store, desk->macs, bits, &value) && value != 0;
}

static bool is_pinned(const struct host *host) {
  return host->mac_count != 0 && host->mac_scope == MAC_SCOPE_DIRECT;
}

int desk_add_policy(struct desk *desk, const struct policy *policy) {
  size_t count = 0;
  for (size_t i = 0; i < policy->host_count; i++)
    count += is_pinned(&policy->hosts[i]) ? policy->hosts[i].mac_count : 0;
  struct diagram_box *boxes = ARENA_ARRAY(desk->scratch, count + 1, struct diagram_box);
  if (boxes == NULL)
    return -ENOMEM;
  count = 0;
  for (size_t i = 0; i < policy->host_count; i++)
    for (size_t j = 0; is_pinned(&policy->hosts[i]) && j < policy->hosts[i].mac_count; j++)
      boxes[count++] =
          (struct diagram_box){policy->hosts[i].macs[j].bytes, policy->hosts[i].macs[j].bytes, DIAGRAM_TRUE};
  struct diagram_field field = space_field(desk->space, FIELD_SOURCE_MAC, 0);
  desk->macs = diagram_or(desk->store, desk->macs, diagram_boxes(desk->store, &field, 1, boxes, count, 0, NULL, NULL));
  for (unsigned i = 0; names_mac(desk, &desk->strange) && i <= count; i++) { /* there is one among so many */
    unsigned next = (unsigned)desk->strange.bytes[4] << 8 | desk->strange.bytes[5];
    next++;
    desk->strange.bytes[3] = (uint8_t)(desk->strange.bytes[3] + (next >> 16));
    desk->strange.bytes[4] = (uint8_t)(next >> 8);
    desk->strange.bytes[5] = (uint8_t)next;
  }
  return 0;
}

struct situation desk_situation(const struct zone_pair *pair, enum address_family family) {
  enum situation_path path = pair->from == ZONE_GATEWAY ? PATH_OUTPUT
                             : pair->to == ZONE_GATEWAY ? PATH_INPUT
                                                        : PATH_FORWARD;
  return (struct situation){.path = path, .family = family, .tracking = TRACKING_OPENS};
}

/* ---- ordinary packets ---- */

static diagram field_is(struct desk *desk, enum space_field field, uint8_t value) {
  struct diagram_field bits = space_field(desk->space, field, 0);
  return diagram_range(desk->store, &bits, &value, &value);
}

/* Bits that a box does not speak of, the code of an ICMP message among them. */
static bool is_left_out(void *context, unsigned variable) {
  static const enum space_field kept[] = {FIELD_PROTOCOL, FIELD_DESTINATION, FIELD_SOURCE, FIELD_DESTINATION_PORT,
                                          FIELD_SOURCE_MAC};
  const struct desk *desk = context;
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
    unsigned first = space_field_variable(desk->space, kept[i], 0);
    if (variable >= first && variable < first + space_field_width(kept[i]))
      return false;
  }
  unsigned type = space_field_variable(desk->space, FIELD_SOURCE_PORT, 0);
  return variable < type || variable >= type + 8;
}

static bool is_mac(void *context, unsigned variable) {
  const struct desk *desk = context;
  unsigned first = space_field_variable(desk->space, FIELD_SOURCE_MAC, 0);
  return variable >= first && variable < first + space_field_width(FIELD_SOURCE_MAC);
}

static diagram protocol_is(struct desk *desk, uint8_t protocol) {
  return field_is(desk, FIELD_PROTOCOL, protocol);
}

diagram desk_ordinary(struct desk *desk, diagram set) {
  static const struct {
    enum space_field field;
    uint8_t value;
  } ordinary[] = {{FIELD_TRANSPORT_READABLE, 1}, {FIELD_HAS_FRAGMENT, 0}, {FIELD_HAS_ROUTING, 0},
                  {FIELD_HAS_HOP_BY_HOP, 0},     {FIELD_HOP_LIMIT, 64},   {FIELD_VERSION_LENGTH, 0x45},
                  {FIELD_TCP_FLAGS, TCP_SYN}};
  diagram form = DIAGRAM_TRUE;
  for (size_t i = 0; i < sizeof ordinary / sizeof *ordinary; i++)
    form = diagram_and(desk->store, field_is(desk, ordinary[i].field, ordinary[i].value), form);
  return desk_trust(desk, diagram_exists(desk->store, diagram_and(desk->store, set, form), is_left_out, desk));
}

diagram desk_passes(struct desk *desk, struct authorised *authorised, const struct zone_pair *pair,
                    enum address_family family) {
  struct situation situation = desk_situation(pair, family);
  return desk_ordinary(desk, authorised_packets(authorised, pair, &situation));
}

/* ---- boxes ---- */

/* What the boxes of one cover have in common. */
struct shelf {
  struct desk *desk;
  struct box_list *list;
  const struct policy *policy;
  struct exact_box template;
  enum address_family family;
  const enum space_field *fields; /* of the cover, in order */
  size_t field_count;
  bool failed;
};

static struct address address_at(enum address_family family, const uint8_t *bytes) {
  struct address address = {.family = family};
  memcpy(address.bytes, bytes, address_length(family));
  return address;
}

/* An address of a host (not that of its network) in the range; false: it has none there. */
static bool address_of_host(const struct host *host, const struct address_range *range, struct address *ret_address) {
  for (size_t i = 0; i < host->address_count; i++) {
    struct address address = host->addresses[i].range.first, next;
    if (range_size(&host->addresses[i].range) > 2 && address_next(&address, &next) && range_contains(range, &next))
      address = next;
    if (range_contains(range, &address)) {
      *ret_address = address;
      return true;
    }
  }
  return false;
}

/* An address of the range that reads well: a host's of the flow, any host's, else the first behind the network's. */
static struct address example_address(const struct policy *policy, const struct flow *flow, bool source,
                                      const struct address_range *range) {
  enum { FEW = 10000 };
  const struct endpoint *ends = flow == NULL ? NULL : source ? flow->from : flow->to;
  size_t count = flow == NULL ? 0 : source ? flow->from_count : flow->to_count;
  struct address found;
  for (size_t i = 0; i < count; i++)
    if (ends[i].kind == ENDPOINT_HOST && ends[i].host != NULL && address_of_host(ends[i].host, range, &found))
      return found;
  for (size_t i = 0; i < policy->host_count && policy->host_count < FEW; i++)
    if (address_of_host(&policy->hosts[i], range, &found))
      return found;
  if (address_next(&range->first, &found) && range_contains(range, &found))
    return found;
  return range->first;
}

/* Nobody writes to himself. */
static struct address another(const struct address_range *range, const struct address *than,
                              const struct address *wish) {
  struct address other;
  if (!address_equal(wish, than))
    return *wish;
  if (address_next(wish, &other) && range_contains(range, &other))
    return other;
  return address_previous(wish, &other) && range_contains(range, &other) ? other : *wish;
}

static uint16_t within(uint16_t wish, uint16_t first, uint16_t last) {
  return wish >= first && wish <= last ? wish : first;
}

static void add_example(const struct shelf *shelf, struct exact_box *box) {
  struct packet *packet = &box->example;
  *packet = (struct packet){.source = example_address(shelf->policy, box->flow, true, &box->source),
                            .destination = example_address(shelf->policy, box->flow, false, &box->destination),
                            .protocol = box->first_protocol};
  packet->destination = another(&box->destination, &packet->source, &packet->destination);
  if (packet->protocol == PROTOCOL_TCP || packet->protocol == PROTOCOL_UDP) {
    packet->source_port = CLIENT_PORT;
    packet->destination_port = within(443, box->first_port, box->last_port);
    packet->tcp_flags = packet->protocol == PROTOCOL_TCP ? TCP_SYN : 0;
  }
  if (packet->protocol == PROTOCOL_ICMP || packet->protocol == PROTOCOL_ICMPV6)
    packet->icmp_type = (uint8_t)within(shelf->family == FAMILY_IPV4 ? ECHO4 : ECHO6, box->first_port, box->last_port);
  packet->has_source_mac = box->has_mac || box->other_macs;
  if (packet->has_source_mac)
    packet->source_mac = box->has_mac ? box->mac : shelf->desk->strange;
}

static void add_box(struct shelf *shelf, struct exact_box *box) {
  struct box_list *list = shelf->list;
  if (list->count == EXACT_BOX_LIMIT) {
    list->more = true;
    return;
  }
  if (arena_grow(shelf->desk->arena, (void **)&list->boxes, list->count, &list->capacity, sizeof *list->boxes) < 0) {
    shelf->failed = true;
    return;
  }
  add_example(shelf, box);
  list->boxes[list->count++] = *box;
}

static bool next_mac(struct mac *mac) {
  for (size_t i = sizeof mac->bytes; i-- > 0;)
    if (++mac->bytes[i] != 0)
      return true;
  return false;
}

/* A range of MACs in the set has only such as are named: one box for each. */
static void add_for_macs(struct shelf *shelf, struct exact_box *box, const uint8_t *first, const uint8_t *last) {
  struct mac end;
  memcpy(box->mac.bytes, first, sizeof box->mac.bytes);
  memcpy(end.bytes, last, sizeof end.bytes);
  box->has_mac = true;
  for (;;) {
    add_box(shelf, box);
    if (mac_equal(&box->mac, &end) || shelf->list->more || shelf->failed || !next_mac(&box->mac))
      return;
  }
}

/* diagram_cover() tells a box: the bytes of its fields one after another. */
static void take_box(void *context, const uint8_t *first, const uint8_t *last) {
  struct shelf *shelf = context;
  struct exact_box box = shelf->template;
  const uint8_t *first_mac = NULL, *last_mac = NULL;
  for (size_t i = 0; i < shelf->field_count; i++) {
    size_t length = 1;
    switch (shelf->fields[i]) {
    case FIELD_PROTOCOL:
      box.first_protocol = first[0];
      box.last_protocol = last[0];
      break;
    case FIELD_DESTINATION:
    case FIELD_SOURCE: {
      struct address_range *range = shelf->fields[i] == FIELD_SOURCE ? &box.source : &box.destination;
      *range = (struct address_range){address_at(shelf->family, first), address_at(shelf->family, last)};
      length = address_length(shelf->family);
      break;
    }
    case FIELD_DESTINATION_PORT:
      box.first_port = (uint16_t)(first[0] << 8 | first[1]);
      box.last_port = (uint16_t)(last[0] << 8 | last[1]);
      length = 2;
      break;
    case FIELD_SOURCE_PORT: /* its upper half: the ICMP type */
      box.first_port = first[0];
      box.last_port = last[0];
      break;
    default: /* FIELD_SOURCE_MAC, always the last */
      first_mac = first;
      last_mac = last;
    }
    first += length;
    last += length;
  }
  if (first_mac != NULL)
    add_for_macs(shelf, &box, first_mac, last_mac);
  else
    add_box(shelf, &box);
}

static void cover(struct shelf *shelf, diagram set, const enum space_field *fields, size_t count) {
  struct diagram_field bits[5];
  for (size_t i = 0; i < count; i++) {
    bool address = fields[i] == FIELD_DESTINATION || fields[i] == FIELD_SOURCE;
    unsigned width = address ? (unsigned)address_length(shelf->family) * 8 : fields[i] == FIELD_SOURCE_PORT ? 8 : 0;
    bits[i] = space_field(shelf->desk->space, fields[i], width);
  }
  shelf->fields = fields;
  shelf->field_count = count;
  bool more = false;
  if (set != DIAGRAM_FALSE && desk_trust(shelf->desk, set) != DIAGRAM_NONE && !shelf->list->more)
    diagram_cover(shelf->desk->store, set, bits, count, EXACT_BOX_LIMIT - shelf->list->count + 1, take_box, shelf,
                  &more);
  shelf->fields = NULL;
  shelf->list->more = shelf->list->more || more;
}

static bool is_protocol(void *context, unsigned variable) {
  const struct desk *desk = context;
  unsigned first = space_field_variable(desk->space, FIELD_PROTOCOL, 0);
  return variable >= first && variable < first + 8;
}

/* One of the protocols that have something of their own beside the addresses. */
static void cover_protocol(struct shelf *shelf, diagram set, uint8_t protocol, enum space_field own, bool with_mac) {
  const enum space_field fields[] = {FIELD_DESTINATION, FIELD_SOURCE, own, FIELD_SOURCE_MAC};
  struct diagram_store *store = shelf->desk->store;
  diagram part = diagram_and(store, set, protocol_is(shelf->desk, protocol));
  part = diagram_exists(store, part, is_protocol, shelf->desk);
  shelf->template.first_protocol = shelf->template.last_protocol = protocol;
  cover(shelf, part, fields, with_mac ? 4 : 3);
}

static void cover_protocols(struct shelf *shelf, diagram set, bool with_mac) {
  static const enum space_field fields[] = {FIELD_PROTOCOL, FIELD_DESTINATION, FIELD_SOURCE, FIELD_SOURCE_MAC};
  struct desk *desk = shelf->desk;
  uint8_t icmp = shelf->family == FAMILY_IPV4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6;
  if (set == DIAGRAM_FALSE || desk_trust(desk, set) == DIAGRAM_NONE)
    return;
  cover_protocol(shelf, set, PROTOCOL_TCP, FIELD_DESTINATION_PORT, with_mac);
  cover_protocol(shelf, set, PROTOCOL_UDP, FIELD_DESTINATION_PORT, with_mac);
  cover_protocol(shelf, set, icmp, FIELD_SOURCE_PORT, with_mac);
  const uint8_t had[] = {PROTOCOL_TCP, PROTOCOL_UDP, icmp};
  for (size_t i = 0; i < sizeof had; i++)
    set = diagram_difference(desk->store, set, protocol_is(desk, had[i]));
  shelf->template.first_port = 0;
  shelf->template.last_port = UINT16_MAX;
  cover(shelf, set, fields, with_mac ? 4 : 3);
}

static diagram from_strangers(struct desk *desk, diagram set) {
  struct diagram_field bits = space_field(desk->space, FIELD_SOURCE_MAC, 0);
  diagram strange = diagram_range(desk->store, &bits, desk->strange.bytes, desk->strange.bytes);
  return diagram_exists(desk->store, diagram_and(desk->store, set, strange), is_mac, desk);
}

/* By MAC: of any; of any but those that the sender is pinned to; of these. */
static void cover_macs(struct shelf *shelf, diagram set) {
  struct desk *desk = shelf->desk;
  struct diagram_store *store = desk->store;
  diagram any = desk->macs == DIAGRAM_FALSE ? set : diagram_for_all(store, set, is_mac, desk);
  cover_protocols(shelf, any, false);
  diagram rest = diagram_difference(store, set, any), strange = from_strangers(desk, rest);
  shelf->template.other_macs = true;
  cover_protocols(shelf, strange, false);
  shelf->template.other_macs = false;
  cover_protocols(shelf, diagram_and(store, diagram_difference(store, rest, strange), desk->macs), true);
}

/* ---- flow by flow ---- */

static uint32_t first_flow(void *context, uint32_t leaf) {
  struct flow_list list = authorised_flows(context, leaf);
  return list.count != 0 ? (uint32_t)list.flows[0]->index + 1 : 0;
}

struct leaf_list {
  struct arena *arena;
  uint32_t *leaves;
  size_t count, capacity;
  bool more, failed;
};

static bool note_leaf(void *context, uint32_t value) {
  struct leaf_list *list = context;
  if (value == 0)
    return true;
  list->more = list->count == EXACT_BOX_LIMIT;
  if (list->more)
    return false;
  list->failed = arena_grow(list->arena, (void **)&list->leaves, list->count, &list->capacity, sizeof(uint32_t)) < 0;
  if (!list->failed)
    list->leaves[list->count++] = value;
  return !list->failed;
}

static int compare_leaves(const void *left, const void *right) {
  uint32_t one = *(const uint32_t *)left, other = *(const uint32_t *)right;
  return one < other ? -1 : one > other;
}

static int cover_flows(struct shelf *shelf, struct authorised *authorised, const struct zone_pair *pair, diagram set) {
  struct desk *desk = shelf->desk;
  struct diagram_store *store = desk->store;
  diagram openers = authorised_openers(authorised, pair, shelf->family, true);
  diagram readable = diagram_variable(store, space_field_variable(desk->space, FIELD_TRANSPORT_READABLE, 0));
  diagram here = diagram_choose(store, diagram_and(store, set, readable), openers, DIAGRAM_FALSE);
  diagram first = desk_trust(desk, diagram_map(store, diagram_operation(store), first_flow, authorised, here));
  struct leaf_list leaves = {.arena = desk->scratch};
  if (first == DIAGRAM_NONE)
    return 0;
  diagram_leaves(store, first, note_leaf, &leaves);
  if (leaves.failed)
    return -ENOMEM;
  if (leaves.count != 0)
    qsort(leaves.leaves, leaves.count, sizeof *leaves.leaves, compare_leaves);
  for (size_t i = 0; i < leaves.count && !shelf->list->more; i++) {
    shelf->template.flow = &shelf->policy->flows[leaves.leaves[i] - 1];
    diagram part = diagram_where(store, first, leaves.leaves[i]);
    cover_macs(shelf, diagram_exists(store, part, is_left_out, desk));
  }
  shelf->list->more = shelf->list->more || leaves.more;
  return 0;
}

int desk_list_boxes(struct desk *desk, struct authorised *authorised, const struct policy *policy,
                    const struct zone_pair *pair, enum address_family family, diagram set, struct box_list *list) {
  struct shelf shelf = {.desk = desk, .list = list, .policy = policy, .family = family};
  int result = 0;
  shelf.template.from = pair->from;
  shelf.template.to = pair->to;
  if (set == DIAGRAM_FALSE || desk_trust(desk, set) == DIAGRAM_NONE)
    return 0;
  if (pair->from == pair->to)
    cover_macs(&shelf, set);
  else
    result = cover_flows(&shelf, authorised, pair, set);
  return shelf.failed ? -ENOMEM : result;
}
