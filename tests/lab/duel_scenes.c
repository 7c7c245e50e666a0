/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The packets that a flow, or a pair of zones, gives to compare. */
#include "duel_parts.h"

#include <stdlib.h>

enum { EDGES_MAX = 64 };

struct edges {
  struct address items[EDGES_MAX];
  size_t count;
};

static void add_edge(struct edges *edges, const struct address *address) {
  for (size_t i = 0; i < edges->count; i++)
    if (address_equal(&edges->items[i], address))
      return;
  if (edges->count < EDGES_MAX)
    edges->items[edges->count++] = *address;
}

/* The first address that a station can have: not that of the network, not the gateway's. */
static struct address usable(const struct duel_field *field, const struct address_range *range, bool from_end) {
  struct address address = from_end ? range->last : range->first;
  for (int i = 0; i < 4; i++) {
    enum lab_route_kind kind = lab_route(field->lab, &address).kind;
    struct address next;
    bool network_address = !range_equal(&(struct address_range){address, address}, range) && i == 0;
    if (kind != LAB_ROUTE_BROADCAST && kind != LAB_ROUTE_LOCAL && !network_address)
      return address;
    if (!(from_end ? address_previous : address_next)(&address, &next) || !range_contains(range, &next))
      return address;
    address = next;
  }
  return address;
}

/* Within: addresses that the end covers. Beside: the neighbours just outside. */
static void end_edges(const struct duel_field *field, const struct endpoint *ends, size_t count, zone_index peer,
                      enum address_family family, struct edges *within, struct edges *beside) {
  for (size_t i = 0; i < count; i++) {
    const struct endpoint *end = &ends[i];
    if (end->kind == ENDPOINT_GATEWAY) {
      int interface = duel_zone_interface(field, peer);
      const struct lab_interface *own = interface >= 0 ? lab_interface(field->lab, (size_t)interface) : NULL;
      if (own != NULL && family == FAMILY_IPV4 && own->has_ipv4)
        add_edge(within, &own->ipv4);
      if (own != NULL && family == FAMILY_IPV6 && own->has_ipv6)
        add_edge(within, &own->ipv6);
      continue;
    }
    const struct placed_range *ranges = end->kind == ENDPOINT_HOST ? end->host->addresses : NULL;
    size_t range_count = end->kind == ENDPOINT_HOST ? end->host->address_count : 0;
    if (end->kind == ENDPOINT_ZONE) {
      ranges = field->policy->zones[end->zone].networks;
      range_count = field->policy->zones[end->zone].network_count;
    }
    for (size_t j = 0; j < range_count; j++) {
      if (ranges[j].range.first.family != family)
        continue;
      struct address first = usable(field, &ranges[j].range, false), last = usable(field, &ranges[j].range, true), next;
      add_edge(within, &first);
      add_edge(within, &last);
      if (address_previous(&ranges[j].range.first, &next))
        add_edge(beside, &next);
      if (address_next(&ranges[j].range.last, &next))
        add_edge(beside, &next);
    }
  }
}

static unsigned next_number(const struct duel_list *list) {
  return (unsigned)list->count;
}

struct flow_walk {
  const struct duel_field *field;
  const struct flow *flow;
  struct duel_list *list;
  struct edges from, to, beside_from, beside_to;
};

static int source_interface(const struct duel_field *field, zone_index zone, const struct address *source) {
  if (zone == ZONE_GATEWAY)
    return LAB_GATEWAY;
  int interface = lab_interface_of(field->lab, source);
  if (interface >= 0 && duel_zone_of_interface(field, interface) == zone)
    return interface;
  return duel_zone_interface(field, zone);
}

/* The gateway sends from its address on the way out. */
static struct address source_towards(const struct flow_walk *walk, const struct address *source,
                                     const struct address *destination) {
  if (walk->flow->from_zone != ZONE_GATEWAY)
    return *source;
  struct lab_route route = lab_route(walk->field->lab, destination);
  if (route.interface < 0)
    return *source;
  const struct lab_interface *own = lab_interface(walk->field->lab, (size_t)route.interface);
  return destination->family == FAMILY_IPV6 ? own->ipv6 : own->ipv4;
}

static uint16_t service_port(const struct service *service, bool last) {
  if (service->protocol == PROTOCOL_ICMP || service->protocol == PROTOCOL_ICMPV6)
    return service->icmp_type;
  return last ? service->last_port : service->first_port;
}

static struct duel *add_packet(const struct flow_walk *walk, const struct address *source,
                               const struct address *destination, uint8_t protocol, uint16_t port, const char *what) {
  unsigned number = next_number(walk->list);
  struct duel *duel = duel_add(walk->list, "%s %s", walk->flow->name, what);
  if (duel == NULL)
    return NULL;
  struct address from = source_towards(walk, source, destination);
  int interface = source_interface(walk->field, walk->flow->from_zone, &from);
  if (interface < 0 && walk->flow->from_zone != ZONE_GATEWAY)
    interface = 0;
  duel_set_packet(walk->field, duel, interface, &from, destination, protocol, port, number);
  return duel;
}

/* Opener, answer, and for the first one also the errors about it. */
static void add_conversation(const struct flow_walk *walk, const struct service *service, const struct address *source,
                             const struct address *destination, uint16_t port) {
  if (add_packet(walk, source, destination, service->protocol, port, "opens") == NULL)
    return;
  (void)duel_add_answer(walk->field, walk->list, 1, "its answer");
  bool ipv6 = source->family == FAMILY_IPV6;
  (void)duel_add_error(walk->field, walk->list, 2, ipv6 ? 1 : 3, ipv6 ? 4 : 3, "port unreachable about it");
  (void)duel_add_error(walk->field, walk->list, 3, ipv6 ? 2 : 3, ipv6 ? 0 : 4, "packet too big about it");
}

/* The same service opened from the other side. */
static void add_reverse(const struct flow_walk *walk, const struct service *service, const struct address *source,
                        const struct address *destination, uint16_t port) {
  unsigned number = next_number(walk->list);
  struct duel *duel = duel_add(walk->list, "%s opened the wrong way", walk->flow->name);
  if (duel == NULL)
    return;
  int interface = walk->flow->to_zone == ZONE_GATEWAY ? LAB_GATEWAY
                                                      : source_interface(walk->field, walk->flow->to_zone, destination);
  duel_set_packet(walk->field, duel, interface, destination, source, service->protocol, port, number);
}

static void add_wrong_protocols(const struct flow_walk *walk, const struct service *service,
                                const struct address *source, const struct address *destination) {
  static const uint8_t protocols[] = {PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_ICMP, PROTOCOL_ICMPV6, 47, 50, 89, 132, 200};
  for (size_t i = 0; i < sizeof(protocols); i++) {
    uint16_t port = service->first_port;
    if (protocols[i] == PROTOCOL_ICMP)
      port = 8;
    if (protocols[i] == PROTOCOL_ICMPV6)
      port = 128;
    (void)add_packet(walk, source, destination, protocols[i], port, "with another protocol");
  }
}

static void add_wrong_wires(const struct flow_walk *walk, const struct service *service, const struct address *source,
                            const struct address *destination, uint16_t port) {
  for (size_t i = 0; walk->flow->from_zone != ZONE_GATEWAY && i < lab_interface_count(walk->field->lab); i++) {
    struct duel *duel = add_packet(walk, source, destination, service->protocol, port, "on another wire");
    if (duel != NULL)
      duel->probe.interface = (int)i;
  }
}

static void add_wrong_mac(const struct flow_walk *walk, const struct service *service, const struct address *source,
                          const struct address *destination, uint16_t port) {
  struct duel *duel = add_packet(walk, source, destination, service->protocol, port, "from another MAC");
  if (duel != NULL)
    duel->probe.recipe.source_mac.bytes[5] ^= 1;
}

static void add_near_ports(const struct flow_walk *walk, const struct service *service, const struct address *source,
                           const struct address *destination) {
  uint16_t first = service_port(service, false), last = service_port(service, true);
  if (service->protocol != PROTOCOL_ICMP && service->protocol != PROTOCOL_ICMPV6) {
    (void)add_packet(walk, source, destination, service->protocol, (uint16_t)(first - 1), "one port below");
    (void)add_packet(walk, source, destination, service->protocol, (uint16_t)(last + 1), "one port above");
  } else {
    (void)add_packet(walk, source, destination, service->protocol, (uint16_t)((first + 1) & 0xff), "another ICMP type");
  }
}

static void add_service(const struct flow_walk *walk, const struct service *service) {
  for (size_t i = 0; i < walk->from.count; i++)
    for (size_t j = 0; j < walk->to.count && j < 4; j++) {
      add_conversation(walk, service, &walk->from.items[i], &walk->to.items[j],
                       service_port(service, (i + j) % 2 == 1));
      add_reverse(walk, service, &walk->from.items[i], &walk->to.items[j], service_port(service, false));
    }
  if (walk->from.count == 0 || walk->to.count == 0)
    return;
  const struct address *source = &walk->from.items[0], *destination = &walk->to.items[0];
  uint16_t port = service_port(service, false);
  add_near_ports(walk, service, source, destination);
  add_wrong_protocols(walk, service, source, destination);
  add_wrong_wires(walk, service, source, destination, port);
  add_wrong_mac(walk, service, source, destination, port);
  for (size_t i = 0; i < walk->beside_from.count; i++)
    (void)add_packet(walk, &walk->beside_from.items[i], destination, service->protocol, port, "from beside its source");
  for (size_t i = 0; i < walk->beside_to.count; i++)
    (void)add_packet(walk, source, &walk->beside_to.items[i], service->protocol, port, "to beside its destination");
}

static bool service_fits(const struct service *service, enum address_family family) {
  return !(service->protocol == PROTOCOL_ICMP && family == FAMILY_IPV6) &&
         !(service->protocol == PROTOCOL_ICMPV6 && family == FAMILY_IPV4);
}

void duel_add_flow(const struct duel_field *field, const struct flow *flow, struct duel_list *list) {
  static const enum address_family families[] = {FAMILY_IPV4, FAMILY_IPV6};
  for (size_t i = 0; i < 2; i++) {
    struct flow_walk *walk = calloc(1, sizeof(*walk));
    if (walk == NULL)
      return;
    walk->field = field;
    walk->flow = flow;
    walk->list = list;
    end_edges(field, flow->from, flow->from_count, flow->to_zone, families[i], &walk->from, &walk->beside_from);
    end_edges(field, flow->to, flow->to_count, flow->from_zone, families[i], &walk->to, &walk->beside_to);
    for (size_t j = 0; j < flow->service_count; j++)
      if (service_fits(&flow->services[j], families[i]))
        add_service(walk, &flow->services[j]);
    free(walk);
  }
}

/* Some addresses of a zone: hosts, the middle of a network, remote ones. */
static void zone_samples(const struct duel_field *field, zone_index zone, enum address_family family,
                         struct edges *samples) {
  const struct policy *policy = field->policy;
  for (size_t i = 0; i < policy->host_count && samples->count < 2; i++)
    for (size_t j = 0; policy->hosts[i].zone == zone && j < policy->hosts[i].address_count; j++)
      if (policy->hosts[i].addresses[j].range.first.family == family) {
        struct address address = usable(field, &policy->hosts[i].addresses[j].range, false);
        add_edge(samples, &address);
      }
  const struct zone *model = &policy->zones[zone];
  for (size_t i = 0; i < model->network_count + model->remote_count; i++) {
    const struct address_range *range =
        i < model->network_count ? &model->networks[i].range : &model->remote[i - model->network_count].range;
    if (range->first.family != family)
      continue;
    struct address address = usable(field, range, true);
    add_edge(samples, &address);
  }
}

static void side_samples(const struct duel_field *field, zone_index zone, zone_index peer, enum address_family family,
                         struct edges *samples) {
  if (zone != ZONE_GATEWAY) {
    zone_samples(field, zone, family, samples);
    return;
  }
  int interface = peer >= 0 ? duel_zone_interface(field, peer) : -1;
  const struct lab_interface *own = interface >= 0 ? lab_interface(field->lab, (size_t)interface) : NULL;
  if (own != NULL && (family == FAMILY_IPV6 ? own->has_ipv6 : own->has_ipv4))
    add_edge(samples, family == FAMILY_IPV6 ? &own->ipv6 : &own->ipv4);
}

static void add_cell(const struct duel_field *field, zone_index from, zone_index to, enum address_family family,
                     struct duel_list *list) {
  static const struct {
    uint8_t protocol;
    uint16_t port;
  } kinds[] = {{PROTOCOL_TCP, 443}, {PROTOCOL_TCP, 22}, {PROTOCOL_UDP, 53}, {PROTOCOL_UDP, 123}, {0, 0}, {200, 0}};
  struct edges sources = {0}, destinations = {0};
  side_samples(field, from, to, family, &sources);
  side_samples(field, to, from, family, &destinations);
  for (size_t i = 0; i < sources.count; i++)
    for (size_t j = 0; j < destinations.count; j++)
      for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        bool ipv6 = family == FAMILY_IPV6;
        uint8_t echo = ipv6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP;
        int interface = source_interface(field, from, &sources.items[i]);
        unsigned number = next_number(list);
        if (interface < 0 && from != ZONE_GATEWAY)
          continue; /* an unrouted neighbour has no wire here */
        struct duel *duel = duel_add(list, "matrix %s to %s", policy_zone_name(field->policy, from),
                                     policy_zone_name(field->policy, to));
        if (duel != NULL)
          duel_set_packet(field, duel, interface, &sources.items[i], &destinations.items[j],
                          kinds[k].protocol != 0 ? kinds[k].protocol : echo,
                          kinds[k].protocol != 0 ? kinds[k].port : (ipv6 ? 128 : 8), number);
      }
}

void duel_add_matrix(const struct duel_field *field, struct duel_list *list) {
  int zones = (int)field->policy->zone_count;
  for (int from = ZONE_GATEWAY; from < zones; from++)
    for (int to = ZONE_GATEWAY; to < zones; to++) {
      if (from == ZONE_NONE || to == ZONE_NONE || (from == ZONE_GATEWAY && to == ZONE_GATEWAY))
        continue;
      add_cell(field, from, to, FAMILY_IPV4, list);
      add_cell(field, from, to, FAMILY_IPV6, list);
    }
}
