/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_PACKET_JSON_H
#define KIDO_CONTROL_PACKET_JSON_H

#include <jansson.h>

#include "policy/packet.h"
#include "policy/policy.h"

/* Which way a packet goes through the gateway. */
struct packet_way {
  zone_index from, to;
  const char *in, *out; /* interfaces; NULL: any, or none */
};

/* {from_zone, to_zone, in, out, src, dst, protocol, sport, dport, icmp_type, icmp_code, src_mac}, null for what it does
 * not have. A new reference; NULL without memory. */
json_t *packet_to_json(const struct policy *policy, const struct packet_way *way, const struct packet *packet);

/* null for ZONE_NONE. */
json_t *zone_to_json(const struct policy *policy, zone_index zone);
/* {file, line}, null where there is none. */
json_t *place_to_json(const struct place *place);

#endif
