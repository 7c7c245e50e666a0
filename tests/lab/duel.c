/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "duel.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "rules/compile.h"

/*
 * Theory of operation
 *
 * Scenes are sent in batches. In front of each batch the connection table is emptied; within a batch no two scenes
 * share a connection (protocols without ports would: such a scene begins the next batch). Around a batch the named
 * counters are read, and what moved is compared with what policy_decide() would have moved, as a tally of (zone,
 * reason). Only when a tally is off is each scene of the batch run again alone, to find the culprit.
 */

enum { BATCH_MAX = 200, TALLY_MAX = 2048, KEY_SIZE = 64 };

struct tally_entry {
  char key[KEY_SIZE];   /* "lgwan/spoofed-source" */
  uint64_t least, most; /* expected */
  uint64_t seen;
};

struct tally {
  struct tally_entry entries[TALLY_MAX];
  size_t count;
};

int duel_load(struct duel_field *field, struct nftables *nftables, struct error *error) {
  struct compile_options options = {.now = field->circumstances.now,
                                    .own = field->circumstances.own,
                                    .restrictions = field->circumstances.restrictions,
                                    .half_open_seconds = field->half_open_seconds};
  struct arena *arena = arena_new(0);
  struct ruleset *ruleset;
  struct refusal refusal = {0};
  if (arena == NULL)
    return error_set(error, ENOMEM, "no memory");
  int code = ruleset_compile(field->policy, &options, arena, &ruleset, error);
  if (code == 0)
    code = nftables_apply(nftables, ruleset, options.now, NULL, &refusal, error);
  if (code < 0 && refusal.known)
    error_wrap(error, "refused: %s (%s)", refusal.what, refusal.origin.subject);
  arena_free(arena);
  return code;
}

/* ---- what is expected ---- */

static unsigned traits_of(const struct duel *duel) {
  const struct lab_frame_recipe *recipe = &duel->probe.recipe;
  unsigned traits = recipe->packet.traits;
  if (recipe->ip_option_length > 0)
    traits |= TRAIT_IP_OPTIONS;
  if (duel->probe.split > 0)
    traits |= TRAIT_FRAGMENT;
  for (size_t i = 0; i < recipe->extension_count; i++) {
    if (recipe->extensions[i].type == 0)
      traits |= TRAIT_HOP_BY_HOP;
    if (recipe->extensions[i].type == 43 && recipe->extensions[i].body[1] == 0)
      traits |= TRAIT_ROUTING_HEADER;
  }
  return traits;
}

static struct packet packet_of(const struct duel *duel) {
  struct packet packet = duel->probe.recipe.packet;
  packet.traits = traits_of(duel);
  packet.has_source_mac = duel->probe.interface != LAB_GATEWAY;
  packet.source_mac = duel->probe.recipe.source_mac;
  return packet;
}

static zone_index zone_of_interface(const struct duel_field *field, int interface) {
  if (interface == LAB_GATEWAY)
    return ZONE_GATEWAY;
  return policy_zone_of_interface(field->policy, lab_interface(field->lab, (size_t)interface)->name);
}

/* The first interface of a zone by the policy in question (the lab may have been built from another); -1. */
static int zone_interface(const struct duel_field *field, zone_index zone) {
  for (size_t i = 0; i < lab_interface_count(field->lab); i++)
    if (zone_of_interface(field, (int)i) == zone)
      return (int)i;
  return -1;
}

static bool is_neighbour_discovery(const struct packet *packet) {
  return packet->protocol == PROTOCOL_ICMPV6 && (packet->icmp_type == 135 || packet->icmp_type == 136);
}

static enum packet_role role_beside(const struct packet *packet, const struct packet *opener) {
  return address_equal(&packet->source, &opener->source) ? ROLE_ORIGINAL : ROLE_REPLY;
}

static void expect_role(struct duel *duel) {
  duel->query.role = ROLE_OPENS;
  if (duel->carried != NULL) {
    duel->query.opener = duel->carried->recipe.packet; /* its MAC is not kept with the connection */
    duel->query.role = role_beside(&duel->query.packet, &duel->query.opener);
  }
  if (duel->back == 0)
    return;
  const struct duel *opener = duel - duel->back;
  if (opener->expected == LAB_NOWHERE || is_neighbour_discovery(&opener->query.packet)) /* no connection */
    return;
  duel->query.opener = opener->query.packet;
  duel->query.role = duel->about ? ROLE_ERROR : role_beside(&duel->query.packet, &opener->query.packet);
}

static bool is_own_host(const struct address *address) {
  static const struct address zero4 = {.family = FAMILY_IPV4}, zero6 = {.family = FAMILY_IPV6},
                              loopback6 = {.family = FAMILY_IPV6, .bytes = {[15] = 1}};
  return (address->family == FAMILY_IPV4 && address->bytes[0] == 127) || address_equal(address, &zero4) ||
         address_equal(address, &zero6) || address_equal(address, &loopback6);
}

/* Multicast router discovery: some kernels track it, some do not, and so find it invalid or merely unwanted. */
static bool is_router_discovery(const struct packet *packet) {
  return packet->protocol == PROTOCOL_ICMPV6 && packet->icmp_type >= 151 && packet->icmp_type <= 153;
}

/* A query cannot say "out of an interface without a zone", nor "to all stations of a wire": it then speaks of the zone
 * of the destination. Such packets go nowhere, and any late reason is a true one. */
static bool loosely(const struct duel_field *field, const struct duel *duel, struct lab_route route) {
  bool early = duel->probe.interface != LAB_GATEWAY || duel->decision.reason != REASON_CUT;
  if (early && duel->decision.reason >= REASON_SPECIAL_SOURCE && duel->decision.reason <= REASON_TUNNEL)
    return false;
  return is_router_discovery(&duel->query.packet) || route.kind == LAB_ROUTE_NONE ||
         route.kind == LAB_ROUTE_BROADCAST ||
         (route.kind == LAB_ROUTE_INTERFACE && zone_of_interface(field, route.interface) == ZONE_NONE);
}

/* Packets that the kernel drops of itself, before any rule can count them. */
static bool is_uncounted(const struct packet *packet) {
  static const struct address loopback = {.family = FAMILY_IPV6, .bytes = {[15] = 1}};
  if (packet->source.family != FAMILY_IPV6)
    return false;
  return packet->source.bytes[0] == 0xff || address_equal(&packet->source, &loopback) ||
         address_equal(&packet->destination, &loopback);
}

/* Neighbour discovery with the gateway is only what was sent on this very wire. */
static void set_hop_limit(struct duel *duel, struct lab_route route) {
  if (is_neighbour_discovery(&duel->probe.recipe.packet))
    duel->probe.recipe.hop_limit = route.kind == LAB_ROUTE_LOCAL || duel->probe.interface == LAB_GATEWAY ? 255 : 64;
}

static void expect_one(const struct duel_field *field, struct duel *duel) {
  struct lab_route route = lab_route(field->lab, &duel->probe.recipe.packet.destination);
  set_hop_limit(duel, route);
  duel->route = route.kind;
  duel->query = (struct query){.packet = packet_of(duel), .in_zone = zone_of_interface(field, duel->probe.interface)};
  duel->query.out_zone = route.kind == LAB_ROUTE_LOCAL       ? ZONE_GATEWAY
                         : route.kind == LAB_ROUTE_INTERFACE ? zone_of_interface(field, route.interface)
                                                             : ZONE_NONE;
  duel->query.same_interface = duel->probe.interface != LAB_GATEWAY && route.kind == LAB_ROUTE_INTERFACE &&
                               route.interface == duel->probe.interface;
  expect_role(duel);
  duel->decision = policy_decide(field->policy, &field->circumstances, &duel->query);
  bool passes = duel->decision.allow && (route.kind == LAB_ROUTE_LOCAL || route.kind == LAB_ROUTE_INTERFACE);
  duel->expected = !passes ? LAB_NOWHERE : route.kind == LAB_ROUTE_LOCAL ? LAB_DELIVERED : LAB_FORWARDED;
  duel->expected_out = duel->expected == LAB_FORWARDED ? route.interface : LAB_GATEWAY;
  duel->uncounted = is_uncounted(&duel->query.packet);
  duel->unseen = duel->probe.interface == LAB_GATEWAY &&
                 (route.kind == LAB_ROUTE_LOCAL || is_own_host(&duel->query.packet.destination) ||
                  is_neighbour_discovery(&duel->query.packet)); /* which also leaves interfaces without a zone */
  duel->loose = loosely(field, duel, route);
  if (duel->loose || duel->uncounted)
    duel->expected = LAB_NOWHERE;
}

void duel_expect(const struct duel_field *field, struct duel *duels, size_t count) {
  for (size_t i = 0; i < count; i++)
    expect_one(field, &duels[i]);
}

/* ---- tallies of counters ---- */

static struct tally_entry *tally_entry(struct tally *tally, const char *key) {
  for (size_t i = 0; i < tally->count; i++)
    if (strcmp(tally->entries[i].key, key) == 0)
      return &tally->entries[i];
  if (tally->count == TALLY_MAX)
    return NULL;
  struct tally_entry *entry = &tally->entries[tally->count++];
  *entry = (struct tally_entry){0};
  snprintf(entry->key, sizeof(entry->key), "%s", key);
  return entry;
}

/* The kernel does not tell why no flow is in force. */
static const char *counted_reason(enum reason reason) {
  switch (reason) {
  case REASON_NO_FLOW_THIS_DIRECTION:
  case REASON_EXPIRED:
  case REASON_OUTSIDE_WINDOW:
    return reason_name(REASON_NO_FLOW);
  default:
    return reason_name(reason);
  }
}

static void tally_key(const struct duel_field *field, const struct duel *duel, char key[static KEY_SIZE]) {
  snprintf(key, KEY_SIZE, "%s/%s", policy_zone_name(field->policy, duel->query.in_zone),
           counted_reason(duel->decision.reason));
}

/* The guard counts each fragment, what is behind it the whole. */
static uint64_t count_most(const struct duel *duel) {
  return duel->probe.split > 0 ? 2 : 1;
}

static void tally_loosely(const struct duel_field *field, const struct duel *duel, struct tally *tally) {
  static const enum reason reasons[] = {REASON_CUT, REASON_UNKNOWN_ZONE, REASON_NO_FLOW, REASON_INVALID_STATE,
                                        REASON_ICMP};
  for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
    char key[KEY_SIZE];
    snprintf(key, KEY_SIZE, "%s/%s", policy_zone_name(field->policy, duel->query.in_zone), reason_name(reasons[i]));
    struct tally_entry *entry = tally_entry(tally, key);
    if (entry != NULL)
      entry->most += count_most(duel);
  }
}

/* An ICMP error is judged behind reassembly, but its later fragments, which do not say what they are, in the guard:
 * where no flow joins the zones they are denied there as anything else is, and the first one waits for them in vain. */
static bool is_split_icmp(const struct duel *duel) {
  uint8_t protocol = duel->query.packet.protocol;
  bool late = duel->decision.reason == REASON_INVALID_STATE || duel->decision.reason == REASON_ICMP;
  return duel->probe.split > 0 && late && (protocol == PROTOCOL_ICMP || protocol == PROTOCOL_ICMPV6);
}

/* Counted with all other fragments, which are left out here; a later one does not say what it is. */
static bool is_split_discovery(const struct duel *duel) {
  return duel->decision.reason == REASON_FRAGMENT;
}

static void tally_expect(const struct duel_field *field, const struct duel *duel, struct tally *tally) {
  if (duel->loose || duel->unseen || duel->uncounted || is_split_icmp(duel) || is_split_discovery(duel)) {
    tally_loosely(field, duel, tally);
    return;
  }
  if (duel->decision.allow || duel->uncounted)
    return;
  char key[KEY_SIZE];
  tally_key(field, duel, key);
  struct tally_entry *entry = tally_entry(tally, key);
  if (entry == NULL)
    return;
  entry->least++;
  entry->most += count_most(duel);
  if (duel->probe.split > 0 && duel->decision.reason == REASON_TUNNEL)
    tally_loosely(field, duel, tally); /* a later fragment does not say that it is Teredo */
}

/* "guard.lgwan.spoofed-source", "denied.lgwan.internet.no-flow" to "lgwan/spoofed-source", "lgwan/no-flow". */
static bool key_of_counter(const char *name, char key[static KEY_SIZE]) {
  bool guard = strncmp(name, "guard.", 6) == 0;
  if (!guard && strncmp(name, "denied.", 7) != 0)
    return false;
  const char *zone = strchr(name, '.') + 1;
  const char *reason = strrchr(name, '.') + 1;
  size_t length = strcspn(zone, ".");
  snprintf(key, KEY_SIZE, "%.*s/%s", (int)length, zone, reason);
  return true;
}

static bool is_fragment_count(const char *key) {
  return strstr(key, "/fragment") != NULL;
}

static void tally_see(struct tally *tally, const struct lab_counters *before, const struct lab_counters *after) {
  for (size_t i = 0; i < after->count; i++) {
    uint64_t moved = after->items[i].packets - lab_counter_value(before, after->items[i].name);
    char key[KEY_SIZE];
    if (moved == 0 || !key_of_counter(after->items[i].name, key) || is_fragment_count(key))
      continue; /* fragments are counted, not denied, there */
    struct tally_entry *entry = tally_entry(tally, key);
    if (entry != NULL)
      entry->seen += moved;
  }
}

static const char *key_reason(const char *key) {
  return strchr(key, '/') + 1;
}

/* Moves what one tally has too much of to others of its reason: first where something must have moved, then where it
 * may. */
static void give_away(struct tally *tally, struct tally_entry *unnamed, bool must) {
  for (size_t i = 0; i < tally->count && unnamed->seen > unnamed->least; i++) {
    struct tally_entry *entry = &tally->entries[i];
    uint64_t room = must ? entry->least : entry->most;
    if (entry == unnamed || strcmp(key_reason(entry->key), key_reason(unnamed->key)) != 0 || entry->seen >= room)
      continue;
    uint64_t spare = unnamed->seen - unnamed->least, lacks = room - entry->seen;
    uint64_t moved = spare < lacks ? spare : lacks;
    entry->seen += moved;
    unnamed->seen -= moved;
  }
}

/* What is denied between interfaces that no flow joins is counted without the names of their zones. */
static void spread_unnamed(struct tally *tally) {
  for (size_t i = 0; i < tally->count; i++)
    if (strncmp(tally->entries[i].key, "-/", 2) == 0) {
      give_away(tally, &tally->entries[i], true);
      give_away(tally, &tally->entries[i], false);
    }
}

/* What the gateway's own stack answers is not ours to predict: only too few is wrong there. */
static bool tally_holds(const struct tally *tally, const char **ret_key) {
  for (size_t i = 0; i < tally->count; i++) {
    const struct tally_entry *entry = &tally->entries[i];
    bool own = strncmp(entry->key, "gateway/", 8) == 0;
    if (entry->seen < entry->least || (!own && entry->seen > entry->most)) {
      *ret_key = entry->key;
      return false;
    }
  }
  return true;
}

/* ---- running ---- */

static bool has_ports(uint8_t protocol) {
  return protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP || protocol == PROTOCOL_ICMP ||
         protocol == PROTOCOL_ICMPV6 || protocol == 132;
}

static bool same_ends(const struct packet *left, const struct packet *right) {
  return left->protocol == right->protocol &&
         ((address_equal(&left->source, &right->source) && address_equal(&left->destination, &right->destination)) ||
          (address_equal(&left->source, &right->destination) && address_equal(&left->destination, &right->source)));
}

/* Half-open connections to one destination have so many slots; the port says which, without its lowest bit. */
static unsigned slot_of(const struct duel_field *field, const struct packet *packet) {
  unsigned slots = 1;
  while (slots * 2 <= field->policy->header.half_open_limit && slots < 65536)
    slots *= 2;
  return slots == 65536 ? packet->source_port : packet->source_port / 2 % slots;
}

static bool same_slot(const struct duel_field *field, const struct packet *left, const struct packet *right) {
  return left->protocol == PROTOCOL_TCP && right->protocol == PROTOCOL_TCP &&
         address_equal(&left->destination, &right->destination) && slot_of(field, left) == slot_of(field, right);
}

/* Whether the scene at `next` would meet a connection of an earlier scene of the batch. */
static bool scene_collides(const struct duel_field *field, const struct duel *batch, size_t count,
                           const struct duel *next) {
  for (size_t i = 0; i < count; i++)
    if (same_slot(field, &batch[i].probe.recipe.packet, &next->probe.recipe.packet))
      return true;
  if (has_ports(next->probe.recipe.packet.protocol))
    return false;
  for (size_t i = 0; i < count; i++)
    if (same_ends(&batch[i].probe.recipe.packet, &next->probe.recipe.packet))
      return true;
  return false;
}

static size_t scene_length(const struct duel *duels, size_t count) {
  size_t length = 1;
  while (length < count && !duels[length].starts_scene)
    length++;
  return length;
}

static size_t batch_length(const struct duel_field *field, const struct duel *duels, size_t count) {
  size_t length = scene_length(duels, count);
  while (length < count) {
    size_t scene = scene_length(duels + length, count - length);
    if (length + scene > BATCH_MAX || scene_collides(field, duels, length, duels + length))
      break;
    length += scene;
  }
  return length;
}

static int send_batch(struct duel_field *field, struct duel *duels, size_t count) {
  struct lab_probe probes[BATCH_MAX];
  if (count > BATCH_MAX)
    return -E2BIG;
  for (size_t i = 0; i < count; i++)
    probes[i] = duels[i].probe;
  int code = lab_forget_connections(field->lab);
  if (code == 0)
    code = lab_run(field->lab, probes, count);
  for (size_t i = 0; i < count; i++)
    duels[i].probe = probes[i];
  return code;
}

static bool verdict_agrees(const struct duel *duel) {
  if (duel->unseen)
    return true;
  return duel->probe.outcome == duel->expected &&
         (duel->expected != LAB_FORWARDED || duel->probe.out == duel->expected_out);
}

/* Sends the duels; true in *ret_reasons when the counters moved as expected, else *ret_key is a tally that is off. */
static int try_batch(struct duel_field *field, struct duel *duels, size_t count, struct tally *tally,
                     const char **ret_key) {
  struct lab_counters before = {0}, after = {0};
  struct arena *arena = arena_new(0);
  tally->count = 0;
  *ret_key = NULL;
  int code = arena == NULL ? -ENOMEM : lab_read_counters(field->lab, arena, &before);
  if (code == 0)
    code = send_batch(field, duels, count);
  if (code == 0)
    code = lab_read_counters(field->lab, arena, &after);
  for (size_t i = 0; i < count; i++)
    tally_expect(field, &duels[i], tally);
  tally_see(tally, &before, &after);
  spread_unnamed(tally);
  if (tally_holds(tally, ret_key))
    *ret_key = NULL;
  arena_free(arena);
  return code;
}

static void print_tally(FILE *stream, const struct tally *tally) {
  for (size_t i = 0; i < tally->count; i++)
    fprintf(stream, "    counter %s: moved by %llu, expected %llu to %llu\n", tally->entries[i].key,
            (unsigned long long)tally->entries[i].seen, (unsigned long long)tally->entries[i].least,
            (unsigned long long)tally->entries[i].most);
}

static void report(struct duel_field *field, const struct duel *scene, size_t count, const struct tally *tally) {
  field->disagreements++;
  if (field->log == NULL || field->disagreements > field->log_limit)
    return;
  fprintf(field->log, "DISAGREEMENT %zu\n", field->disagreements);
  for (size_t i = 0; i < count; i++)
    duel_print(field->log, field, &scene[i]);
  if (tally != NULL)
    print_tally(field->log, tally);
}

/* What was off when all were sent together. */
static void print_batch(const struct duel_field *field, const struct duel *duels, size_t count,
                        const struct tally *tally) {
  if (field->log == NULL)
    return;
  for (size_t i = 0; i < tally->count; i++)
    if (tally->entries[i].seen < tally->entries[i].least || tally->entries[i].seen > tally->entries[i].most)
      fprintf(field->log, "    in the batch: counter %s moved by %llu, expected %llu to %llu\n", tally->entries[i].key,
              (unsigned long long)tally->entries[i].seen, (unsigned long long)tally->entries[i].least,
              (unsigned long long)tally->entries[i].most);
  for (size_t i = 0; i < count; i++)
    if (!verdict_agrees(&duels[i]))
      duel_print(field->log, field, &duels[i]);
}

/* Each scene alone, to name the one that is to blame. */
static int find_culprits(struct duel_field *field, struct duel *duels, size_t count, struct tally *tally) {
  size_t before = field->disagreements;
  print_batch(field, duels, count, tally);
  for (size_t i = 0; i < count;) {
    size_t length = scene_length(duels + i, count - i);
    const char *key;
    int code = try_batch(field, duels + i, length, tally, &key);
    if (code < 0)
      return code;
    bool agree = key == NULL;
    for (size_t j = 0; j < length; j++)
      agree = agree && verdict_agrees(&duels[i + j]);
    if (!agree)
      report(field, duels + i, length, tally);
    i += length;
  }
  if (field->disagreements == before) {
    field->disagreements++;
    if (field->log != NULL)
      fprintf(field->log, "DISAGREEMENT in a batch of %zu that no scene shows alone: '%s'\n", count, duels[0].label);
  }
  return 0;
}

static void count_batch(struct duel_field *field, const struct duel *duels, size_t count) {
  for (size_t i = 0; i < count; i++) {
    field->compared++;
    field->allowed += duels[i].decision.allow ? 1 : 0;
    field->reasons_compared += duels[i].decision.allow ? 0 : 1;
    field->per_reason[duels[i].decision.reason]++;
  }
}

long duel_run(struct duel_field *field, struct duel *duels, size_t count) {
  size_t before = field->disagreements;
  struct tally *tally = calloc(1, sizeof(*tally));
  if (tally == NULL)
    return -ENOMEM;
  duel_expect(field, duels, count);
  int code = 0;
  for (size_t i = 0; i < count && code == 0;) {
    size_t length = batch_length(field, duels + i, count - i);
    const char *key;
    code = try_batch(field, duels + i, length, tally, &key);
    bool agree = key == NULL;
    for (size_t j = 0; j < length; j++)
      agree = agree && verdict_agrees(&duels[i + j]);
    if (code == 0 && !agree)
      code = find_culprits(field, duels + i, length, tally);
    count_batch(field, duels + i, length);
    i += length;
  }
  free(tally);
  return code < 0 ? code : (long)(field->disagreements - before);
}

/* On which wire the addressed end stands: where its answer comes from. */
static int answering_interface(const struct duel_field *field, const struct address *address) {
  struct lab_route route = lab_route(field->lab, address);
  return route.kind == LAB_ROUTE_INTERFACE ? route.interface : LAB_GATEWAY;
}

/* ---- connections that outlive a policy ---- */

int duel_open_connections(struct duel_field *field, struct lab_probe *openers, size_t count) {
  int code = lab_forget_connections(field->lab);
  if (code == 0)
    code = lab_run(field->lab, openers, count);
  for (size_t i = 0; i < count && code == 0; i++)
    if (openers[i].outcome == LAB_NOWHERE)
      code = -EPROTO;
  return code;
}

static bool opens_alone(const struct duel_field *field, const struct lab_probe *chosen, size_t count,
                        const struct packet *packet) {
  for (size_t i = 0; i < count; i++)
    if (same_slot(field, &chosen[i].recipe.packet, packet) ||
        (same_ends(&chosen[i].recipe.packet, packet) && !has_ports(packet->protocol)))
      return false;
  return true;
}

size_t duel_choose_connections(const struct duel_field *field, const struct duel *duels, size_t count,
                               struct lab_probe *ret_openers, size_t limit) {
  size_t chosen = 0;
  for (size_t i = 0; i < count && chosen < limit; i++) {
    const struct duel *duel = &duels[i];
    if (duel->starts_scene && duel->decision.allow && duel->expected != LAB_NOWHERE && !duel->unseen &&
        duel->probe.split == 0 && duel->probe.recipe.hop_limit == 0 && verdict_agrees(duel) &&
        opens_alone(field, ret_openers, chosen, &duel->probe.recipe.packet))
      ret_openers[chosen++] = duel->probe;
  }
  return chosen;
}

/* The next packet in the direction of the opener. */
static struct lab_frame_recipe next_of(const struct lab_frame_recipe *opener) {
  struct lab_frame_recipe next = *opener, answer = lab_frame_answer(opener);
  if (opener->packet.protocol == PROTOCOL_TCP) {
    next.packet.tcp_flags = TCP_ACK;
    next.tcp_sequence = answer.tcp_acknowledgement;
    next.tcp_acknowledgement = answer.tcp_sequence + 1 + LAB_FRAME_TAIL_SIZE;
  }
  return next;
}

static void add_follower(const struct duel_field *field, struct duel_list *list, const struct lab_probe *opener,
                         bool answers) {
  struct duel *duel = duel_add(list, answers ? "answer to an earlier connection" : "an earlier connection goes on");
  if (duel == NULL)
    return;
  duel->carried = opener;
  duel->probe.interface = answers ? answering_interface(field, &opener->recipe.packet.destination) : opener->interface;
  duel->probe.recipe = answers ? lab_frame_answer(&opener->recipe) : next_of(&opener->recipe);
  duel->probe.recipe.source_mac = lab_mac_of(field->policy, &duel->probe.recipe.packet.source);
}

long duel_follow_connections(struct duel_field *field, const struct lab_probe *openers, size_t count) {
  struct duel_list list = {0};
  size_t before = field->disagreements;
  for (size_t i = 0; i < count; i++) { /* a TCP answer must come first; else either may meet the new policy first */
    bool answer_first = openers[i].recipe.packet.protocol == PROTOCOL_TCP || i % 2 == 0;
    add_follower(field, &list, &openers[i], answer_first);
    add_follower(field, &list, &openers[i], !answer_first);
  }
  duel_expect(field, list.items, list.count);
  int code = 0;
  for (size_t i = 0; i < list.count && code == 0; i++) {
    struct duel *duel = &list.items[i];
    /* A TCP connection whose answer was refused cannot go on, whatever the policy thinks of its next packet. */
    if (i % 2 == 1 && duel->probe.recipe.packet.protocol == PROTOCOL_TCP && duel[-1].expected == LAB_NOWHERE)
      duel->unseen = duel->expected != LAB_NOWHERE;
    code = lab_run(field->lab, &duel->probe, 1);
    if (code == 0 && !verdict_agrees(&list.items[i]))
      report(field, &list.items[i], 1, NULL);
  }
  count_batch(field, list.items, list.count);
  duel_list_clear(&list);
  return code < 0 ? code : (long)(field->disagreements - before);
}

/* ---- lists of duels ---- */

struct duel *duel_add(struct duel_list *list, const char *format, ...) {
  if (list->count == list->capacity) {
    size_t capacity = list->capacity > 0 ? list->capacity * 2 : 256;
    struct duel *items = realloc(list->items, capacity * sizeof(*items));
    if (items == NULL)
      return NULL;
    list->items = items;
    list->capacity = capacity;
  }
  struct duel *duel = &list->items[list->count++];
  memset(duel, 0, sizeof(*duel));
  duel->starts_scene = true;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(duel->label, sizeof(duel->label), format, arguments);
  va_end(arguments);
  return duel;
}

void duel_list_clear(struct duel_list *list) {
  free(list->items);
  *list = (struct duel_list){0};
}

void duel_set_packet(const struct duel_field *field, struct duel *duel, int interface, const struct address *source,
                     const struct address *destination, uint8_t protocol, uint16_t port_or_type, unsigned number) {
  struct lab_frame_recipe *recipe = &duel->probe.recipe;
  struct packet *packet = &recipe->packet;
  duel->probe.interface = interface;
  packet->source = *source;
  packet->destination = *destination;
  packet->protocol = protocol;
  recipe->source_mac = lab_mac_of(field->policy, source);
  if (protocol == PROTOCOL_ICMP || protocol == PROTOCOL_ICMPV6) {
    packet->icmp_type = (uint8_t)port_or_type;
    recipe->icmp_id = (uint16_t)number;
  } else if (has_ports(protocol)) {
    packet->source_port = (uint16_t)(20000 + number % 40000);
    packet->destination_port = port_or_type;
  }
  if (protocol == PROTOCOL_TCP) {
    packet->tcp_flags = TCP_SYN;
    recipe->tcp_sequence = 1000 + number;
  }
}

struct duel *duel_add_answer(const struct duel_field *field, struct duel_list *list, unsigned back, const char *label) {
  struct duel *duel = duel_add(list, "%s", label);
  if (duel == NULL)
    return NULL;
  const struct lab_frame_recipe *opener = &duel[-(long)back].probe.recipe;
  duel->starts_scene = false;
  duel->back = back;
  duel->probe.recipe = lab_frame_answer(opener);
  duel->probe.recipe.extension_count = 0;
  duel->probe.recipe.ip_option_length = 0;
  duel->probe.interface = answering_interface(field, &opener->packet.destination);
  duel->probe.recipe.source_mac = lab_mac_of(field->policy, &opener->packet.destination);
  return duel;
}

struct duel *duel_add_error(const struct duel_field *field, struct duel_list *list, unsigned back, uint8_t type,
                            uint8_t code, const char *label) {
  struct duel *duel = duel_add(list, "%s", label);
  if (duel == NULL)
    return NULL;
  const struct lab_frame_recipe *opener = &duel[-(long)back].probe.recipe;
  struct lab_frame whole;
  size_t length;
  if (lab_frame_build(opener, &whole) < 0)
    return NULL;
  const uint8_t *quoted = lab_frame_packet(&whole, &length);
  struct lab_frame_recipe *recipe = &duel->probe.recipe;
  duel->starts_scene = false;
  duel->back = back;
  duel->about = true;
  duel->probe.interface = answering_interface(field, &opener->packet.destination);
  recipe->packet.source = opener->packet.destination;
  recipe->packet.destination = opener->packet.source;
  recipe->packet.protocol = opener->packet.source.family == FAMILY_IPV6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP;
  recipe->packet.icmp_type = type;
  recipe->packet.icmp_code = code;
  recipe->source_mac = lab_mac_of(field->policy, &recipe->packet.source);
  recipe->payload = arena_memdup(field->scratch, quoted, length);
  recipe->payload_length = recipe->payload != NULL ? length : 0;
  return duel;
}

/* ---- generators ---- */

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
      int interface = zone_interface(field, peer);
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
  if (interface >= 0 && zone_of_interface(field, interface) == zone)
    return interface;
  return zone_interface(field, zone);
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
  int interface = peer >= 0 ? zone_interface(field, peer) : -1;
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

/* ---- printing ---- */

static const char *interface_name(const struct duel_field *field, int interface) {
  return interface == LAB_GATEWAY ? "gateway" : lab_interface(field->lab, (size_t)interface)->name;
}

static const char *outcome_text(const struct duel_field *field, enum lab_outcome outcome, int out,
                                char text[static 40]) {
  if (outcome == LAB_FORWARDED)
    snprintf(text, 40, "out of %s", interface_name(field, out));
  else
    snprintf(text, 40, "%s", outcome == LAB_DELIVERED ? "delivered" : "dropped");
  return text;
}

void duel_print(FILE *stream, const struct duel_field *field, const struct duel *duel) {
  const struct packet *packet = &duel->query.packet;
  char source[ADDRESS_TEXT_SIZE], destination[ADDRESS_TEXT_SIZE], mac[MAC_TEXT_SIZE], want[40], got[40];
  fprintf(
      stream, "  '%s': in %s (%s) %s -> %s proto %u ports %u -> %u type %u/%u flags %02x traits %x mac %s role %d\n",
      duel->label, interface_name(field, duel->probe.interface), policy_zone_name(field->policy, duel->query.in_zone),
      address_format(&packet->source, source), address_format(&packet->destination, destination), packet->protocol,
      packet->source_port, packet->destination_port, packet->icmp_type, packet->icmp_code, packet->tcp_flags,
      packet->traits, mac_format(&duel->probe.recipe.source_mac, mac), (int)duel->query.role);
  fprintf(stream, "    policy: %s (%s%s%s), kernel: %s\n",
          outcome_text(field, duel->expected, duel->expected_out, want), reason_name(duel->decision.reason),
          duel->decision.flow != NULL ? ", " : "", duel->decision.flow != NULL ? duel->decision.flow->name : "",
          outcome_text(field, duel->probe.outcome, duel->probe.out, got));
}

void duel_print_summary(FILE *stream, const struct duel_field *field, const char *title) {
  fprintf(stream, "%s: %zu packets compared, %zu allowed, %zu denials with their reason, %zu disagreements\n", title,
          field->compared, field->allowed, field->reasons_compared, field->disagreements);
  for (int i = 0; i < REASON_COUNT_; i++)
    if (field->per_reason[i] > 0)
      fprintf(stream, "  %-24s %zu\n", reason_name((enum reason)i), field->per_reason[i]);
}
