/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/plan_parts.h"

/* Zones, pinned hosts and the policy's own keys: what lets packets pass beside the flows. */

static void differ(struct plan_node *node, bool same, const char *key) {
  if (!same && node->key_count < sizeof node->keys / sizeof node->keys[0]) {
    node->keys[node->key_count++] = key;
  }
}

/* ---- lists, in whatever order ---- */

static int compare_texts(const void *left, const void *right) {
  return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static const char **sort_texts(const struct text *texts, size_t count, struct arena *arena) {
  const char **sorted = ARENA_ARRAY(arena, count + 1, const char *);
  for (size_t i = 0; sorted && i < count; i++) {
    sorted[i] = texts[i].text ? texts[i].text : "";
  }
  if (sorted) {
    qsort(sorted, count, sizeof *sorted, compare_texts);
  }
  return sorted;
}

static bool same_texts(const struct text *left, size_t left_count, const struct text *right, size_t right_count,
                       struct arena *arena) {
  if (left_count != right_count) {
    return false;
  }
  const char **a = sort_texts(left, left_count, arena), **b = sort_texts(right, right_count, arena);
  for (size_t i = 0; a && b && i < left_count; i++) {
    if (strcmp(a[i], b[i]) != 0) {
      return false;
    }
  }
  return a && b;
}

static int make_set(const struct placed_range *ranges, size_t count, struct arena *arena, struct address_set *ret_set) {
  struct address_range *plain = ARENA_ARRAY(arena, count + 1, struct address_range);
  for (size_t i = 0; plain && i < count; i++) {
    plain[i] = ranges[i].range;
  }
  return plain ? address_set_build(arena, plain, count, ret_set) : -ENOMEM;
}

static bool same_ranges(const struct placed_range *left, size_t left_count, const struct placed_range *right,
                        size_t right_count, struct arena *arena) {
  struct address_set a, b;
  if (make_set(left, left_count, arena, &a) < 0 || make_set(right, right_count, arena, &b) < 0 || a.count != b.count) {
    return false;
  }
  for (size_t i = 0; i < a.count; i++) {
    if (!range_equal(&a.ranges[i], &b.ranges[i])) {
      return false;
    }
  }
  return true;
}

static int compare_macs(const void *left, const void *right) {
  return memcmp(left, right, sizeof(struct mac));
}

static bool same_macs(const struct host *left, const struct host *right, struct arena *arena) {
  size_t size = left->mac_count * sizeof(struct mac);
  if (left->mac_count != right->mac_count) {
    return false;
  }
  if (size == 0) {
    return true;
  }
  struct mac *a = arena_memdup(arena, left->macs, size), *b = arena_memdup(arena, right->macs, size);
  if (!a || !b) {
    return false;
  }
  qsort(a, left->mac_count, sizeof *a, compare_macs);
  qsort(b, left->mac_count, sizeof *b, compare_macs);
  return memcmp(a, b, size) == 0;
}

/* ---- one node ---- */

static void compare_zone(struct plan_node *node, const struct zone *left, const struct zone *right,
                         struct arena *arena) {
  differ(node, left->class == right->class, "class");
  differ(node, same_texts(left->interfaces, left->interface_count, right->interfaces, right->interface_count, arena),
         "interfaces");
  differ(node, same_ranges(left->networks, left->network_count, right->networks, right->network_count, arena),
         "networks");
  differ(node, same_ranges(left->remote, left->remote_count, right->remote, right->remote_count, arena), "remote");
  differ(node, left->default_route == right->default_route, "default_route");
  differ(node, left->within == right->within, "within");
  differ(node, left->on_deny == right->on_deny, "on_deny");
}

static void compare_host(struct plan_node *node, const struct host *left, const struct host *right,
                         struct arena *arena) {
  differ(node, same_ranges(left->addresses, left->address_count, right->addresses, right->address_count, arena),
         "address");
  differ(node, same_macs(left, right, arena), "mac");
  differ(node, left->mac_scope == right->mac_scope, "mac_scope");
}

static void compare_header(struct plan_node *node, const struct policy_header *left, const struct policy_header *right,
                           struct arena *arena) {
  differ(node, left->model == right->model, "model");
  differ(node,
         strcmp(left->timezone_name ? left->timezone_name : "", right->timezone_name ? right->timezone_name : "") == 0,
         "timezone");
  differ(node,
         same_ranges(left->special_exempt, left->special_exempt_count, right->special_exempt,
                     right->special_exempt_count, arena),
         "special_exempt");
  differ(node, left->half_open_limit == right->half_open_limit, "half_open_limit");
}

/* ---- all of them ---- */

struct nodes {
  struct plan_node *items;
  size_t count;
  bool *equal;
};

static void add_node(struct nodes *nodes, const struct plan_node *node) {
  if (!node->before || !node->after || node->key_count > 0) {
    nodes->items[nodes->count++] = *node;
    *nodes->equal = false;
  }
}

static void compare_zones(const struct policy *before, const struct policy *after, struct arena *arena,
                          struct nodes *nodes) {
  for (size_t i = 0; after && i < after->zone_count; i++) {
    const struct zone *zone = &after->zones[i];
    zone_index other = before ? policy_find_zone(before, zone->name) : ZONE_NONE;
    struct plan_node node = {.name = zone->name, .before = other >= 0, .after = true};
    if (other >= 0) {
      compare_zone(&node, &before->zones[other], zone, arena);
    }
    add_node(nodes, &node);
  }
  for (size_t i = 0; before && i < before->zone_count; i++) {
    if (!after || policy_find_zone(after, before->zones[i].name) < 0) {
      add_node(nodes, &(struct plan_node){.name = before->zones[i].name, .before = true});
    }
  }
}

/* Hosts of one side by name: a policy may have very many. */
struct named_host {
  const struct host *host;
};

struct host_list {
  struct named_host *items;
  size_t count;
};

static int compare_host_names(const void *left, const void *right) {
  return strcmp(((const struct named_host *)left)->host->name, ((const struct named_host *)right)->host->name);
}

static int sort_hosts(const struct policy *policy, struct arena *arena, struct host_list *ret_list) {
  struct host_list list = {.count = policy ? policy->host_count : 0};
  list.items = ARENA_ARRAY(arena, list.count + 1, struct named_host);
  if (!list.items) {
    return -ENOMEM;
  }
  for (size_t i = 0; i < list.count; i++) {
    list.items[i].host = &policy->hosts[i];
  }
  qsort(list.items, list.count, sizeof *list.items, compare_host_names);
  *ret_list = list;
  return 0;
}

static const struct host *find_host(const struct host_list *list, const struct host *like) {
  struct named_host wanted = {like};
  const struct named_host *found = bsearch(&wanted, list->items, list->count, sizeof wanted, compare_host_names);
  return found ? found->host : NULL;
}

static int compare_hosts(const struct policy *before, const struct policy *after, struct arena *arena,
                         struct nodes *nodes) {
  struct host_list old, new;
  if (sort_hosts(before, arena, &old) < 0 || sort_hosts(after, arena, &new) < 0) {
    return -ENOMEM;
  }
  for (size_t i = 0; i < new.count; i++) {
    const struct host *host = new.items[i].host, *other = find_host(&old, host);
    struct plan_node node = {.name = host->name, .before = other != NULL, .after = true};
    if (other) {
      compare_host(&node, other, host, arena);
    }
    if (host->mac_count > 0 || (other && other->mac_count > 0)) {
      add_node(nodes, &node);
    }
  }
  for (size_t i = 0; i < old.count; i++) {
    const struct host *host = old.items[i].host;
    if (host->mac_count > 0 && !find_host(&new, host)) {
      add_node(nodes, &(struct plan_node){.name = host->name, .before = true});
    }
  }
  return 0;
}

static int make_nodes(struct nodes *nodes, size_t room, bool *equal, struct arena *arena) {
  *nodes = (struct nodes){.items = ARENA_ARRAY(arena, room + 1, struct plan_node), .equal = equal};
  return nodes->items ? 0 : -ENOMEM;
}

int plan_compare_nodes(const struct plan_question *question, struct arena *arena, struct plan *plan) {
  const struct policy *before = question->before.policy, *after = question->after.policy;
  struct nodes zones, hosts;
  size_t zone_room = (before ? before->zone_count : 0) + (after ? after->zone_count : 0);
  size_t host_room = (before ? before->host_count : 0) + (after ? after->host_count : 0);
  if (make_nodes(&zones, zone_room, &plan->equal, arena) < 0 ||
      make_nodes(&hosts, host_room, &plan->equal, arena) < 0) {
    return -ENOMEM;
  }
  compare_zones(before, after, arena, &zones);
  int result = compare_hosts(before, after, arena, &hosts);
  plan->header = (struct plan_node){.name = "policy", .before = before != NULL, .after = after != NULL};
  if (before && after) {
    compare_header(&plan->header, &before->header, &after->header, arena);
  }
  plan->equal = plan->equal && plan->header.key_count == 0 && (before != NULL) == (after != NULL);
  plan->zones = zones.items;
  plan->zone_count = zones.count;
  plan->hosts = hosts.items;
  plan->host_count = hosts.count;
  return result;
}

int plan_compare(const struct plan_question *question, struct arena *arena, struct plan *ret_plan) {
  const struct policy *before = question->before.policy, *after = question->after.policy;
  struct plan plan = {.equal = true};
  plan.same_text = before && after && strcmp(before->sha256, after->sha256) == 0;
  int result = plan_compare_flows(question, arena, &plan);
  if (result == 0) {
    result = plan_compare_nodes(question, arena, &plan);
  }
  if (result == 0) {
    *ret_plan = plan;
  }
  return result;
}
