/* SPDX-License-Identifier: GPL-2.0-or-later */
/* F: half-open connections. */
#include "acceptance.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A limit of 40 is one of 32 slots, and the lowest bit of a port is no part of its slot. */
enum { SLOTS = 32, FLOOD = 600, NEVER_DURING_A_TEST = 600 };

static const char policy_text[] =
    "policy = { name = \"flood\"; number = \"1\"; basis = \"b\"; effective = \"2026-04-01\"; model = \"alpha\"; "
    "timezone = \"Asia/Tokyo\"; language = \"en\"; half_open_limit = 40; };\n"
    "zones = {\n"
    " left = { class = \"lgwan\"; interfaces = [ \"left0\" ]; networks = [ \"10.1.0.0/16\", \"2400:8500:0:1::/64\" ]; "
    "};\n"
    " right = { class = \"ot\"; interfaces = [ \"right0\" ]; networks = [ \"10.2.0.0/24\", \"2400:8500:0:2::/64\" ]; "
    "};\n"
    "};\n"
    "hosts = { r = { zone = \"right\"; address = [ \"10.2.0.9\", \"2400:8500:0:2::9\", \"10.2.0.10\", "
    "\"2400:8500:0:2::a\" ]; }; };\n"
    "services = { };\n"
    "flows = { F-1 = { from = \"zone:left\"; to = \"r\"; services = [ \"tcp/80\" ];"
    " method = \"ops\"; purpose = \"p\"; owner = \"o\"; approval = { by = \"b\"; role = \"chief\"; document = \"d\"; "
    "date = \"2026-04-01\"; author = \"a\"; }; review = \"2027-01-01\"; };\n"
    " F-2 = { from = \"zone:left\"; to = \"gateway\"; services = [ \"tcp/22\" ];"
    " method = \"ops\"; purpose = \"p\"; owner = \"o\"; approval = { by = \"b\"; role = \"chief\"; document = \"d\"; "
    "date = \"2026-04-01\"; author = \"a\"; }; review = \"2027-01-01\"; };\n"
    "};\n";

static const enum address_family families[] = {FAMILY_IPV4, FAMILY_IPV6};

static struct address source_of(enum address_family family, unsigned number) {
  char text[64];
  snprintf(text, sizeof(text), family == FAMILY_IPV4 ? "10.1.%u.%u" : "2400:8500:0:1::%x:%x", number / 250 % 200 + 1,
           number % 250 + 2);
  return address_of(text);
}

static struct address target(enum address_family family) {
  return address_of(family == FAMILY_IPV4 ? "10.2.0.9" : "2400:8500:0:2::9");
}

static struct address other_target(enum address_family family) {
  return address_of(family == FAMILY_IPV4 ? "10.2.0.10" : "2400:8500:0:2::a");
}

/* An opening from some source; its slot is slot % SLOTS. */
static struct lab_probe opening(enum address_family family, unsigned number, unsigned slot) {
  struct lab_probe probe = probe_from("left0", source_of(family, number), target(family), PROTOCOL_TCP, 80);
  probe.recipe.packet.source_port = (uint16_t)(20000 / (2 * SLOTS) * (2 * SLOTS) + 2 * slot);
  probe.recipe.tcp_sequence = OPENER_SEQUENCE;
  return probe;
}

/* Sources and ports as of a dice, the same ones each time. */
static struct lab_probe random_opening(enum address_family family, unsigned *dice) {
  *dice = *dice * 1103515245 + 12345;
  unsigned number = *dice >> 16;
  *dice = *dice * 1103515245 + 12345;
  struct lab_probe probe = opening(family, number, 0);
  probe.recipe.packet.source_port = (uint16_t)(1024 + (*dice >> 16) % 60000);
  return probe;
}

static bool answer_passes(const struct lab_probe *opener, uint8_t flags) {
  struct lab_probe answer = later(opener, false, flags, ANSWER_SEQUENCE, OPENER_SEQUENCE + 17);
  return passes(&answer);
}

static bool completion_passes(const struct lab_probe *opener) {
  struct lab_probe third = later(opener, true, TCP_ACK, OPENER_SEQUENCE + 17, ANSWER_SEQUENCE + 17);
  return passes(&third);
}

static bool connects(struct lab_probe *opener) {
  return passes(opener) && answer_passes(opener, TCP_SYN | TCP_ACK) && completion_passes(opener);
}

START_TEST(AC_F4_of_a_flood_no_more_openings_reach_the_target_than_the_limit) {
  open_policy(policy_text, NULL, NEVER_DURING_A_TEST);
  unsigned dice = 7;
  for (size_t i = 0; i < 2; i++) {
    unsigned passed = 0;
    uint64_t before = counter("denied.left.right.flood");
    for (unsigned j = 0; j < FLOOD; j++) {
      struct lab_probe probe = random_opening(families[i], &dice);
      passed += passes(&probe);
    }
    ck_assert_uint_eq(passed, SLOTS);
    ck_assert_uint_eq(counter("denied.left.right.flood") - before, FLOOD - SLOTS);
  }
  close_town();
}
END_TEST

START_TEST(AC_F4_a_target_that_answers_a_flood_is_no_less_protected) {
  open_policy(policy_text, NULL, NEVER_DURING_A_TEST);
  unsigned dice = 11;
  for (size_t i = 0; i < 2; i++) {
    unsigned passed = 0;
    for (unsigned j = 0; j < FLOOD; j++) {
      struct lab_probe probe = random_opening(families[i], &dice);
      if (!passes(&probe))
        continue;
      passed++;
      ck_assert(answer_passes(&probe, TCP_SYN | TCP_ACK));
    }
    ck_assert_uint_eq(passed, SLOTS);
  }
  close_town();
}
END_TEST

START_TEST(AC_F4_half_open_connections_are_forgotten_in_time) {
  open_policy(policy_text, NULL, 3);
  for (size_t i = 0; i < 2; i++) {
    struct lab_probe stale = opening(families[i], 1, 5), second = opening(families[i], 2, 5);
    ck_assert(passes(&stale));
    assert_denied(&second, "denied.left.right.flood", "an opening into a slot that is taken");
  }
  sleep(4);
  for (size_t i = 0; i < 2; i++) {
    struct lab_probe third = opening(families[i], 3, 5);
    ck_assert(passes(&third));
  }
  close_town();
}
END_TEST

/* With the pauses of the test, longer than a slot lasts by itself. */
START_TEST(AC_F4_an_opening_that_is_sent_again_passes_and_keeps_its_slot) {
  open_policy(policy_text, NULL, 7);
  struct lab_probe patient[2] = {opening(FAMILY_IPV4, 1, 9), opening(FAMILY_IPV6, 1, 9)};
  for (unsigned round = 0; round < 3; round++) {
    sleep(round == 0 ? 0 : 4);
    for (size_t i = 0; i < 2; i++) {
      uint64_t before = counter("denied.left.right.flood");
      ck_assert(passes(&patient[i]));
      ck_assert_uint_eq(counter("denied.left.right.flood"), before);
      struct lab_probe second = opening(families[i], 2, 9);
      assert_denied(&second, "denied.left.right.flood", "an opening into a slot that was kept");
    }
  }
  for (size_t i = 0; i < 2; i++) {
    ck_assert(answer_passes(&patient[i], TCP_SYN | TCP_ACK));
    ck_assert(completion_passes(&patient[i]));
  }
  close_town();
}
END_TEST

START_TEST(AC_F5_the_limit_is_per_destination_and_connections_do_not_count) {
  open_policy(policy_text, NULL, NEVER_DURING_A_TEST);
  for (size_t i = 0; i < 2; i++) {
    struct lab_probe early = opening(families[i], 1, 3);
    ck_assert(connects(&early));
    for (unsigned j = 0; j < 4 * SLOTS; j++) { /* each slot four times, and each is given back */
      struct lab_probe client = opening(families[i], 100 + j, j % SLOTS);
      client.recipe.packet.source_port = (uint16_t)(client.recipe.packet.source_port + 2 * SLOTS * (1 + j / SLOTS));
      ck_assert_msg(connects(&client), "client %u", j);
    }
    for (unsigned j = 0; j < SLOTS; j++) { /* now nobody completes */
      struct lab_probe stale = opening(families[i], 1000 + j, j);
      ck_assert_msg(passes(&stale), "half-open connection %u", j);
    }
    struct lab_probe late = opening(families[i], 3000, 3), elsewhere = opening(families[i], 3000, 3);
    assert_denied(&late, "denied.left.right.flood", "one more");
    elsewhere.recipe.packet.destination = other_target(families[i]);
    ck_assert_msg(connects(&elsewhere), "another destination");
    struct lab_probe data = later(&early, true, TCP_ACK, OPENER_SEQUENCE + 33, ANSWER_SEQUENCE + 17);
    ck_assert_msg(passes(&data), "an established connection under a flood");
  }
  close_town();
}
END_TEST

START_TEST(AC_F5_clients_connect_into_the_slots_that_a_flood_leaves) {
  open_policy(policy_text, NULL, NEVER_DURING_A_TEST);
  for (size_t i = 0; i < 2; i++) {
    for (unsigned j = 0; j < SLOTS; j += 2) {
      struct lab_probe stale = opening(families[i], j, j);
      ck_assert(passes(&stale));
    }
    for (unsigned j = 0; j < 3 * SLOTS; j++) {
      struct lab_probe client = opening(families[i], 500 + j, j | 1);
      client.recipe.packet.source_port = (uint16_t)(client.recipe.packet.source_port + 4 * SLOTS);
      ck_assert_msg(connects(&client), "client %u", j);
    }
  }
  close_town();
}
END_TEST

START_TEST(AC_F5_a_reset_from_either_side_gives_the_slot_back) {
  open_policy(policy_text, NULL, NEVER_DURING_A_TEST);
  for (size_t i = 0; i < 2; i++) {
    struct lab_probe refused = opening(families[i], 1, 4), given_up = opening(families[i], 2, 4),
                     third = opening(families[i], 3, 4);
    ck_assert(passes(&refused));
    ck_assert(answer_passes(&refused, TCP_RST | TCP_ACK));
    ck_assert_msg(passes(&given_up), "after the target's reset");
    ck_assert(answer_passes(&given_up, TCP_SYN | TCP_ACK));
    struct lab_probe reset = later(&given_up, true, TCP_RST, OPENER_SEQUENCE + 17, 0);
    ck_assert(passes(&reset));
    ck_assert_msg(passes(&third), "after the client's reset");
  }
  close_town();
}
END_TEST

START_TEST(AC_F4_the_gateway_itself_is_protected_alike) {
  open_policy(policy_text, NULL, NEVER_DURING_A_TEST);
  unsigned dice = 5, passed = 0;
  uint64_t before = counter("denied.left.gateway.flood");
  const struct lab_interface *left = lab_interface(the_lab(), (size_t)lab_find_interface(the_lab(), "left0"));
  for (unsigned j = 0; j < FLOOD; j++) {
    struct lab_probe probe = random_opening(FAMILY_IPV4, &dice);
    probe.recipe.packet.destination = left->ipv4;
    probe.recipe.packet.destination_port = 22;
    passed += passes(&probe);
  }
  ck_assert_uint_eq(passed, SLOTS);
  ck_assert_uint_eq(counter("denied.left.gateway.flood") - before, FLOOD - SLOTS);
  close_town();
}
END_TEST

void add_flood(Suite *suite) {
  TCase *cases = add_case(suite, "half-open connections");
  tcase_add_test(cases, AC_F4_of_a_flood_no_more_openings_reach_the_target_than_the_limit);
  tcase_add_test(cases, AC_F4_a_target_that_answers_a_flood_is_no_less_protected);
  tcase_add_test(cases, AC_F4_half_open_connections_are_forgotten_in_time);
  tcase_add_test(cases, AC_F4_an_opening_that_is_sent_again_passes_and_keeps_its_slot);
  tcase_add_test(cases, AC_F4_the_gateway_itself_is_protected_alike);
  tcase_add_test(cases, AC_F5_the_limit_is_per_destination_and_connections_do_not_count);
  tcase_add_test(cases, AC_F5_clients_connect_into_the_slots_that_a_flood_leaves);
  tcase_add_test(cases, AC_F5_a_reset_from_either_side_gives_the_slot_back);
}
