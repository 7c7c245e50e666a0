/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/message.h"
#include "control/publication.h"

static int ends[2];

static void set_up(void) {
  ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
}

static void tear_down(void) {
  close(ends[0]);
  close(ends[1]);
}

static struct publication sample(uint32_t phase, uint64_t size) {
  struct publication publication = {
      .magic = PUBLICATION_MAGIC, .phase = phase, .generation = 3, .policy_size = size, .policy_number = "2026-03"};
  memset(publication.policy_sha256, 'a', 64);
  return publication;
}

static int receive(struct publication *ret_publication) {
  int fd = -1;
  struct error error = {0};
  int result = publication_receive(ends[1], ret_publication, &fd, &error);
  if (result == 0 && fd >= 0) {
    close(fd);
  }
  ck_assert(result != -EPROTO || error.message[0] != '\0');
  return result;
}

START_TEST(what_is_sent_arrives_with_its_policy) {
  static const char text[] = "policy = {};\n";
  struct publication publication = sample(PUBLICATION_IN_FORCE, sizeof text - 1), received;
  int fd = sealed_memfd("policy", text, sizeof text - 1);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(publication_send(ends[0], &publication, fd), 0);
  close(fd);
  int policy_fd = -1;
  ck_assert_int_eq(publication_receive(ends[1], &received, &policy_fd, NULL), 0);
  ck_assert_mem_eq(&received, &publication, sizeof received);
  struct arena *arena = arena_new(0);
  char *copy;
  size_t size;
  ck_assert_int_eq(sealed_read(policy_fd, PUBLICATION_POLICY_LIMIT, arena, &copy, &size, NULL), 0);
  ck_assert_str_eq(copy, text);
  arena_free(arena);
  close(policy_fd);
}
END_TEST

START_TEST(restrictions_stand_behind_the_policy) {
  struct publication publication = sample(PUBLICATION_IN_FORCE, 3), received;
  publication.restrictions_size = 2;
  int fd = sealed_memfd("policy", "abc{}", 5);
  ck_assert_int_eq(publication_send(ends[0], &publication, fd), 0);
  ck_assert_int_eq(receive(&received), 0);
  ck_assert_uint_eq(received.restrictions_size, 2);
  static const uint64_t wrong[][2] = {{5, 2}, {3, 1}, {4, 2}, {UINT64_MAX, 6}, {6, UINT64_MAX}, {0, UINT64_C(1) << 40}};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    publication.policy_size = wrong[i][0];
    publication.restrictions_size = wrong[i][1];
    ck_assert_int_eq(publication_send(ends[0], &publication, fd), 0);
    ck_assert_int_eq(receive(&received), -EPROTO);
  }
  close(fd);
}
END_TEST

START_TEST(a_closed_gate_comes_without_a_policy) {
  struct publication publication = sample(PUBLICATION_CLOSED, 0), received;
  ck_assert_int_eq(publication_send(ends[0], &publication, -1), 0);
  ck_assert_int_eq(receive(&received), 0);
  int fd = sealed_memfd("policy", "x", 1);
  ck_assert_int_eq(publication_send(ends[0], &publication, fd), 0);
  close(fd);
  ck_assert_int_eq(receive(&received), -EPROTO);
}
END_TEST

START_TEST(an_empty_socket_says_again_and_a_closed_one_says_so) {
  struct publication received;
  ck_assert_int_eq(receive(&received), -EAGAIN);
  close(ends[0]);
  ck_assert_int_eq(receive(&received), -ECONNRESET);
  ends[0] = dup(ends[1]);
}
END_TEST

START_TEST(a_policy_that_is_not_sealed_is_refused) {
  struct publication publication = sample(PUBLICATION_PENDING, 1), received;
  int fd = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  ck_assert_int_eq(write(fd, "x", 1), 1);
  static const int seals[] = {0, F_SEAL_WRITE, F_SEAL_WRITE | F_SEAL_GROW, F_SEAL_SHRINK};
  for (size_t i = 0; i < sizeof seals / sizeof seals[0]; i++) {
    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, i < 3 ? seals[i] : 0), 0);
    ck_assert_int_eq(publication_send(ends[0], &publication, fd), 0);
    ck_assert_int_eq(receive(&received), -EPROTO);
  }
  ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
  ck_assert_int_eq(publication_send(ends[0], &publication, fd), 0);
  ck_assert_int_eq(receive(&received), 0);
  close(fd);
}
END_TEST

START_TEST(a_plain_file_is_refused) {
  struct publication publication = sample(PUBLICATION_IN_FORCE, 0), received;
  int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  ck_assert_int_eq(publication_send(ends[0], &publication, fd), 0);
  close(fd);
  ck_assert_int_eq(receive(&received), -EPROTO);
}
END_TEST

/* Each case breaks one field of a message that was right. */
static void break_magic(struct publication *publication) {
  publication->magic++;
}
static void break_phase(struct publication *publication) {
  publication->phase = 3;
}
static void break_size(struct publication *publication) {
  publication->policy_size++;
}
static void break_digest(struct publication *publication) {
  memset(publication->policy_sha256, 'a', sizeof publication->policy_sha256);
}
static void break_number(struct publication *publication) {
  memset(publication->policy_number, '1', sizeof publication->policy_number);
}

START_TEST(a_message_with_one_wrong_field_is_refused) {
  static void (*const breakers[])(struct publication *) = {break_magic, break_phase, break_size, break_digest,
                                                           break_number};
  struct publication publication = sample(PUBLICATION_IN_FORCE, 1), received;
  int fd = sealed_memfd("policy", "x", 1);
  breakers[_i](&publication);
  ck_assert_int_eq(publication_send(ends[0], &publication, fd), 0);
  close(fd);
  ck_assert_int_eq(receive(&received), -EPROTO);
}
END_TEST

START_TEST(a_message_of_another_length_is_refused) {
  char bytes[sizeof(struct publication) + 1] = {0};
  struct publication publication = sample(PUBLICATION_CLOSED, 0), received;
  memcpy(bytes, &publication, sizeof publication);
  static const size_t sizes[] = {1, sizeof publication - 1, sizeof publication + 1};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    ck_assert_int_eq(message_send(ends[0], bytes, sizes[i], -1), 0);
    ck_assert_int_eq(receive(&received), -EPROTO);
  }
}
END_TEST

START_TEST(a_policy_in_force_without_its_bytes_is_refused) {
  struct publication publication = sample(PUBLICATION_IN_FORCE, 0), received;
  ck_assert_int_eq(publication_send(ends[0], &publication, -1), 0);
  ck_assert_int_eq(receive(&received), -EPROTO);
}
END_TEST

START_TEST(a_follower_that_does_not_read_never_blocks_the_sender) {
  struct publication publication = sample(PUBLICATION_CLOSED, 0);
  int result = 0;
  for (int i = 0; i < 100000 && result == 0; i++) {
    result = publication_send(ends[0], &publication, -1);
  }
  ck_assert_int_eq(result, -EAGAIN);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("publication");
  TCase *group = tcase_create("publication");
  tcase_add_checked_fixture(group, set_up, tear_down);
  tcase_add_test(group, what_is_sent_arrives_with_its_policy);
  tcase_add_test(group, restrictions_stand_behind_the_policy);
  tcase_add_test(group, a_closed_gate_comes_without_a_policy);
  tcase_add_test(group, an_empty_socket_says_again_and_a_closed_one_says_so);
  tcase_add_test(group, a_policy_that_is_not_sealed_is_refused);
  tcase_add_test(group, a_plain_file_is_refused);
  tcase_add_loop_test(group, a_message_with_one_wrong_field_is_refused, 0, 5);
  tcase_add_test(group, a_message_of_another_length_is_refused);
  tcase_add_test(group, a_policy_in_force_without_its_bytes_is_refused);
  tcase_add_test(group, a_follower_that_does_not_read_never_blocks_the_sender);
  suite_add_tcase(suite, group);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
