/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <check.h>
#include <endian.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "kernel/conntrack_events.h"

enum { ROOM = 1024 };

static const uint64_t started = UINT64_C(1795489200123456789), stopped = UINT64_C(1795489201623456789);

struct ends {
  const char *source, *destination;
  uint16_t source_port, destination_port;
};

static void put_tuple(struct nlmsghdr *message, uint16_t type, const struct ends *ends) {
  struct nlattr *tuple = mnl_attr_nest_start(message, type), *part = mnl_attr_nest_start(message, CTA_TUPLE_IP);
  mnl_attr_put_u32(message, CTA_IP_V4_SRC, inet_addr(ends->source));
  mnl_attr_put_u32(message, CTA_IP_V4_DST, inet_addr(ends->destination));
  mnl_attr_nest_end(message, part);
  part = mnl_attr_nest_start(message, CTA_TUPLE_PROTO);
  mnl_attr_put_u8(message, CTA_PROTO_NUM, IPPROTO_UDP);
  mnl_attr_put_u16(message, CTA_PROTO_SRC_PORT, htons(ends->source_port));
  mnl_attr_put_u16(message, CTA_PROTO_DST_PORT, htons(ends->destination_port));
  mnl_attr_nest_end(message, part);
  mnl_attr_nest_end(message, tuple);
}

static void put_counters(struct nlmsghdr *message, uint16_t type, uint64_t packets, uint64_t bytes) {
  struct nlattr *nest = mnl_attr_nest_start(message, type);
  mnl_attr_put_u64(message, CTA_COUNTERS_PACKETS, htobe64(packets));
  mnl_attr_put_u64(message, CTA_COUNTERS_BYTES, htobe64(bytes));
  mnl_attr_nest_end(message, nest);
}

/* As the kernel writes it; room: ROOM bytes. */
static struct nlmsghdr *build(void *room, uint8_t type, uint32_t mark) {
  static const struct ends there = {"10.1.0.9", "10.2.0.9", 41000, 53}, back = {"10.2.0.9", "10.1.0.9", 53, 41000};
  struct nlmsghdr *message = mnl_nlmsg_put_header(room);
  message->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
  struct nfgenmsg *generic = mnl_nlmsg_put_extra_header(message, sizeof *generic);
  generic->nfgen_family = AF_INET;
  put_tuple(message, CTA_TUPLE_ORIG, &there);
  put_tuple(message, CTA_TUPLE_REPLY, &back);
  put_counters(message, CTA_COUNTERS_ORIG, 2, 64);
  put_counters(message, CTA_COUNTERS_REPLY, 1, 32);
  struct nlattr *nest = mnl_attr_nest_start(message, CTA_TIMESTAMP);
  mnl_attr_put_u64(message, CTA_TIMESTAMP_START, htobe64(started));
  mnl_attr_put_u64(message, CTA_TIMESTAMP_STOP, htobe64(stopped));
  mnl_attr_nest_end(message, nest);
  mnl_attr_put_u32(message, CTA_MARK, htonl(mark));
  mnl_attr_put_u32(message, CTA_ID, htonl(77));
  return message;
}

START_TEST(an_end_brings_what_was_carried_and_when) {
  char room[ROOM] = {0};
  const struct nlmsghdr *message = build(room, IPCTNL_MSG_CT_DELETE, 0x12345678);
  struct conntrack_event event = {0};
  ck_assert(conntrack_event_parse(message, message->nlmsg_len, &event));
  const struct connection *connection = &event.connection;
  ck_assert(event.ended);
  ck_assert_uint_eq(connection->mark, 0x12345678);
  ck_assert_uint_eq(connection->id, 77);
  ck_assert_uint_eq(connection->protocol, IPPROTO_UDP);
  ck_assert_uint_eq(connection->original.source_port, 41000);
  ck_assert_uint_eq(connection->original.destination_port, 53);
  ck_assert_uint_eq(connection->original.source.bytes[1], 1);
  ck_assert_uint_eq(connection->packets[0], 2);
  ck_assert_uint_eq(connection->bytes[0], 64);
  ck_assert_uint_eq(connection->packets[1], 1);
  ck_assert_uint_eq(connection->bytes[1], 32);
  ck_assert_uint_eq(connection->started, started);
  ck_assert_uint_eq(event.stopped, stopped);
}
END_TEST

START_TEST(a_half_open_connection_is_one_of_its_flow) {
  char room[ROOM] = {0};
  const struct nlmsghdr *message = build(room, IPCTNL_MSG_CT_NEW, 0x92345678);
  struct conntrack_event event = {0};
  ck_assert(conntrack_event_parse(message, message->nlmsg_len, &event));
  ck_assert(!event.ended);
  ck_assert_uint_eq(event.connection.mark, 0x12345678);
}
END_TEST

START_TEST(a_connection_that_is_refused_aloud_is_of_no_flow) {
  char room[ROOM] = {0};
  const struct nlmsghdr *message = build(room, IPCTNL_MSG_CT_NEW, UINT32_MAX);
  struct conntrack_event event = {0};
  ck_assert(conntrack_event_parse(message, message->nlmsg_len, &event));
  ck_assert_uint_eq(event.connection.mark, 0);
}
END_TEST

START_TEST(other_messages_are_no_events) {
  char room[ROOM] = {0};
  struct nlmsghdr *message = build(room, IPCTNL_MSG_CT_NEW, 1);
  struct conntrack_event event;
  message->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET_STATS;
  ck_assert(!conntrack_event_parse(message, message->nlmsg_len, &event));
  message->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | IPCTNL_MSG_CT_NEW;
  ck_assert(!conntrack_event_parse(message, message->nlmsg_len, &event));
  message->nlmsg_type = NLMSG_ERROR;
  ck_assert(!conntrack_event_parse(message, message->nlmsg_len, &event));
}
END_TEST

/* A copy of just that size: a sanitizer sees each byte that is read beyond it. */
static void parse_copy(const void *bytes, size_t length) {
  void *copy = malloc(length > 0 ? length : 1);
  memcpy(copy, bytes, length);
  struct conntrack_event event;
  (void)conntrack_event_parse(copy, length, &event);
  free(copy);
}

START_TEST(cut_and_garbled_messages_do_no_harm) {
  char room[ROOM] = {0};
  const struct nlmsghdr *whole = build(room, IPCTNL_MSG_CT_DELETE, 5);
  for (uint32_t length = 0; length <= whole->nlmsg_len; length++) {
    parse_copy(room, length);
    char short_one[ROOM];
    memcpy(short_one, room, sizeof short_one);
    ((struct nlmsghdr *)(void *)short_one)->nlmsg_len = length;
    parse_copy(short_one, whole->nlmsg_len);
  }
  for (uint32_t i = 0; i < whole->nlmsg_len; i++)
    for (unsigned bit = 0; bit < 8; bit++) {
      char garbled[ROOM];
      memcpy(garbled, room, sizeof garbled);
      garbled[i] = (char)(garbled[i] ^ 1 << bit);
      parse_copy(garbled, whole->nlmsg_len);
    }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("conntrack_events");
  TCase *cases = tcase_create("parse");
  tcase_add_test(cases, an_end_brings_what_was_carried_and_when);
  tcase_add_test(cases, a_half_open_connection_is_one_of_its_flow);
  tcase_add_test(cases, a_connection_that_is_refused_aloud_is_of_no_flow);
  tcase_add_test(cases, other_messages_are_no_events);
  tcase_add_test(cases, cut_and_garbled_messages_do_no_harm);
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
