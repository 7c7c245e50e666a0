/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What allowed flows carry, against what they should look like. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "two_wires.h"

static const char FLOWS[] =
    " F-1 = { from = \"a\"; to = \"b\"; services = [ \"tcp/443\", \"udp/4172\" ]; method = \"screen\"; };\n"
    " F-2 = { from = \"a\"; to = \"b\"; services = [ \"tcp/8080\" ]; method = \"exception\";\n"
    "  shape = { up_bytes_per_minute = 1000000; down_bytes_per_minute = 2000000; }; };\n"
    " F-3 = { from = \"a\"; to = \"b\"; services = [ \"tcp/9000\" ]; method = \"exception\"; };\n";

enum { SEGMENT = 1448 };
static const int64_t SECOND = 1000000000;

static struct two_wires wires;

static void set_up(void) {
  struct watch_settings settings = {.connections = 16384}; /* room for all of them */
  two_wires_open_with(&wires, FLOWS, &settings);
}

static void tear_down(void) {
  two_wires_close(&wires);
}

/* ---- conversations ---- */

struct talk {
  const char *client, *server;
  uint8_t protocol;
  uint16_t client_port, server_port;
};

static void say(const struct talk *talk, bool up, uint8_t flags, uint32_t size) {
  struct test_packet packet = {.wire = up ? INSIDE : OUTSIDE,
                               .source = up ? talk->client : talk->server,
                               .destination = up ? talk->server : talk->client,
                               .protocol = talk->protocol,
                               .source_port = up ? talk->client_port : talk->server_port,
                               .destination_port = up ? talk->server_port : talk->client_port,
                               .flags = flags,
                               .unseen = size};
  two_wires_forward(&wires, &packet);
}

static void begin(const struct talk *talk) {
  if (talk->protocol != PROTOCOL_TCP)
    return;
  say(talk, true, TCP_SYN, 0);
  say(talk, false, TCP_SYN | TCP_ACK, 0);
  say(talk, true, TCP_ACK, 0);
}

/* So many bytes, evenly over some seconds. */
static void carry(const struct talk *talk, bool up, uint64_t bytes, int64_t nanoseconds) {
  int64_t packets = (int64_t)(bytes / SEGMENT), step = wires.step, since = wires.now;
  wires.step = 1000;
  for (int64_t i = 0; i < packets; i++) {
    wires.now = since + nanoseconds / packets * i;
    say(talk, up, TCP_ACK, SEGMENT);
    if (i % 2 == 0 && talk->protocol == PROTOCOL_TCP)
      say(talk, !up, TCP_ACK, 0);
  }
  wires.now = since + nanoseconds;
  wires.step = step;
}

static const struct talk SCREEN = {"10.1.0.5", "10.2.0.5", PROTOCOL_TCP, 50000, 443};
static const struct talk PCOIP = {"10.1.0.5", "10.2.0.5", PROTOCOL_UDP, 50000, 4172};
static const struct talk DECLARED = {"10.1.0.5", "10.2.0.5", PROTOCOL_TCP, 50000, 8080};
static const struct talk FREE = {"10.1.0.5", "10.2.0.5", PROTOCOL_TCP, 50000, 9000};
#define UPLOAD "wrong-shape lgwan>internet upload-above-shape;"

START_TEST(an_upload_of_50_megabytes_within_a_minute_through_a_screen_transfer_is_found) {
  const struct talk *talk = _i == 0 ? &SCREEN : &PCOIP;
  begin(talk);
  carry(talk, true, 50000000, 59 * SECOND);
  two_wires_expect(&wires, 1, UPLOAD);
  ck_assert_str_eq(wires.flow, "F-1");
  ck_assert_ptr_nonnull(strstr(wires.message, "F-1"));
}
END_TEST

START_TEST(an_upload_in_many_small_connections_is_found) {
  struct talk talk = SCREEN;
  for (unsigned i = 0; i < 2500; i++) {
    talk.client_port = (uint16_t)(10000 + i);
    begin(&talk);
    carry(&talk, true, 20000, 20 * SECOND / 1000);
  }
  two_wires_expect(&wires, 1, UPLOAD);
}
END_TEST

START_TEST(a_picture_that_comes_down_is_none) {
  begin(&SCREEN);
  carry(&SCREEN, false, 100000000, 59 * SECOND);
  two_wires_expect(&wires, 1000, "");
}
END_TEST

START_TEST(a_slow_upload_that_does_not_pause_is_found) {
  begin(&SCREEN);
  for (int minute = 0; minute < 14; minute++)
    carry(&SCREEN, true, 3000000, 60 * SECOND);
  two_wires_expect(&wires, 1, "");
  for (int minute = 0; minute < 4; minute++)
    carry(&SCREEN, true, 3000000, 60 * SECOND);
  two_wires_expect(&wires, 1, "wrong-shape lgwan>internet sustained-upload;");
}
END_TEST

START_TEST(what_is_declared_holds_for_the_flow_as_a_whole) {
  struct talk talk = DECLARED;
  char client[32];
  talk.client = client;
  for (int i = 0; i < 10; i++) {
    snprintf(client, sizeof client, "10.1.0.%d", 5 + i);
    begin(&talk);
    carry(&talk, true, 130000, 5 * SECOND);
  }
  two_wires_expect(&wires, 1, UPLOAD);
  ck_assert_str_eq(wires.flow, "F-2");
}
END_TEST

START_TEST(what_is_declared_holds_downwards_too) {
  begin(&DECLARED);
  carry(&DECLARED, false, 1900000, 50 * SECOND);
  two_wires_expect(&wires, 1, "");
  carry(&DECLARED, false, 1000000, 5 * SECOND);
  two_wires_expect(&wires, 1, "wrong-shape lgwan>internet download-above-shape;");
}
END_TEST

START_TEST(what_is_within_the_limit_in_every_minute_is_never_told) {
  begin(&DECLARED);
  for (int minute = 0; minute < 30; minute++)
    carry(&DECLARED, true, 960000, 60 * SECOND);
  two_wires_expect(&wires, 1000, "");
}
END_TEST

START_TEST(an_alert_goes_on_while_it_goes_on_and_ends) {
  begin(&SCREEN);
  carry(&SCREEN, true, 300000000, 300 * SECOND);
  two_wires_expect(&wires, 30000, UPLOAD);
  ck_assert_uint_gt(wires.events, 5);
  ck_assert_uint_lt(wires.events, 15);
  uint64_t events = wires.events;
  two_wires_expect(&wires, 300000, "");
  ck_assert_uint_eq(wires.events, events);
}
END_TEST

START_TEST(far_more_than_ever_before_is_found) {
  begin(&FREE);
  for (int minute = 0; minute < 90; minute++)
    carry(&FREE, minute % 2 == 0, 400000, 60 * SECOND);
  carry(&FREE, true, 45000000, 50 * SECOND);
  two_wires_expect(&wires, 60000, "");
  carry(&FREE, true, 80000000, 50 * SECOND);
  two_wires_expect(&wires, 1, "wrong-shape lgwan>internet above-history;");
}
END_TEST

START_TEST(history_outlives_a_change_of_policy) {
  begin(&FREE);
  for (int minute = 0; minute < 90; minute++)
    carry(&FREE, true, 400000, 60 * SECOND);
  two_wires_set_policy(&wires, FLOWS);
  carry(&FREE, true, 80000000, 50 * SECOND);
  two_wires_expect(&wires, 1, "wrong-shape lgwan>internet above-history;");
}
END_TEST

/* ---- a day of screen transfer ---- */

static uint64_t dice = 1;

static uint32_t roll(uint32_t limit) {
  dice = dice * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(dice >> 33) % limit;
}

/* Ten seconds at a desk: typing, moving the mouse, scrolling, a film now and then, a print job or a scan of some pages
 * in the other direction. */
static void work(const struct talk *talk) {
  uint32_t mood = roll(1000);
  uint32_t pictures = mood < 400 ? 0 : mood < 900 ? 20000 + roll(600000) : 5000000 + roll(10000000);
  uint32_t keys = mood < 300 ? 0 : 500 + roll(100000), page = mood == 999 ? 100000 + roll(900000) : 0;
  carry(talk, false, pictures + SEGMENT, 8 * SECOND);
  for (uint32_t i = 0; i < keys / 400; i++)
    say(talk, true, TCP_ACK | TCP_PSH, 60 + roll(80));
  carry(talk, true, page + SEGMENT, SECOND);
}

START_TEST(a_day_of_screen_transfer_is_never_told) {
  static const int TEN_SECONDS_OF_A_DAY = 8 * 360;
  struct talk desks[4];
  for (unsigned i = 0; i < 4; i++) {
    static const char *const clients[] = {"10.1.0.5", "10.1.0.6", "10.1.0.7", "10.1.0.8"};
    desks[i] = i % 2 == 0 ? SCREEN : PCOIP;
    desks[i].client = clients[i];
    begin(&desks[i]);
  }
  for (int i = 0; i < TEN_SECONDS_OF_A_DAY / 4; i++) {
    work(&desks[i % 4]);
    two_wires_pass(&wires, 1000);
  }
  two_wires_expect(&wires, 1000, "");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("shape");
  TCase *all = tcase_create("all");
  tcase_add_checked_fixture(all, set_up, tear_down);
  tcase_set_timeout(all, 60);
  tcase_add_loop_test(all, an_upload_of_50_megabytes_within_a_minute_through_a_screen_transfer_is_found, 0, 2);
  tcase_add_test(all, an_upload_in_many_small_connections_is_found);
  tcase_add_test(all, a_picture_that_comes_down_is_none);
  tcase_add_test(all, a_slow_upload_that_does_not_pause_is_found);
  tcase_add_test(all, what_is_declared_holds_for_the_flow_as_a_whole);
  tcase_add_test(all, what_is_declared_holds_downwards_too);
  tcase_add_test(all, what_is_within_the_limit_in_every_minute_is_never_told);
  tcase_add_test(all, an_alert_goes_on_while_it_goes_on_and_ends);
  tcase_add_test(all, far_more_than_ever_before_is_found);
  tcase_add_test(all, history_outlives_a_change_of_policy);
  tcase_add_test(all, a_day_of_screen_transfer_is_never_told);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
