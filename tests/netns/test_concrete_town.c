/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rules that we compile ourselves, through the interpreter: the sample town with real packets, where the kernel,
 * the reference and what is read back of the rules must all say the same of each packet.
 */
#include <check.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "duel.h"
#include "live.h"
#include "proof/concrete.h"
#include "town.h"

enum { STATUS_SEEN_REPLY = 2, SENDER_MARK = 0x4b4c /* of what the lab sends from the gateway */ };

static struct arena *arena;
static struct duel_field field;
static struct nftables *nftables;
static struct surroundings surroundings;
static const struct live_ruleset *ruleset;

static void look_at_links(void) {
  size_t count = lab_interface_count(field.lab);
  struct link *links = ARENA_ARRAY(arena, count + 1, struct link);
  for (size_t i = 0; i < count; i++) {
    const char *name = lab_interface(field.lab, i)->name;
    links[i] = (struct link){.name = name, .index = if_nametoindex(name), .type = 1};
  }
  links[count] = (struct link){.name = "lo", .index = 1, .type = 772};
  surroundings = (struct surroundings){.known = true, .links = links, .link_count = count + 1};
}

static void open_field(void) {
  struct error error = {0};
  struct instant now = {time(NULL)};
  struct lab_options options = {0};
  arena = arena_new(0);
  const struct policy *policy = town_load(TOWN_DUAL_STACK | TOWN_IN_FORCE, now, arena);
  ck_assert_ptr_nonnull(policy);
  field = (struct duel_field){.policy = policy, .scratch = arena, .log = stderr, .log_limit = 12};
  ck_assert_msg(lab_new(policy, &options, &field.lab, &error) == 0, "%s", error.message);
  field.circumstances = (struct circumstances){.now = now, .own = lab_own(field.lab)};
  ck_assert_msg(nftables_open(&nftables, &error) == 0, "%s", error.message);
  ck_assert_msg(duel_load(&field, nftables, &error) == 0, "%s", error.message);
  ruleset = live_from_kernel(arena);
  ck_assert_str_eq(live_complaints(ruleset, arena), "");
  look_at_links();
}

static void close_field(void) {
  nftables_close(nftables);
  lab_free(field.lab);
  arena = arena_free(arena);
}

/* ---- one packet ---- */

static const char *name_of(int interface) {
  return interface == LAB_GATEWAY ? NULL : lab_interface(field.lab, (size_t)interface)->name;
}

static enum situation_tracking first_tracking(const struct packet *packet) {
  uint8_t type = packet->icmp_type;
  switch (packet->protocol) {
  case PROTOCOL_TCP:
    return packet->tcp_flags == TCP_SYN ? TRACKING_OPENS : TRACKING_INVALID;
  case PROTOCOL_ICMP:
    return type == 8 || type == 13 || type == 15 || type == 17 ? TRACKING_OPENS : TRACKING_INVALID;
  case PROTOCOL_ICMPV6:
    return type == 128 || type == 139                    ? TRACKING_OPENS
           : (type >= 130 && type <= 137) || type == 143 ? TRACKING_UNTRACKED
                                                         : TRACKING_INVALID;
  default:
    return TRACKING_OPENS;
  }
}

/* What belongs to a connection is asked about only when it comes right behind the opener: of that much the mark and the
 * status are known. */
static bool can_be_asked(const struct duel *duel) {
  bool plain = duel->carried == NULL && duel->probe.split == 0 && !duel->loose && !duel->uncounted && !duel->unseen;
  bool known = duel->query.packet.protocol != 132; /* SCTP has states of its own */
  return plain && known && (duel->route == LAB_ROUTE_LOCAL || duel->route == LAB_ROUTE_INTERFACE) &&
         (duel->back == 0 || (duel->back == 1 && !duel->about && duel->query.role == ROLE_REPLY));
}

static struct original_tuple tuple_of(const struct lab_frame_recipe *recipe) {
  const struct packet *packet = &recipe->packet;
  bool icmp = packet->protocol == PROTOCOL_ICMP || packet->protocol == PROTOCOL_ICMPV6;
  uint16_t type_and_code = (uint16_t)(packet->icmp_type << 8);
  return (struct original_tuple){.source = packet->source,
                                 .destination = packet->destination,
                                 .protocol = packet->protocol,
                                 .source_port = icmp ? recipe->icmp_id : packet->source_port,
                                 .destination_port = icmp ? type_and_code : packet->destination_port};
}

static void fill_probe(const struct duel *duel, struct lab_frame *frame, struct probe *ret_probe) {
  bool from_gateway = duel->probe.interface == LAB_GATEWAY;
  struct lab_route route = lab_route(field.lab, &duel->probe.recipe.packet.destination);
  struct lab_frame_recipe recipe = duel->probe.recipe;
  ck_assert_int_eq(lab_frame_build(&recipe, frame), 0);
  *ret_probe =
      (struct probe){.situation = {.path = from_gateway                     ? PATH_OUTPUT
                                           : duel->route == LAB_ROUTE_LOCAL ? PATH_INPUT
                                                                            : PATH_FORWARD,
                                   .in = name_of(duel->probe.interface),
                                   .out = duel->route == LAB_ROUTE_LOCAL ? NULL : name_of(route.interface),
                                   .family = recipe.packet.source.family,
                                   .tracking = duel->back != 0 ? TRACKING_REPLY : first_tracking(&recipe.packet)},
                     .frame = frame->data,
                     .length = frame->length,
                     .packet_mark = from_gateway ? SENDER_MARK : 0};
}

static struct concrete_result judge(const struct probe *probe) {
  struct concrete_result result = {0};
  ck_assert_int_eq(concrete_judge(ruleset, &surroundings, probe, arena, &result), 0);
  return result;
}

/* Also for an answer: what its opener was marked with is what the interpreter says. */
static struct concrete_result judge_duel(const struct duel *duel) {
  struct lab_frame frame;
  struct probe probe;
  fill_probe(duel, &frame, &probe);
  if (duel->back == 0)
    return judge(&probe);
  struct lab_frame first_frame;
  struct probe first;
  fill_probe(duel - 1, &first_frame, &first);
  probe.connection_mark = judge(&first).connection_mark;
  probe.connection_status = STATUS_SEEN_REPLY;
  probe.original = tuple_of(&(duel - 1)->probe.recipe);
  return judge(&probe);
}

/* ---- all of them ---- */

static void compare_all(struct duel_list *list, const char *title) {
  size_t compared = 0, accepted = 0, answers = 0, wrong = 0;
  ck_assert_int_eq(duel_run(&field, list->items, list->count), 0);
  struct arena *town = arena;
  for (size_t i = 0; i < list->count; i++) {
    const struct duel *duel = &list->items[i];
    if (!can_be_asked(duel))
      continue;
    arena = arena_new(0);
    struct concrete_result result = judge_duel(duel);
    bool passed = duel->probe.outcome != LAB_NOWHERE;
    if (result.unmodelled != NULL || result.accepted != passed) {
      if (wrong++ < 5) {
        fprintf(stderr, "%s: the kernel %s, the interpreter %s by %s %s\n", duel->label, passed ? "accepts" : "drops",
                result.accepted ? "accepts" : "drops", result.chain != NULL ? result.chain->name : "-",
                result.unmodelled != NULL ? result.unmodelled : "");
        duel_print(stderr, &field, duel);
      }
    }
    compared++;
    accepted += passed;
    answers += duel->back != 0;
    arena_free(arena);
    arena = town;
  }
  printf("%s: %zu packets, %zu accepted, %zu answers, %zu wrong\n", title, compared, accepted, answers, wrong);
  duel_list_clear(list);
  ck_assert_uint_eq(wrong, 0);
  ck_assert_uint_gt(accepted, 100);
  ck_assert_uint_gt(compared, accepted);
}

START_TEST(what_is_read_back_of_our_rules_means_what_the_kernel_does) {
  open_field();
  struct duel_list list = {0};
  for (size_t i = 0; i < field.policy->flow_count; i++)
    duel_add_flow(&field, &field.policy->flows[i], &list);
  compare_all(&list, "flows of the town");
  duel_add_matrix(&field, &list);
  compare_all(&list, "matrix of the town");
  close_field();
}
END_TEST

int main(void) {
  lab_require();
  Suite *suite = suite_create("concrete_town");
  TCase *test = tcase_create("town");
  tcase_set_timeout(test, 300);
  tcase_add_test(test, what_is_read_back_of_our_rules_means_what_the_kernel_does);
  suite_add_tcase(suite, test);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
