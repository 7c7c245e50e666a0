/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sample town with real packets: every pair of zones, every flow and its near misses, judged by policy_decide() and
 * by the kernel with the compiled ruleset. Both must agree on each packet and on the reason of each denial.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "duel.h"
#include "town.h"

static struct duel_field field;
static struct nftables *nftables;
static struct arena *arena;

static void open_field(unsigned lab_changes, unsigned policy_changes, unsigned lab_flags) {
  struct error error = {0};
  struct instant now = {time(NULL)};
  struct lab_options options = {.rp_filter = lab_flags != 0};
  arena = arena_new(0);
  const struct policy *wires = town_load(lab_changes | TOWN_IN_FORCE, now, arena);
  const struct policy *policy = town_load(policy_changes | TOWN_IN_FORCE, now, arena);
  ck_assert_ptr_nonnull(wires);
  ck_assert_ptr_nonnull(policy);
  field = (struct duel_field){.policy = policy, .scratch = arena, .log = stderr, .log_limit = 12};
  ck_assert_msg(lab_new(wires, &options, &field.lab, &error) == 0, "%s", error.message);
  field.circumstances = (struct circumstances){.now = now, .own = lab_own(field.lab)};
  ck_assert_msg(nftables_open(&nftables, &error) == 0, "%s", error.message);
  ck_assert_msg(duel_load(&field, nftables, &error) == 0, "%s", error.message);
}

static void close_field(void) {
  nftables_close(nftables);
  lab_free(field.lab);
  arena_free(arena);
}

static void run_and_compare(struct duel_list *list, const char *title) {
  ck_assert_uint_gt(list->count, 0);
  long wrong = duel_run(&field, list->items, list->count);
  duel_print_summary(stdout, &field, title);
  duel_list_clear(list);
  ck_assert_int_eq(wrong, 0);
  ck_assert_uint_gt(field.compared, 0);
}

START_TEST(every_cell_of_the_matrix_agrees_with_the_policy) {
  open_field(TOWN_DUAL_STACK, TOWN_DUAL_STACK, 0);
  struct duel_list list = {0};
  duel_add_matrix(&field, &list);
  run_and_compare(&list, "matrix of the dual-stack town");
  close_field();
}
END_TEST

START_TEST(every_flow_and_its_near_misses_agree_with_the_policy) {
  open_field(TOWN_DUAL_STACK, TOWN_DUAL_STACK, 0);
  struct duel_list list = {0};
  for (size_t i = 0; i < field.policy->flow_count; i++)
    duel_add_flow(&field, &field.policy->flows[i], &list);
  run_and_compare(&list, "flows of the dual-stack town");
  close_field();
}
END_TEST

START_TEST(every_flow_of_the_town_passes_in_both_families) {
  open_field(TOWN_DUAL_STACK, TOWN_DUAL_STACK, 0);
  for (size_t i = 0; i < field.policy->flow_count; i++) {
    struct duel_list list = {0};
    size_t passed4 = 0, passed6 = 0;
    duel_add_flow(&field, &field.policy->flows[i], &list);
    ck_assert_int_eq(duel_run(&field, list.items, list.count), 0);
    for (size_t j = 0; j < list.count; j++) {
      const struct lab_probe *probe = &list.items[j].probe;
      bool opener = list.items[j].starts_scene && probe->outcome != LAB_NOWHERE;
      passed4 += opener && probe->recipe.packet.source.family == FAMILY_IPV4;
      passed6 += opener && probe->recipe.packet.source.family == FAMILY_IPV6;
    }
    ck_assert_msg(passed4 > 0, "%s does not pass over IPv4", field.policy->flows[i].name);
    ck_assert_msg(passed6 > 0, "%s does not pass over IPv6", field.policy->flows[i].name);
    duel_list_clear(&list);
  }
  close_field();
}
END_TEST

START_TEST(a_town_without_ipv6_passes_none) {
  open_field(TOWN_DUAL_STACK, 0, 0);
  const struct policy *ipv4_only = field.policy;
  field.policy = town_load(TOWN_DUAL_STACK | TOWN_IN_FORCE, field.circumstances.now, arena);
  struct duel_list list = {0};
  duel_add_matrix(&field, &list);
  for (size_t i = 0; i < field.policy->flow_count; i++)
    duel_add_flow(&field, &field.policy->flows[i], &list);
  field.policy = ipv4_only;
  long wrong = duel_run(&field, list.items, list.count);
  size_t ipv6 = 0;
  for (size_t i = 0; i < list.count; i++) {
    const struct lab_probe *probe = &list.items[i].probe;
    if (probe->recipe.packet.source.family != FAMILY_IPV6)
      continue;
    ipv6++;
    ck_assert_msg(probe->outcome == LAB_NOWHERE, "IPv6 passed: %s", list.items[i].label);
  }
  duel_print_summary(stdout, &field, "the town without IPv6");
  duel_list_clear(&list);
  ck_assert_uint_gt(ipv6, 1000);
  ck_assert_int_eq(wrong, 0);
  close_field();
}
END_TEST

START_TEST(rp_filter_stops_nothing_that_the_town_needs) {
  open_field(TOWN_DUAL_STACK, TOWN_DUAL_STACK, 1);
  struct duel_list list = {0};
  for (size_t i = 0; i < field.policy->flow_count; i++) {
    size_t first = list.count;
    duel_add_flow(&field, &field.policy->flows[i], &list);
    size_t kept = first; /* lawful senders on their own wires only */
    for (size_t j = first; j < list.count; j++) {
      struct duel *duel = &list.items[j];
      if (duel->probe.interface == LAB_GATEWAY ||
          lab_interface_of(field.lab, &duel->probe.recipe.packet.source) == duel->probe.interface)
        list.items[kept++] = *duel;
    }
    list.count = kept;
  }
  run_and_compare(&list, "flows under rp_filter");
  close_field();
}
END_TEST

/* ---- kido explain ---- */

static const char *service_text(const struct packet *packet, char text[static 32]) {
  switch (packet->protocol) {
  case PROTOCOL_TCP:
    snprintf(text, 32, "tcp/%u", packet->destination_port);
    return text;
  case PROTOCOL_UDP:
    snprintf(text, 32, "udp/%u", packet->destination_port);
    return text;
  case PROTOCOL_ICMP:
    return packet->icmp_type == 8 && packet->source.family == FAMILY_IPV4 ? "icmp/echo-request" : NULL;
  case PROTOCOL_ICMPV6:
    return packet->icmp_type == 128 && packet->source.family == FAMILY_IPV6 ? "icmpv6/echo-request" : NULL;
  default:
    return NULL;
  }
}

/* Packets of which the command line can speak, and whose fate does not depend on this machine. */
static bool explain_fits(const struct duel *duel) {
  const struct packet *packet = &duel->query.packet;
  char text[32];
  return duel->starts_scene && duel->probe.interface != LAB_GATEWAY && duel->route == LAB_ROUTE_INTERFACE &&
         packet->traits == 0 && service_text(packet, text) != NULL &&
         policy_zone_of_address(field.policy, NULL, &packet->destination) == duel->query.out_zone &&
         !address_set_contains(field.circumstances.own, &packet->source);
}

static json_t *ask_explain(const char *policy_file, const struct duel *duel) {
  const struct packet *packet = &duel->query.packet;
  char command[1024], source[ADDRESS_TEXT_SIZE], destination[ADDRESS_TEXT_SIZE], mac[MAC_TEXT_SIZE], service[32];
  snprintf(command, sizeof(command), "%s/kido explain %s %s %s --json --policy %s --from-zone %s --in %s --mac %s%s",
           KIDO_PROGRAM_DIRECTORY, address_format(&packet->source, source),
           address_format(&packet->destination, destination), service_text(packet, service), policy_file,
           policy_zone_name(field.policy, duel->query.in_zone),
           lab_interface(field.lab, (size_t)duel->probe.interface)->name, mac_format(&packet->source_mac, mac),
           packet->source_port != 0 ? " --sport 40000" : "");
  fflush(NULL);
  FILE *pipe = popen(command, "r");
  ck_assert_ptr_nonnull(pipe);
  json_t *answer = json_loadf(pipe, 0, NULL);
  pclose(pipe);
  return answer;
}

static void assert_explained(const char *policy_file, const struct duel *duel) {
  json_t *answer = ask_explain(policy_file, duel);
  const char *verdict = json_string_value(json_object_get(answer, "verdict"));
  const char *reason = json_string_value(json_object_get(answer, "reason"));
  bool passed = duel->probe.outcome != LAB_NOWHERE;
  bool agree = verdict != NULL && reason != NULL && strcmp(verdict, passed ? "allow" : "deny") == 0 &&
               strcmp(reason, reason_name(duel->decision.reason)) == 0;
  if (!agree)
    duel_print(stderr, &field, duel);
  ck_assert_msg(agree, "kido explain says %s, %s", verdict != NULL ? verdict : "nothing",
                reason != NULL ? reason : "-");
  json_decref(answer);
}

static char *write_policy_file(char *file) {
  char *text = town_text(KIDO_SOURCE_DIRECTORY "/config/examples/town.conf", TOWN_DUAL_STACK | TOWN_IN_FORCE,
                         field.circumstances.now, arena);
  int descriptor = mkstemp(file);
  ck_assert_int_ge(descriptor, 0);
  ck_assert_int_eq(write(descriptor, text, strlen(text)), (ssize_t)strlen(text));
  close(descriptor);
  return file;
}

START_TEST(kido_explain_says_what_the_kernel_did) {
  enum { EVERY = 23 };
  if (access(KIDO_PROGRAM_DIRECTORY "/kido", X_OK) != 0)
    return;
  open_field(TOWN_DUAL_STACK, TOWN_DUAL_STACK, 0);
  char file[] = "/tmp/kido-explain-XXXXXX";
  struct duel_list list = {0};
  unsigned asked = 0;
  write_policy_file(file);
  for (size_t i = 0; i < field.policy->flow_count; i++)
    duel_add_flow(&field, &field.policy->flows[i], &list);
  ck_assert_int_eq(duel_run(&field, list.items, list.count), 0);
  for (size_t i = 0; i < list.count; i++)
    if (explain_fits(&list.items[i]) && i % EVERY == 0) {
      assert_explained(file, &list.items[i]);
      asked++;
    }
  unlink(file);
  printf("kido explain agreed on %u packets\n", asked);
  ck_assert_uint_gt(asked, 20);
  duel_list_clear(&list);
  close_field();
}
END_TEST

int main(void) {
  lab_require();
  Suite *suite = suite_create("town_matrix");
  TCase *test = tcase_create("town");
  tcase_set_timeout(test, 300);
  tcase_add_test(test, every_cell_of_the_matrix_agrees_with_the_policy);
  tcase_add_test(test, every_flow_and_its_near_misses_agree_with_the_policy);
  tcase_add_test(test, every_flow_of_the_town_passes_in_both_families);
  tcase_add_test(test, a_town_without_ipv6_passes_none);
  tcase_add_test(test, rp_filter_stops_nothing_that_the_town_needs);
  tcase_add_test(test, kido_explain_says_what_the_kernel_did);
  suite_add_tcase(suite, test);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
