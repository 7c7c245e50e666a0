/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <netinet/in.h>
#include <string.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>

#include "proof/symbolic_parts.h"

/* What expressions ask of conntrack, and what they write there. */

enum { STATE_INVALID = 1, STATE_ESTABLISHED = 2, STATE_RELATED = 4, STATE_NEW = 8, STATE_UNTRACKED = 64 };

struct tracking_facts {
  unsigned state;
  bool connection, reply, related, confirmed;
};
static const struct tracking_facts TRACKINGS[TRACKING_COUNT_] = {
    [TRACKING_OPENS] = {STATE_NEW, true, false, false, false},
    [TRACKING_OPENS_AGAIN] = {STATE_NEW, true, false, false, true},
    [TRACKING_ORIGINAL] = {STATE_ESTABLISHED, true, false, false, true},
    [TRACKING_REPLY] = {STATE_ESTABLISHED, true, true, false, true},
    [TRACKING_RELATED_ORIGINAL] = {STATE_RELATED, true, false, true, true},
    [TRACKING_RELATED_REPLY] = {STATE_RELATED, true, true, true, true},
    [TRACKING_INVALID] = {STATE_INVALID, false, false, false, false},
    [TRACKING_UNTRACKED] = {STATE_UNTRACKED, false, false, false, false},
};

static const struct tracking_facts BEFORE = {STATE_INVALID, false, false, false, false};

/* NULL: it cannot be told here. */
static const struct tracking_facts *tracking_of(struct run *run) {
  const struct view *view = run->view;
  run->machine->saw |= SAW_STAGE;
  if (view->stage.ambiguous)
    return NULL;
  if (!view->stage.connection) {
    /* On loopback a packet brings its connection along. */
    run->machine->saw |= SAW_IN;
    bool loops = view->stage.has_in && view->in.name != NULL && strcmp(view->in.name, "lo") == 0;
    return loops ? NULL : &BEFORE;
  }
  run->machine->saw |= SAW_TRACKING;
  return &TRACKINGS[view->situation->tracking];
}

/* ---- reading ---- */

static void write_field(struct run *run, const struct live_expression *expression, enum space_field field,
                        unsigned bytes) {
  struct bit *bits = registers_write(&run->registers, expression->destination, bytes);
  for (unsigned i = 0; bits != NULL && i < bytes * 8; i++)
    bits[i] = bit_variable(space_field_variable(run->machine->space, field, i));
}

static void read_state(struct run *run, const struct live_expression *expression, const struct tracking_facts *facts) {
  struct symbolic *machine = run->machine;
  diagram untracked = diagram_and(machine->store, run->condition, run->effects->untracked);
  if (untracked == DIAGRAM_FALSE)
    registers_write_number(&run->registers, expression->destination, 4, facts->state);
  else
    registers_write_word(
        &run->registers, expression->destination,
        (struct word){diagram_choose(machine->store, run->effects->untracked,
                                     diagram_leaf(machine->store, word_constant(machine, STATE_UNTRACKED)),
                                     DIAGRAM_FALSE),
                      word_constant(machine, facts->state), false});
}

static void read_direction(struct run *run, const struct live_expression *expression,
                           const struct tracking_facts *facts) {
  registers_write_number(&run->registers, expression->destination, 1, facts->reply ? IP_CT_DIR_REPLY : 0);
}

static void read_status(struct run *run, const struct live_expression *expression, const struct tracking_facts *facts) {
  struct bit *bits = registers_write(&run->registers, expression->destination, 4);
  for (unsigned i = 0; bits != NULL && i < 32; i++) {
    bool confirmed = (1u << (31 - i)) == IPS_CONFIRMED;
    bits[host_bit(4, i)] = confirmed ? bit_constant(facts->confirmed)
                                     : bit_variable(space_field_variable(run->machine->space, FIELD_STATUS, i));
  }
}

static void read_mark(struct run *run, const struct live_expression *expression, const struct tracking_facts *facts) {
  (void)facts;
  registers_write_word(&run->registers, expression->destination,
                       (struct word){run->effects->mark, run->effects->mark_start, false});
}

static void read_l3protocol(struct run *run, const struct live_expression *expression,
                            const struct tracking_facts *facts) {
  (void)facts;
  run->machine->saw |= SAW_FAMILY;
  bool ipv6 = run->view->situation->family == FAMILY_IPV6;
  registers_write_number(&run->registers, expression->destination, 1, ipv6 ? NFPROTO_IPV6 : NFPROTO_IPV4);
}

static void read_protocol(struct run *run, const struct live_expression *expression,
                          const struct tracking_facts *facts) {
  write_field(run, expression, facts->related ? FIELD_ORIGINAL_PROTOCOL : FIELD_PROTOCOL, 1);
}

/* The field of the packet that is the source (or destination) of the tuple asked for. A tuple's reply is its original,
 * turned around: what rewrites addresses is not followed. */
static bool wants_packet_source(const struct live_expression *expression, const struct tracking_facts *facts,
                                bool source) {
  bool turned = (expression->direction == IP_CT_DIR_REPLY) != (facts->reply && !facts->related);
  return source != turned;
}

static void read_address(struct run *run, const struct live_expression *expression,
                         const struct tracking_facts *facts) {
  unsigned key = expression->key;
  bool source = key == NFT_CT_SRC || key == NFT_CT_SRC_IP || key == NFT_CT_SRC_IP6;
  run->machine->saw |= SAW_FAMILY;
  bool ipv6 = run->view->situation->family == FAMILY_IPV6;
  if (((key == NFT_CT_SRC_IP || key == NFT_CT_DST_IP) && ipv6) ||
      ((key == NFT_CT_SRC_IP6 || key == NFT_CT_DST_IP6) && !ipv6)) {
    run->condition = DIAGRAM_FALSE;
    return;
  }
  source = wants_packet_source(expression, facts, source);
  if (facts->related)
    write_field(run, expression, source ? FIELD_ORIGINAL_SOURCE : FIELD_ORIGINAL_DESTINATION, ipv6 ? 16 : 4);
  else
    write_field(run, expression, source ? FIELD_SOURCE : FIELD_DESTINATION, ipv6 ? 16 : 4);
}

/* ---- ports ---- */

enum port_kind { PORTS_OWN, PORTS_ICMP, PORTS_GRE, PORTS_NONE, PORTS_KINDS };

static diagram protocols_of(struct run *run, enum port_kind kind) {
  static const uint8_t OWN[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_DCCP, IPPROTO_SCTP, IPPROTO_UDPLITE};
  struct diagram_store *store = run->machine->store;
  struct diagram_field field = space_field(run->machine->space, FIELD_PROTOCOL, 8);
  const uint8_t icmp = run->view->situation->family == FAMILY_IPV6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, gre = IPPROTO_GRE;
  diagram set = DIAGRAM_FALSE;
  if (kind == PORTS_ICMP)
    return diagram_range(store, &field, &icmp, &icmp);
  if (kind == PORTS_GRE)
    return diagram_range(store, &field, &gre, &gre);
  for (size_t i = 0; i < sizeof(OWN); i++)
    set = diagram_or(store, set, diagram_range(store, &field, &OWN[i], &OWN[i]));
  return set;
}

/* Which two bytes of a tuple are asked for. */
struct port_question {
  bool source;        /* the tuple's, not its destination's */
  bool packet_source; /* where they stand in this packet, for protocols with ports */
  bool own;           /* the tuple is that of this packet's direction */
};

/* As conntrack takes them from this packet, by kind of protocol. Both tuples of an echo have its identifier as their
 * source; type and code are the destination, and a reply's type is not its request's. */
static struct bit port_bit(struct run *run, enum port_kind kind, const struct port_question *question, unsigned i) {
  struct symbolic *machine = run->machine;
  enum address_family family = run->view->situation->family;
  if (kind == PORTS_OWN)
    return bit_variable(
        space_field_variable(machine->space, question->packet_source ? FIELD_SOURCE_PORT : FIELD_DESTINATION_PORT, i));
  if (kind == PORTS_NONE)
    return bit_constant(false);
  if (kind == PORTS_GRE || (!question->source && !question->own))
    return bit_unknown();
  unsigned byte = (question->source ? 4 : 0) + i / 8;
  return bit_variable(space_packet_variable(machine->space, family, BASE_TRANSPORT, byte, i % 8));
}

static void mix_ports(struct run *run, const struct port_question *question, const diagram *sets, struct bit *bits) {
  struct diagram_store *store = run->machine->store;
  for (unsigned i = 0; i < 16; i++) {
    diagram set = DIAGRAM_FALSE;
    bool unknown = false;
    for (unsigned kind = 0; kind < PORTS_KINDS; kind++) {
      if (sets[kind] == DIAGRAM_FALSE)
        continue;
      struct bit bit = port_bit(run, (enum port_kind)kind, question, i);
      unknown = unknown || bit.kind == BIT_UNKNOWN;
      if (bit.kind != BIT_UNKNOWN)
        set = diagram_or(store, set, diagram_and(store, sets[kind], bit_set(run->machine, bit)));
    }
    bits[i] = unknown ? bit_unknown() : bit_function(set);
  }
}

/* The tuple of what an ICMP error quotes. */
static void read_related_port(struct run *run, const struct live_expression *expression) {
  struct symbolic *machine = run->machine;
  struct diagram_store *store = machine->store;
  bool source = expression->key == NFT_CT_PROTO_SRC, reply = expression->direction == IP_CT_DIR_REPLY;
  struct diagram_field protocol = space_field(machine->space, FIELD_ORIGINAL_PROTOCOL, 8);
  const uint8_t number = run->view->situation->family == FAMILY_IPV6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
  diagram icmp = diagram_and(store, run->condition, diagram_range(store, &protocol, &number, &number));
  struct bit *bits = registers_write(&run->registers, expression->destination, 2);
  for (unsigned i = 0; bits != NULL && i < 16; i++) {
    struct bit from = bit_variable(space_field_variable(machine->space, FIELD_ORIGINAL_SOURCE_PORT, i));
    struct bit to = bit_variable(space_field_variable(machine->space, FIELD_ORIGINAL_DESTINATION_PORT, i));
    bits[i] = source != reply ? from : to;
    if (!reply || icmp == DIAGRAM_FALSE)
      continue;
    if (source)
      bits[i] = bit_function(diagram_choose(store, icmp, bit_set(machine, from), bit_set(machine, to)));
    else
      bits[i] = bit_unknown();
  }
}

static void read_port(struct run *run, const struct live_expression *expression, const struct tracking_facts *facts) {
  struct diagram_store *store = run->machine->store;
  struct port_question question = {.source = expression->key == NFT_CT_PROTO_SRC,
                                   .own = (expression->direction == IP_CT_DIR_REPLY) == facts->reply};
  question.packet_source = wants_packet_source(expression, facts, question.source);
  run->machine->saw |= SAW_FAMILY;
  if (facts->related) {
    read_related_port(run, expression);
    return;
  }
  diagram sets[PORTS_KINDS], rest = run->condition;
  unsigned met = 0, last = 0;
  for (unsigned kind = 0; kind < PORTS_NONE; kind++) {
    diagram all = protocols_of(run, (enum port_kind)kind);
    sets[kind] = diagram_and(store, rest, all);
    rest = diagram_difference(store, rest, all);
  }
  sets[PORTS_NONE] = rest;
  for (unsigned kind = 0; kind < PORTS_KINDS; kind++) {
    met += sets[kind] != DIAGRAM_FALSE;
    last = sets[kind] != DIAGRAM_FALSE ? kind : last;
  }
  struct bit *bits = registers_write(&run->registers, expression->destination, 2);
  for (unsigned i = 0; bits != NULL && met == 1 && i < 16; i++)
    bits[i] = port_bit(run, (enum port_kind)last, &question, i);
  if (bits != NULL && met != 1)
    mix_ports(run, &question, sets, bits);
}

/* ---- all keys ---- */

struct ct_facts {
  void (*read)(struct run *run, const struct live_expression *expression, const struct tracking_facts *facts);
  unsigned bytes; /* what cannot be known; 0: no such key */
  const char *what;
};

static const struct ct_facts KEYS[] = {
    [NFT_CT_STATE] = {read_state, 4, NULL},       [NFT_CT_DIRECTION] = {read_direction, 1, NULL},
    [NFT_CT_STATUS] = {read_status, 4, NULL},     [NFT_CT_MARK] = {read_mark, 4, NULL},
    [NFT_CT_SECMARK] = {NULL, 4, "ct secmark"},   [NFT_CT_EXPIRATION] = {NULL, 4, "ct expiration"},
    [NFT_CT_HELPER] = {NULL, 16, "ct helper"},    [NFT_CT_L3PROTOCOL] = {read_l3protocol, 1, NULL},
    [NFT_CT_SRC] = {read_address, 16, NULL},      [NFT_CT_DST] = {read_address, 16, NULL},
    [NFT_CT_PROTOCOL] = {read_protocol, 1, NULL}, [NFT_CT_PROTO_SRC] = {read_port, 2, NULL},
    [NFT_CT_PROTO_DST] = {read_port, 2, NULL},    [NFT_CT_LABELS] = {NULL, 16, "ct label"},
    [NFT_CT_PKTS] = {NULL, 8, "ct packets"},      [NFT_CT_BYTES] = {NULL, 8, "ct bytes"},
    [NFT_CT_AVGPKT] = {NULL, 8, "ct avgpkt"},     [NFT_CT_ZONE] = {NULL, 2, "ct zone"},
    [NFT_CT_EVENTMASK] = {NULL, 4, "ct event"},   [NFT_CT_SRC_IP] = {read_address, 4, NULL},
    [NFT_CT_DST_IP] = {read_address, 4, NULL},    [NFT_CT_SRC_IP6] = {read_address, 16, NULL},
    [NFT_CT_DST_IP6] = {read_address, 16, NULL},  [NFT_CT_ID] = {NULL, 4, "ct id"},
};

static const struct tracking_facts *connection_facts(struct run *run) {
  const struct tracking_facts *facts = tracking_of(run);
  if (facts == NULL)
    run_unmodelled(run, run->condition, "chain of which it is not known whether it comes before conntrack");
  return facts;
}

void ct_run(struct run *run, const struct live_expression *expression) {
  const struct ct_facts *key = NULL;
  const struct tracking_facts *facts = connection_facts(run);
  if (facts == NULL)
    return;
  if (expression->key < sizeof(KEYS) / sizeof(KEYS[0]))
    key = &KEYS[expression->key];
  if (key == NULL || key->bytes == 0) {
    run_unmodelled(run, run->condition, "ct of an unknown kind");
    return;
  }
  if (expression->key != NFT_CT_STATE) { /* without a connection the rule ends */
    if (!facts->connection)
      run->condition = DIAGRAM_FALSE;
    run->condition = diagram_difference(run->machine->store, run->condition, run->effects->untracked);
  }
  if (run->condition == DIAGRAM_FALSE)
    return;
  if (key->read != NULL) {
    key->read(run, expression, facts);
    return;
  }
  run_narrow(run, run_unknown(run, UNKNOWN_ANSWER, key->what));
  registers_write_unknown(&run->registers, expression->destination, key->bytes);
}

/* ---- writing ---- */

bool run_mark_value(struct run *run, unsigned source, struct word *ret_word) {
  struct symbolic *machine = run->machine;
  struct bit bits[32];
  uint32_t number = 0;
  const struct word *word = registers_word(&run->registers, source, 4);
  if (word != NULL && !word->swapped) {
    *ret_word = *word;
    return true;
  }
  if (word == NULL && !registers_read(machine, &run->registers, source, 4, bits))
    return false;
  bool constant = word == NULL;
  for (unsigned i = 0; constant && i < 32; i++) {
    constant = bits[host_bit(4, i)].kind == BIT_CONSTANT;
    number = number << 1 | (bits[host_bit(4, i)].number & 1);
  }
  uint32_t leaf = constant ? word_constant(machine, number) : word_unknown(machine);
  *ret_word = (struct word){diagram_leaf(machine->store, leaf), 0, false};
  return true;
}

diagram mark_written(struct symbolic *machine, diagram mark, uint32_t start, diagram here, const struct word *word) {
  diagram leaves = word->leaves;
  if (word->zero != 0 && word->zero != start)
    leaves = words_resolve(machine, here, leaves, word->zero);
  return diagram_choose(machine->store, here, leaves, mark);
}

static void set_mark(struct run *run, const struct live_expression *expression) {
  struct symbolic *machine = run->machine;
  struct effects *effects = run->effects;
  struct word word;
  diagram here = diagram_difference(machine->store, run->condition, run->effects->untracked);
  if (!run_mark_value(run, expression->source, &word)) {
    run_unmodelled(run, run->condition, "read of a register that this rule did not write");
    return;
  }
  if (here == DIAGRAM_FALSE)
    return;
  effects->mark = mark_written(machine, effects->mark, effects->mark_start, here, &word);
  journal_add(machine, (struct journal_entry){.kind = JOURNAL_WRITE,
                                              .chain = run->chain,
                                              .rule = run->rule,
                                              .where = words_resolve(machine, here, word.leaves, word.zero)});
}

void ct_set_run(struct run *run, const struct live_expression *expression) {
  const struct tracking_facts *facts = connection_facts(run);
  if (facts == NULL || (!facts->connection && expression->key != NFT_CT_ZONE && expression->key != NFT_CT_HELPER))
    return; /* nothing to write to */
  if (expression->key == NFT_CT_MARK)
    set_mark(run, expression);
  else if (expression->key != NFT_CT_EVENTMASK && expression->key != NFT_CT_LABELS)
    run_unmodelled(run, run->condition, "ct set of something else than mark, label or event");
}

void notrack_run(struct run *run, const struct live_expression *expression) {
  const struct tracking_facts *facts = connection_facts(run);
  (void)expression;
  if (facts != NULL && !facts->connection)
    run->effects->untracked = diagram_or(run->machine->store, run->effects->untracked, run->condition);
}
