/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ruleset_machine.h"

#include <string.h>

#include <arpa/inet.h>
#include <linux/if_arp.h>
#include <netinet/in.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

enum { REGISTER_BYTES = 64, HEADER_BYTES = 60, CALL_DEPTH = 16 };

struct machine {
  const struct ruleset *ruleset;
  const struct machine_packet *packet;
  struct machine_result result;
  uint8_t registers[REGISTER_BYTES];
  uint8_t link[14], network[HEADER_BYTES], transport[HEADER_BYTES];
};

/* ---- the packet's bytes ---- */

static uint8_t next_header(const struct packet *packet) {
  if (packet->traits & TRAIT_HOP_BY_HOP)
    return IPPROTO_HOPOPTS;
  return packet->traits & TRAIT_ROUTING_HEADER ? IPPROTO_ROUTING : packet->protocol;
}

/* Neighbour discovery with hop limit 255: what a router forwards has less. */
static bool is_neighbour_on_link(const struct machine_packet *packet) {
  return packet->packet.protocol == IPPROTO_ICMPV6 &&
         (packet->packet.icmp_type == 135 || packet->packet.icmp_type == 136) &&
         (packet->in_interface == NULL || packet->out_interface == NULL);
}

static void write_headers(struct machine *machine) {
  const struct packet *packet = &machine->packet->packet;
  memcpy(machine->link + 6, packet->source_mac.bytes, sizeof packet->source_mac.bytes);
  if (packet->source.family == FAMILY_IPV4) {
    machine->network[0] = packet->traits & TRAIT_IP_OPTIONS ? 0x46 : 0x45;
    machine->network[9] = packet->protocol;
    memcpy(machine->network + 12, packet->source.bytes, 4);
    memcpy(machine->network + 16, packet->destination.bytes, 4);
  } else {
    machine->network[6] = next_header(packet);
    machine->network[7] = is_neighbour_on_link(machine->packet) ? 255 : 63;
    memcpy(machine->network + 8, packet->source.bytes, 16);
    memcpy(machine->network + 24, packet->destination.bytes, 16);
  }
  if (packet->protocol == IPPROTO_ICMP || packet->protocol == IPPROTO_ICMPV6) {
    machine->transport[0] = packet->icmp_type;
    machine->transport[1] = packet->icmp_code;
    return;
  }
  uint16_t ports[2] = {htons(packet->source_port), htons(packet->destination_port)};
  memcpy(machine->transport, ports, sizeof ports);
  machine->transport[13] = packet->tcp_flags;
}

/* ---- loads; false breaks the rule ---- */

static bool store(struct machine *machine, const struct expression *expression, const void *bytes, size_t length) {
  size_t at = (size_t)expression->destination * 4;
  if (at + length > REGISTER_BYTES) {
    machine->result.confused = true;
    return false;
  }
  memset(machine->registers + at, 0, (length + 3) & ~(size_t)3);
  memcpy(machine->registers + at, bytes, length);
  return true;
}

static bool store_interface(struct machine *machine, const struct expression *expression, const char *name) {
  char padded[16] = "";
  if (name == NULL)
    return false;
  memcpy(padded, name, strnlen(name, sizeof padded - 1));
  return store(machine, expression, padded, sizeof padded);
}

static bool load_meta(struct machine *machine, const struct expression *expression) {
  const struct packet *packet = &machine->packet->packet;
  uint8_t version = packet->source.family == FAMILY_IPV4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
  uint16_t type = ARPHRD_ETHER;
  switch (expression->key) {
  case NFT_META_IIFNAME:
    return store_interface(machine, expression, machine->packet->in_interface);
  case NFT_META_OIFNAME:
    return store_interface(machine, expression, machine->packet->out_interface);
  case NFT_META_NFPROTO:
    return store(machine, expression, &version, sizeof version);
  case NFT_META_L4PROTO:
    return store(machine, expression, &packet->protocol, sizeof packet->protocol);
  case NFT_META_IIFTYPE:
    return store(machine, expression, &type, sizeof type);
  default:
    machine->result.confused = true;
    return false;
  }
}

static bool load_ct_state(struct machine *machine, const struct expression *expression) {
  uint32_t state = machine->packet->tracked ? machine->packet->state : machine->packet->untracked ? 64 : 1;
  return store(machine, expression, &state, sizeof state);
}

/* Confirmed with its first packet, assured (TCP) with the third. */
static bool load_ct_status(struct machine *machine, const struct expression *expression) {
  const struct machine_packet *packet = machine->packet;
  bool assured = packet->state == 2 && !(packet->packet.tcp_flags & 0x02);
  uint32_t status = (packet->state != 8 || packet->mark != 0 ? 8u : 0) | (assured ? 4u : 0);
  return store(machine, expression, &status, sizeof status);
}

static bool load_ct_tuple(struct machine *machine, const struct expression *expression) {
  const struct packet *opener = &machine->packet->opener;
  bool four = opener->source.family == FAMILY_IPV4;
  uint16_t port = htons(opener->destination_port), source_port = htons(opener->source_port);
  if (expression->direction != 0 && expression->key != NFT_CT_PROTOCOL)
    machine->result.confused = true;
  switch (expression->key) {
  case NFT_CT_SRC_IP:
    return four && store(machine, expression, opener->source.bytes, 4);
  case NFT_CT_DST_IP:
    return four && store(machine, expression, opener->destination.bytes, 4);
  case NFT_CT_SRC_IP6:
    return !four && store(machine, expression, opener->source.bytes, 16);
  case NFT_CT_DST_IP6:
    return !four && store(machine, expression, opener->destination.bytes, 16);
  case NFT_CT_PROTO_DST:
    return store(machine, expression, &port, sizeof port);
  case NFT_CT_PROTO_SRC:
    return store(machine, expression, &source_port, sizeof source_port);
  case NFT_CT_PROTOCOL:
    return store(machine, expression, &opener->protocol, sizeof opener->protocol);
  default:
    machine->result.confused = true;
    return false;
  }
}

static bool load_ct(struct machine *machine, const struct expression *expression) {
  uint8_t direction = machine->packet->reply;
  if (expression->key == NFT_CT_STATE)
    return load_ct_state(machine, expression);
  if (!machine->packet->tracked)
    return false;
  if (expression->key == NFT_CT_MARK)
    return store(machine, expression, &machine->result.mark, sizeof machine->result.mark);
  if (expression->key == NFT_CT_STATUS)
    return load_ct_status(machine, expression);
  if (expression->key == NFT_CT_DIRECTION)
    return store(machine, expression, &direction, sizeof direction);
  return load_ct_tuple(machine, expression);
}

static bool load_payload(struct machine *machine, const struct expression *expression) {
  const struct packet *packet = &machine->packet->packet;
  const uint8_t *header = expression->key == NFT_PAYLOAD_LL_HEADER        ? machine->link
                          : expression->key == NFT_PAYLOAD_NETWORK_HEADER ? machine->network
                                                                          : machine->transport;
  if (expression->key == NFT_PAYLOAD_LL_HEADER && machine->packet->in_interface == NULL)
    return false;
  if (expression->key == NFT_PAYLOAD_TRANSPORT_HEADER && (packet->traits & TRAIT_NO_PORTS))
    return false;
  return store(machine, expression, header + expression->offset, expression->length);
}

static bool load_exthdr(struct machine *machine, const struct expression *expression) {
  unsigned traits = machine->packet->packet.traits;
  bool there = (expression->key == IPPROTO_HOPOPTS && (traits & TRAIT_HOP_BY_HOP)) ||
               (expression->key == IPPROTO_ROUTING && (traits & TRAIT_ROUTING_HEADER));
  uint8_t value = expression->present ? there : 0; /* the routing header is of type 0 */
  return (expression->present || there) && store(machine, expression, &value, sizeof value);
}

/* ---- sets ---- */

static bool key_matches(const struct set *set, const struct element *element, const uint8_t *key) {
  size_t at = 0;
  if (!set->interval)
    return memcmp(element->key, key, set->key_size) == 0;
  for (size_t i = 0; i < set->field_count; i++) {
    size_t size = field_size(set->fields[i]);
    if (memcmp(key + at, element->key + at, size) < 0 || memcmp(key + at, element->key_end + at, size) > 0)
      return false;
    at += (size + 3) & ~(size_t)3;
  }
  return true;
}

/* More than one match is an error: nobody may depend on which of them wins. */
static const struct element *find_element(struct machine *machine, const struct set *set, const uint8_t *key) {
  const struct element *found = NULL;
  for (size_t i = 0; i < set->element_count; i++)
    if (set->elements[i].expires.seconds > machine->packet->now.seconds && key_matches(set, &set->elements[i], key)) {
      if (found != NULL && set->data != MAP_NONE)
        machine->result.confused = true;
      found = &set->elements[i];
    }
  return found;
}

static bool look_up(struct machine *machine, const struct expression *expression, struct verdict *verdict) {
  const struct set *set = ruleset_find_set(machine->ruleset, expression->name);
  if (set == NULL) {
    machine->result.confused = true;
    return false;
  }
  const struct element *found = find_element(machine, set, machine->registers + (size_t)expression->source * 4);
  if (found == NULL || expression->invert)
    return found == NULL && expression->invert;
  if (expression->to_verdict)
    *verdict = found->verdict;
  if (expression->has_destination)
    return store(machine, expression, &found->mark, sizeof found->mark);
  return true;
}

/* ---- expressions ---- */

static bool compare(struct machine *machine, const struct expression *expression) {
  int order = memcmp(machine->registers + (size_t)expression->source * 4, expression->data, expression->length);
  switch (expression->key) {
  case NFT_CMP_EQ:
    return order == 0;
  case NFT_CMP_NEQ:
    return order != 0;
  case NFT_CMP_GTE:
    return order >= 0;
  case NFT_CMP_LTE:
    return order <= 0;
  default:
    machine->result.confused = true;
    return false;
  }
}

static bool mask(struct machine *machine, const struct expression *expression) {
  uint8_t bytes[16];
  for (size_t i = 0; i < expression->length; i++)
    bytes[i] =
        (uint8_t)((machine->registers[(size_t)expression->source * 4 + i] & expression->mask[i]) ^ expression->xor [i]);
  return store(machine, expression, bytes, expression->length);
}

static bool run_expression(struct machine *machine, const struct expression *expression, struct verdict *verdict) {
  machine->result.steps++;
  switch (expression->kind) {
  case EXPRESSION_META:
    return load_meta(machine, expression);
  case EXPRESSION_CT:
    return load_ct(machine, expression);
  case EXPRESSION_PAYLOAD:
    return load_payload(machine, expression);
  case EXPRESSION_EXTHDR:
    return load_exthdr(machine, expression);
  case EXPRESSION_BITWISE:
    return mask(machine, expression);
  case EXPRESSION_COMPARE:
    return compare(machine, expression);
  case EXPRESSION_LOOKUP:
    return look_up(machine, expression, verdict);
  case EXPRESSION_IMMEDIATE:
    return store(machine, expression, expression->data, expression->length);
  case EXPRESSION_CT_SET:
    if (machine->packet->tracked && expression->key == NFT_CT_MARK)
      memcpy(&machine->result.mark, machine->registers + (size_t)expression->source * 4, sizeof machine->result.mark);
    return true;
  case EXPRESSION_COUNTER_OBJECT:
    machine->result.counter = expression->name;
    return true;
  case EXPRESSION_VERDICT:
    *verdict = expression->verdict;
    return true;
  case EXPRESSION_REJECT:
    *verdict = (struct verdict){.code = VERDICT_DROP};
    return true;
  case EXPRESSION_LIMIT: /* never over */
  case EXPRESSION_CONNECTIONS:
    return false;
  case EXPRESSION_LOG:
    return true;
  case EXPRESSION_DYNSET: /* there is always room */
    return true;
  default:
    machine->result.confused = true;
    return false;
  }
}

/* ---- chains ---- */

static struct verdict run_chain(struct machine *machine, const char *name, unsigned depth);

/* Accept, drop, or (VERDICT_NONE) on with the next rule; RETURN leaves the chain. */
static struct verdict run_rule(struct machine *machine, const struct rule *rule, unsigned depth) {
  struct verdict verdict = {0};
  for (size_t i = 0; i < rule->expression_count && verdict.code == VERDICT_NONE; i++)
    if (!run_expression(machine, &rule->expressions[i], &verdict))
      return (struct verdict){0};
  if (verdict.code != VERDICT_JUMP && verdict.code != VERDICT_GOTO)
    return verdict;
  struct verdict inner = run_chain(machine, verdict.chain, depth + 1);
  if (inner.code == VERDICT_NONE && verdict.code == VERDICT_GOTO)
    inner.code = VERDICT_RETURN;
  return inner;
}

static struct verdict run_chain(struct machine *machine, const char *name, unsigned depth) {
  const struct chain *chain = ruleset_find_chain(machine->ruleset, name);
  if (chain == NULL || depth > CALL_DEPTH) {
    machine->result.confused = true;
    return (struct verdict){.code = VERDICT_DROP};
  }
  for (size_t i = 0; i < chain->rule_count; i++) {
    struct verdict verdict = run_rule(machine, &chain->rules[i], depth);
    if (verdict.code == VERDICT_RETURN)
      return (struct verdict){0};
    if (verdict.code != VERDICT_NONE)
      return verdict;
  }
  return (struct verdict){0};
}

static bool run_base(struct machine *machine, const struct chain *chain) {
  struct verdict verdict = run_chain(machine, chain->name, 0);
  if (verdict.code == VERDICT_NONE)
    return !chain->policy_drop;
  return verdict.code == VERDICT_ACCEPT;
}

static bool run_hook(struct machine *machine, enum chain_hook hook) {
  int done = -100000;
  for (;;) {
    const struct chain *next = NULL;
    for (size_t i = 0; i < machine->ruleset->chain_count; i++) {
      const struct chain *chain = &machine->ruleset->chains[i];
      if (chain->hook == hook && chain->priority > done && (next == NULL || chain->priority < next->priority))
        next = chain;
    }
    if (next == NULL)
      return true;
    if (!run_base(machine, next))
      return false;
    done = next->priority;
  }
}

struct machine_result machine_run(const struct ruleset *ruleset, const struct machine_packet *packet) {
  struct machine machine = {.ruleset = ruleset, .packet = packet, .result.mark = packet->mark};
  struct machine_packet early = *packet;
  write_headers(&machine);
  if (packet->in_interface == NULL) {
    machine.result.accept = run_hook(&machine, HOOK_OUTPUT);
    return machine.result;
  }
  early.tracked = false;
  early.untracked = true;
  early.out_interface = NULL;
  machine.packet = &early;
  machine.result.accept = run_hook(&machine, HOOK_PREROUTING);
  machine.packet = packet;
  if (machine.result.accept)
    machine.result.accept = run_hook(&machine, packet->out_interface == NULL ? HOOK_INPUT : HOOK_FORWARD);
  return machine.result;
}
