/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_FINDING_H
#define KIDO_WATCH_FINDING_H

#include "events/event.h"
#include "policy/policy.h"

/* What the watchman can find. Order: as operators should read them, worst first. */
enum finding_kind {
  FINDING_CROSSING,
  FINDING_DISGUISED_CROSSING,
  FINDING_BRIDGED,
  FINDING_BYPASS,
  FINDING_DUAL_HOMED,
  FINDING_IDENTITY_THEFT,
  FINDING_ROGUE_ROUTER,
  FINDING_ROGUE_UPLINK,
  FINDING_TUNNEL,
  FINDING_SPOOFED,
  FINDING_PROTOCOL_MISMATCH,
  FINDING_WRONG_SHAPE,
  FINDING_UNKNOWN_SEGMENT,
  FINDING_BLIND,
  FINDING_ATTEMPT,
  FINDING_MALFORMED,
  FINDING_KIND_COUNT_,
};

/* How a frame moved, seen from the gateway. */
enum frame_direction {
  FRAME_ENTERING, /* sent to the gateway's MAC */
  FRAME_LEAVING,  /* sent by the gateway */
  FRAME_PASSING,  /* between others on the wire, or to all of them */
  FRAME_DIRECTION_NONE,
};

enum { WIRE_NONE = -1, SUBJECT_JOINT = 1 /* a joint of two zones: all that crosses it is one cause */ };

/*
 * One cause, as data. What moves has zone, where it comes from, and other_zone, where it went or wanted to go. What
 * lies where it may not (bypass, unknown-segment) has zone, that of the wire, and other_zone, whose it is. ZONE_NONE
 * where the kind has none. Text fields are constants or live as long as the policy.
 */
struct finding {
  enum finding_kind kind;
  int64_t time;
  int64_t since; /* when it began, where that was before `time`; else 0 */
  zone_index zone, other_zone;
  int wire;       /* where it was seen, WIRE_NONE for the watchman as a whole */
  int entry_wire; /* crossing: where it came in; bridged, dual-homed: the other wire; WIRE_NONE when it was not seen */
  enum frame_direction direction;
  struct address source, destination;                     /* family FAMILY_NONE: none */
  struct address inner_source, inner_destination;         /* of a packet within; family FAMILY_NONE: none */
  int protocol, source_port, destination_port, icmp_type; /* -1: none */
  int vlan, ethertype;
  bool has_source_mac, has_destination_mac;
  struct mac source_mac, destination_mac;
  const struct flow *flow;
  const char *reason;
  uint64_t subject; /* not 0: this, instead of addresses and ports, makes it one cause (a machine, a joint of wires) */
  uint64_t count, bytes;
  bool of_flow; /* wrong-shape: of the flow as a whole; the addresses are an example */
  /* disguised-crossing: the tuple with which it left; family FAMILY_NONE: none */
  struct address new_source, new_destination;
  int new_source_port, new_destination_port;
};

struct finding_rule {
  const char *name; /* "crossing" */
  enum event_severity severity;
};

const struct finding_rule *finding_rule(enum finding_kind kind);
const char *frame_direction_name(enum frame_direction direction); /* NULL for none */

#endif
