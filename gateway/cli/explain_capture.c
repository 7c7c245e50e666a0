/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A capture in place of one packet. Each packet is judged where it would enter the gateway: in the zone of its source
 * unless the operator says where the capture was taken. The file's own connections are followed as far as the reference
 * meaning needs them: which packet opened what a later one belongs to. A full table forgets nothing and learns no more;
 * packets of connections that it does not know are judged as openers, and the operator is told.
 */
#include <errno.h>
#include <string.h>

#include "base/digest.h"
#include "cli/explain.h"
#include "wire/capture.h"

enum { CONNECTION_SLOTS = 1 << 17, CONNECTION_LIMIT = CONNECTION_SLOTS / 2 };

struct connection {
  bool used;
  struct packet opener;
};

struct tracker {
  struct connection *slots;
  size_t count;
  bool full;
};

struct reading {
  struct question *question;
  struct capture *capture;
  struct tracker tracker;
  uint64_t number, judged, denied;
};

/* ---- connections of the file ---- */

static bool is_echo_reply(const struct packet *packet) {
  return (packet->protocol == PROTOCOL_ICMP && packet->icmp_type == 0) ||
         (packet->protocol == PROTOCOL_ICMPV6 && packet->icmp_type == 129);
}

static bool same_tuple(const struct packet *left, const struct packet *right) {
  return left->protocol == right->protocol && left->source_port == right->source_port &&
         left->destination_port == right->destination_port && left->icmp_type == right->icmp_type &&
         address_equal(&left->source, &right->source) && address_equal(&left->destination, &right->destination);
}

/* The packet that would have opened the connection of which this one is a reply. */
static struct packet turned(const struct packet *packet) {
  struct packet opener = *packet;
  opener.source = packet->destination;
  opener.destination = packet->source;
  opener.source_port = packet->destination_port;
  opener.destination_port = packet->source_port;
  opener.has_source_mac = false;
  if (is_echo_reply(packet))
    opener.icmp_type = packet->protocol == PROTOCOL_ICMP ? 8 : 128;
  return opener;
}

static struct connection *slot_of(const struct tracker *tracker, const struct packet *opener) {
  struct {
    uint8_t source[16], destination[16];
    uint16_t ports[2];
    uint8_t protocol, icmp_type;
  } key;
  memset(&key, 0, sizeof(key));
  memcpy(key.source, opener->source.bytes, sizeof(key.source));
  memcpy(key.destination, opener->destination.bytes, sizeof(key.destination));
  key.ports[0] = opener->source_port;
  key.ports[1] = opener->destination_port;
  key.protocol = opener->protocol;
  key.icmp_type = opener->icmp_type;
  uint8_t digest[SHA256_SIZE];
  sha256(&key, sizeof(key), digest);
  size_t slot = ((size_t)digest[0] << 16 | (size_t)digest[1] << 8 | digest[2]) % CONNECTION_SLOTS;
  while (tracker->slots[slot].used && !same_tuple(&tracker->slots[slot].opener, opener))
    slot = (slot + 1) % CONNECTION_SLOTS;
  return &tracker->slots[slot];
}

static const struct packet *known_opener(const struct tracker *tracker, const struct packet *opener) {
  const struct connection *slot = slot_of(tracker, opener);
  return slot->used ? &slot->opener : NULL;
}

static void remember(struct tracker *tracker, const struct packet *opener) {
  if (tracker->count >= CONNECTION_LIMIT) {
    tracker->full = true;
    return;
  }
  *slot_of(tracker, opener) = (struct connection){.used = true, .opener = *opener};
  tracker->count++;
}

/* A fresh SYN opens anew also where the tuple was in use. */
static void find_role(const struct tracker *tracker, const struct frame *frame, struct query *query) {
  const struct packet *packet = &query->packet;
  const struct packet *about = frame->has_quoted ? &frame->quoted : packet;
  struct packet reversed = turned(about);
  const struct packet *forward = known_opener(tracker, about), *backward = known_opener(tracker, &reversed);
  query->opener = forward != NULL ? *forward : backward != NULL ? *backward : *packet;
  if (forward == NULL && backward == NULL)
    query->role = ROLE_OPENS;
  else if (frame->has_quoted)
    query->role = ROLE_ERROR;
  else
    query->role = forward != NULL ? ROLE_ORIGINAL : ROLE_REPLY;
}

/* ---- one packet ---- */

static struct query query_of_frame(const struct reading *reading, const struct frame *frame) {
  const struct question *question = reading->question;
  struct query query = {.packet = frame->packet, .out_zone = ZONE_NONE};
  query.packet.has_source_mac = false; /* on the far side it is the gateway's, and the file does not say which side */
  if (question->in_zone_given)
    query.packet.has_source_mac = frame->packet.has_source_mac;
  query.in_zone = question->in_zone_given ? question->in_zone
                                          : policy_zone_of_address(question->policy, NULL, &query.packet.source);
  find_role(&reading->tracker, frame, &query);
  return query;
}

static void describe(struct question *question, const struct query *query) {
  const struct packet *packet = &query->packet, *opener = &query->opener;
  bool reply = query->role == ROLE_REPLY;
  question->source = (struct end_argument){.address = packet->source};
  question->destination = (struct end_argument){.address = packet->destination};
  question->role = query->role;
  question->service = (struct service_argument){.protocol = packet->protocol,
                                                .port = reply ? opener->destination_port : packet->destination_port,
                                                .icmp_type = packet->icmp_type};
}

static int print_packet(const struct reading *reading, const struct query *query, const struct decision *decision) {
  const struct question *question = reading->question;
  const char *message = explain_sentence(question, query, decision);
  if (question->invocation->json) {
    json_t *object = explain_to_json(question, decision, message);
    if (object != NULL)
      json_object_set_new(object, "packet", json_integer((json_int_t)reading->number));
    return invocation_print_json_line(question->invocation, object, EXIT_CODE_YES);
  }
  printf("%llu: %s (%s%s%s)\n", (unsigned long long)reading->number, message, reason_name(decision->reason),
         decision->flow != NULL ? " " : "", decision->flow != NULL ? decision->flow->name : "");
  return EXIT_CODE_YES;
}

/* Later fragments belong to a packet that was judged with its first one. */
static bool is_judged(const struct frame *frame) {
  return frame->content == CONTENT_IP && frame->fault == FAULT_NONE && (!frame->fragment || frame->first_fragment);
}

static int judge_frame(struct reading *reading, const struct captured_frame *captured) {
  struct frame frame;
  struct circumstances circumstances = {.now = {captured->time / 1000000000}};
  reading->number++;
  frame_decode(captured, &frame);
  if (!is_judged(&frame))
    return EXIT_CODE_YES;
  if (reading->question->invocation->now_given)
    circumstances.now = reading->question->invocation->now;
  struct query query = query_of_frame(reading, &frame);
  struct decision decision = policy_decide(reading->question->policy, &circumstances, &query);
  if (query.role == ROLE_OPENS && decision.allow)
    remember(&reading->tracker, &query.packet);
  reading->judged++;
  reading->denied += !decision.allow;
  describe(reading->question, &query);
  return print_packet(reading, &query, &decision);
}

/* ---- the file ---- */

static int finish(const struct reading *reading) {
  const struct question *question = reading->question;
  if (reading->tracker.full)
    invocation_complain(question->invocation, "通信が多すぎ、%d 件までしか追跡していません",
                        "too many connections: only the first %d were followed", CONNECTION_LIMIT);
  if (!question->invocation->json)
    printf(language_choose(question->language, "%llu フレーム中 %llu パケットを判定、拒否 %llu\n",
                           "%llu frames, %llu packets judged, %llu denied\n"),
           (unsigned long long)reading->number, (unsigned long long)reading->judged,
           (unsigned long long)reading->denied);
  return invocation_finish(question->invocation, reading->denied != 0 ? EXIT_CODE_NO : EXIT_CODE_YES);
}

static int judge_file(struct reading *reading) {
  struct captured_frame frame;
  struct error error = {0};
  enum capture_step step;
  int code = EXIT_CODE_YES;
  while (code == EXIT_CODE_YES && (step = capture_next(reading->capture, &frame, &error)) != CAPTURE_END) {
    if (step == CAPTURE_FAILED) {
      invocation_complain(reading->question->invocation, "%s", "%s", error.message);
      return EXIT_CODE_NO_ANSWER;
    }
    if (step == CAPTURE_FRAME)
      code = judge_frame(reading, &frame);
  }
  if (code == EXIT_CODE_YES && reading->judged == 0) {
    invocation_complain(reading->question->invocation, "判定できるパケットがありません", "no packet to judge");
    return EXIT_CODE_NO_ANSWER;
  }
  return code == EXIT_CODE_YES ? finish(reading) : code;
}

int explain_capture(struct question *question, const char *path) {
  struct reading reading = {.question = question};
  struct error error = {0};
  reading.tracker.slots = ARENA_ARRAY(question->invocation->arena, CONNECTION_SLOTS, struct connection);
  if (reading.tracker.slots == NULL) {
    invocation_complain(question->invocation, "メモリが足りません", "no memory");
    return EXIT_CODE_NO_ANSWER;
  }
  if (capture_open_file(path, &reading.capture, &error) < 0) {
    invocation_complain(question->invocation, "%s", "%s", error.message);
    return EXIT_CODE_NO_ANSWER;
  }
  int code = judge_file(&reading);
  capture_close(reading.capture);
  return code;
}
