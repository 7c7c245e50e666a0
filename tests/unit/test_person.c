/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/person.h"

START_TEST(who_logged_in_counts_before_the_user_he_became) {
  struct person taro = {.uid = 0, .login_uid = 1000}, taro_himself = {.uid = 1000, .login_uid = 1000};
  struct person hanako = {.uid = 0, .login_uid = 1001}, service = {.uid = 0, .login_uid = PERSON_NOBODY};
  ck_assert(person_same(&taro, &taro_himself));
  ck_assert_msg(!person_same(&taro, &hanako), "both are root now");
  ck_assert_msg(!person_same(&taro, &service), "root of whom nothing is known is not taro");
  ck_assert(person_same(&service, &service));
}
END_TEST

START_TEST(without_a_login_the_user_counts) {
  struct person root = {.uid = 0, .login_uid = PERSON_NOBODY}, other = {.uid = 12345, .login_uid = PERSON_NOBODY};
  ck_assert(person_same(&root, &root));
  ck_assert(!person_same(&root, &other));
}
END_TEST

START_TEST(a_person_has_a_name) {
  char text[PERSON_TEXT_SIZE];
  struct person kidod = person_none(), root = {.uid = 0, .login_uid = PERSON_NOBODY};
  struct person stranger = {.uid = 0, .login_uid = 3999999999U};
  ck_assert_str_eq(person_text(&kidod, text), "kidod");
  ck_assert_str_eq(person_text(&root, text), "root");
  ck_assert_str_eq(person_text(&stranger, text), "uid 3999999999 (root)");
}
END_TEST

START_TEST(the_other_side_of_a_socket_is_known) {
  int pair[2];
  ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
  struct person person = person_of_peer(pair[0]);
  ck_assert_uint_eq(person.uid, getuid());
  close(pair[0]);
  close(pair[1]);
  person = person_of_peer(-1);
  ck_assert_uint_eq(person.uid, PERSON_NOBODY);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("person");
  TCase *cases = tcase_create("person");
  tcase_add_test(cases, who_logged_in_counts_before_the_user_he_became);
  tcase_add_test(cases, without_a_login_the_user_counts);
  tcase_add_test(cases, a_person_has_a_name);
  tcase_add_test(cases, the_other_side_of_a_socket_is_known);
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
