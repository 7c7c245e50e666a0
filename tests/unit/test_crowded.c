/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tables that are full: each says so, and none when it is not. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "two_wires.h"
#include "watch/fragments.h"

static const char FLOWS[] =
    " F-1 = { from = \"a6\"; to = \"b6\"; services = [ \"tcp/443\" ]; method = \"screen\"; };\n"
    " F-2 = { from = \"a\"; to = \"b\"; services = [ \"udp/53\" ]; method = \"exception\"; };\n";

static struct two_wires wires;

static void set_up(void) {
  two_wires_open(&wires, FLOWS);
  wires.step = 1000;
}

static void tear_down(void) {
  two_wires_close(&wires);
}

static void send_piece(unsigned number) {
  static const char PAYLOAD[24];
  char source[32];
  snprintf(source, sizeof source, "10.1.0.%u", 2 + number % 100);
  two_wires_send(&wires, &(struct test_packet){.wire = INSIDE,
                                               .source = source,
                                               .destination = "10.2.0.5",
                                               .protocol = 17,
                                               .source_port = 50000,
                                               .destination_port = 53,
                                               .identification = (uint16_t)number,
                                               .fragment = 0x2000,
                                               .payload = PAYLOAD,
                                               .size = sizeof PAYLOAD});
}

static void send_denied(unsigned number) {
  two_wires_send(&wires, &(struct test_packet){.wire = INSIDE,
                                               .source = "10.1.0.9",
                                               .destination = "10.2.0.200",
                                               .protocol = 6,
                                               .source_port = (uint16_t)(1024 + number),
                                               .destination_port = 80,
                                               .flags = TCP_SYN,
                                               .sequence = 77 + number});
}

static void forward_upload(unsigned number) {
  char source[64];
  snprintf(source, sizeof source, "2409:1::%x", 16 + number);
  struct test_packet packet = {.wire = INSIDE,
                               .source = source,
                               .destination = "2409:2::5",
                               .protocol = 6,
                               .source_port = 50000,
                               .destination_port = 443,
                               .flags = TCP_SYN};
  two_wires_forward(&wires, &packet);
  packet.flags = TCP_ACK;
  packet.unseen = 40000;
  two_wires_forward(&wires, &packet);
}

static void forward_question(unsigned number) {
  char source[32];
  snprintf(source, sizeof source, "10.1.0.%u", 2 + number % 100);
  two_wires_forward(&wires, &(struct test_packet){.wire = INSIDE,
                                                  .source = source,
                                                  .destination = "10.2.0.5",
                                                  .protocol = 17,
                                                  .source_port = (uint16_t)(1024 + number / 100),
                                                  .destination_port = 53});
}

static const struct {
  void (*send)(unsigned number);
  unsigned full, room;
  const char *reason;
} TABLES[] = {
    {send_piece, 3000, 200, "blind ->- fragments-full;"},
    {send_denied, 20000, 4000, "blind ->- sightings-full;"},
    {forward_upload, 8000, 800, "blind ->- talkers-full;"},
    {forward_question, 30000, 400, "blind ->- table-full;"},
};

START_TEST(a_table_that_is_full_says_so) {
  for (unsigned i = 0; i < TABLES[_i].full; i++)
    TABLES[_i].send(i);
  two_wires_pass(&wires, 60);
  ck_assert_msg(strstr(wires.told, TABLES[_i].reason) != NULL, "%s", wires.told);
}
END_TEST

START_TEST(a_table_with_room_says_nothing) {
  for (unsigned i = 0; i < TABLES[_i].room; i++)
    TABLES[_i].send(i);
  two_wires_pass(&wires, 60);
  ck_assert_msg(strstr(wires.told, "blind") == NULL, "%s", wires.told);
}
END_TEST

/* Few at a time, so that no moment shows many. */
START_TEST(a_table_that_is_filled_slowly_says_so_within_the_hour) {
  wires.step = 80000000;
  for (unsigned i = 0; i < 3600 * 12 && strstr(wires.told, "fragments-full") == NULL; i++) {
    wires.told[0] = '\0';
    send_piece(i);
  }
  ck_assert_msg(strstr(wires.told, "blind ->- fragments-full;") != NULL, "%s", wires.told);
}
END_TEST

/* The same packets, in tables of their own. */
START_TEST(nobody_can_know_which_packets_take_the_place_of_each_other) {
  uint64_t lost[8];
  unsigned alike = 0;
  for (unsigned table = 0; table < 8; table++) {
    struct fragments *fragments = fragments_new(256);
    ck_assert_ptr_nonnull(fragments);
    for (unsigned i = 0; i < 256; i++) {
      struct frame frame = {.fragment = true, .first_fragment = true, .identification = i, .fragment_length = 24};
      struct packet packet = {.protocol = 17};
      fragments_see(fragments, &frame, true, &packet);
    }
    lost[table] = fragments_lost(fragments);
    alike += lost[table] == lost[0] ? 1 : 0;
    fragments_free(fragments);
  }
  ck_assert_uint_lt(alike, 8);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("crowded");
  TCase *all = tcase_create("all");
  int tables = (int)(sizeof TABLES / sizeof TABLES[0]);
  tcase_add_checked_fixture(all, set_up, tear_down);
  tcase_set_timeout(all, 60);
  tcase_add_loop_test(all, a_table_that_is_full_says_so, 0, tables);
  tcase_add_loop_test(all, a_table_with_room_says_nothing, 0, tables);
  tcase_add_test(all, a_table_that_is_filled_slowly_says_so_within_the_hour);
  tcase_add_test(all, nobody_can_know_which_packets_take_the_place_of_each_other);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
