/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch/connections.h"

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

enum { WAYS = 4, SEEDS = 5, LINE = 64, PORTION = 32768, LARGE_PAGE = 2 * 1024 * 1024 };

__extension__ typedef unsigned __int128 product;

_Static_assert(sizeof(struct connection) <= LINE, "a conversation fits a cache line");

struct set {
  _Alignas(LINE) struct connection ways[WAYS];
};

struct tags {
  uint16_t of[WAYS]; /* part of the hash; a free place is found by its family */
};

struct connections {
  struct set *sets;
  struct tags *tags;
  size_t mask;
  uint64_t seeds[SEEDS]; /* so that nobody can aim at one set */
  uint64_t evicted, lost;
  uint16_t now; /* as last_seen */
};

/* Large pages where the kernel has them: the table is walked at random. */
static void *allocate(size_t size) {
  size_t aligned = size < LARGE_PAGE ? LINE : LARGE_PAGE;
  void *memory = aligned_alloc(aligned, (size + aligned - 1) / aligned * aligned);
  if (memory == NULL)
    return NULL;
  if (aligned == LARGE_PAGE)
    (void)madvise(memory, size, MADV_HUGEPAGE);
  memset(memory, 0, size);
  return memory;
}

/* Without the kernel's random numbers: by where the memory happens to lie. */
static void choose_seeds(struct connections *connections) {
  uint64_t seed = (uint64_t)(uintptr_t)connections->sets;
  for (size_t i = 0; i < SEEDS; i++) {
    seed = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9 + 0x9e3779b97f4a7c15;
    connections->seeds[i] = seed ^ seed >> 31;
  }
}

struct connections *connections_new(size_t count) {
  size_t sets = 1;
  while (sets * WAYS < count)
    sets *= 2;
  struct connections *connections = calloc(1, sizeof *connections);
  if (connections == NULL)
    return NULL;
  *connections = (struct connections){
      .sets = allocate(sets * sizeof(struct set)), .tags = allocate(sets * sizeof(struct tags)), .mask = sets - 1};
  if (connections->sets == NULL || connections->tags == NULL)
    return connections_free(connections);
  if (getrandom(connections->seeds, sizeof connections->seeds, GRND_NONBLOCK) != (ssize_t)sizeof connections->seeds)
    choose_seeds(connections);
  return connections;
}

struct connections *connections_free(struct connections *connections) {
  if (connections != NULL) {
    free(connections->sets);
    free(connections->tags);
  }
  free(connections);
  return NULL;
}

static uint64_t load64(const uint8_t *bytes) {
  uint64_t value;
  memcpy(&value, bytes, sizeof value);
  return value;
}

static uint32_t load32(const uint8_t *bytes) {
  uint32_t value;
  memcpy(&value, bytes, sizeof value);
  return value;
}

/* Every bit of both decides about every bit of the result, and which way only the seeds know. */
static uint64_t mix(uint64_t left, uint64_t right) {
  product both = (product)left * right;
  return (uint64_t)both ^ (uint64_t)(both >> 64);
}

/* A request type stands for its reply too. */
static uint16_t icmp_query(const struct packet *packet) {
  if (packet->protocol == PROTOCOL_ICMP && packet->icmp_type == ICMP_ECHOREPLY)
    return ICMP_ECHO;
  if (packet->protocol == PROTOCOL_ICMPV6 && packet->icmp_type == ICMP6_ECHO_REPLY)
    return ICMP6_ECHO_REQUEST;
  return packet->icmp_type;
}

static void key_ports(const struct packet *packet, uint16_t *ret_source, uint16_t *ret_destination) {
  if (packet->protocol == PROTOCOL_ICMP || packet->protocol == PROTOCOL_ICMPV6) {
    *ret_source = *ret_destination = icmp_query(packet);
  } else {
    *ret_source = packet->source_port;
    *ret_destination = packet->destination_port;
  }
}

/* An address. */
struct number {
  uint64_t low, high;
};

static struct number load_address(const struct address *address) {
  bool ipv6 = address->family == FAMILY_IPV6;
  return (struct number){ipv6 ? load64(address->bytes) : load32(address->bytes), ipv6 ? load64(address->bytes + 8) : 0};
}

static uint64_t hash_key(const uint64_t *seeds, const struct connection_key *key) {
  uint64_t first = load64(key->ends[0]), second = load64(key->ends[1]), hash = first << 32 | second;
  uint64_t besides = (uint64_t)key->ports[0] << 32 | (uint64_t)key->ports[1] << 16 | key->protocol;
  if (key->family == FAMILY_IPV6)
    hash = mix(first ^ seeds[0], load64(key->ends[0] + 8) ^ seeds[1]) ^
           mix(second ^ seeds[2], load64(key->ends[1] + 8) ^ seeds[3]);
  return mix(mix(hash ^ seeds[0], besides ^ seeds[1]) ^ seeds[4], seeds[2] | 1);
}

/* Any order will do that both ends see the same. */
static bool goes_first(const struct number *source, const struct number *destination, bool lower_port) {
  if (source->low != destination->low)
    return source->low < destination->low;
  return source->high != destination->high ? source->high < destination->high : lower_port;
}

/* Without a branch on the order, which nobody could foretell. */
void connections_key(const struct connections *connections, const struct packet *packet,
                     struct connection_key *ret_key) {
  uint16_t source_port, destination_port;
  key_ports(packet, &source_port, &destination_port);
  struct number source = load_address(&packet->source), destination = load_address(&packet->destination);
  unsigned end = goes_first(&source, &destination, source_port <= destination_port) ? 0 : 1;
  memcpy(ret_key->ends[end], &source, sizeof source);
  memcpy(ret_key->ends[1 - end], &destination, sizeof destination);
  ret_key->source_end = (uint8_t)end;
  ret_key->ports[end] = source_port;
  ret_key->ports[1 - end] = destination_port;
  ret_key->family = (uint8_t)packet->source.family;
  ret_key->protocol = packet->protocol;
  ret_key->hash = hash_key(connections->seeds, ret_key);
}

static bool same_address(const uint8_t *left, const uint8_t *right) {
  return load64(left) == load64(right) && load64(left + 8) == load64(right + 8);
}

static bool matches(const struct connection *connection, const struct connection_key *key) {
  return connection->family == key->family && connection->protocol == key->protocol &&
         connection->ports[0] == key->ports[0] && connection->ports[1] == key->ports[1] &&
         same_address(connection->ends[0], key->ends[0]) && same_address(connection->ends[1], key->ends[1]);
}

static size_t set_of(const struct connections *connections, const struct connection_key *key) {
  return key->hash & connections->mask;
}

static uint16_t tag_of(const struct connection_key *key) {
  return (uint16_t)(key->hash >> 48);
}

struct connection *connections_find(struct connections *connections, const struct connection_key *key) {
  struct set *set = &connections->sets[set_of(connections, key)];
  const struct tags *tags = &connections->tags[set_of(connections, key)];
  for (unsigned way = 0; way < WAYS; way++)
    if (tags->of[way] == tag_of(key) && matches(&set->ways[way], key))
      return &set->ways[way];
  return NULL;
}

void connections_announce(const struct connections *connections, const struct connection_key *key) {
  __builtin_prefetch(&connections->tags[set_of(connections, key)]);
}

void connections_prefetch(const struct connections *connections, const struct connection_key *key) {
  const struct set *set = &connections->sets[set_of(connections, key)];
  const struct tags *tags = &connections->tags[set_of(connections, key)];
  for (unsigned way = 0; way < WAYS; way++)
    if (tags->of[way] == tag_of(key))
      __builtin_prefetch(&set->ways[way], 1);
}

uint32_t connections_mac_digest(const struct connections *connections, const struct mac *mac) {
  uint64_t value = 0;
  memcpy(&value, mac->bytes, sizeof mac->bytes);
  uint32_t digest = (uint32_t)(mix(value ^ connections->seeds[3], connections->seeds[4] | 1) >> 16);
  return digest != 0 ? digest : 1;
}

/* Denied ones go before allowed ones, older before younger. */
static bool goes_before(const struct connection *left, const struct connection *right) {
  if (left->allowed != right->allowed)
    return !left->allowed;
  return (int16_t)(left->last_seen - right->last_seen) < 0;
}

static void note_eviction(struct connections *connections, const struct connection *victim) {
  if (victim->family == FAMILY_NONE)
    return;
  int16_t silent = (int16_t)(connections->now - victim->last_seen);
  connections->evicted++;
  connections->lost += victim->allowed && silent < CONNECTION_LIVES / CONNECTION_TICK ? 1 : 0;
}

struct connection *connections_add(struct connections *connections, const struct connection_key *key) {
  struct connection *found = connections_find(connections, key);
  if (found != NULL)
    return found;
  struct set *set = &connections->sets[set_of(connections, key)];
  struct connection *victim = &set->ways[0];
  for (unsigned way = 0; way < WAYS && victim->family != FAMILY_NONE; way++)
    if (set->ways[way].family == FAMILY_NONE || goes_before(&set->ways[way], victim))
      victim = &set->ways[way];
  note_eviction(connections, victim);
  connections->tags[set_of(connections, key)].of[victim - set->ways] = tag_of(key);
  memset(victim, 0, sizeof *victim);
  memcpy(victim->ends, key->ends, sizeof key->ends);
  memcpy(victim->ports, key->ports, sizeof key->ports);
  victim->family = key->family;
  victim->protocol = key->protocol;
  victim->carried[0] = (uint16_t)(key->hash >> 16) & (PORTION - 1);
  victim->carried[1] = (uint16_t)(key->hash >> 32) & (PORTION - 1);
  return victim;
}

void connections_forget_verdicts(struct connections *connections) {
  for (size_t i = 0; i <= connections->mask; i++)
    for (unsigned way = 0; way < WAYS; way++)
      connections->sets[i].ways[way].epoch = 0;
}

void connection_opener(const struct connection *connection, struct packet *ret_opener) {
  unsigned from = connection->opener_end, to = 1 - from;
  *ret_opener = (struct packet){.protocol = connection->protocol};
  ret_opener->source.family = ret_opener->destination.family = connection->family;
  memcpy(ret_opener->source.bytes, connection->ends[from], sizeof connection->ends[from]);
  memcpy(ret_opener->destination.bytes, connection->ends[to], sizeof connection->ends[to]);
  if (connection->protocol == PROTOCOL_ICMP || connection->protocol == PROTOCOL_ICMPV6) {
    ret_opener->icmp_type = (uint8_t)connection->ports[from];
    return;
  }
  ret_opener->source_port = connection->ports[from];
  ret_opener->destination_port = connection->ports[to];
  if (connection->protocol == PROTOCOL_TCP)
    ret_opener->tcp_flags = TCP_SYN;
}

void connections_set_time(struct connections *connections, int64_t seconds) {
  connections->now = (uint16_t)(seconds / CONNECTION_TICK);
}

uint64_t connections_lost(const struct connections *connections) {
  return connections->lost;
}

uint64_t connections_evicted(const struct connections *connections) {
  return connections->evicted;
}
