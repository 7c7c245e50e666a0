/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_RULES_RULE_H
#define KIDO_RULES_RULE_H

#include "rules/builder.h"

/*
 * Writes one rule twice at once: as expressions for the kernel and as text for nft. Each call appends to both, so that
 * they cannot drift apart. Like nft, the writer puts the check that a field needs (which IP version, which transport
 * protocol, Ethernet) in front of it, once per rule.
 */
enum match {
  MATCH_IIFNAME,
  MATCH_OIFNAME,
  MATCH_NFPROTO,
  MATCH_L4PROTO,
  MATCH_ETHER_SOURCE,
  MATCH_IP_FIRST_BYTE, /* version and, of IPv4, the length of the header in words */
  /* Behind that one being 0x45, these need no check of their own and are the quickest that the kernel has. */
  MATCH_IP_FRAGMENT_WORD, /* 0: not a fragment */
  MATCH_IP_TUNNEL_BITS,   /* 0x20 and 0x40 of the protocol */
  MATCH_IP_PROTOCOL_BYTE,
  MATCH_DESTINATION_PORT, /* of whatever protocol */
  MATCH_IP4_SOURCE,
  MATCH_IP4_DESTINATION,
  MATCH_IP4_HEADER_LENGTH,
  MATCH_IP4_FRAGMENT,
  MATCH_IP4_FRAGMENT_OFFSET,
  MATCH_IP6_SOURCE,
  MATCH_IP6_DESTINATION,
  MATCH_IP6_NEXT_HEADER,
  MATCH_IP6_HOP_LIMIT,
  MATCH_IP6_HOP_BY_HOP,
  MATCH_IP6_FRAGMENT,
  MATCH_IP6_FRAGMENT_OFFSET, /* fragments only: of other packets it ends the rule */
  MATCH_IP6_ROUTING_TYPE,
  MATCH_ICMP_TYPE,
  MATCH_ICMPV6_TYPE,
  MATCH_TCP_OPENING,
  MATCH_TCP_RESET,
  MATCH_TCP_SLOT, /* what rule_writer.slot_mask leaves of the port of who opens: in its own packet, */
  MATCH_UDP_DESTINATION,
  MATCH_CT_MARK,
  MATCH_CT_FLOW, /* the mark without HALF_OPEN_MARK */
  MATCH_CT_DIRECTION,
  MATCH_ORIGINAL_IP4_SOURCE,
  MATCH_ORIGINAL_IP4_DESTINATION,
  MATCH_ORIGINAL_IP6_SOURCE,
  MATCH_ORIGINAL_IP6_DESTINATION,
  MATCH_ORIGINAL_PORT,
  MATCH_ORIGINAL_SLOT, /* and in any packet of the connection (behind rule_transport()) */
  MATCH_CT_PROTOCOL,
  MATCH_COUNT_,
};

enum conntrack_state { STATE_INVALID = 1, STATE_ESTABLISHED = 2, STATE_RELATED = 4, STATE_NEW = 8 };

enum conntrack_status { STATUS_ASSURED = 4, STATUS_CONFIRMED = 8 };

enum slot_action { SLOT_TAKE, SLOT_RENEW, SLOT_FREE };

enum { RULE_EXPRESSIONS_MAX = 64, RULE_TEXT_MAX = 2048 };

struct rule_writer {
  struct builder *builder;
  struct chain_draft *chain;
  struct expression expressions[RULE_EXPRESSIONS_MAX];
  size_t count;
  char text[RULE_TEXT_MAX];
  size_t length;
  uint16_t slot_mask;   /* of ports; may be set by the caller */
  int ip_version;       /* NFPROTO_* that the rule has checked; 0: none */
  int transport;        /* protocol that the rule has checked; -1: none */
  bool ethernet;        /* checked */
  bool failed;          /* a rule that does not fit; builder->failed is set at its end */
  const char *comment;  /* NULL for none */
  struct origin origin; /* may be set by the caller */
};

struct rule_writer rule_begin(struct builder *builder, struct chain_draft *chain);
/* field == value or != value. value: field's size in bytes as the kernel compares them; text: as nft writes it. */
void rule_equals(struct rule_writer *writer, enum match field, const void *value, const char *text);
void rule_differs(struct rule_writer *writer, enum match field, const void *value, const char *text);
/* first <= field <= last, which differ; the texts as nft writes one value. */
void rule_between(struct rule_writer *writer, enum match field, const void *first, const char *first_text,
                  const void *last, const char *last_text);
void rule_transport(struct rule_writer *writer, uint8_t protocol); /* meta l4proto */
void rule_state(struct rule_writer *writer, enum conntrack_state state);
void rule_status(struct rule_writer *writer, enum conntrack_status status, bool wanted);
/* The fields, concatenated, are (or with rule_not_in are not) in the set. fields end with MATCH_COUNT_. */
void rule_in(struct rule_writer *writer, const enum match *fields, const char *set);
void rule_not_in(struct rule_writer *writer, const enum match *fields, const char *set);
/* The same for an IPv4 address under a mask (host order), which makes the kernel's quickest comparison and lookup. */
void rule_equals_ipv4(struct rule_writer *writer, enum match field, uint32_t mask, uint32_t value);
void rule_differs_ipv4(struct rule_writer *writer, enum match field, uint32_t mask, uint32_t value);
void rule_in_ipv4(struct rule_writer *writer, enum match field, uint32_t mask, const char *set);
void rule_verdict_map_ipv4(struct rule_writer *writer, enum match field, uint32_t mask, const char *map);
void rule_verdict_map(struct rule_writer *writer, const enum match *fields, const char *map);
/* ct mark set FIELDS map @map */
void rule_mark_map(struct rule_writer *writer, const enum match *fields, const char *map);
/* Sets or clears HALF_OPEN_MARK in the connection's mark. */
void rule_mark_half_open(struct rule_writer *writer, bool half_open);
/* Takes a key of a dynamic set for a packet, renews or frees it. SLOT_TAKE goes on only if it was free, and there is
 * room; SLOT_RENEW only if it had gone; SLOT_FREE always. */
void rule_slot(struct rule_writer *writer, enum slot_action action, const enum match *fields, const char *set);
/* The beginning and the end of this connection are told to who listens to conntrack. First packet only. */
void rule_tell_events(struct rule_writer *writer);
void rule_count(struct rule_writer *writer, const char *counter);
/* A copy goes to that NFLOG group, of at most so many packets a second and so many at once; the others end the rule. */
struct log_limit {
  uint16_t group;
  uint32_t per_second, at_once;
};
void rule_log(struct rule_writer *writer, const struct log_limit *limit, const char *prefix);
/* Holds for what is more than so many packets a second. */
void rule_over(struct rule_writer *writer, uint64_t per_second);
/* Holds while more than so many connections that came by this rule live. */
void rule_over_connections(struct rule_writer *writer, uint64_t connections);
/* Marks the connection as refused and answers it: with a TCP reset, or with ICMP "administratively prohibited". */
void rule_refuse(struct rule_writer *writer, bool reset);
/* Ends the rule: with a verdict, with goto or jump, or (VERDICT_NONE) without any. */
void rule_end(struct rule_writer *writer, enum verdict_code code, const char *chain);

#endif
