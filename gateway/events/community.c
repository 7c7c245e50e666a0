/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "events/community.h"

#include <nettle/base64.h>
#include <nettle/sha1.h>
#include <stddef.h>
#include <string.h>

enum { ICMP = 1, ICMPV6 = 58 };

struct counterpart {
  uint8_t type, other;
};

/* Requests and the answers that belong to them; types without a counterpart make one-way conversations. */
static const struct counterpart ICMP_PAIRS[] = {{8, 0},   {0, 8},  {13, 14}, {14, 13}, {15, 16},
                                                {16, 15}, {10, 9}, {9, 10},  {17, 18}, {18, 17}};
static const struct counterpart ICMPV6_PAIRS[] = {{128, 129}, {129, 128}, {133, 134}, {134, 133}, {135, 136},
                                                  {136, 135}, {130, 131}, {131, 130}, {144, 145}, {145, 144}};

/* Both ends of a conversation as the identity orders them. */
struct ends {
  const struct address *source, *destination;
  uint16_t source_port, destination_port;
  bool one_way;
};

static void map_icmp(struct ends *ends, const struct counterpart *pairs, size_t count) {
  uint8_t type = (uint8_t)ends->source_port;
  for (size_t i = 0; i < count; i++) {
    if (pairs[i].type == type) {
      ends->destination_port = pairs[i].other;
      return;
    }
  }
  ends->one_way = true;
}

static void order(struct ends *ends) {
  int compared = memcmp(ends->source->bytes, ends->destination->bytes, address_length(ends->source->family));
  if (ends->one_way || compared < 0 || (compared == 0 && ends->source_port < ends->destination_port))
    return;
  *ends = (struct ends){.source = ends->destination,
                        .destination = ends->source,
                        .source_port = ends->destination_port,
                        .destination_port = ends->source_port};
}

static size_t put_port(uint8_t *bytes, uint16_t port) {
  bytes[0] = (uint8_t)(port >> 8);
  bytes[1] = (uint8_t)port;
  return 2;
}

static size_t serialise(const struct ends *ends, uint8_t protocol, bool has_ports, uint8_t bytes[static 40]) {
  size_t length = address_length(ends->source->family), at = 2; /* the seed, zero */
  memcpy(bytes + at, ends->source->bytes, length);
  at += length;
  memcpy(bytes + at, ends->destination->bytes, length);
  at += length;
  bytes[at++] = protocol;
  bytes[at++] = 0;
  if (has_ports) {
    at += put_port(bytes + at, ends->source_port);
    at += put_port(bytes + at, ends->destination_port);
  }
  return at;
}

const char *community_id(const struct address *source, const struct address *destination, uint8_t protocol,
                         bool has_ports, uint16_t source_port, uint16_t destination_port,
                         char ret_text[static COMMUNITY_ID_SIZE]) {
  struct ends ends = {source, destination, source_port, destination_port, false};
  if (protocol == ICMP)
    map_icmp(&ends, ICMP_PAIRS, sizeof ICMP_PAIRS / sizeof ICMP_PAIRS[0]);
  else if (protocol == ICMPV6)
    map_icmp(&ends, ICMPV6_PAIRS, sizeof ICMPV6_PAIRS / sizeof ICMPV6_PAIRS[0]);
  order(&ends);
  uint8_t bytes[40] = {0}, digest[SHA1_DIGEST_SIZE];
  struct sha1_ctx context;
  sha1_init(&context);
  sha1_update(&context, serialise(&ends, protocol, has_ports, bytes), bytes);
  sha1_digest(&context, sizeof digest, digest);
  memcpy(ret_text, "1:", 2);
  base64_encode_raw(ret_text + 2, sizeof digest, digest);
  ret_text[2 + BASE64_ENCODE_RAW_LENGTH(SHA1_DIGEST_SIZE)] = '\0';
  return ret_text;
}
