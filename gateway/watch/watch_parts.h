/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WATCH_WATCH_PARTS_H
#define KIDO_WATCH_WATCH_PARTS_H

#include "watch/aggregate.h"
#include "watch/connections.h"
#include "watch/declared.h"
#include "watch/disguise.h"
#include "watch/essence.h"
#include "watch/fragments.h"
#include "watch/index.h"
#include "watch/machines.h"
#include "watch/passages.h"
#include "watch/prefilter.h"
#include "watch/recognise.h"
#include "watch/shape.h"
#include "watch/watch.h"

/* Between the files of the watchman: watch.c (state), judge.c (IP), place.c (what
 * lies where it may not), neighbours.c (what machines say of themselves), homes.c (machines on two wires),
 * conversation.c (roles). */

enum { GATEWAY_MACS = 8, VLANS = 4096, WAITING = 8, WAITING_BYTES = 128, ANNOUNCED = 3 };

enum { TREE_SPEAKERS = 8, TREE_ROOTS = 8 };

/* Who says what the root of a spanning tree is. */
struct tree_speaker {
  struct mac source, bridge;
  uint16_t port;
};

struct tree_root {
  struct mac mac;
  int64_t last; /* 0: free */
};

/* The spanning tree of a wire (trees.c). */
struct tree {
  bool has_root, lawful; /* lawful: nobody was told of the root that it has now */
  struct mac root, old_root;
  int64_t heard, began, changed; /* somebody else was first heard; the tree was; it took its root */
  size_t speaker_count;
  struct tree_speaker speakers[TREE_SPEAKERS]; /* of its first minute */
  struct tree_root roots[TREE_ROOTS];
  uint8_t kin[WATCH_WIRES / 8]; /* a bit for each wire that began with the same root */
};

struct wire {
  char *name, *zone_name;
  struct mac gateway_macs[GATEWAY_MACS];
  size_t gateway_mac_count;
  bool tagged;       /* frames with the tag of its zone were seen on it */
  bool knows_sender; /* the capture said of a frame that the gateway sent it */
  struct tree tree;
  struct watch_counters counters;
};

/* One policy, laid out. */
struct generation {
  const struct policy *policy; /* NULL: none */
  const struct restrictions *restrictions;
  struct arena *policy_arena;
  struct arena *index_arena; /* of index, own and the arrays below */
  struct index *index;
  zone_index *wire_zones; /* by wire */
  bool *zones_watched;    /* by zone: it has a wire, on which what goes there is seen to leave */
  uint8_t **wire_vlans;   /* by wire: VLANS bytes, of enum vlan_meaning */
  struct declared *declared;
};

enum vlan_meaning {
  VLAN_UNDECLARED,
  VLAN_OF_ZONE,   /* the wire is a trunk of this zone, captured with its tags */
  VLAN_ELSEWHERE, /* another watched interface sees these frames without their tag */
};

/* A frame that the fast way may take: it was decoded and waits to be judged, while the memory fetches what is known of
 * its conversation. All other frames are judged at once. */
struct waiting {
  struct frame frame;
  struct connection_key key;
  int wire;
  enum frame_direction direction;
  struct captured_frame captured; /* its first bytes, copied, because the capture does not keep them */
  uint8_t bytes[WAITING_BYTES];
};

/* What a table had no room for. A set of a table is full by chance now and then, long before the table is: only what
 * comes in numbers is told, at once or within an hour. */
struct crowd {
  int64_t since, hour;
  uint64_t before, told;
  uint64_t untold; /* too few each time, since `hour` */
};

struct watch {
  struct watch_settings settings;
  struct wire *wires;
  size_t wire_count;
  uint64_t gateway_mac_bits; /* a bit for each of the gateway's MACs, on all wires */
  struct generation current, pending;
  int64_t pending_until; /* when the other policy is no longer accepted */
  uint16_t epoch;        /* of verdicts in tables, never 0: changes with generation, own addresses, flows in force */
  uint64_t index_epoch;  /* as it was when `epoch` was set */
  struct address_range *own;
  size_t own_count;
  struct connections *connections;
  struct passages *passages;
  struct disguise *disguise;
  struct fragments *fragments;
  struct shapes *shapes;
  struct recogniser *recogniser;
  struct homes *homes;
  struct aggregate *aggregate;
  struct prefilter *prefilter;
  unsigned until_noted;      /* plain frames until the next is noted there */
  uint32_t withheld_epoch;   /* in which was chosen what the kernel may withhold */
  bool prefilter_distrusted; /* it withheld what it may not: nothing until the next policy */
  int64_t now, next_tick;
  uint16_t tick;       /* `now` as conversations remember it */
  int64_t whole_since; /* since when nothing was missed; 0: not since the beginning */
  uint64_t taken_up;
  uint64_t lost; /* conversations and fragments */
  struct crowd crowds[WATCH_TABLE_COUNT_];
  const struct captured_frame *at; /* the frame that is being judged, for evidence; NULL: none */
  int at_wire;
  struct waiting waiting[WAITING]; /* a ring */
  unsigned waiting_first, waiting_count;
};

/* A frame in its place. */
struct sighting {
  const struct captured_frame *captured; /* its bytes; of a frame that waited, at most WAITING_BYTES of them */
  const struct frame *frame;
  struct packet packet; /* the frame's, completed (ports of fragments) and without a MAC where that says nothing */
  int wire;
  zone_index wire_zone;
  enum frame_direction direction;
  struct address_facts source, destination; /* of IP packets */
  bool without_ports;                       /* a later fragment whose ports stay unknown */
  bool headless; /* a later fragment that leaves although its first part was never seen: the gateway joins before it
                    judges, and sends the parts in their order */
};

/* ---- watch.c ---- */

void watch_find(struct watch *watch, const struct finding *finding);
/* A table had no room: what it is for was not looked at as it should be, but everything was seen. */
void watch_is_crowded(struct watch *watch, const char *reason, uint64_t count, int64_t since, int64_t now);
/* Something went by unseen: for a while nothing follows from what was not seen. */
void watch_missed_something(struct watch *watch);
/* Whether every frame of so long was seen and is remembered. */
bool watch_saw_everything(const struct watch *watch, int64_t nanoseconds);
void watch_count_everyday(struct watch *watch, int wire);
/* Everything that the frame says; kind, zones and reason to be filled in. */
void sighting_describe(const struct sighting *sighting, struct finding *ret_finding);
/* Multicast, broadcast, link-local. */
bool sighting_is_for_many(const struct sighting *sighting);
bool wire_is_gateway_mac(const struct wire *wire, const struct mac *mac);
/* False: it is the gateway's on no wire. */
bool watch_may_be_gateway_mac(const struct watch *watch, const struct mac *mac);

/* ---- withhold.c ---- */

/* A frame that the fast way took, or that leaves. */
void withhold_note(struct watch *watch, const struct waiting *waiting);
/* Whether the kernel withholds such frames; then after judging it: whether that was right. */
bool withhold_samples(const struct watch *watch, const struct waiting *waiting);
void withhold_check_sample(struct watch *watch, const struct waiting *waiting);

/* ---- conversation.c ---- */

/* What is asked of a conversation. */
struct passage_question {
  const struct packet *packet;
  const struct packet *quoted; /* for an ICMP error that can be read, else NULL */
  zone_index from, to;
  bool without_ports; /* a later fragment whose first was not seen, or a header that was cut off */
};

/*
 * The verdict by the packet's place in its conversation: by its opener if that was seen, else by whichever opener
 * would make it lawful (a conversation that began before the watch did). Remembers the answer.
 */
struct decision conversation_judge(struct watch *watch, const struct passage_question *question);
/* The same from the policy alone; *ret_reversed: it is lawful as a reply. */
struct decision conversation_judge_alone(const struct index *index, const struct passage_question *question,
                                         bool *ret_reversed);
/* Whether the packet answers an opener that was seen and denied. */
bool conversation_answers_denied(struct watch *watch, const struct packet *packet, struct packet *ret_opener);
/* Whether the fast way may take it at all; if so, *ret_key is its conversation, and the memory is asked for it. */
bool conversation_prepare(const struct watch *watch, const struct frame *frame, enum frame_direction direction,
                          struct connection_key *ret_key);
/* The fast way for later packets of a lawful conversation: true when nothing more needs to be looked at. */
bool conversation_is_plain(struct watch *watch, const struct frame *frame, const struct connection_key *key,
                           const struct captured_frame *captured, zone_index wire_zone, enum frame_direction direction);
/* The same; the conversation, or NULL. */
struct connection *conversation_find_plain(struct watch *watch, const struct frame *frame,
                                           const struct connection_key *key, const struct captured_frame *captured,
                                           zone_index wire_zone, enum frame_direction direction);
/* Counts what a frame of the fast way carries. */
void conversation_carry(struct watch *watch, struct connection *connection, const struct waiting *waiting);
/* Counts what a lawful frame of the slow way carries, and looks at what it speaks. */
void conversation_count(struct watch *watch, const struct sighting *sighting);
/* Remembers that the sender of an entering frame is as it should be. */
void conversation_trust_sender(struct watch *watch, const struct sighting *sighting);

/* ---- judge.c: IP ---- */

void judge_ip(struct watch *watch, struct sighting *sighting);

/* ---- rewritten.c: packets that leave with another tuple than they came in with ---- */

void rewritten_note_entry(struct watch *watch, const struct sighting *sighting, bool forbidden);
/* told: it was found to be something. */
void rewritten_note_exit(struct watch *watch, const struct sighting *sighting, bool told);
/* A forbidden exit: true (and found) when it came in under another tuple. */
bool rewritten_judge_crossing(struct watch *watch, const struct sighting *sighting);
/* True (and counted) when its conversation is known to be rewritten. */
bool rewritten_judge_later_exit(struct watch *watch, const struct sighting *sighting);
/* Whether a packet that comes in answers one that left rewritten. */
bool rewritten_is_answer(struct watch *watch, const struct sighting *sighting);
void rewritten_found(struct watch *watch, const struct disguise_mark *entry, const struct disguise_mark *exit);

/* ---- carried.c: what lawful conversations carry ---- */

/* A connection of this flow was opened. */
void carried_begin(struct watch *watch, struct connection *connection, const struct connection_key *key);
/* A packet of a connection whose protocol is not recognised yet. */
void carried_recognise(struct watch *watch, struct connection *connection, const struct connection_key *key,
                       const struct sighting *sighting);

/* An answer left that nobody asked for. */
void carried_unasked(struct watch *watch, const struct connection *connection, const struct sighting *sighting);
/* A portion of bytes of one end of a conversation has come together. */
void carried_portion(struct watch *watch, const struct connection *connection, unsigned source_end, uint64_t bytes,
                     const struct frame *frame, int wire);

/* ---- tunnel.c: what is carried within. True: it was told, and the frame as such needs no further word. ---- */

bool tunnel_judge_passing(struct watch *watch, const struct sighting *sighting);
/* decision: on the outer packet. */
bool tunnel_judge_entering(struct watch *watch, const struct sighting *sighting, const struct decision *decision);
bool tunnel_judge_leaving(struct watch *watch, const struct sighting *sighting, const struct decision *decision,
                          zone_index from);
/* Whether all that is within a frame may be there, the frame itself being lawful by a flow that names the tunnel. */
bool tunnel_is_lawful(const struct watch *watch, const struct frame *frame, const struct captured_frame *captured,
                      zone_index wire_zone);
/* A frame that is neither IP nor ARP. */
bool tunnel_judge_wrapped(struct watch *watch, const struct sighting *sighting);
/* Where a denied packet wanted to go, when its destination or its options name a machine of another zone; else `to`. */
zone_index tunnel_hidden_goal(const struct watch *watch, const struct sighting *sighting, zone_index to);

/* ---- place.c: what lies where it may not ---- */

void judge_arp(struct watch *watch, const struct sighting *sighting);
void judge_other(struct watch *watch, const struct sighting *sighting);
void judge_fault(struct watch *watch, const struct sighting *sighting, enum frame_fault fault);
/* VLAN tags of any frame. False when another wire sees it as its own. */
bool judge_tags(struct watch *watch, const struct sighting *sighting);
/* A frame without a tag on a wire that bears the tags of its zone. */
void judge_untagged(struct watch *watch, const struct sighting *sighting);
/* True (and found) when the address may not be on this wire. kind and claim: what to find if it is another zone's. */
bool judge_foreign_address(struct watch *watch, const struct sighting *sighting, const struct address *address,
                           enum finding_kind kind, const char *claim);
/* The same for what machines say of addresses that they need not bear: those of no zone are their own affair. */
bool judge_foreign_claim(struct watch *watch, const struct sighting *sighting, const struct address *address,
                         enum finding_kind kind, const char *claim);
/* True (and found) when Internet traffic comes from, or is sent to, a machine of this wire that is not the gateway. */
bool judge_uplink_source(struct watch *watch, const struct sighting *sighting);
bool judge_uplink_destination(struct watch *watch, const struct sighting *sighting);
/* Whether it is known which MAC is the gateway's. */
bool wire_knows_gateway(const struct watch *watch, int wire);
/* What telephones hand out to those who use them as a way to the Internet. */
bool address_is_of_tethering(const struct address *address);
/* True (and found) when somebody claims an address that is the gateway's, or pinned to another MAC, on its own wire. */
bool judge_impostor(struct watch *watch, const struct sighting *sighting, const struct address *address,
                    const struct mac *mac);
/* True (and found) when the sender's MAC is pinned to a host of another zone. */
bool judge_foreign_mac(struct watch *watch, const struct sighting *sighting);

/* ---- neighbours.c: what machines say of themselves ---- */

/* True (and found) when the frame is accounted for. */
bool judge_control(struct watch *watch, const struct sighting *sighting);
/* True (and found) when the packet is sent to a next hop that is neither the gateway nor a declared router. */
bool judge_second_gateway(struct watch *watch, const struct sighting *sighting);

/* ---- trees.c: spanning trees ---- */

struct control_facts;
/* A switch says what the root of its tree is. */
void trees_judge_root(struct watch *watch, const struct sighting *sighting, const struct control_facts *facts);
/* Somebody spoke on the wire. */
void trees_hear(struct watch *watch, const struct sighting *sighting);

/* ---- homes.c, joints.c: machines and frames on the wires of two zones ---- */

/* machines: size of the tables; 0: as machines_new(). wait: as copy_wait of struct watch_settings. */
struct homes *homes_new(size_t machines, int64_t wait);
struct homes *homes_free(struct homes *homes);
struct machines *homes_machines(const struct homes *homes);
/* Before a frame is judged: remembers it. */
void homes_look(struct watch *watch, const struct sighting *sighting);
/* After it was judged: tells what nobody told. */
void homes_finish(struct watch *watch, const struct sighting *sighting);
/* Instead of watch_find() for what another zone has: it may be, or turn out to be, part of a joint. */
void homes_foreign(struct watch *watch, const struct finding *finding);
/* Instead of watch_find() for what a machine says of itself. */
void homes_neighbour(struct watch *watch, const struct finding *finding);
/* The wires were seen to be one: for a minute, what one shows of the other's zone is a sign of it. */
void homes_join(struct watch *watch, int left, int right, const char *reason, int64_t time);
/* The wire is joined to one of that zone. wire: WIRE_NONE when it is not known which. Told once per frame. */
void homes_bridged(struct watch *watch, const struct sighting *sighting, zone_index zone, int wire, const char *reason);
/* The machine has this name; found when another zone heard it. host: its host name, by which the policy may know it. */
void homes_hear_name(struct watch *watch, const struct sighting *sighting, enum machine_name kind, const void *name,
                     size_t length, const char *host, const char *reason);
/* Whether the frame or its sender was seen in another zone. */
bool homes_is_strange(const struct watch *watch);
bool mac_is_virtual(const struct mac *mac);
/* Tells what was held long enough. */
void homes_advance(struct watch *watch, int64_t now);
/* When the last of what is held is due; 0: nothing is. */
int64_t homes_wait_until(const struct homes *homes);

#endif
