/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_POLICY_RESTRICTIONS_H
#define KIDO_POLICY_RESTRICTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/instant.h"
#include "policy/policy.h"

/*
 * What holds back a policy now, beside its own text: emergency cuts, windows that somebody ended early, a policy that
 * is only on trial, a clock that cannot be believed. Restrictions only ever take away; without any (NULL or all zero)
 * the policy stands as written. Names are kept as text, since a cut outlives the policy it was made under: a zone that
 * the policy in force does not know is cut from nothing.
 */
enum cut_kind {
  CUT_HOST, /* one address: nothing from it or to it, in whatever zone, the gateway included */
  CUT_PAIR, /* two zones, both directions; one of them may be "gateway" */
  CUT_ZONE, /* everything to, from and within a zone */
  CUT_ALL,  /* everything */
  CUT_KIND_COUNT_,
};
/* CUT_ZONE and CUT_ALL leave management with the gateway alone: somebody must be able to lift them. */

struct cut {
  uint64_t id; /* grows over the life of the state directory; what `cut --lift` names */
  enum cut_kind kind;
  struct address address;        /* CUT_HOST */
  const char *zone, *other_zone; /* CUT_PAIR both, CUT_ZONE the first; else NULL */
  struct instant at;
  const char *by, *why; /* who ordered it, and the reason given; never NULL */
};

/* A window, or the hours of a day, that ended before its end. */
struct closed_window {
  const char *flow;
  struct instant until; /* the end that the policy gives it: then the next window may open */
  struct instant at;
  const char *by, *why;
};

struct restrictions {
  const struct cut *cuts;
  size_t cut_count;
  const struct closed_window *closed_windows;
  size_t closed_window_count;
  /* The clock went back while nobody watched it: flows with an expiry, window or hours are not in force. */
  bool clock_doubtful;
  /* A policy on trial: by index of the flow (of the zone) the instant at which it ends (in which forwarding within it
   * ends) unless the policy is confirmed, INSTANT_NEVER for what the confirmed policy allows too. NULL: not on trial.
   * They belong to that policy and no other. */
  const struct instant *flow_deadlines, *within_deadlines;
};

/* Host, zone and pair names as the operator writes them: "host", "pair", "zone", "all". */
const char *cut_kind_name(enum cut_kind kind);

/* The first cut that holds, NULL when none does; the questions are those of the two functions below. */
const struct cut *restrictions_find_address_cut(const struct restrictions *restrictions, const struct address *address);
const struct cut *restrictions_find_zone_cut(const struct restrictions *restrictions, const struct policy *policy,
                                             zone_index left, zone_index right);

/* Whether something cuts the address off. restrictions may be NULL, here and below. */
bool restrictions_cut_address(const struct restrictions *restrictions, const struct address *address);

/* Whether something cuts two zones from each other (left == right: forwarding within it). ZONE_GATEWAY is one of them,
 * ZONE_NONE is cut from everything that is cut off as a whole. */
bool restrictions_cut_zones(const struct restrictions *restrictions, const struct policy *policy, zone_index left,
                            zone_index right);

/* policy_flow_force() with what holds it back: a closed window and a doubtful clock give FORCE_OUTSIDE_WINDOW, a
 * deadline that has passed FORCE_EXPIRED. Cuts are not looked at: they concern packets, and a flow of which everything
 * is cut keeps its counters. */
enum force_state restricted_flow_force(const struct policy *policy, const struct restrictions *restrictions,
                                       const struct flow *flow, struct instant now, struct instant *ret_until);

/* Whether the policy lets packets pass between interfaces of the zone now (`within`, unless a trial has ended). Cuts
 * are not looked at. */
bool restricted_within(const struct policy *policy, const struct restrictions *restrictions, zone_index zone,
                       struct instant now, struct instant *ret_until);

#endif
