/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "kernel/nftables_watch.h"

static _Alignas(struct nlmsghdr) char buffer[512];

static struct nlmsghdr *build(uint16_t type, const char *name) {
  memset(buffer, 0, sizeof buffer);
  struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
  header->nlmsg_type = type;
  mnl_nlmsg_put_extra_header(header, sizeof(struct nfgenmsg));
  mnl_attr_put_u32(header, NFTA_GEN_ID, htonl(7));
  mnl_attr_put_u32(header, NFTA_GEN_PROC_PID, htonl(4711));
  mnl_attr_put_strz(header, NFTA_GEN_PROC_NAME, name);
  return header;
}

enum { NEW_GENERATION = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWGEN };

START_TEST(the_end_of_a_transaction_names_who_made_it) {
  struct nlmsghdr *header = build(NEW_GENERATION, "nft");
  struct nftables_transaction transaction = {0};
  struct nftables_author author;
  header->nlmsg_pid = 99;
  ck_assert(nftables_watch_parse(header, header->nlmsg_len, "kido", &transaction, &author));
  ck_assert_uint_eq(author.pid, 4711);
  ck_assert_uint_eq(author.port, 99);
  ck_assert_str_eq(author.name, "nft");
}
END_TEST

/* A message about an object, whose first attribute is the name of its table. */
static const struct nlmsghdr *build_object(uint16_t type, uint8_t family, const char *table) {
  memset(buffer, 0, sizeof buffer);
  struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
  header->nlmsg_type = type;
  struct nfgenmsg *generic = mnl_nlmsg_put_extra_header(header, sizeof(struct nfgenmsg));
  generic->nfgen_family = family;
  mnl_attr_put_strz(header, NFTA_RULE_TABLE, table);
  return header;
}

START_TEST(what_a_transaction_touches_is_noted) {
  enum { NFT = NFNL_SUBSYS_NFTABLES << 8 };
  static const struct {
    uint16_t type;
    uint8_t family;
    const char *table;
    bool ours, others, whole;
  } cases[] = {
      {NFT | NFT_MSG_NEWRULE, NFPROTO_INET, "kido", true, false, false},
      {NFT | NFT_MSG_DELSETELEM, NFPROTO_INET, "kido", true, false, false},
      {NFT | NFT_MSG_DELTABLE, NFPROTO_INET, "kido", true, false, true},
      {NFT | NFT_MSG_NEWTABLE, NFPROTO_INET, "kido", true, false, true},
      {NFT | NFT_MSG_NEWRULE, NFPROTO_INET, "kido2", false, false, false},
      {NFT | NFT_MSG_NEWRULE, NFPROTO_INET, "kid", false, false, false},
      {NFT | NFT_MSG_NEWTABLE, NFPROTO_IPV4, "kido", false, true, false},
      {NFT | NFT_MSG_NEWCHAIN, NFPROTO_INET, "docker", false, true, false},
      {NFT | NFT_MSG_NEWSETELEM, NFPROTO_INET, "docker", false, false, false},
      {NFT_MSG_NEWRULE, NFPROTO_INET, "kido", false, false, false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const struct nlmsghdr *header = build_object(cases[i].type, cases[i].family, cases[i].table);
    struct nftables_transaction transaction = {0};
    struct nftables_author author;
    ck_assert(!nftables_watch_parse(header, header->nlmsg_len, "kido", &transaction, &author));
    ck_assert_msg(transaction.ours == cases[i].ours && transaction.others == cases[i].others &&
                      transaction.table == cases[i].whole,
                  "case %zu", i);
  }
}
END_TEST

START_TEST(a_long_name_is_cut) {
  const struct nlmsghdr *header = build(NEW_GENERATION, "a-name-of-more-than-sixteen");
  struct nftables_transaction transaction = {0};
  struct nftables_author author;
  ck_assert(nftables_watch_parse(header, header->nlmsg_len, "kido", &transaction, &author));
  ck_assert_str_eq(author.name, "a-name-of-more-t");
}
END_TEST

START_TEST(a_message_cut_anywhere_is_read_within_its_bounds) {
  const struct nlmsghdr *header = build(NEW_GENERATION, "nft");
  for (uint32_t length = 0; length < header->nlmsg_len; length++) {
    char *copy = malloc(length + 1);
    memcpy(copy, header, length);
    if (length >= sizeof *header) {
      ((struct nlmsghdr *)(void *)copy)->nlmsg_len = length;
    }
    struct nftables_transaction transaction = {0};
    struct nftables_author author;
    nftables_watch_parse(copy, length, "kido", &transaction, &author);
    free(copy);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("nftables_watch");
  TCase *group = tcase_create("nftables_watch");
  tcase_add_test(group, the_end_of_a_transaction_names_who_made_it);
  tcase_add_test(group, what_a_transaction_touches_is_noted);
  tcase_add_test(group, a_long_name_is_cut);
  tcase_add_test(group, a_message_cut_anywhere_is_read_within_its_bounds);
  suite_add_tcase(suite, group);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
