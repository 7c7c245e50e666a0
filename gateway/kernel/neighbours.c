/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/neighbours.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include "kernel/netlink.h"
#include "kernel/nftables_attributes.h"

enum { REQUEST_ROOM = 256, OUR_PROTOCOL = 75 };

/* ---- what is wanted ---- */

struct plan {
  struct arena *arena;
  struct neighbour *items;
  size_t count, capacity;
};

static bool same_network(const struct topology_address *attached, const struct address *address) {
  if (attached->address.family != address->family) {
    return false;
  }
  for (int bit = 0; bit < attached->prefix_length; bit++) {
    uint8_t mask = (uint8_t)(0x80U >> bit % 8);
    if (((attached->address.bytes[bit / 8] ^ address->bytes[bit / 8]) & mask) != 0) {
      return false;
    }
  }
  return true;
}

static bool interface_has_zone(const struct policy *policy, const struct topology *topology, unsigned index,
                               zone_index zone) {
  for (size_t i = 0; i < topology->interface_count; i++) {
    if (topology->interfaces[i].index == index) {
      return policy_zone_of_interface(policy, topology->interfaces[i].name) == zone;
    }
  }
  return false;
}

static int plan_address(struct plan *plan, const struct policy *policy, const struct topology *topology,
                        const struct host *host, const struct address *address) {
  for (size_t i = 0; i < topology->address_count; i++) {
    const struct topology_address *attached = &topology->addresses[i];
    if (!same_network(attached, address) || !interface_has_zone(policy, topology, attached->interface, host->zone)) {
      continue;
    }
    if (arena_grow(plan->arena, (void **)&plan->items, plan->count, &plan->capacity, sizeof(*plan->items)) < 0) {
      return -ENOMEM;
    }
    plan->items[plan->count++] =
        (struct neighbour){.interface = attached->interface, .address = *address, .mac = host->macs[0]};
    return 0;
  }
  return 0;
}

static int plan_host(struct plan *plan, const struct policy *policy, const struct topology *topology,
                     const struct host *host) {
  int result = 0;
  for (size_t i = 0; result == 0 && i < host->address_count; i++) {
    const struct address_range *range = &host->addresses[i].range;
    if (address_compare(&range->first, &range->last) == 0) {
      result = plan_address(plan, policy, topology, host, &range->first);
    }
  }
  return result;
}

int neighbours_plan(const struct policy *policy, const struct topology *topology, struct arena *arena,
                    struct neighbour **ret_neighbours, size_t *ret_count) {
  struct plan plan = {.arena = arena};
  int result = 0;
  for (size_t i = 0; result == 0 && i < policy->host_count; i++) {
    const struct host *host = &policy->hosts[i];
    if (host->mac_count == 1 && host->mac_scope == MAC_SCOPE_DIRECT) {
      result = plan_host(&plan, policy, topology, host);
    }
  }
  if (result == 0) {
    *ret_neighbours = plan.items;
    *ret_count = plan.count;
  }
  return result;
}

/* ---- what is there ---- */

static bool read_entry(const struct nlmsghdr *message, struct neighbour *ret_neighbour) {
  const struct ndmsg *header = mnl_nlmsg_get_payload(message);
  if (message->nlmsg_type != RTM_NEWNEIGH || message->nlmsg_len < NLMSG_HDRLEN + sizeof(*header)) {
    return false;
  }
  struct attributes attributes;
  attributes_split_message(message, sizeof(*header), UINT32_MAX, &attributes);
  struct neighbour neighbour = {.interface = (unsigned)header->ndm_ifindex};
  neighbour.address.family = header->ndm_family == AF_INET    ? FAMILY_IPV4
                             : header->ndm_family == AF_INET6 ? FAMILY_IPV6
                                                              : FAMILY_NONE;
  const void *address = NULL, *mac = NULL;
  size_t address_size = 0, mac_size = 0;
  if (attributes_u8(&attributes, NDA_PROTOCOL, 0) != OUR_PROTOCOL || (header->ndm_state & NUD_PERMANENT) == 0 ||
      !attributes_bytes(&attributes, NDA_DST, &address, &address_size) || address_size == 0 ||
      address_size != address_length(neighbour.address.family) ||
      !attributes_bytes(&attributes, NDA_LLADDR, &mac, &mac_size) || mac_size != sizeof(neighbour.mac.bytes)) {
    return false;
  }
  memcpy(neighbour.address.bytes, address, address_size);
  memcpy(neighbour.mac.bytes, mac, mac_size);
  *ret_neighbour = neighbour;
  return true;
}

static int read_entries(struct netlink *netlink, struct plan *held, struct error *error) {
  _Alignas(struct nlmsghdr) char buffer[REQUEST_ROOM] = {0};
  struct netlink_answer answer = {0};
  struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
  request->nlmsg_type = RTM_GETNEIGH;
  request->nlmsg_flags = NLM_F_DUMP;
  mnl_nlmsg_put_extra_header(request, sizeof(struct ndmsg));
  int result = netlink_request(netlink, request, -1, &answer, error);
  size_t position = 0;
  while (result == 0 && answer.length - position >= NLMSG_HDRLEN) {
    const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)(answer.data + position);
    size_t step = netlink_align(message->nlmsg_len);
    struct neighbour neighbour;
    if (message->nlmsg_len < NLMSG_HDRLEN || step > answer.length - position) {
      result = error_set(error, EBADMSG, "the neighbour table cannot be read");
    } else if (read_entry(message, &neighbour)) {
      if (arena_grow(held->arena, (void **)&held->items, held->count, &held->capacity, sizeof(*held->items)) < 0) {
        result = error_set(error, ENOMEM, "no memory for the neighbour table");
      } else {
        held->items[held->count++] = neighbour;
      }
    }
    position += step;
  }
  netlink_answer_free(&answer);
  return result;
}

/* ---- changing it ---- */

static int change(struct netlink *netlink, bool add, const struct neighbour *neighbour, struct error *error) {
  _Alignas(struct nlmsghdr) char buffer[REQUEST_ROOM] = {0};
  struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
  request->nlmsg_type = add ? RTM_NEWNEIGH : RTM_DELNEIGH;
  request->nlmsg_flags = (uint16_t)(NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_REPLACE : 0));
  struct ndmsg *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
  header->ndm_family = neighbour->address.family == FAMILY_IPV6 ? AF_INET6 : AF_INET;
  header->ndm_ifindex = (int)neighbour->interface;
  header->ndm_state = NUD_PERMANENT;
  mnl_attr_put(request, NDA_DST, address_length(neighbour->address.family), neighbour->address.bytes);
  if (add) {
    mnl_attr_put(request, NDA_LLADDR, sizeof(neighbour->mac.bytes), neighbour->mac.bytes);
    mnl_attr_put_u8(request, NDA_PROTOCOL, OUR_PROTOCOL);
  }
  struct netlink_answer ignored = {0};
  int result = netlink_request(netlink, request, -1, &ignored, error);
  netlink_answer_free(&ignored);
  return result;
}

static int compare_places(const void *left, const void *right) {
  const struct neighbour *one = left, *other = right;
  if (one->interface != other->interface) {
    return one->interface < other->interface ? -1 : 1;
  }
  return address_compare(&one->address, &other->address);
}

/* Both sorted; what is in one of them only, or differs, is changed. */
static int bring(struct netlink *netlink, const struct plan *wanted, const struct plan *held, struct error *error) {
  int result = 0;
  size_t i = 0, j = 0;
  while (i < wanted->count || j < held->count) {
    int order = i == wanted->count ? 1 : j == held->count ? -1 : compare_places(&wanted->items[i], &held->items[j]);
    struct error ignored = {0};
    if (order > 0) {
      change(netlink, false, &held->items[j], &ignored); /* it may have gone with its interface */
    } else if (order < 0 || memcmp(&wanted->items[i].mac, &held->items[j].mac, sizeof(struct mac)) != 0) {
      int status = change(netlink, true, &wanted->items[i], error);
      result = status < 0 ? status : result;
    }
    i += order <= 0;
    j += order >= 0;
  }
  return result;
}

static void sort(struct plan *plan) {
  if (plan->count > 1) {
    qsort(plan->items, plan->count, sizeof(*plan->items), compare_places);
  }
}

int neighbours_bring(const struct neighbour *neighbours, size_t count, struct error *error) {
  struct arena *arena = arena_new(0);
  struct plan held = {.arena = arena}, wanted = {.arena = arena, .count = count};
  struct netlink *netlink = NULL;
  int result = arena != NULL ? netlink_open(NETLINK_ROUTE, &netlink, error) : error_set(error, ENOMEM, "no memory");
  if (result == 0) {
    result = read_entries(netlink, &held, error);
  }
  if (result == 0 && count > 0) {
    wanted.items = arena_memdup(arena, neighbours, count * sizeof(*neighbours));
    result = wanted.items != NULL ? 0 : error_set(error, ENOMEM, "no memory for the neighbour table");
  }
  if (result == 0) {
    sort(&wanted);
    sort(&held);
    result = bring(netlink, &wanted, &held, error);
  }
  netlink_close(netlink);
  arena_free(arena);
  return result;
}
