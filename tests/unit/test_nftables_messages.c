/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "kernel/nftables_build.h"
#include "kernel/nftables_parse.h"
#include "sample_ruleset.h"

static const struct instant now = {1800000000};

/* Operations that make the whole ruleset from nothing, in an order that the kernel takes. */
struct operations {
  struct operation items[512];
  size_t count;
};

static void push(struct operations *operations, struct operation operation) {
  ck_assert_uint_lt(operations->count, sizeof(operations->items) / sizeof(operations->items[0]));
  operations->items[operations->count++] = operation;
}

static const struct element **element_pointers(struct arena *arena, const struct set *set) {
  const struct element **pointers = ARENA_ARRAY(arena, set->element_count + 1, const struct element *);
  for (size_t i = 0; i < set->element_count; i++) {
    pointers[i] = &set->elements[i];
  }
  return pointers;
}

static void list_operations(struct arena *arena, const struct ruleset *ruleset, struct operations *operations) {
  operations->count = 0;
  push(operations, (struct operation){.kind = OPERATION_ADD_TABLE});
  for (size_t i = 0; i < ruleset->counter_count; i++) {
    push(operations, (struct operation){.kind = OPERATION_ADD_COUNTER, .counter = &ruleset->counters[i]});
  }
  for (size_t i = 0; i < ruleset->chain_count; i++) {
    push(operations, (struct operation){.kind = OPERATION_ADD_CHAIN, .chain = &ruleset->chains[i]});
  }
  for (size_t i = 0; i < ruleset->set_count; i++) {
    const struct set *set = &ruleset->sets[i];
    push(operations, (struct operation){.kind = OPERATION_ADD_SET, .set = set});
    if (set->element_count > 0) {
      push(operations, (struct operation){.kind = OPERATION_ADD_ELEMENTS,
                                          .set = set,
                                          .elements = element_pointers(arena, set),
                                          .element_count = set->element_count});
    }
  }
  for (size_t i = 0; i < ruleset->chain_count; i++) {
    const struct chain *chain = &ruleset->chains[i];
    for (size_t j = 0; j < chain->rule_count; j++) {
      push(operations, (struct operation){.kind = OPERATION_ADD_RULE, .chain = chain, .rule = &chain->rules[j]});
    }
  }
}

static void build(const struct operations *operations, struct nftables_batch *batch) {
  struct error error = {0};
  ck_assert_int_eq(nftables_batch_begin(batch, "kido", now.seconds * 1000, 0, 1, &error), 0);
  for (size_t i = 0; i < operations->count; i++) {
    ck_assert_msg(nftables_batch_add(batch, &operations->items[i], &error) == 0, "%s", error.message);
  }
  ck_assert_int_eq(nftables_batch_end(batch, &error), 0);
}

static int parse(const void *data, size_t length, struct arena *arena, struct ruleset **ret_ruleset) {
  struct nftables_parser *parser = nftables_parser_new(arena, "kido", now.seconds * 1000);
  ck_assert_ptr_nonnull(parser);
  int status = nftables_parser_feed(parser, data, length, NULL);
  return status == 0 ? nftables_parser_finish(parser, 7, ret_ruleset, NULL) : status;
}

static struct arena *arena;
static struct operations operations;
static struct nftables_batch batch;

static void setup(void) {
  arena = arena_new(0);
}

static void teardown(void) {
  nftables_batch_free(&batch);
  arena_free(arena);
}

START_TEST(what_is_built_reads_back_as_the_same_ruleset) {
  struct ruleset *wanted = sample_ruleset(arena, now);
  struct ruleset *found = NULL;
  const char *what = "";
  list_operations(arena, wanted, &operations);
  build(&operations, &batch);
  ck_assert_int_eq(parse(batch.data, batch.length, arena, &found), 0);
  ck_assert(found->present);
  ck_assert_uint_eq(found->generation, 7);
  ck_assert_msg(ruleset_equal(found, wanted, arena, &what), "%s", what);
}
END_TEST

/* Each case is one change that makes the same bytes mean something else; the comparison must see it. */
static void widen_interval(struct ruleset *ruleset) {
  sample_find_set(ruleset, "source4.a")->elements[1].key_end[3]++;
}

static void change_mark(struct ruleset *ruleset) {
  sample_find_set(ruleset, "exact4")->elements[0].mark++;
}

static void change_comment(struct ruleset *ruleset) {
  sample_find_set(ruleset, "in_force.a.b")->elements[0].comment = "F-9";
}

static void lengthen_timeout(struct ruleset *ruleset) {
  struct element *element = &sample_find_set(ruleset, "in_force.a.b")->elements[1];
  element->expires.seconds += 5;
}

static void flip_verdict(struct ruleset *ruleset) {
  sample_find_set(ruleset, "receiving")->elements[0].verdict = (struct verdict){VERDICT_ACCEPT, NULL};
}

static void open_policy(struct ruleset *ruleset) {
  sample_find_chain(ruleset, "forward")->policy_drop = false;
}

static void move_rule(struct ruleset *ruleset) {
  struct chain *chain = sample_find_chain(ruleset, "various");
  struct rule first = chain->rules[0];
  chain->rules[0] = chain->rules[1];
  chain->rules[1] = first;
}

static void invert_lookup(struct ruleset *ruleset) {
  struct rule *rule = &sample_find_chain(ruleset, "pair.a.b")->rules[0];
  rule->expressions[1].invert = true;
}

static void (*const changes[])(struct ruleset *ruleset) = {
    widen_interval, change_mark, change_comment, lengthen_timeout, flip_verdict, open_policy, move_rule, invert_lookup};

START_TEST(a_single_change_is_seen_after_reading_back) {
  struct ruleset *wanted = sample_ruleset(arena, now);
  struct ruleset *changed = sample_ruleset(arena, now);
  struct ruleset *found = NULL;
  const char *what = "";
  changes[_i](changed);
  list_operations(arena, changed, &operations);
  build(&operations, &batch);
  ck_assert_int_eq(parse(batch.data, batch.length, arena, &found), 0);
  ck_assert(!ruleset_equal(found, wanted, arena, &what));
}
END_TEST

START_TEST(elements_are_split_over_messages_and_each_is_found_again) {
  enum { COUNT = 20000 };
  struct ruleset *large = sample_large_ruleset(arena, COUNT);
  struct set *set = &large->sets[0];
  struct ruleset *found = NULL;
  const char *what = "";
  list_operations(arena, large, &operations);
  build(&operations, &batch);
  ck_assert_uint_gt(batch.message_count, operations.count + 5);
  for (size_t i = 0; i + 1 < batch.message_count; i++) {
    ck_assert_uint_le(batch.messages[i + 1].offset - batch.messages[i].offset, 65535);
  }
  ck_assert_int_eq(parse(batch.data, batch.length, arena, &found), 0);
  ck_assert_msg(ruleset_equal(found, large, arena, &what), "%s", what);
  ck_assert_uint_eq(found->sets[0].element_count, set->element_count);
}
END_TEST

/* As when a hash table grows while it is listed. */
START_TEST(an_element_that_is_listed_twice_is_one) {
  struct ruleset *large = sample_large_ruleset(arena, 5000);
  struct ruleset *found = NULL;
  const char *what = "";
  list_operations(arena, large, &operations);
  build(&operations, &batch);
  struct nftables_parser *parser = nftables_parser_new(arena, "kido", now.seconds * 1000);
  ck_assert_int_eq(nftables_parser_feed(parser, batch.data, batch.length, NULL), 0);
  size_t repeated = 0;
  for (size_t i = 0; i + 1 < batch.message_count; i++) {
    const struct nlmsghdr *message = (const void *)((const char *)batch.data + batch.messages[i].offset);
    if ((message->nlmsg_type & 0xff) == NFT_MSG_NEWSETELEM) {
      ck_assert_int_eq(nftables_parser_feed(parser, message, message->nlmsg_len, NULL), 0);
      repeated++;
    }
  }
  ck_assert_uint_gt(repeated, 0);
  ck_assert_int_eq(nftables_parser_finish(parser, 7, &found, NULL), 0);
  ck_assert_msg(ruleset_equal(found, large, arena, &what), "%s", what);
}
END_TEST

/* The attribute that the kernel would mind: the n-th start element of the message. */
static uint32_t offset_of_element(const struct nlmsghdr *message, size_t wanted) {
  const struct nlattr *attribute = NULL;
  const struct nlattr *list = NULL;
  for (size_t position = NLMSG_HDRLEN + sizeof(struct nfgenmsg); position < message->nlmsg_len;
       position += (attribute->nla_len + 3U) & ~3U) {
    attribute = (const struct nlattr *)(const void *)((const char *)message + position);
    if (mnl_attr_get_type(attribute) == NFTA_SET_ELEM_LIST_ELEMENTS) {
      list = attribute;
    }
  }
  ck_assert_ptr_nonnull(list);
  const char *place = mnl_attr_get_payload(list);
  for (size_t i = 0; i < wanted; i++) {
    place += (((const struct nlattr *)(const void *)place)->nla_len + 3U) & ~3U;
  }
  return (uint32_t)(place - (const char *)message);
}

START_TEST(blame_falls_on_the_operation_and_element_of_a_message) {
  struct ruleset *ruleset = sample_ruleset(arena, now);
  struct batch_blame blame;
  list_operations(arena, ruleset, &operations);
  build(&operations, &batch);
  ck_assert(!nftables_batch_find(&batch, batch.first_sequence, 0, &blame)); /* the batch itself */
  ck_assert(!nftables_batch_find(&batch, batch.first_sequence + 100000, 0, &blame));
  size_t checked = 0;
  for (size_t i = 0; i < batch.message_count; i++) {
    const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)(batch.data + batch.messages[i].offset);
    ck_assert(nftables_batch_find(&batch, message->nlmsg_seq, 0, &blame));
    ck_assert_ptr_eq(blame.operation, batch.messages[i].operation);
    ck_assert_ptr_null(blame.element);
    if (blame.operation->kind == OPERATION_ADD_ELEMENTS && strcmp(blame.operation->set->name, "source4.a") == 0) {
      /* An end at zero, then a start and an end for each interval. */
      ck_assert(nftables_batch_find(&batch, message->nlmsg_seq, offset_of_element(message, 3), &blame));
      ck_assert_ptr_eq(blame.element, &blame.operation->set->elements[1]);
      ck_assert(nftables_batch_find(&batch, message->nlmsg_seq, offset_of_element(message, 4), &blame));
      ck_assert_ptr_eq(blame.element, &blame.operation->set->elements[1]);
      checked++;
    }
  }
  ck_assert_uint_eq(checked, 1);
}
END_TEST

START_TEST(only_the_last_message_asks_for_an_acknowledgement) {
  struct ruleset *ruleset = sample_ruleset(arena, now);
  list_operations(arena, ruleset, &operations);
  build(&operations, &batch);
  for (size_t i = 0; i < batch.message_count; i++) {
    const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)(batch.data + batch.messages[i].offset);
    ck_assert_int_eq((message->nlmsg_flags & NLM_F_ACK) != 0, i + 1 == batch.message_count);
  }
}
END_TEST

START_TEST(an_end_that_has_passed_does_not_become_an_element_for_ever) {
  struct ruleset *ruleset = sample_ruleset(arena, (struct instant){now.seconds - 100000000});
  struct ruleset *found = NULL;
  list_operations(arena, ruleset, &operations);
  build(&operations, &batch);
  ck_assert_int_eq(parse(batch.data, batch.length, arena, &found), 0);
  const struct element *element = &sample_find_set(found, "in_force.a.b")->elements[1];
  ck_assert_str_eq(element->comment, "F-2");
  ck_assert_int_le(element->expires.seconds, now.seconds + 1);
}
END_TEST

START_TEST(counters_of_elements_are_carried) {
  struct ruleset *ruleset = sample_ruleset(arena, now);
  struct ruleset *found = NULL;
  struct element *element = &sample_find_set(ruleset, "in_force.a.b")->elements[0];
  element->packets = 3;
  element->bytes = 4000000000000;
  list_operations(arena, ruleset, &operations);
  build(&operations, &batch);
  ck_assert_int_eq(parse(batch.data, batch.length, arena, &found), 0);
  const struct element *read = &sample_find_set(found, "in_force.a.b")->elements[0];
  ck_assert_uint_eq(read->packets, 3);
  ck_assert_uint_eq(read->bytes, 4000000000000);
}
END_TEST

START_TEST(a_comment_that_does_not_fit_is_refused) {
  char comment[400];
  memset(comment, 'x', sizeof(comment) - 1);
  comment[sizeof(comment) - 1] = '\0';
  struct ruleset *ruleset = sample_ruleset(arena, now);
  struct chain chain = *sample_find_chain(ruleset, "forward");
  struct operation operation = {.kind = OPERATION_ADD_CHAIN, .chain = &chain};
  struct error error = {0};
  chain.comment = comment;
  ck_assert_int_eq(nftables_batch_begin(&batch, "kido", 0, 0, 1, &error), 0);
  ck_assert_int_eq(nftables_batch_add(&batch, &operation, &error), -E2BIG);
  ck_assert_int_ne(error.code, 0);
}
END_TEST

START_TEST(a_foreign_expression_cannot_be_sent) {
  struct expression expression = {.kind = EXPRESSION_FOREIGN, .name = "queue"};
  struct rule rule = {.expressions = &expression, .expression_count = 1};
  struct chain chain = {.name = "forward"};
  struct operation operation = {.kind = OPERATION_ADD_RULE, .chain = &chain, .rule = &rule};
  ck_assert_int_eq(nftables_batch_begin(&batch, "kido", 0, 0, 1, NULL), 0);
  ck_assert_int_eq(nftables_batch_add(&batch, &operation, NULL), -EINVAL);
}
END_TEST

/* ---- hostile bytes ---- */

/* A copy of exactly that many bytes, so that the sanitizer sees any read behind them. */
static int parse_copy(const char *data, size_t length) {
  char *copy = malloc(length > 0 ? length : 1);
  memcpy(copy, data, length);
  struct arena *own = arena_new(64 << 20);
  struct ruleset *found = NULL;
  int status = parse(copy, length, own, &found);
  arena_free(own);
  free(copy);
  return status;
}

START_TEST(truncated_messages_never_crash) {
  struct ruleset *ruleset = sample_ruleset(arena, now);
  list_operations(arena, ruleset, &operations);
  build(&operations, &batch);
  for (size_t length = 0; length < batch.length; length += length < 400 ? 1 : 37) {
    parse_copy(batch.data, length);
  }
}
END_TEST

static uint32_t dice(uint32_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 17;
  *state ^= *state << 5;
  return *state;
}

START_TEST(mutated_messages_never_crash) {
  struct ruleset *ruleset = sample_ruleset(arena, now);
  list_operations(arena, ruleset, &operations);
  build(&operations, &batch);
  uint32_t state = 20261122;
  char *mutant = malloc(batch.length);
  unsigned refused = 0;
  for (unsigned round = 0; round < 1500; round++) {
    memcpy(mutant, batch.data, batch.length);
    for (unsigned i = 0; i <= round % 4; i++) {
      mutant[dice(&state) % batch.length] ^= (char)(1U << dice(&state) % 8);
    }
    refused += parse_copy(mutant, batch.length) < 0;
  }
  free(mutant);
  ck_assert_uint_gt(refused, 0);
}
END_TEST

/* Every byte of the small messages in turn set to values that lengths and types mind. */
START_TEST(every_byte_may_be_anything_without_a_crash) {
  static const char values[] = {0, 1, 3, 4, 0x7f, (char)0x80, (char)0xff};
  struct ruleset *ruleset = sample_ruleset(arena, now);
  list_operations(arena, ruleset, &operations);
  build(&operations, &batch);
  for (size_t i = 0; i < batch.message_count; i++) {
    size_t start = batch.messages[i].offset;
    size_t length = ((const struct nlmsghdr *)(const void *)(batch.data + start))->nlmsg_len;
    for (size_t byte = 0; byte < length && length < 700; byte++) {
      char kept = batch.data[start + byte];
      batch.data[start + byte] = values[(byte + i) % sizeof(values)];
      parse_copy(batch.data + start, length);
      batch.data[start + byte] = kept;
    }
  }
}
END_TEST

/* ---- what our structs cannot say is foreign, never dropped ---- */

static struct nlmsghdr *open_message(char *buffer, uint16_t type) {
  struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
  message->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
  struct nfgenmsg *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
  header->nfgen_family = 1; /* NFPROTO_INET */
  return message;
}

START_TEST(an_expression_with_an_unknown_attribute_is_foreign) {
  _Alignas(8) char buffer[2048] = {0};
  struct nlmsghdr *chain = open_message(buffer, NFT_MSG_NEWCHAIN);
  mnl_attr_put_strz(chain, NFTA_CHAIN_TABLE, "kido");
  mnl_attr_put_strz(chain, NFTA_CHAIN_NAME, "c");
  struct nlmsghdr *rule = open_message(buffer + chain->nlmsg_len, NFT_MSG_NEWRULE);
  mnl_attr_put_strz(rule, NFTA_RULE_TABLE, "kido");
  mnl_attr_put_strz(rule, NFTA_RULE_CHAIN, "c");
  struct nlattr *list = mnl_attr_nest_start(rule, NFTA_RULE_EXPRESSIONS);
  struct nlattr *item = mnl_attr_nest_start(rule, NFTA_LIST_ELEM);
  mnl_attr_put_strz(rule, NFTA_EXPR_NAME, "meta");
  struct nlattr *data = mnl_attr_nest_start(rule, NFTA_EXPR_DATA);
  mnl_attr_put_u32(rule, NFTA_META_KEY, htonl(NFT_META_L4PROTO));
  mnl_attr_put_u32(rule, NFTA_META_DREG, htonl(NFT_REG_1));
  if (_i == 1) {
    mnl_attr_put_u32(rule, 17, 0);
  }
  mnl_attr_nest_end(rule, data);
  mnl_attr_nest_end(rule, item);
  mnl_attr_nest_end(rule, list);
  struct ruleset *found = NULL;
  ck_assert_int_eq(parse(buffer, chain->nlmsg_len + rule->nlmsg_len, arena, &found), 0);
  const struct expression *expression = &sample_find_chain(found, "c")->rules[0].expressions[0];
  ck_assert_int_eq(expression->kind, _i == 1 ? EXPRESSION_FOREIGN : EXPRESSION_META);
}
END_TEST

START_TEST(objects_of_other_kinds_are_counted_as_foreign) {
  _Alignas(8) char buffer[512] = {0};
  struct nlmsghdr *object = open_message(buffer, NFT_MSG_NEWOBJ);
  mnl_attr_put_strz(object, NFTA_OBJ_TABLE, "kido");
  mnl_attr_put_strz(object, NFTA_OBJ_NAME, "quota");
  mnl_attr_put_u32(object, NFTA_OBJ_TYPE, htonl(NFT_OBJECT_QUOTA));
  struct ruleset *found = NULL;
  ck_assert_int_eq(parse(buffer, object->nlmsg_len, arena, &found), 0);
  ck_assert_uint_eq(found->foreign_count, 1);
}
END_TEST

START_TEST(other_tables_are_passed_over) {
  struct ruleset *ruleset = sample_ruleset(arena, now);
  list_operations(arena, ruleset, &operations);
  build(&operations, &batch);
  struct nftables_parser *parser = nftables_parser_new(arena, "other", 0);
  struct ruleset *found = NULL;
  ck_assert_int_eq(nftables_parser_feed(parser, batch.data, batch.length, NULL), 0);
  ck_assert_int_eq(nftables_parser_finish(parser, 1, &found, NULL), 0);
  ck_assert(!found->present);
  ck_assert_uint_eq(found->set_count + found->chain_count + found->counter_count + found->foreign_count, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("nftables_messages");
  TCase *tests = tcase_create("messages");
  tcase_add_checked_fixture(tests, setup, teardown);
  tcase_set_timeout(tests, 120);
  tcase_add_test(tests, what_is_built_reads_back_as_the_same_ruleset);
  tcase_add_loop_test(tests, a_single_change_is_seen_after_reading_back, 0, sizeof(changes) / sizeof(changes[0]));
  tcase_add_test(tests, elements_are_split_over_messages_and_each_is_found_again);
  tcase_add_test(tests, an_element_that_is_listed_twice_is_one);
  tcase_add_test(tests, blame_falls_on_the_operation_and_element_of_a_message);
  tcase_add_test(tests, only_the_last_message_asks_for_an_acknowledgement);
  tcase_add_test(tests, an_end_that_has_passed_does_not_become_an_element_for_ever);
  tcase_add_test(tests, counters_of_elements_are_carried);
  tcase_add_test(tests, a_comment_that_does_not_fit_is_refused);
  tcase_add_test(tests, a_foreign_expression_cannot_be_sent);
  tcase_add_test(tests, truncated_messages_never_crash);
  tcase_add_test(tests, mutated_messages_never_crash);
  tcase_add_test(tests, every_byte_may_be_anything_without_a_crash);
  tcase_add_loop_test(tests, an_expression_with_an_unknown_attribute_is_foreign, 0, 2);
  tcase_add_test(tests, objects_of_other_kinds_are_counted_as_foreign);
  tcase_add_test(tests, other_tables_are_passed_over);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
