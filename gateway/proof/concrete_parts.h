/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_PROOF_CONCRETE_PARTS_H
#define KIDO_PROOF_CONCRETE_PARTS_H

#include "proof/concrete.h"

/* What the files concrete*.c share and nobody else sees. */

/* The packet as rules see it in one hook. */
struct concrete_view {
  const uint8_t *frame; /* Ethernet header first; NULL: rules find no link header */
  const uint8_t *packet;
  size_t length;          /* from the network header on */
  bool transport_known;   /* nft: the transport protocol could be told */
  uint8_t protocol;       /* behind all extension headers */
  size_t transport;       /* where its header begins; 0 in later fragments of IPv6 */
  unsigned fragment_part; /* not 0: a later fragment */
};

/* A place on the way of a packet where chains hang. */
enum concrete_stage {
  STAGE_INGRESS,
  STAGE_PREROUTING,
  STAGE_INPUT,
  STAGE_FORWARD,
  STAGE_OUTPUT,
  STAGE_POSTROUTING,
  STAGE_EGRESS,
  STAGE_COUNT_,
};

/* What an expression does to its rule. */
enum concrete_answer {
  ANSWER_CONTINUE,
  ANSWER_BREAK,
  ANSWER_VERDICT, /* machine->verdict */
};

struct concrete_machine {
  const struct live_ruleset *ruleset;
  const struct surroundings *surroundings;
  const struct probe *probe;
  struct arena *arena;
  bool reversed; /* chains of equal priority in the other order */
  bool ties;     /* there are such chains */

  struct concrete_view early;   /* with what the link layer appended */
  struct concrete_view arrived; /* trimmed */
  struct concrete_view whole;   /* put together out of its fragments */
  struct concrete_view leaving; /* with one hop less */

  /* the hook */
  enum concrete_stage stage;
  const struct concrete_view *view;
  unsigned family; /* NFPROTO_* as a rule reads it */
  const char *in;  /* with has_in: NULL is an interface that no rule names */
  const char *out;
  bool has_in, has_out;
  bool connection; /* conntrack has found one */
  bool looked;     /* conntrack has looked at the packet */
  bool untracked;  /* a rule told it not to */

  /* the rule */
  const struct live_chain *chain;
  const struct live_rule *rule;
  uint8_t registers[LIVE_REGISTER_BYTES];
  bool known[LIVE_REGISTER_BYTES]; /* written in this rule, with something that is known */
  struct live_verdict verdict;

  uint32_t packet_mark;
  struct original_tuple original; /* family NONE: not known */
  struct concrete_result result;
  size_t step_capacity, rules_left;
};

/* ---- registers (concrete_rule.c) ---- */

/* True when all these bytes lie within the registers and are known. */
bool concrete_readable(const struct concrete_machine *machine, unsigned source, size_t length);
/* Writes as the kernel copies values: the last word is filled up with zeros. */
void concrete_store(struct concrete_machine *machine, unsigned destination, const void *bytes, size_t length);
void concrete_store_word(struct concrete_machine *machine, unsigned destination, uint32_t host_order);
void concrete_forget(struct concrete_machine *machine, unsigned destination, size_t length);

/* Notes why the packet cannot be followed exactly, and answers as the probe wants it. */
enum concrete_answer concrete_unknown(struct concrete_machine *machine, const char *why);
enum concrete_answer concrete_evaluate(struct concrete_machine *machine, const struct live_expression *expression);
/* Evaluates one rule; the step says where it stopped. */
enum concrete_answer concrete_rule(struct concrete_machine *machine, const struct live_rule *rule,
                                   unsigned *ret_stopped_at);

/* ---- the packet (concrete_packet.c) ---- */

bool concrete_is_fragment(const struct probe *probe);
/* Fills in the views. -ENOMEM. */
int concrete_look(struct concrete_machine *machine, bool defragments);
/* Where an IPv6 extension header begins; false when there is none, or the packet ends before. */
bool concrete_find_header(const struct concrete_view *view, unsigned type, size_t *ret_offset);
/* The tuple that conntrack would make of this packet. */
struct original_tuple concrete_tuple(const struct concrete_view *view, enum address_family family);
struct original_tuple concrete_turn_tuple(const struct original_tuple *tuple);

/* ---- expressions that read (concrete_load.c) and look up (concrete_sets.c) ---- */

enum concrete_answer concrete_payload(struct concrete_machine *machine, const struct live_expression *expression);
enum concrete_answer concrete_exthdr(struct concrete_machine *machine, const struct live_expression *expression);
enum concrete_answer concrete_meta(struct concrete_machine *machine, const struct live_expression *expression);
enum concrete_answer concrete_meta_set(struct concrete_machine *machine, const struct live_expression *expression);
enum concrete_answer concrete_ct(struct concrete_machine *machine, const struct live_expression *expression);
enum concrete_answer concrete_ct_set(struct concrete_machine *machine, const struct live_expression *expression);
enum concrete_answer concrete_lookup(struct concrete_machine *machine, const struct live_expression *expression);
enum concrete_answer concrete_dynset(struct concrete_machine *machine, const struct live_expression *expression);
enum concrete_answer concrete_object(struct concrete_machine *machine, const struct live_expression *expression);

#endif
