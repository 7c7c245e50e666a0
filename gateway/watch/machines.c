/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch/machines.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "watch/finding.h"

enum { WAYS = 8, HOMES = 2, MACHINES = 16384, ADDRESSES = 16384, FRAMES = 8192 };

/* Where a machine was heard. The first is where it was last. */
struct home {
  int64_t last; /* 0: none */
  int wire;
};

struct machine {
  uint64_t key; /* 0: free */
  struct home homes[HOMES];
};

struct owner {
  uint64_t key; /* 0: free */
  int64_t last;
  struct mac mac;
};

struct heard {
  uint64_t digest;
  int64_t time;
  int wire;
};

struct machines {
  struct machine *machines;
  struct owner *owners;
  struct heard *frames;
  size_t machine_mask, owner_mask, frame_mask; /* numbers of sets less one, and of frames */
  uint64_t seed;                               /* so that nobody can aim at one set, or at one digest */
  uint64_t evicted;
};

static size_t round_up(size_t count, size_t usual) {
  size_t rounded = WAYS;
  while (rounded < (count > 0 ? count : usual))
    rounded *= 2;
  return rounded;
}

struct machines *machines_new(size_t machines, size_t addresses, size_t frames) {
  struct machines *made = calloc(1, sizeof *made);
  if (made == NULL)
    return NULL;
  machines = round_up(machines, MACHINES);
  addresses = round_up(addresses, ADDRESSES);
  frames = round_up(frames, FRAMES);
  *made = (struct machines){.machines = calloc(machines, sizeof(struct machine)),
                            .owners = calloc(addresses, sizeof(struct owner)),
                            .frames = calloc(frames, sizeof(struct heard)),
                            .machine_mask = machines / WAYS - 1,
                            .owner_mask = addresses / WAYS - 1,
                            .frame_mask = frames - 1,
                            .seed = 0x9e3779b97f4a7c15};
  if (made->machines == NULL || made->owners == NULL || made->frames == NULL)
    return machines_free(made);
  if (getrandom(&made->seed, sizeof made->seed, GRND_NONBLOCK) < 0)
    made->seed ^= (uint64_t)(uintptr_t)made;
  return made;
}

struct machines *machines_free(struct machines *machines) {
  if (machines != NULL) {
    free(machines->machines);
    free(machines->owners);
    free(machines->frames);
  }
  free(machines);
  return NULL;
}

/* ---- keys ---- */

static uint64_t mix(uint64_t state, uint64_t value) {
  state = (state ^ value) * 0xff51afd7ed558ccd;
  return state ^ state >> 32;
}

static uint64_t mix_bytes(uint64_t state, const uint8_t *bytes, size_t length) {
  uint64_t word;
  for (; length >= sizeof word; bytes += sizeof word, length -= sizeof word) {
    memcpy(&word, bytes, sizeof word);
    state = mix(state, word);
  }
  word = 0;
  for (size_t i = 0; i < length; i++)
    word = word << 8 | bytes[i];
  return mix(state, word ^ (uint64_t)length << 56);
}

static uint64_t close_key(uint64_t state) {
  state = mix(state, 0xc4ceb9fe1a85ec53);
  return state != 0 ? state : 1;
}

uint64_t machines_digest(const struct machines *machines, const void *head, size_t head_length, const void *body,
                         size_t body_length) {
  const uint8_t *bytes = body;
  while (body_length > 0 && bytes[body_length - 1] == 0)
    body_length--;
  return close_key(mix_bytes(mix_bytes(machines->seed, head, head_length), bytes, body_length));
}

/* ---- machines ---- */

/* The entry of that key, or a free one, or that of the longest silent machine. */
static struct machine *place_of(struct machines *machines, uint64_t key, int64_t now) {
  struct machine *set = &machines->machines[(key >> 32 & machines->machine_mask) * WAYS], *oldest = set;
  for (size_t i = 0; i < WAYS; i++) {
    if (set[i].key == key)
      return &set[i];
    if (oldest->key != 0 && (set[i].key == 0 || set[i].homes[0].last < oldest->homes[0].last))
      oldest = &set[i];
  }
  machines->evicted += oldest->key != 0 && now - oldest->homes[0].last < MACHINE_REMEMBERED ? 1 : 0;
  *oldest = (struct machine){.key = key};
  return oldest;
}

static bool same_zone(const zone_index *wire_zones, int left, int right) {
  return wire_zones[left] == wire_zones[right];
}

static void tell_other(const struct home *other, const zone_index *wire_zones, int wire, struct machine_sight *sight) {
  if (other->last == 0 || same_zone(wire_zones, other->wire, wire))
    return;
  sight->other_wire = other->wire;
  sight->other_last = other->last;
}

void machines_hear(struct machines *machines, enum machine_name kind, const void *name, size_t length, int wire,
                   const zone_index *wire_zones, int64_t now, struct machine_sight *ret_sight) {
  uint64_t key = close_key(mix_bytes(mix(machines->seed, (uint64_t)kind), name, length));
  struct machine *machine = place_of(machines, key, now);
  struct home *homes = machine->homes;
  *ret_sight = (struct machine_sight){.first = homes[0].last == 0, .other_wire = WIRE_NONE, .key = key};
  if (!ret_sight->first && !same_zone(wire_zones, homes[0].wire, wire)) {
    ret_sight->moved = true;
    homes[1] = homes[0];
  }
  tell_other(&homes[1], wire_zones, wire, ret_sight);
  homes[0] = (struct home){.last = now, .wire = wire};
}

/* ---- addresses ---- */

static uint64_t key_of_address(const struct machines *machines, const struct address *address) {
  return close_key(mix_bytes(machines->seed ^ address->family, address->bytes, sizeof address->bytes));
}

void machines_note_address(struct machines *machines, const struct address *address, const struct mac *mac,
                           int64_t now) {
  uint64_t key = key_of_address(machines, address);
  struct owner *set = &machines->owners[(key >> 32 & machines->owner_mask) * WAYS], *place = set;
  for (size_t i = 0; i < WAYS && place->key != key; i++)
    if (set[i].key == key || (place->key != 0 && (set[i].key == 0 || set[i].last < place->last)))
      place = &set[i];
  machines->evicted += place->key != 0 && place->key != key && now - place->last < MACHINE_REMEMBERED ? 1 : 0;
  *place = (struct owner){.key = key, .last = now, .mac = *mac};
}

bool machines_find_address(const struct machines *machines, const struct address *address, struct mac *ret_mac) {
  uint64_t key = key_of_address(machines, address);
  const struct owner *set = &machines->owners[(key >> 32 & machines->owner_mask) * WAYS];
  for (size_t i = 0; i < WAYS; i++) {
    if (set[i].key != key)
      continue;
    *ret_mac = set[i].mac;
    return true;
  }
  return false;
}

/* ---- frames ---- */

int machines_echo(struct machines *machines, uint64_t digest, int wire, const zone_index *wire_zones, int64_t now,
                  int64_t within) {
  struct heard *heard = &machines->frames[digest >> 16 & machines->frame_mask];
  bool same = heard->digest == digest && now - heard->time <= within && heard->time - now <= within;
  int other = same && !same_zone(wire_zones, heard->wire, wire) ? heard->wire : WIRE_NONE;
  *heard = (struct heard){.digest = digest, .time = now, .wire = wire};
  return other;
}

uint64_t machines_evicted(const struct machines *machines) {
  return machines->evicted;
}
