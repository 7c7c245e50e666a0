/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_POLICY_DECIDE_H
#define KIDO_POLICY_DECIDE_H

#include "base/instant.h"
#include "policy/packet.h"
#include "policy/policy.h"
#include "policy/restrictions.h"

/*
 * The reference meaning of the policy language: short, obviously right, slow. The kernel's rules, the watchman and the
 * prover are each tested against it. It knows nothing of nftables.
 */

/* In the order in which they are reported; the guard's reasons first, in the order of the guard table. */
enum reason {
  REASON_FLOW,   /* allowed by a flow */
  REASON_WITHIN, /* allowed inside one zone, between two of its interfaces */
  REASON_SPECIAL_SOURCE,
  REASON_SPECIAL_DESTINATION,
  REASON_OWN_SOURCE,
  REASON_BROADCAST_SOURCE,
  REASON_DIRECTED_BROADCAST,
  REASON_SPOOFED_SOURCE,
  REASON_MAC_MISMATCH,
  REASON_CUT,
  REASON_IP_OPTIONS,
  REASON_FRAGMENT,
  REASON_TUNNEL,
  REASON_UNKNOWN_ZONE, /* an interface without a zone, or a destination that no zone claims */
  REASON_NO_FLOW,
  REASON_NO_FLOW_THIS_DIRECTION,
  REASON_INVALID_STATE,
  REASON_ICMP,
  REASON_FLOOD, /* these two depend on what else is on its way: the kernel may refuse by them what this allows */
  REASON_LIMIT,
  REASON_EXPIRED,
  REASON_OUTSIDE_WINDOW,
  REASON_COUNT_,
};

/* "special-source": the name in JSON, counters and reports. */
const char *reason_name(enum reason reason);
/* One clause for people, e.g. "許可する通信がない". */
const char *reason_label(enum reason reason, enum language language);

/* How the packet stands to a connection that the gateway tracks. */
enum packet_role {
  ROLE_OPENS,    /* it belongs to no connection yet: its own tuple opens one */
  ROLE_ORIGINAL, /* a later packet of a connection, in the direction of its opener */
  ROLE_REPLY,    /* a packet of a connection against the direction of its opener */
  ROLE_ERROR,    /* an ICMP error that quotes a packet of a connection */
};

/* A packet at the gateway: where it came in, where it would leave, how it belongs. */
struct query {
  struct packet packet;
  zone_index in_zone;  /* zone of the receiving interface; ZONE_NONE: it has none; ZONE_GATEWAY: the gateway sends it */
  zone_index out_zone; /* zone of the interface it leaves by; ZONE_GATEWAY: for the gateway itself;
                          ZONE_NONE: that of the destination address */
  bool same_interface; /* it would leave by the interface by which it came */
  enum packet_role role;
  struct packet opener; /* for every role but ROLE_OPENS: the packet that opened the connection */
};

/* What the verdict depends on beside policy and packet. */
struct circumstances {
  struct instant now;
  const struct address_set *own;           /* addresses of the gateway; NULL offline: nothing is own */
  const struct restrictions *restrictions; /* NULL: none */
};

struct decision {
  bool allow;
  enum reason reason;
  const struct flow *flow; /* the flow that allows, or that would but is not in force or opens the other way; or NULL */
  const struct cut *cut;   /* for REASON_CUT: the first that holds; or NULL */
  zone_index from_zone, to_zone;
  struct place place; /* where the policy says so: the flow, the zone, the host; file NULL when nowhere */
};

struct decision policy_decide(const struct policy *policy, const struct circumstances *circumstances,
                              const struct query *query);

/*
 * First flow of the file that covers an opener (addresses, protocol, ports or ICMP type, MAC of a pinned source when
 * known) from from_zone to to_zone, whether or not it is in force. Start with previous NULL; go on with the last
 * answer to get the next one; NULL at the end.
 */
const struct flow *policy_next_covering_flow(const struct policy *policy, const struct packet *opener,
                                             zone_index from_zone, zone_index to_zone, const struct flow *previous);

#endif
