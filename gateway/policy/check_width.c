/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "any" in its disguises (D05), ports that must not pass (D12, D16), and what is wider than it need be.
 *
 * An IPv4 prefix shorter than /8 counts as "any"; for IPv6, where a whole provider holds a /32, one shorter than that.
 */
#include "policy/check_parts.h"

#include <stdlib.h>
#include <string.h>

enum {
  ANY_IPV4_PREFIX = 8,
  ANY_IPV6_PREFIX = 32,
  PORT_LIMIT = 1024,
  WIDE_PORT_LIMIT = 100, /* more than this is worth a look */
  WIDE_NETWORK_RATIO = 256,
  WIDE_NETWORK_SIZE = 65536,
};

/* ---- ports ---- */

struct port_span {
  unsigned first, last; /* protocol << 16 | port */
};

static int compare_spans(const void *left, const void *right) {
  const struct port_span *one = left, *other = right;
  return one->first < other->first ? -1 : one->first > other->first;
}

/* Number of different TCP and UDP ports of a flow. */
static unsigned count_ports(struct check *check, const struct flow *flow) {
  struct port_span *spans = ARENA_ARRAY(check->scratch, flow->service_count + 1, struct port_span);
  size_t count = 0;
  unsigned ports = 0, next = 0;
  for (size_t i = 0; spans != NULL && i < flow->service_count; i++) {
    const struct service *service = &flow->services[i];
    unsigned base = (unsigned)service->protocol << 16;
    if (service->protocol == 6 || service->protocol == 17)
      spans[count++] = (struct port_span){base | service->first_port, base | service->last_port};
  }
  if (count > 1)
    qsort(spans, count, sizeof(spans[0]), compare_spans);
  for (size_t i = 0; i < count; i++) {
    unsigned first = spans[i].first > next ? spans[i].first : next;
    if (spans[i].last >= first) {
      ports += spans[i].last - first + 1;
      next = spans[i].last + 1;
    }
  }
  return ports;
}

static void check_port_count(struct check *check, const struct flow *flow, bool reason) {
  unsigned ports = count_ports(check, flow);
  if (ports > PORT_LIMIT && !reason) {
    struct diagnostic *found = diagnostic_add(
        check->diagnostics, SEVERITY_ERROR, "D05", check_at(check, flow->services_place, flow->services[0].text),
        flow->name, "ポートが %u 個あり、理由（reason）なしで使える 1,024 個を超えています（2(11)）",
        "the flow opens %u ports; more than 1,024 need a 'reason' (2(11))", ports);
    diagnostic_hint(check->diagnostics, found, "実際に使うポートだけに絞るか、広い理由を reason に書いてください",
                    "name only the ports in use, or say in 'reason' why so many are needed");
  } else if (ports > WIDE_PORT_LIMIT && !check->flows[flow->index].over) {
    struct diagnostic *found = diagnostic_add(check->diagnostics, SEVERITY_WARNING, "W03",
                                              check_at(check, flow->services_place, flow->services[0].text), flow->name,
                                              "ポートが %u 個あり、通信に必要な数よりずっと多いようです",
                                              "the flow opens %u ports, far more than a communication needs", ports);
    diagnostic_hint(check->diagnostics, found, "実際に使うポートを調べて絞ってください",
                    "find out which ports are in use and name only those");
  }
}

/* ---- addresses ---- */

static bool is_everything(const struct address_range *range) {
  struct address unused;
  return !address_previous(&range->first, &unused) && !address_next(&range->last, &unused);
}

static bool is_any(const struct address_range *range) {
  if (range->first.family == FAMILY_IPV4)
    return range_size(range) > (uint64_t)1 << (32 - ANY_IPV4_PREFIX);
  return range_size(range) == UINT64_MAX && range_covering_prefix_length(range) < ANY_IPV6_PREFIX;
}

static void refuse_everything(struct check *check, struct place place, const char *subject, const char *text) {
  struct diagnostic *found =
      diagnostic_add(check->diagnostics, SEVERITY_ERROR, "D05", check_at(check, place, text), subject,
                     "%s はすべてのアドレスを指します。理由があっても許可できません（2(11)）",
                     "%s means every address, which no reason allows (2(11))", text);
  diagnostic_hint(check->diagnostics, found,
                  "実際のネットワークを書いてください。インターネット全体が相手なら、class = \"cloud\" の領域に "
                  "default_route = true を書きます",
                  "name the real networks; if the whole Internet is meant, a zone of class \"cloud\" may have "
                  "default_route = true");
}

static void check_everything(struct check *check, const struct placed_range *ranges, size_t count,
                             const char *subject) {
  char text[RANGE_TEXT_SIZE];
  for (size_t i = 0; i < count; i++)
    if (is_everything(&ranges[i].range))
      refuse_everything(check, ranges[i].place, subject, range_format(&ranges[i].range, text));
}

/* A host may also add up to everything: 0.0.0.0/1 and 128.0.0.0/1. */
static void check_host_sum(struct check *check, const struct host *host) {
  struct address_set set;
  struct address_range *ranges = ARENA_ARRAY(check->scratch, host->address_count + 1, struct address_range);
  if (ranges == NULL || host->address_count < 2)
    return;
  for (size_t i = 0; i < host->address_count; i++) {
    ranges[i] = host->addresses[i].range;
    if (is_everything(&ranges[i]))
      return;
  }
  char text[RANGE_TEXT_SIZE];
  if (address_set_build(check->scratch, ranges, host->address_count, &set) < 0)
    return;
  for (size_t i = 0; i < set.count; i++)
    if (is_everything(&set.ranges[i]))
      refuse_everything(check, host->addresses[0].place, host->name, range_format(&set.ranges[i], text));
}

static void refuse_any(struct check *check, const struct flow *flow, const struct endpoint *end,
                       const struct placed_range *range) {
  char text[RANGE_TEXT_SIZE];
  const char *name = end->kind == ENDPOINT_HOST ? end->host->name : policy_zone_name(check->policy, end->zone);
  struct diagnostic *found = diagnostic_add(
      check->diagnostics, SEVERITY_ERROR, "D05", check_at(check, end->place, check_endpoint_text(check, end)),
      flow->name, "%s は %s を含み、理由（reason）なしで使える広さ（IPv4 は /8、IPv6 は /32）を超えています（2(11)）",
      "'%s' contains %s, wider than may be used without a 'reason' (a /8, for IPv6 a /32) (2(11))", name,
      range_format(&range->range, text));
  diagnostic_hint(check->diagnostics, found, "実際に通信する範囲に絞るか、広い理由を reason に書いてください",
                  "narrow it to what really communicates, or say in 'reason' why it must be wide");
  diagnostic_relate(check->diagnostics, found, check_at(check, range->place, text), "%s はここに書かれています",
                    "%s is written here", text);
}

static bool check_any(struct check *check, const struct flow *flow, const struct endpoint *end,
                      const struct placed_range *ranges, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (is_everything(&ranges[i].range) || !is_any(&ranges[i].range))
      continue;
    refuse_any(check, flow, end, &ranges[i]);
    return true;
  }
  return false;
}

static void check_any_ends(struct check *check, const struct flow *flow, const struct endpoint *ends, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const struct endpoint *end = &ends[i];
    const struct zone *zone = check_zone(check, end->zone);
    if (end->kind == ENDPOINT_HOST && end->host != NULL)
      check_any(check, flow, end, end->host->addresses, end->host->address_count);
    else if (end->kind == ENDPOINT_ZONE && zone != NULL &&
             !check_any(check, flow, end, zone->networks, zone->network_count))
      check_any(check, flow, end, zone->remote, zone->remote_count);
  }
}

static const struct endpoint *zone_end(const struct endpoint *ends, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (ends[i].kind == ENDPOINT_ZONE)
      return &ends[i];
  return NULL;
}

static void check_zone_to_zone(struct check *check, const struct flow *flow) {
  const struct endpoint *from = zone_end(flow->from, flow->from_count), *to = zone_end(flow->to, flow->to_count);
  enum zone_class from_class, to_class;
  if (from == NULL || to == NULL || !check_flow_classes(check, flow, &from_class, &to_class) || from_class == to_class)
    return;
  struct diagnostic *found = diagnostic_add(
      check->diagnostics, SEVERITY_ERROR, "D05", check_at(check, from->place, check_endpoint_text(check, from)),
      flow->name, "種類の違う領域どうしを丸ごと（zone:%s から zone:%s）結ぶには理由（reason）が必要です（2(11)）",
      "whole zones of different classes (zone:%s to zone:%s) may be joined only with a 'reason' (2(11))",
      policy_zone_name(check->policy, from->zone), policy_zone_name(check->policy, to->zone));
  diagnostic_hint(check->diagnostics, found, "通信する機器を hosts に書いて指定するか、理由を reason に書いてください",
                  "name the hosts that communicate, or say in 'reason' why whole zones must be joined");
}

static void check_flow_width(struct check *check, const struct flow *flow) {
  const char *reason = flow_note_text(flow, "reason");
  bool has_reason = check_text_present(&(struct text){.text = reason});
  if (!check->flows[flow->index].ports_refused)
    check_port_count(check, flow, has_reason);
  if (has_reason || check->flows[flow->index].never)
    return;
  check_any_ends(check, flow, flow->from, flow->from_count);
  check_any_ends(check, flow, flow->to, flow->to_count);
  check_zone_to_zone(check, flow);
}

/* ---- networks far wider than their hosts ---- */

static uint64_t add_sizes(uint64_t sum, const struct placed_range *ranges, size_t count) {
  for (size_t i = 0; i < count; i++) {
    uint64_t size = ranges[i].range.first.family == FAMILY_IPV4 && !is_everything(&ranges[i].range)
                        ? range_size(&ranges[i].range)
                        : 0;
    sum = size > UINT64_MAX - sum ? UINT64_MAX : sum + size;
  }
  return sum;
}

static void check_network_width(struct check *check) {
  const struct policy *policy = check->policy;
  uint64_t *hosts = ARENA_ARRAY(check->scratch, policy->zone_count + 1, uint64_t);
  if (hosts == NULL)
    return;
  for (size_t i = 0; i < policy->host_count; i++)
    if (check_zone(check, policy->hosts[i].zone) != NULL)
      hosts[policy->hosts[i].zone] =
          add_sizes(hosts[policy->hosts[i].zone], policy->hosts[i].addresses, policy->hosts[i].address_count);
  for (size_t i = 0; i < policy->zone_count; i++) {
    const struct zone *zone = &policy->zones[i];
    uint64_t size = add_sizes(add_sizes(0, zone->networks, zone->network_count), zone->remote, zone->remote_count);
    if (zone->class == CLASS_UNROUTED || hosts[i] == 0 || size < WIDE_NETWORK_SIZE ||
        size / WIDE_NETWORK_RATIO < hosts[i])
      continue;
    struct diagnostic *found = diagnostic_add(
        check->diagnostics, SEVERITY_WARNING, "W03", check_at_name(check, zone->place, zone->name), zone->name,
        "領域のネットワーク（%llu アドレス）が、定義された機器（%llu アドレス）よりはるかに広くなっています",
        "the zone's networks (%llu addresses) are far wider than its hosts (%llu addresses)", (unsigned long long)size,
        (unsigned long long)hosts[i]);
    diagnostic_hint(check->diagnostics, found, "networks と remote を、実際に割り当てている範囲に絞ってください",
                    "narrow 'networks' and 'remote' to what is really assigned");
  }
}

void check_widths(struct check *check) {
  const struct policy *policy = check->policy;
  check_everything(check, policy->header.special_exempt, policy->header.special_exempt_count, "policy");
  for (size_t i = 0; i < policy->zone_count; i++) {
    const struct zone *zone = &policy->zones[i];
    check_everything(check, zone->networks, zone->network_count, zone->name);
    check_everything(check, zone->remote, zone->remote_count, zone->name);
  }
  for (size_t i = 0; i < policy->host_count; i++) {
    check_everything(check, policy->hosts[i].addresses, policy->hosts[i].address_count, policy->hosts[i].name);
    check_host_sum(check, &policy->hosts[i]);
  }
  for (size_t i = 0; i < policy->flow_count; i++)
    check_flow_width(check, &policy->flows[i]);
  check_network_width(check);
}

/* ---- D12, D16 ---- */

struct port_range {
  uint16_t first, last;
};

/* Domain logon, file sharing, RPC and DNS: each joins what the separation parts. */
static const struct port_range joining_ports[] = {
    {53, 53}, {88, 88}, {135, 139}, {389, 389}, {445, 445}, {464, 464}, {636, 636}, {3268, 3269},
};

/* Ports by which a file travels, which a screen transfer is there to prevent. */
static const struct port_range screen_ports[] = {
    {20, 22},   {25, 25},   {69, 69},   {110, 110}, {137, 139},   {143, 143},   {445, 445},     {465, 465},
    {587, 587}, {873, 873}, {993, 993}, {995, 995}, {2049, 2049}, {9427, 9427}, {32111, 32111},
};

struct deny_list {
  const struct port_range *ranges;
  size_t count;
};
#define DENY_LIST(ranges)                                                                                              \
  { (ranges), sizeof(ranges) / sizeof((ranges)[0]) }
static const struct deny_list joining_list = DENY_LIST(joining_ports);
static const struct deny_list method_lists[METHOD_COUNT_] = {
    [METHOD_SCREEN] = DENY_LIST(screen_ports),
};

/* "22, 445" or NULL: the forbidden ports that a service opens. */
static const char *forbidden_ports(const struct check *check, const struct service *service,
                                   const struct deny_list *list) {
  const char *text = NULL;
  if (service->protocol != 6 && service->protocol != 17)
    return NULL;
  for (size_t i = 0; i < list->count; i++) {
    unsigned first = list->ranges[i].first > service->first_port ? list->ranges[i].first : service->first_port;
    unsigned last = list->ranges[i].last < service->last_port ? list->ranges[i].last : service->last_port;
    if (first > last)
      continue;
    const char *item =
        first == last ? arena_printf(check->scratch, "%u", first) : arena_printf(check->scratch, "%u-%u", first, last);
    text = text == NULL ? item : arena_printf(check->scratch, "%s, %s", text, item != NULL ? item : "");
  }
  return text;
}

/* What a flow opens of a list: "tcp/445" and "445", all its services together. */
struct forbidden {
  const struct service *first;
  const char *services, *ports;
};

static void note_forbidden(const struct check *check, struct forbidden *forbidden, const struct service *service,
                           const char *ports) {
  if (forbidden->first == NULL) {
    *forbidden = (struct forbidden){service, service->text, ports};
    return;
  }
  const char *services = arena_printf(check->scratch, "%s, %s", forbidden->services, service->text);
  const char *all = arena_printf(check->scratch, "%s, %s", forbidden->ports, ports);
  forbidden->services = services != NULL ? services : forbidden->services;
  forbidden->ports = all != NULL ? all : forbidden->ports;
}

static struct place forbidden_place(struct check *check, const struct forbidden *forbidden) {
  return check_at(check, forbidden->first->place, forbidden->first->text);
}

static void refuse_joining_ports(struct check *check, const struct flow *flow, const struct forbidden *forbidden) {
  struct diagnostic *found = diagnostic_add(
      check->diagnostics, SEVERITY_ERROR, "D12", forbidden_place(check, forbidden), flow->name,
      "%s は、ドメイン認証・ファイル共有・RPC・DNS のポート（%s）を LGWAN 側とインターネット側の間に開きます（6(3)②）",
      "%s opens ports of domain logon, file sharing, RPC or DNS (%s) between the LGWAN and the Internet side (6(3)②)",
      forbidden->services, forbidden->ports);
  diagnostic_hint(check->diagnostics, found,
                  "このポートを外してください。名前解決や認証は、それぞれの領域の中のサーバで行います",
                  "remove these ports; names and logons are served inside each zone");
}

static void refuse_method_ports(struct check *check, const struct flow *flow, const struct forbidden *forbidden) {
  struct diagnostic *found = diagnostic_add(
      check->diagnostics, SEVERITY_ERROR, "D16", forbidden_place(check, forbidden), flow->name,
      "%s は、%s（method = \"%s\"）で使えないポート（%s）を開きます",
      "%s opens ports that %s (method = \"%s\") may not use (%s)", forbidden->services,
      flow_method_label(flow->method, check->language), flow_method_name(flow->method), forbidden->ports);
  diagnostic_hint(check->diagnostics, found,
                  "画面転送に必要なポート（例: tcp/443）だけにしてください。ファイルの受渡しは cdr で申請します",
                  "name only the ports that the screen needs (e.g. tcp/443); files go by a 'cdr' flow");
}

static bool crosses_lgwan(enum zone_class from, enum zone_class to) {
  bool outside = from == CLASS_INTERNET || to == CLASS_INTERNET || from == CLASS_RELAY || to == CLASS_RELAY;
  return outside && (from == CLASS_LGWAN || to == CLASS_LGWAN);
}

static void check_flow_ports(struct check *check, const struct flow *flow) {
  enum zone_class from, to;
  if (!check_flow_classes(check, flow, &from, &to) || check->flows[flow->index].never)
    return;
  struct forbidden joining = {0}, method = {0};
  const char *last = NULL;
  for (size_t i = 0; i < flow->service_count; i++) {
    const struct service *service = &flow->services[i];
    if (last != NULL && strcmp(service->text, last) == 0) /* tcp+udp/53 is one mistake */
      continue;
    last = service->text;
    const char *ports = crosses_lgwan(from, to) ? forbidden_ports(check, service, &joining_list) : NULL;
    if (ports != NULL)
      note_forbidden(check, &joining, service, ports);
    else if (flow->method_known && (ports = forbidden_ports(check, service, &method_lists[flow->method])) != NULL)
      note_forbidden(check, &method, service, ports);
  }
  if (joining.first != NULL)
    refuse_joining_ports(check, flow, &joining);
  if (method.first != NULL)
    refuse_method_ports(check, flow, &method);
}

void check_ports(struct check *check) {
  for (size_t i = 0; i < check->policy->flow_count; i++)
    check_flow_ports(check, &check->policy->flows[i]);
}
