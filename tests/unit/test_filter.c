/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs that withhold frames in the kernel: only canonical ones of the conversations that were told, and never one
 * in which the decoder finds anything else.
 */
#include <check.h>
#include <errno.h>
#include <pcap/dlt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_packet.h>

#include "classic_bpf.h"
#include "wire/filter.h"
#include "wire/frame.h"

enum { SNAP = 384, LONGEST = 200, ROUNDS = 100000 };

static struct filter filter;
static uint64_t random_state;

static uint32_t random_below(uint32_t limit) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(random_state >> 33) % limit;
}

/* ---- frames ---- */

struct sample_frame {
  uint8_t bytes[LONGEST];
  uint32_t length;
};

static void put16(uint8_t *bytes, unsigned value) {
  bytes[0] = (uint8_t)(value >> 8);
  bytes[1] = (uint8_t)value;
}

static void put_transport(const struct filter_tuple *tuple, unsigned length, uint8_t *bytes) {
  put16(bytes, tuple->source_port);
  put16(bytes + 2, tuple->destination_port);
  if (tuple->protocol == PROTOCOL_UDP) {
    put16(bytes + 4, length);
    return;
  }
  bytes[12] = 0x50;
  bytes[13] = TCP_ACK | TCP_PSH;
}

static struct sample_frame make_frame(const struct filter_tuple *tuple, unsigned payload) {
  struct sample_frame frame = {.length = 0};
  bool ipv4 = tuple->source.family == FAMILY_IPV4;
  unsigned transport = (tuple->protocol == PROTOCOL_TCP ? 20 : 8) + payload;
  uint8_t *ip = frame.bytes + 14;
  memcpy(frame.bytes, tuple->destination_mac.bytes, 6);
  memcpy(frame.bytes + 6, tuple->source_mac.bytes, 6);
  put16(frame.bytes + 12, ipv4 ? 0x0800 : 0x86dd);
  ip[0] = ipv4 ? 0x45 : 0x60;
  put16(ip + (ipv4 ? 2 : 4), transport + (ipv4 ? 20 : 0));
  ip[ipv4 ? 9 : 6] = tuple->protocol;
  memcpy(ip + (ipv4 ? 12 : 8), tuple->source.bytes, ipv4 ? 4 : 16);
  memcpy(ip + (ipv4 ? 16 : 24), tuple->destination.bytes, ipv4 ? 4 : 16);
  put_transport(tuple, transport, ip + (ipv4 ? 20 : 40));
  frame.length = 14 + (ipv4 ? 20U : 40U) + transport;
  return frame;
}

static size_t given_with(const struct sample_frame *frame, uint32_t tag, uint32_t packet_type, uint32_t chance) {
  struct classic_bpf_frame seen = {frame->bytes, frame->length, frame->length, tag, packet_type, chance};
  size_t given = classic_bpf_run(filter.instructions, filter.count, &seen);
  ck_assert_msg(given == 0 || given == SNAP, "the program ends with %zu", given);
  return given;
}

static bool withheld(const struct sample_frame *frame) {
  return given_with(frame, 0, PACKET_HOST, 1) == 0;
}

/* ---- conversations ---- */

static struct filter_tuple make_tuple(enum address_family family, uint8_t protocol, unsigned number) {
  struct filter_tuple tuple = {.source_mac = {{2, 0, 0, 1, 0, (uint8_t)(number % 3)}},
                               .destination_mac = {{2, 0, 0, 0, 0, 0xa1}},
                               .source = {.family = family},
                               .destination = {.family = family},
                               .source_port = (uint16_t)(40000 + number / 4),
                               .destination_port = 443,
                               .protocol = protocol};
  tuple.source.bytes[0] = tuple.destination.bytes[0] = family == FAMILY_IPV4 ? 10 : 0xfd;
  tuple.source.bytes[3] = (uint8_t)number;
  tuple.destination.bytes[family == FAMILY_IPV4 ? 3 : 15] = 0x99;
  return tuple;
}

static const struct {
  enum address_family family;
  uint8_t protocol;
} kinds[] = {
    {FAMILY_IPV4, PROTOCOL_TCP}, {FAMILY_IPV4, PROTOCOL_UDP}, {FAMILY_IPV6, PROTOCOL_TCP}, {FAMILY_IPV6, PROTOCOL_UDP}};

static void make_mixture(struct filter_tuple *tuples, size_t count) {
  for (unsigned i = 0; i < count; i++)
    tuples[i] = make_tuple(kinds[i % 4].family, kinds[i % 4].protocol, i);
}

/* ---- the tests ---- */

START_TEST(without_conversations_everything_is_given) {
  filter_build(NULL, 0, SNAP, FILTER_ROOM, &filter);
  struct filter_tuple tuple = make_tuple(FAMILY_IPV4, PROTOCOL_TCP, 1);
  struct sample_frame frame = make_frame(&tuple, 10);
  ck_assert_uint_eq(filter.count, 1);
  ck_assert(!withheld(&frame));
}
END_TEST

START_TEST(every_conversation_is_withheld_and_its_neighbours_are_given) {
  struct filter_tuple tuples[40];
  make_mixture(tuples, 40);
  filter_build(tuples, 40, SNAP, FILTER_ROOM, &filter);
  ck_assert_uint_eq(filter.tuples, 40);
  for (unsigned i = 0; i < 60; i++) {
    struct filter_tuple tuple = make_tuple(kinds[i % 4].family, kinds[i % 4].protocol, i);
    for (unsigned payload = 0; payload < 60; payload += 20) {
      struct sample_frame frame = make_frame(&tuple, payload);
      ck_assert_int_eq(withheld(&frame), i < 40);
    }
  }
}
END_TEST

START_TEST(one_in_a_thousand_is_given_to_check) {
  struct filter_tuple tuple = make_tuple(FAMILY_IPV4, PROTOCOL_TCP, 1);
  filter_build(&tuple, 1, SNAP, FILTER_ROOM, &filter);
  struct sample_frame frame = make_frame(&tuple, 10);
  unsigned given = 0;
  for (uint32_t chance = 0; chance < 10 * FILTER_SAMPLE; chance++)
    given += given_with(&frame, 0, PACKET_HOST, chance) != 0;
  ck_assert_uint_eq(given, 10);
}
END_TEST

START_TEST(tags_and_frames_that_this_machine_sends_are_given) {
  struct filter_tuple tuple = make_tuple(FAMILY_IPV6, PROTOCOL_UDP, 1);
  filter_build(&tuple, 1, SNAP, FILTER_ROOM, &filter);
  struct sample_frame frame = make_frame(&tuple, 10);
  ck_assert_uint_eq(given_with(&frame, 0, PACKET_HOST, 1), 0);
  ck_assert_uint_eq(given_with(&frame, 1, PACKET_HOST, 1), SNAP);
  ck_assert_uint_eq(given_with(&frame, 0, PACKET_OUTGOING, 1), SNAP);
  ck_assert_uint_eq(given_with(&frame, 0, PACKET_OTHERHOST, 1), SNAP);
}
END_TEST

/* What the decoder must say of a frame that is withheld. */
static void assert_plain(const struct sample_frame *frame, const struct filter_tuple *tuple) {
  struct captured_frame captured = {
      .data = frame->bytes, .captured = frame->length, .length = frame->length, .link_type = DLT_EN10MB};
  struct frame facts;
  frame_decode(&captured, &facts);
  const struct packet *packet = &facts.packet;
  ck_assert_int_eq(facts.content, CONTENT_IP);
  ck_assert_int_eq(facts.fault, FAULT_NONE);
  ck_assert_uint_eq(facts.tag_count, 0);
  ck_assert(!facts.fragment && !facts.cut);
  ck_assert_uint_eq(packet->traits, 0);
  ck_assert_uint_eq(packet->protocol, tuple->protocol);
  ck_assert_uint_eq(packet->source_port, tuple->source_port);
  ck_assert_uint_eq(packet->destination_port, tuple->destination_port);
  ck_assert_mem_eq(packet->source.bytes, tuple->source.bytes, 16);
  ck_assert_mem_eq(packet->destination.bytes, tuple->destination.bytes, 16);
  ck_assert(mac_equal(&facts.source_mac, &tuple->source_mac));
  ck_assert(mac_equal(&facts.destination_mac, &tuple->destination_mac));
  if (packet->protocol == PROTOCOL_TCP)
    ck_assert_int_eq(packet->tcp_flags & ~TCP_PSH, TCP_ACK);
}

static void spoil(struct sample_frame *frame) {
  uint32_t headers = frame->length < 74 ? frame->length : 74;
  for (unsigned changes = random_below(3); changes > 0; changes--)
    frame->bytes[random_below(headers)] = (uint8_t)(random_below(2) == 0 ? random_below(256) : 1u << random_below(8));
  if (random_below(4) == 0)
    frame->length = random_below(frame->length + 1);
}

START_TEST(what_is_withheld_is_what_the_decoder_calls_plain) {
  random_state = (uint64_t)_i + 1;
  unsigned plain = 0, others = 0;
  struct filter_tuple tuples[4];
  make_mixture(tuples, 4);
  filter_build(tuples, 4, SNAP, FILTER_ROOM, &filter);
  for (unsigned round = 0; round < ROUNDS; round++) {
    const struct filter_tuple *tuple = &tuples[random_below(4)];
    struct sample_frame frame = make_frame(tuple, random_below(40));
    spoil(&frame);
    bool held = withheld(&frame);
    plain += held;
    others += !held;
    if (held)
      assert_plain(&frame, tuple);
  }
  ck_assert_uint_gt(plain, ROUNDS / 10);
  ck_assert_uint_gt(others, ROUNDS / 10);
}
END_TEST

START_TEST(few_instructions_hold_the_first_conversations) {
  struct filter_tuple tuples[FILTER_TUPLES];
  make_mixture(tuples, FILTER_TUPLES);
  size_t before = FILTER_TUPLES;
  for (size_t room = FILTER_ROOM; room > 0; room /= 2) {
    filter_build(tuples, FILTER_TUPLES, SNAP, room, &filter);
    ck_assert_uint_le(filter.count, room);
    ck_assert_uint_le(filter.tuples, before);
    before = filter.tuples;
    for (unsigned i = 0; i < FILTER_TUPLES; i++) {
      struct sample_frame frame = make_frame(&tuples[i], 4);
      ck_assert_int_eq(withheld(&frame), i < filter.tuples);
    }
  }
  ck_assert_uint_eq(before, 0);
}
END_TEST

START_TEST(the_kernel_takes_the_program_and_gives_it_back) {
  struct filter_tuple tuples[FILTER_TUPLES];
  make_mixture(tuples, FILTER_TUPLES);
  filter_build(tuples, FILTER_TUPLES, SNAP, FILTER_ROOM / 8, &filter);
  int socket_number = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ck_assert_int_ge(socket_number, 0);
  struct sock_fprog program = {.len = filter.count, .filter = filter.instructions};
  ck_assert_msg(setsockopt(socket_number, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0, "%s",
                strerror(errno));
  struct sock_filter back[FILTER_ROOM];
  socklen_t count = FILTER_ROOM;
  ck_assert_int_eq(getsockopt(socket_number, SOL_SOCKET, SO_GET_FILTER, back, &count), 0);
  ck_assert_uint_eq(count, filter.count);
  ck_assert_mem_eq(back, filter.instructions, count * sizeof back[0]);
  close(socket_number);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("filter");
  TCase *all = tcase_create("all");
  tcase_add_test(all, without_conversations_everything_is_given);
  tcase_add_test(all, every_conversation_is_withheld_and_its_neighbours_are_given);
  tcase_add_test(all, one_in_a_thousand_is_given_to_check);
  tcase_add_test(all, tags_and_frames_that_this_machine_sends_are_given);
  tcase_add_loop_test(all, what_is_withheld_is_what_the_decoder_calls_plain, 0, 3);
  tcase_add_test(all, few_instructions_hold_the_first_conversations);
  tcase_add_test(all, the_kernel_takes_the_program_and_gives_it_back);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
