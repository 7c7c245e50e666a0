/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>

#include "control/plan_parts.h"
#include "policy/packet.h"

/*
 * A flow covers one product: sources x destinations x services. One product without another is three:
 *
 *   (A - a) x B x C,   (A & a) x (B - b) x C,   (A & a) x (B & b) x (C - c)
 */

struct services {
  struct plan_service *items; /* sorted, disjoint, never adjacent */
  size_t count;
};

/* ---- services ---- */

static uint32_t first_key(const struct plan_service *service) {
  return (uint32_t)service->protocol << 16 | service->first;
}

static uint32_t last_key(const struct plan_service *service) {
  return (uint32_t)service->protocol << 16 | service->last;
}

static int compare_services(const void *left, const void *right) {
  uint32_t a = first_key(left), b = first_key(right);
  return (a > b) - (a < b);
}

static struct plan_service service_of(const struct service *service) {
  bool icmp = service->protocol == PROTOCOL_ICMP || service->protocol == PROTOCOL_ICMPV6;
  return (struct plan_service){.protocol = service->protocol,
                               .first = icmp ? service->icmp_type : service->first_port,
                               .last = icmp ? service->icmp_type : service->last_port};
}

static bool touch(const struct plan_service *left, const struct plan_service *right) {
  return left->protocol == right->protocol && right->first <= (uint32_t)left->last + 1;
}

static int make_services(const struct flow *flow, struct arena *arena, struct services *ret_services) {
  struct services services = {.items = ARENA_ARRAY(arena, flow->service_count + 1, struct plan_service)};
  if (!services.items) {
    return -ENOMEM;
  }
  for (size_t i = 0; i < flow->service_count; i++) {
    services.items[i] = service_of(&flow->services[i]);
  }
  qsort(services.items, flow->service_count, sizeof *services.items, compare_services);
  for (size_t i = 0; i < flow->service_count; i++) {
    struct plan_service *last = services.count > 0 ? &services.items[services.count - 1] : NULL;
    if (last && touch(last, &services.items[i])) {
      last->last = services.items[i].last > last->last ? services.items[i].last : last->last;
    } else {
      services.items[services.count++] = services.items[i];
    }
  }
  *ret_services = services;
  return 0;
}

static void add_part(struct services *services, uint32_t first, uint32_t last) {
  services->items[services->count++] =
      (struct plan_service){.protocol = (uint8_t)(first >> 16), .first = (uint16_t)first, .last = (uint16_t)last};
}

/* left without right. Ranges never cross from one protocol into the next. */
static int subtract_services(const struct services *left, const struct services *right, struct arena *arena,
                             struct services *ret_services) {
  struct services result = {.items = ARENA_ARRAY(arena, left->count + right->count + 1, struct plan_service)};
  if (!result.items) {
    return -ENOMEM;
  }
  for (size_t i = 0; i < left->count; i++) {
    uint64_t next = first_key(&left->items[i]), end = (uint64_t)last_key(&left->items[i]) + 1;
    for (size_t j = 0; j < right->count && first_key(&right->items[j]) < end; j++) {
      uint64_t from = first_key(&right->items[j]), to = (uint64_t)last_key(&right->items[j]) + 1;
      if (from > next) {
        add_part(&result, (uint32_t)next, (uint32_t)(from - 1));
      }
      next = to > next ? to : next;
    }
    if (next < end) {
      add_part(&result, (uint32_t)next, (uint32_t)(end - 1));
    }
  }
  *ret_services = result;
  return 0;
}

/* ---- products ---- */

struct product {
  struct address_set source, destination;
  struct services services;
};

static int make_product(const struct policy *policy, const struct flow *flow, struct arena *arena,
                        struct product *ret_product) {
  int result = policy_end_addresses(policy, flow->from, flow->from_count, flow->to_zone, arena, &ret_product->source);
  if (result == 0) {
    result = policy_end_addresses(policy, flow->to, flow->to_count, flow->from_zone, arena, &ret_product->destination);
  }
  return result == 0 ? make_services(flow, arena, &ret_product->services) : result;
}

static void add_box(struct plan_box *boxes, size_t *count, const struct address_set *source,
                    const struct address_set *destination, const struct services *services) {
  if (source->count > 0 && destination->count > 0 && services->count > 0) {
    boxes[(*count)++] = (struct plan_box){
        .source = *source, .destination = *destination, .services = services->items, .service_count = services->count};
  }
}

static int subtract(const struct product *all, const struct product *taken, struct arena *arena,
                    struct plan_box boxes[static PLAN_BOX_LIMIT], size_t *ret_count) {
  struct address_set sources, common_sources, destinations, common_destinations;
  struct services services;
  size_t count = 0;
  if (address_set_subtract(arena, &all->source, &taken->source, &sources) < 0 ||
      address_set_intersect(arena, &all->source, &taken->source, &common_sources) < 0 ||
      address_set_subtract(arena, &all->destination, &taken->destination, &destinations) < 0 ||
      address_set_intersect(arena, &all->destination, &taken->destination, &common_destinations) < 0 ||
      subtract_services(&all->services, &taken->services, arena, &services) < 0) {
    return -ENOMEM;
  }
  add_box(boxes, &count, &sources, &all->destination, &all->services);
  add_box(boxes, &count, &common_sources, &destinations, &all->services);
  add_box(boxes, &count, &common_sources, &common_destinations, &services);
  *ret_count = count;
  return 0;
}

int plan_flow_subtract(const struct policy *policy, const struct flow *flow, const struct policy *other_policy,
                       const struct flow *other, struct arena *arena, struct plan_box ret_boxes[static PLAN_BOX_LIMIT],
                       size_t *ret_count) {
  struct product all, taken = {0};
  int result = make_product(policy, flow, arena, &all);
  if (result == 0 && other) {
    result = make_product(other_policy, other, arena, &taken);
  }
  return result == 0 ? subtract(&all, &taken, arena, ret_boxes, ret_count) : result;
}
