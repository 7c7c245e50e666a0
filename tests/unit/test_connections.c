/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <string.h>

#include "watch/connections.h"
#include "watch/passages.h"

static struct connections *table;

static void set_up(void) {
  table = connections_new(1024);
  ck_assert_ptr_nonnull(table);
}

static void tear_down(void) {
  table = connections_free(table);
}

static struct packet packet(uint32_t source, uint16_t source_port, uint32_t destination, uint16_t destination_port) {
  return (struct packet){.source = address_from_ipv4(source),
                         .destination = address_from_ipv4(destination),
                         .protocol = PROTOCOL_TCP,
                         .source_port = source_port,
                         .destination_port = destination_port};
}

static struct connection_key key_of(const struct packet *packet) {
  struct connection_key key;
  connections_key(table, packet, &key);
  return key;
}

START_TEST(both_directions_are_one_conversation) {
  struct packet there = packet(0x0a000001, 50000, 0x0a000002, 443), back = packet(0x0a000002, 443, 0x0a000001, 50000);
  struct connection_key first = key_of(&there), second = key_of(&back);
  struct connection *connection = connections_add(table, &first);
  ck_assert_ptr_eq(connections_find(table, &second), connection);
  ck_assert_uint_ne(first.source_end, second.source_end);
}
END_TEST

START_TEST(another_port_is_another_conversation) {
  struct packet one = packet(0x0a000001, 50000, 0x0a000002, 443), other = packet(0x0a000001, 50001, 0x0a000002, 443);
  struct connection_key first = key_of(&one), second = key_of(&other);
  connections_add(table, &first);
  ck_assert_ptr_null(connections_find(table, &second));
}
END_TEST

START_TEST(equal_addresses_and_crossed_ports_are_told_apart) {
  struct packet one = packet(0x0a000001, 1, 0x0a000001, 2), other = packet(0x0a000001, 2, 0x0a000001, 1);
  struct connection_key first = key_of(&one), second = key_of(&other);
  ck_assert_uint_ne(first.source_end, second.source_end);
  connections_add(table, &first);
  ck_assert_ptr_nonnull(connections_find(table, &second));
}
END_TEST

START_TEST(the_opener_comes_back_as_it_was) {
  struct packet there = packet(0x0a000009, 50000, 0x0a000002, 443), opener;
  struct connection_key key = key_of(&there);
  struct connection *connection = connections_add(table, &key);
  connection->opener_end = key.source_end != 0;
  connection_opener(connection, &opener);
  ck_assert(address_equal(&opener.source, &there.source) && address_equal(&opener.destination, &there.destination));
  ck_assert_uint_eq(opener.source_port, 50000);
  ck_assert_uint_eq(opener.destination_port, 443);
  ck_assert_uint_eq(opener.tcp_flags, TCP_SYN);
}
END_TEST

START_TEST(an_echo_reply_belongs_to_its_request) {
  struct packet request = packet(0x0a000001, 0, 0x0a000002, 0), reply = packet(0x0a000002, 0, 0x0a000001, 0);
  request.protocol = reply.protocol = PROTOCOL_ICMP;
  request.icmp_type = 8;
  struct connection_key first = key_of(&request), second = key_of(&reply);
  connections_add(table, &first);
  ck_assert_ptr_nonnull(connections_find(table, &second));
}
END_TEST

START_TEST(a_full_table_counts_what_it_forgets_and_keeps_the_allowed) {
  struct packet kept = packet(0x0a000001, 50000, 0x0a000002, 443);
  struct connection_key key = key_of(&kept);
  connections_add(table, &key)->allowed = 1;
  for (uint32_t n = 0; n < 100000; n++) {
    struct packet flood = packet(0x0b000000 + n, 1, 0x0a000002, 443);
    struct connection_key other = key_of(&flood);
    connections_add(table, &other)->last_seen = (uint16_t)n;
  }
  ck_assert_uint_ge(connections_evicted(table), 100000 - 1024);
  ck_assert_ptr_nonnull(connections_find(table, &key));
}
END_TEST

/* ---- passages ---- */

static struct finding last;
static unsigned told;

static void take(void *context, const struct finding *finding) {
  (void)context;
  last = *finding;
  told++;
}

static struct finding attempt(int64_t time) {
  return (struct finding){.kind = FINDING_ATTEMPT, .time = time, .wire = 3, .count = 1, .bytes = 60};
}

START_TEST(what_came_in_and_not_out_is_handed_out_once_with_its_count) {
  told = 0;
  struct passages *passages = passages_new(16, 200, take, NULL);
  struct packet one = packet(1, 1, 2, 2);
  struct connection_key key = key_of(&one);
  for (int64_t time = 0; time < 5; time++) {
    struct finding finding = attempt(time);
    passages_enter(passages, &key, &finding, false);
  }
  passages_advance(passages, 199);
  ck_assert_uint_eq(told, 0);
  passages_advance(passages, 200);
  ck_assert_uint_eq(told, 1);
  ck_assert_uint_eq(last.count, 5);
  ck_assert(passages_empty(passages));
  passages_free(passages);
}
END_TEST

START_TEST(what_came_out_names_its_entry_and_is_no_attempt) {
  told = 0;
  struct passages *passages = passages_new(16, 200, take, NULL);
  struct packet one = packet(1, 1, 2, 2);
  struct connection_key key = key_of(&one);
  struct finding finding = attempt(0);
  passages_enter(passages, &key, &finding, false);
  ck_assert_int_eq(passages_leave(passages, &key, 1), 3);
  passages_advance(passages, 1000);
  ck_assert_uint_eq(told, 0);
  passages_free(passages);
}
END_TEST

START_TEST(an_exit_seen_before_its_entry_is_joined_too) {
  told = 0;
  struct passages *passages = passages_new(16, 200, take, NULL);
  struct packet one = packet(1, 1, 2, 2);
  struct connection_key key = key_of(&one);
  struct finding finding = attempt(2);
  ck_assert_int_eq(passages_leave(passages, &key, 1), WIRE_NONE);
  passages_enter(passages, &key, &finding, false);
  passages_advance(passages, 1000);
  ck_assert_uint_eq(told, 0);
  passages_free(passages);
}
END_TEST

START_TEST(a_full_ring_hands_out_early_and_loses_nothing) {
  told = 0;
  struct passages *passages = passages_new(16, 200, take, NULL);
  for (uint32_t n = 0; n < 1000; n++) {
    struct packet one = packet(n, 1, 2, 2);
    struct connection_key key = key_of(&one);
    struct finding finding = attempt(n / 100);
    passages_enter(passages, &key, &finding, false);
  }
  passages_advance(passages, INT64_MAX);
  ck_assert_uint_eq(told, 1000);
  passages_free(passages);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("connections");
  TCase *all = tcase_create("all");
  tcase_add_checked_fixture(all, set_up, tear_down);
  tcase_add_test(all, both_directions_are_one_conversation);
  tcase_add_test(all, another_port_is_another_conversation);
  tcase_add_test(all, equal_addresses_and_crossed_ports_are_told_apart);
  tcase_add_test(all, the_opener_comes_back_as_it_was);
  tcase_add_test(all, an_echo_reply_belongs_to_its_request);
  tcase_add_test(all, a_full_table_counts_what_it_forgets_and_keeps_the_allowed);
  tcase_add_test(all, what_came_in_and_not_out_is_handed_out_once_with_its_count);
  tcase_add_test(all, what_came_out_names_its_entry_and_is_no_attempt);
  tcase_add_test(all, an_exit_seen_before_its_entry_is_joined_too);
  tcase_add_test(all, a_full_ring_hands_out_early_and_loses_nothing);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
