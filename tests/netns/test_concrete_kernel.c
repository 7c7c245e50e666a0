/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The concrete meaning against the kernel: random rulesets are loaded, random packets really sent, and what becomes of
 * each must be what concrete_judge() says of the rules as they are read back.
 *
 * Which packets the gateway loses without any rule (martians, broadcasts) is seen beforehand; those prove nothing.
 *
 *   test_concrete_kernel [--rulesets N] [--seconds N] [--seed N] [--rules FILE]
 *
 * KIDO_RULESETS in the environment does as --rulesets. A disagreement prints the ruleset, its seed and the steps.
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lab.h"
#include "live.h"
#include "proof/concrete.h"
#include "random_policy.h"
#include "random_rules.h"
#include "town.h"

enum {
  FRAMES = 300,
  SHOTS = 40,
  SHOWN = 3,
  STATUS_SEEN_REPLY = 2,
  UNHEARD = 99 /* a protocol for which the lab has no ears */
};

/* One frame and what became of it. */
struct shot {
  struct lab_frame_recipe recipe;
  struct lab_frame frame;
  int interface; /* that it comes in by; LAB_GATEWAY: the gateway sends it */
  enum situation_path path;
  int out;
  bool came_out;
  enum situation_tracking tracking;
  struct concrete_result judged;
};

struct field {
  struct lab *lab;
  struct arena *arena; /* of one ruleset */
  struct dice dice;
  const struct live_ruleset *ruleset;
  const char *text;
  const char *given; /* a ruleset instead of random ones */
  uint64_t seed;
  struct surroundings surroundings;
  struct shot *shots;
  size_t shot_count;
  uint64_t first_number, next_number;
  unsigned long rulesets, refused, compared, accepted, later, disagreements;
};

/* ---- sending ---- */

struct batch {
  struct shot *shots;
  size_t count;
  uint64_t first_number;
};

static void note(const struct lab_seen *seen, void *context) {
  struct batch *batch = context;
  uint64_t index = seen->sight.probe - batch->first_number;
  if (!seen->sight.has_probe || index >= batch->count)
    return;
  struct shot *shot = &batch->shots[index];
  const struct packet *sent = &shot->recipe.packet;
  if (!address_equal(&seen->sight.packet.source, &sent->source) ||
      !address_equal(&seen->sight.packet.destination, &sent->destination))
    return; /* an error that quotes it */
  shot->came_out = true;
  shot->out = seen->interface;
}

static void send_shots(struct field *field, struct shot *shots, size_t count) {
  struct batch batch = {shots, count, field->next_number};
  field->next_number += count;
  for (size_t i = 0; i < count; i++) {
    struct shot *shot = &shots[i];
    shot->recipe.probe = batch.first_number + i;
    shot->came_out = false;
    if (shot->interface != LAB_GATEWAY)
      shot->recipe.destination_mac = lab_interface(field->lab, (size_t)shot->interface)->mac;
    if (lab_frame_build(&shot->recipe, &shot->frame) < 0)
      continue;
    if (shot->interface == LAB_GATEWAY)
      (void)lab_send_from_gateway(field->lab, &shot->frame);
    else
      (void)lab_send(field->lab, shot->interface, &shot->frame);
  }
  while (lab_collect(field->lab, 0, note, &batch) > 0)
    ;
}

/* ---- making packets ---- */

static struct address any_address(struct field *field, bool ipv6) {
  const char *const *pool = ipv6 ? random_rules_ipv6 : random_rules_ipv4;
  struct address address = {0};
  (void)address_parse(pool[dice_below(&field->dice, (unsigned)random_rules_count(pool))], &address);
  if (dice_percent(&field->dice, 20))
    address.bytes[ipv6 ? 15 : 3] ^= (uint8_t)(1 << dice_below(&field->dice, 4));
  return address;
}

static struct address own_address(struct field *field, bool ipv6) {
  const struct lab_interface *interface =
      lab_interface(field->lab, dice_below(&field->dice, (unsigned)lab_interface_count(field->lab)));
  return ipv6 ? interface->ipv6 : interface->ipv4;
}

static uint16_t any_port(struct dice *dice) {
  unsigned port = random_rules_ports[dice_below(dice, 11)];
  return (uint16_t)(dice_percent(dice, 70) ? port : port + dice_below(dice, 3) - 1);
}

static void make_transport(struct field *field, struct lab_frame_recipe *recipe, bool ipv6) {
  struct dice *dice = &field->dice;
  static const uint8_t flags[] = {TCP_SYN, TCP_SYN,           TCP_SYN,           TCP_SYN,
                                  TCP_ACK, TCP_SYN | TCP_ACK, TCP_FIN | TCP_ACK, TCP_RST};
  static const uint8_t others[] = {50, 89, 200, UNHEARD};
  static const uint8_t options[] = {2, 4, 5, 0xb4, 1, 3, 3, 7}; /* MSS 1460, a pause, window scale 7 */
  unsigned chance = dice_below(dice, 100);
  struct packet *packet = &recipe->packet;
  packet->protocol = chance < 40   ? PROTOCOL_TCP
                     : chance < 75 ? PROTOCOL_UDP
                     : chance < 90 ? (ipv6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP)
                                   : others[dice_below(dice, sizeof(others))];
  packet->source_port = any_port(dice);
  packet->destination_port = any_port(dice);
  packet->icmp_type = ipv6 ? (uint8_t)(128 + dice_percent(dice, 20)) : dice_percent(dice, 80) ? 8 : 0;
  recipe->icmp_id = (uint16_t)dice_throw(dice);
  packet->tcp_flags = flags[dice_below(dice, sizeof(flags))];
  recipe->tcp_sequence = (uint32_t)dice_throw(dice);
  recipe->tcp_acknowledgement = (uint32_t)dice_throw(dice);
  if (packet->protocol == PROTOCOL_TCP && dice_percent(dice, 40)) {
    recipe->tcp_options = options;
    recipe->tcp_option_length = dice_percent(dice, 50) ? 4 : 8;
  }
}

/* hop-by-hop, destination options, a routing header of type 0 that is used up, a fragment header of a whole packet. */
static void make_extensions(struct field *field, struct lab_frame_recipe *recipe) {
  static const struct lab_frame_extension known[] = {{0, {0, 1, 4}, 7}, {60, {0, 1, 4}, 7}, {43, {0, 0, 0}, 7}};
  for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
    if (dice_percent(&field->dice, 40))
      recipe->extensions[recipe->extension_count++] = known[i];
}

/* Only where conntrack sleeps: it would keep them. */
static void make_fragment(struct field *field, struct lab_frame_recipe *recipe) {
  unsigned offset = dice_percent(&field->dice, 50) ? 0 : 8 * (1 + dice_below(&field->dice, 20));
  recipe->extensions[recipe->extension_count++] = (struct lab_frame_extension){
      44, {0, (uint8_t)(offset >> 8), (uint8_t)(offset | dice_below(&field->dice, 2)), 0, 0, 0, 9}, 7};
}

static void make_ipv4_options(struct field *field, struct lab_frame_recipe *recipe) {
  static const uint8_t options[] = {1, 1, 1, 1, 0x94, 4, 0, 0};
  recipe->ip_options = dice_percent(&field->dice, 50) ? options : options + 4;
  recipe->ip_option_length = 4;
}

static void make_shot(struct field *field, struct shot *shot, bool fragments) {
  static const uint8_t words[] = "seven words of payload that nobody reads";
  struct dice *dice = &field->dice;
  bool ipv6 = dice_percent(dice, 40);
  *shot = (struct shot){.interface = (int)dice_below(dice, (unsigned)lab_interface_count(field->lab))};
  struct lab_frame_recipe *recipe = &shot->recipe;
  recipe->packet.source = any_address(field, ipv6);
  recipe->packet.destination = dice_percent(dice, 12) ? own_address(field, ipv6) : any_address(field, ipv6);
  if (dice_percent(dice, 12)) {
    shot->interface = LAB_GATEWAY;
    recipe->packet.source = own_address(field, ipv6);
  }
  make_transport(field, recipe, ipv6);
  recipe->source_mac = (struct mac){{2, 1, 10, 0, 0, (uint8_t)dice_below(dice, 8)}};
  recipe->hop_limit = (uint8_t)(dice_percent(dice, 50) ? 64 : 60 + dice_below(dice, 8));
  recipe->ip_id = (uint16_t)(1 + dice_below(dice, 65535));
  recipe->payload = words;
  recipe->payload_length = dice_below(dice, sizeof(words));
  if (ipv6 && shot->interface != LAB_GATEWAY && dice_percent(dice, 20))
    make_extensions(field, recipe);
  if (ipv6 && shot->interface != LAB_GATEWAY && fragments && dice_percent(dice, 10))
    make_fragment(field, recipe);
  if (!ipv6 && shot->interface != LAB_GATEWAY && dice_percent(dice, 8))
    make_ipv4_options(field, recipe);
}

/* How conntrack sees a packet that belongs to nothing that it knows. */
static enum situation_tracking first_tracking(const struct packet *packet) {
  if (packet->protocol == PROTOCOL_TCP)
    return packet->tcp_flags == TCP_SYN ? TRACKING_OPENS : TRACKING_INVALID;
  if (packet->protocol == PROTOCOL_ICMP)
    return packet->icmp_type == 8 ? TRACKING_OPENS : TRACKING_INVALID;
  if (packet->protocol == PROTOCOL_ICMPV6)
    return packet->icmp_type == 128 ? TRACKING_OPENS : TRACKING_INVALID;
  return TRACKING_OPENS;
}

static bool may_share_connection(const struct packet *left, const struct packet *right) {
  if (left->protocol != right->protocol)
    return false;
  bool same = address_equal(&left->source, &right->source) && address_equal(&left->destination, &right->destination);
  bool turned = address_equal(&left->source, &right->destination) && address_equal(&left->destination, &right->source);
  return same || turned;
}

/* Keeps what comes out of a gateway without rules, each of another connection. */
static void make_shots(struct field *field, bool fragments) {
  size_t kept = 0;
  for (size_t i = 0; i < FRAMES; i++)
    make_shot(field, &field->shots[i], fragments);
  send_shots(field, field->shots, FRAMES);
  for (size_t i = 0; i < FRAMES; i++) {
    struct shot *shot = &field->shots[i];
    if (!shot->came_out)
      continue;
    shot->path = shot->out == LAB_GATEWAY ? PATH_INPUT : shot->interface == LAB_GATEWAY ? PATH_OUTPUT : PATH_FORWARD;
    shot->tracking = first_tracking(&shot->recipe.packet);
    if ((shot->interface != LAB_GATEWAY || shot->out != LAB_GATEWAY) &&
        !address_equal(&shot->recipe.packet.source, &shot->recipe.packet.destination))
      field->shots[kept++] = *shot;
  }
  field->shot_count = kept;
}

/* ---- judging ---- */

static const char *name_of(const struct field *field, int interface) {
  return interface == LAB_GATEWAY ? NULL : lab_interface(field->lab, (size_t)interface)->name;
}

enum { SENDER_MARK = 0x4b4c }; /* of what the lab sends from the gateway */

static struct probe probe_of(const struct field *field, const struct shot *shot) {
  return (struct probe){.situation = {.path = shot->path,
                                      .in = shot->path == PATH_OUTPUT ? NULL : name_of(field, shot->interface),
                                      .out = shot->path == PATH_INPUT ? NULL : name_of(field, shot->out),
                                      .family = shot->recipe.packet.source.family,
                                      .tracking = shot->tracking},
                        .frame = shot->frame.data,
                        .length = shot->frame.length,
                        .packet_mark = shot->path == PATH_OUTPUT ? SENDER_MARK : 0};
}

static void print_steps(const struct field *field, const struct concrete_result *result) {
  for (size_t i = 0; i < result->step_count; i++) {
    const struct concrete_step *step = &result->steps[i];
    printf("    %s %s %s handle %llu: %s%s\n", live_family_name(step->chain->table->family), step->chain->table->name,
           step->chain->name, step->rule != NULL ? (unsigned long long)step->rule->handle : 0,
           step->rule != NULL ? live_rule_text(step->rule, field->arena) : "policy",
           step->has_verdict                                                       ? " *"
           : step->rule != NULL && step->stopped_at < step->rule->expression_count ? ""
                                                                                   : " +");
  }
}

static void print_shot(const struct field *field, const struct shot *shot, const struct probe *probe) {
  char from[ADDRESS_TEXT_SIZE], to[ADDRESS_TEXT_SIZE];
  printf("  %s -> %s, %s -> %s, protocol %u, %u -> %u, %s:", probe->situation.in != NULL ? probe->situation.in : "-",
         probe->situation.out != NULL ? probe->situation.out : "-", address_format(&shot->recipe.packet.source, from),
         address_format(&shot->recipe.packet.destination, to), shot->recipe.packet.protocol,
         shot->recipe.packet.source_port, shot->recipe.packet.destination_port,
         situation_tracking_name(probe->situation.tracking));
  for (size_t i = 0; i < shot->frame.length; i++)
    printf(" %02x", shot->frame.data[i]);
  printf("\n");
  print_steps(field, &shot->judged);
}

/* True when both agree. */
static bool compare(struct field *field, struct shot *shot, const struct probe *probe) {
  if (concrete_judge(field->ruleset, &field->surroundings, probe, field->arena, &shot->judged) < 0) {
    printf("no memory\n");
    exit(EXIT_FAILURE);
  }
  field->compared++;
  field->accepted += shot->came_out;
  if (shot->judged.unmodelled == NULL && shot->judged.accepted == shot->came_out)
    return true;
  if (field->disagreements++ >= SHOWN)
    return false;
  if (shot->judged.unmodelled != NULL)
    printf("seed %llu: not understood: %s\n", (unsigned long long)field->seed, shot->judged.unmodelled);
  else
    printf("seed %llu: the kernel %s, the interpreter %s\n", (unsigned long long)field->seed,
           shot->came_out ? "accepts" : "drops", shot->judged.accepted ? "accepts" : "drops");
  print_shot(field, shot, probe);
  if (field->disagreements == 1)
    printf("%s\n", field->text);
  return false;
}

/* ---- connections ---- */

/* A later packet of the connection that `opener` opened. */
static bool follow(struct field *field, const struct shot *opener, struct shot *later, uint32_t *mark,
                   uint32_t status) {
  send_shots(field, later, 1);
  struct probe probe = probe_of(field, later);
  const struct packet *first = &opener->recipe.packet;
  probe.connection_mark = *mark;
  probe.connection_status = status;
  probe.original =
      (struct original_tuple){.source = first->source, .destination = first->destination, .protocol = first->protocol};
  if (first->protocol == PROTOCOL_TCP || first->protocol == PROTOCOL_UDP) {
    probe.original.source_port = first->source_port;
    probe.original.destination_port = first->destination_port;
  } else if (first->protocol == PROTOCOL_ICMP || first->protocol == PROTOCOL_ICMPV6) {
    probe.original.source_port = opener->recipe.icmp_id;
    uint16_t type_and_code = (uint16_t)(first->icmp_type << 8);
    probe.original.destination_port = type_and_code;
  }
  field->later++;
  bool agreed = compare(field, later, &probe);
  *mark = later->judged.connection_mark;
  return agreed && later->came_out;
}

/* Where the answer goes: by the route to who opened. False when there is none to follow. */
static bool turn(const struct field *field, const struct shot *opener, struct shot *ret_answer) {
  struct lab_route route = lab_route(field->lab, &opener->recipe.packet.source);
  *ret_answer = *opener;
  ret_answer->recipe = lab_frame_answer(&opener->recipe);
  ret_answer->recipe.source_mac = (struct mac){{2, 1, 10, 0, 0, 3}};
  ret_answer->recipe.extension_count = 0;
  ret_answer->recipe.ip_option_length = 0;
  ret_answer->tracking = TRACKING_REPLY;
  ret_answer->interface = opener->path == PATH_INPUT ? LAB_GATEWAY : opener->out;
  if (opener->path == PATH_OUTPUT) {
    ret_answer->path = PATH_INPUT;
    ret_answer->out = LAB_GATEWAY;
    return opener->recipe.packet.protocol != UNHEARD;
  }
  ret_answer->path = opener->path == PATH_INPUT ? PATH_OUTPUT : PATH_FORWARD;
  ret_answer->out = route.interface;
  return route.kind == LAB_ROUTE_INTERFACE;
}

/* An ICMP error from the destination, which quotes the opener. */
static void make_error(const struct shot *opener, struct shot *answer, uint8_t quote[static 128]) {
  size_t length;
  const uint8_t *packet = lab_frame_packet(&opener->frame, &length);
  bool ipv6 = opener->recipe.packet.source.family == FAMILY_IPV6;
  length = length < 128 ? length : 128;
  memcpy(quote, packet, length);
  answer->recipe.packet.protocol = ipv6 ? PROTOCOL_ICMPV6 : PROTOCOL_ICMP;
  answer->recipe.packet.icmp_type = ipv6 ? 1 : 3;
  answer->recipe.packet.icmp_code = 1;
  answer->recipe.icmp_id = answer->recipe.icmp_sequence = 0;
  answer->recipe.payload = quote;
  answer->recipe.payload_length = length;
  answer->recipe.tcp_option_length = 0;
  answer->tracking = TRACKING_RELATED_REPLY;
}

/* The opener once more, an error about it, the answer, and what follows; each as long as everything passes. */
static void play_scene(struct field *field, const struct shot *opener) {
  uint8_t quote[128];
  uint32_t mark = opener->judged.connection_mark;
  uint8_t protocol = opener->recipe.packet.protocol;
  if (opener->path == PATH_INPUT && (protocol == PROTOCOL_ICMP || protocol == PROTOCOL_ICMPV6))
    return; /* the gateway itself has answered */
  struct shot again = *opener, answer;
  again.tracking = TRACKING_OPENS_AGAIN;
  if (!follow(field, opener, &again, &mark, 0) || !turn(field, opener, &answer))
    return;
  struct shot error = answer;
  make_error(opener, &error, quote);
  if (opener->path == PATH_FORWARD)
    (void)follow(field, opener, &error, &mark, 0);
  if (!follow(field, opener, &answer, &mark, STATUS_SEEN_REPLY) || protocol == PROTOCOL_TCP)
    return;
  again.tracking = TRACKING_ORIGINAL;
  (void)follow(field, opener, &again, &mark, STATUS_SEEN_REPLY);
}

/* ---- one ruleset ---- */

static bool is_distinct(const struct shot *shots, size_t count, const struct shot *shot) {
  for (size_t i = 0; i < count; i++)
    if (may_share_connection(&shots[i].recipe.packet, &shot->recipe.packet))
      return false;
  return true;
}

/* The next few shots that have nothing to do with each other, moved to the front. */
static size_t choose_shots(struct shot *shots, size_t count, size_t limit) {
  size_t chosen = 0;
  for (size_t i = 0; i < count && chosen < limit; i++)
    if (is_distinct(shots, chosen, &shots[i])) {
      struct shot other = shots[chosen];
      shots[chosen++] = shots[i];
      shots[i] = other;
    }
  return chosen;
}

static void run_shots(struct field *field, bool scenes) {
  for (size_t done = 0, part; done < field->shot_count; done += part) {
    struct shot *shots = field->shots + done;
    part = choose_shots(shots, field->shot_count - done, SHOTS);
    (void)lab_forget_connections(field->lab);
    send_shots(field, shots, part);
    for (size_t i = 0; i < part; i++) {
      struct probe probe = probe_of(field, &shots[i]);
      bool agreed = compare(field, &shots[i], &probe);
      if (agreed && scenes && shots[i].came_out && shots[i].tracking == TRACKING_OPENS && i % 4 == 0)
        play_scene(field, &shots[i]);
    }
  }
}

static int load(const char *text) {
  char path[] = "/tmp/kido-rules-XXXXXX";
  int descriptor = mkstemp(path);
  if (descriptor < 0)
    return -errno;
  ssize_t written = write(descriptor, text, strlen(text));
  close(descriptor);
  int status = (size_t)written == strlen(text)
                   ? lab_command("nft -f %s%s", path, getenv("KIDO_VERBOSE") != NULL ? "" : " 2>/dev/null")
                   : -1;
  unlink(path);
  return status;
}

/* One command for all: starting nft costs more than what it does. */
static void unload(const struct live_ruleset *ruleset, struct arena *arena) {
  const char *command = "";
  for (size_t i = 0; i < ruleset->table_count && command != NULL; i++)
    if (strcmp(ruleset->tables[i].name, "laboratory") != 0)
      command = arena_printf(arena, "%s delete table %s %s;", command, live_family_name(ruleset->tables[i].family),
                             ruleset->tables[i].name);
  if (command == NULL || lab_command("nft '%s'", command) != 0) {
    printf("the rules do not go away\n");
    exit(EXIT_FAILURE);
  }
}

static void run_ruleset(struct field *field) {
  struct random_rules_options options = {.connections = dice_percent(&field->dice, 65),
                                         .odd = dice_percent(&field->dice, 50)};
  options.notrack = options.connections && dice_percent(&field->dice, 30);
  field->arena = arena_new(0);
  make_shots(field, !options.connections);
  field->text = field->given != NULL ? field->given : random_rules_text(&field->dice, &options, field->arena);
  if (load(field->text) != 0) {
    field->refused++;
    if (getenv("KIDO_VERBOSE") != NULL)
      printf("refused:\n%s\n", field->text);
  } else {
    field->rulesets++;
    struct live_ruleset *ruleset = live_from_kernel(field->arena);
    field->ruleset = ruleset;
    run_shots(field, options.connections && !options.notrack);
    unload(ruleset, field->arena);
  }
  field->arena = arena_free(field->arena);
}

/* ---- the gateway ---- */

static void look_at_links(struct field *field, struct arena *arena) {
  size_t count = lab_interface_count(field->lab);
  struct link *links = ARENA_ARRAY(arena, count + 1, struct link);
  for (size_t i = 0; i < count; i++) {
    const char *name = lab_interface(field->lab, i)->name;
    links[i] = (struct link){.name = name, .index = if_nametoindex(name), .type = 1};
  }
  links[count] = (struct link){.name = "lo", .index = 1, .type = 772};
  field->surroundings = (struct surroundings){.known = true, .links = links, .link_count = count + 1};
}

static long seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec;
}

static const char *read_text(const char *path, struct arena *arena) {
  enum { MOST = 1 << 20 };
  FILE *file = fopen(path, "r");
  char *text = file != NULL ? arena_alloc(arena, MOST) : NULL;
  if (text == NULL) {
    perror(path);
    exit(EXIT_FAILURE);
  }
  size_t length = fread(text, 1, MOST - 1, file);
  text[length] = '\0';
  fclose(file);
  return text;
}

static const char *word(int count, char **words, const char *name) {
  for (int i = 1; i + 1 < count; i += 2)
    if (strcmp(words[i], name) == 0)
      return words[i + 1];
  return NULL;
}

static unsigned long option(int count, char **words, const char *name, unsigned long otherwise) {
  const char *value = word(count, words, name);
  return value != NULL ? strtoul(value, NULL, 0) : otherwise;
}

int main(int argument_count, char **arguments) {
  lab_require();
  const char *asked = getenv("KIDO_RULESETS");
  unsigned long rulesets =
      option(argument_count, arguments, "--rulesets", asked != NULL ? strtoul(asked, NULL, 0) : 60);
  long end = seconds_now() + (long)option(argument_count, arguments, "--seconds", 3600);
  uint64_t seed = option(argument_count, arguments, "--seed", dice_seed());
  struct arena *arena = arena_new(0);
  struct error error = {0};
  struct field field = {.next_number = 1};
  const struct policy *policy = town_policy("topology", random_topology(), arena);
  struct lab_options options = {0};
  if (policy == NULL || lab_new(policy, &options, &field.lab, &error) < 0) {
    printf("no laboratory: %s\n", error.message);
    return EXIT_FAILURE;
  }
  look_at_links(&field, arena);
  const char *rules = word(argument_count, arguments, "--rules");
  field.given = rules != NULL ? read_text(rules, arena) : NULL;
  field.shots = ARENA_ARRAY(arena, FRAMES, struct shot);
  for (unsigned long i = 0; i < rulesets && seconds_now() < end; i++) {
    field.seed = seed + i;
    field.dice = (struct dice){field.seed};
    run_ruleset(&field);
  }
  printf("seed %llu: %lu rulesets (%lu more refused by nft), %lu packets (%lu of them within connections), %lu "
         "accepted, %lu disagreements\n",
         (unsigned long long)seed, field.rulesets, field.refused, field.compared, field.later, field.accepted,
         field.disagreements);
  bool enough = field.rulesets > 0 && field.accepted > 0 && field.compared > field.accepted;
  lab_free(field.lab);
  arena_free(arena);
  return field.disagreements == 0 && enough ? EXIT_SUCCESS : EXIT_FAILURE;
}
