/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * State of the watch, and the way of a frame through it: decode, place, judge; findings go to the aggregate, which
 * tells alerts, which become events.
 */
#include "watch/watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "watch/report.h"
#include "watch/watch_parts.h"

enum {
  DEFAULT_CONNECTIONS = 65536,
  TALKERS = 4096,
  RECOGNISED = 1024,
  PASSAGES = 8192,
  DISGUISES = 4096,
  FRAGMENTED_PACKETS = 1024
};

static const int64_t MILLISECOND = 1000000;
#define HOLD (200 * MILLISECOND)
#define TICK (50 * MILLISECOND)
#define CROWD_INTERVAL (10000 * MILLISECOND)
#define CROWD_HOUR (3600000 * MILLISECOND)
enum { CROWD_LEAST = 32, CROWD_MOST_UNTOLD = 1024 };

/* ---- telling ---- */

static bool is_kept(const struct watch *watch) {
  return watch->at != NULL && watch->settings.keep != NULL && watch->settings.keep_frames > 0;
}

static void tell_alert(void *context, struct alert *alert, int64_t now) {
  struct watch *watch = context;
  const struct policy *policy = watch->current.policy;
  const char *wires[WATCH_WIRES];
  for (size_t i = 0; i < watch->wire_count; i++)
    wires[i] = watch->wires[i].name;
  struct report_names names = {.policy = policy,
                               .language =
                                   watch->settings.language_forced ? watch->settings.language : policy->header.language,
                               .wires = wires};
  struct report_texts texts;
  struct event event;
  report_event(alert, &names, now, &texts, &event);
  if (alert->kept > 0 || is_kept(watch))
    event.evidence = "";
  watch->settings.tell(watch->settings.context, &event, policy->header.timezone);
  memcpy(alert->id, event.id, sizeof alert->id);
}

void watch_find(struct watch *watch, const struct finding *finding) {
  if (finding->wire != WIRE_NONE)
    watch->wires[finding->wire].counters.findings += finding->count;
  struct alert *alert = aggregate_add(watch->aggregate, finding);
  if (!is_kept(watch) || alert->kept >= watch->settings.keep_frames)
    return;
  alert->kept++;
  watch->settings.keep(watch->settings.context, alert->id, watch->wires[watch->at_wire].name, watch->at);
}

/* It was seen a moment ago; the frame that is being judged now is another one. */
static void find_attempt(void *context, const struct finding *finding) {
  struct watch *watch = context;
  const struct captured_frame *at = watch->at;
  int at_wire = watch->at_wire;
  watch->at = passages_frame(watch->passages);
  watch->at_wire = finding->wire;
  watch_find(watch, finding);
  watch->at = at;
  watch->at_wire = at_wire;
}

static void find_rewritten(void *context, const struct disguise_mark *entry, const struct disguise_mark *exit) {
  rewritten_found(context, entry, exit);
}

void watch_missed_something(struct watch *watch) {
  watch->whole_since = watch->now;
}

bool watch_saw_everything(const struct watch *watch, int64_t nanoseconds) {
  return watch->whole_since != 0 && watch->now - watch->whole_since >= nanoseconds;
}

void watch_count_everyday(struct watch *watch, int wire) {
  watch->wires[wire].counters.everyday++;
}

/* ---- life ---- */

struct watch *watch_new(const struct watch_settings *settings) {
  struct watch *watch = calloc(1, sizeof *watch);
  if (watch == NULL)
    return NULL;
  watch->settings = *settings;
  watch->wires = calloc(WATCH_WIRES, sizeof *watch->wires);
  watch->connections = connections_new(settings->connections > 0 ? settings->connections : DEFAULT_CONNECTIONS);
  watch->passages = passages_new(settings->passages > 0 ? settings->passages : PASSAGES, HOLD, find_attempt, watch);
  watch->disguise = disguise_new(DISGUISES, HOLD, find_rewritten, watch);
  watch->fragments = fragments_new(settings->fragmented > 0 ? settings->fragmented : FRAGMENTED_PACKETS);
  watch->shapes = shapes_new(TALKERS);
  watch->recogniser = recogniser_new(RECOGNISED);
  watch->aggregate = aggregate_new(tell_alert, watch);
  watch->homes = homes_new(settings->machines, settings->copy_wait);
  watch->prefilter = prefilter_new();
  if (watch->wires == NULL || watch->connections == NULL || watch->passages == NULL || watch->disguise == NULL ||
      watch->fragments == NULL || watch->shapes == NULL || watch->recogniser == NULL || watch->aggregate == NULL ||
      watch->homes == NULL || watch->prefilter == NULL)
    return watch_free(watch);
  return watch;
}

static void free_generation(struct generation *generation) {
  generation->index_arena = arena_free(generation->index_arena);
  generation->policy_arena = arena_free(generation->policy_arena);
  *generation = (struct generation){.policy = NULL};
}

static void free_wires(struct watch *watch) {
  for (size_t i = 0; watch->wires != NULL && i < watch->wire_count; i++) {
    free(watch->wires[i].name);
    free(watch->wires[i].zone_name);
  }
  free(watch->wires);
}

struct watch *watch_free(struct watch *watch) {
  if (watch == NULL)
    return NULL;
  free_wires(watch);
  free_generation(&watch->current);
  free_generation(&watch->pending);
  connections_free(watch->connections);
  passages_free(watch->passages);
  disguise_free(watch->disguise);
  fragments_free(watch->fragments);
  shapes_free(watch->shapes);
  recogniser_free(watch->recogniser);
  homes_free(watch->homes);
  aggregate_free(watch->aggregate);
  prefilter_free(watch->prefilter);
  free(watch->own);
  free(watch);
  return NULL;
}

/* ---- wires ---- */

bool wire_is_gateway_mac(const struct wire *wire, const struct mac *mac) {
  for (size_t i = 0; i < wire->gateway_mac_count; i++)
    if (memcmp(wire->gateway_macs[i].bytes, mac->bytes, sizeof mac->bytes) == 0)
      return true;
  return false;
}

static uint64_t bit_of(const struct mac *mac) {
  unsigned mixed = mac->bytes[2] * 7u ^ mac->bytes[3] * 13u ^ mac->bytes[4] * 29u ^ mac->bytes[5];
  return 1ull << (mixed & 63);
}

bool watch_may_be_gateway_mac(const struct watch *watch, const struct mac *mac) {
  return (watch->gateway_mac_bits & bit_of(mac)) != 0;
}

int watch_add_gateway_mac(struct watch *watch, int wire, const struct mac *mac) {
  struct wire *entry = &watch->wires[wire];
  if (wire_is_gateway_mac(entry, mac))
    return 0;
  if (entry->gateway_mac_count == GATEWAY_MACS)
    return -ENOSPC;
  entry->gateway_macs[entry->gateway_mac_count++] = *mac;
  watch->gateway_mac_bits |= bit_of(mac);
  return 0;
}

void watch_forget_gateway_macs(struct watch *watch, int wire) {
  watch->wires[wire].gateway_mac_count = 0;
}

static int lay_out(struct watch *watch, struct generation *generation);

int watch_add_wire(struct watch *watch, const char *name, const char *zone_name) {
  if (watch->wire_count == WATCH_WIRES)
    return -ENOSPC;
  struct wire *wire = &watch->wires[watch->wire_count];
  wire->name = strdup(name);
  wire->zone_name = zone_name != NULL ? strdup(zone_name) : NULL;
  if (wire->name == NULL || (zone_name != NULL && wire->zone_name == NULL))
    return -ENOMEM;
  watch->wire_count++;
  struct generation *generations[] = {&watch->current, &watch->pending};
  for (size_t i = 0; i < 2; i++)
    if (generations[i]->policy != NULL && lay_out(watch, generations[i]) < 0)
      return -ENOMEM;
  return (int)watch->wire_count - 1;
}

/* ---- policies ---- */

static zone_index zone_of_wire(const struct policy *policy, const struct wire *wire) {
  if (wire->zone_name != NULL)
    return policy_find_zone(policy, wire->zone_name);
  return policy_zone_of_interface(policy, wire->name);
}

/* The number behind the last dot of an interface's name; 0 when it has none. */
static unsigned vlan_of_interface(const char *name, size_t *ret_parent_length) {
  const char *dot = strrchr(name, '.');
  unsigned vlan = 0;
  for (const char *at = dot != NULL ? dot + 1 : ""; *at >= '0' && *at <= '9' && vlan < VLANS; at++)
    vlan = vlan * 10 + (unsigned)(*at - '0');
  *ret_parent_length = dot != NULL ? (size_t)(dot - name) : 0;
  return vlan < VLANS ? vlan : 0;
}

/* A file may come from a trunk, with the tags of its zone; an interface shows the tags of those that sit on it. */
static void note_vlans(const struct policy *policy, const struct wire *wire, zone_index wire_zone, uint8_t *meanings) {
  for (size_t z = 0; z < policy->zone_count; z++) {
    for (size_t i = 0; i < policy->zones[z].interface_count; i++) {
      const char *name = policy->zones[z].interfaces[i].text;
      size_t parent;
      unsigned vlan = vlan_of_interface(name, &parent);
      if (vlan == 0)
        continue;
      if (wire->zone_name != NULL && (zone_index)z == wire_zone)
        meanings[vlan] = VLAN_OF_ZONE;
      else if (wire->zone_name == NULL && strlen(wire->name) == parent && strncmp(wire->name, name, parent) == 0)
        meanings[vlan] = VLAN_ELSEWHERE;
    }
  }
}

static int lay_out_wires(struct watch *watch, struct generation *generation) {
  struct arena *arena = generation->index_arena;
  generation->wire_zones = ARENA_ARRAY(arena, watch->wire_count + 1, zone_index);
  generation->wire_vlans = ARENA_ARRAY(arena, watch->wire_count + 1, uint8_t *);
  generation->zones_watched = ARENA_ARRAY(arena, generation->policy->zone_count + 1, bool);
  if (generation->wire_zones == NULL || generation->wire_vlans == NULL || generation->zones_watched == NULL)
    return -ENOMEM;
  for (size_t i = 0; i < watch->wire_count; i++) {
    generation->wire_zones[i] = zone_of_wire(generation->policy, &watch->wires[i]);
    if (generation->wire_zones[i] >= 0)
      generation->zones_watched[generation->wire_zones[i]] = true;
    generation->wire_vlans[i] = arena_alloc(arena, VLANS);
    if (generation->wire_vlans[i] == NULL)
      return -ENOMEM;
    note_vlans(generation->policy, &watch->wires[i], generation->wire_zones[i], generation->wire_vlans[i]);
  }
  return 0;
}

static int lay_out_index(struct watch *watch, struct generation *generation) {
  struct address_set *own = ARENA_NEW(generation->index_arena, struct address_set);
  if (own == NULL || address_set_build(generation->index_arena, watch->own, watch->own_count, own) < 0)
    return -ENOMEM;
  return index_build(generation->index_arena, generation->policy, own, generation->restrictions, &generation->index);
}

static void begin_epoch(struct watch *watch) {
  watch->epoch++;
  if (watch->epoch != 0)
    return;
  connections_forget_verdicts(watch->connections);
  watch->epoch = 1;
}

/* Builds all that follows from policy, wires and own addresses anew. */
static int lay_out(struct watch *watch, struct generation *generation) {
  struct generation next = *generation;
  next.index_arena = arena_new(0);
  if (next.index_arena == NULL || lay_out_index(watch, &next) < 0 || lay_out_wires(watch, &next) < 0 ||
      declared_build(next.index_arena, next.policy, &next.declared) < 0) {
    arena_free(next.index_arena);
    return -ENOMEM;
  }
  arena_free(generation->index_arena);
  *generation = next;
  begin_epoch(watch);
  return 0;
}

static void tell_what_waits(struct watch *watch) {
  watch_flush(watch);
  disguise_end(watch->disguise);
  passages_advance(watch->passages, INT64_MAX);
  homes_advance(watch, INT64_MAX);
}

static void close_alerts(struct watch *watch, int64_t now) {
  if (watch->current.policy == NULL)
    return;
  tell_what_waits(watch);
  aggregate_close(watch->aggregate, now);
}

/* What looks into the flows. */
static int set_contents(struct watch *watch, const struct policy *policy) {
  return shapes_set_policy(watch->shapes, policy) < 0 ? -ENOMEM : recogniser_set_policy(watch->recogniser, policy);
}

int watch_set_policy(struct watch *watch, const struct policy *policy, struct arena *arena, bool pending, int64_t now) {
  return watch_set_restricted_policy(watch, policy, NULL, arena, pending, now);
}

int watch_set_restricted_policy(struct watch *watch, const struct policy *policy,
                                const struct restrictions *restrictions, struct arena *arena, bool pending,
                                int64_t now) {
  watch_flush(watch);
  struct generation next = {.policy = policy, .restrictions = restrictions, .policy_arena = arena};
  bool waits = pending && watch->current.policy != NULL;
  if (lay_out(watch, &next) < 0 || (!waits && set_contents(watch, policy) < 0)) {
    free_generation(&next);
    return -ENOMEM;
  }
  free_generation(&watch->pending);
  if (waits) {
    watch->pending = next;
    watch->pending_until = INT64_MAX;
    return 0;
  }
  close_alerts(watch, now);
  watch->pending = watch->current; /* for the frames that are on their way */
  watch->pending_until = now + HOLD;
  watch->current = next;
  watch->prefilter_distrusted = false;
  return 0;
}

void watch_drop_pending(struct watch *watch) {
  free_generation(&watch->pending);
}

const struct policy *watch_policy(const struct watch *watch) {
  return watch->current.policy;
}

int watch_set_own(struct watch *watch, const struct address_range *own, size_t count) {
  watch_flush(watch);
  struct address_range *copy = calloc(count + 1, sizeof *copy);
  if (copy == NULL)
    return -ENOMEM;
  if (count > 0)
    memcpy(copy, own, count * sizeof *own);
  free(watch->own);
  watch->own = copy;
  watch->own_count = count;
  int result = watch->current.policy != NULL ? lay_out(watch, &watch->current) : 0;
  if (result == 0 && watch->pending.policy != NULL)
    result = lay_out(watch, &watch->pending);
  return result;
}

/* ---- frames ---- */

static enum frame_direction direction_of(struct wire *wire, const struct frame *frame) {
  if (frame->sender == SENDER_THIS_MACHINE) {
    wire->knows_sender = true;
    return FRAME_LEAVING;
  }
  if (!frame->has_macs) /* a cooked capture shows what the machine itself received */
    return FRAME_ENTERING;
  if (wire_is_gateway_mac(wire, &frame->source_mac) && !(wire->knows_sender && frame->sender == SENDER_OTHERS))
    return FRAME_LEAVING;
  return wire_is_gateway_mac(wire, &frame->destination_mac) ? FRAME_ENTERING : FRAME_PASSING;
}

static int innermost_tag(const struct frame *frame) {
  return frame->tag_count > 0 ? frame->tags[frame->tag_count - 1] : -1;
}

static void describe_packet(const struct sighting *sighting, struct finding *finding) {
  const struct packet *packet = &sighting->packet;
  bool known = (packet->traits & TRAIT_NO_PORTS) == 0;
  bool icmp = packet->protocol == PROTOCOL_ICMP || packet->protocol == PROTOCOL_ICMPV6;
  bool ports = packet->source_port != 0 || packet->destination_port != 0 || packet->protocol == PROTOCOL_TCP ||
               packet->protocol == PROTOCOL_UDP;
  finding->source = packet->source;
  finding->destination = packet->destination;
  finding->protocol = packet->protocol;
  finding->icmp_type = known && icmp ? packet->icmp_type : -1;
  finding->source_port = known && ports && !icmp ? packet->source_port : -1;
  finding->destination_port = known && ports && !icmp ? packet->destination_port : -1;
}

void sighting_describe(const struct sighting *sighting, struct finding *ret_finding) {
  const struct frame *frame = sighting->frame;
  *ret_finding = (struct finding){.time = frame->time,
                                  .zone = ZONE_NONE,
                                  .other_zone = ZONE_NONE,
                                  .wire = sighting->wire,
                                  .entry_wire = WIRE_NONE,
                                  .direction = sighting->direction,
                                  .protocol = -1,
                                  .source_port = -1,
                                  .destination_port = -1,
                                  .icmp_type = -1,
                                  .vlan = innermost_tag(frame),
                                  .ethertype = frame->content == CONTENT_IP ? -1 : frame->ethertype,
                                  .has_source_mac = frame->has_macs,
                                  .has_destination_mac = frame->has_macs,
                                  .source_mac = frame->source_mac,
                                  .destination_mac = frame->destination_mac,
                                  .count = 1,
                                  .bytes = frame->length};
  if (frame->content == CONTENT_IP) {
    describe_packet(sighting, ret_finding);
  } else if (frame->content == CONTENT_ARP) {
    ret_finding->source = frame->arp.sender;
    ret_finding->destination = frame->arp.target;
  }
}

static void place_packet(struct watch *watch, struct sighting *sighting) {
  const struct frame *frame = sighting->frame;
  sighting->packet = frame->packet;
  sighting->source = index_find(watch->current.index, &frame->packet.source);
  sighting->destination = index_find(watch->current.index, &frame->packet.destination);
  if (sighting->direction == FRAME_ENTERING && frame->has_macs) {
    sighting->packet.has_source_mac = true;
    sighting->packet.source_mac = frame->source_mac;
  }
}

static void judge_content(struct watch *watch, struct sighting *sighting) {
  if (sighting->frame->content == CONTENT_IP)
    judge_ip(watch, sighting);
  else if (sighting->frame->content == CONTENT_ARP)
    judge_arp(watch, sighting);
  else
    judge_other(watch, sighting);
}

static void judge_frame(struct watch *watch, struct sighting *sighting) {
  const struct frame *frame = sighting->frame;
  if (frame->content == CONTENT_IP)
    place_packet(watch, sighting);
  if (frame->tag_count > 0 && !judge_tags(watch, sighting))
    return;
  homes_look(watch, sighting);
  trees_hear(watch, sighting);
  judge_untagged(watch, sighting);
  if (frame->fault != FAULT_NONE)
    judge_fault(watch, sighting, frame->fault);
  if (!judge_control(watch, sighting))
    judge_content(watch, sighting);
  homes_finish(watch, sighting);
}

static void judge(struct watch *watch, struct sighting *sighting) {
  watch->at = sighting->captured;
  watch->at_wire = sighting->wire;
  judge_frame(watch, sighting);
  watch->at = NULL;
}

static void let_time_pass(struct watch *watch, int64_t now);

static void keep_time(struct watch *watch, int64_t time) {
  struct index *index = watch->current.index;
  struct instant now = watch->settings.now_fixed ? watch->settings.now : (struct instant){time / 1000000000};
  index_set_time(index, now);
  if (watch->pending.policy != NULL)
    index_set_time(watch->pending.index, now);
  if (index_epoch(index) != watch->index_epoch) {
    watch->index_epoch = index_epoch(index);
    begin_epoch(watch);
  }
  if (time > watch->now)
    watch->now = time;
  if (watch->now >= watch->next_tick)
    let_time_pass(watch, watch->now);
}

/* A frame that the fast way may take. */
static void judge_prepared(struct watch *watch, struct waiting *waiting) {
  keep_time(watch, waiting->frame.time);
  zone_index zone = watch->current.wire_zones[waiting->wire];
  struct connection *plain =
      conversation_find_plain(watch, &waiting->frame, &waiting->key, &waiting->captured, zone, waiting->direction);
  if ((plain != NULL || waiting->direction == FRAME_LEAVING) && watch->until_noted-- == 0)
    withhold_note(watch, waiting);
  if (plain != NULL) {
    conversation_carry(watch, plain, waiting);
    return;
  }
  struct sighting sighting = {.captured = &waiting->captured,
                              .frame = &waiting->frame,
                              .wire = waiting->wire,
                              .wire_zone = zone,
                              .direction = waiting->direction};
  bool sample = withhold_samples(watch, waiting);
  judge(watch, &sighting);
  if (sample)
    withhold_check_sample(watch, waiting);
}

static void judge_waiting(struct watch *watch) {
  struct waiting *waiting = &watch->waiting[watch->waiting_first];
  watch->waiting_first = (watch->waiting_first + 1) % WAITING;
  watch->waiting_count--;
  judge_prepared(watch, waiting);
}

void watch_flush(struct watch *watch) {
  while (watch->waiting_count > 0)
    judge_waiting(watch);
}

/* Asks the memory for the conversation of a frame that will be judged soon. */
static void announce(const struct watch *watch) {
  if (watch->waiting_count < ANNOUNCED)
    return;
  unsigned before = watch->waiting_first + watch->waiting_count - ANNOUNCED;
  connections_prefetch(watch->connections, &watch->waiting[before % WAITING].key);
}

static void wait(struct watch *watch, struct waiting *waiting, const struct captured_frame *captured) {
  waiting->captured = *captured;
  waiting->captured.captured = captured->captured < WAITING_BYTES ? captured->captured : WAITING_BYTES;
  waiting->captured.data = waiting->bytes;
  memcpy(waiting->bytes, captured->data, waiting->captured.captured);
  watch->waiting_count++;
}

/* All its bytes are wanted, and only this moment has them. */
static void judge_whole(struct watch *watch, struct waiting *waiting, const struct captured_frame *captured) {
  watch_flush(watch);
  waiting->captured = *captured;
  judge_prepared(watch, waiting);
}

static void judge_at_once(struct watch *watch, const struct waiting *waiting, const struct captured_frame *captured) {
  watch_flush(watch); /* those before it come first; they leave its place in the ring alone */
  keep_time(watch, waiting->frame.time);
  struct sighting sighting = {.captured = captured,
                              .frame = &waiting->frame,
                              .wire = waiting->wire,
                              .wire_zone = watch->current.wire_zones[waiting->wire],
                              .direction = waiting->direction};
  judge(watch, &sighting);
}

void watch_frame(struct watch *watch, int wire, const struct captured_frame *captured) {
  struct wire *entry = &watch->wires[wire];
  entry->counters.frames++;
  entry->counters.bytes += captured->length;
  if (watch->current.policy == NULL || watch->current.wire_zones[wire] == ZONE_NONE)
    return; /* a wire that this policy does not have */
  if (watch->waiting_count == WAITING)
    judge_waiting(watch);
  announce(watch);
  struct waiting *waiting = &watch->waiting[(watch->waiting_first + watch->waiting_count) % WAITING];
  frame_decode(captured, &waiting->frame);
  waiting->wire = wire;
  waiting->direction = direction_of(entry, &waiting->frame);
  if (!conversation_prepare(watch, &waiting->frame, waiting->direction, &waiting->key))
    judge_at_once(watch, waiting, captured);
  else if (waiting->frame.inner_form != INNER_HIDDEN || recogniser_wants(watch->recogniser, &waiting->key))
    judge_whole(watch, waiting, captured);
  else
    wait(watch, waiting, captured);
}

/* How many are to be told now. */
static uint64_t crowd_look(struct crowd *crowd, uint64_t total, uint64_t most_untold, int64_t now) {
  uint64_t more = total - crowd->before;
  if (more < CROWD_LEAST && now - crowd->since < CROWD_INTERVAL && now >= crowd->since)
    return 0;
  if (now - crowd->hour >= CROWD_HOUR || now < crowd->hour) {
    crowd->hour = now;
    crowd->untold = 0;
  }
  crowd->since = now;
  crowd->before = total;
  crowd->untold += more;
  if (more < CROWD_LEAST && crowd->untold < most_untold)
    return 0;
  more = crowd->untold;
  crowd->untold = 0;
  crowd->told += more;
  return more;
}

static void look_at_crowds(struct watch *watch, int64_t now) {
  const uint64_t totals[WATCH_TABLE_COUNT_] = {
      [WATCH_TABLE_CONVERSATIONS] = connections_lost(watch->connections),
      [WATCH_TABLE_MACHINES] = machines_evicted(homes_machines(watch->homes)),
      [WATCH_TABLE_RECOGNITION] = recogniser_overflows(watch->recogniser),
      [WATCH_TABLE_FRAGMENTS] = fragments_lost(watch->fragments),
      [WATCH_TABLE_SIGHTINGS] = disguise_crowded_out(watch->disguise),
      [WATCH_TABLE_TALKERS] = shapes_crowded_out(watch->shapes),
  };
  for (enum watch_table table = 0; table < WATCH_TABLE_COUNT_; table++) {
    struct crowd *crowd = &watch->crowds[table];
    int64_t since = crowd->since < now ? crowd->since : 0;
    /* Most conversations that count as alive are over: where there are many, some go all day. */
    uint64_t most_untold = table == WATCH_TABLE_CONVERSATIONS ? UINT64_MAX : CROWD_MOST_UNTOLD;
    uint64_t more = crowd_look(crowd, totals[table], most_untold, now);
    if (more > 0)
      watch_is_crowded(watch, watch_table_reason(table), more, since, now);
  }
}

/* What one of them had no room for is not known any more. */
static void look_at_tables(struct watch *watch, int64_t now) {
  uint64_t lost = connections_lost(watch->connections) + fragments_lost(watch->fragments);
  connections_set_time(watch->connections, now / 1000000000);
  if (lost != watch->lost || watch->whole_since == 0)
    watch_missed_something(watch);
  watch->lost = lost;
  look_at_crowds(watch, now);
}

static void let_time_pass(struct watch *watch, int64_t now) {
  if (now > watch->now)
    watch->now = now;
  watch->next_tick = now + TICK;
  watch->tick = (uint16_t)(watch->now / 1000000000 / CONNECTION_TICK);
  if (watch->pending.policy != NULL && now >= watch->pending_until)
    free_generation(&watch->pending);
  look_at_tables(watch, now);
  disguise_advance(watch->disguise, now);
  passages_advance(watch->passages, now);
  homes_advance(watch, now);
  aggregate_advance(watch->aggregate, now);
}

int64_t watch_waits_until(const struct watch *watch) {
  return homes_wait_until(watch->homes);
}

void watch_tell_waiting(struct watch *watch, int64_t until) {
  if (watch->current.policy != NULL)
    homes_advance(watch, until);
}

void watch_advance(struct watch *watch, int64_t now) {
  watch_flush(watch);
  if (watch->current.policy != NULL)
    let_time_pass(watch, now);
}

/* ---- the end ---- */

void watch_clock_stepped(struct watch *watch, int64_t now) {
  if (watch->current.policy != NULL) {
    tell_what_waits(watch);
    aggregate_restart(watch->aggregate, watch->now, now);
  }
  watch->now = now;
  watch->next_tick = 0;
  watch_missed_something(watch);
  if (watch->pending.policy != NULL && watch->pending_until != INT64_MAX)
    watch->pending_until = now + HOLD;
}

void watch_finish(struct watch *watch, int64_t now) {
  close_alerts(watch, now > watch->now ? now : watch->now);
}

/* ---- counters ---- */

void watch_read_counters(const struct watch *watch, int wire, struct watch_counters *ret_counters) {
  *ret_counters = watch->wires[wire].counters;
}

size_t watch_open_alerts(const struct watch *watch, enum event_severity severity) {
  return aggregate_open(watch->aggregate, severity);
}

uint64_t watch_crowded_out(const struct watch *watch, enum watch_table table) {
  return watch->crowds[table].told;
}

uint64_t watch_taken_up(const struct watch *watch) {
  return watch->taken_up;
}
