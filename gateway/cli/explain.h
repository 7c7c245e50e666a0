/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CLI_EXPLAIN_H
#define KIDO_CLI_EXPLAIN_H

#include "cli/packet_argument.h"
#include "cli/verb.h"
#include "policy/decide.h"

/* What `kido explain` was asked, and what it says about one packet. */
struct question {
  const struct invocation *invocation;
  const struct policy *policy;
  const struct restrictions *restrictions; /* of kidod, for a packet of now; NULL: none */
  enum language language;
  struct end_argument source, destination;
  zone_index in_zone;
  bool in_zone_given;
  bool source_port_given;
  uint16_t source_port;
  bool mac_given;
  struct mac mac;
  enum packet_role role;
  struct service_argument service; /* the one that is judged */
};

/* The packet that the question means, everything that was left out filled in. */
struct query explain_query(const struct question *question);
/* Whether there can be a packet of this service between these ends: their IP versions fit. */
bool explain_fits(const struct question *question, const struct service_argument *service);

/* "deny: 10.211.0.5 (lgwan) -> 8.8.8.8 (seccloud) udp/53 - no flow allows it", in the arena of the invocation; of an
 * emergency cut also which one, since when, by whom and why. */
const char *explain_sentence(const struct question *question, const struct query *query,
                             const struct decision *decision);
/* The same for people, with the flow and the place in the policy. */
void explain_print(const struct question *question, const struct query *query, const struct decision *decision);
/* Schema kido.explain/1; a new reference, NULL when there is no memory. */
json_t *explain_to_json(const struct question *question, const struct decision *decision, const char *message);

/*
 * --kernel: what the rules that the kernel holds (or --ruleset) do with the packet, rule by rule, beside the verdict of
 * the policy. Several services: the first that is denied, not understood, or on which both differ. Returns an exit
 * code.
 */
int explain_kernel(struct question *question, const struct service_argument *services, size_t count);

/* A frame of the packet; returns its length. */
enum { EXPLAIN_FRAME_SIZE = 128 };
size_t explain_frame(const struct packet *packet, uint8_t frame[static EXPLAIN_FRAME_SIZE]);

/* Judges every packet of a capture file, connections included; returns an exit code. */
int explain_capture(struct question *question, const char *path);

/* Lists who may open a connection to what --who-can-reach names; returns an exit code. */
int explain_reach(const struct question *question);

#endif
