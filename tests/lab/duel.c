/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "duel.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "duel_parts.h"
#include "rules/compile.h"

/*
 * Theory of operation
 *
 * Scenes are sent in batches. In front of each batch the connection table is emptied; within a batch no two scenes
 * share a connection (protocols without ports would: such a scene begins the next batch). Around a batch the named
 * counters are read, and what moved is compared with what policy_decide() would have moved, as a tally of (zone,
 * reason). Only when a tally is off is each scene of the batch run again alone, to find the culprit.
 */

enum { BATCH_MAX = 200 };

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

bool duel_lost_error(const struct duel *duel) {
  return duel->about && duel->expected != LAB_NOWHERE && duel->probe.outcome == LAB_NOWHERE;
}

static bool verdict_agrees(const struct duel_field *field, const struct duel *duel) {
  if (duel->unseen || (field->errors_may_be_lost && duel_lost_error(duel)))
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
    duel_tally_expect(field, &duels[i], tally);
  duel_tally_see(tally, &before, &after);
  duel_tally_spread(tally);
  if (field->verdicts_only || duel_tally_holds(tally, ret_key))
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
    if (!verdict_agrees(field, &duels[i]))
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
      agree = agree && verdict_agrees(field, &duels[i + j]);
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
      agree = agree && verdict_agrees(field, &duels[i + j]);
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
        duel->probe.split == 0 && duel->probe.recipe.hop_limit == 0 && verdict_agrees(field, duel) &&
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
    if (code == 0 && !verdict_agrees(field, &list.items[i]))
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
