/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets that leave with other addresses or ports than they came in with. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "two_wires.h"

static const char FLOWS[] =
    " F-1 = { from = \"a\"; to = \"b\"; services = [ \"tcp/443\", \"udp/53\", \"icmp/echo-request\" ];\n"
    "  method = \"screen\"; };\n"
    " F-2 = { from = \"gateway\"; to = \"b\"; services = [ \"tcp/25\" ]; method = \"ops\"; };\n"
    " F-6 = { from = \"a6\"; to = \"b6\"; services = [ \"tcp/443\" ]; method = \"screen\"; };\n";

static const char QUERY[] = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07"
                            "example\x02jp";

static struct two_wires wires;

static void set_up(void) {
  two_wires_open(&wires, FLOWS);
}

static void tear_down(void) {
  two_wires_close(&wires);
}

static void in(struct test_packet packet) {
  packet.wire = INSIDE;
  two_wires_send(&wires, &packet);
}

static void out(struct test_packet packet) {
  packet.wire = OUTSIDE;
  packet.leaving = true;
  two_wires_send(&wires, &packet);
}

/* A packet of each kind; nothing but addresses and ports will differ. */
static const struct test_packet SYN = {.protocol = 6, .flags = TCP_SYN, .sequence = 0x12345678, .identification = 7};
static const struct test_packet DATAGRAM = {
    .protocol = 17, .identification = 0, .payload = QUERY, .size = sizeof QUERY - 1};
static const struct test_packet ECHO = {
    .protocol = 1, .identification = 99, .sequence = 3, .payload = QUERY, .size = sizeof QUERY - 1};

static struct test_packet with(struct test_packet packet, const char *source, uint16_t source_port,
                               const char *destination, uint16_t destination_port) {
  packet.source = source;
  packet.destination = destination;
  packet.source_port = source_port;
  packet.destination_port = destination_port;
  return packet;
}

START_TEST(a_denied_packet_that_leaves_masqueraded_is_a_disguised_crossing) {
  in(with(SYN, "10.1.0.5", 50000, "10.2.0.5", 22));
  out(with(SYN, "10.2.0.1", 50000, "10.2.0.5", 22));
  two_wires_expect(&wires, 1, "disguised-crossing lgwan>internet rewritten-source;");
  ck_assert_ptr_nonnull(strstr(wires.message, "10.1.0.5 -> 10.2.0.5 tcp/22 left as 10.2.0.1:50000 -> 10.2.0.5:22"));
  two_wires_expect(&wires, 300, "");
}
END_TEST

/* Lawful by its tuple: the gateway may send mail. */
START_TEST(a_denied_packet_that_leaves_under_a_lawful_tuple_is_found) {
  in(with(SYN, "10.1.0.5", 50000, "10.2.0.9", 25));
  out(with(SYN, "10.2.0.1", 50000, "10.2.0.9", 25));
  two_wires_expect(&wires, 150, "disguised-crossing lgwan>internet rewritten-source;");
  two_wires_expect(&wires, 300, "");
}
END_TEST

START_TEST(a_permitted_packet_that_leaves_to_another_permitted_place_is_found) {
  in(with(SYN, "10.1.0.5", 50000, "10.2.0.5", 443));
  out(with(SYN, "10.1.0.5", 50000, "10.2.0.66", 443));
  two_wires_expect(&wires, 150, "disguised-crossing lgwan>internet rewritten-destination;");
}
END_TEST

START_TEST(a_permitted_packet_that_leaves_to_a_forbidden_place_is_found) {
  in(with(SYN, "10.1.0.5", 50000, "10.2.0.5", 443));
  out(with(SYN, "10.1.0.5", 50000, "10.2.0.200", 443));
  two_wires_expect(&wires, 1, "disguised-crossing lgwan>internet rewritten-destination;");
}
END_TEST

START_TEST(datagrams_echoes_and_ipv6_are_tied_too) {
  in(with(DATAGRAM, "10.1.0.5", 50000, "10.2.0.200", 53));
  out(with(DATAGRAM, "10.1.0.5", 50000, "10.2.0.5", 53));
  two_wires_expect(&wires, 300, "disguised-crossing lgwan>internet rewritten-destination;");
  in(with(ECHO, "10.1.0.200", 8, "10.2.0.5", 1));
  out(with(ECHO, "10.1.0.7", 8, "10.2.0.5", 77));
  two_wires_expect(&wires, 300, "disguised-crossing lgwan>internet rewritten-source;");
  in(with(SYN, "2409:1::5", 50000, "2409:2::5", 22));
  out(with(SYN, "2409:1::5", 50000, "2409:2::5", 443));
  two_wires_expect(&wires, 300, "disguised-crossing lgwan>internet rewritten-destination;");
}
END_TEST

/* The fast way knows the conversation as which it leaves. */
START_TEST(a_disguise_as_a_conversation_that_is_known_is_found) {
  struct test_packet lawful = with(ECHO, "10.1.0.5", 8, "10.2.0.5", 1);
  lawful.identification = 12;
  two_wires_forward(&wires, &lawful);
  two_wires_expect(&wires, 1000, "");
  in(with(ECHO, "10.1.0.5", 8, "10.2.0.200", 1));
  out(with(ECHO, "10.1.0.5", 8, "10.2.0.5", 1));
  two_wires_expect(&wires, 300, "disguised-crossing lgwan>internet rewritten-destination;");
}
END_TEST

/* The gateway forgets a question after half a minute, and asks its rules anew; the ports are the same all day. */
START_TEST(a_conversation_that_slept_and_is_led_elsewhere_is_found) {
  struct test_packet question = with(DATAGRAM, "10.1.0.5", 53, "10.2.0.5", 53);
  for (uint16_t i = 0; i < 5; i++) {
    question.identification = (uint16_t)(100 + i);
    two_wires_forward(&wires, &question);
    two_wires_expect(&wires, 64000, "");
  }
  question.identification = 200;
  in(question);
  question.destination = "10.2.0.66";
  out(question);
  two_wires_expect(&wires, 300, "disguised-crossing lgwan>internet rewritten-destination;");
}
END_TEST

START_TEST(the_exit_may_be_seen_before_the_entry) {
  out(with(SYN, "10.1.0.5", 50000, "10.2.0.66", 443));
  in(with(SYN, "10.1.0.5", 50000, "10.2.0.5", 443));
  two_wires_expect(&wires, 150, "disguised-crossing lgwan>internet rewritten-destination;");
}
END_TEST

START_TEST(a_rewritten_conversation_is_one_alert_that_counts_both_directions) {
  struct test_packet data = {.protocol = 6, .flags = TCP_ACK | TCP_PSH, .payload = QUERY, .size = 20};
  in(with(SYN, "10.1.0.5", 50000, "10.2.0.9", 22));
  out(with(SYN, "10.2.0.1", 50000, "10.2.0.9", 22));
  for (uint32_t i = 0; i < 10; i++) {
    struct test_packet answer = with(data, "10.2.0.9", 22, "10.2.0.1", 50000);
    answer.wire = OUTSIDE;
    answer.sequence = 1000 + i;
    two_wires_send(&wires, &answer);
    answer = with(data, "10.2.0.9", 22, "10.1.0.5", 50000);
    answer.sequence = 1000 + i;
    answer.wire = INSIDE;
    answer.leaving = true;
    two_wires_send(&wires, &answer);
    data.sequence = 2000 + i;
    in(with(data, "10.1.0.5", 50000, "10.2.0.9", 22));
    out(with(data, "10.2.0.1", 50000, "10.2.0.9", 22));
  }
  two_wires_expect(&wires, 30000, "disguised-crossing lgwan>internet rewritten-source;");
  ck_assert_uint_eq(wires.count, 21);
}
END_TEST

/* ---- what is no disguise ---- */

START_TEST(what_leaves_as_it_came_is_none) {
  struct test_packet packets[] = {with(SYN, "10.1.0.5", 50000, "10.2.0.5", 443),
                                  with(DATAGRAM, "10.1.0.5", 50000, "10.2.0.5", 53),
                                  with(ECHO, "10.1.0.5", 8, "10.2.0.5", 1)};
  for (size_t i = 0; i < sizeof packets / sizeof packets[0]; i++)
    two_wires_forward(&wires, &packets[i]);
  two_wires_expect(&wires, 300, "");
}
END_TEST

/* A resolver asks two servers the same; one of them it may not ask. */
START_TEST(the_same_question_to_two_servers_is_none) {
  in(with(DATAGRAM, "10.1.0.5", 50000, "10.2.0.200", 53));
  struct test_packet lawful = with(DATAGRAM, "10.1.0.5", 50000, "10.2.0.5", 53);
  two_wires_forward(&wires, &lawful);
  two_wires_expect(&wires, 300, "attempt lgwan>internet no-flow;");
}
END_TEST

/* The captures of two wires lag behind each other by some milliseconds. */
START_TEST(the_same_question_to_two_servers_is_none_whatever_the_order_of_the_captures) {
  struct test_packet other = with(DATAGRAM, "10.1.0.5", 50000, "10.2.0.6", 53);
  two_wires_forward(&wires, &other);
  out(with(DATAGRAM, "10.1.0.5", 50000, "10.2.0.5", 53));
  in(with(DATAGRAM, "10.1.0.5", 50000, "10.2.0.5", 53));
  two_wires_expect(&wires, 300, "");
}
END_TEST

START_TEST(packets_that_say_too_little_are_tied_to_nothing) {
  struct test_packet empty = {.protocol = 17};
  in(with(empty, "10.1.0.5", 50000, "10.2.0.200", 53));
  out(with(empty, "10.1.0.5", 50000, "10.2.0.5", 53));
  two_wires_expect(&wires, 300, "attempt lgwan>internet no-flow;");
}
END_TEST

START_TEST(what_left_long_after_is_another_packet) {
  in(with(SYN, "10.1.0.5", 50000, "10.2.0.5", 22));
  two_wires_expect(&wires, 400, "attempt lgwan>internet no-flow;");
  out(with(SYN, "10.2.0.1", 50000, "10.2.0.9", 25));
  two_wires_expect(&wires, 300, "");
}
END_TEST

/* Denied frames without end must not keep others from the fast way: what they cost is bounded by this. */
START_TEST(a_flood_of_denied_frames_hides_no_disguise) {
  wires.step = 1000;
  for (unsigned i = 0; i < 20000; i++) {
    struct test_packet noise = with(SYN, "10.1.0.9", (uint16_t)(1024 + i), "10.2.0.200", 80);
    noise.sequence = 77 + i;
    in(noise);
    if (i == 10000)
      in(with(SYN, "10.1.0.5", 50000, "10.2.0.5", 443));
    if (i == 10200)
      out(with(SYN, "10.1.0.5", 50000, "10.2.0.66", 443));
  }
  two_wires_pass(&wires, 300);
  ck_assert_ptr_nonnull(strstr(wires.told, "disguised-crossing lgwan>internet rewritten-destination;"));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("disguise");
  TCase *all = tcase_create("all");
  tcase_add_checked_fixture(all, set_up, tear_down);
  tcase_add_test(all, a_denied_packet_that_leaves_masqueraded_is_a_disguised_crossing);
  tcase_add_test(all, a_denied_packet_that_leaves_under_a_lawful_tuple_is_found);
  tcase_add_test(all, a_permitted_packet_that_leaves_to_another_permitted_place_is_found);
  tcase_add_test(all, a_permitted_packet_that_leaves_to_a_forbidden_place_is_found);
  tcase_add_test(all, datagrams_echoes_and_ipv6_are_tied_too);
  tcase_add_test(all, a_disguise_as_a_conversation_that_is_known_is_found);
  tcase_add_test(all, a_conversation_that_slept_and_is_led_elsewhere_is_found);
  tcase_add_test(all, the_exit_may_be_seen_before_the_entry);
  tcase_add_test(all, a_rewritten_conversation_is_one_alert_that_counts_both_directions);
  tcase_add_test(all, what_leaves_as_it_came_is_none);
  tcase_add_test(all, the_same_question_to_two_servers_is_none);
  tcase_add_test(all, the_same_question_to_two_servers_is_none_whatever_the_order_of_the_captures);
  tcase_add_test(all, packets_that_say_too_little_are_tied_to_nothing);
  tcase_add_test(all, what_left_long_after_is_another_packet);
  tcase_add_test(all, a_flood_of_denied_frames_hides_no_disguise);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
