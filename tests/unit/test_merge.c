/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rounds of reading several captures in the order of time. */
#include <check.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "watch/merge.h"

static const int64_t FUTURE = INT64_MAX / 2;

static struct merge_source sources[2];
static struct merge merge;
static char path[] = "/tmp/kido-test-merge-XXXXXX";

/* Captures that end at once; what they gave is put in by hand. */
static void set_up(void) {
  strcpy(path, "/tmp/kido-test-merge-XXXXXX");
  int descriptor = mkstemp(path);
  ck_assert_int_ge(descriptor, 0);
  close(descriptor);
  pcap_t *dead = pcap_open_dead(DLT_EN10MB, 65535);
  pcap_dump_close(pcap_dump_open(dead, path));
  pcap_close(dead);
  struct error error = {0};
  memset(sources, 0, sizeof sources);
  for (size_t i = 0; i < 2; i++)
    ck_assert_msg(capture_open_file(path, &sources[i].capture, &error) == 0, "%s", error.message);
  merge = (struct merge){.sources = sources, .count = 2};
}

static void tear_down(void) {
  capture_close(sources[0].capture);
  capture_close(sources[1].capture);
  unlink(path);
}

static void put(size_t source, int64_t time) {
  sources[source].has_frame = true;
  sources[source].frame.time = time;
}

static enum capture_step next(size_t *ret_source) {
  struct captured_frame frame;
  struct error error = {0};
  return merge_next(&merge, ret_source, &frame, &error);
}

START_TEST(the_oldest_comes_first) {
  size_t source;
  put(0, 2);
  put(1, 1);
  ck_assert_int_eq(next(&source), CAPTURE_FRAME);
  ck_assert_uint_eq(source, 1);
  ck_assert_int_eq(next(&source), CAPTURE_FRAME);
  ck_assert_uint_eq(source, 0);
  ck_assert_int_eq(next(&source), CAPTURE_END);
}
END_TEST

START_TEST(what_came_after_the_round_began_waits_for_the_next_and_no_longer) {
  size_t source;
  merge_begin(&merge);
  put(0, FUTURE); /* also a clock that was set back makes such a frame */
  put(1, 1);
  ck_assert_int_eq(next(&source), CAPTURE_FRAME);
  ck_assert_uint_eq(source, 1);
  ck_assert_int_eq(next(&source), CAPTURE_NOTHING);
  ck_assert(merge_holds(&merge));
  merge_begin(&merge);
  ck_assert_int_eq(next(&source), CAPTURE_FRAME);
  ck_assert_uint_eq(source, 0);
  ck_assert(!merge_holds(&merge));
}
END_TEST

START_TEST(who_had_nothing_is_not_asked_again_in_this_round) {
  size_t source;
  merge_begin(&merge);
  sources[0].empty = sources[1].empty = true;
  ck_assert_int_eq(next(&source), CAPTURE_NOTHING); /* asked, they would have ended */
  merge_begin(&merge);
  ck_assert_int_eq(next(&source), CAPTURE_END);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("merge");
  TCase *all = tcase_create("all");
  tcase_add_checked_fixture(all, set_up, tear_down);
  tcase_add_test(all, the_oldest_comes_first);
  tcase_add_test(all, what_came_after_the_round_began_waits_for_the_next_and_no_longer);
  tcase_add_test(all, who_had_nothing_is_not_asked_again_in_this_round);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
