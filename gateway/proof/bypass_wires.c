/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "proof/bypass_parts.h"

/*
 * Interfaces that hear the same frames are one wire: the ports of a bridge, the members of a bond, the two ends of a
 * veth pair, a macvlan and what it stands on. Wires are the classes of a union-find over all links. Each wire knows the
 * first interface on it that a zone names; joining two wires of different zones is the finding, and the join says its
 * kind. A wire is certain as long as all of it is up and nothing on it keeps frames apart.
 */
struct wire {
  size_t parent;
  const struct link *named; /* the first that a zone names; NULL */
  zone_index zone;
  bool certain, mixed;
};

struct wires {
  struct wire *items; /* by the index of the link in the surroundings */
};

static size_t root_of(struct wires *wires, size_t index) {
  while (wires->items[index].parent != index) {
    wires->items[index].parent = wires->items[wires->items[index].parent].parent;
    index = wires->items[index].parent;
  }
  return index;
}

const struct link *search_link(const struct search *search, unsigned index) {
  const struct surroundings *surroundings = search->surroundings;
  for (size_t i = 0; surroundings != NULL && index != 0 && i < surroundings->link_count; i++) {
    if (surroundings->links[i].index == index) {
      return &surroundings->links[i];
    }
  }
  return NULL;
}

const struct link *surroundings_find(const struct surroundings *surroundings, const char *name) {
  for (size_t i = 0; name != NULL && i < surroundings->link_count; i++) {
    if (strcmp(surroundings->links[i].name, name) == 0) {
      return &surroundings->links[i];
    }
  }
  return NULL;
}

zone_index search_zone_of_link(const struct search *search, const struct link *link) {
  zone_index zone = policy_zone_of_interface(search->policy, link->name);
  if (zone != ZONE_NONE || search->wires == NULL) {
    return zone;
  }
  return search->wires->items[root_of(search->wires, (size_t)(link - search->surroundings->links))].zone;
}

zone_index search_zone_of(const struct search *search, const char *name) {
  if (name == NULL) {
    return ZONE_NONE;
  }
  const struct link *link = search->surroundings != NULL ? surroundings_find(search->surroundings, name) : NULL;
  return link != NULL ? search_zone_of_link(search, link) : policy_zone_of_interface(search->policy, name);
}

const char *search_describe(const struct search *search, const char *name) {
  zone_index zone = search_zone_of(search, name);
  if (zone == ZONE_NONE) {
    return search_printf(search, search_words(search, "%s（領域なし）", "%s (no zone)"), name);
  }
  return search_printf(search, search_words(search, "%s（領域 %s）", "%s (zone '%s')"), name,
                       policy_zone_name(search->policy, zone));
}

/* ---- joining ---- */

struct join {
  const char *kind;
  const struct link *device; /* what joins: the bridge, the macvlan, one end of the pair */
  const struct link *left, *right;
  bool certain;
};

static int tell_join(struct search *search, const struct join *join, const struct wire *left,
                     const struct wire *right) {
  const struct bypass finding = {
      .kind = join->kind,
      .state = join->certain && left->certain && right->certain ? BYPASS_OPEN : BYPASS_UNKNOWN,
      .left = left->zone,
      .right = right->zone,
  };
  const char *tail = finding.state == BYPASS_OPEN
                         ? search_words(search, "一本の線になっています", ": frames go between them past the rules")
                         : search_words(search, "一本の線になり得ます（今は切れているか、分けられています）",
                                        " (it is down now, or keeps them apart)");
  bool plain = join->device->kind[0] == '\0';
  return search_add(
      search, &finding,
      search_printf(search, search_words(search, "%s と %s が %s%s%s で%s", "%s and %s are joined by %s%s%s%s"),
                    search_describe(search, left->named->name), search_describe(search, right->named->name),
                    join->device->name, plain ? "" : " ", join->device->kind, tail));
}

static int join_wires(struct search *search, const struct join *join) {
  const struct link *links = search->surroundings->links;
  size_t left = root_of(search->wires, (size_t)(join->left - links));
  size_t right = root_of(search->wires, (size_t)(join->right - links));
  if (left == right) {
    return 0;
  }
  struct wire *one = &search->wires->items[left], *other = &search->wires->items[right];
  bool zones_meet = one->zone != ZONE_NONE && other->zone != ZONE_NONE && one->zone != other->zone;
  int status = zones_meet ? tell_join(search, join, one, other) : 0;
  other->parent = left;
  one->certain = one->certain && other->certain && join->certain;
  one->mixed = one->mixed || other->mixed || zones_meet;
  if (one->zone == ZONE_NONE) {
    one->zone = other->zone;
    one->named = other->named;
  }
  return status;
}

/* ---- which links are joined ---- */

static bool is_one_of(const char *word, const char *const *words, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (strcmp(word, words[i]) == 0) {
      return true;
    }
  }
  return false;
}
#define IS_ONE_OF(word, words) is_one_of((word), (words), sizeof(words) / sizeof((words)[0]))

static bool stands_on_its_parent(const struct link *link) {
  static const char *const kinds[] = {"macvlan", "macvtap", "ipvlan", "ipvtap"};
  return IS_ONE_OF(link->kind, kinds);
}

static bool joins_ports(const struct link *master) {
  return strcmp(master->kind, "vrf") != 0;
}

static const char *kind_of_master(const struct link *master) {
  static const char *const bonds[] = {"bond", "team"};
  return IS_ONE_OF(master->kind, bonds) ? "bond" : "bridge";
}

static int join_master(struct search *search, const struct link *port) {
  static const char *const plain[] = {"bridge", "bond", "team"};
  const struct link *master = search_link(search, port->master);
  if (master == NULL || !joins_ports(master)) {
    return 0;
  }
  struct join join = {
      .kind = kind_of_master(master),
      .device = master,
      .left = master,
      .right = port,
      .certain =
          port->up && master->up && !master->bridge_vlans && !port->bridge_isolated && IS_ONE_OF(master->kind, plain),
  };
  return join_wires(search, &join);
}

static int join_parent(struct search *search, const struct link *link) {
  const struct link *parent = link->peer_elsewhere ? NULL : search_link(search, link->parent);
  bool cable = strcmp(link->kind, "veth") == 0;
  if (parent == NULL || (!cable && !stands_on_its_parent(link))) {
    return 0;
  }
  struct join join = {
      .kind = cable ? "veth" : "macvlan",
      .device = link,
      .left = parent,
      .right = link,
      .certain = link->up && parent->up,
  };
  return join_wires(search, &join);
}

int search_for_wires(struct search *search) {
  const struct surroundings *surroundings = search->surroundings;
  struct wires *wires = ARENA_NEW(search->arena, struct wires);
  struct wire *items = ARENA_ARRAY(search->arena, surroundings->link_count, struct wire);
  if (wires == NULL || (items == NULL && surroundings->link_count > 0)) {
    return -ENOMEM;
  }
  wires->items = items;
  for (size_t i = 0; i < surroundings->link_count; i++) {
    zone_index zone = policy_zone_of_interface(search->policy, surroundings->links[i].name);
    items[i] = (struct wire){
        .parent = i, .zone = zone, .named = zone != ZONE_NONE ? &surroundings->links[i] : NULL, .certain = true};
  }
  search->wires = wires;
  int status = 0;
  for (size_t i = 0; status == 0 && i < surroundings->link_count; i++) {
    status = join_master(search, &surroundings->links[i]);
  }
  for (size_t i = 0; status == 0 && i < surroundings->link_count; i++) { /* then it is the cable that is told */
    status = join_parent(search, &surroundings->links[i]);
  }
  return status;
}

/* ---- what is odd about one zone's wire ---- */

/* The other ports, for people. */
static const char *siblings(const struct search *search, const struct link *port) {
  const char *text = "";
  for (size_t i = 0; text != NULL && i < search->surroundings->link_count; i++) {
    const struct link *link = &search->surroundings->links[i];
    if (link != port && link->master == port->master) {
      text = search_printf(search, "%s%s%s", text, text[0] != '\0' ? ", " : "", link->name);
    }
  }
  return text;
}

static int tell_stray(struct search *search, const struct link *port, const struct link *master, zone_index zone) {
  const char *others = siblings(search, port);
  const struct bypass finding = {
      .kind = kind_of_master(master), .state = BYPASS_UNKNOWN, .left = zone, .right = ZONE_NONE};
  bool alone = others == NULL || others[0] == '\0';
  return search_add(search, &finding,
                    search_printf(search,
                                  search_words(search, "%s は、方針にない %s につながっています%s%s",
                                               "%s is a port of %s, which the policy does not name%s%s"),
                                  search_describe(search, port->name), master->name,
                                  alone ? "" : search_words(search, "。ほかに ", "; other ports hear its frames: "),
                                  alone ? "" : others));
}

/* Ports that a zone names, of a bridge or bond that it does not name. */
int search_for_strays(struct search *search) {
  int status = 0;
  for (size_t i = 0; status == 0 && i < search->surroundings->link_count; i++) {
    const struct link *port = &search->surroundings->links[i];
    const struct link *master = search_link(search, port->master);
    zone_index zone = policy_zone_of_interface(search->policy, port->name);
    if (master == NULL || zone == ZONE_NONE || !joins_ports(master) ||
        search->wires->items[root_of(search->wires, i)].mixed) {
      continue;
    }
    if (policy_zone_of_interface(search->policy, master->name) == ZONE_NONE) {
      status = tell_stray(search, port, master, zone);
    }
  }
  return status;
}

int search_for_vrfs(struct search *search) {
  int status = 0;
  for (size_t i = 0; status == 0 && i < search->surroundings->link_count; i++) {
    const struct link *port = &search->surroundings->links[i];
    const struct link *master = search_link(search, port->master);
    zone_index zone = search_zone_of_link(search, port);
    if (master == NULL || zone == ZONE_NONE || strcmp(master->kind, "vrf") != 0) {
      continue;
    }
    const struct bypass finding = {.kind = "vrf", .state = BYPASS_UNKNOWN, .left = zone, .right = ZONE_NONE};
    status = search_add(search, &finding,
                        search_printf(search,
                                      search_words(search, "%s は VRF %s に入っており、規則には %s と見えます",
                                                   "%s is in VRF %s: the rules see %s in its place"),
                                      search_describe(search, port->name), master->name, master->name));
  }
  return status;
}

/* ---- tunnels ---- */

static bool is_tunnel(const struct link *link) {
  static const char *const kinds[] = {"vxlan",  "geneve",    "gre",       "gretap", "ip6gre", "ip6gretap",
                                      "erspan", "ip6erspan", "ipip",      "sit",    "vti",    "ip6tnl",
                                      "vti6",   "xfrm",      "wireguard", "l2tp",   "gtp",    "ppp",
                                      "amt",    "bareudp",   "ovpn",      "batadv", "pptp"};
  return IS_ONE_OF(link->kind, kinds);
}

/* A tunnel on a zone's wire is another way for its frames; one that is a zone's own interface is judged as such, unless
 * it is known to run over the wire of another zone. */
static int judge_tunnel(struct search *search, const struct link *tunnel) {
  zone_index own = policy_zone_of_interface(search->policy, tunnel->name);
  zone_index wire = search_zone_of_link(search, tunnel);
  const struct link *below = tunnel->peer_elsewhere ? NULL : search_link(search, tunnel->parent);
  zone_index under = below != NULL && below != tunnel ? search_zone_of_link(search, below) : ZONE_NONE;
  struct bypass finding = {.kind = "tunnel", .state = BYPASS_UNKNOWN, .left = wire, .right = under};
  if (own == ZONE_NONE && wire != ZONE_NONE) {
    return search_add(search, &finding,
                      search_printf(search,
                                    search_words(search, "トンネル %s（%s）が領域 %s の線につながっています",
                                                 "tunnel %s (%s) is joined to the wire of zone '%s'"),
                                    tunnel->name, tunnel->kind, policy_zone_name(search->policy, wire)));
  }
  if (own != ZONE_NONE && under != ZONE_NONE && under != own) {
    return search_add(search, &finding,
                      search_printf(search,
                                    search_words(search, "領域 %s のトンネル %s（%s）が %s の上を通っています",
                                                 "tunnel of zone '%s', %s (%s), runs over %s"),
                                    policy_zone_name(search->policy, own), tunnel->name, tunnel->kind,
                                    search_describe(search, below->name)));
  }
  return 0;
}

int search_for_tunnels(struct search *search) {
  int status = 0;
  for (size_t i = 0; status == 0 && i < search->surroundings->link_count; i++) {
    const struct link *link = &search->surroundings->links[i];
    status = is_tunnel(link) ? judge_tunnel(search, link) : 0;
  }
  return status;
}

/* The far end of a tun or tap device is a program's. It is taken for the zone's own network, as a cable would be. */
int search_for_tuns(struct search *search) {
  const char *names = "";
  for (size_t i = 0; names != NULL && i < search->surroundings->link_count; i++) {
    const struct link *link = &search->surroundings->links[i];
    if (strcmp(link->kind, "tun") == 0 && search_zone_of_link(search, link) != ZONE_NONE) {
      names = search_printf(search, "%s%s%s", names, names[0] != '\0' ? ", " : "", search_describe(search, link->name));
    }
  }
  if (names != NULL && names[0] == '\0') {
    return 0;
  }
  const struct bypass finding = {.kind = "tun", .state = BYPASS_ASSUMED, .left = ZONE_NONE, .right = ZONE_NONE};
  return search_add(search, &finding,
                    search_printf(search,
                                  search_words(search, "%s の相手はプログラムです。領域そのものとみなします",
                                               "a program holds the other end of %s: it is taken for the zone itself"),
                                  names));
}

/* ---- other namespaces ---- */

static int judge_passages(struct search *search, const struct passage *left, const struct passage *right) {
  const struct other_namespace *space = &search->surroundings->namespaces[left->space];
  bool bridged = space->looked && left->master != 0 && left->master == right->master;
  const struct bypass finding = {
      .kind = "namespace",
      .state = bridged                             ? BYPASS_OPEN
               : !space->looked || space->forwards ? BYPASS_UNKNOWN
                                                   : BYPASS_ASSUMED,
      .left = search_zone_of(search, left->link),
      .right = search_zone_of(search, right->link),
  };
  const char *tail =
      bridged           ? search_words(search, "、その中のブリッジで一本の線になっています", ", and are joined by a bridge there")
      : !space->looked  ? search_words(search, "ますが、中を見られません", ", which cannot be looked into")
      : space->forwards ? search_words(search, "、そこで転送をしています", ", which forwards")
                        : search_words(search, "ます（転送はしていません）", ", which does not forward");
  return search_add(search, &finding,
                    search_printf(search,
                                  search_words(search, "%s と %s がともに名前空間 %s に通じ%s",
                                               "%s and %s both lead into network namespace %s%s"),
                                  search_describe(search, left->link), search_describe(search, right->link),
                                  space->name, tail));
}

/* Each passage with the first one into the same namespace that is of another zone. */
int search_for_passages(struct search *search) {
  const struct surroundings *surroundings = search->surroundings;
  int status = 0;
  for (size_t i = 0; status == 0 && i < surroundings->passage_count; i++) {
    const struct passage *right = &surroundings->passages[i];
    zone_index zone = search_zone_of(search, right->link);
    for (size_t j = 0; status == 0 && zone != ZONE_NONE && j < i; j++) {
      const struct passage *left = &surroundings->passages[j];
      zone_index other = search_zone_of(search, left->link);
      if (left->space == right->space && other != ZONE_NONE && other != zone) {
        status = judge_passages(search, left, right);
        break;
      }
    }
  }
  return status;
}
