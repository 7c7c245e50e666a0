/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "watch/aggregate.h"

enum { LINES = 8192, MOST_LINES_OF_A_STORM = 100, LINES_OF_ANY_KIND = 28 };
static const int64_t SECOND = 1000000000;

static struct alert lines[LINES];
static size_t line_count, alert_count;
static struct aggregate *aggregate;

static void tell(void *context, struct alert *alert, int64_t now) {
  (void)context, (void)now;
  if (alert->id[0] == '\0')
    snprintf(alert->id, sizeof alert->id, "%zu", ++alert_count);
  ck_assert_uint_lt(line_count, LINES);
  lines[line_count++] = *alert;
}

static void set_up(void) {
  line_count = alert_count = 0;
  aggregate = aggregate_new(tell, NULL);
}

static void tear_down(void) {
  aggregate = aggregate_free(aggregate);
}

static struct finding finding(enum finding_kind kind, int64_t time, uint32_t source, zone_index zone,
                              zone_index other_zone) {
  return (struct finding){.kind = kind,
                          .time = time,
                          .zone = zone,
                          .other_zone = other_zone,
                          .wire = 0,
                          .entry_wire = WIRE_NONE,
                          .source = address_from_ipv4(source),
                          .destination = address_from_ipv4(0x0a000001),
                          .protocol = 6,
                          .destination_port = 443,
                          .vlan = -1,
                          .ethertype = -1,
                          .count = 1,
                          .bytes = 100};
}

static void add(enum finding_kind kind, int64_t time, uint32_t source, zone_index zone, zone_index other_zone) {
  struct finding one = finding(kind, time, source, zone, other_zone);
  aggregate_add(aggregate, &one);
}

/* Of the last record of each alert. */
static uint64_t counted(enum finding_kind kind) {
  uint64_t count = 0;
  for (size_t i = 0; i < line_count; i++)
    if (!lines[i].still_going && lines[i].finding.kind == kind)
      count += lines[i].finding.count;
  return count;
}

START_TEST(one_cause_is_told_at_once_then_counted_then_closed) {
  for (int n = 0; n < 50; n++) {
    int64_t now = n * SECOND / 10;
    add(FINDING_CROSSING, now, 7, 1, 2);
    aggregate_advance(aggregate, now);
    ck_assert_uint_ge(line_count, 1);
  }
  ck_assert_uint_eq(lines[0].finding.count, 1);
  ck_assert(lines[0].still_going);
  aggregate_advance(aggregate, 60 * SECOND);
  ck_assert_uint_eq(line_count, 3); /* first, after a second, the end */
  ck_assert(!lines[2].still_going);
  ck_assert_uint_eq(lines[2].finding.count, 50);
  ck_assert_uint_eq(lines[2].finding.bytes, 5000);
  ck_assert_str_eq(lines[0].id, lines[2].id);
  ck_assert_uint_eq(aggregate_open(aggregate, EVENT_CRITICAL), 0);
}
END_TEST

START_TEST(what_goes_on_is_told_again_each_minute) {
  for (int64_t now = 0; now < 600 * SECOND; now += SECOND) {
    add(FINDING_CROSSING, now, 7, 1, 2);
    aggregate_advance(aggregate, now);
  }
  ck_assert_uint_ge(line_count, 11);
  ck_assert_uint_le(line_count, 14);
}
END_TEST

START_TEST(a_storm_is_bounded_in_lines_and_counted_exactly) {
  for (uint32_t n = 0; n < 320000; n++) {
    int64_t now = (int64_t)n * 10000; /* 3.2 seconds */
    add(FINDING_SPOOFED, now, n % 12000, (zone_index)(n % 3), 3);
    if (n % 1000 == 0)
      aggregate_advance(aggregate, now);
  }
  aggregate_close(aggregate, 10 * SECOND);
  ck_assert_uint_le(line_count, MOST_LINES_OF_A_STORM);
  ck_assert_uint_eq(counted(FINDING_SPOOFED), 320000);
}
END_TEST

START_TEST(a_storm_does_not_hide_or_delay_another_kind) {
  for (uint32_t n = 0; n < 100000; n++)
    add(FINDING_SPOOFED, (int64_t)n * 1000, n, (zone_index)(n % 7), (zone_index)(n % 5));
  size_t before = line_count;
  add(FINDING_CROSSING, 100000000, 9, 1, 2);
  ck_assert_uint_eq(line_count, before + 1);
  ck_assert_int_eq(lines[before].finding.kind, FINDING_CROSSING);
  ck_assert_int_eq(lines[before].scope, ALERT_CAUSE);
}
END_TEST

enum { FLOOD = 1000000, FLOOD_RATE = 100000, FLOOD_TICK = FLOOD_RATE / 20 };

/* Every one of them another cause; what is told of the one crossing among them, and when. */
START_TEST(one_crossing_in_a_flood_of_a_million_distinct_attempts_is_told_at_once_and_all_are_counted) {
  int64_t between = SECOND / FLOOD_RATE, now = 0;
  for (uint32_t n = 0; n < FLOOD; n++, now += between) {
    add(FINDING_ATTEMPT, now, 0x0a010000 + n, (zone_index)(n % 5), (zone_index)(5 + n % 7));
    if (n == FLOOD / 2) {
      size_t before = line_count;
      add(FINDING_CROSSING, now, 7, 1, 2);
      ck_assert_uint_eq(line_count, before + 1);
      ck_assert_int_eq(lines[before].finding.kind, FINDING_CROSSING);
      ck_assert_int_eq(lines[before].scope, ALERT_CAUSE);
      ck_assert_int_eq(lines[before].finding.source.bytes[3], 7);
    }
    if (n % FLOOD_TICK == 0)
      aggregate_advance(aggregate, now);
  }
  aggregate_advance(aggregate, now + 60 * SECOND);
  ck_assert_uint_eq(counted(FINDING_ATTEMPT), FLOOD);
  ck_assert_uint_eq(counted(FINDING_CROSSING), 1);
  ck_assert_uint_le(line_count, MOST_LINES_OF_A_STORM);
  ck_assert_uint_eq(aggregate_open(aggregate, EVENT_NOTICE) + aggregate_open(aggregate, EVENT_CRITICAL), 0);
}
END_TEST

/* A flood takes at most half of what all kinds have in common. */
START_TEST(several_crossings_in_a_flood_are_told_each_with_its_addresses) {
  for (uint32_t n = 0; n < 100000; n++)
    add(FINDING_ATTEMPT, SECOND + (int64_t)n * 1000, 0x0a010000 + n, (zone_index)(n % 5), (zone_index)(5 + n % 7));
  size_t before = line_count;
  for (uint32_t n = 0; n < 10; n++)
    add(FINDING_CROSSING, 2 * SECOND, 100 + n, 1, 2);
  ck_assert_uint_eq(line_count, before + 10);
  for (uint32_t n = 0; n < 10; n++) {
    ck_assert_int_eq(lines[before + n].scope, ALERT_CAUSE);
    ck_assert_int_eq(lines[before + n].finding.source.bytes[3], (int)(100 + n));
  }
}
END_TEST

START_TEST(a_storm_between_two_zones_does_not_hide_another_pair) {
  for (uint32_t n = 0; n < 100000; n++)
    add(FINDING_CROSSING, (int64_t)n * 1000, n, 1, 2);
  size_t before = line_count;
  add(FINDING_CROSSING, 100000000, 9, 3, 4);
  ck_assert_uint_eq(line_count, before + 1);
  ck_assert_int_eq(lines[before].finding.zone, 3);
}
END_TEST

START_TEST(any_number_of_pairs_and_kinds_fits_the_table) {
  uint64_t added = 0;
  for (uint32_t n = 0; n < 300000; n++, added++)
    add((enum finding_kind)(n % FINDING_KIND_COUNT_), n, (uint32_t)rand(), (zone_index)(rand() % 100),
        (zone_index)(rand() % 100));
  aggregate_close(aggregate, SECOND);
  uint64_t sum = 0;
  for (unsigned kind = 0; kind < FINDING_KIND_COUNT_; kind++)
    sum += counted(kind);
  ck_assert_uint_eq(sum, added);
  ck_assert_uint_le(line_count, LINES_OF_ANY_KIND * FINDING_KIND_COUNT_);
}
END_TEST

START_TEST(a_lasting_condition_stays_open_until_it_ends) {
  struct finding blind = finding(FINDING_BLIND, 0, 0, 1, ZONE_NONE);
  for (int64_t now = 0; now < 100 * SECOND; now += SECOND) {
    blind.time = now;
    aggregate_hold(aggregate, &blind);
    aggregate_advance(aggregate, now);
  }
  ck_assert(lines[line_count - 1].still_going);
  ck_assert_uint_eq(lines[line_count - 1].finding.count, 1);
  aggregate_end(aggregate, &blind);
  ck_assert(!lines[line_count - 1].still_going);
  ck_assert_uint_eq(aggregate_open(aggregate, EVENT_CRITICAL), 0);
}
END_TEST

static struct finding blindness_of(int wire, int64_t time) {
  struct finding blind = finding(FINDING_BLIND, time, 0, 1, ZONE_NONE);
  blind.wire = wire;
  return blind;
}

/* A gateway of 256 wires on which all is wrong that can be, and then everything else. */
START_TEST(more_lasting_conditions_than_there_is_room_for_hide_nothing) {
  int64_t now = SECOND;
  for (int round = 0; round < 3; round++, now += SECOND) {
    for (int wire = 0; wire < 3000; wire++) {
      struct finding blind = blindness_of(wire, now);
      aggregate_hold(aggregate, &blind);
    }
    aggregate_advance(aggregate, now);
  }
  size_t open = aggregate_open(aggregate, EVENT_CRITICAL), before = line_count;
  ck_assert_uint_ge(open, 256);
  add(FINDING_CROSSING, now, 7, 1, 2);
  ck_assert_uint_eq(line_count, before + 1);
  ck_assert_int_eq(lines[before].scope, ALERT_CAUSE);
  for (unsigned i = 0; i < 10000; i++)
    add((enum finding_kind)(i % FINDING_KIND_COUNT_), now, i, (zone_index)(i % 97), (zone_index)(i % 89));
  struct finding last = blindness_of(2999, now); /* one that has no alert of its own keeps that of its kind open */
  for (int i = 0; i < 20; i++, now += SECOND) {
    last.time = now;
    aggregate_hold(aggregate, &last);
    aggregate_advance(aggregate, now);
  }
  ck_assert(aggregate_open(aggregate, EVENT_CRITICAL) > 256);
  for (int wire = 0; wire < 3000; wire++) {
    struct finding blind = blindness_of(wire, now);
    aggregate_end(aggregate, &blind);
  }
  aggregate_advance(aggregate, now + 700 * SECOND);
  ck_assert_uint_eq(aggregate_open(aggregate, EVENT_CRITICAL), 0);
}
END_TEST

static void come_back(enum finding_kind kind, int64_t *now, int times, int64_t seconds) {
  for (int i = 0; i < times; i++) {
    *now += seconds * SECOND;
    aggregate_advance(aggregate, *now);
    add(kind, *now, 7, 1, 2);
  }
}

START_TEST(what_comes_back_each_minute_all_day_is_a_handful_of_alerts) {
  int64_t now = SECOND;
  come_back(FINDING_ATTEMPT, &now, 24 * 60, 60);
  ck_assert_uint_le(alert_count, 3);
  aggregate_advance(aggregate, now += 601 * SECOND);
  ck_assert_uint_eq(aggregate_open(aggregate, EVENT_NOTICE), 0);
  ck_assert_uint_eq(counted(FINDING_ATTEMPT), 24 * 60);
}
END_TEST

START_TEST(what_stayed_away_is_new_and_blindness_is_told_by_its_intervals) {
  int64_t now = SECOND;
  come_back(FINDING_ATTEMPT, &now, 5, 7200);
  ck_assert_uint_eq(alert_count, 5);
  aggregate_advance(aggregate, now += 10 * SECOND);
  ck_assert_uint_eq(aggregate_open(aggregate, EVENT_NOTICE), 0);
  come_back(FINDING_BLIND, &now, 5, 60);
  ck_assert_uint_eq(alert_count, 10);
}
END_TEST

START_TEST(a_joint_of_two_zones_is_one_cause_in_either_direction_whoever_shows_it) {
  for (uint32_t i = 0; i < 4; i++) {
    struct finding one = finding(FINDING_BRIDGED, SECOND, i, i % 2 ? 1 : 2, i % 2 ? 2 : 1);
    one.subject = SUBJECT_JOINT;
    aggregate_add(aggregate, &one);
  }
  ck_assert_uint_eq(alert_count, 1);
  struct finding other = finding(FINDING_BRIDGED, SECOND, 1, 1, 3);
  other.subject = SUBJECT_JOINT;
  aggregate_add(aggregate, &other);
  ck_assert_uint_eq(alert_count, 2);
}
END_TEST

START_TEST(a_machine_is_one_cause_whatever_its_frames_say_but_each_of_its_acts_is_told) {
  static const char *const reasons[] = {"vrrp", "dhcp"};
  for (uint32_t i = 0; i < 6; i++) {
    struct finding one = finding(FINDING_ROGUE_ROUTER, SECOND, i, 1, ZONE_NONE);
    one.reason = reasons[i % 2];
    one.subject = 77;
    aggregate_add(aggregate, &one);
  }
  ck_assert_uint_eq(alert_count, 2);
}
END_TEST

START_TEST(closed_causes_open_again_with_an_id_of_their_own) {
  add(FINDING_ATTEMPT, 0, 7, 1, 2);
  aggregate_advance(aggregate, 20 * SECOND);
  add(FINDING_ATTEMPT, 30 * SECOND, 7, 1, 2);
  ck_assert_uint_eq(line_count, 3);
  ck_assert_str_ne(lines[0].id, lines[2].id);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("aggregate");
  TCase *all = tcase_create("all");
  tcase_set_timeout(all, 60);
  tcase_add_checked_fixture(all, set_up, tear_down);
  tcase_add_test(all, one_cause_is_told_at_once_then_counted_then_closed);
  tcase_add_test(all, what_goes_on_is_told_again_each_minute);
  tcase_add_test(all, a_storm_is_bounded_in_lines_and_counted_exactly);
  tcase_add_test(all, a_storm_does_not_hide_or_delay_another_kind);
  tcase_add_test(all, one_crossing_in_a_flood_of_a_million_distinct_attempts_is_told_at_once_and_all_are_counted);
  tcase_add_test(all, several_crossings_in_a_flood_are_told_each_with_its_addresses);
  tcase_add_test(all, a_storm_between_two_zones_does_not_hide_another_pair);
  tcase_add_test(all, any_number_of_pairs_and_kinds_fits_the_table);
  tcase_add_test(all, a_lasting_condition_stays_open_until_it_ends);
  tcase_add_test(all, more_lasting_conditions_than_there_is_room_for_hide_nothing);
  tcase_add_test(all, what_comes_back_each_minute_all_day_is_a_handful_of_alerts);
  tcase_add_test(all, what_stayed_away_is_new_and_blindness_is_told_by_its_intervals);
  tcase_add_test(all, a_joint_of_two_zones_is_one_cause_in_either_direction_whoever_shows_it);
  tcase_add_test(all, a_machine_is_one_cause_whatever_its_frames_say_but_each_of_its_acts_is_told);
  tcase_add_test(all, closed_causes_open_again_with_an_id_of_their_own);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
