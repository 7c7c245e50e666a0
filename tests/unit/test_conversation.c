/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is remembered of conversations and of packets in pieces, and what follows from what was not seen. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "two_wires.h"

static const char FLOWS[] =
    " F-1 = { from = \"a\"; to = \"b\"; services = [ \"tcp/443\", \"udp/53\", \"icmp/echo-request\" ];\n"
    "  method = \"screen\"; };\n";

enum { LONG_SECONDS = 200, MORE_FRAGMENTS = 0x2000 };

static struct two_wires wires;

static void set_up(void) {
  two_wires_open(&wires, FLOWS);
}

static void tear_down(void) {
  two_wires_close(&wires);
}

/* Everything is watched for so many seconds. */
static void watch_for(int seconds) {
  two_wires_pass(&wires, 10);
  for (int i = 0; i < seconds; i++)
    two_wires_pass(&wires, 1000);
}

static struct test_packet packet(int wire, uint8_t protocol, const char *source, uint16_t source_port,
                                 const char *destination, uint16_t destination_port, uint8_t flags) {
  return (struct test_packet){.wire = wire,
                              .source = source,
                              .destination = destination,
                              .protocol = protocol,
                              .source_port = source_port,
                              .destination_port = destination_port,
                              .flags = flags,
                              .payload = "abcdefgh12345678abcdefgh",
                              .size = 24};
}

static void forward(struct test_packet packet) {
  two_wires_forward(&wires, &packet);
}

static void send(struct test_packet packet) {
  two_wires_send(&wires, &packet);
}

static void leave(struct test_packet packet) {
  packet.leaving = true;
  two_wires_send(&wires, &packet);
}

/* ---- answers that nobody asked for ---- */

static const struct {
  uint8_t protocol, flags;
  uint16_t server_port, client_port;
} ANSWERS[] = {{17, 0, 53, 50000}, {6, TCP_SYN | TCP_ACK, 443, 50000}, {1, 0, 0, 1}};

static struct test_packet answer_of(int at) {
  return packet(OUTSIDE, ANSWERS[at].protocol, "10.2.0.5", ANSWERS[at].server_port, "10.1.0.5", ANSWERS[at].client_port,
                ANSWERS[at].flags);
}

START_TEST(an_answer_that_nobody_asked_for_and_that_leaves_is_a_flow_from_its_wrong_side) {
  watch_for(LONG_SECONDS);
  forward(answer_of(_i));
  two_wires_expect(&wires, 300, "wrong-shape internet>lgwan opened-from-wrong-side;");
  ck_assert_str_eq(wires.flow, "F-1");
}
END_TEST

START_TEST(it_goes_on_being_told_until_somebody_asks) {
  watch_for(LONG_SECONDS);
  for (int i = 0; i < 5; i++)
    forward(answer_of(0));
  two_wires_expect(&wires, 20000, "wrong-shape internet>lgwan opened-from-wrong-side;");
  ck_assert_uint_eq(wires.count, 5);
  forward(packet(INSIDE, 17, "10.1.0.5", 50000, "10.2.0.5", 53, 0));
  forward(answer_of(0));
  two_wires_expect(&wires, 300, "");
}
END_TEST

START_TEST(an_answer_that_does_not_leave_is_no_alarm) {
  watch_for(LONG_SECONDS);
  send(answer_of(_i));
  two_wires_expect(&wires, 300, "");
}
END_TEST

START_TEST(a_conversation_from_before_the_watch_is_taken_up_and_counted) {
  watch_for(20);
  forward(answer_of(_i));
  two_wires_expect(&wires, 300, "");
  ck_assert_uint_eq(watch_taken_up(wires.watch), 1);
}
END_TEST

START_TEST(after_blindness_nothing_follows_from_what_was_not_seen) {
  watch_for(LONG_SECONDS);
  watch_is_blind(wires.watch, INSIDE, "kernel-drops", 1, false, wires.now);
  wires.told[0] = '\0';
  forward(answer_of(_i));
  two_wires_expect(&wires, 300, "");
}
END_TEST

START_TEST(a_connection_in_its_middle_may_have_slept_for_days) {
  watch_for(LONG_SECONDS);
  forward(packet(OUTSIDE, 6, "10.2.0.5", 443, "10.1.0.5", 50000, TCP_ACK | TCP_PSH));
  two_wires_expect(&wires, 300, "");
  ck_assert_uint_eq(watch_taken_up(wires.watch), 1);
}
END_TEST

/* ---- a table without room ---- */

START_TEST(a_table_of_old_conversations_is_not_full) {
  for (uint16_t i = 0; i < 20000; i++) {
    forward(packet(INSIDE, 17, "10.1.0.5", (uint16_t)(1024 + i), "10.2.0.5", 53, 0));
    wires.now += 100000000;
  }
  ck_assert_uint_eq(watch_crowded_out(wires.watch, WATCH_TABLE_CONVERSATIONS), 0);
}
END_TEST

/* A set of four is full by chance now and then, long before the table is. */
START_TEST(a_table_with_much_room_is_not_full_by_chance) {
  for (unsigned i = 0; i < 60000; i++) {
    char client[32];
    snprintf(client, sizeof client, "10.1.0.%u", 2 + i % 100);
    forward(packet(INSIDE, 17, client, (uint16_t)(1024 + i / 100), "10.2.0.5", 53, 0));
    wires.now += 700000000;
  }
  ck_assert_uint_eq(watch_crowded_out(wires.watch, WATCH_TABLE_CONVERSATIONS), 0);
}
END_TEST

START_TEST(live_conversations_that_have_to_go_are_counted) {
  for (uint16_t i = 0; i < 20000; i++)
    forward(packet(INSIDE, 17, "10.1.0.5", (uint16_t)(1024 + i), "10.2.0.5", 53, 0));
  ck_assert_uint_gt(watch_crowded_out(wires.watch, WATCH_TABLE_CONVERSATIONS), 10000);
}
END_TEST

START_TEST(denied_conversations_go_before_live_ones) {
  forward(packet(INSIDE, 17, "10.1.0.5", 1024, "10.2.0.5", 53, 0));
  for (uint16_t i = 0; i < 20000; i++)
    send(packet(INSIDE, 17, "10.1.0.5", (uint16_t)(1024 + i), "10.2.0.5", 54, 0));
  ck_assert_uint_eq(watch_crowded_out(wires.watch, WATCH_TABLE_CONVERSATIONS), 0);
}
END_TEST

/* ---- packets in pieces ---- */

static struct test_packet piece(const char *destination, uint16_t port, unsigned offset, bool more, uint16_t number) {
  struct test_packet made = packet(INSIDE, 17, "10.1.0.5", 50000, destination, port, 0);
  made.identification = number;
  made.fragment = (uint16_t)(offset / 8 | (more ? MORE_FRAGMENTS : 0));
  made.size = 24;
  return made;
}

START_TEST(pieces_of_a_lawful_packet_pass_in_their_order) {
  watch_for(LONG_SECONDS);
  for (uint16_t number = 1; number < 50; number++) {
    forward(piece("10.2.0.5", 53, 0, true, number));
    forward(piece("10.2.0.5", 53, 32, true, number));
    forward(piece("10.2.0.5", 53, 56, false, number));
  }
  two_wires_expect(&wires, 300, "");
}
END_TEST

/* They may come in in any order; the gateway sends them in theirs. */
START_TEST(pieces_may_come_in_in_any_order) {
  watch_for(LONG_SECONDS);
  send(piece("10.2.0.5", 53, 32, false, 7));
  send(piece("10.2.0.5", 53, 0, true, 7));
  struct test_packet first = piece("10.2.0.5", 53, 0, true, 7), later = piece("10.2.0.5", 53, 32, false, 7);
  first.wire = later.wire = OUTSIDE;
  leave(first);
  leave(later);
  two_wires_expect(&wires, 300, "");
}
END_TEST

START_TEST(later_pieces_are_judged_by_the_ports_of_the_first) {
  watch_for(LONG_SECONDS);
  struct test_packet first = piece("10.2.0.5", 54, 0, true, 7), later = piece("10.2.0.5", 54, 32, false, 7);
  first.wire = later.wire = OUTSIDE;
  leave(first);
  leave(later);
  two_wires_expect(&wires, 300, "crossing lgwan>internet no-flow;");
  two_wires_expect(&wires, 20000, "");
  ck_assert_uint_eq(wires.count, 2);
}
END_TEST

/* Some flow joins the two machines, and nothing says whether these are its ports. */
START_TEST(a_later_piece_that_leaves_without_its_first_is_a_crossing) {
  watch_for(LONG_SECONDS);
  struct test_packet later = piece("10.2.0.5", 53, 32, false, 7);
  later.wire = OUTSIDE;
  leave(later);
  two_wires_expect(&wires, 300, "crossing lgwan>internet fragment;");
}
END_TEST

START_TEST(right_after_the_start_the_first_piece_may_have_gone_before) {
  watch_for(5);
  struct test_packet later = piece("10.2.0.5", 53, 32, false, 7);
  later.wire = OUTSIDE;
  leave(later);
  two_wires_expect(&wires, 300, "");
}
END_TEST

START_TEST(an_overlap_in_the_middle_of_many_pieces_is_seen) {
  for (unsigned i = 0; i < 60; i++)
    send(piece("10.2.0.5", 53, i == 0 ? 0 : 8 + i * 24, true, 9));
  two_wires_expect(&wires, 10, "");
  send(piece("10.2.0.5", 53, 8 + 50 * 24 + 8, true, 9));
  two_wires_expect(&wires, 300, "malformed lgwan>- fragment-overlap;");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("conversation");
  TCase *all = tcase_create("all");
  tcase_add_checked_fixture(all, set_up, tear_down);
  int answers = (int)(sizeof ANSWERS / sizeof ANSWERS[0]);
  tcase_add_loop_test(all, an_answer_that_nobody_asked_for_and_that_leaves_is_a_flow_from_its_wrong_side, 0, answers);
  tcase_add_test(all, it_goes_on_being_told_until_somebody_asks);
  tcase_add_loop_test(all, an_answer_that_does_not_leave_is_no_alarm, 0, answers);
  tcase_add_loop_test(all, a_conversation_from_before_the_watch_is_taken_up_and_counted, 0, answers);
  tcase_add_loop_test(all, after_blindness_nothing_follows_from_what_was_not_seen, 0, answers);
  tcase_add_test(all, a_connection_in_its_middle_may_have_slept_for_days);
  tcase_add_test(all, a_table_of_old_conversations_is_not_full);
  tcase_add_test(all, a_table_with_much_room_is_not_full_by_chance);
  tcase_add_test(all, live_conversations_that_have_to_go_are_counted);
  tcase_add_test(all, denied_conversations_go_before_live_ones);
  tcase_add_test(all, pieces_of_a_lawful_packet_pass_in_their_order);
  tcase_add_test(all, pieces_may_come_in_in_any_order);
  tcase_add_test(all, later_pieces_are_judged_by_the_ports_of_the_first);
  tcase_add_test(all, a_later_piece_that_leaves_without_its_first_is_a_crossing);
  tcase_add_test(all, right_after_the_start_the_first_piece_may_have_gone_before);
  tcase_add_test(all, an_overlap_in_the_middle_of_many_pieces_is_seen);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
