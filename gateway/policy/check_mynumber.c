/* SPDX-License-Identifier: GPL-2.0-or-later */
/* My Number: limited to machines, ports and MAC addresses (D04). */
#include "policy/check_parts.h"

/* Up to a /27, or as many IPv6 addresses. */
enum { GROUP_LIMIT = 32 };

/* What was said of a host once is not said again for its next flow. */
struct said {
  bool wide, unpinned;
};

static bool has_ports(const struct service *service) {
  switch (service->protocol) {
  case 1: /* ICMP of one type is as narrow as one port */
  case 58:
    return true;
  case 6:
  case 17:
    return !(service->first_port <= 1 && service->last_port == UINT16_MAX);
  default:
    return false;
  }
}

static void check_services(struct check *check, const struct flow *flow) {
  for (size_t i = 0; i < flow->service_count; i++) {
    if (has_ports(&flow->services[i]))
      continue;
    check->flows[flow->index].ports_refused = true;
    struct diagnostic *found = diagnostic_add(
        check->diagnostics, SEVERITY_ERROR, "D04", check_at(check, flow->services[i].place, flow->services[i].text),
        flow->name, "マイナンバー利用事務系の通信に、ポート番号で限定されていない %s があります（6(3)①）",
        "a flow of the My Number systems names '%s', which is not limited to ports (6(3)①)", flow->services[i].text);
    diagnostic_hint(check->diagnostics, found, "\"tcp/443\" のように、プロトコルとポート番号で書いてください",
                    "write a protocol and ports, such as \"tcp/443\"");
  }
}

static void refuse_zone_end(struct check *check, const struct flow *flow, const struct endpoint *end) {
  struct diagnostic *found = diagnostic_add(
      check->diagnostics, SEVERITY_ERROR, "D04", check_at(check, end->place, check_endpoint_text(check, end)),
      flow->name, "マイナンバー利用事務系の通信の端が zone:%s です。機器を一台ずつ指定しなければなりません（6(3)①）",
      "an end of a My Number flow is zone:%s; single hosts must be named (6(3)①)",
      policy_zone_name(check->policy, end->zone));
  diagnostic_hint(check->diagnostics, found, "hosts に機器を書き、その名前を指定してください",
                  "declare the hosts under 'hosts' and name them here");
}

static void relate_host(struct check *check, struct diagnostic *found, const struct host *host) {
  diagnostic_relate(check->diagnostics, found, check_at_name(check, host->place, host->name), "機器 %s の定義",
                    "host '%s' is declared here", host->name);
}

static void refuse_wide_host(struct check *check, const struct flow *flow, const struct endpoint *end,
                             const struct address_range *range, bool may_be_group) {
  char text[RANGE_TEXT_SIZE];
  struct diagnostic *found;
  if (may_be_group && range_size(range) <= GROUP_LIMIT)
    found = diagnostic_add(
        check->diagnostics, SEVERITY_ERROR, "D04", check_at(check, end->place, check_endpoint_text(check, end)),
        flow->name, "機器 %s は %s で一台ではありません。/27 までの範囲を使うには理由（reason）が必要です（6(3)①）",
        "host '%s' is %s, not one machine; up to a /27 needs a 'reason' (6(3)①)", end->host->name,
        range_format(range, text));
  else
    found = diagnostic_add(
        check->diagnostics, SEVERITY_ERROR, "D04", check_at(check, end->place, check_endpoint_text(check, end)),
        flow->name,
        may_be_group
            ? "機器 %s は %s です。マイナンバー利用事務系の通信の相手は /27 までです（6(3)①）"
            : "機器 %s は %s で一台ではありません。マイナンバー利用事務系の通信は機器を一台ずつ指定します（6(3)①）",
        may_be_group ? "host '%s' is %s; the far end of a My Number flow may be a /27 at most (6(3)①)"
                     : "host '%s' is %s, not one machine; a My Number flow names single machines (6(3)①)",
        end->host->name, range_format(range, text));
  diagnostic_hint(check->diagnostics, found,
                  may_be_group ? "アドレスを減らすか、通信に reason を書いてください"
                               : "実際に通信する機器のアドレスだけを持つ機器を hosts に書いてください",
                  may_be_group ? "narrow the addresses, or give the flow a 'reason'"
                               : "declare a host with only the addresses that really communicate");
  relate_host(check, found, end->host);
}

static void refuse_unpinned(struct check *check, const struct flow *flow, const struct endpoint *end) {
  const struct host *host = end->host;
  bool via_router = host->mac_scope == MAC_SCOPE_VIA_ROUTER;
  struct diagnostic *found = diagnostic_add(
      check->diagnostics, SEVERITY_ERROR, "D04", check_at(check, end->place, check_endpoint_text(check, end)),
      flow->name,
      via_router ? "機器 %s は mac_scope = \"via_router\" ですが、その理由（mac_reason）がありません（6(3)①）"
                 : "マイナンバー利用事務系の通信をする機器 %s に MAC アドレスがありません（6(3)①）",
      via_router ? "host '%s' has mac_scope = \"via_router\" without a 'mac_reason' (6(3)①)"
                 : "host '%s' takes part in a My Number flow but has no MAC address (6(3)①)",
      host->name);
  diagnostic_hint(
      check->diagnostics, found,
      "機器に mac = \"…\" を書いてください。ルータの先にあって MAC が見えないなら、mac_scope = \"via_router\" と "
      "mac_reason を書きます",
      "add mac = \"...\" to the host; behind a router, where its MAC is not seen, write mac_scope = "
      "\"via_router\" and mac_reason");
  relate_host(check, found, host);
}

static bool is_pinned(const struct host *host) {
  return host->mac_scope == MAC_SCOPE_VIA_ROUTER ? check_text_present(&host->mac_reason) : host->mac_count > 0;
}

static void check_host_end(struct check *check, const struct flow *flow, const struct endpoint *end,
                           struct said *said) {
  const struct host *host = end->host;
  const struct zone *zone = check_zone(check, host->zone);
  if (zone == NULL)
    return;
  bool has_reason = check_text_present(&(struct text){.text = flow_note_text(flow, "reason")});
  bool attached = false, group_lawful = true;
  const struct address_range *wide = NULL;
  for (size_t i = 0; i < host->address_count; i++) {
    const struct address_range *range = &host->addresses[i].range;
    bool here = check_range_touches(range, zone->networks, zone->network_count);
    attached |= here;
    if (range_size(range) == 1)
      continue;
    bool may_be_group = !here || zone->class == CLASS_MYNUMBER_CLOUD;
    bool lawful = may_be_group && range_size(range) <= GROUP_LIMIT && has_reason;
    if (!lawful && wide == NULL) {
      wide = range;
      group_lawful = may_be_group;
    }
  }
  if (wide != NULL && !said->wide) {
    refuse_wide_host(check, flow, end, wide, group_lawful);
    said->wide = true;
  }
  if (attached && wide == NULL && !is_pinned(host) && !said->unpinned) {
    refuse_unpinned(check, flow, end);
    said->unpinned = true;
  }
}

static void check_ends(struct check *check, const struct flow *flow, const struct endpoint *ends, size_t count,
                       struct said *said) {
  for (size_t i = 0; i < count; i++) {
    if (ends[i].kind == ENDPOINT_ZONE)
      refuse_zone_end(check, flow, &ends[i]);
    else if (ends[i].kind == ENDPOINT_HOST && ends[i].host != NULL)
      check_host_end(check, flow, &ends[i], &said[check_host_index(check, ends[i].host)]);
  }
}

/* A host elsewhere that claims to stand behind a router says why, too. */
static void check_reasons(struct check *check, const struct said *said) {
  for (size_t i = 0; said != NULL && i < check->policy->host_count; i++) {
    const struct host *host = &check->policy->hosts[i];
    if (host->mac_scope != MAC_SCOPE_VIA_ROUTER || said[i].unpinned || check_text_present(&host->mac_reason))
      continue;
    struct diagnostic *found =
        diagnostic_add(check->diagnostics, SEVERITY_ERROR, "P05", check_at_name(check, host->place, host->name),
                       host->name, "mac_scope = \"via_router\" の理由（mac_reason）がありません",
                       "mac_scope = \"via_router\" needs a 'mac_reason'");
    diagnostic_hint(check->diagnostics, found, "MAC アドレスを照合できない理由を mac_reason に書いてください",
                    "say in mac_reason why the MAC address cannot be checked");
  }
}

void check_mynumber(struct check *check) {
  const struct policy *policy = check->policy;
  struct said *said = ARENA_ARRAY(check->scratch, policy->host_count + 1, struct said);
  for (size_t i = 0; said != NULL && i < policy->flow_count; i++) {
    const struct flow *flow = &policy->flows[i];
    enum zone_class from = CLASS_COUNT_, to = CLASS_COUNT_;
    check_class_of(check, flow->from_zone, &from);
    check_class_of(check, flow->to_zone, &to);
    if ((!check_is_mynumber(from) && !check_is_mynumber(to)) || check->flows[i].never)
      continue;
    check_services(check, flow);
    check_ends(check, flow, flow->from, flow->from_count, said);
    check_ends(check, flow, flow->to, flow->to_count, said);
  }
  check_reasons(check, said);
}
