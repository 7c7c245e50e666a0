/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CLI_PACKET_ARGUMENT_H
#define KIDO_CLI_PACKET_ARGUMENT_H

#include "base/arena.h"
#include "base/error.h"
#include "base/language.h"
#include "policy/packet.h"
#include "policy/policy.h"

/* What an operator types in place of a packet: an end and a service. */

/* The service part of a packet. */
struct service_argument {
  uint8_t protocol;
  uint16_t port;     /* TCP, UDP */
  uint8_t icmp_type; /* ICMP, ICMPv6 */
};

enum { SERVICE_ARGUMENT_LIMIT = 32 };

/*
 * "tcp/443", "icmp/redirect", "icmp/5", "proto/47", "tcp+udp/53", or a name: the policy's own, else of the catalogue.
 * Fills at most SERVICE_ARGUMENT_LIMIT entries; a range gives its first and its last port. Returns their number, or
 * -EINVAL with *error.
 */
int service_argument_parse(const struct policy *policy, const char *text, enum language language,
                           struct service_argument *ret_services, struct error *error);
const char *service_argument_text(const struct service_argument *service, struct arena *arena);

/* One end: `gateway`, an address, or a host of the policy, for which its first address stands. */
struct end_argument {
  bool gateway;
  const struct host *host; /* NULL for an address */
  struct address address;  /* not set for the gateway */
};

int end_argument_parse(const struct policy *policy, const char *text, enum language language, struct arena *arena,
                       struct end_argument *ret_end, struct error *error);

#endif
