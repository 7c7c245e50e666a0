/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
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

enum { NEW_GENERATION = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWGEN, NEW_RULE = NFT_MSG_NEWRULE };

START_TEST(the_end_of_a_transaction_names_who_made_it) {
  const struct nlmsghdr *header = build(NEW_GENERATION, "nft");
  uint32_t pid;
  char name[17];
  ck_assert(nftables_watch_parse(header, header->nlmsg_len, &pid, name));
  ck_assert_uint_eq(pid, 4711);
  ck_assert_str_eq(name, "nft");
}
END_TEST

START_TEST(other_messages_are_passed_over) {
  const struct nlmsghdr *header = build((NFNL_SUBSYS_NFTABLES << 8) | NEW_RULE, "nft");
  uint32_t pid;
  char name[17];
  ck_assert(!nftables_watch_parse(header, header->nlmsg_len, &pid, name));
}
END_TEST

START_TEST(a_long_name_is_cut) {
  const struct nlmsghdr *header = build(NEW_GENERATION, "a-name-of-more-than-sixteen");
  uint32_t pid;
  char name[17];
  ck_assert(nftables_watch_parse(header, header->nlmsg_len, &pid, name));
  ck_assert_str_eq(name, "a-name-of-more-t");
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
    uint32_t pid;
    char name[17];
    nftables_watch_parse(copy, length, &pid, name);
    free(copy);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("nftables_watch");
  TCase *group = tcase_create("nftables_watch");
  tcase_add_test(group, the_end_of_a_transaction_names_who_made_it);
  tcase_add_test(group, other_messages_are_passed_over);
  tcase_add_test(group, a_long_name_is_cut);
  tcase_add_test(group, a_message_cut_anywhere_is_read_within_its_bounds);
  suite_add_tcase(suite, group);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
