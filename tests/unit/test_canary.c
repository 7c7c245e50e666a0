/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <string.h>

#include <pcap/dlt.h>

#include "watch/canary.h"

static const struct mac sender = {{0x02, 0, 0, 0, 0, 7}};
static struct canary_key key;
static uint8_t frame[CANARY_SIZE + 8];

static void set_up(void) {
  memset(&key, 0x5a, sizeof key);
  canary_write(&key, &(struct canary){.wire = 3, .number = 0x1122334455667788}, &sender, frame);
}

static enum canary_sight look(size_t size, struct canary *canary) {
  struct captured_frame captured = {
      .data = frame, .captured = (uint32_t)size, .length = (uint32_t)size, .link_type = DLT_EN10MB};
  return canary_read(&key, &captured, canary);
}

START_TEST(a_canary_says_where_it_was_sent_and_which_it_is) {
  struct canary canary;
  ck_assert_int_eq(look(CANARY_SIZE, &canary), CANARY_OWN);
  ck_assert_uint_eq(canary.wire, 3);
  ck_assert_uint_eq(canary.number, 0x1122334455667788);
  ck_assert(!canary.tagged);
}
END_TEST

START_TEST(a_tag_on_the_way_does_not_break_the_seal) {
  struct canary canary;
  static const uint8_t tag[4] = {0x81, 0x00, 0x00, 0x64};
  memmove(frame + 16, frame + 12, CANARY_SIZE - 12);
  memcpy(frame + 12, tag, sizeof tag);
  ck_assert_int_eq(look(CANARY_SIZE + 4, &canary), CANARY_OWN);
  ck_assert(canary.tagged);
}
END_TEST

/* Sender, wire, number and seal: nothing of it can be changed. */
START_TEST(any_changed_bit_makes_it_a_forgery) {
  static const size_t first_of_sender = 6, end_of_sender = 12, first_of_body = 18, end_of_seal = 46;
  struct canary canary;
  for (size_t at = first_of_sender; at < end_of_seal; at++) {
    if (at >= end_of_sender && at < first_of_body)
      continue;
    frame[at] ^= 0x10;
    ck_assert_msg(look(CANARY_SIZE, &canary) == CANARY_FORGED, "byte %zu", at);
    frame[at] ^= 0x10;
  }
  ck_assert_int_eq(look(CANARY_SIZE, &canary), CANARY_OWN);
}
END_TEST

START_TEST(another_process_cannot_sign_for_us) {
  struct canary canary;
  key.bytes[0] ^= 1;
  ck_assert_int_eq(look(CANARY_SIZE, &canary), CANARY_FORGED);
}
END_TEST

START_TEST(one_that_is_cut_short_is_no_canary_of_ours) {
  struct canary canary;
  for (size_t size = 0; size < 46; size++)
    ck_assert_int_ne(look(size, &canary), CANARY_OWN);
}
END_TEST

START_TEST(other_frames_are_left_alone) {
  struct canary canary;
  frame[12] = 0x08, frame[13] = 0x00;
  ck_assert_int_eq(look(CANARY_SIZE, &canary), CANARY_NONE);
  frame[12] = 0x88, frame[13] = 0xb5, frame[14] = 'X'; /* an experiment of somebody else */
  ck_assert_int_eq(look(CANARY_SIZE, &canary), CANARY_NONE);
}
END_TEST

START_TEST(keys_differ_from_start_to_start) {
  struct canary_key one, other;
  ck_assert_int_eq(canary_make_key(&one, NULL), 0);
  ck_assert_int_eq(canary_make_key(&other, NULL), 0);
  ck_assert_int_ne(memcmp(&one, &other, sizeof one), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("canary");
  TCase *all = tcase_create("all");
  tcase_add_checked_fixture(all, set_up, NULL);
  tcase_add_test(all, a_canary_says_where_it_was_sent_and_which_it_is);
  tcase_add_test(all, a_tag_on_the_way_does_not_break_the_seal);
  tcase_add_test(all, any_changed_bit_makes_it_a_forgery);
  tcase_add_test(all, another_process_cannot_sign_for_us);
  tcase_add_test(all, one_that_is_cut_short_is_no_canary_of_ours);
  tcase_add_test(all, other_frames_are_left_alone);
  tcase_add_test(all, keys_differ_from_start_to_start);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
