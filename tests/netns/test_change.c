/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A change of a loaded ruleset against the running kernel: what is sent and asked for it, and what becomes of it when
 * something goes wrong on the way. The linker puts a layer of this file between nftables*.c and netlink.c (--wrap),
 * which counts and spoils. Each test is a process in a network namespace of its own.
 */
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>

#include "control/gate.h"
#include "kernel/netlink.h"
#include "kernel/nftables.h"
#include "kernel/nftables_watch.h"
#include "policy/read.h"
#include "sample_ruleset.h"
#include "town.h"

/* ---- the layer ---- */

static struct {
  unsigned batches, questions, dumps;
  size_t bytes; /* in batches */
} seen;

enum fault {
  FAULT_NONE,
  FAULT_ANSWERS_LOST,     /* to a batch: ENOBUFS */
  FAULT_READ_INTERRUPTED, /* the reading back of single things */
  FAULT_READ_OVERRUN,
  FAULT_DUMP_INTERRUPTED,
  FAULT_SMALL_RECEIVE_BUFFER,
  FAULT_NO_FORCE, /* buffers cannot be made larger than net.core allows */
};

static struct {
  enum fault fault;
  unsigned times;             /* left; UINT_MAX: always */
  void (*before_batch)(void); /* once */
  unsigned refused_batch;     /* so many batches, and the next `refusals` are refused */
  unsigned refusals;
  bool no_copies; /* no memory to keep what is proven */
} plan;

static bool strikes(enum fault fault) {
  if (plan.fault != fault || plan.times == 0) {
    return false;
  }
  plan.times -= plan.times != UINT32_MAX;
  return true;
}

int __real_netlink_request(struct netlink *netlink, struct nlmsghdr *request, int marker, struct netlink_answer *answer,
                           struct error *error);
int __wrap_netlink_request(struct netlink *netlink, struct nlmsghdr *request, int marker, struct netlink_answer *answer,
                           struct error *error);
int __real_netlink_request_many(struct netlink *netlink, void *requests, size_t count, int marker, int *codes,
                                struct netlink_answer *answer, struct error *error);
int __wrap_netlink_request_many(struct netlink *netlink, void *requests, size_t count, int marker, int *codes,
                                struct netlink_answer *answer, struct error *error);
int __real_netlink_send_batch(struct netlink *netlink, const void *data, size_t length, uint32_t last_sequence,
                              struct netlink_complaint *complaint, bool *acknowledged, struct error *error);
int __wrap_netlink_send_batch(struct netlink *netlink, const void *data, size_t length, uint32_t last_sequence,
                              struct netlink_complaint *complaint, bool *acknowledged, struct error *error);
int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t size);
int __real_set_copy(const struct set *from, struct arena *arena, struct set *ret_set);
int __wrap_set_copy(const struct set *from, struct arena *arena, struct set *ret_set);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size);

int __wrap_netlink_request(struct netlink *netlink, struct nlmsghdr *request, int marker, struct netlink_answer *answer,
                           struct error *error) {
  bool dump = (request->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
  seen.questions++;
  seen.dumps += dump;
  if (dump && strikes(FAULT_DUMP_INTERRUPTED)) {
    return error_set(error, EINTR, "interrupted");
  }
  return __real_netlink_request(netlink, request, marker, answer, error);
}

int __wrap_netlink_request_many(struct netlink *netlink, void *requests, size_t count, int marker, int *codes,
                                struct netlink_answer *answer, struct error *error) {
  seen.questions++;
  int status = __real_netlink_request_many(netlink, requests, count, marker, codes, answer, error);
  if (strikes(FAULT_READ_INTERRUPTED)) {
    return error_set(error, EINTR, "interrupted");
  }
  return strikes(FAULT_READ_OVERRUN) ? error_set(error, ENOBUFS, "too much at once") : status;
}

int __wrap_netlink_send_batch(struct netlink *netlink, const void *data, size_t length, uint32_t last_sequence,
                              struct netlink_complaint *complaint, bool *acknowledged, struct error *error) {
  seen.batches++;
  seen.bytes += length;
  if (plan.before_batch != NULL) {
    void (*hook)(void) = plan.before_batch;
    plan.before_batch = NULL;
    hook();
  }
  if (plan.refused_batch > 0 && --plan.refused_batch == 0) {
    plan.refused_batch = 1;
    if (plan.refusals > 0) {
      plan.refusals--;
      *complaint = (struct netlink_complaint){.code = EINVAL, .sequence = 1};
      *acknowledged = false;
      return 0;
    }
  }
  int status = __real_netlink_send_batch(netlink, data, length, last_sequence, complaint, acknowledged, error);
  if (strikes(FAULT_ANSWERS_LOST)) {
    *complaint = (struct netlink_complaint){0};
    *acknowledged = false;
  }
  return status;
}

int __wrap_set_copy(const struct set *from, struct arena *arena, struct set *ret_set) {
  return plan.no_copies ? -ENOMEM : __real_set_copy(from, arena, ret_set);
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size) {
  static const int least = 1;
  bool force = level == SOL_SOCKET && (name == SO_RCVBUFFORCE || name == SO_SNDBUFFORCE);
  if (plan.fault == FAULT_SMALL_RECEIVE_BUFFER && level == SOL_SOCKET && name == SO_RCVBUFFORCE) {
    return __real_setsockopt(fd, level, SO_RCVBUF, &least, sizeof least);
  }
  if (plan.fault == FAULT_NO_FORCE && force) {
    errno = EPERM;
    return -1;
  }
  return __real_setsockopt(fd, level, name, value, size);
}

/* ---- common ---- */

static struct arena *arena;
static struct nftables *nftables;
static struct instant now;
static struct error error;
static struct refusal refusal;

static void enter(void) {
  ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
  arena = arena_new(0);
  now.seconds = time(NULL);
  ck_assert_msg(nftables_open(&nftables, &error) == 0, "%s", error.message);
}

static void leave(void) {
  nftables_close(nftables);
  arena_free(arena);
}

static char *run(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *run(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *command = arena_vprintf(arena, format, arguments);
  va_end(arguments);
  FILE *pipe = popen(command, "r");
  ck_assert_ptr_nonnull(pipe);
  size_t room = 8 << 20;
  char *output = malloc(room);
  size_t length = fread(output, 1, room - 1, pipe);
  output[length] = '\0';
  ck_assert_msg(pclose(pipe) == 0, "'%s' failed: %s", command, output);
  char *copy = arena_strdup(arena, output);
  free(output);
  return copy;
}

static uint32_t generation(void) {
  uint32_t value = 0;
  ck_assert_int_eq(nftables_generation(nftables, &value, &error), 0);
  return value;
}

static void check_kernel_holds(const struct ruleset *wanted) {
  const char *what = "";
  struct ruleset *found = NULL;
  ck_assert_msg(nftables_read(nftables, "kido", (struct instant){time(NULL)}, arena, &found, &error) == 0, "%s",
                error.message);
  ck_assert_msg(found->present && ruleset_equal(found, wanted, arena, &what), "%s", what);
}

/* Applies, and counts from zero. */
static size_t apply(const struct ruleset *wanted) {
  size_t changes = 0;
  memset(&seen, 0, sizeof seen);
  int status = nftables_apply(nftables, wanted, (struct instant){time(NULL)}, &changes, &refusal, &error);
  ck_assert_msg(status == 0, "%d: %s", status, error.message);
  return changes;
}

static struct ruleset *marks(size_t count) {
  struct ruleset *ruleset = sample_large_ruleset(arena, count);
  ruleset->sets[0].timeouts = true;
  return ruleset;
}

static struct element *element_of(struct ruleset *ruleset, size_t index) {
  return &ruleset->sets[0].elements[index];
}

static void remove_element(struct ruleset *ruleset, size_t index) {
  struct set *set = &ruleset->sets[0];
  memmove(&set->elements[index], &set->elements[index + 1], (set->element_count - index - 1) * sizeof(struct element));
  set->element_count--;
}

/* ---- what a change costs ---- */

static const size_t sizes[] = {10, 1000, 100000}; /* the last one is large */

START_TEST(a_change_sends_and_reads_back_no_more_than_itself) {
  struct ruleset *first = marks(sizes[_i]), *second = marks(sizes[_i]);
  remove_element(second, sizes[_i] / 2);
  element_of(second, 1)->comment = "another";
  apply(first);
  uint32_t before = generation();
  ck_assert_uint_eq(apply(second), 3); /* one goes; one is taken out and put in again */
  ck_assert_uint_eq(seen.batches, 2);
  ck_assert_uint_eq(seen.dumps, 0);
  ck_assert_uint_le(seen.questions, 4); /* generation, the counter that goes on, what was touched, generation */
  ck_assert_uint_le(seen.bytes, 1024);
  ck_assert_uint_eq(generation(), before + 2);
  check_kernel_holds(second);
}
END_TEST

START_TEST(a_change_of_everything_at_once_is_right) {
  struct ruleset *first = sample_ruleset(arena, now), *second = sample_ruleset(arena, now);
  for (size_t i = 0; i < second->set_count; i++) {
    if (second->sets[i].element_count > 0) {
      second->sets[i].elements[0].comment = "another";
    }
  }
  for (size_t i = 0; i < second->chain_count; i++) {
    if (second->chains[i].rule_count > 0) {
      second->chains[i].rules[0].comment = "another";
    }
  }
  apply(first);
  for (unsigned i = 0; i < 4; i++) {
    apply(i % 2 == 0 ? second : first);
    ck_assert_uint_eq(seen.batches, 1); /* all of it is swapped at once */
    check_kernel_holds(i % 2 == 0 ? second : first);
  }
}
END_TEST

START_TEST(a_thousand_elements_at_once_are_read_back_with_their_set) {
  struct ruleset *all = marks(2000), *half = marks(2000);
  half->sets[0].element_count = 1000;
  apply(all);
  apply(half);
  ck_assert_uint_eq(seen.dumps, 1);
  check_kernel_holds(half);
  apply(all);
  check_kernel_holds(all);
}
END_TEST

START_TEST(rules_of_a_changed_chain_are_read_back) {
  struct ruleset *first = sample_ruleset(arena, now), *second = sample_ruleset(arena, now);
  sample_find_chain(second, "various")->rule_count--;
  apply(first);
  apply(second);
  ck_assert_uint_eq(seen.dumps, 1);
  check_kernel_holds(second);
}
END_TEST

START_TEST(a_no_op_asks_for_the_generation_and_nothing_else) {
  struct ruleset *wanted = sample_ruleset(arena, now);
  apply(wanted);
  uint32_t before = generation();
  ck_assert_uint_eq(apply(wanted), 0);
  ck_assert_uint_eq(seen.questions, 1);
  ck_assert_uint_eq(seen.batches, 0);
  ck_assert_uint_eq(generation(), before);
}
END_TEST

START_TEST(a_hundred_changes_in_a_row_are_all_made_by_memory) {
  struct ruleset *wanted = marks(5000);
  apply(wanted);
  for (unsigned i = 0; i < 100; i++) {
    element_of(wanted, i * 7)->comment = "another";
    ck_assert_uint_eq(apply(wanted), 2);
    ck_assert_uint_eq(seen.dumps, 0);
  }
  check_kernel_holds(wanted);
}
END_TEST

/* ---- others change something ---- */

START_TEST(after_a_change_by_others_all_is_read_once) {
  struct ruleset *first = marks(100), *second = marks(100);
  remove_element(second, 5);
  apply(first);
  run("nft delete element inet kido in_force.a.b '{ 0x7, 0x8 }'; nft add table ip other");
  apply(second);
  ck_assert_uint_gt(seen.dumps, 0);
  check_kernel_holds(second);
  apply(first);
  ck_assert_uint_eq(seen.dumps, 0);
  check_kernel_holds(first);
}
END_TEST

static void meddle(void) {
  run("nft delete element inet kido in_force.a.b '{ 0x7 }'");
}

START_TEST(a_change_by_others_in_between_is_not_written_over_blindly) {
  struct ruleset *first = marks(100), *second = marks(100);
  remove_element(second, 50);
  apply(first);
  plan.before_batch = meddle;
  apply(second);
  check_kernel_holds(second);
}
END_TEST

START_TEST(what_was_forgotten_is_read) {
  struct ruleset *first = marks(100);
  apply(first);
  nftables_forget(nftables);
  ck_assert_ptr_null(nftables_known(nftables, now));
  ck_assert_uint_eq(apply(first), 0);
  ck_assert_uint_gt(seen.dumps, 0);
  ck_assert_ptr_nonnull(nftables_known(nftables, (struct instant){time(NULL)}));
}
END_TEST

START_TEST(what_cannot_be_remembered_is_not_taken_for_what_was_there_before) {
  struct ruleset *first = marks(100), *second = marks(100);
  remove_element(second, 50);
  apply(first);
  plan.no_copies = true;
  apply(second);
  ck_assert_ptr_null(nftables_known(nftables, (struct instant){time(NULL)}));
  plan.no_copies = false;
  apply(second);
  ck_assert_ptr_nonnull(nftables_known(nftables, (struct instant){time(NULL)}));
}
END_TEST

START_TEST(after_a_step_of_the_clock_ends_are_put_right) {
  struct ruleset *wanted = marks(10);
  element_of(wanted, 3)->expires.seconds = now.seconds + 1000;
  apply(wanted);
  struct instant later = {time(NULL) + 100}; /* as if it had been set forward */
  size_t changes = 0;
  ck_assert_int_eq(nftables_apply(nftables, wanted, later, &changes, NULL, &error), 0);
  ck_assert_uint_eq(changes, 2); /* the end comes 100 seconds earlier on the kernel's clock */
}
END_TEST

/* ---- counters ---- */

static void send_marked(uint32_t mark, unsigned count) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark), 0);
  for (unsigned i = 0; i < count; i++) {
    (void)!sendto(fd, "x", 1, MSG_DONTWAIT, (const struct sockaddr *)&address, sizeof address);
  }
  close(fd);
}

/* A chain that counts packets by their mark, and lets all pass. */
static struct ruleset *counting(void) {
  struct ruleset *ruleset = marks(10);
  struct expression *expressions = ARENA_ARRAY(arena, 2, struct expression);
  struct rule *rule = ARENA_NEW(arena, struct rule);
  expressions[0] = (struct expression){.kind = EXPRESSION_META, .key = NFT_META_MARK};
  expressions[1] = (struct expression){.kind = EXPRESSION_LOOKUP, .name = ruleset->sets[0].name};
  *rule = (struct rule){.expressions = expressions, .expression_count = 2, .origin.subject = ""};
  ruleset->chains[0].hook = HOOK_OUTPUT;
  ruleset->chains[0].policy_drop = false;
  ruleset->chains[0].rules = rule;
  ruleset->chains[0].rule_count = 1;
  return ruleset;
}

static const struct element *held(size_t index) {
  struct ruleset *found = NULL;
  ck_assert_int_eq(nftables_read(nftables, "kido", (struct instant){time(NULL)}, arena, &found, &error), 0);
  return &found->sets[0].elements[index];
}

START_TEST(a_counter_survives_a_change_of_the_end_and_of_the_comment) {
  struct ruleset *wanted = counting();
  uint32_t mark;
  memcpy(&mark, element_of(wanted, 4)->key, sizeof mark);
  run("ip link set lo up");
  apply(wanted);
  send_marked(mark, 5);
  ck_assert_uint_eq(held(4)->packets, 5);
  element_of(wanted, 4)->expires.seconds = now.seconds + 1000;
  apply(wanted);
  ck_assert_uint_eq(seen.dumps, 0);
  ck_assert_uint_eq(held(4)->packets, 5);
  send_marked(mark, 2);
  element_of(wanted, 4)->comment = "renamed";
  apply(wanted);
  ck_assert_uint_eq(seen.dumps, 0);
  ck_assert_uint_eq(held(4)->packets, 7);
  ck_assert_uint_eq(held(4)->bytes, 7 * 29);
  send_marked(mark, 1);
  run("nft add table ip other"); /* now by reading all */
  element_of(wanted, 4)->expires.seconds = now.seconds + 2000;
  apply(wanted);
  ck_assert_uint_gt(seen.dumps, 0);
  ck_assert_uint_eq(held(4)->packets, 8);
  check_kernel_holds(wanted);
}
END_TEST

/* ---- elements that end by themselves ---- */

static void wait_until(int64_t seconds) {
  while (time(NULL) < seconds) {
    usleep(20000);
  }
}

START_TEST(what_ended_by_itself_is_neither_deleted_nor_missed) {
  struct ruleset *wanted = marks(100);
  int64_t end = time(NULL) + 2;
  for (size_t i = 20; i < 40; i++) {
    element_of(wanted, i)->expires.seconds = end;
  }
  apply(wanted);
  wait_until(end + 1);
  remove_element(wanted, 3);
  apply(wanted);
  ck_assert_uint_eq(seen.batches, 1);
  ck_assert_uint_eq(seen.dumps, 0);
  for (size_t i = 19; i < 39; i++) {
    remove_element(wanted, 19);
  }
  check_kernel_holds(wanted);
  ck_assert_uint_eq(apply(wanted), 0);
}
END_TEST

static int64_t hook_end;

static void sleep_past_the_end(void) {
  wait_until(hook_end + 1);
}

START_TEST(an_element_that_ends_before_it_is_taken_out_does_not_stop_the_others) {
  struct ruleset *first = marks(100), *second = marks(100);
  hook_end = time(NULL) + 2;
  element_of(first, 20)->expires.seconds = hook_end;
  remove_element(second, 60);
  remove_element(second, 20);
  apply(first);
  plan.before_batch = sleep_past_the_end;
  apply(second);
  ck_assert_uint_eq(seen.batches, 1);
  ck_assert_uint_eq(seen.dumps, 0);
  check_kernel_holds(second);
}
END_TEST

START_TEST(an_element_about_to_end_is_prolonged) {
  struct ruleset *wanted = marks(100);
  element_of(wanted, 20)->expires.seconds = time(NULL) + 3;
  apply(wanted);
  element_of(wanted, 20)->expires.seconds = time(NULL) + 1000;
  apply(wanted);
  ck_assert_uint_eq(seen.dumps, 0);
  check_kernel_holds(wanted);
}
END_TEST

START_TEST(an_element_that_ended_comes_back) {
  struct ruleset *wanted = marks(100);
  int64_t end = time(NULL) + 1;
  element_of(wanted, 20)->expires.seconds = end;
  apply(wanted);
  wait_until(end + 2);
  ck_assert_uint_eq(apply(wanted), 0);
  element_of(wanted, 20)->expires.seconds = time(NULL) + 1000;
  ck_assert_uint_eq(apply(wanted), 1);
  ck_assert_uint_eq(seen.dumps, 0);
  check_kernel_holds(wanted);
}
END_TEST

/* ---- answers that are lost, dumps that are interrupted ---- */

static const enum fault passing_faults[] = {FAULT_ANSWERS_LOST, FAULT_READ_INTERRUPTED, FAULT_READ_OVERRUN,
                                            FAULT_DUMP_INTERRUPTED, FAULT_SMALL_RECEIVE_BUFFER};

START_TEST(what_goes_wrong_once_ends_in_the_right_state) {
  struct ruleset *first = sample_ruleset(arena, now), *second = sample_ruleset(arena, now);
  sample_find_chain(second, "various")->rule_count--;
  sample_find_set(second, "in_force.a.b")->elements[0].comment = "renamed";
  plan.fault = passing_faults[_i];
  plan.times = 1;
  apply(first);
  check_kernel_holds(first);
  plan.times = 1;
  apply(second);
  check_kernel_holds(second);
  ck_assert_uint_eq(apply(second), 0);
}
END_TEST

START_TEST(a_refusal_whose_answer_is_lost_is_not_taken_for_success) {
  struct ruleset *first = marks(100), *second = marks(100);
  struct expression expression = {.kind = EXPRESSION_LOOKUP, .name = "no-such-set"};
  struct rule broken = {.expressions = &expression, .expression_count = 1, .origin.subject = "F-1"};
  apply(first);
  second->chains[0].rules = &broken;
  second->chains[0].rule_count = 1;
  plan.fault = FAULT_ANSWERS_LOST;
  plan.times = UINT32_MAX;
  ck_assert_int_lt(nftables_apply(nftables, second, now, NULL, &refusal, &error), 0);
  ck_assert(!refusal.known);
  plan.fault = FAULT_NONE;
  check_kernel_holds(first);
}
END_TEST

/* ---- refusals in the middle ---- */

enum { MANY = 40000, BAD = 16 };

/* Many rules in a chain of their own; the seventeenth looks into a set that is not there, or all of them do. */
static struct ruleset *many_rules(const char *set, bool all) {
  struct ruleset *ruleset = marks(100);
  struct chain *chains = ARENA_ARRAY(arena, 2, struct chain);
  struct rule *rules = ARENA_ARRAY(arena, MANY, struct rule);
  struct expression *good = ARENA_ARRAY(arena, 2, struct expression), *bad = ARENA_ARRAY(arena, 2, struct expression);
  good[0] = bad[0] = (struct expression){.kind = EXPRESSION_META, .key = NFT_META_MARK};
  good[1] = (struct expression){.kind = EXPRESSION_LOOKUP, .name = ruleset->sets[0].name};
  bad[1] = (struct expression){.kind = EXPRESSION_LOOKUP, .name = set};
  for (unsigned i = 0; i < MANY; i++) {
    rules[i] = (struct rule){
        .expressions = i == BAD || all ? bad : good,
        .expression_count = 2,
        .origin = {.subject = i == BAD || all ? "F-301" : "F-1", .place = {.file = "town.conf", .line = i + 1}}};
  }
  chains[0] = ruleset->chains[0];
  chains[1] = (struct chain){.name = "many", .rules = rules, .rule_count = MANY, .origin.subject = ""};
  ck_assert_str_lt(chains[0].name, chains[1].name);
  ruleset->chains = chains;
  ruleset->chain_count = 2;
  return ruleset;
}

static void check_refused_untouched(const struct ruleset *wanted, const struct ruleset *before, unsigned line) {
  static const char *const list = "nft -a list ruleset | sed -E 's/ expires [0-9dhms]+//g'";
  const char *listed = run("%s", list);
  uint32_t at = generation();
  ck_assert_int_lt(nftables_apply(nftables, wanted, now, NULL, &refusal, &error), 0);
  ck_assert(refusal.known);
  ck_assert_str_eq(refusal.origin.subject, "F-301");
  ck_assert_str_eq(refusal.origin.place.file, "town.conf");
  ck_assert_uint_eq(refusal.origin.place.line, line);
  ck_assert_ptr_nonnull(strstr(error.message, "F-301"));
  ck_assert_uint_eq(generation(), at);
  ck_assert(strcmp(run("%s", list), listed) == 0);
  check_kernel_holds(before);
}

START_TEST(of_forty_thousand_rules_the_seventeenth_is_named) {
  struct ruleset *before = marks(100);
  apply(before);
  check_refused_untouched(many_rules("no-such-set", false), before, BAD + 1);
  apply(many_rules(before->sets[0].name, false));
}
END_TEST

START_TEST(of_forty_thousand_refusals_the_first_is_named) {
  struct ruleset *before = marks(100);
  apply(before);
  plan.fault = _i == 0 ? FAULT_NONE : FAULT_SMALL_RECEIVE_BUFFER;
  check_refused_untouched(many_rules("no-such-set", true), before, 1);
}
END_TEST

START_TEST(of_two_elements_with_one_key_the_second_is_named) {
  struct ruleset *before = sample_ruleset(arena, now), *wanted = sample_ruleset(arena, now);
  struct set *map = sample_find_set(wanted, "receiving");
  apply(before);
  struct element *elements = ARENA_ARRAY(arena, map->element_count + 1, struct element);
  memcpy(elements, map->elements, map->element_count * sizeof *elements);
  elements[map->element_count] = elements[map->element_count - 1];
  elements[map->element_count].verdict = (struct verdict){VERDICT_DROP, NULL};
  elements[map->element_count].origin = (struct origin){"F-301", {.file = "town.conf", .line = 7}};
  map->elements = elements;
  map->element_count++;
  check_refused_untouched(wanted, before, 7);
}
END_TEST

START_TEST(a_set_that_is_too_small_is_named) {
  struct ruleset *before = marks(100), *wanted = marks(100);
  apply(before);
  struct set *sets = ARENA_ARRAY(arena, 2, struct set);
  sets[0] = wanted->sets[0];
  sets[1] = wanted->sets[0];
  sets[1].name = "small";
  sets[1].size = 10;
  sets[1].origin = (struct origin){"F-301", {.file = "town.conf", .line = 3}};
  wanted->sets = sets;
  wanted->set_count = 2;
  check_refused_untouched(wanted, before, 3);
}
END_TEST

START_TEST(a_batch_that_no_buffer_takes_changes_nothing) {
  struct ruleset *before = marks(100), *wanted = marks(200000);
  apply(before);
  plan.fault = FAULT_NO_FORCE;
  nftables_close(nftables);
  ck_assert_int_eq(nftables_open(&nftables, &error), 0);
  int status = nftables_apply(nftables, wanted, now, NULL, &refusal, &error);
  if (status == 0) { /* net.core.wmem_max is large enough here */
    return;
  }
  ck_assert_int_eq(status, -EMSGSIZE);
  ck_assert_ptr_nonnull(strstr(error.message, "wmem_max"));
  check_kernel_holds(before);
  plan.fault = FAULT_NONE;
  apply(wanted);
  check_kernel_holds(wanted);
}
END_TEST

/* ---- who listens ---- */

static unsigned missed;

static void count_missed(void *context) {
  (void)context;
  missed++;
}

static struct nftables_change heard(int fd) {
  struct nftables_transaction transaction = {0};
  struct nftables_change change = {0};
  nftables_watch_drain(fd, 0, "kido", &transaction, &change);
  return change;
}

START_TEST(who_listens_is_spared_our_large_changes_and_hears_the_others) {
  int fd = -1;
  ck_assert_int_eq(nftables_watch_open(&fd, &error), 0);
  nftables_spare(nftables, fd, count_missed, NULL);
  struct ruleset *wanted = marks(20000);
  apply(wanted);
  ck_assert_uint_eq(heard(fd).ours, 0);
  ck_assert_uint_eq(missed, 0);
  remove_element(wanted, 7);
  apply(wanted);
  ck_assert_uint_eq(heard(fd).ours, 1); /* small */
  run("nft add chain inet kido stranger");
  ck_assert_uint_eq(heard(fd).ours, 1);
  ck_assert_uint_eq(missed, 0);
  close(fd);
}
END_TEST

static void add_table_of_others(void) {
  run("nft add table ip other");
}

START_TEST(what_others_change_meanwhile_is_told_as_missed) {
  int fd = -1;
  ck_assert_int_eq(nftables_watch_open(&fd, &error), 0);
  nftables_spare(nftables, fd, count_missed, NULL);
  plan.before_batch = add_table_of_others;
  apply(marks(20000));
  ck_assert_uint_eq(missed, 1);
  ck_assert_uint_eq(apply(marks(20000)), 0);
  ck_assert_uint_eq(missed, 1);
  close(fd);
}
END_TEST

/* ---- a table with an owner ---- */

static bool succeeds(const char *command) {
  return WEXITSTATUS(system(arena_printf(arena, "%s 2>/dev/null", command))) == 0;
}

static bool own(void) {
  enum ownership ownership = OWNERSHIP_OFF;
  ck_assert_msg(nftables_own(nftables, &ownership, &error) == 0, "%s", error.message);
  if (ownership == OWNERSHIP_UNSUPPORTED) {
    puts("this kernel knows no table that outlives its owner");
  }
  return ownership == OWNERSHIP_HELD;
}

static const char *const tampering[] = {
    "nft add chain inet kido stranger",
    "nft delete table inet kido",
    "nft flush table inet kido",
    "nft add element inet kido in_force.a.b '{ 0xdeadbeef }'",
    "nft delete element inet kido in_force.a.b '{ 0x7 }'",
    "nft 'table inet kido { flags dormant; }'",
};

START_TEST(what_others_do_to_an_owned_table_is_refused) {
  struct ruleset *wanted = marks(100);
  if (!own()) {
    return;
  }
  apply(wanted);
  for (size_t i = 0; i < sizeof tampering / sizeof tampering[0]; i++) {
    ck_assert_msg(!succeeds(tampering[i]), "'%s' is not refused", tampering[i]);
  }
  run("nft flush ruleset"); /* of what it may */
  check_kernel_holds(wanted);
  remove_element(wanted, 5);
  ck_assert_uint_eq(apply(wanted), 1);
  ck_assert_uint_eq(seen.batches, 1);
}
END_TEST

START_TEST(without_an_owner_it_is_undone) {
  struct ruleset *wanted = marks(100);
  apply(wanted);
  ck_assert(succeeds(tampering[_i]));
  ck_assert_uint_gt(apply(wanted), 0);
  check_kernel_holds(wanted);
}
END_TEST

START_TEST(a_table_outlives_its_owner_and_the_next_one_takes_it_over) {
  struct ruleset *wanted = marks(100);
  if (!own()) {
    return;
  }
  apply(wanted);
  nftables_close(nftables);
  ck_assert_int_eq(nftables_open(&nftables, &error), 0);
  check_kernel_holds(wanted);
  ck_assert(succeeds("nft add chain inet kido stranger")); /* nobody is there */
  ck_assert(own());
  ck_assert_uint_eq(apply(wanted), 1); /* the chain goes, the rest stands */
  ck_assert(!succeeds("nft add chain inet kido stranger"));
  check_kernel_holds(wanted);
  nftables_close(nftables);
  ck_assert_int_eq(nftables_open(&nftables, &error), 0);
  ck_assert_uint_eq(apply(wanted), 0); /* the setting was turned off: flags are no state */
}
END_TEST

START_TEST(a_table_without_an_owner_is_made_anew_to_be_owned) {
  struct ruleset *wanted = marks(100);
  apply(wanted);
  if (!own()) {
    return;
  }
  nftables_forget(nftables);
  ck_assert_uint_gt(apply(wanted), 2);
  ck_assert(!succeeds("nft delete table inet kido"));
  check_kernel_holds(wanted);
  ck_assert_uint_eq(apply(wanted), 0);
}
END_TEST

START_TEST(asking_for_ownership_leaves_nothing_behind) {
  own();
  ck_assert_str_eq(run("nft list tables"), "");
}
END_TEST

/* ---- the gate: time passes, and windows are closed ---- */

static const struct policy *town(void) {
  const char *text =
      town_text(KIDO_SOURCE_DIRECTORY "/config/examples/town.conf", TOWN_IN_FORCE, (struct instant){time(NULL)}, arena);
  const struct policy *policy = NULL;
  struct diagnostic_list diagnostics;
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  ck_assert_int_eq(policy_read_text("town", text, strlen(text), arena, true, &policy, &diagnostics, &error), 0);
  ck_assert_uint_eq(diagnostics.errors, 0);
  return policy;
}

static const struct flow *timed_flow(const struct policy *policy) {
  for (size_t i = 0; i < policy->flow_count; i++) {
    struct instant until;
    if (policy_flow_force(policy, &policy->flows[i], (struct instant){time(NULL)}, &until) == FORCE_YES &&
        until.seconds != INSTANT_NEVER.seconds) {
      return &policy->flows[i];
    }
  }
  ck_abort_msg("no flow of the town ends");
}

static size_t bring(struct gate *gate, const struct gate_aim *aim) {
  size_t changes = 0;
  memset(&seen, 0, sizeof seen);
  int status = gate_bring(gate, aim, (struct instant){time(NULL)}, arena, &changes, &refusal, &error);
  ck_assert_msg(status == 0, "%s", error.message);
  return changes;
}

static void check_compared(struct gate *gate, const struct gate_aim *aim) {
  const char *what = NULL;
  ck_assert_int_eq(gate_compare(gate, aim, (struct instant){time(NULL)}, arena, &what, &error), 0);
  ck_assert_msg(what == NULL, "%s", what);
}

START_TEST(a_window_that_closes_costs_one_element) {
  struct gate *gate = NULL;
  const struct policy *policy = town();
  struct closed_window closed = {
      .flow = timed_flow(policy)->name, .until = {time(NULL) + 600}, .by = "tester", .why = "test"};
  struct restrictions none = {0}, restrictions = {.closed_windows = &closed, .closed_window_count = 1};
  struct gate_aim open = {.policy = policy, .open = true, .restrictions = &none};
  struct gate_aim shut = {.policy = policy, .open = true, .restrictions = &restrictions};
  ck_assert_msg(gate_new(&gate, &error) == 0, "%s", error.message);
  bring(gate, &open);
  for (unsigned i = 0; i < 6; i++) {
    const struct gate_aim *aim = i % 2 == 0 ? &shut : &open;
    ck_assert_uint_eq(bring(gate, aim), 1);
    ck_assert_uint_eq(seen.batches, 1);
    ck_assert_uint_eq(seen.dumps, 0);
    ck_assert_uint_le(seen.bytes, 512);
    ck_assert_uint_eq(bring(gate, aim), 0);
    ck_assert_uint_eq(seen.batches, 0);
    ck_assert_uint_eq(seen.questions, 1);
    check_compared(gate, aim);
  }
  run("nft add table ip other"); /* the generation moves; once compared, it is ours again */
  check_compared(gate, &open);
  ck_assert_uint_eq(bring(gate, &shut), 1);
  ck_assert_uint_eq(seen.dumps, 0);
  run("nft flush ruleset");
  bring(gate, &shut);
  check_compared(gate, &shut);
  gate_free(gate);
}
END_TEST

START_TEST(after_a_policy_that_was_refused_the_old_one_is_followed_still) {
  struct gate *gate = NULL;
  struct gate_aim aim = {.policy = town(), .open = true};
  ck_assert_msg(gate_new(&gate, &error) == 0, "%s", error.message);
  bring(gate, &aim);
  char *other_text = town_text(KIDO_SOURCE_DIRECTORY "/config/examples/town.conf", TOWN_DUAL_STACK | TOWN_IN_FORCE,
                               (struct instant){time(NULL)}, arena);
  const struct policy *other = NULL;
  struct diagnostic_list diagnostics;
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  ck_assert_int_eq(policy_read_text("town", other_text, strlen(other_text), arena, true, &other, &diagnostics, &error),
                   0);
  struct gate_aim next = {.policy = other, .open = true};
  plan.refused_batch = 2; /* the first transaction has gone through */
  plan.refusals = 2;      /* by memory, and by reading */
  ck_assert_int_lt(gate_bring(gate, &next, (struct instant){time(NULL)}, arena, NULL, &refusal, &error), 0);
  ck_assert_uint_eq(plan.refusals, 0);
  check_compared(gate, &aim);
  ck_assert_uint_eq(bring(gate, &aim), 0);
  bring(gate, &next);
  check_compared(gate, &next);
  gate_free(gate);
}
END_TEST

static Suite *suite(void) {
  Suite *whole = suite_create("change");
  TCase *tests = tcase_create("change");
  tcase_add_checked_fixture(tests, enter, leave);
  tcase_set_timeout(tests, 120);
  tcase_add_loop_test(tests, a_change_sends_and_reads_back_no_more_than_itself, 0, 2);
  tcase_add_test(tests, a_change_of_everything_at_once_is_right);
  tcase_add_test(tests, a_thousand_elements_at_once_are_read_back_with_their_set);
  tcase_add_test(tests, rules_of_a_changed_chain_are_read_back);
  tcase_add_test(tests, a_no_op_asks_for_the_generation_and_nothing_else);
  tcase_add_test(tests, a_hundred_changes_in_a_row_are_all_made_by_memory);
  tcase_add_test(tests, after_a_change_by_others_all_is_read_once);
  tcase_add_test(tests, a_change_by_others_in_between_is_not_written_over_blindly);
  tcase_add_test(tests, what_was_forgotten_is_read);
  tcase_add_test(tests, what_cannot_be_remembered_is_not_taken_for_what_was_there_before);
  tcase_add_test(tests, after_a_step_of_the_clock_ends_are_put_right);
  tcase_add_test(tests, a_counter_survives_a_change_of_the_end_and_of_the_comment);
  tcase_add_test(tests, what_ended_by_itself_is_neither_deleted_nor_missed);
  tcase_add_test(tests, an_element_that_ends_before_it_is_taken_out_does_not_stop_the_others);
  tcase_add_test(tests, an_element_about_to_end_is_prolonged);
  tcase_add_test(tests, an_element_that_ended_comes_back);
  tcase_add_loop_test(tests, what_goes_wrong_once_ends_in_the_right_state, 0,
                      sizeof passing_faults / sizeof passing_faults[0]);
  tcase_add_test(tests, a_refusal_whose_answer_is_lost_is_not_taken_for_success);
  tcase_add_test(tests, of_two_elements_with_one_key_the_second_is_named);
  tcase_add_test(tests, a_set_that_is_too_small_is_named);
  tcase_add_test(tests, who_listens_is_spared_our_large_changes_and_hears_the_others);
  tcase_add_test(tests, what_others_change_meanwhile_is_told_as_missed);
  tcase_add_test(tests, asking_for_ownership_leaves_nothing_behind);
  tcase_add_test(tests, what_others_do_to_an_owned_table_is_refused);
  tcase_add_loop_test(tests, without_an_owner_it_is_undone, 0, sizeof tampering / sizeof tampering[0]);
  tcase_add_test(tests, a_table_outlives_its_owner_and_the_next_one_takes_it_over);
  tcase_add_test(tests, a_table_without_an_owner_is_made_anew_to_be_owned);
  tcase_add_test(tests, a_window_that_closes_costs_one_element);
  tcase_add_test(tests, after_a_policy_that_was_refused_the_old_one_is_followed_still);
  suite_add_tcase(whole, tests);
  TCase *large = tcase_create("large"); /* what takes minutes on an emulated processor */
  tcase_add_checked_fixture(large, enter, leave);
  tcase_set_timeout(large, 120);
  tcase_add_loop_test(large, a_change_sends_and_reads_back_no_more_than_itself, 2, 3);
  tcase_add_test(large, of_forty_thousand_rules_the_seventeenth_is_named);
  tcase_add_loop_test(large, of_forty_thousand_refusals_the_first_is_named, 0, 2);
  tcase_add_test(large, a_batch_that_no_buffer_takes_changes_nothing);
  suite_add_tcase(whole, large);
  return whole;
}

int main(void) {
  if (geteuid() != 0) {
    puts("root is needed");
    return 77;
  }
  SRunner *runner = srunner_create(suite());
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
