/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Interfaces, VLANs and trunks in two zones (D08), the one way out (D09), and what is unclear about interfaces. */
#include "policy/check_parts.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- interfaces, VLANs, trunks ---- */

struct port {
  const struct zone *zone;
  const struct text *interface;
  const char *trunk; /* the NIC: up to the first dot */
  const char *vlan;  /* behind it: "210"; NULL when untagged */
};

static bool is_number(const char *text) {
  for (const char *at = text; *at != '\0'; at++)
    if (!isdigit((unsigned char)*at) && *at != '.')
      return false;
  return *text != '\0';
}

/* "ens1f1.210" is VLAN 210 on ens1f1; so is "vlan210", on a NIC that its name does not tell. */
static struct port port_of(const struct check *check, const struct zone *zone, const struct text *interface) {
  struct port port = {.zone = zone, .interface = interface, .trunk = interface->text};
  const char *dot = strchr(interface->text, '.');
  if (dot != NULL && is_number(dot + 1)) {
    port.trunk = arena_strndup(check->scratch, interface->text, (size_t)(dot - interface->text));
    port.vlan = dot + 1;
    while (port.vlan[0] == '0' && port.vlan[1] != '\0')
      port.vlan++;
  } else if (strncmp(interface->text, "vlan", 4) == 0 && is_number(interface->text + 4)) {
    port.vlan = interface->text + 4;
    while (port.vlan[0] == '0' && port.vlan[1] != '\0')
      port.vlan++;
  }
  if (port.trunk == NULL)
    port.trunk = interface->text;
  return port;
}

static int order_ports(const struct port *one, const struct port *other) {
  if (one->zone != other->zone)
    return one->zone < other->zone ? -1 : 1;
  return one->interface < other->interface ? -1 : one->interface > other->interface;
}

static int compare_by_name(const void *left, const void *right) {
  const struct port *one = left, *other = right;
  int names = strcmp(one->interface->text, other->interface->text);
  return names != 0 ? names : order_ports(one, other);
}

static int compare_by_vlan(const void *left, const void *right) {
  const struct port *one = left, *other = right;
  int vlans = strcmp(one->vlan != NULL ? one->vlan : "", other->vlan != NULL ? other->vlan : "");
  return vlans != 0 ? vlans : order_ports(one, other);
}

static int compare_by_trunk(const void *left, const void *right) {
  const struct port *one = left, *other = right;
  int trunks = strcmp(one->trunk, other->trunk);
  return trunks != 0 ? trunks : order_ports(one, other);
}

static struct place interface_place(struct check *check, const struct port *port) {
  return check_at(check, port->interface->place, port->interface->text);
}

static void relate_port(struct check *check, struct diagnostic *found, const struct port *port) {
  diagnostic_relate(check->diagnostics, found, interface_place(check, port), "領域 %s の %s はここに書かれています",
                    "zone '%s' has '%s' here", port->zone->name, port->interface->text);
}

static void check_names(struct check *check, struct port *ports, size_t count) {
  qsort(ports, count, sizeof(ports[0]), compare_by_name);
  for (size_t i = 1; i < count; i++) {
    if (strcmp(ports[i].interface->text, ports[i - 1].interface->text) != 0 || ports[i].zone == ports[i - 1].zone)
      continue;
    struct diagnostic *found = diagnostic_add(
        check->diagnostics, SEVERITY_ERROR, "D08", interface_place(check, &ports[i]), ports[i].zone->name,
        "インターフェース %s は領域 %s にも属しています（2(9)）", "interface '%s' belongs to zone '%s' as well (2(9))",
        ports[i].interface->text, ports[i - 1].zone->name);
    diagnostic_hint(check->diagnostics, found, "インターフェースは一つの領域だけに書いてください",
                    "name an interface in one zone only");
    relate_port(check, found, &ports[i - 1]);
  }
}

static void check_vlans(struct check *check, struct port *ports, size_t count) {
  qsort(ports, count, sizeof(ports[0]), compare_by_vlan);
  for (size_t i = 1; i < count; i++) {
    const struct port *one = &ports[i], *other = &ports[i - 1];
    if (one->vlan == NULL || other->vlan == NULL || strcmp(one->vlan, other->vlan) != 0 || one->zone == other->zone ||
        strcmp(one->interface->text, other->interface->text) == 0)
      continue;
    struct diagnostic *found =
        diagnostic_add(check->diagnostics, SEVERITY_ERROR, "D08", interface_place(check, one), one->zone->name,
                       "%s の VLAN %s は領域 %s の %s と同じ VLAN です（2(9)）",
                       "'%s' is VLAN %s, which is also zone '%s' on '%s' (2(9))", one->interface->text, one->vlan,
                       other->zone->name, other->interface->text);
    diagnostic_hint(check->diagnostics, found,
                    "VLAN 番号は庁内で一つの領域だけに使います。別の番号を割り当ててください",
                    "a VLAN id serves one zone in the whole town; assign another one");
    relate_port(check, found, other);
  }
}

static bool is_one_of(enum zone_class class, unsigned set) {
  return (set >> class & 1) != 0;
}

/* Whether two classes may never share a NIC; else it is a warning. */
static bool may_share_trunk(enum zone_class one, enum zone_class other) {
  const unsigned outside = 1U << CLASS_INTERNET | 1U << CLASS_CLOUD;
  if (check_is_mynumber(one) && check_is_mynumber(other))
    return true;
  if (check_is_mynumber(one) || check_is_mynumber(other))
    return false;
  return !((one == CLASS_LGWAN && is_one_of(other, outside)) || (other == CLASS_LGWAN && is_one_of(one, outside)));
}

static void report_trunk(struct check *check, const struct port *one, const struct port *other, bool refused) {
  struct diagnostic *found = diagnostic_add(
      check->diagnostics, refused ? SEVERITY_ERROR : SEVERITY_WARNING, refused ? "D08" : "W19",
      interface_place(check, one), one->zone->name, "%s（%s）が、領域 %s（%s）と同じ物理線 %s を通っています%s",
      "'%s' (%s) shares the trunk of zone '%s' (%s), '%s'%s", one->interface->text,
      check_class_label(check, one->zone->class), other->zone->name, check_class_label(check, other->zone->class),
      one->trunk, refused ? check_words(check, "（2(9)）", " (2(9))") : "");
  diagnostic_hint(check->diagnostics, found,
                  refused
                      ? "この二つの領域は VLAN で分けるだけでは足りません。別の NIC に収容してください"
                      : "スイッチの設定誤りで二つの領域がつながるおそれがあります。できれば別の NIC に収容してください",
                  refused ? "a VLAN does not part these two enough; put them on separate NICs"
                          : "one mistake on the switch would join the two; put them on separate NICs if possible");
  relate_port(check, found, other);
}

/* Each zone of a trunk is told once, against the first zone that it must not share with, else that it should not. */
static void check_trunk(struct check *check, const struct port *ports, size_t count) {
  const struct port *seen[CLASS_COUNT_] = {NULL}; /* the first of each class */
  for (size_t i = 0; i < count; i++) {
    const struct port *port = &ports[i], *worst = NULL;
    bool refused = false;
    if (!port->zone->class_known)
      continue;
    for (int other = 0; other < CLASS_COUNT_; other++) {
      bool never = !may_share_trunk(port->zone->class, (enum zone_class)other);
      if (seen[other] == NULL || other == (int)port->zone->class || seen[other]->zone == port->zone ||
          (worst != NULL && (refused || !never)))
        continue;
      worst = seen[other];
      refused = never;
    }
    bool told = i > 0 && ports[i - 1].zone == port->zone;
    if (worst != NULL && !told && strcmp(worst->interface->text, port->interface->text) != 0)
      report_trunk(check, port, worst, refused);
    if (seen[port->zone->class] == NULL)
      seen[port->zone->class] = port;
  }
}

static void check_trunks(struct check *check, struct port *ports, size_t count) {
  qsort(ports, count, sizeof(ports[0]), compare_by_trunk);
  for (size_t first = 0, next; first < count; first = next) {
    for (next = first + 1; next < count && strcmp(ports[next].trunk, ports[first].trunk) == 0;)
      next++;
    check_trunk(check, &ports[first], next - first);
  }
}

static void check_interfaces(struct check *check) {
  const struct policy *policy = check->policy;
  size_t room = 1, count = 0;
  for (size_t i = 0; i < policy->zone_count; i++)
    room += policy->zones[i].interface_count;
  struct port *ports = ARENA_ARRAY(check->scratch, room, struct port);
  for (size_t i = 0; ports != NULL && i < policy->zone_count; i++)
    for (size_t j = 0; j < policy->zones[i].interface_count; j++)
      if (policy->zones[i].interfaces[j].text != NULL)
        ports[count++] = port_of(check, &policy->zones[i], &policy->zones[i].interfaces[j]);
  if (count < 2)
    return;
  check_names(check, ports, count);
  check_vlans(check, ports, count);
  check_trunks(check, ports, count);
}

/* ---- one zone ---- */

static bool may_default(const struct check *check, const struct zone *zone) {
  return zone->class == CLASS_CLOUD ||
         (zone->class == CLASS_BREAKOUT && check->policy->header.model == MODEL_ALPHA_PRIME);
}

static void check_default_routes(struct check *check) {
  const struct zone *first = NULL;
  for (size_t i = 0; i < check->policy->zone_count; i++) {
    const struct zone *zone = &check->policy->zones[i];
    struct diagnostic *found = NULL;
    if (!zone->default_route)
      continue;
    if (zone->class_known && !may_default(check, zone))
      found = diagnostic_add(check->diagnostics, SEVERITY_ERROR, "D09",
                             check_at(check, zone->default_route_place, "default_route"), zone->name,
                             "default_route を持てるのはセキュリティクラウド側（class = "
                             "\"cloud\"）の領域だけですが、class は \"%s\" です%s（6(3)③）",
                             "only a zone of class \"cloud\" may have default_route, but the class is \"%s\"%s (6(3)③)",
                             zone_class_name(zone->class),
                             zone->class == CLASS_BREAKOUT
                                 ? check_words(check, "（breakout は接続モデル alpha_prime のときだけ）",
                                               " (breakout only under model 'alpha_prime')")
                                 : "");
    else if (first != NULL)
      found = diagnostic_add(check->diagnostics, SEVERITY_ERROR, "D09",
                             check_at(check, zone->default_route_place, "default_route"), zone->name,
                             "default_route を持つ領域が二つ以上あります（先に %s）（6(3)③）",
                             "more than one zone has default_route ('%s' came first) (6(3)③)", first->name);
    if (found != NULL)
      diagnostic_hint(check->diagnostics, found,
                      "インターネットへの出口は一つに集約します。default_route = false にしてください",
                      "the way to the Internet is one; set default_route = false");
    if (found != NULL && first != NULL && may_default(check, zone))
      diagnostic_relate(check->diagnostics, found, check_at(check, first->default_route_place, "default_route"),
                        "領域 %s の default_route", "default_route of zone '%s'", first->name);
    if (first == NULL && (!zone->class_known || may_default(check, zone)))
      first = zone;
  }
}

static void check_within(struct check *check, const struct zone *zone) {
  if (zone->interface_count < 2 || zone->within_set)
    return;
  struct diagnostic *found = diagnostic_add(
      check->diagnostics, SEVERITY_WARNING, "W16", check_at(check, zone->interfaces[1].place, zone->interfaces[1].text),
      zone->name, "インターフェースが %zu 個ありますが、その間の通信（within）が決められていません（現在は deny）",
      "the zone has %zu interfaces but does not say whether they may speak (within); it is deny now",
      zone->interface_count);
  diagnostic_hint(check->diagnostics, found, "within = \"allow\" か within = \"deny\" を書いてください",
                  "write within = \"allow\" or within = \"deny\"");
}

static void check_present(struct check *check, const struct zone *zone) {
  for (size_t i = 0; i < zone->interface_count; i++) {
    const char *const *known = check->options->interfaces;
    while (*known != NULL && strcmp(*known, zone->interfaces[i].text) != 0)
      known++;
    if (*known != NULL)
      continue;
    struct diagnostic *found = diagnostic_add(check->diagnostics, SEVERITY_WARNING, "W17",
                                              check_at(check, zone->interfaces[i].place, zone->interfaces[i].text),
                                              zone->name, "インターフェース %s はこの装置にありません",
                                              "this machine has no interface '%s'", zone->interfaces[i].text);
    diagnostic_hint(check->diagnostics, found,
                    "名前を確かめてください（ip link）。後から作る VLAN なら、現れたときから規則が効きます",
                    "check the name (ip link); for a VLAN made later the rules bite once it appears");
  }
}

void check_zones(struct check *check) {
  check_interfaces(check);
  check_default_routes(check);
  for (size_t i = 0; i < check->policy->zone_count; i++) {
    check_within(check, &check->policy->zones[i]);
    if (check->options->interfaces != NULL)
      check_present(check, &check->policy->zones[i]);
  }
}
