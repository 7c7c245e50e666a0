/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>

#include "kernel/nftables_parse.h"
#include "kernel/nftables_parts.h"

/*
 * Theory of operation.
 *
 * What a difference touched is read back, and nothing else: single elements by their keys, rules of the chains that
 * changed, new sets as a whole, and what should be gone. The answers become a ruleset of parts, and this is compared
 * with the same parts of what is wanted. Each answer carries half of the generation, and the whole is asked at the end:
 * when it is what our own commits have made of the one that we knew, nobody else has changed anything meanwhile, and
 * what was not touched is as it was.
 *
 * Interval sets are read as a whole: asked for a key, the kernel answers with whatever covers it.
 */
enum {
  CHUNK_REQUESTS = 16, /* an answer takes up to 8 KiB of a receive buffer that may have 200 only */
  SINGLES_LIMIT = 256, /* more elements of one set than this, and more than */
  SINGLES_SHARE = 8,   /* one in so many of it: the set is read as a whole */
  REQUEST_ROOM = 1024,
};

/* One request, and what must come of it. */
struct expectation {
  size_t offset; /* of the request */
  bool absent;
  const struct element *element; /* a present one may have ended by itself */
  bool met;
};

struct touched_set {
  bool touched, whole;
  const struct element **elements; /* of wanted */
  size_t count, capacity;
};

struct confirmation {
  struct netlink *netlink;
  const struct ruleset *wanted;
  struct arena *arena;
  struct error *error;
  int64_t now;
  int marker;
  struct touched_set *sets; /* by index in wanted */
  bool *chains, *counters;
  char *requests;
  size_t length, room;
  struct expectation *expectations;
  size_t count, capacity;
  struct netlink_answer answer;
};

static int no_memory(const struct confirmation *confirmation) {
  return error_set(confirmation->error, ENOMEM, "no memory to read back what was sent");
}

/* ---- requests ---- */

static struct nlmsghdr *open_request(struct confirmation *confirmation, enum nf_tables_msg_types type,
                                     struct expectation expectation) {
  if (confirmation->room - confirmation->length < REQUEST_ROOM) {
    size_t room = confirmation->room * 2 + (size_t)CHUNK_REQUESTS * REQUEST_ROOM;
    char *requests = realloc(confirmation->requests, room);
    if (requests == NULL) {
      return NULL;
    }
    confirmation->requests = requests;
    confirmation->room = room;
  }
  if (arena_grow(confirmation->arena, (void **)&confirmation->expectations, confirmation->count,
                 &confirmation->capacity, sizeof(struct expectation)) < 0) {
    return NULL;
  }
  expectation.offset = confirmation->length;
  confirmation->expectations[confirmation->count++] = expectation;
  struct nlmsghdr *request = mnl_nlmsg_put_header(confirmation->requests + confirmation->length);
  request->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
  struct nfgenmsg *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
  header->nfgen_family = NFPROTO_INET;
  header->version = NFNETLINK_V0;
  return request;
}

static void close_request(struct confirmation *confirmation, const struct nlmsghdr *request) {
  confirmation->length += NLMSG_ALIGN(request->nlmsg_len);
}

/* name NULL: the table itself. */
static int ask_for(struct confirmation *confirmation, enum nf_tables_msg_types type, const char *name, bool absent) {
  struct nlmsghdr *request = open_request(confirmation, type, (struct expectation){.absent = absent});
  if (request == NULL) {
    return no_memory(confirmation);
  }
  /* Tables, chains, sets and objects alike: the first attribute is the table, the second the name. */
  mnl_attr_put_strz(request, NFTA_TABLE_NAME, confirmation->wanted->table);
  if (name != NULL) {
    mnl_attr_put_strz(request, type == NFT_MSG_GETCHAIN ? NFTA_CHAIN_NAME : NFTA_SET_NAME, name);
  }
  if (type == NFT_MSG_GETOBJ) {
    mnl_attr_put_u32(request, NFTA_OBJ_TYPE, htonl(NFT_OBJECT_COUNTER));
  }
  close_request(confirmation, request);
  return 0;
}

_Static_assert((int)NFTA_TABLE_NAME == (int)NFTA_SET_TABLE && (int)NFTA_SET_TABLE == (int)NFTA_OBJ_TABLE &&
                   (int)NFTA_OBJ_TABLE == (int)NFTA_CHAIN_TABLE && (int)NFTA_SET_NAME == (int)NFTA_OBJ_NAME,
               "ask_for() writes them alike");

static int ask_for_element(struct confirmation *confirmation, const struct set *set, const struct element *element,
                           bool absent) {
  struct nlmsghdr *request =
      open_request(confirmation, NFT_MSG_GETSETELEM, (struct expectation){.absent = absent, .element = element});
  if (request == NULL) {
    return no_memory(confirmation);
  }
  mnl_attr_put_strz(request, NFTA_SET_ELEM_LIST_TABLE, confirmation->wanted->table);
  mnl_attr_put_strz(request, NFTA_SET_ELEM_LIST_SET, set->name);
  struct nlattr *list = mnl_attr_nest_start(request, NFTA_SET_ELEM_LIST_ELEMENTS);
  struct nlattr *item = mnl_attr_nest_start(request, NFTA_LIST_ELEM);
  struct nlattr *key = mnl_attr_nest_start(request, NFTA_SET_ELEM_KEY);
  mnl_attr_put(request, NFTA_DATA_VALUE, set->key_size, element->key);
  mnl_attr_nest_end(request, key);
  mnl_attr_nest_end(request, item);
  mnl_attr_nest_end(request, list);
  close_request(confirmation, request);
  return 0;
}

/* Whether the end of an element is so near, or so long ago, that it may be in the kernel or not. */
static bool may_have_ended(const struct element *element, int64_t now) {
  return element->expires.seconds - RULESET_END_TOLERANCE <= now / 1000;
}

static int check_codes(const struct confirmation *confirmation, struct expectation *expectations, const int *codes,
                       size_t count) {
  for (size_t i = 0; i < count; i++) {
    struct expectation *expectation = &expectations[i];
    expectation->met = codes[i] == 0;
    bool ended =
        !expectation->absent && expectation->element != NULL && may_have_ended(expectation->element, confirmation->now);
    if (codes[i] == (expectation->absent ? -ENOENT : 0) || (ended && codes[i] == -ENOENT)) {
      continue;
    }
    return error_set(confirmation->error, EAGAIN, "the kernel does not hold what was sent: %s",
                     codes[i] == 0 ? "something that was removed is still there" : strerror(-codes[i]));
  }
  return 0;
}

static int fetch_all(struct confirmation *confirmation) {
  int status = 0;
  for (size_t i = 0; status == 0 && i < confirmation->count; i += CHUNK_REQUESTS) {
    size_t left = confirmation->count - i;
    size_t count = left < CHUNK_REQUESTS ? left : CHUNK_REQUESTS;
    int codes[CHUNK_REQUESTS];
    status = netlink_request_many(confirmation->netlink, confirmation->requests + confirmation->expectations[i].offset,
                                  count, confirmation->marker, codes, &confirmation->answer, confirmation->error);
    if (status == 0) {
      status = check_codes(confirmation, &confirmation->expectations[i], codes, count);
    }
  }
  return status;
}

/* ---- what was touched ---- */

/* NULL when it is not wanted any more. */
static struct touched_set *touched_set_of(const struct confirmation *confirmation, const struct set *set) {
  const struct set *found = ruleset_find_set(confirmation->wanted, set->name);
  return found == NULL ? NULL : &confirmation->sets[found - confirmation->wanted->sets];
}

static int compare_keys(const void *left, const void *right, void *set) {
  return element_compare_keys(set, left, right);
}

static int touch_element(struct confirmation *confirmation, struct touched_set *touched, const struct operation *from,
                         const struct element *element) {
  const struct set *set = ruleset_find_set(confirmation->wanted, from->set->name);
  const struct element *wanted = set_find(set, element);
  if (wanted == NULL) {
    return ask_for_element(confirmation, set, element, true);
  }
  if (from->kind == OPERATION_DELETE_ELEMENTS) {
    return 0; /* it was put in again */
  }
  if (arena_grow(confirmation->arena, (void **)&touched->elements, touched->count, &touched->capacity,
                 sizeof(const struct element *)) < 0) {
    return no_memory(confirmation);
  }
  touched->elements[touched->count++] = wanted;
  return 0;
}

static bool too_many_for_singles(const struct operation *operation) {
  return operation->element_count > SINGLES_LIMIT &&
         operation->element_count > operation->set->element_count / SINGLES_SHARE;
}

static int touch_elements(struct confirmation *confirmation, const struct operation *operation) {
  struct touched_set *touched = touched_set_of(confirmation, operation->set);
  if (touched == NULL) {
    return 0; /* the set itself is looked for */
  }
  touched->touched = true;
  touched->whole = touched->whole || operation->set->interval || too_many_for_singles(operation);
  int status = 0;
  for (size_t i = 0; status == 0 && !touched->whole && i < operation->element_count; i++) {
    status = touch_element(confirmation, touched, operation, operation->elements[i]);
  }
  return status;
}

static int touch_chain(struct confirmation *confirmation, const struct chain *chain) {
  const struct chain *found = ruleset_find_chain(confirmation->wanted, chain->name);
  if (found != NULL) {
    confirmation->chains[found - confirmation->wanted->chains] = true;
  }
  return 0;
}

static int touch(struct confirmation *confirmation, const struct operation *operation) {
  switch (operation->kind) {
  case OPERATION_ADD_COUNTER:
    confirmation->counters[ruleset_find_counter(confirmation->wanted, operation->counter->name) -
                           confirmation->wanted->counters] = true;
    return 0;
  case OPERATION_DELETE_COUNTER:
    return ask_for(confirmation, NFT_MSG_GETOBJ, operation->counter->name, true);
  case OPERATION_ADD_SET:
    *touched_set_of(confirmation, operation->set) = (struct touched_set){.touched = true, .whole = true};
    return 0;
  case OPERATION_DELETE_SET:
    return ask_for(confirmation, NFT_MSG_GETSET, operation->set->name, true);
  case OPERATION_ADD_ELEMENTS:
  case OPERATION_DELETE_ELEMENTS:
    return touch_elements(confirmation, operation);
  case OPERATION_ADD_CHAIN:
  case OPERATION_ADD_RULE:
  case OPERATION_FLUSH_CHAIN:
    return touch_chain(confirmation, operation->chain);
  case OPERATION_DELETE_CHAIN:
    return ask_for(confirmation, NFT_MSG_GETCHAIN, operation->chain->name, true);
  default:
    return error_set(confirmation->error, EAGAIN, "the table was made anew: it is read as a whole");
  }
}

static int touch_all(struct confirmation *confirmation, const struct delta *delta) {
  const struct ruleset *wanted = confirmation->wanted;
  confirmation->sets = ARENA_ARRAY(confirmation->arena, wanted->set_count + 1, struct touched_set);
  confirmation->chains = ARENA_ARRAY(confirmation->arena, wanted->chain_count + 1, bool);
  confirmation->counters = ARENA_ARRAY(confirmation->arena, wanted->counter_count + 1, bool);
  if (arena_failed(confirmation->arena)) {
    return no_memory(confirmation);
  }
  int status = ask_for(confirmation, NFT_MSG_GETTABLE, NULL, false);
  for (unsigned phase = 0; phase < PHASE_COUNT_; phase++) {
    const struct phase_operations *operations = &delta->phases[phase];
    for (size_t i = 0; status == 0 && i < operations->count; i++) {
      status = touch(confirmation, &operations->items[i]);
    }
  }
  return status;
}

/* ---- reading ---- */

static int ask_for_touched(struct confirmation *confirmation) {
  const struct ruleset *wanted = confirmation->wanted;
  int status = 0;
  for (size_t i = 0; status == 0 && i < wanted->chain_count; i++) {
    if (confirmation->chains[i]) {
      status = ask_for(confirmation, NFT_MSG_GETCHAIN, wanted->chains[i].name, false);
    }
  }
  for (size_t i = 0; status == 0 && i < wanted->counter_count; i++) {
    if (confirmation->counters[i]) {
      status = ask_for(confirmation, NFT_MSG_GETOBJ, wanted->counters[i].name, false);
    }
  }
  for (size_t i = 0; status == 0 && i < wanted->set_count; i++) {
    const struct touched_set *touched = &confirmation->sets[i];
    if (touched->touched) {
      status = ask_for(confirmation, NFT_MSG_GETSET, wanted->sets[i].name, false);
    }
    for (size_t j = 0; status == 0 && !touched->whole && j < touched->count; j++) {
      status = ask_for_element(confirmation, &wanted->sets[i], touched->elements[j], false);
    }
  }
  return status;
}

static int dump(struct confirmation *confirmation, enum nf_tables_msg_types type, const char *name) {
  /* Rules and elements alike: the first attribute is the table, the second the chain or set. */
  const struct request_name names[2] = {{NFTA_RULE_TABLE, confirmation->wanted->table}, {NFTA_RULE_CHAIN, name}};
  return nftables_ask(confirmation->netlink, type, NLM_F_DUMP, NFPROTO_INET, names, confirmation->marker,
                      &confirmation->answer, confirmation->error);
}

_Static_assert((int)NFTA_RULE_TABLE == (int)NFTA_SET_ELEM_LIST_TABLE &&
                   (int)NFTA_RULE_CHAIN == (int)NFTA_SET_ELEM_LIST_SET,
               "dump() writes them alike");

static int dump_touched(struct confirmation *confirmation) {
  const struct ruleset *wanted = confirmation->wanted;
  int status = 0;
  for (size_t i = 0; status == 0 && i < wanted->chain_count; i++) {
    if (confirmation->chains[i]) {
      status = dump(confirmation, NFT_MSG_GETRULE, wanted->chains[i].name);
    }
  }
  for (size_t i = 0; status == 0 && i < wanted->set_count; i++) {
    if (confirmation->sets[i].whole && !wanted->sets[i].dynamic) {
      status = dump(confirmation, NFT_MSG_GETSETELEM, wanted->sets[i].name);
    }
  }
  return status;
}

/* ---- comparing ---- */

/* Single elements that the kernel still had. */
static int part_of_set(const struct confirmation *confirmation, const struct touched_set *touched, struct set *part) {
  part->elements = ARENA_ARRAY(confirmation->arena, touched->count, struct element);
  if (part->elements == NULL && touched->count > 0) {
    return -ENOMEM;
  }
  part->element_count = 0;
  for (size_t i = 0; i < touched->count; i++) {
    part->elements[part->element_count++] = *touched->elements[i];
  }
  if (part->element_count > 0) {
    qsort_r(part->elements, part->element_count, sizeof(*part->elements), compare_keys, part);
  }
  return 0;
}

/* Takes out the elements that had ended when they were asked for. */
static void leave_out_ended(const struct confirmation *confirmation, struct set *part) {
  size_t kept = 0;
  for (size_t i = 0; i < part->element_count; i++) {
    bool missed = false;
    for (size_t j = 0; !missed && j < confirmation->count; j++) {
      const struct expectation *expectation = &confirmation->expectations[j];
      missed = !expectation->absent && !expectation->met && expectation->element != NULL &&
               memcmp(expectation->element->key, part->elements[i].key, sizeof(part->elements[i].key)) == 0;
    }
    if (!missed) {
      part->elements[kept++] = part->elements[i];
    }
  }
  part->element_count = kept;
}

static bool any_ended(const struct confirmation *confirmation) {
  for (size_t i = 0; i < confirmation->count; i++) {
    if (!confirmation->expectations[i].absent && !confirmation->expectations[i].met) {
      return true;
    }
  }
  return false;
}

static int wanted_parts(const struct confirmation *confirmation, struct ruleset *part) {
  const struct ruleset *wanted = confirmation->wanted;
  *part = (struct ruleset){.table = wanted->table, .present = true};
  part->sets = ARENA_ARRAY(confirmation->arena, wanted->set_count, struct set);
  part->chains = ARENA_ARRAY(confirmation->arena, wanted->chain_count, struct chain);
  part->counters = ARENA_ARRAY(confirmation->arena, wanted->counter_count, struct counter);
  if (arena_failed(confirmation->arena)) {
    return -ENOMEM;
  }
  bool ended = any_ended(confirmation);
  for (size_t i = 0; i < wanted->set_count; i++) {
    const struct touched_set *touched = &confirmation->sets[i];
    if (!touched->touched) {
      continue;
    }
    struct set *set = &part->sets[part->set_count++];
    *set = wanted->sets[i];
    if (!touched->whole && part_of_set(confirmation, touched, set) < 0) {
      return -ENOMEM;
    }
    if (!touched->whole && ended) {
      leave_out_ended(confirmation, set);
    }
  }
  for (size_t i = 0; i < wanted->chain_count; i++) {
    if (confirmation->chains[i]) {
      part->chains[part->chain_count++] = wanted->chains[i];
    }
  }
  for (size_t i = 0; i < wanted->counter_count; i++) {
    if (confirmation->counters[i]) {
      part->counters[part->counter_count++] = wanted->counters[i];
    }
  }
  return 0;
}

static int parse_answer(const struct confirmation *confirmation, struct ruleset **ret_found) {
  struct nftables_parser *parser =
      nftables_parser_new(confirmation->arena, confirmation->wanted->table, confirmation->now);
  if (parser == NULL) {
    return no_memory(confirmation);
  }
  int status =
      nftables_parser_feed(parser, confirmation->answer.data, confirmation->answer.length, confirmation->error);
  return status < 0 ? status : nftables_parser_finish(parser, 0, ret_found, confirmation->error);
}

static int compare_parts(const struct confirmation *confirmation) {
  struct ruleset *found = NULL;
  struct ruleset part;
  const char *what = NULL;
  int status = parse_answer(confirmation, &found);
  if (status < 0) {
    return status;
  }
  if (wanted_parts(confirmation, &part) < 0) {
    return no_memory(confirmation);
  }
  if (!ruleset_equal(found, &part, confirmation->arena, &what)) {
    return error_set(confirmation->error, EAGAIN, "the kernel does not hold what was sent: %s",
                     what != NULL ? what : "the table is gone");
  }
  return 0;
}

static int check_generation(const struct confirmation *confirmation, uint32_t wanted) {
  uint32_t generation = 0;
  int status = nftables_ask_generation(confirmation->netlink, &generation, confirmation->error);
  if (status == 0 && generation != wanted) {
    return error_set(confirmation->error, EAGAIN, "the kernel's ruleset changed while it was read back");
  }
  return status;
}

/* ---- counters that go on ---- */

static int ask_for_carried(struct confirmation *confirmation, const struct delta *delta) {
  int status = ask_for(confirmation, NFT_MSG_GETTABLE, NULL, false);
  for (size_t i = 0; status == 0 && i < delta->carried_count; i++) {
    const struct carried_counter *carried = &delta->carried[i];
    if (i == 0 || carried->set != delta->carried[i - 1].set) {
      status = ask_for(confirmation, NFT_MSG_GETSET, carried->set->name, false);
    }
    if (status == 0) {
      status = ask_for_element(confirmation, carried->set, carried->element, false);
    }
  }
  return status;
}

static int take_counters(const struct confirmation *confirmation, const struct delta *delta) {
  struct ruleset *found = NULL;
  int status = parse_answer(confirmation, &found);
  for (size_t i = 0; status == 0 && i < delta->carried_count; i++) {
    const struct carried_counter *carried = &delta->carried[i];
    const struct set *set = ruleset_find_set(found, carried->set->name);
    const struct element *element = set != NULL ? set_find(set, carried->element) : NULL;
    if (element == NULL) {
      return error_set(confirmation->error, EAGAIN, "an element that was to be changed has ended");
    }
    carried->element->packets = element->packets;
    carried->element->bytes = element->bytes;
  }
  return status;
}

int nftables_read_carried(struct netlink *netlink, const struct delta *delta, const struct ruleset *wanted, int64_t now,
                          uint32_t generation, struct arena *arena, struct error *error) {
  struct confirmation confirmation = {.netlink = netlink,
                                      .wanted = wanted,
                                      .arena = arena,
                                      .error = error,
                                      .now = now,
                                      .marker = (int)(generation & GENERATION_MARK)};
  int status = ask_for_carried(&confirmation, delta);
  if (status == 0) {
    status = fetch_all(&confirmation);
  }
  if (status == 0) {
    status = take_counters(&confirmation, delta);
  }
  netlink_answer_free(&confirmation.answer);
  free(confirmation.requests);
  return status;
}

/* ---- the whole ---- */

static int read_touched(struct confirmation *confirmation, uint32_t generation) {
  int status = ask_for_touched(confirmation);
  if (status == 0) {
    status = fetch_all(confirmation);
  }
  if (status == 0) {
    status = dump_touched(confirmation);
  }
  return status == 0 ? check_generation(confirmation, generation) : status;
}

int nftables_confirm_touched(struct netlink *netlink, const struct delta *delta, const struct ruleset *wanted,
                             int64_t now, uint32_t generation, struct arena *arena, struct error *error) {
  struct confirmation confirmation = {.netlink = netlink,
                                      .wanted = wanted,
                                      .arena = arena,
                                      .error = error,
                                      .now = now,
                                      .marker = (int)(generation & GENERATION_MARK)};
  int status = touch_all(&confirmation, delta);
  if (status == 0) {
    status = read_touched(&confirmation, generation);
  }
  if (status == 0) {
    status = compare_parts(&confirmation);
  }
  netlink_answer_free(&confirmation.answer);
  free(confirmation.requests);
  return status;
}
