/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/replay_wires.h"

#include <stdio.h>
#include <string.h>

#include "wire/pcapng.h"

enum { VLANS = 4096, NAME = 128, GIVEN = 256, NOT_ASKED = -3, TRUNK = -4 };

struct given_mac {
  const char *place;
  struct mac mac;
};

/* A source as it is read. */
struct reading {
  struct replay_source source;
  int wires[PCAPNG_INTERFACES];          /* by interface of the file: a wire, REPLAY_NO_WIRE, NOT_ASKED, TRUNK */
  int *vlans[PCAPNG_INTERFACES];         /* of a TRUNK: by tag */
  const char *trunks[PCAPNG_INTERFACES]; /* its name */
  uint64_t frames, passed_over;
};

struct known_wire {
  const char *zone, *name;
  bool mac_given;
};

struct replay_wires {
  struct arena *arena;
  const struct policy *policy;
  struct watch *watch;
  struct reading *readings;
  size_t reading_count;
  struct given_mac macs[GIVEN];
  size_t mac_count;
  struct known_wire known[WATCH_WIRES];
  size_t known_count;
};

/* ---- names ---- */

static bool is_vlan_of(const char *interface, const char *trunk) {
  size_t length = strlen(trunk);
  return length > 0 && strncmp(interface, trunk, length) == 0 && interface[length] == '.';
}

/* The first interface of the policy on that trunk; NULL when it is none. */
static const char *first_on_trunk(const struct policy *policy, const char *trunk) {
  for (size_t z = 0; z < policy->zone_count; z++)
    for (size_t i = 0; i < policy->zones[z].interface_count; i++)
      if (is_vlan_of(policy->zones[z].interfaces[i].text, trunk))
        return policy->zones[z].interfaces[i].text;
  return NULL;
}

bool replay_wires_knows_zone(const struct policy *policy, const char *name) {
  return policy_find_zone(policy, name) >= 0;
}

bool replay_wires_knows_interface(const struct policy *policy, const char *name) {
  return policy_zone_of_interface(policy, name) >= 0 || first_on_trunk(policy, name) != NULL;
}

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}

/* ---- making ---- */

struct replay_wires *replay_wires_new(struct arena *arena, const struct policy *policy, struct watch *watch,
                                      const struct replay_source *sources, size_t count) {
  struct replay_wires *wires = ARENA_NEW(arena, struct replay_wires);
  struct reading *readings = ARENA_ARRAY(arena, count, struct reading);
  if (wires == NULL || readings == NULL)
    return NULL;
  *wires = (struct replay_wires){
      .arena = arena, .policy = policy, .watch = watch, .readings = readings, .reading_count = count};
  for (size_t i = 0; i < count; i++) {
    readings[i].source = sources[i];
    for (size_t n = 0; n < PCAPNG_INTERFACES; n++)
      readings[i].wires[n] = NOT_ASKED;
  }
  return wires;
}

int replay_wires_add_mac(struct replay_wires *wires, const char *place, const struct mac *mac) {
  if (wires->mac_count == GIVEN)
    return -1;
  wires->macs[wires->mac_count++] = (struct given_mac){place, *mac};
  return 0;
}

static bool has_mac(const struct replay_wires *wires, const char *place) {
  for (size_t i = 0; place != NULL && i < wires->mac_count; i++)
    if (strcmp(wires->macs[i].place, place) == 0)
      return true;
  return false;
}

bool replay_wires_all_have_macs(const struct replay_wires *wires) {
  for (size_t i = 0; i < wires->reading_count; i++) {
    const struct replay_source *source = &wires->readings[i].source;
    if (source->by_name || (!has_mac(wires, source->zone) && !has_mac(wires, source->interface)))
      return false;
  }
  return true;
}

/* ---- wires ---- */

static int find_known(const struct replay_wires *wires, const char *zone, const char *name) {
  for (size_t i = 0; i < wires->known_count; i++)
    if (strcmp(wires->known[i].zone, zone) == 0 && strcmp(wires->known[i].name, name) == 0)
      return (int)i;
  return -1;
}

static void give_macs(struct replay_wires *wires, int number) {
  struct known_wire *known = &wires->known[number];
  for (size_t i = 0; i < wires->mac_count; i++) {
    const char *place = wires->macs[i].place;
    if (strcmp(place, known->zone) != 0 && strcmp(place, known->name) != 0 && !is_vlan_of(known->name, place))
      continue;
    watch_add_gateway_mac(wires->watch, number, &wires->macs[i].mac);
    known->mac_given = true;
  }
}

static int wire_of(struct replay_wires *wires, const char *zone, const char *name) {
  int number = find_known(wires, zone, name);
  if (number >= 0)
    return number;
  char *own = arena_strndup(wires->arena, name, strlen(name));
  if (own == NULL || (number = watch_add_wire(wires->watch, own, zone)) < 0)
    return REPLAY_NO_MEMORY;
  wires->known[number] = (struct known_wire){zone, own, false};
  wires->known_count = (size_t)number + 1;
  give_macs(wires, number);
  return number;
}

static int wire_of_interface(struct replay_wires *wires, const char *interface) {
  zone_index zone = policy_zone_of_interface(wires->policy, interface);
  return zone >= 0 ? wire_of(wires, wires->policy->zones[zone].name, interface) : REPLAY_NO_WIRE;
}

static bool same_zone_twice(const struct replay_wires *wires, const char *zone) {
  unsigned times = 0;
  for (size_t i = 0; i < wires->reading_count; i++)
    times += wires->readings[i].source.zone != NULL && strcmp(wires->readings[i].source.zone, zone) == 0;
  return times > 1;
}

/* Several files of a zone with one wire were rotated; else each file is a wire, called like it. */
static int wire_of_zone(struct replay_wires *wires, const struct replay_source *source, const char *interface_name) {
  const struct zone *zone = &wires->policy->zones[policy_find_zone(wires->policy, source->zone)];
  const char *name = interface_name != NULL ? interface_name : base_name(source->path);
  if (interface_name == NULL && zone->interface_count == 1 && same_zone_twice(wires, source->zone))
    name = zone->interfaces[0].text;
  return wire_of(wires, zone->name, name);
}

/* ---- interfaces of a file ---- */

static int begin_trunk(struct replay_wires *wires, struct reading *reading, unsigned interface, const char *name) {
  int *vlans = ARENA_ARRAY(wires->arena, VLANS, int);
  char *own = arena_strndup(wires->arena, name, strlen(name));
  if (vlans == NULL || own == NULL)
    return REPLAY_NO_MEMORY;
  for (size_t i = 0; i < VLANS; i++)
    vlans[i] = NOT_ASKED;
  reading->vlans[interface] = vlans;
  reading->trunks[interface] = own;
  return TRUNK;
}

static int ask(struct replay_wires *wires, struct reading *reading, unsigned interface, const char *interface_name) {
  const struct replay_source *source = &reading->source;
  if (source->zone != NULL)
    return wire_of_zone(wires, source, interface_name);
  const char *name = source->by_name ? interface_name : source->interface;
  if (name == NULL)
    return REPLAY_NO_WIRE;
  if (policy_zone_of_interface(wires->policy, name) >= 0)
    return wire_of_interface(wires, name);
  return first_on_trunk(wires->policy, name) != NULL ? begin_trunk(wires, reading, interface, name) : REPLAY_NO_WIRE;
}

/* What bears no tag of the policy lies where its first VLAN does, and is found there. */
static int ask_vlan(struct replay_wires *wires, const char *trunk, unsigned vlan) {
  char name[NAME];
  snprintf(name, sizeof name, "%s.%u", trunk, vlan);
  int wire = wire_of_interface(wires, name);
  return wire != REPLAY_NO_WIRE ? wire : wire_of_interface(wires, first_on_trunk(wires->policy, trunk));
}

static int wire_on_trunk(struct replay_wires *wires, struct reading *reading, unsigned interface,
                         const struct captured_frame *captured) {
  struct frame frame;
  frame_decode(captured, &frame);
  unsigned vlan = frame.tag_count > 0 ? frame.tags[0] % VLANS : 0;
  int *wire = &reading->vlans[interface][vlan];
  if (*wire == NOT_ASKED)
    *wire = ask_vlan(wires, reading->trunks[interface], vlan);
  return *wire;
}

static int *wire_of_number(struct replay_wires *wires, struct reading *reading, const char *interface_name,
                           unsigned interface) {
  int *wire = &reading->wires[interface % PCAPNG_INTERFACES];
  if (*wire == NOT_ASKED)
    *wire = ask(wires, reading, interface % PCAPNG_INTERFACES, interface_name);
  return wire;
}

int replay_wires_find(struct replay_wires *wires, size_t source, const char *interface_name,
                      struct captured_frame *frame) {
  struct reading *reading = &wires->readings[source];
  int wire = *wire_of_number(wires, reading, interface_name, frame->interface);
  reading->frames++;
  if (wire == TRUNK)
    wire = wire_on_trunk(wires, reading, frame->interface % PCAPNG_INTERFACES, frame);
  if (wire == REPLAY_NO_WIRE)
    reading->passed_over++;
  else if (wire >= 0 && wires->known[wire].mac_given)
    frame->sender = SENDER_UNKNOWN;
  return wire;
}

int replay_wires_find_interface(struct replay_wires *wires, size_t source, const char *interface_name,
                                unsigned interface) {
  struct reading *reading = &wires->readings[source];
  int wire = *wire_of_number(wires, reading, interface_name, interface);
  return wire == TRUNK ? ask_vlan(wires, reading->trunks[interface % PCAPNG_INTERFACES], 0) : wire;
}

uint64_t replay_wires_passed_over(const struct replay_wires *wires, size_t source) {
  return wires->readings[source].passed_over;
}

bool replay_wires_knows_none(const struct replay_wires *wires, size_t source) {
  const struct reading *reading = &wires->readings[source];
  return reading->frames > 0 && reading->frames == reading->passed_over;
}
