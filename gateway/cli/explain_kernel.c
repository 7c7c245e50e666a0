/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The packet through the rules that the kernel holds, as they are read back: which rules it meets, what they do, and
 * what comes of it, beside what the policy says. Nothing is sent, and nothing of the policy is believed of the rules.
 *
 * A later packet of a connection bears the mark that its opener was given, so the opener is asked about first. Where
 * the question names no interfaces, those of the zones are taken, the first that fit.
 */
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "cli/explain.h"
#include "cli/ruleset_input.h"
#include "control/proof_material.h"
#include "proof/concrete.h"

enum { STATUS_SEEN_REPLY = 2, STATUS_ASSURED = 4 };

static const size_t memory_limit = (size_t)4 << 30;

struct inquiry {
  struct question *question;
  struct arena *arena;
  struct proof_material material;
  const char *file; /* --ruleset; NULL: the kernel */
  struct instant now;
  /* of the service that is asked about: */
  struct query query;
  struct decision decision;
  const char *in, *out;
  enum situation_path path;
  struct concrete_result kernel;
};

/* ---- what the kernel holds ---- */

static int take(struct inquiry *inquiry, struct error *error) {
  static const struct surroundings unknown = {.known = false};
  const struct invocation *invocation = inquiry->question->invocation;
  inquiry->material.surroundings = &unknown;
  int result = inquiry->file != NULL
                   ? ruleset_input_take(inquiry->file, invocation->now_given ? &invocation->now : NULL, inquiry->arena,
                                        &inquiry->material.snapshot, error)
                   : proof_material_take(inquiry->arena, &inquiry->material, error);
  if (result == 0)
    result = proof_material_decode(&inquiry->material, inquiry->arena, error);
  if (result == 0)
    inquiry->now =
        invocation->now_given ? invocation->now : (struct instant){inquiry->material.snapshot.taken_at / 1000};
  return result;
}

/* ---- the way of the packet ---- */

/* The gateway's address is one that it really has, if that is known: in the zone of its peer, else any. */
static void correct_gateway(const struct inquiry *inquiry, struct end_argument *gateway,
                            const struct end_argument *peer) {
  const struct address_set *own = &inquiry->material.surroundings->own;
  const struct policy *policy = inquiry->question->policy;
  if (!gateway->gateway || address_set_contains(own, &gateway->address))
    return;
  zone_index zone = policy_zone_of_address(policy, NULL, &peer->address);
  for (size_t i = 0; i < own->count; i++) {
    const struct address *address = &own->ranges[i].first;
    if (address->family != peer->address.family || policy_zone_of_address(policy, NULL, address) != zone)
      continue;
    gateway->address = *address;
    return;
  }
}

/* The first interface of a zone that is not `other`; else `other`. NULL: one that nobody names. */
static const char *interface_of(const struct policy *policy, zone_index zone, const char *other) {
  if (zone < 0)
    return NULL;
  const struct zone *at = &policy->zones[zone];
  for (size_t i = 0; i < at->interface_count; i++)
    if (other == NULL || strcmp(at->interfaces[i].text, other) != 0)
      return at->interfaces[i].text;
  return at->interface_count != 0 ? other : NULL;
}

static void find_way(struct inquiry *inquiry) {
  const struct question *question = inquiry->question;
  struct query *query = &inquiry->query;
  const char *in = invocation_value(question->invocation, "in"), *out = invocation_value(question->invocation, "out");
  bool local = question->destination.gateway ||
               address_set_contains(&inquiry->material.surroundings->own, &query->packet.destination);
  zone_index to = policy_zone_of_address(question->policy, NULL, &query->packet.destination);
  inquiry->path = question->source.gateway ? PATH_OUTPUT : local ? PATH_INPUT : PATH_FORWARD;
  inquiry->in = NULL;
  inquiry->out = NULL;
  if (inquiry->path != PATH_OUTPUT)
    inquiry->in = in != NULL ? in : interface_of(question->policy, query->in_zone, NULL);
  if (inquiry->path != PATH_INPUT)
    inquiry->out = out != NULL ? out : interface_of(question->policy, to, inquiry->in);
  if (inquiry->path == PATH_INPUT)
    query->out_zone = ZONE_GATEWAY;
  else if (out != NULL)
    query->out_zone = policy_zone_of_interface(question->policy, out);
  query->same_interface = inquiry->in != NULL && inquiry->out != NULL && strcmp(inquiry->in, inquiry->out) == 0;
}

/* ---- asking the rules ---- */

/* A sender whose MAC address was left out bears the one that the policy knows of him. */
static void fill_mac(const struct policy *policy, struct packet *packet) {
  for (size_t i = 0; i < policy->host_count && !packet->has_source_mac; i++)
    for (size_t j = 0; policy->hosts[i].mac_count != 0 && j < policy->hosts[i].address_count; j++)
      if (range_contains(&policy->hosts[i].addresses[j].range, &packet->source)) {
        packet->has_source_mac = true;
        packet->source_mac = policy->hosts[i].macs[0];
      }
}

static struct original_tuple tuple_of(const struct packet *packet) {
  struct original_tuple tuple = {.source = packet->source,
                                 .destination = packet->destination,
                                 .protocol = packet->protocol,
                                 .source_port = packet->source_port,
                                 .destination_port = packet->destination_port};
  if (packet->protocol == PROTOCOL_ICMP || packet->protocol == PROTOCOL_ICMPV6)
    tuple.destination_port = (uint16_t)(packet->icmp_type << 8 | packet->icmp_code);
  return tuple;
}

static int ask_rules(const struct inquiry *inquiry, struct probe *probe, struct packet packet,
                     struct concrete_result *ret_result) {
  uint8_t *frame = arena_alloc(inquiry->arena, EXPLAIN_FRAME_SIZE); /* the probe is asked about later, too */
  if (frame == NULL)
    return -ENOMEM;
  fill_mac(inquiry->question->policy, &packet);
  probe->length = explain_frame(&packet, frame);
  probe->frame = frame;
  probe->situation.family = packet.source.family;
  return concrete_judge(inquiry->material.ruleset, inquiry->material.surroundings, probe, inquiry->arena, ret_result);
}

/* The mark that the rules give the connection when it opens. */
static int ask_opener(const struct inquiry *inquiry, bool turned, uint32_t *ret_mark) {
  static const enum situation_path turned_paths[] = {
      [PATH_FORWARD] = PATH_FORWARD, [PATH_INPUT] = PATH_OUTPUT, [PATH_OUTPUT] = PATH_INPUT};
  struct packet opener = inquiry->query.opener;
  struct concrete_result result;
  struct probe probe = {.situation = {.path = turned ? turned_paths[inquiry->path] : inquiry->path,
                                      .in = turned ? inquiry->out : inquiry->in,
                                      .out = turned ? inquiry->in : inquiry->out,
                                      .tracking = TRACKING_OPENS}};
  if (opener.protocol == PROTOCOL_TCP)
    opener.tcp_flags = TCP_SYN;
  int error = ask_rules(inquiry, &probe, opener, &result);
  if (error == 0)
    *ret_mark = result.connection_mark;
  return error;
}

/* Conntrack knows connections of few kinds of ICMP; an error that quotes none is invalid, whatever was asked about. */
static bool opens_connections(const struct packet *opener) {
  static const uint8_t requests4[] = {8, 13, 15, 17}, requests6[] = {128, 139};
  if (opener->protocol == PROTOCOL_ICMP)
    return memchr(requests4, opener->icmp_type, sizeof(requests4)) != NULL;
  return opener->protocol != PROTOCOL_ICMPV6 || memchr(requests6, opener->icmp_type, sizeof(requests6)) != NULL;
}

/* And some that have to do with none. */
static bool is_left_alone(const struct packet *packet) {
  uint8_t type = packet->icmp_type;
  return packet->protocol == PROTOCOL_ICMPV6 &&
         ((type >= 130 && type <= 136) || type == 143 || (type >= 151 && type <= 153));
}

static enum situation_tracking tracking_of(const struct query *query) {
  if (is_left_alone(&query->packet))
    return TRACKING_UNTRACKED;
  if (query->role == ROLE_OPENS && !opens_connections(&query->packet))
    return TRACKING_INVALID;
  return query->role == ROLE_REPLY ? TRACKING_REPLY : query->role == ROLE_ORIGINAL ? TRACKING_ORIGINAL : TRACKING_OPENS;
}

static int ask_kernel(struct inquiry *inquiry) {
  enum packet_role role = inquiry->query.role;
  struct probe probe = {
      .situation = {
          .path = inquiry->path, .in = inquiry->in, .out = inquiry->out, .tracking = tracking_of(&inquiry->query)}};
  if (probe.situation.tracking == TRACKING_ORIGINAL || probe.situation.tracking == TRACKING_REPLY) {
    probe.connection_status = STATUS_SEEN_REPLY | STATUS_ASSURED;
    probe.original = tuple_of(&inquiry->query.opener);
    int error = ask_opener(inquiry, role == ROLE_REPLY, &probe.connection_mark);
    if (error < 0)
      return error;
  }
  return ask_rules(inquiry, &probe, inquiry->query.packet, &inquiry->kernel);
}

static bool differs(const struct inquiry *inquiry) {
  return inquiry->kernel.unmodelled == NULL && inquiry->kernel.accepted != inquiry->decision.allow;
}

static int ask_both(struct inquiry *inquiry, const struct service_argument *service) {
  struct question *question = inquiry->question;
  const struct address_set *own = &inquiry->material.surroundings->own;
  struct circumstances circumstances = {.now = inquiry->now,
                                        .restrictions = question->restrictions,
                                        .own = inquiry->material.surroundings->known ? own : NULL};
  question->service = *service;
  inquiry->query = explain_query(question);
  find_way(inquiry);
  if (inquiry->query.role != ROLE_OPENS && !opens_connections(&inquiry->query.opener))
    inquiry->query.role = ROLE_OPENS; /* there is no such connection that it could belong to */
  inquiry->decision = policy_decide(question->policy, &circumstances, &inquiry->query);
  return ask_kernel(inquiry);
}

/* ---- the answer ---- */

static const char *verdict_text(const struct inquiry *inquiry, const struct concrete_step *step) {
  static const char *const words[] = {
      [LIVE_ACCEPT] = "accept", [LIVE_DROP] = "drop", [LIVE_CONTINUE] = "continue", [LIVE_BREAK] = "break",
      [LIVE_JUMP] = "jump",     [LIVE_GOTO] = "goto", [LIVE_RETURN] = "return",     [LIVE_QUEUE] = "queue"};
  if (!step->has_verdict || (unsigned)step->verdict.code >= sizeof(words) / sizeof(words[0]))
    return NULL;
  const char *word = words[step->verdict.code];
  const char *text =
      step->verdict.chain != NULL ? arena_printf(inquiry->arena, "%s %s", word, step->verdict.chain->name) : word;
  return text != NULL ? text : word;
}

/* Rules that did something: decided, or were satisfied to their end. */
static bool is_of_path(const struct concrete_step *step) {
  return step->has_verdict || (step->rule != NULL && step->stopped_at == step->rule->expression_count);
}

static const char *rule_text(const struct inquiry *inquiry, const struct concrete_step *step) {
  const char *text = step->rule != NULL ? live_rule_text(step->rule, inquiry->arena) : "policy";
  return text != NULL ? text : "";
}

static const char *escaped(const struct inquiry *inquiry, const char *text) {
  const char *result = text_escape(inquiry->arena, text);
  return result != NULL ? result : "";
}

/* The text of a rule ends in its verdict, unless a map has it. */
static bool tells_its_verdict(const struct concrete_step *step) {
  const struct live_rule *rule = step->rule;
  return rule != NULL && rule->expression_count != 0 && rule->expressions[rule->expression_count - 1].is_verdict;
}

static void print_step(const struct inquiry *inquiry, const struct concrete_step *step) {
  const char *verdict = tells_its_verdict(step) ? NULL : verdict_text(inquiry, step);
  printf("  %s %s %s", live_family_name(step->chain->table->family), escaped(inquiry, step->chain->table->name),
         escaped(inquiry, step->chain->name));
  if (step->rule != NULL)
    printf(" handle %llu", (unsigned long long)step->rule->handle);
  printf(": %s", escaped(inquiry, rule_text(inquiry, step)));
  printf(verdict != NULL ? " → %s\n" : "\n", verdict != NULL ? escaped(inquiry, verdict) : "");
}

static const char *kernel_verdict(const struct inquiry *inquiry) {
  return inquiry->kernel.unmodelled != NULL ? "undecided" : inquiry->kernel.accepted ? "allow" : "deny";
}

static void print_kernel(const struct inquiry *inquiry) {
  enum language language = inquiry->question->language;
  const char *verdict = inquiry->kernel.unmodelled != NULL ? language_choose(language, "判定できない", "undecided")
                        : inquiry->kernel.accepted         ? language_choose(language, "許可", "allow")
                                                           : language_choose(language, "拒否", "deny");
  printf(language_choose(language, "カーネル: %s（%s → %s、世代 %u）\n", "kernel: %s (%s -> %s, generation %u)\n"),
         verdict,
         inquiry->path == PATH_OUTPUT ? "gateway"
         : inquiry->in != NULL        ? escaped(inquiry, inquiry->in)
                                      : "-",
         inquiry->path == PATH_INPUT ? "gateway"
         : inquiry->out != NULL      ? escaped(inquiry, inquiry->out)
                                     : "-",
         inquiry->material.ruleset->generation);
  for (size_t i = 0; i < inquiry->kernel.step_count; i++)
    if (is_of_path(&inquiry->kernel.steps[i]))
      print_step(inquiry, &inquiry->kernel.steps[i]);
  if (inquiry->kernel.unmodelled != NULL)
    printf(language_choose(language, "たどれないところ: %s\n", "what cannot be followed: %s\n"),
           escaped(inquiry, inquiry->kernel.unmodelled));
}

static void print_difference(const struct inquiry *inquiry) {
  enum language language = inquiry->question->language;
  if (!differs(inquiry))
    return;
  printf("%s\n", inquiry->kernel.accepted
                     ? language_choose(language, "不一致: ポリシーが拒否するパケットをカーネルは通す",
                                       "DIFFERENT: the kernel lets pass what the policy denies")
                     : language_choose(language, "不一致: ポリシーが許可するパケットをカーネルは捨てる",
                                       "DIFFERENT: the kernel drops what the policy allows"));
}

static json_t *step_to_json(const struct inquiry *inquiry, const struct concrete_step *step) {
  json_t *handle = step->rule != NULL ? json_integer((json_int_t)step->rule->handle) : json_null();
  return json_pack("{s:s, s:s, s:s, s:o, s:s, s:s?}", "table", escaped(inquiry, step->chain->table->name), "family",
                   live_family_name(step->chain->table->family), "chain", escaped(inquiry, step->chain->name), "handle",
                   handle, "text", escaped(inquiry, rule_text(inquiry, step)), "verdict", verdict_text(inquiry, step));
}

static json_t *kernel_to_json(const struct inquiry *inquiry) {
  json_t *path = json_array();
  for (size_t i = 0; i < inquiry->kernel.step_count; i++)
    if (is_of_path(&inquiry->kernel.steps[i]))
      json_array_append_new(path, step_to_json(inquiry, &inquiry->kernel.steps[i]));
  return json_pack("{s:s, s:s?, s:s?, s:I, s:o, s:s?, s:b}", "verdict", kernel_verdict(inquiry), "in", inquiry->in,
                   "out", inquiry->out, "generation", (json_int_t)inquiry->material.ruleset->generation, "path", path,
                   "unmodelled", inquiry->kernel.unmodelled, "differs", differs(inquiry));
}

static int answer(const struct inquiry *inquiry) {
  const struct question *question = inquiry->question;
  bool no = differs(inquiry) || !inquiry->kernel.accepted;
  int code = inquiry->kernel.unmodelled != NULL ? EXIT_CODE_NO_ANSWER : no ? EXIT_CODE_NO : EXIT_CODE_YES;
  if (question->invocation->json) {
    json_t *object =
        explain_to_json(question, &inquiry->decision, explain_sentence(question, &inquiry->query, &inquiry->decision));
    if (object != NULL)
      json_object_set_new(object, "kernel", kernel_to_json(inquiry));
    return invocation_print_json(question->invocation, object, code);
  }
  print_kernel(inquiry);
  printf("%s", language_choose(question->language, "ポリシー: ", "policy: "));
  explain_print(question, &inquiry->query, &inquiry->decision);
  print_difference(inquiry);
  return invocation_finish(question->invocation, code);
}

/* ---- all of it ---- */

static bool is_settled(const struct inquiry *inquiry) {
  return inquiry->kernel.unmodelled != NULL || differs(inquiry) || !inquiry->kernel.accepted;
}

static int inquire(struct inquiry *inquiry, const struct service_argument *services, size_t count) {
  const struct invocation *invocation = inquiry->question->invocation;
  struct error error = {0};
  struct inquiry first;
  size_t asked = 0;
  if (take(inquiry, &error) < 0) {
    invocation_complain(invocation, "カーネルのルールを読めません: %s", "cannot read the rules of the kernel: %s",
                        error.message);
    return EXIT_CODE_NO_ANSWER;
  }
  correct_gateway(inquiry, &inquiry->question->source, &inquiry->question->destination);
  correct_gateway(inquiry, &inquiry->question->destination, &inquiry->question->source);
  for (size_t i = 0; i < count; i++) {
    if (!explain_fits(inquiry->question, &services[i]))
      continue;
    if (ask_both(inquiry, &services[i]) < 0) {
      invocation_complain(invocation, "メモリーが足りません", "no memory");
      return EXIT_CODE_NO_ANSWER;
    }
    if (is_settled(inquiry))
      return answer(inquiry);
    if (asked++ == 0)
      first = *inquiry;
  }
  if (asked == 0)
    return invocation_usage(invocation, "SRC、DST、SERVICE のIPの版が合いません",
                            "SRC, DST and SERVICE are of different IP versions");
  for (size_t i = 0; asked > 1 && i < count; i++) /* the sentence speaks of the first */
    if (explain_fits(inquiry->question, &services[i])) {
      inquiry->question->service = services[i];
      break;
    }
  return answer(&first);
}

int explain_kernel(struct question *question, const struct service_argument *services, size_t count) {
  struct inquiry inquiry = {.question = question,
                            .arena = arena_new(memory_limit),
                            .file = invocation_value(question->invocation, "ruleset")};
  if (inquiry.arena == NULL) {
    invocation_complain(question->invocation, "メモリーが足りません", "no memory");
    return EXIT_CODE_NO_ANSWER;
  }
  int code = inquire(&inquiry, services, count);
  arena_free(inquiry.arena);
  return code;
}
