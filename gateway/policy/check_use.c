/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is declared and not used, what is not pinned to a MAC address, and hosts that join what may not meet.
 *
 * A host that speaks plainly (not by a sanitising method) with two classes that may not speak with each other is a
 * stepping stone between them: every flow is lawful, their sum is not what anybody approved. Legs of one machine are
 * taken together.
 */
#include "policy/check_parts.h"
#include "policy/packet.h"

#include <stdlib.h>
#include <string.h>

enum { PEER_COUNT = CLASS_COUNT_ };

struct usage {
  bool used;
  bool mynumber;                        /* D04 looks after its MAC address */
  const struct flow *peers[PEER_COUNT]; /* the first plain flow with each class */
};

struct uses {
  struct usage *hosts;
  bool *zones;
  const char **services; /* names that flows and expectations wrote, sorted */
  size_t service_count;
};

/* ---- what is used ---- */

static void use_host(struct check *check, struct uses *uses, const struct flow *flow, const struct endpoint *end,
                     enum zone_class peer) {
  if (end->host == NULL)
    return;
  struct usage *usage = &uses->hosts[check_host_index(check, end->host)];
  const struct flow_state *state = &check->flows[flow->index];
  usage->used = true;
  usage->mynumber |= peer != CLASS_COUNT_ && check_is_mynumber(peer);
  if (peer == CLASS_COUNT_ || state->over || state->pair_refused || !flow->method_known ||
      check_is_sanitising(flow->method))
    return;
  if (usage->peers[peer] == NULL)
    usage->peers[peer] = flow;
}

static void use_flow(struct check *check, struct uses *uses, const struct flow *flow) {
  enum zone_class from = CLASS_COUNT_, to = CLASS_COUNT_;
  check_class_of(check, flow->from_zone, &from);
  check_class_of(check, flow->to_zone, &to);
  for (size_t i = 0; i < flow->from_count; i++)
    use_host(check, uses, flow, &flow->from[i], to);
  for (size_t i = 0; i < flow->to_count; i++)
    use_host(check, uses, flow, &flow->to[i], from);
  if (check_zone(check, flow->from_zone) != NULL)
    uses->zones[flow->from_zone] = true;
  if (check_zone(check, flow->to_zone) != NULL)
    uses->zones[flow->to_zone] = true;
}

static void use_speakers(struct check *check, struct uses *uses, const struct text *names, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const struct host *host = names[i].text != NULL ? policy_find_host(check->policy, names[i].text) : NULL;
    if (host != NULL)
      uses->hosts[check_host_index(check, host)].used = true;
  }
}

static void use_expectation_end(struct check *check, struct uses *uses, const struct expectation_end *end) {
  if (end->kind == EXPECT_HOST && end->host != NULL)
    uses->hosts[check_host_index(check, end->host)].used = true;
}

static int compare_names(const void *left, const void *right) {
  const char *const *one = left, *const *other = right;
  return strcmp(*one, *other);
}

static void collect_services(struct check *check, struct uses *uses) {
  const struct policy *policy = check->policy;
  size_t room = 1;
  for (size_t i = 0; i < policy->flow_count; i++)
    room += policy->flows[i].service_count;
  for (size_t i = 0; i < policy->expectation_count; i++)
    room += policy->expectations[i].service_count;
  uses->services = ARENA_ARRAY(check->scratch, room, const char *);
  if (uses->services == NULL)
    return;
  for (size_t i = 0; i < policy->flow_count; i++)
    for (size_t j = 0; j < policy->flows[i].service_count; j++)
      uses->services[uses->service_count++] = policy->flows[i].services[j].text;
  for (size_t i = 0; i < policy->expectation_count; i++)
    for (size_t j = 0; j < policy->expectations[i].service_count; j++)
      uses->services[uses->service_count++] = policy->expectations[i].services[j].text;
  if (uses->service_count > 1)
    qsort(uses->services, uses->service_count, sizeof(uses->services[0]), compare_names);
}

static void collect_uses(struct check *check, struct uses *uses) {
  const struct policy *policy = check->policy;
  for (size_t i = 0; i < policy->flow_count; i++)
    use_flow(check, uses, &policy->flows[i]);
  for (size_t i = 0; i < policy->expectation_count; i++) {
    use_expectation_end(check, uses, &policy->expectations[i].from);
    use_expectation_end(check, uses, &policy->expectations[i].to);
  }
  for (size_t i = 0; i < policy->zone_count; i++) {
    use_speakers(check, uses, policy->zones[i].routers, policy->zones[i].router_count);
    use_speakers(check, uses, policy->zones[i].dhcp_servers, policy->zones[i].dhcp_server_count);
  }
  collect_services(check, uses);
}

/* ---- what is not ---- */

static void warn_unused(struct check *check, struct place place, const char *name, const char *japanese,
                        const char *english) {
  struct diagnostic *found = diagnostic_add(
      check->diagnostics, SEVERITY_WARNING, "W13", check_at_name(check, place, name), name,
      "この%sはどの通信にも使われていません", "no flow uses this %s", check_words(check, japanese, english));
  diagnostic_hint(check->diagnostics, found, "不要なら削除し、使うはずなら通信の側の綴りを確かめてください",
                  "remove it, or check the spelling where it should be used");
}

static bool is_unrouted(const struct check *check, zone_index zone) {
  const struct zone *found = check_zone(check, zone);
  return found != NULL && found->class == CLASS_UNROUTED;
}

static void check_unused(struct check *check, const struct uses *uses) {
  const struct policy *policy = check->policy;
  for (size_t i = 0; i < policy->zone_count; i++)
    if (!uses->zones[i] && !is_unrouted(check, (zone_index)i))
      warn_unused(check, policy->zones[i].place, policy->zones[i].name, "領域", "zone");
  for (size_t i = 0; i < policy->host_count; i++) {
    const struct host *host = &policy->hosts[i];
    bool zone_told = check_zone(check, host->zone) != NULL && !uses->zones[host->zone];
    if (!uses->hosts[i].used && !zone_told)
      warn_unused(check, host->place, host->name, "機器", "host");
  }
  for (size_t i = 0; i < policy->named_service_count; i++) {
    const char *name = policy->services[i].name;
    if (bsearch(&name, uses->services, uses->service_count, sizeof(uses->services[0]), compare_names) == NULL)
      warn_unused(check, policy->services[i].place, name, "サービス", "service");
  }
}

/* ---- MAC addresses ---- */

/* One machine on the gateway's own wire, in a class whose identity matters: the sanitiser and the way in for repairs.
 */
static bool should_be_pinned(const struct check *check, const struct host *host) {
  const struct zone *zone = check_zone(check, host->zone);
  if (zone == NULL || (zone->class != CLASS_RELAY && zone->class != CLASS_MAINTENANCE) || host->address_count == 0 ||
      host->mac_count > 0 || host->mac_scope == MAC_SCOPE_VIA_ROUTER)
    return false;
  for (size_t i = 0; i < host->address_count; i++)
    if (range_size(&host->addresses[i].range) > 1 ||
        !check_range_touches(&host->addresses[i].range, zone->networks, zone->network_count))
      return false;
  return true;
}

static void check_pinned(struct check *check, const struct uses *uses) {
  for (size_t i = 0; i < check->policy->host_count; i++) {
    const struct host *host = &check->policy->hosts[i];
    if (!uses->hosts[i].used || uses->hosts[i].mynumber || !should_be_pinned(check, host))
      continue;
    struct diagnostic *found =
        diagnostic_add(check->diagnostics, SEVERITY_WARNING, "W14", check_at_name(check, host->place, host->name),
                       host->name, "%sの機器ですが MAC アドレスがなく、同じアドレスを名乗る別の機器と区別できません",
                       "a host of the %s without a MAC address cannot be told from another that takes its address",
                       check_class_label(check, check->policy->zones[host->zone].class));
    diagnostic_hint(check->diagnostics, found, "機器に mac = \"…\" を書いてください", "add mac = \"...\" to the host");
  }
}

/* ---- stepping stones ---- */

/* "この機器", or the machine by its name. */
static const char *joint_text(const struct check *check, const struct host *host) {
  const char *text = host->machine == NULL ? check_words(check, "この機器", "this host")
                     : check->language == LANGUAGE_JAPANESE
                         ? arena_printf(check->scratch, "装置 %s（機器 %s ほか）", host->machine, host->name)
                         : arena_printf(check->scratch, "machine '%s'", host->machine);
  return text != NULL ? text : host->name;
}

static void warn_joint(struct check *check, const struct host *host, const struct flow *const *peers,
                       enum zone_class one, enum zone_class other) {
  const char *what = joint_text(check, host);
  struct diagnostic *found = diagnostic_add(
      check->diagnostics, SEVERITY_WARNING, "W15", check_at_name(check, host->place, host->name), host->name,
      "%sは、直接通信できない%sと%sの両方と通信しており、踏み台になり得ます",
      "%s speaks both with the %s and with the %s, which may not speak directly: it could be a stepping stone", what,
      check_class_label(check, one), check_class_label(check, other));
  diagnostic_hint(check->diagnostics, found,
                  "この機器が中継（転送・プロキシ・コピー）をしないことを確かめるか、役割を別の機器に分けてください",
                  "make sure that it forwards nothing (routing, proxy, copies) between the two, or split its roles");
  if (peers[one] != NULL)
    diagnostic_relate(check->diagnostics, found, check_at_name(check, peers[one]->place, peers[one]->name),
                      "%sとの通信 %s", "with the %s by flow '%s'", check_class_label(check, one), peers[one]->name);
  if (peers[other] != NULL)
    diagnostic_relate(check->diagnostics, found, check_at_name(check, peers[other]->place, peers[other]->name),
                      "%sとの通信 %s", "with the %s by flow '%s'", check_class_label(check, other), peers[other]->name);
}

/* own: classes in which the machine itself stands, besides those it speaks with. */
static void check_joint(struct check *check, const struct host *host, const struct flow *const *peers, unsigned own) {
  for (unsigned one = 0; one < PEER_COUNT; one++) {
    for (unsigned other = one + 1; other < PEER_COUNT; other++) {
      bool joined = (peers[one] != NULL || (own >> one & 1)) && (peers[other] != NULL || (own >> other & 1));
      if (!joined || check_pair_may_speak(check, (enum zone_class)one, (enum zone_class)other))
        continue;
      warn_joint(check, host, peers, (enum zone_class)one, (enum zone_class)other);
      return;
    }
  }
}

static int compare_machines(const void *left, const void *right) {
  const struct host *const *one = left, *const *other = right;
  int machines = strcmp((*one)->machine, (*other)->machine);
  return machines != 0 ? machines : *one < *other ? -1 : *one > *other;
}

static void check_machine(struct check *check, const struct uses *uses, const struct host *const *legs, size_t count) {
  const struct flow *peers[PEER_COUNT] = {NULL};
  unsigned own = 0;
  for (size_t i = 0; i < count; i++) {
    const struct zone *zone = check_zone(check, legs[i]->zone);
    if (zone != NULL && zone->class_known && count > 1)
      own |= 1U << zone->class;
    for (size_t j = 0; j < PEER_COUNT; j++)
      if (peers[j] == NULL)
        peers[j] = uses->hosts[check_host_index(check, legs[i])].peers[j];
  }
  check_joint(check, legs[0], peers, own);
}

static void check_joints(struct check *check, const struct uses *uses) {
  const struct policy *policy = check->policy;
  const struct host **legs = ARENA_ARRAY(check->scratch, policy->host_count + 1, const struct host *);
  size_t count = 0;
  if (legs == NULL)
    return;
  for (size_t i = 0; i < policy->host_count; i++) {
    if (policy->hosts[i].machine != NULL)
      legs[count++] = &policy->hosts[i];
    else
      check_joint(check, &policy->hosts[i], uses->hosts[i].peers, 0);
  }
  if (count > 1)
    qsort(legs, count, sizeof(const struct host *), compare_machines);
  for (size_t first = 0, next; first < count; first = next) {
    for (next = first + 1; next < count && strcmp(legs[next]->machine, legs[first]->machine) == 0;)
      next++;
    check_machine(check, uses, &legs[first], next - first);
  }
}

/* ---- what the guard stops all the same ---- */

static void warn_special(struct check *check, const struct zone *zone, const struct placed_range *range) {
  char text[RANGE_TEXT_SIZE];
  range_format(&range->range, text);
  struct diagnostic *found =
      diagnostic_add(check->diagnostics, SEVERITY_WARNING, "W20", check_at(check, range->place, text), zone->name,
                     "%s は特殊用途のアドレスを含み、通信を許可しても常に遮断されます",
                     "%s contains special-purpose addresses, which are always denied, whatever flows allow", text);
  diagnostic_hint(check->diagnostics, found,
                  "本当に使っている範囲なら、policy の special_exempt にその範囲を書いてください",
                  "if this range is really in use, name it in special_exempt of the policy");
}

static void check_special_ranges(struct check *check, const struct zone *zone, const struct placed_range *ranges,
                                 size_t count, const struct address_set *special) {
  for (size_t i = 0; i < count; i++) {
    struct address_range range = ranges[i].range;
    struct address_set set = {&range, 1};
    if (range_prefix_length(&range) != 0 && address_set_overlaps(&set, special))
      warn_special(check, zone, &ranges[i]);
  }
}

static void check_special(struct check *check) {
  struct address_set special;
  if (policy_special_sources(check->policy, check->scratch, &special) < 0)
    return;
  for (size_t i = 0; i < check->policy->zone_count; i++) {
    const struct zone *zone = &check->policy->zones[i];
    if (zone->class == CLASS_UNROUTED)
      continue;
    check_special_ranges(check, zone, zone->networks, zone->network_count, &special);
    check_special_ranges(check, zone, zone->remote, zone->remote_count, &special);
  }
}

static unsigned families(const struct check *check, const struct endpoint *ends, size_t count, zone_index peer) {
  struct address_set set;
  unsigned found = 0;
  if (policy_end_addresses(check->policy, ends, count, peer, check->scratch, &set) < 0)
    return ~0U;
  for (size_t i = 0; i < set.count; i++)
    found |= 1U << set.ranges[i].first.family;
  return found != 0 ? found : ~0U;
}

static unsigned service_families(const struct flow *flow) {
  unsigned found = flow->service_count == 0 ? ~0U : 0;
  for (size_t i = 0; i < flow->service_count; i++)
    found |= flow->services[i].protocol == PROTOCOL_ICMP     ? 1U << FAMILY_IPV4
             : flow->services[i].protocol == PROTOCOL_ICMPV6 ? 1U << FAMILY_IPV6
                                                             : ~0U;
  return found;
}

static void warn_service_family(struct check *check, const struct flow *flow) {
  struct diagnostic *found =
      diagnostic_add(check->diagnostics, SEVERITY_WARNING, "W21", check_at_name(check, flow->place, flow->name),
                     flow->name, "サービスの IP の版が両端のアドレスと合わず、この通信に当たるパケットはありません",
                     "the services are of another IP version than the ends: no packet can belong to this flow");
  diagnostic_hint(check->diagnostics, found,
                  "IPv4 には icmp/echo-request、IPv6 には icmpv6/echo-request を書いてください",
                  "IPv4 takes icmp/echo-request, IPv6 icmpv6/echo-request");
}

/* One end IPv4, the other IPv6: no packet has such addresses. */
static void check_families(struct check *check) {
  for (size_t i = 0; i < check->policy->flow_count; i++) {
    const struct flow *flow = &check->policy->flows[i];
    unsigned common = families(check, flow->from, flow->from_count, flow->to_zone) &
                      families(check, flow->to, flow->to_count, flow->from_zone);
    if (common != 0) {
      if ((common & service_families(flow)) == 0)
        warn_service_family(check, flow);
      continue;
    }
    struct diagnostic *found = diagnostic_add(
        check->diagnostics, SEVERITY_WARNING, "W21", check_at_name(check, flow->place, flow->name), flow->name,
        "一方の端は IPv4、もう一方は IPv6 のアドレスだけで、この通信に当たるパケットはありません",
        "one end has IPv4 addresses only, the other IPv6 only: no packet can belong to this flow");
    diagnostic_hint(check->diagnostics, found, "両端の機器に、同じ種類のアドレスを書いてください",
                    "give the hosts of both ends addresses of the same kind");
  }
}

void check_use(struct check *check) {
  const struct policy *policy = check->policy;
  struct uses uses = {.hosts = ARENA_ARRAY(check->scratch, policy->host_count + 1, struct usage),
                      .zones = ARENA_ARRAY(check->scratch, policy->zone_count + 1, bool)};
  if (uses.hosts == NULL || uses.zones == NULL)
    return;
  collect_uses(check, &uses);
  if (uses.services == NULL)
    return;
  if (check->whole)
    check_unused(check, &uses);
  check_pinned(check, &uses);
  check_joints(check, &uses);
  check_special(check);
  check_families(check);
}
