/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshots of the running kernel's ruleset, and what the decoder makes of them. Each test forks and moves into a
 * network namespace of its own, which goes with it; nothing outside is touched.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "kernel/netlink.h"
#include "kernel/nftables.h"
#include "kernel/nftables_attributes.h"
#include "kernel/snapshot.h"
#include "live.h"
#include "live_dump.h"
#include "proof/decode.h"
#include "random_policy_text.h"
#include "rules/compile.h"
#include "sample_ruleset.h"
#include "town.h"

#define DIRECTORY KIDO_SOURCE_DIRECTORY "/tests/rulesets"

static struct arena *arena;
static struct error error;
static struct instant now;

static void enter(void) {
  ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
  arena = arena_new(0);
  now.seconds = time(NULL);
}

static void leave(void) {
  arena_free(arena);
}

static struct snapshot snapshot_from(const char *text) {
  struct snapshot snapshot;
  ck_assert_msg(snapshot_of_text(text, strlen(text), arena, &snapshot, &error) == 0, "%s", error.message);
  return snapshot;
}

/* ---- recorded rulesets ---- */

static char *read_text(const char *path) {
  FILE *stream = fopen(path, "r");
  ck_assert_msg(stream != NULL, "there is no %s", path);
  char *text = NULL;
  size_t room = 0;
  ck_assert_int_ge(getdelim(&text, &room, '\0', stream), 0);
  fclose(stream);
  char *copy = arena_strdup(arena, text);
  free(text);
  return copy;
}

static void write_bytes(const char *path, const uint8_t *bytes, size_t length) {
  FILE *stream = fopen(path, "w");
  ck_assert_ptr_nonnull(stream);
  ck_assert_uint_eq(fwrite(bytes, 1, length, stream), length);
  ck_assert_int_eq(fclose(stream), 0);
}

static void record(const char *path, const struct snapshot *snapshot) {
  const uint8_t *bytes = NULL;
  size_t length = 0;
  ck_assert_int_eq(snapshot_write(snapshot, arena, &bytes, &length), 0);
  write_bytes(path, bytes, length);
}

/* The kernel numbers chains without a name over all namespaces. */
static void drop_chain_numbers(char *text) {
  static const char prefix[] = "__chain";
  char *to = text;
  for (const char *from = text; *from != '\0';) {
    size_t step = strncmp(from, prefix, strlen(prefix)) == 0 ? strlen(prefix) : 1;
    memmove(to, from, step);
    to += step;
    from += step;
    from += step > 1 ? strspn(from, "0123456789") : 0;
  }
  *to = '\0';
}

static char *dump_text(const struct live_ruleset *ruleset) {
  char *text = NULL;
  size_t length = 0;
  FILE *stream = open_memstream(&text, &length);
  live_dump(stream, ruleset, arena);
  fclose(stream);
  char *copy = arena_strdup(arena, text);
  free(text);
  drop_chain_numbers(copy);
  return copy;
}

/* The first line that differs, for the message. */
static const char *first_difference(const char *left, const char *right) {
  const char *line = left;
  for (; *left != '\0' && *left == *right; left++, right++) {
    line = *left == '\n' ? left + 1 : line;
  }
  return arena_strndup(arena, line, strcspn(line, "\n"));
}

/* A kernel may lack what a file asks for; what it takes, it tells as the recorded one. */
static void check_text(const char *name) {
  struct snapshot snapshot;
  struct live_ruleset *ruleset = NULL;
  const char *stem = arena_strndup(arena, name, strlen(name) - strlen(".nft"));
  const char *text = read_text(arena_printf(arena, "%s/%s", DIRECTORY, name));
  int status = snapshot_of_text(text, strlen(text), arena, &snapshot, &error);
  if (status < 0) {
    ck_assert_msg(status == -EINVAL && getenv("KIDO_UPDATE_GOLDEN") == NULL, "%s: %s", name, error.message);
    printf("%s: not with this kernel: %s\n", name, error.message);
    return;
  }
  ck_assert_msg(decode_ruleset(&snapshot, arena, &ruleset, &error) == 0, "%s", error.message);
  if (getenv("KIDO_UPDATE_GOLDEN") != NULL) {
    record(arena_printf(arena, "%s/%s.ruleset", DIRECTORY, stem), &snapshot);
    return;
  }
  const struct live_ruleset *recorded = live_from_file(arena_printf(arena, "%s/%s.ruleset", DIRECTORY, stem), arena);
  const char *found = dump_text(ruleset), *wanted = dump_text(recorded);
  ck_assert_msg(strcmp(found, wanted) == 0, "%s: first at '%s'", name, first_difference(found, wanted));
}

START_TEST(what_the_kernel_tells_of_a_text_is_what_was_recorded) {
  DIR *directory = opendir(DIRECTORY);
  ck_assert_ptr_nonnull(directory);
  for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
    const char *end = strrchr(entry->d_name, '.');
    if (end != NULL && strcmp(end, ".nft") == 0) {
      check_text(entry->d_name);
    }
  }
  closedir(directory);
}
END_TEST

/* ---- text ---- */

START_TEST(a_text_touches_nothing_of_the_namespace_of_its_reader) {
  struct stat before, after;
  ck_assert_int_eq(stat("/proc/self/ns/net", &before), 0);
  struct snapshot first, last;
  ck_assert_int_eq(snapshot_take(arena, &first, &error), 0);
  struct snapshot snapshot = snapshot_from("table inet t { chain c { }\n }\n");
  ck_assert_int_eq(snapshot_take(arena, &last, &error), 0);
  ck_assert_int_eq(stat("/proc/self/ns/net", &after), 0);
  ck_assert_uint_eq(before.st_ino, after.st_ino);
  ck_assert_uint_eq(first.generation, last.generation);
  ck_assert_uint_eq(snapshot.network_namespace, 0);
  ck_assert_uint_eq(last.network_namespace, before.st_ino);
  ck_assert_uint_eq(live_from_kernel(arena)->table_count, 0);
}
END_TEST

START_TEST(a_text_that_nft_does_not_take_is_refused_with_its_line) {
  struct snapshot snapshot;
  static const char text[] = "table inet t {\n\tchain c {\n\t\ttcp dport 80000 accept\n\t}\n}\n";
  ck_assert_int_eq(snapshot_of_text(text, strlen(text), arena, &snapshot, &error), -EINVAL);
  ck_assert_msg(strstr(error.message, "line 3:") != NULL, "%s", error.message);
  static const char unknown[] = "table inet t {\n\tchain c {\n\t\tjump elsewhere\n\t}\n}\n";
  ck_assert_int_eq(snapshot_of_text(unknown, strlen(unknown), arena, &snapshot, &error), -EINVAL);
  ck_assert_msg(strstr(error.message, "line 3:") != NULL, "%s", error.message);
}
END_TEST

/* Where user namespaces are not for everybody it says so. */
static void check_as_nobody(void) {
  enum { NOBODY = 65534 };
  struct snapshot snapshot;
  static const char text[] = "table inet t { chain c { }\n }\n";
  if (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0) {
    _exit(2);
  }
  int status = snapshot_of_text(text, strlen(text), arena, &snapshot, &error);
  struct live_ruleset *ruleset = NULL;
  bool good = status == 0 && decode_ruleset(&snapshot, arena, &ruleset, &error) == 0 && ruleset->table_count == 1;
  fprintf(stderr, "%s", good || status == -EPERM ? "" : error.message);
  _exit(good || status == -EPERM ? 0 : 1);
}

START_TEST(a_text_is_read_without_privileges) {
  pid_t pid = fork();
  if (pid == 0) {
    check_as_nobody();
  }
  int status = 0;
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert_int_eq(status, 0);
}
END_TEST

/* Interfaces of another machine. */
START_TEST(a_text_that_needs_interfaces_finds_them) {
  static const char text[] = "table netdev t {\n"
                             "  chain c { type filter hook ingress device \"lan7\" priority 0; policy accept; }\n"
                             "  chain d { type filter hook ingress devices = { lan8, \"lan-9.1\" } priority 0; }\n}\n"
                             "table inet u { chain c { iif \"lan5\" accept\n oif != { lan7, \"lan6\" } drop\n }\n }\n";
  struct live_ruleset *ruleset = live_from_text(text, arena);
  ck_assert_str_eq(live_complaints(ruleset, arena), "");
  const struct live_table *table = live_find_table(ruleset, NFPROTO_NETDEV, "t");
  ck_assert_str_eq(live_find_chain(table, "c")->devices[0], "lan7");
  ck_assert_uint_eq(live_find_chain(table, "d")->device_count, 2);
  ck_assert_uint_eq(live_find_table(ruleset, NFPROTO_INET, "u")->chains[0].rule_count, 2);
}
END_TEST

START_TEST(an_empty_text_is_an_empty_ruleset) {
  struct snapshot snapshot = snapshot_from("");
  struct live_ruleset *ruleset = NULL;
  ck_assert_int_eq(decode_ruleset(&snapshot, arena, &ruleset, &error), 0);
  ck_assert_uint_eq(ruleset->table_count, 0);
}
END_TEST

/* ---- the same as the other reader understands ---- */

static void check_verdict(const struct live_verdict *live, const struct verdict *other) {
  static const enum live_verdict_code codes[] = {
      [VERDICT_NONE] = LIVE_CONTINUE, [VERDICT_ACCEPT] = LIVE_ACCEPT, [VERDICT_DROP] = LIVE_DROP,
      [VERDICT_JUMP] = LIVE_JUMP,     [VERDICT_GOTO] = LIVE_GOTO,     [VERDICT_RETURN] = LIVE_RETURN};
  ck_assert_int_eq(live->code, codes[other->code]);
  ck_assert_int_eq(live->chain != NULL, other->chain != NULL);
  if (live->chain != NULL) {
    ck_assert_str_eq(live->chain->name, other->chain);
  }
}

static void check_element(const struct live_set *live, const struct live_element *found, const struct set *set,
                          const struct element *element) {
  enum { TOLERANCE = 3 };
  ck_assert_int_eq(memcmp(found->first, element->key, live->key_length), 0);
  ck_assert_int_eq(memcmp(found->last, element->key_end, live->key_length), 0);
  ck_assert_int_eq(found->has_timeout, element->expires.seconds != INSTANT_NEVER.seconds);
  if (found->has_timeout) {
    ck_assert_int_le(llabs((long long)found->expiration / 1000 - (element->expires.seconds - now.seconds)), TOLERANCE);
  }
  if (set->data == MAP_MARK) {
    ck_assert_int_eq(memcmp(found->data, &element->mark, sizeof(element->mark)), 0);
  } else if (set->data == MAP_VERDICT) {
    check_verdict(&found->verdict, &element->verdict);
  }
}

static int compare_elements(const void *left, const void *right, void *context) {
  const struct live_element *a = left, *b = right;
  const struct live_set *set = context;
  int order = memcmp(a->first, b->first, set->key_length);
  return order != 0 ? order : memcmp(a->last, b->last, set->key_length);
}

/* Those of the other reader are sorted by their keys. */
static void check_set(const struct live_set *live, const struct set *set) {
  ck_assert_uint_eq(live->key_length, set->key_size);
  ck_assert_int_eq(live->interval, set->interval);
  ck_assert_int_eq(live->has_timeouts, set->timeouts);
  ck_assert_int_eq(live->dynamic, set->dynamic);
  ck_assert_int_eq(live->data_kind, set->data == MAP_MARK      ? LIVE_VALUES
                                    : set->data == MAP_VERDICT ? LIVE_VERDICTS
                                                               : LIVE_NO_DATA);
  if (set->dynamic) {
    return; /* the other reader lists none of them */
  }
  ck_assert_uint_eq(live->element_count, set->element_count);
  struct live_set copy = *live;
  qsort_r(live->elements, live->element_count, sizeof(*live->elements), compare_elements, &copy);
  for (size_t i = 0; i < set->element_count; i++) {
    check_element(live, &live->elements[i], set, &set->elements[i]);
  }
}

static const enum live_kind kinds[] = {
    [EXPRESSION_META] = LIVE_META,
    [EXPRESSION_CT] = LIVE_CT,
    [EXPRESSION_CT_SET] = LIVE_CT_SET,
    [EXPRESSION_META_SET] = LIVE_META_SET,
    [EXPRESSION_PAYLOAD] = LIVE_PAYLOAD,
    [EXPRESSION_EXTHDR] = LIVE_EXTHDR,
    [EXPRESSION_BITWISE] = LIVE_BITWISE,
    [EXPRESSION_COMPARE] = LIVE_COMPARE,
    [EXPRESSION_RANGE] = LIVE_RANGE,
    [EXPRESSION_LOOKUP] = LIVE_LOOKUP,
    [EXPRESSION_IMMEDIATE] = LIVE_IMMEDIATE,
    [EXPRESSION_VERDICT] = LIVE_IMMEDIATE,
    [EXPRESSION_COUNTER_OBJECT] = LIVE_OBJECT_REFERENCE,
    [EXPRESSION_COUNTER] = LIVE_COUNTER,
    [EXPRESSION_LIMIT] = LIVE_LIMIT,
    [EXPRESSION_CONNECTIONS] = LIVE_CONNLIMIT,
    [EXPRESSION_LOG] = LIVE_LOG,
    [EXPRESSION_DYNSET] = LIVE_DYNSET,
    [EXPRESSION_REJECT] = LIVE_REJECT,
    [EXPRESSION_BYTEORDER] = LIVE_BYTEORDER,
};

/* Words are numbered from the first register's. */
static unsigned byte_of(unsigned word) {
  return 16 + 4 * word;
}

static void check_registers(const struct live_expression *live, const struct expression *other) {
  switch (other->kind) {
  case EXPRESSION_META:
  case EXPRESSION_CT:
  case EXPRESSION_PAYLOAD:
  case EXPRESSION_EXTHDR:
    ck_assert_uint_eq(live->destination, byte_of(other->destination));
    ck_assert_uint_eq(live->offset, other->offset);
    break;
  case EXPRESSION_COMPARE:
    ck_assert_uint_eq(live->source, byte_of(other->source));
    ck_assert_uint_eq(live->operation, other->key);
    ck_assert_uint_eq(live->data_length, other->length);
    ck_assert_int_eq(memcmp(live->data, other->data, other->length), 0);
    break;
  case EXPRESSION_BITWISE:
    ck_assert_uint_eq(live->source, byte_of(other->source));
    ck_assert_uint_eq(live->length, other->length);
    ck_assert_int_eq(memcmp(live->data, other->mask, other->length), 0);
    ck_assert_int_eq(memcmp(live->data_to, other->xor, other->length), 0);
    break;
  case EXPRESSION_LOOKUP:
    ck_assert_uint_eq(live->source, byte_of(other->source));
    ck_assert_str_eq(live->set->name, other->name);
    ck_assert_int_eq(live->verdict_map, other->to_verdict);
    ck_assert_int_eq(live->flags & NFT_LOOKUP_F_INV, other->invert);
    break;
  case EXPRESSION_VERDICT:
    check_verdict(&live->verdict, &other->verdict);
    break;
  default:
    break;
  }
}

static void check_rule(const struct live_rule *live, const struct rule *rule) {
  ck_assert_uint_eq(live->expression_count, rule->expression_count);
  ck_assert_uint_eq(live->handle, rule->handle);
  for (size_t i = 0; i < rule->expression_count; i++) {
    const struct live_expression *found = &live->expressions[i];
    ck_assert_int_ne(rule->expressions[i].kind, EXPRESSION_FOREIGN);
    ck_assert_int_eq(found->kind, kinds[rule->expressions[i].kind]);
    check_registers(found, &rule->expressions[i]);
  }
}

static void check_chain(const struct live_chain *live, const struct chain *chain) {
  static const unsigned hooks[] = {[HOOK_NONE] = 0,
                                   [HOOK_PREROUTING] = NF_INET_PRE_ROUTING,
                                   [HOOK_INPUT] = NF_INET_LOCAL_IN,
                                   [HOOK_FORWARD] = NF_INET_FORWARD,
                                   [HOOK_OUTPUT] = NF_INET_LOCAL_OUT,
                                   [HOOK_POSTROUTING] = NF_INET_POST_ROUTING};
  ck_assert_int_eq(live->base, chain->hook != HOOK_NONE);
  ck_assert_uint_eq(live->hook, hooks[chain->hook]);
  if (live->base) {
    ck_assert_int_eq(live->priority, chain->priority);
    ck_assert_int_eq(live->policy_accept, !chain->policy_drop);
    ck_assert_str_eq(live->type, "filter");
  }
  ck_assert_uint_eq(live->rule_count, chain->rule_count);
  for (size_t i = 0; i < chain->rule_count; i++) {
    check_rule(&live->rules[i], &chain->rules[i]);
  }
}

static void check_table(const struct live_table *table, const struct ruleset *ruleset) {
  ck_assert_uint_eq(table->chain_count, ruleset->chain_count);
  ck_assert_uint_eq(table->set_count, ruleset->set_count);
  ck_assert_uint_eq(table->object_count, ruleset->counter_count);
  for (size_t i = 0; i < ruleset->chain_count; i++) {
    const struct live_chain *chain = live_find_chain(table, ruleset->chains[i].name);
    ck_assert_msg(chain != NULL, "no chain '%s'", ruleset->chains[i].name);
    check_chain(chain, &ruleset->chains[i]);
  }
  for (size_t i = 0; i < ruleset->set_count; i++) {
    const struct live_set *set = live_find_set(table, ruleset->sets[i].name);
    ck_assert_msg(set != NULL, "no set '%s'", ruleset->sets[i].name);
    check_set(set, &ruleset->sets[i]);
  }
}

/* Loads it, and reads it both ways. */
static void check_both_readers(const struct ruleset *wanted) {
  struct nftables *nftables = NULL;
  struct ruleset *found = NULL;
  struct refusal refusal = {0};
  ck_assert_msg(nftables_open(&nftables, &error) == 0, "%s", error.message);
  ck_assert_msg(nftables_apply(nftables, wanted, now, NULL, &refusal, &error) == 0, "%s", error.message);
  now.seconds = time(NULL);
  ck_assert_msg(nftables_read(nftables, wanted->table, now, arena, &found, &error) == 0, "%s", error.message);
  struct live_ruleset *live = live_from_kernel(arena);
  const struct live_table *table = live_find_table(live, NFPROTO_INET, wanted->table);
  ck_assert_ptr_nonnull(table);
  ck_assert_uint_eq(live->table_count, 1);
  ck_assert_str_eq(live_complaints(live, arena), "");
  check_table(table, found);
  nftables_close(nftables);
}

START_TEST(both_readers_understand_the_sample_ruleset_alike) {
  check_both_readers(sample_ruleset(arena, now));
}
END_TEST

START_TEST(both_readers_understand_a_town_alike) {
  for (unsigned changes = TOWN_IN_FORCE; changes <= (TOWN_IN_FORCE | TOWN_DUAL_STACK); changes += TOWN_DUAL_STACK) {
    struct compile_options options = {.now = now};
    const struct policy *policy = town_load(changes, now, arena);
    ck_assert_ptr_nonnull(policy);
    struct ruleset *ruleset = NULL;
    ck_assert_msg(ruleset_compile(policy, &options, arena, &ruleset, &error) == 0, "%s", error.message);
    check_both_readers(ruleset);
  }
}
END_TEST

/* Each is loaded over the one before, as a reload. */
START_TEST(both_readers_understand_random_policies_alike) {
  enum { POLICIES = 12 };
  struct dice dice = {dice_seed()};
  printf("KIDO_SEED=%llu\n", (unsigned long long)dice.state);
  for (int i = 0; i < POLICIES; i++) {
    struct compile_options options = {.now = now};
    const struct policy *policy = town_policy("random", random_policy_text(&dice, now, arena), arena);
    ck_assert_ptr_nonnull(policy);
    struct ruleset *ruleset = NULL;
    ck_assert_msg(ruleset_compile(policy, &options, arena, &ruleset, &error) == 0, "%s", error.message);
    check_both_readers(ruleset);
  }
}
END_TEST

/* ---- consistency ---- */

static struct nlmsghdr *add_message(char **place, unsigned type, unsigned flags, unsigned family) {
  struct nlmsghdr *header = mnl_nlmsg_put_header(*place);
  header->nlmsg_type = (uint16_t)type;
  header->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
  struct nfgenmsg *generic = mnl_nlmsg_put_extra_header(header, sizeof(*generic));
  *generic = (struct nfgenmsg){.nfgen_family = (uint8_t)family, .version = NFNETLINK_V0};
  return header;
}

static void close_message(char **place, const struct nlmsghdr *header) {
  *place += netlink_align(header->nlmsg_len);
}

static void add_boundary(char **place, unsigned type) {
  struct nlmsghdr *header = add_message(place, type, 0, AF_UNSPEC);
  ((struct nfgenmsg *)mnl_nlmsg_get_payload(header))->res_id = htons(NFNL_SUBSYS_NFTABLES);
  close_message(place, header);
}

static void add_element(char **place, unsigned type, const char *set, uint32_t key) {
  struct nlmsghdr *header =
      add_message(place, NFNL_SUBSYS_NFTABLES << 8 | type, type == NFT_MSG_NEWSETELEM ? NLM_F_CREATE : 0, NFPROTO_INET);
  mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_TABLE, "t");
  mnl_attr_put_strz(header, NFTA_SET_ELEM_LIST_SET, set);
  struct nlattr *list = mnl_attr_nest_start(header, NFTA_SET_ELEM_LIST_ELEMENTS);
  struct nlattr *element = mnl_attr_nest_start(header, NFTA_LIST_ELEM);
  struct nlattr *value = mnl_attr_nest_start(header, NFTA_SET_ELEM_KEY);
  mnl_attr_put_u32(header, NFTA_DATA_VALUE, key); /* marks are in host order */
  mnl_attr_nest_end(header, value);
  mnl_attr_nest_end(header, element);
  mnl_attr_nest_end(header, list);
  close_message(place, header);
}

/* Takes one element from one set to the other, in one transaction. */
static bool move_element(struct netlink *netlink, const char *from, const char *to, uint32_t key) {
  _Alignas(8) char batch[2048];
  char *place = batch;
  struct netlink_complaint complaint;
  bool acknowledged;
  add_boundary(&place, NFNL_MSG_BATCH_BEGIN);
  add_element(&place, NFT_MSG_DELSETELEM, from, key);
  add_element(&place, NFT_MSG_NEWSETELEM, to, key);
  add_boundary(&place, NFNL_MSG_BATCH_END);
  return netlink_send_batch(netlink, batch, (size_t)(place - batch), 4, &complaint, &acknowledged, &error) == 0 &&
         complaint.code == 0;
}

static void move_for_ever(unsigned count, unsigned pause_most) {
  struct netlink *netlink = NULL;
  bool good = netlink_open(NETLINK_NETFILTER, &netlink, &error) == 0;
  unsigned random = 1;
  while (good) {
    for (uint32_t i = 0; good && i < 2 * count; i++) {
      bool back = i >= count;
      good = move_element(netlink, back ? "b" : "a", back ? "a" : "b", i % count);
      random = random * 1103515245 + 12345;
      struct timespec pause = {.tv_nsec = pause_most == 0 ? 0 : (long)(random >> 16) % pause_most * 1000};
      if (pause_most > 0) {
        nanosleep(&pause, NULL);
      }
    }
  }
  _exit(1);
}

static pid_t start_moving(unsigned count, unsigned pause_most) {
  FILE *nft = popen("nft -f -", "w");
  ck_assert_ptr_nonnull(nft);
  fputs("table inet t {\nset a {\ntype mark\nelements = { 0", nft);
  for (unsigned i = 1; i < count; i++) {
    fprintf(nft, ", %u", i);
  }
  fputs(" }\n}\nset b {\ntype mark\n}\n}\n", nft);
  ck_assert_int_eq(pclose(nft), 0);
  pid_t pid = fork();
  if (pid == 0) {
    move_for_ever(count, pause_most);
  }
  return pid;
}

/* Snapshots for some time. Returns how many there were; each is whole. */
static unsigned check_sums(unsigned count, unsigned milliseconds, unsigned *ret_refused) {
  unsigned taken = 0, refused = 0;
  struct timespec start, present;
  clock_gettime(CLOCK_MONOTONIC, &start);
  do {
    struct arena *once = arena_new(0);
    struct snapshot snapshot;
    struct live_ruleset *ruleset = NULL;
    int status = snapshot_take(once, &snapshot, &error);
    ck_assert_msg(status == 0 || status == -EAGAIN, "%s", error.message);
    if (status == 0) {
      ck_assert_msg(decode_ruleset(&snapshot, once, &ruleset, &error) == 0, "%s", error.message);
      ck_assert_uint_eq(ruleset->tables[0].sets[0].element_count + ruleset->tables[0].sets[1].element_count, count);
      taken++;
    } else {
      refused++;
    }
    arena_free(once);
    clock_gettime(CLOCK_MONOTONIC, &present);
  } while ((present.tv_sec - start.tv_sec) * 1000 + (present.tv_nsec - start.tv_nsec) / 1000000 < milliseconds);
  *ret_refused = refused;
  return taken;
}

static void stop(pid_t pid) {
  int status;
  ck_assert_int_eq(waitpid(pid, &status, WNOHANG), 0); /* it still moves them */
  kill(pid, SIGKILL);
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
}

START_TEST(a_snapshot_among_changes_is_of_one_moment) {
  unsigned refused = 0, taken = 0;
  enum { COUNT = 4000, PAUSE = 5000, SECONDS = 30 };
  pid_t mover = start_moving(COUNT, PAUSE);
  for (unsigned i = 0; i < 4 || (i < SECONDS && taken < 3); i++) {
    taken += check_sums(COUNT, 1000, &refused);
  }
  stop(mover);
  printf("%u snapshots of one moment, %u refused in the last second\n", taken, refused);
  ck_assert_uint_ge(taken, 3);
}
END_TEST

START_TEST(a_ruleset_that_never_stands_still_is_not_read) {
  unsigned refused = 0;
  enum { COUNT = 60000, SECONDS = 30 };
  pid_t mover = start_moving(COUNT, 0);
  for (unsigned i = 0; i < SECONDS && refused == 0; i++) { /* the mover may have to wait for a processor */
    (void)check_sums(COUNT, 1000, &refused);
  }
  stop(mover);
  ck_assert_uint_ge(refused, 1);
  ck_assert_msg(strstr(error.message, "changed each of") != NULL, "%s", error.message);
}
END_TEST

/* ---- speed, and what nft cannot show ---- */

static double seconds_since(const struct timespec *start) {
  struct timespec end;
  clock_gettime(CLOCK_MONOTONIC, &end);
  return (double)(end.tv_sec - start->tv_sec) + (double)(end.tv_nsec - start->tv_nsec) / 1e9;
}

/* A tenth of a second where nothing else runs. The kernel's part is most of it, so that a slow machine shows in both.
 */
START_TEST(a_hundred_thousand_elements_are_read_as_fast_as_by_the_other_reader) {
  enum { COUNT = 100000 };
  struct nftables *nftables = NULL;
  struct refusal refusal = {0};
  struct ruleset *wanted = sample_large_ruleset(arena, COUNT), *found = NULL;
  struct timespec start;
  ck_assert_int_eq(nftables_open(&nftables, &error), 0);
  ck_assert_msg(nftables_apply(nftables, wanted, now, NULL, &refusal, &error) == 0, "%s", error.message);
  clock_gettime(CLOCK_MONOTONIC, &start);
  ck_assert_msg(nftables_read(nftables, wanted->table, now, arena, &found, &error) == 0, "%s", error.message);
  double other = seconds_since(&start);
  clock_gettime(CLOCK_MONOTONIC, &start);
  struct live_ruleset *live = live_from_kernel(arena);
  double seconds = seconds_since(&start);
  printf("%d elements in %.3f s, by the other reader in %.3f s\n", COUNT, seconds, other);
  ck_assert_uint_eq(live->tables[0].sets[0].element_count, COUNT);
  ck_assert_double_le(seconds, 2 * other + 0.2);
  nftables_close(nftables);
}
END_TEST

static void add_meta(struct nlmsghdr *header, uint32_t destination) {
  struct nlattr *element = mnl_attr_nest_start(header, NFTA_LIST_ELEM);
  mnl_attr_put_strz(header, NFTA_EXPR_NAME, "meta");
  struct nlattr *data = mnl_attr_nest_start(header, NFTA_EXPR_DATA);
  mnl_attr_put_u32(header, NFTA_META_KEY, htonl(NFT_META_MARK));
  mnl_attr_put_u32(header, NFTA_META_DREG, htonl(destination));
  mnl_attr_nest_end(header, data);
  mnl_attr_nest_end(header, element);
}

static void add_two_register_and(struct nlmsghdr *header) {
  enum { AND = 3, SREG2 = 8 }; /* kernel 6.13 */
  struct nlattr *element = mnl_attr_nest_start(header, NFTA_LIST_ELEM);
  mnl_attr_put_strz(header, NFTA_EXPR_NAME, "bitwise");
  struct nlattr *data = mnl_attr_nest_start(header, NFTA_EXPR_DATA);
  mnl_attr_put_u32(header, NFTA_BITWISE_SREG, htonl(NFT_REG32_00));
  mnl_attr_put_u32(header, NFTA_BITWISE_DREG, htonl(NFT_REG32_02));
  mnl_attr_put_u32(header, NFTA_BITWISE_LEN, htonl(4));
  mnl_attr_put_u32(header, NFTA_BITWISE_OP, htonl(AND));
  mnl_attr_put_u32(header, SREG2, htonl(NFT_REG32_01));
  mnl_attr_nest_end(header, data);
  mnl_attr_nest_end(header, element);
}

static bool load_two_register_and(void) {
  _Alignas(8) char batch[2048];
  char *place = batch;
  struct netlink *netlink = NULL;
  struct netlink_complaint complaint = {0};
  bool acknowledged;
  ck_assert_int_eq(system("nft 'add table inet t; add chain inet t c'"), 0);
  ck_assert_int_eq(netlink_open(NETLINK_NETFILTER, &netlink, &error), 0);
  add_boundary(&place, NFNL_MSG_BATCH_BEGIN);
  struct nlmsghdr *header =
      add_message(&place, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, NFPROTO_INET);
  mnl_attr_put_strz(header, NFTA_RULE_TABLE, "t");
  mnl_attr_put_strz(header, NFTA_RULE_CHAIN, "c");
  struct nlattr *list = mnl_attr_nest_start(header, NFTA_RULE_EXPRESSIONS);
  add_meta(header, NFT_REG32_00);
  add_meta(header, NFT_REG32_01);
  add_two_register_and(header);
  mnl_attr_nest_end(header, list);
  close_message(&place, header);
  add_boundary(&place, NFNL_MSG_BATCH_END);
  ck_assert_int_eq(netlink_send_batch(netlink, batch, (size_t)(place - batch), 3, &complaint, &acknowledged, &error),
                   0);
  netlink_close(netlink);
  return complaint.code == 0;
}

START_TEST(a_rule_that_debians_nft_cannot_list_is_understood) {
  if (!load_two_register_and()) {
    printf("bitwise with two registers: not with this kernel\n");
    return;
  }
  const struct live_expression *bitwise = &live_rule_at(live_from_kernel(arena), "t", "c", 0)->expressions[2];
  ck_assert_msg(bitwise->unmodelled == NULL, "%s", bitwise->unmodelled);
  ck_assert_uint_eq(bitwise->operation, 3);
  ck_assert_uint_eq(bitwise->source, 16);
  ck_assert_uint_eq(bitwise->source_data, 20);
  ck_assert_uint_eq(bitwise->destination, 24);
}
END_TEST

int main(void) {
  enum { SKIPPED = 77, SECONDS = 120 };
  if (geteuid() != 0 || system("nft --version >/dev/null 2>&1") != 0) {
    printf("skipped: needs root and nft\n");
    return SKIPPED;
  }
  Suite *suite = suite_create("snapshot_kernel");
  TCase *tests = tcase_create("all");
  tcase_set_timeout(tests, SECONDS);
  tcase_add_checked_fixture(tests, enter, leave);
  tcase_add_test(tests, what_the_kernel_tells_of_a_text_is_what_was_recorded);
  tcase_add_test(tests, a_text_touches_nothing_of_the_namespace_of_its_reader);
  tcase_add_test(tests, a_text_that_nft_does_not_take_is_refused_with_its_line);
  tcase_add_test(tests, a_text_is_read_without_privileges);
  tcase_add_test(tests, a_text_that_needs_interfaces_finds_them);
  tcase_add_test(tests, an_empty_text_is_an_empty_ruleset);
  tcase_add_test(tests, both_readers_understand_the_sample_ruleset_alike);
  tcase_add_test(tests, both_readers_understand_a_town_alike);
  tcase_add_test(tests, both_readers_understand_random_policies_alike);
  tcase_add_test(tests, a_snapshot_among_changes_is_of_one_moment);
  tcase_add_test(tests, a_ruleset_that_never_stands_still_is_not_read);
  tcase_add_test(tests, a_hundred_thousand_elements_are_read_as_fast_as_by_the_other_reader);
  tcase_add_test(tests, a_rule_that_debians_nft_cannot_list_is_understood);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
