/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch/learn.h"

#include <stdlib.h>
#include <string.h>

#include "watch/watch_parts.h"

enum { CANDIDATES = 32, SEEN = 4096, EVIDENCE_COUNT = 5 };

static const int64_t SAME_PACKET = 1000000000;

/* In the order of their weight. The last does not count alone: it takes a MAC that is the gateway's on another wire. */
enum evidence { EVIDENCE_SENT, EVIDENCE_LAWFUL, EVIDENCE_HOP, EVIDENCE_ROUTER, EVIDENCE_OWN };

struct candidate {
  struct mac mac;
  bool used;
  uint64_t evidence[EVIDENCE_COUNT];
};

/* A packet as it was seen on one wire, to be recognised on another. */
struct seen {
  uint64_t hash;
  int64_t time;
  int wire;
  uint8_t hop_limit;
  struct mac source, destination;
};

struct learning {
  struct watch *watch;
  struct candidate (*candidates)[CANDIDATES]; /* by wire */
  struct seen *seen;
};

struct learning *learning_new(struct watch *watch) {
  struct learning *learning = calloc(1, sizeof *learning);
  if (learning == NULL)
    return NULL;
  learning->watch = watch;
  learning->candidates = calloc(WATCH_WIRES, sizeof *learning->candidates);
  learning->seen = calloc(SEEN, sizeof *learning->seen);
  return learning->candidates != NULL && learning->seen != NULL ? learning : learning_free(learning);
}

struct learning *learning_free(struct learning *learning) {
  if (learning != NULL) {
    free(learning->candidates);
    free(learning->seen);
  }
  free(learning);
  return NULL;
}

static void credit(struct learning *learning, int wire, const struct mac *mac, enum evidence evidence) {
  if ((mac->bytes[0] & 1) != 0)
    return; /* a group address is nobody's */
  for (size_t i = 0; i < CANDIDATES; i++) {
    struct candidate *candidate = &learning->candidates[wire][i];
    if (!candidate->used)
      *candidate = (struct candidate){.mac = *mac, .used = true};
    if (mac_equal(&candidate->mac, mac)) {
      candidate->evidence[evidence]++;
      return;
    }
  }
}

static bool is_lawful(const struct learning *learning, const struct frame *frame, zone_index from, zone_index to) {
  struct passage_question question = {.packet = &frame->packet,
                                      .quoted = frame->has_quoted ? &frame->quoted : NULL,
                                      .from = from,
                                      .to = to,
                                      .without_ports = (frame->packet.traits & TRAIT_NO_PORTS) != 0};
  bool reversed;
  return conversation_judge_alone(learning->watch->current.index, &question, &reversed).allow;
}

/* What the gateway itself may say, or be told, on its wire. */
static void learn_from_own(struct learning *learning, int wire, const struct frame *frame, zone_index here) {
  if (is_lawful(learning, frame, here, ZONE_GATEWAY))
    credit(learning, wire, &frame->destination_mac, EVIDENCE_OWN);
  if (is_lawful(learning, frame, ZONE_GATEWAY, here))
    credit(learning, wire, &frame->source_mac, EVIDENCE_OWN);
}

static void learn_from_zones(struct learning *learning, int wire, const struct frame *frame) {
  const struct generation *generation = &learning->watch->current;
  zone_index here = generation->wire_zones[wire];
  struct address_facts source = index_find(generation->index, &frame->packet.source);
  struct address_facts destination = index_find(generation->index, &frame->packet.destination);
  if (source.zone == here && destination.zone == here)
    learn_from_own(learning, wire, frame, here);
  if (source.zone == destination.zone || source.zone == ZONE_NONE || destination.zone == ZONE_NONE)
    return;
  bool lawful = is_lawful(learning, frame, source.zone, destination.zone);
  if (source.zone != here && destination.zone == here && lawful)
    credit(learning, wire, &frame->source_mac, EVIDENCE_LAWFUL);
  if (source.zone == here)
    credit(learning, wire, &frame->destination_mac, lawful ? EVIDENCE_LAWFUL : EVIDENCE_ROUTER);
}

static uint64_t identity_of(const struct frame *frame) {
  const struct packet *packet = &frame->packet;
  uint64_t hash = 0xcbf29ce484222325 ^ frame->identification;
  for (size_t i = 0; i < sizeof packet->source.bytes; i++)
    hash = ((hash ^ packet->source.bytes[i]) * 0x100000001b3 ^ packet->destination.bytes[i]) * 0x100000001b3;
  uint64_t ports = (uint64_t)packet->source_port << 32 | (uint64_t)packet->destination_port << 16 |
                   (uint64_t)packet->icmp_type << 8 | packet->protocol;
  return (hash ^ ports ^ (uint64_t)frame->length << 48) * 0xff51afd7ed558ccd;
}

static void learn_from_hops(struct learning *learning, int wire, const struct frame *frame) {
  uint64_t hash = identity_of(frame);
  struct seen *seen = &learning->seen[hash >> 32 & (SEEN - 1)];
  bool same = seen->hash == hash && seen->wire != wire && frame->time - seen->time < SAME_PACKET;
  if (same && seen->hop_limit == frame->hop_limit + 1) {
    credit(learning, seen->wire, &seen->destination, EVIDENCE_HOP);
    credit(learning, wire, &frame->source_mac, EVIDENCE_HOP);
  }
  *seen = (struct seen){hash, frame->time, wire, frame->hop_limit, frame->source_mac, frame->destination_mac};
}

void learning_frame(struct learning *learning, int wire, const struct captured_frame *captured) {
  struct watch *watch = learning->watch;
  struct frame frame;
  frame_decode(captured, &frame);
  if (frame.has_macs && frame.sender == SENDER_THIS_MACHINE)
    credit(learning, wire, &frame.source_mac, EVIDENCE_SENT);
  if (frame.content != CONTENT_IP || !frame.has_macs || frame.fault != FAULT_NONE)
    return;
  struct instant now = watch->settings.now_fixed ? watch->settings.now : (struct instant){frame.time / 1000000000};
  index_set_time(watch->current.index, now);
  learn_from_zones(learning, wire, &frame);
  learn_from_hops(learning, wire, &frame);
}

static const struct candidate *best_of(const struct candidate *candidates) {
  for (unsigned evidence = 0; evidence < EVIDENCE_OWN; evidence++) {
    const struct candidate *best = NULL;
    for (size_t i = 0; i < CANDIDATES && candidates[i].used; i++)
      if (candidates[i].evidence[evidence] > (best != NULL ? best->evidence[evidence] : 0))
        best = &candidates[i];
    if (best != NULL)
      return best;
  }
  return NULL;
}

static bool is_gateway_elsewhere(const struct watch *watch, const struct mac *mac) {
  for (size_t i = 0; i < watch->wire_count; i++)
    if (wire_is_gateway_mac(&watch->wires[i], mac))
      return true;
  return false;
}

/* Where the gateway forwards nothing but speaks itself, by the MAC that it has on other wires, too. */
static const struct candidate *own_of(const struct watch *watch, const struct candidate *candidates) {
  for (size_t i = 0; i < CANDIDATES && candidates[i].used; i++)
    if (candidates[i].evidence[EVIDENCE_OWN] > 0 && is_gateway_elsewhere(watch, &candidates[i].mac))
      return &candidates[i];
  return NULL;
}

size_t learning_finish(struct learning *learning) {
  struct watch *watch = learning->watch;
  size_t learned = 0;
  for (int own = 0; own < 2; own++) {
    for (size_t i = 0; i < watch->wire_count; i++) {
      const struct candidate *candidates = learning->candidates[i];
      const struct candidate *best = own ? own_of(watch, candidates) : best_of(candidates);
      if (watch->wires[i].gateway_mac_count > 0 || best == NULL)
        continue;
      watch_add_gateway_mac(watch, (int)i, &best->mac);
      learned++;
    }
  }
  return learned;
}
