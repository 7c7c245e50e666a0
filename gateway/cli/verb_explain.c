/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One packet, judged by the reference meaning. What the operator leaves out is filled in the way a lawful packet would
 * have it: the zone of the source address, an unprivileged port, the flags that open a connection. A service name that
 * stands for several services is judged for each; the first denial is the answer, else the first verdict.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/explain.h"
#include "cli/proof_subject.h"
#include "cli/published.h"

enum { CLIENT_PORT = 50000 };

/* ---- reading the command line ---- */

static int read_zone_option(struct question *question) {
  const char *name = invocation_value(question->invocation, "from-zone");
  const char *interface = invocation_value(question->invocation, "in");
  if (name != NULL) {
    question->in_zone = policy_find_zone(question->policy, name);
    if (question->in_zone == ZONE_NONE)
      return invocation_usage(question->invocation, "領域「%s」はポリシーにありません", "the policy has no zone '%s'",
                              name);
  }
  if (interface != NULL) {
    zone_index zone = policy_zone_of_interface(question->policy, interface);
    if (name != NULL && zone != question->in_zone)
      return invocation_usage(question->invocation, "--in %s は --from-zone %s のインターフェースではありません",
                              "--in %s is not an interface of --from-zone %s", interface, name);
    question->in_zone = zone;
  }
  question->in_zone_given = name != NULL || interface != NULL;
  return EXIT_CODE_YES;
}

static int read_port_option(struct question *question) {
  const char *text = invocation_value(question->invocation, "sport");
  if (text == NULL)
    return EXIT_CODE_YES;
  char *end;
  errno = 0;
  unsigned long port = strtoul(text, &end, 10);
  if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || port > UINT16_MAX)
    return invocation_usage(question->invocation, "--sport は 0 から 65535 の数で、「%s」ではありません",
                            "--sport is a number from 0 to 65535, not '%s'", text);
  question->source_port = (uint16_t)port;
  question->source_port_given = true;
  return EXIT_CODE_YES;
}

static int read_mac_option(struct question *question) {
  const char *text = invocation_value(question->invocation, "mac");
  if (text == NULL)
    return EXIT_CODE_YES;
  if (!mac_parse(text, &question->mac))
    return invocation_usage(question->invocation, "--mac は 02:00:5e:10:01:11 の形で、「%s」ではありません",
                            "--mac is written as 02:00:5e:10:01:11, not '%s'", text);
  question->mac_given = true;
  return EXIT_CODE_YES;
}

static int read_role_options(struct question *question) {
  bool reply = invocation_has(question->invocation, "reply");
  bool established = invocation_has(question->invocation, "established");
  if (reply && established)
    return invocation_usage(question->invocation, "--reply と --established は一緒に使えません",
                            "--reply and --established contradict each other");
  question->role = reply ? ROLE_REPLY : established ? ROLE_ORIGINAL : ROLE_OPENS;
  return EXIT_CODE_YES;
}

static int read_ends(struct question *question) {
  const struct invocation *invocation = question->invocation;
  struct error error = {0};
  if (end_argument_parse(question->policy, invocation->arguments[0], question->language, invocation->arena,
                         &question->source, &error) < 0 ||
      end_argument_parse(question->policy, invocation->arguments[1], question->language, invocation->arena,
                         &question->destination, &error) < 0)
    return invocation_usage(invocation, "%s", "%s", error.message);
  if (question->source.gateway && question->in_zone_given && question->in_zone != ZONE_GATEWAY)
    return invocation_usage(invocation, "gateway が送るパケットに受信領域はありません",
                            "a packet that the gateway sends comes in by no zone");
  if (question->source.gateway && question->destination.gateway)
    return invocation_usage(invocation, "SRC と DST の両方を gateway にはできません",
                            "SRC and DST cannot both be the gateway");
  return EXIT_CODE_YES;
}

/* ---- filling in what was left out ---- */

/* An address that the gateway may bear in a zone, of the family of its peer: the first behind the network's own. */
static bool gateway_address(const struct policy *policy, zone_index zone, enum address_family family,
                            struct address *ret_address) {
  for (size_t i = 0; zone >= 0 && i < policy->zones[zone].network_count; i++) {
    const struct address_range *range = &policy->zones[zone].networks[i].range;
    if (range->first.family != family)
      continue;
    if (address_equal(&range->first, &range->last) || !address_next(&range->first, ret_address))
      *ret_address = range->first;
    return true;
  }
  return false;
}

static int fill_gateway(struct question *question) {
  struct end_argument *gateway = question->source.gateway ? &question->source : &question->destination;
  const struct end_argument *peer = question->source.gateway ? &question->destination : &question->source;
  if (!gateway->gateway)
    return EXIT_CODE_YES;
  zone_index zone = question->in_zone_given && question->in_zone >= 0
                        ? question->in_zone
                        : policy_zone_of_address(question->policy, NULL, &peer->address);
  if (gateway_address(question->policy, zone, peer->address.family, &gateway->address))
    return EXIT_CODE_YES;
  invocation_complain(question->invocation, "本機はこの相手の領域（%s）に同じIP版のアドレスを持ちません",
                      "the gateway has no address of that IP version in the zone of its peer (%s)",
                      policy_zone_name(question->policy, zone));
  return EXIT_CODE_NO_ANSWER;
}

/* Without --mac the sender's MAC address is unknown, which no pinned host objects to. */
static struct packet make_packet(const struct question *question) {
  const struct service_argument *service = &question->service;
  bool ports = service->protocol == PROTOCOL_TCP || service->protocol == PROTOCOL_UDP;
  struct packet packet = {.source = question->source.address,
                          .destination = question->destination.address,
                          .protocol = service->protocol,
                          .icmp_type = service->icmp_type,
                          .has_source_mac = question->mac_given,
                          .source_mac = question->mac};
  if (ports) {
    packet.source_port = question->source_port_given ? question->source_port : CLIENT_PORT;
    packet.destination_port = service->port;
  }
  if (service->protocol == PROTOCOL_TCP)
    packet.tcp_flags = question->role == ROLE_OPENS ? TCP_SYN : TCP_ACK;
  return packet;
}

/* With --reply the packet goes from SRC to DST and DST opened. SERVICE is then that of the connection, unless --sport
 * names the server's port: so both "the reply of a tcp/443" and the literal ports of a packet can be asked about. */
static void turn_to_reply(const struct question *question, struct query *query) {
  struct packet *packet = &query->packet, opener = *packet;
  opener.source = packet->destination;
  opener.destination = packet->source;
  opener.has_source_mac = false;
  if (question->source_port_given) {
    opener.source_port = packet->destination_port;
    opener.destination_port = packet->source_port;
  } else {
    packet->source_port = opener.destination_port;
    packet->destination_port = opener.source_port;
  }
  if (packet->protocol == PROTOCOL_ICMP && packet->icmp_type == 8)
    packet->icmp_type = 0;
  if (packet->protocol == PROTOCOL_ICMPV6 && packet->icmp_type == 128)
    packet->icmp_type = 129;
  if (opener.protocol == PROTOCOL_ICMP && opener.icmp_type == 0)
    opener.icmp_type = 8;
  if (opener.protocol == PROTOCOL_ICMPV6 && opener.icmp_type == 129)
    opener.icmp_type = 128;
  query->opener = opener;
}

struct query explain_query(const struct question *question) {
  struct query query = {.packet = make_packet(question), .role = question->role};
  query.opener = query.packet;
  query.in_zone = question->source.gateway  ? ZONE_GATEWAY
                  : question->in_zone_given ? question->in_zone
                                            : policy_zone_of_address(question->policy, NULL, &query.packet.source);
  query.out_zone = question->destination.gateway ? ZONE_GATEWAY : ZONE_NONE;
  if (question->role == ROLE_REPLY)
    turn_to_reply(question, &query);
  return query;
}

/* ---- the answer ---- */

static void print_flow(const struct question *question, const struct flow *flow) {
  char text[INSTANT_TEXT_SIZE];
  struct instant until;
  enum force_state state =
      restricted_flow_force(question->policy, question->restrictions, flow, question->invocation->now, &until);
  char *purpose = text_escape(question->invocation->arena, flow->purpose.text != NULL ? flow->purpose.text : "");
  printf("%s %s  %s\n", language_choose(question->language, "通信", "flow"), flow->name,
         purpose != NULL ? purpose : "");
  if (until.seconds == INT64_MAX)
    return;
  instant_format(question->policy->header.timezone, until, text);
  printf(state == FORCE_YES ? language_choose(question->language, "有効 %s まで\n", "in force until %s\n")
                            : language_choose(question->language, "無効 %s まで\n", "not in force until %s\n"),
         text);
}

/* What was not judged is said plainly. */
static void print_part_judged(const struct question *question, const struct end_argument *end) {
  if (end->host == NULL || (end->host->address_count == 1 && range_size(&end->host->addresses[0].range) == 1))
    return;
  char address[ADDRESS_TEXT_SIZE];
  printf(language_choose(question->language, "%s は複数のアドレスを持ち、%s について判定した\n",
                         "%s has several addresses; this is the verdict on %s\n"),
         end->host->name, address_format(&end->address, address));
}

/* The place of a verdict with the name that stands there. */
static struct place named_place(const struct question *question, const struct decision *decision) {
  const struct policy *policy = question->policy;
  if (decision->flow != NULL)
    return place_of_token(decision->place, decision->flow->name);
  for (size_t i = 0; i < policy->zone_count; i++)
    if (policy->zones[i].place.line == decision->place.line)
      return place_of_token(decision->place, policy->zones[i].name);
  for (size_t i = 0; i < policy->host_count; i++)
    if (policy->hosts[i].place.line == decision->place.line)
      return place_of_token(decision->place, policy->hosts[i].name);
  return decision->place;
}

static void print_place(const struct question *question, const struct decision *decision) {
  struct place place = named_place(question, decision);
  char *file = text_escape(question->invocation->arena, place.file);
  printf("%s:%u\n", file != NULL ? file : "", place.line);
  place_print(stdout, &place, '^', question->invocation->colour_output);
}

void explain_print(const struct question *question, const struct query *query, const struct decision *decision) {
  printf("%s (%s)\n", explain_sentence(question, query, decision), reason_name(decision->reason));
  if (decision->flow != NULL)
    print_flow(question, decision->flow);
  if (decision->place.file != NULL)
    print_place(question, decision);
  print_part_judged(question, &question->source);
  print_part_judged(question, &question->destination);
}

static int answer(const struct question *question, const struct query *query, const struct decision *decision) {
  int code = decision->allow ? EXIT_CODE_YES : EXIT_CODE_NO;
  if (question->invocation->json)
    return invocation_print_json(
        question->invocation, explain_to_json(question, decision, explain_sentence(question, query, decision)), code);
  explain_print(question, query, decision);
  return invocation_finish(question->invocation, code);
}

bool explain_fits(const struct question *question, const struct service_argument *service) {
  enum address_family family = question->source.address.family;
  return family == question->destination.address.family &&
         (service->protocol != PROTOCOL_ICMP || family == FAMILY_IPV4) &&
         (service->protocol != PROTOCOL_ICMPV6 || family == FAMILY_IPV6);
}

static int judge(struct question *question, const struct service_argument *services, size_t count) {
  struct circumstances circumstances = {.now = question->invocation->now, .restrictions = question->restrictions};
  struct decision decision = {.allow = true};
  struct query query = {0};
  bool judged = false;
  for (size_t i = 0; i < count && decision.allow; i++) {
    if (!explain_fits(question, &services[i]))
      continue;
    struct service_argument previous = question->service;
    question->service = services[i];
    struct query next_query = explain_query(question);
    struct decision next = policy_decide(question->policy, &circumstances, &next_query);
    if (judged && next.allow) {
      question->service = previous;
      continue;
    }
    query = next_query;
    decision = next;
    judged = true;
  }
  if (!judged)
    return invocation_usage(question->invocation, "SRC、DST、SERVICE のIPの版が合いません",
                            "SRC, DST and SERVICE are of different IP versions");
  return answer(question, &query, &decision);
}

static int ask(struct question *question) {
  struct service_argument services[SERVICE_ARGUMENT_LIMIT];
  struct error error = {0};
  int (*const steps[])(struct question *) = {read_zone_option,  read_port_option, read_mac_option,
                                             read_role_options, read_ends,        fill_gateway};
  for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
    int code = steps[i](question);
    if (code != EXIT_CODE_YES)
      return code;
  }
  int count = service_argument_parse(question->policy, question->invocation->arguments[2], question->language, services,
                                     &error);
  if (count < 0)
    return invocation_usage(question->invocation, "%s", "%s", error.message);
  if (invocation_has(question->invocation, "kernel"))
    return explain_kernel(question, services, (size_t)count);
  return judge(question, services, (size_t)count);
}

/* Without a file the kernel is held to what is in force. */
static int ask_of_what_is_in_force(const struct invocation *invocation) {
  struct proof_subject subject = {.policy = NULL};
  int code = proof_subject_find(invocation, &subject);
  if (code != EXIT_CODE_YES)
    return code == EXIT_CODE_NO ? EXIT_CODE_NO_ANSWER : code;
  struct question question = {.invocation = invocation,
                              .policy = subject.policy,
                              .restrictions = subject.restrictions,
                              .language =
                                  invocation->language_forced ? invocation->language : subject.policy->header.language,
                              .in_zone = ZONE_NONE};
  code = ask(&question);
  proof_subject_release(&subject);
  return code;
}

static int check_kernel_options(const struct invocation *invocation, bool packet) {
  bool kernel = invocation_has(invocation, "kernel");
  if (kernel && !packet)
    return invocation_usage(invocation, "--kernel には SRC DST SERVICE が必要です", "--kernel takes SRC DST SERVICE");
  static const char *const of_kernel[] = {"ruleset", "out"};
  for (size_t i = 0; !kernel && i < sizeof(of_kernel) / sizeof(of_kernel[0]); i++)
    if (invocation_has(invocation, of_kernel[i]))
      return invocation_usage(invocation, "--%s は --kernel と使います", "--%s goes with --kernel", of_kernel[i]);
  return EXIT_CODE_YES;
}

static int ask_capture(struct question *question) {
  static const char *const of_a_tuple[] = {"sport", "mac", "reply", "established"};
  for (size_t i = 0; i < sizeof(of_a_tuple) / sizeof(of_a_tuple[0]); i++)
    if (invocation_has(question->invocation, of_a_tuple[i]))
      return invocation_usage(question->invocation, "--%s は記録ファイルには使えません",
                              "--%s does not apply to a capture file", of_a_tuple[i]);
  int code = read_zone_option(question);
  return code == EXIT_CODE_YES ? explain_capture(question, question->invocation->arguments[0]) : code;
}

static int ask_reach(struct question *question) {
  static const char *const of_a_packet[] = {"from-zone", "in", "sport", "mac", "reply", "established"};
  for (size_t i = 0; i < sizeof(of_a_packet) / sizeof(of_a_packet[0]); i++)
    if (invocation_has(question->invocation, of_a_packet[i]))
      return invocation_usage(question->invocation, "--%s は --who-can-reach とは使えません",
                              "--%s does not go with --who-can-reach", of_a_packet[i]);
  question->restrictions = published_restrictions(question->invocation, question->policy);
  return explain_reach(question);
}

/* With --who-can-reach at most the policy. Else one argument, or two with the policy, name a capture file; three or
 * four a packet. */
static int count_arguments(const struct invocation *invocation, bool reach, const char **ret_file) {
  size_t count = invocation->argument_count;
  if (reach && count > 1)
    return invocation_usage(invocation, "--who-can-reach のほかに取れる引数はポリシーのファイルだけです",
                            "with --who-can-reach this takes the policy's file and nothing else");
  if (!reach && count == 0)
    return invocation_usage(invocation, "SRC DST SERVICE か記録ファイルが必要です",
                            "this takes SRC DST SERVICE, or a capture file");
  *ret_file = count != 0 && (reach || count % 2 == 0) ? invocation->arguments[count - 1] : NULL;
  return EXIT_CODE_YES;
}

int verb_explain(const struct invocation *invocation) {
  struct policy_reading reading;
  bool reach = invocation_has(invocation, "who-can-reach"), capture = !reach && invocation->argument_count <= 2;
  const char *file = NULL;
  int usage = count_arguments(invocation, reach, &file);
  if (usage == EXIT_CODE_YES)
    usage = check_kernel_options(invocation, !reach && !capture);
  if (usage != EXIT_CODE_YES)
    return usage;
  if (invocation_has(invocation, "kernel") && file == NULL)
    return ask_of_what_is_in_force(invocation);
  if (capture && access(invocation->arguments[0], F_OK) < 0)
    return invocation_usage(invocation, "SRC DST SERVICE か記録ファイルが必要です（「%s」というファイルはありません）",
                            "this takes SRC DST SERVICE, or a capture file (there is no file '%s')",
                            invocation->arguments[0]);
  int code = invocation_read_valid_policy(invocation, file, &reading);
  if (code == EXIT_CODE_NO) { /* an invalid policy gives no verdict, and must not look like a denial */
    invocation_complain(invocation, "ポリシーに誤りがあるため判定できません",
                        "the policy has errors, so there is no verdict");
    return EXIT_CODE_NO_ANSWER;
  }
  if (code != EXIT_CODE_YES)
    return code;
  struct question question = {.invocation = invocation,
                              .policy = reading.policy,
                              .language = reading.diagnostics.language,
                              .in_zone = ZONE_NONE};
  if (capture)
    return ask_capture(&question);
  if (reach)
    return ask_reach(&question);
  question.restrictions = published_restrictions(invocation, reading.policy);
  return ask(&question);
}
