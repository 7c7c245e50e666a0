/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch/fragments.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { WAYS = 4, PIECES = 128 };
static const int64_t LIFETIME = 30LL * 1000000000;

struct piece {
  uint16_t first, length;
};

struct datagram {
  struct address source, destination;
  uint32_t identification;
  uint8_t protocol;
  bool used, ports_known;
  uint16_t source_port, destination_port;
  uint8_t icmp_type, icmp_code;
  uint8_t piece_count;
  struct piece pieces[PIECES];
  int64_t time;
};

struct fragments {
  struct datagram *datagrams;
  size_t sets;
  uint64_t seed; /* so that nobody can aim at one set */
  uint64_t lost;
};

struct fragments *fragments_new(size_t count) {
  struct fragments *fragments = calloc(1, sizeof *fragments);
  size_t sets = count / WAYS + 1;
  struct datagram *datagrams = calloc(sets * WAYS, sizeof *datagrams);
  if (fragments == NULL || datagrams == NULL) {
    free(fragments);
    free(datagrams);
    return NULL;
  }
  fragments->datagrams = datagrams;
  fragments->sets = sets;
  if (getrandom(&fragments->seed, sizeof fragments->seed, GRND_NONBLOCK) < 0)
    fragments->seed = 0x9e3779b97f4a7c15 ^ (uint64_t)(uintptr_t)fragments;
  return fragments;
}

struct fragments *fragments_free(struct fragments *fragments) {
  if (fragments != NULL)
    free(fragments->datagrams);
  free(fragments);
  return NULL;
}

static uint64_t mix(uint64_t state, uint64_t value) {
  state = (state ^ value) * 0xff51afd7ed558ccd;
  return state ^ state >> 32;
}

static uint64_t mix_address(uint64_t state, const struct address *address) {
  uint64_t parts[2];
  memcpy(parts, address->bytes, sizeof parts);
  return mix(mix(state, parts[0]), parts[1]);
}

static size_t hash(const struct fragments *fragments, const struct frame *frame) {
  uint64_t state = mix(fragments->seed, (uint64_t)frame->identification << 8 | frame->packet.protocol);
  return (size_t)mix_address(mix_address(state, &frame->packet.source), &frame->packet.destination);
}

static bool is_of(const struct datagram *datagram, const struct frame *frame) {
  return datagram->used && datagram->identification == frame->identification &&
         datagram->protocol == frame->packet.protocol && frame->time - datagram->time < LIFETIME &&
         address_equal(&datagram->source, &frame->packet.source) &&
         address_equal(&datagram->destination, &frame->packet.destination);
}

static struct datagram *find(struct fragments *fragments, const struct frame *frame) {
  struct datagram *set = &fragments->datagrams[hash(fragments, frame) % fragments->sets * WAYS];
  struct datagram *oldest = set;
  for (size_t way = 0; way < WAYS; way++) {
    if (is_of(&set[way], frame))
      return &set[way];
    if (!set[way].used || (oldest->used && set[way].time < oldest->time))
      oldest = &set[way];
  }
  fragments->lost += oldest->used && frame->time - oldest->time < LIFETIME ? 1 : 0;
  *oldest = (struct datagram){.source = frame->packet.source,
                              .destination = frame->packet.destination,
                              .identification = frame->identification,
                              .protocol = frame->packet.protocol,
                              .used = true,
                              .time = frame->time};
  return oldest;
}

/* The same piece twice is a retransmission (or the second sighting on its way through the gateway). */
static bool add_piece(struct datagram *datagram, uint16_t first, uint16_t length) {
  uint32_t end = (uint32_t)first + length;
  for (unsigned i = 0; i < datagram->piece_count; i++) {
    const struct piece *piece = &datagram->pieces[i];
    if (piece->first == first && piece->length == length)
      return true;
    if (first < (uint32_t)piece->first + piece->length && piece->first < end)
      return false;
  }
  if (datagram->piece_count < PIECES)
    datagram->pieces[datagram->piece_count++] = (struct piece){first, length};
  return true;
}

enum fragment_answer fragments_see(struct fragments *fragments, const struct frame *frame, bool first_sight,
                                   struct packet *packet) {
  struct datagram *datagram = find(fragments, frame);
  if (frame->first_fragment && (packet->traits & TRAIT_NO_PORTS) == 0) {
    datagram->ports_known = true;
    datagram->source_port = packet->source_port;
    datagram->destination_port = packet->destination_port;
    datagram->icmp_type = packet->icmp_type;
    datagram->icmp_code = packet->icmp_code;
  } else if (datagram->ports_known) {
    packet->source_port = datagram->source_port;
    packet->destination_port = datagram->destination_port;
    packet->icmp_type = datagram->icmp_type;
    packet->icmp_code = datagram->icmp_code;
    packet->traits &= ~(unsigned)TRAIT_NO_PORTS;
    packet->tcp_flags = TCP_ACK; /* a later part of something that its first part was judged for */
  }
  if (first_sight && !add_piece(datagram, frame->fragment_offset, frame->fragment_length))
    return FRAGMENT_OVERLAPS;
  return datagram->ports_known ? FRAGMENT_PORTS_KNOWN : FRAGMENT_PORTS_UNKNOWN;
}

uint64_t fragments_lost(const struct fragments *fragments) {
  return fragments->lost;
}
