/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The place of a packet in its conversation.
 *
 * Whose opener was seen is judged by that, whatever its later packets look like: a connection that a server opened
 * towards a client stays denied although its answers look like those of a lawful one. Of a conversation that began
 * before the watch (or was evicted) the opener is unknown; it is lawful if either end may have opened it.
 *
 * Only verdicts of the flows are remembered, never those of the guard: a forged packet must not spoil the
 * conversation that it imitates.
 */
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <string.h>

#include "watch/watch_parts.h"

static const int64_t FORGOTTEN = 180LL * 1000000000; /* by the gateway: longer than it remembers what is not TCP */

enum { ASLEEP = 20 };                      /* seconds; the gateway forgets an unanswered question after 30 */
enum { TCP_HEADERS = 32, UDP_HEADER = 8 }; /* TCP: with the time stamps that all systems send */

/* TCP flag bytes of a packet that does not open a connection and makes sense, as a set of bits. */
static const uint64_t LATER_FLAGS = 1ull << 18 | 1ull << 26 | 1ull << 4 | 1ull << 12 | 1ull << 20 | 1ull << 28 |
                                    1ull << 17 | 1ull << 25 | 1ull << 49 | 1ull << 57 | 1ull << 16 | 1ull << 24 |
                                    1ull << 48 | 1ull << 56;

static uint8_t request_of(const struct packet *packet) {
  if (packet->protocol == PROTOCOL_ICMP && packet->icmp_type == ICMP_ECHOREPLY)
    return ICMP_ECHO;
  if (packet->protocol == PROTOCOL_ICMPV6 && packet->icmp_type == ICMP6_ECHO_REPLY)
    return ICMP6_ECHO_REQUEST;
  return packet->icmp_type;
}

static bool opens(const struct packet *packet) {
  if (packet->protocol == PROTOCOL_TCP)
    return (packet->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
  bool icmp = packet->protocol == PROTOCOL_ICMP || packet->protocol == PROTOCOL_ICMPV6;
  return !icmp || request_of(packet) == packet->icmp_type;
}

/* The opener that this packet would answer. */
static struct packet answered(const struct packet *packet) {
  struct packet opener = *packet;
  opener.source = packet->destination;
  opener.destination = packet->source;
  opener.source_port = packet->destination_port;
  opener.destination_port = packet->source_port;
  opener.icmp_type = request_of(packet);
  opener.has_source_mac = false;
  opener.traits &= (unsigned)TRAIT_NO_PORTS;
  if (packet->protocol == PROTOCOL_TCP)
    opener.tcp_flags = TCP_SYN;
  return opener;
}

static struct decision ask(const struct index *index, const struct passage_question *question, enum packet_role role,
                           const struct packet *opener) {
  struct query query = {.packet = *question->packet, .in_zone = question->from, .out_zone = question->to, .role = role};
  if (opener != NULL)
    query.opener = *opener;
  return index_decide(index, &query);
}

static bool is_flow_reason(enum reason reason) {
  return reason == REASON_NO_FLOW || reason == REASON_NO_FLOW_THIS_DIRECTION || reason == REASON_EXPIRED ||
         reason == REASON_OUTSIDE_WINDOW;
}

/* ---- from the policy alone ---- */

static struct decision judge_error(const struct index *index, const struct passage_question *question) {
  struct decision decision = ask(index, question, ROLE_ERROR, question->quoted);
  if (decision.allow)
    return decision;
  struct packet opener = answered(question->quoted);
  struct decision other = ask(index, question, ROLE_ERROR, &opener);
  return other.allow ? other : decision;
}

/* Ports unknown: some flow in force must join the two addresses. */
static struct decision judge_without_ports(const struct index *index, const struct passage_question *question) {
  struct decision decision = ask(index, question, ROLE_OPENS, NULL);
  if (decision.allow || !(is_flow_reason(decision.reason) || decision.reason == REASON_INVALID_STATE))
    return decision;
  decision.flow = index_flow_between(index, question->packet, question->from, question->to);
  decision.allow = decision.flow != NULL;
  decision.reason = decision.allow ? REASON_FLOW : decision.reason;
  return decision;
}

static struct decision judge_forwards(const struct index *index, const struct passage_question *question) {
  if (opens(question->packet) || question->packet->protocol != PROTOCOL_TCP)
    return ask(index, question, ROLE_OPENS, NULL);
  struct packet opener = *question->packet;
  opener.tcp_flags = TCP_SYN;
  opener.has_source_mac = false;
  return ask(index, question, ROLE_ORIGINAL, &opener);
}

struct decision conversation_judge_alone(const struct index *index, const struct passage_question *question,
                                         bool *ret_reversed) {
  const struct packet *packet = question->packet;
  *ret_reversed = false;
  if (question->without_ports)
    return judge_without_ports(index, question);
  if (question->quoted != NULL)
    return judge_error(index, question);
  bool only_opens = packet->protocol == PROTOCOL_TCP && opens(packet);
  bool only_answers = packet->protocol == PROTOCOL_TCP && (packet->tcp_flags & TCP_SYN) != 0 && !only_opens;
  struct decision forwards = {.allow = false};
  if (!only_answers) {
    forwards = judge_forwards(index, question);
    if (forwards.allow || only_opens)
      return forwards;
  }
  struct packet opener = answered(packet);
  struct decision backwards = ask(index, question, ROLE_REPLY, &opener);
  *ret_reversed = backwards.allow;
  return backwards.allow || only_answers ? backwards : forwards;
}

/* ---- with memory ---- */

static struct decision recall(const struct index *index, const struct connection *connection,
                              const struct passage_question *question) {
  const struct policy *policy = index_policy(index);
  return (struct decision){.allow = connection->allowed,
                           .reason = connection->reason,
                           .flow = connection->flow < policy->flow_count ? &policy->flows[connection->flow] : NULL,
                           .from_zone = question->from,
                           .to_zone = question->to};
}

static void touch(const struct watch *watch, struct connection *connection) {
  connection->last_seen = watch->tick;
}

static void remember(struct watch *watch, struct connection *connection, const struct passage_question *question,
                     const struct decision *decision, uint8_t opener_end, bool from_source) {
  if (connection->epoch != watch->epoch)
    memset(connection->macs, 0, sizeof connection->macs);
  connection->opener_end = (opener_end & 1) != 0;
  connection->allowed = decision->allow;
  connection->reason = (uint8_t)decision->reason;
  connection->flow = decision->flow != NULL ? (uint32_t)decision->flow->index : UINT32_MAX;
  connection->from_zone = (int16_t)(from_source ? question->from : question->to);
  connection->to_zone = (int16_t)(from_source ? question->to : question->from);
  connection->epoch = watch->epoch;
  touch(watch, connection);
}

/* The verdict by the opener that was seen. */
static struct decision judge_known(struct watch *watch, struct connection *connection, const struct connection_key *key,
                                   const struct passage_question *question) {
  const struct index *index = watch->current.index;
  bool original = key->source_end == connection->opener_end;
  if (connection->epoch == watch->epoch && !connection->allowed)
    return recall(index, connection, question);
  struct packet opener;
  connection_opener(connection, &opener);
  struct decision decision = ask(index, question, original ? ROLE_ORIGINAL : ROLE_REPLY, &opener);
  if (decision.allow || is_flow_reason(decision.reason))
    remember(watch, connection, question, &decision, connection->opener_end, original);
  if (original)
    connection->unasked = 0;
  return decision;
}

/* A connection of TCP may sleep for days; anything else, and an opener that is not answered, is forgotten by the
 * gateway within minutes, so that it can let an answer pass only when somebody asked. */
static bool begins_with_answer(const struct watch *watch, const struct packet *packet) {
  bool quick = packet->protocol != PROTOCOL_TCP || (packet->tcp_flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK);
  return quick && watch_saw_everything(watch, FORGOTTEN);
}

static void take_up(struct watch *watch, struct connection *connection, const struct packet *packet, bool reversed) {
  connection->unasked = reversed && begins_with_answer(watch, packet);
  watch->taken_up += !connection->unasked && (reversed || !opens(packet)) ? 1 : 0;
}

/* Whether this packet opens anew what the table knows as something else: judged on its own. */
static bool opens_anew(const struct connection *connection, const struct connection_key *key,
                       const struct packet *packet) {
  if (!opens(packet))
    return false;
  bool original = key->source_end == connection->opener_end;
  return packet->protocol == PROTOCOL_TCP ? !original || !connection->allowed : !original && !connection->allowed;
}

struct decision conversation_judge(struct watch *watch, const struct passage_question *question) {
  const struct index *index = watch->current.index;
  bool reversed;
  if (question->quoted != NULL || question->without_ports)
    return conversation_judge_alone(index, question, &reversed);
  struct connection_key key;
  connections_key(watch->connections, question->packet, &key);
  struct connection *connection = connections_find(watch->connections, &key);
  if (connection != NULL && !opens_anew(connection, &key, question->packet)) {
    struct decision decision = judge_known(watch, connection, &key, question);
    if (decision.allow && question->packet->protocol == PROTOCOL_TCP && opens(question->packet))
      carried_begin(watch, connection, &key); /* the ports of an old connection serve for a new one */
    return decision;
  }
  struct decision decision = conversation_judge_alone(index, question, &reversed);
  bool worth = decision.allow || (is_flow_reason(decision.reason) && opens(question->packet));
  if (!worth || (connection != NULL && connection->allowed && !decision.allow))
    return decision;
  connection = connections_add(watch->connections, &key);
  uint8_t opener_end = reversed ? (uint8_t)(1 - key.source_end) : key.source_end;
  remember(watch, connection, question, &decision, opener_end, !reversed);
  take_up(watch, connection, question->packet, reversed);
  if (decision.allow && !reversed && opens(question->packet))
    carried_begin(watch, connection, &key);
  return decision;
}

bool conversation_answers_denied(struct watch *watch, const struct packet *packet, struct packet *ret_opener) {
  struct connection_key key;
  connections_key(watch->connections, packet, &key);
  const struct connection *connection = connections_find(watch->connections, &key);
  if (connection == NULL || connection->allowed || connection->opener_end == key.source_end)
    return false;
  connection_opener(connection, ret_opener);
  return true;
}

/* ---- the fast way ---- */

void conversation_trust_sender(struct watch *watch, const struct sighting *sighting) {
  struct connection_key key;
  connections_key(watch->connections, &sighting->packet, &key);
  struct connection *connection = connections_find(watch->connections, &key);
  if (connection != NULL && connection->epoch == watch->epoch && sighting->frame->has_macs)
    connection->macs[key.source_end] = connections_mac_digest(watch->connections, &sighting->frame->source_mac);
}

static bool is_trusted(const struct watch *watch, const struct connection *connection, unsigned source_end,
                       const struct frame *frame) {
  return connection->macs[source_end] == connections_mac_digest(watch->connections, &frame->source_mac);
}

static bool is_simple(const struct frame *frame) {
  if (frame->content != CONTENT_IP || frame->tag_count > 0 || frame->fault != FAULT_NONE || frame->fragment ||
      frame->packet.traits != 0 || frame->hides)
    return false;
  return frame->packet.protocol != PROTOCOL_TCP || (LATER_FLAGS >> (frame->packet.tcp_flags & 0x3f) & 1) != 0;
}

bool conversation_prepare(const struct watch *watch, const struct frame *frame, enum frame_direction direction,
                          struct connection_key *ret_key) {
  if (direction == FRAME_PASSING || !is_simple(frame))
    return false;
  connections_key(watch->connections, &frame->packet, ret_key);
  connections_announce(watch->connections, ret_key);
  return true;
}

/* Something forbidden came in a moment ago: this may be it, as it was or rewritten. */
static bool is_suspect(const struct watch *watch, const struct frame *frame, const struct connection_key *key,
                       const struct captured_frame *captured) {
  return passages_know(watch->passages, key) ||
         disguise_suspects(watch->disguise, essence_of(captured, frame), frame->time);
}

static bool is_disguise_over(struct watch *watch, struct connection *connection, const struct connection_key *key) {
  connection->disguised = disguise_recall(watch->disguise, key, watch->now) != NULL;
  return !connection->disguised;
}

/* An encrypted tunnel at its own port: the flow that allows the one has named the other. */
static bool is_at_home(const struct frame *frame, const struct connection *connection) {
  if (frame->encapsulation == ENCAPSULATION_IN_ICMP)
    return false;
  return frame->packet.protocol != PROTOCOL_UDP ||
         encapsulation_has_port(frame->encapsulation, connection->ports[1 - connection->opener_end]);
}

/* The gateway has forgotten it, or is about to, and asks its rules anew, which may have changed: its next packet is
 * looked at like a first one. A connection of TCP begins with a packet that is never on the fast way. */
static bool has_slept(const struct watch *watch, const struct connection *connection) {
  return connection->protocol != PROTOCOL_TCP &&
         (uint16_t)(watch->tick - connection->last_seen) > ASLEEP / CONNECTION_TICK;
}

struct connection *conversation_find_plain(struct watch *watch, const struct frame *frame,
                                           const struct connection_key *key, const struct captured_frame *captured,
                                           zone_index wire_zone, enum frame_direction direction) {
  struct connection *connection = connections_find(watch->connections, key);
  if (connection == NULL || !connection->allowed || connection->epoch != watch->epoch)
    return NULL;
  if (frame->encapsulation != ENCAPSULATION_NONE && !is_at_home(frame, connection))
    return NULL;
  bool original = key->source_end == connection->opener_end;
  zone_index origin = original ? connection->from_zone : connection->to_zone;
  zone_index goal = original ? connection->to_zone : connection->from_zone;
  if (direction == FRAME_ENTERING && (origin != wire_zone || !is_trusted(watch, connection, key->source_end, frame)))
    return NULL;
  if (direction == FRAME_LEAVING && goal != wire_zone)
    return NULL;
  if (direction == FRAME_LEAVING && !passages_empty(watch->passages) && is_suspect(watch, frame, key, captured))
    return NULL;
  if (connection->unrecognised != 0 || connection->unasked != 0)
    return NULL;
  if (connection->disguised && !is_disguise_over(watch, connection, key))
    return NULL;
  if (has_slept(watch, connection))
    return NULL;
  if (frame->inner_form != INNER_HIDDEN && !tunnel_is_lawful(watch, frame, captured, wire_zone))
    return NULL;
  touch(watch, connection);
  return connection;
}

bool conversation_is_plain(struct watch *watch, const struct frame *frame, const struct connection_key *key,
                           const struct captured_frame *captured, zone_index wire_zone,
                           enum frame_direction direction) {
  return conversation_find_plain(watch, frame, key, captured, wire_zone, direction) != NULL;
}

/* ---- what it carries ---- */

/* Counted once, where it leaves, or where it comes in when the wire to which it goes is not watched. */
static bool counts(const struct watch *watch, const struct connection *connection, unsigned source_end,
                   enum frame_direction direction) {
  zone_index goal = source_end == connection->opener_end ? connection->to_zone : connection->from_zone;
  return direction == FRAME_LEAVING || goal < 0 || !watch->current.zones_watched[goal];
}

/* Headers are not counted: who receives much acknowledges much. */
static void count(struct watch *watch, struct connection *connection, unsigned source_end, const struct frame *frame,
                  int wire) {
  uint32_t headers =
      (uint32_t)frame->payload_offset + (frame->packet.protocol == PROTOCOL_TCP ? TCP_HEADERS : UDP_HEADER);
  uint32_t carried = connection->carried[source_end] + (frame->length > headers ? frame->length - headers : 0);
  if (carried < SHAPE_PORTION) {
    connection->carried[source_end] = (uint16_t)carried;
    return;
  }
  connection->carried[source_end] = 0;
  carried_portion(watch, connection, source_end, carried, frame, wire);
}

void conversation_carry(struct watch *watch, struct connection *connection, const struct waiting *waiting) {
  unsigned source_end = waiting->key.source_end;
  if (counts(watch, connection, source_end, waiting->direction))
    count(watch, connection, source_end, &waiting->frame, waiting->wire);
}

void conversation_count(struct watch *watch, const struct sighting *sighting) {
  struct connection_key key;
  connections_key(watch->connections, &sighting->packet, &key);
  struct connection *connection = connections_find(watch->connections, &key);
  if (connection == NULL || !connection->allowed || connection->epoch != watch->epoch)
    return;
  if (sighting->direction == FRAME_LEAVING && connection->unasked && key.source_end != connection->opener_end)
    carried_unasked(watch, connection, sighting);
  if (!counts(watch, connection, key.source_end, sighting->direction))
    return;
  count(watch, connection, key.source_end, sighting->frame, sighting->wire);
  if (connection->unrecognised != 0)
    carried_recognise(watch, connection, &key, sighting);
}
