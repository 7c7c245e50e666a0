/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_PLAN_H
#define KIDO_CONTROL_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "kernel/conntrack.h"
#include "policy/policy.h"
#include "policy/restrictions.h"

/*
 * What a policy would change: flow by flow, zone by zone, and which live connections it would cut. Flows are compared
 * by name and by meaning (their marks), and what a changed flow covers as products of addresses and services. It is no
 * proof: what one flow gives up another one may still allow; the live connections are judged by the whole policy.
 */

/* One side; policy NULL: the gate is closed. */
struct plan_side {
  const struct policy *policy;
  const struct restrictions *restrictions;
};

struct plan_question {
  struct plan_side before, after;
  const struct address_set *own;
  struct instant now;
};

/* Destination ports of a protocol, or one ICMP type (first == last). */
struct plan_service {
  uint8_t protocol;
  uint16_t first, last;
};

/* source x destination x services */
struct plan_box {
  struct address_set source, destination;
  const struct plan_service *services;
  size_t service_count;
};

enum plan_flow_kind {
  PLAN_ADDED,
  PLAN_REMOVED,
  PLAN_WIDENED,  /* covers more, and all that it covered */
  PLAN_NARROWED, /* covers less, and nothing new */
  PLAN_MOVED,    /* both */
  PLAN_REPINNED, /* the same addresses and services, by other MAC addresses or zones */
  PLAN_RETIMED,  /* only when, or how much: expiry, window, hours, limit */
  PLAN_RENAMED,  /* the same under another name */
  PLAN_FLOW_KIND_COUNT_,
};
const char *plan_flow_kind_name(enum plan_flow_kind kind); /* "added" */

enum { PLAN_BOX_LIMIT = 3 };

struct plan_flow {
  enum plan_flow_kind kind;
  const struct flow *before, *after; /* NULL where there is none */
  struct plan_box opened[PLAN_BOX_LIMIT], closed[PLAN_BOX_LIMIT];
  size_t opened_count, closed_count;
  bool retimed, relimited;                    /* beside the kind */
  enum force_state force_before, force_after; /* now; FORCE_EXPIRED where there is none */
  struct instant until_before, until_after;   /* of the state before */
};

/* A zone or a host, by name; or one of the policy's own keys. */
struct plan_node {
  const char *name;
  bool before, after;
  const char *keys[16]; /* what differs, when it is on both sides */
  size_t key_count;
};

struct plan {
  bool equal;     /* nothing that lets a packet pass differs */
  bool same_text; /* nothing differs at all */
  struct plan_flow *flows;
  size_t flow_count;
  struct plan_node *zones, *hosts; /* hosts: only those with pinned MAC addresses */
  size_t zone_count, host_count;
  struct plan_node header;
};

/* Returns 0 or -ENOMEM. */
int plan_compare(const struct plan_question *question, struct arena *arena, struct plan *ret_plan);

/* ---- live connections ---- */

struct plan_connection {
  const struct connection *connection;
  const struct flow *flow; /* cut: that it belonged to; opened: that would allow it; NULL: none (within a zone) */
};

struct plan_tally {
  const struct flow *flow;
  uint64_t count;
};

struct plan_connections {
  uint64_t count;
  struct plan_tally *tallies; /* by flow, most first */
  size_t tally_count;
  struct plan_connection *examples; /* the first PLAN_EXAMPLE_LIMIT */
  size_t example_count;
};

struct plan_effect {
  uint64_t total; /* without TCP connections that are over and only wait to be forgotten */
  struct plan_connections cut, opened;
  uint64_t unjudged; /* there were too many to look at each in time */
};

enum { PLAN_EXAMPLE_LIMIT = 200, PLAN_JUDGE_MILLISECONDS = 2000 };

/* Connections whose flow stays in force are passed over; the others are judged by what opened them. 0 or -ENOMEM. */
int plan_judge_connections(const struct plan_question *question, const struct connection_list *connections,
                           struct arena *arena, struct plan_effect *ret_effect);

#endif
