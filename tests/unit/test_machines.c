/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables of machines, addresses and frames. */
#include <check.h>
#include <string.h>

#include "watch/finding.h"
#include "watch/machines.h"

static const int64_t SECOND = 1000000000;
static const zone_index ZONES[] = {0, 0, 1, 2}; /* of wires: the first two are of one zone */

static struct machines *machines;

static void set_up(void) {
  machines = machines_new(64, 64, 64);
  ck_assert_ptr_nonnull(machines);
}

static void tear_down(void) {
  machines = machines_free(machines);
}

static struct machine_sight hear(enum machine_name kind, const char *name, int wire, int64_t seconds) {
  struct machine_sight sight;
  machines_hear(machines, kind, name, strlen(name), wire, ZONES, seconds * SECOND, &sight);
  return sight;
}

START_TEST(a_machine_is_at_home_in_one_zone_until_it_is_heard_in_another) {
  struct machine_sight sight = hear(MACHINE_BY_MAC, "abcdef", 0, 1);
  ck_assert(sight.first && !sight.moved && sight.other_wire == WIRE_NONE);
  sight = hear(MACHINE_BY_MAC, "abcdef", 1, 2); /* another wire of its zone */
  ck_assert(!sight.first && !sight.moved && sight.other_wire == WIRE_NONE);
  sight = hear(MACHINE_BY_MAC, "abcdef", 2, 3);
  ck_assert(sight.moved && sight.other_wire == 1);
  ck_assert_int_eq(sight.other_last, 2 * SECOND);
  sight = hear(MACHINE_BY_MAC, "abcdef", 2, 4); /* it stays, and is remembered elsewhere */
  ck_assert(!sight.moved && sight.other_wire == 1);
  sight = hear(MACHINE_BY_MAC, "abcdef", 0, 5);
  ck_assert(sight.moved && sight.other_wire == 2);
}
END_TEST

START_TEST(names_of_different_kinds_are_different_machines) {
  uint64_t key = hear(MACHINE_BY_MAC, "abcdef", 0, 1).key;
  struct machine_sight sight = hear(MACHINE_BY_HOST_NAME, "abcdef", 2, 2);
  ck_assert(sight.first && sight.key != key);
  ck_assert(hear(MACHINE_BY_HOST_NAME, "abcde", 2, 2).first);
  ck_assert_uint_eq(hear(MACHINE_BY_MAC, "abcdef", 0, 3).key, key);
}
END_TEST

START_TEST(who_is_heard_often_outlives_a_flood_that_fills_the_table_slowly) {
  char name[] = "m00000";
  for (int i = 0; i < 2000; i++) {
    memcpy(name + 1, &i, sizeof i);
    struct machine_sight sight;
    machines_hear(machines, MACHINE_BY_MAC, name, 6, 0, ZONES, (100 + i) * SECOND, &sight);
    ck_assert(hear(MACHINE_BY_MAC, "often!", 3, 100 + i).first == (i == 0));
  }
  ck_assert_uint_gt(machines_evicted(machines), 1800);
}
END_TEST

START_TEST(what_was_forgotten_for_its_age_is_no_loss) {
  char name[] = "m00000";
  for (int i = 0; i < 2000; i++) {
    memcpy(name + 1, &i, sizeof i);
    struct machine_sight sight;
    machines_hear(machines, MACHINE_BY_MAC, name, 6, 0, ZONES, (1 + i) * 25LL * 3600 * SECOND, &sight);
  }
  ck_assert_uint_eq(machines_evicted(machines), 0);
}
END_TEST

START_TEST(an_address_has_the_MAC_that_used_it_last) {
  struct address address = address_from_ipv4(0x0a010005), other = address_from_ipv4(0x0a010006);
  struct mac first = {{2, 0, 0, 0, 0, 1}}, second = {{2, 0, 0, 0, 0, 2}}, found;
  ck_assert(!machines_find_address(machines, &address, &found));
  machines_note_address(machines, &address, &first, SECOND);
  ck_assert(machines_find_address(machines, &address, &found) && mac_equal(&found, &first));
  machines_note_address(machines, &address, &second, 2 * SECOND);
  ck_assert(machines_find_address(machines, &address, &found) && mac_equal(&found, &second));
  ck_assert(!machines_find_address(machines, &other, &found));
  for (uint32_t i = 0; i < 2000; i++) {
    struct address flood = address_from_ipv4(0x0a020000 + i);
    machines_note_address(machines, &flood, &first, (3 + i) * SECOND);
    ck_assert(machines_find_address(machines, &flood, &found));
  }
}
END_TEST

START_TEST(a_frame_is_an_echo_on_the_wire_of_another_zone_for_a_while) {
  ck_assert_int_eq(machines_echo(machines, 77, 0, ZONES, SECOND, SECOND), WIRE_NONE);
  ck_assert_int_eq(machines_echo(machines, 77, 1, ZONES, SECOND, SECOND), WIRE_NONE); /* of the same zone */
  ck_assert_int_eq(machines_echo(machines, 77, 2, ZONES, SECOND, SECOND), 1);
  ck_assert_int_eq(machines_echo(machines, 78, 3, ZONES, SECOND, SECOND), WIRE_NONE);
  ck_assert_int_eq(machines_echo(machines, 77, 3, ZONES, 3 * SECOND, SECOND), WIRE_NONE); /* too late */
}
END_TEST

START_TEST(the_identity_of_a_frame_is_its_bytes_without_padding) {
  static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0};
  uint64_t digest = machines_digest(machines, bytes, 4, bytes + 4, 5);
  ck_assert_uint_eq(machines_digest(machines, bytes, 4, bytes + 4, 8), digest);
  ck_assert_uint_ne(machines_digest(machines, bytes, 4, bytes + 4, 4), digest);
  ck_assert_uint_ne(machines_digest(machines, bytes, 3, bytes + 3, 6), digest);
  ck_assert_uint_ne(digest, 0);
  struct machines *others = machines_new(64, 64, 64);
  ck_assert_uint_ne(machines_digest(others, bytes, 4, bytes + 4, 5), digest); /* nobody outside can foresee it */
  machines_free(others);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("machines");
  TCase *all = tcase_create("all");
  tcase_add_checked_fixture(all, set_up, tear_down);
  tcase_add_test(all, a_machine_is_at_home_in_one_zone_until_it_is_heard_in_another);
  tcase_add_test(all, names_of_different_kinds_are_different_machines);
  tcase_add_test(all, who_is_heard_often_outlives_a_flood_that_fills_the_table_slowly);
  tcase_add_test(all, what_was_forgotten_for_its_age_is_no_loss);
  tcase_add_test(all, an_address_has_the_MAC_that_used_it_last);
  tcase_add_test(all, a_frame_is_an_echo_on_the_wire_of_another_zone_for_a_while);
  tcase_add_test(all, the_identity_of_a_frame_is_its_bytes_without_padding);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
