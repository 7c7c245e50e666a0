/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <pcap/dlt.h>
#include <stdlib.h>
#include <string.h>

#include "wire/pcapng.h"

/* ---- a file, written block by block in either order of bytes ---- */

struct file {
  uint8_t bytes[65536];
  size_t length, block; /* block: where the open one begins */
  bool big;
};

static void put(struct file *file, uint64_t value, unsigned size) {
  for (unsigned i = 0; i < size; i++)
    file->bytes[file->length++] = (uint8_t)(value >> 8 * (file->big ? size - 1 - i : i));
}

static void put_bytes(struct file *file, const char *bytes, size_t size) {
  memcpy(file->bytes + file->length, bytes, size);
  file->length += size;
  while (file->length % 4 != 0)
    file->bytes[file->length++] = 0;
}

static void begin(struct file *file, uint32_t type) {
  file->block = file->length;
  put(file, type, 4);
  put(file, 0, 4);
}

static void end(struct file *file) {
  size_t length = file->length + 4 - file->block, here = file->length;
  file->length = file->block + 4;
  put(file, length, 4);
  file->length = here;
  put(file, length, 4);
}

static void option(struct file *file, uint16_t code, uint16_t length) {
  put(file, code, 2);
  put(file, length, 2);
}

static void option_number(struct file *file, uint16_t code, uint64_t value, uint16_t size) {
  option(file, code, size);
  put(file, value, size);
  put(file, 0, -size & 3);
}

static void option_text(struct file *file, uint16_t code, const char *text) {
  option(file, code, (uint16_t)strlen(text));
  put_bytes(file, text, strlen(text));
}

static void section(struct file *file) {
  begin(file, 0x0a0d0d0a);
  put(file, 0x1a2b3c4d, 4);
  put(file, 1, 2);
  put(file, 0, 2);
  put(file, UINT64_MAX, 8);
  end(file);
}

static void interface_head(struct file *file, uint16_t link_type, uint32_t snap_length) {
  begin(file, 1);
  put(file, link_type, 2);
  put(file, 0, 2);
  put(file, snap_length, 4);
}

static void interface(struct file *file, const char *name) {
  interface_head(file, DLT_EN10MB, 0);
  if (name != NULL)
    option_text(file, 2, name);
  option(file, 0, 0);
  end(file);
}

static void packet_head(struct file *file, uint32_t interface, uint64_t stamp, uint32_t captured, uint32_t length) {
  begin(file, 6);
  put(file, interface, 4);
  put(file, stamp >> 32, 4);
  put(file, stamp & UINT32_MAX, 4);
  put(file, captured, 4);
  put(file, length, 4);
}

static void packet(struct file *file, uint32_t interface, uint64_t stamp, const char *data) {
  packet_head(file, interface, stamp, (uint32_t)strlen(data), (uint32_t)strlen(data) + 100);
  put_bytes(file, data, strlen(data));
  end(file);
}

/* ---- reading it ---- */

static struct error error;
static struct captured_frame frame;

static struct pcapng *open_file(struct file *file) {
  FILE *stream = fmemopen(file->bytes, file->length, "r");
  ck_assert_ptr_nonnull(stream);
  struct pcapng *pcapng = pcapng_new(stream, "x.pcapng");
  ck_assert_ptr_nonnull(pcapng);
  return pcapng;
}

/* What reading everything ends with, and the time of the last frame. */
static int read_all(struct file *file, int64_t *ret_time) {
  struct pcapng *pcapng = open_file(file);
  int result;
  while ((result = pcapng_next(pcapng, &frame, &error)) > 0)
    *ret_time = frame.time;
  pcapng_free(pcapng);
  return result;
}

static void expect_frame(struct pcapng *pcapng, unsigned interface, int64_t time, const char *data) {
  ck_assert_msg(pcapng_next(pcapng, &frame, &error) == 1, "%s", error.message);
  ck_assert_uint_eq(frame.interface, interface);
  ck_assert_int_eq(frame.time, time);
  ck_assert_uint_eq(frame.captured, strlen(data));
  ck_assert_int_eq(memcmp(frame.data, data, strlen(data)), 0);
}

START_TEST(frames_come_with_interface_and_time_in_either_order_of_bytes) {
  struct file *file = calloc(1, sizeof *file);
  file->big = _i == 1;
  section(file);
  interface(file, "ens1f0");
  interface(file, "ens2");
  packet(file, 1, 1795482000000001, "hello");
  packet(file, 0, 1795482000000002, "you");
  struct pcapng *pcapng = open_file(file);
  expect_frame(pcapng, 1, 1795482000000001000, "hello");
  ck_assert_uint_eq(frame.length, 105);
  ck_assert_int_eq(frame.link_type, DLT_EN10MB);
  expect_frame(pcapng, 0, 1795482000000002000, "you");
  ck_assert_str_eq(pcapng_interface_name(pcapng, 0), "ens1f0");
  ck_assert_str_eq(pcapng_interface_name(pcapng, 1), "ens2");
  ck_assert_ptr_null(pcapng_interface_name(pcapng, 2));
  ck_assert_int_eq(pcapng_next(pcapng, &frame, &error), 0);
  pcapng_free(pcapng);
  free(file);
}
END_TEST

START_TEST(a_new_section_counts_its_interfaces_anew_and_may_turn_the_bytes) {
  struct file *file = calloc(1, sizeof *file);
  section(file);
  interface(file, "one");
  packet(file, 0, 1000000, "a");
  file->big = true;
  section(file);
  interface(file, NULL);
  packet(file, 0, 2000000, "b");
  struct pcapng *pcapng = open_file(file);
  expect_frame(pcapng, 0, 1000000000, "a");
  expect_frame(pcapng, 1, 2000000000, "b");
  ck_assert_ptr_null(pcapng_interface_name(pcapng, 1));
  pcapng_free(pcapng);
  free(file);
}
END_TEST

START_TEST(blocks_that_are_not_known_are_passed_over) {
  struct file *file = calloc(1, sizeof *file);
  section(file);
  interface(file, "one");
  begin(file, 0x80000bad);
  put_bytes(file, "whatever", 8);
  end(file);
  begin(file, 4); /* names of hosts */
  end(file);
  packet(file, 0, 1, "a");
  struct pcapng *pcapng = open_file(file);
  expect_frame(pcapng, 0, 1000, "a");
  pcapng_free(pcapng);
  free(file);
}
END_TEST

START_TEST(flags_say_who_sent_a_frame) {
  static const enum frame_sender senders[] = {SENDER_UNKNOWN, SENDER_OTHERS, SENDER_THIS_MACHINE, SENDER_UNKNOWN};
  struct file *file = calloc(1, sizeof *file);
  section(file);
  interface(file, "one");
  packet_head(file, 0, 1, 3, 3);
  put_bytes(file, "abc", 3);
  option_text(file, 1, "a comment");
  option_number(file, 2, (uint64_t)_i | 0x40, 4);
  end(file);
  struct pcapng *pcapng = open_file(file);
  expect_frame(pcapng, 0, 1000, "abc");
  ck_assert_int_eq(frame.sender, senders[_i]);
  struct frame decoded;
  frame_decode(&frame, &decoded);
  ck_assert_int_eq(decoded.sender, senders[_i]);
  pcapng_free(pcapng);
  free(file);
}
END_TEST

static const struct {
  unsigned resolution;
  int64_t offset;
  uint64_t stamp;
  int64_t nanoseconds; /* -1: refused */
} TIMES[] = {
    {6, 0, 1795482000123456, 1795482000123456000},
    {9, 0, 1795482000123456789, 1795482000123456789},
    {0, 0, 1795482000, 1795482000000000000},
    {3, 1000000000, 795482000123, 1795482000123000000},
    {12, 0, 1795482000123456, 1795482000123},
    {0x80 | 0, 0, 7, 7000000000},
    {0x80 | 32, 0, UINT64_C(7) << 32 | 0x80000000, 7500000000},
    {0x80 | 40, 0, (UINT64_C(7) << 40) + (UINT64_C(1) << 39), 7500000000},
    {0x80 | 63, 0, UINT64_C(3) << 62, 1500000000},
    {0x80 | 127, 5, UINT64_MAX, 5000000000},
    {19, 0, UINT64_MAX, 1844674407},
    {127, 0, UINT64_MAX, 0},
    {6, -10, 20000000, 10000000000},
    {0, 0, UINT64_MAX, -1},
    {0, 0, 9000000001, -1},
    {0, 9000000000, 9000000000, -1},
    {6, INT64_MIN, 1, -1},
    {6, INT64_MAX, 1, -1},
};

START_TEST(time_is_read_in_every_resolution) {
  struct file *file = calloc(1, sizeof *file);
  section(file);
  interface_head(file, DLT_EN10MB, 0);
  option_number(file, 9, TIMES[_i].resolution, 1);
  option_number(file, 14, (uint64_t)TIMES[_i].offset, 8);
  end(file);
  packet(file, 0, TIMES[_i].stamp, "a");
  int64_t time = -1;
  int result = read_all(file, &time);
  ck_assert_int_eq(time, TIMES[_i].nanoseconds);
  ck_assert_int_eq(result == 0, TIMES[_i].nanoseconds >= 0);
  free(file);
}
END_TEST

START_TEST(simple_and_old_packets_are_read) {
  struct file *file = calloc(1, sizeof *file);
  section(file);
  interface_head(file, DLT_RAW, 4);
  end(file);
  begin(file, 2);
  put(file, 0, 2);
  put(file, 3, 2); /* lost before it */
  put(file, 0, 4);
  put(file, 5000000, 4);
  put(file, 2, 4);
  put(file, 9, 4);
  put_bytes(file, "ab", 2);
  end(file);
  begin(file, 3);
  put(file, 9, 4);
  put_bytes(file, "abcd", 4);
  end(file);
  struct pcapng *pcapng = open_file(file);
  expect_frame(pcapng, 0, 5000000000, "ab");
  struct pcapng_loss loss;
  ck_assert(pcapng_next_loss(pcapng, &loss));
  ck_assert_uint_eq(loss.frames, 3);
  expect_frame(pcapng, 0, 5000000000, "abcd");
  ck_assert_uint_eq(frame.length, 9);
  pcapng_free(pcapng);
  free(file);
}
END_TEST

static void statistics(struct file *file, uint32_t interface, uint64_t by_interface, uint64_t by_system) {
  begin(file, 5);
  put(file, interface, 4);
  put(file, 0, 8);
  option_number(file, 5, by_interface, 8);
  option_number(file, 7, by_system, 8);
  option(file, 0, 0);
  end(file);
}

START_TEST(losses_are_told_once_and_by_interface) {
  struct file *file = calloc(1, sizeof *file);
  section(file);
  interface(file, "one");
  interface(file, "two");
  statistics(file, 1, 0, 0);
  packet(file, 0, 1, "a");
  statistics(file, 1, 2, 3);
  statistics(file, 1, 2, 10);
  statistics(file, 77, 2, 10); /* of nobody */
  packet_head(file, 0, 1, 0, 0);
  option_number(file, 4, 7, 8);
  end(file);
  struct pcapng *pcapng = open_file(file);
  struct pcapng_loss loss;
  expect_frame(pcapng, 0, 1000, "a");
  ck_assert(!pcapng_next_loss(pcapng, &loss));
  expect_frame(pcapng, 0, 1000, "");
  ck_assert(pcapng_next_loss(pcapng, &loss));
  ck_assert(loss.interface == 0 && loss.frames == 7);
  ck_assert(pcapng_next_loss(pcapng, &loss));
  ck_assert(loss.interface == 1 && loss.frames == 12);
  ck_assert(!pcapng_next_loss(pcapng, &loss));
  pcapng_free(pcapng);
  free(file);
}
END_TEST

START_TEST(a_file_cut_anywhere_gives_the_whole_packets_and_says_so) {
  struct file *file = calloc(1, sizeof *file);
  section(file);
  interface(file, "one");
  packet(file, 0, 1, "a");
  size_t whole = file->length;
  packet(file, 0, 2, "b");
  size_t full = file->length;
  for (file->length = 1; file->length < full; file->length++) {
    struct pcapng *pcapng = open_file(file);
    unsigned frames = 0;
    int result;
    while ((result = pcapng_next(pcapng, &frame, &error)) > 0)
      frames++;
    ck_assert_uint_eq(frames, file->length >= whole ? 1 : 0);
    bool between = file->length == 28 || file->length == 28 + 20 + 12 || file->length == whole;
    ck_assert_msg(between == (result == 0), "cut at %zu: %d", file->length, result);
    pcapng_free(pcapng);
  }
  free(file);
}
END_TEST

static void no_section(struct file *file) {
  file->length = 0;
  interface(file, "one");
}

static void no_order(struct file *file) {
  file->bytes[8] ^= 1;
}

static void no_interface(struct file *file) {
  packet(file, 1, 1, "a");
}

static void longer_than_block(struct file *file) {
  packet_head(file, 0, 1, 400, 400);
  put_bytes(file, "abc", 3);
  end(file);
}

static void longest(struct file *file) {
  packet_head(file, 0, 1, UINT32_MAX, UINT32_MAX);
  end(file);
}

static void lengths_disagree(struct file *file) {
  packet(file, 0, 1, "a");
  file->bytes[file->length - 4] ^= 4;
}

static void odd_length(struct file *file) {
  begin(file, 6);
  file->bytes[file->length++] = 0;
  end(file);
}

static void no_length(struct file *file) {
  put(file, 6, 4);
  put(file, 0, 4);
  put(file, 0, 4);
}

static void enormous(struct file *file) {
  put(file, 6, 4);
  put(file, UINT32_MAX - 3, 4);
  put(file, 0, 4);
}

static void short_interface(struct file *file) {
  begin(file, 1);
  put(file, 1, 4);
  end(file);
}

static void link_layer(struct file *file) {
  interface_head(file, DLT_IEEE802_11_RADIO, 0);
  end(file);
  packet(file, 1, 1, "a");
}

static void (*const BREAK[])(struct file *) = {
    no_section, no_order,  no_interface, longer_than_block, longest,    lengths_disagree,
    odd_length, no_length, enormous,     short_interface,   link_layer,
};

START_TEST(what_contradicts_itself_is_refused) {
  struct file *file = calloc(1, sizeof *file);
  section(file);
  interface(file, "one");
  BREAK[_i](file);
  int64_t time;
  ck_assert_int_lt(read_all(file, &time), 0);
  ck_assert_ptr_nonnull(strstr(error.message, "x.pcapng: "));
  free(file);
}
END_TEST

START_TEST(options_that_lie_about_their_length_end_the_options) {
  struct file *file = calloc(1, sizeof *file);
  section(file);
  interface_head(file, DLT_EN10MB, 0);
  option(file, 2, 60000);
  put_bytes(file, "name", 4);
  end(file);
  packet(file, 0, 1, "a");
  struct pcapng *pcapng = open_file(file);
  expect_frame(pcapng, 0, 1000, "a");
  ck_assert_ptr_null(pcapng_interface_name(pcapng, 0));
  pcapng_free(pcapng);
  free(file);
}
END_TEST

int main(void) {
  TCase *tcase = tcase_create("pcapng");
  tcase_add_loop_test(tcase, frames_come_with_interface_and_time_in_either_order_of_bytes, 0, 2);
  tcase_add_test(tcase, a_new_section_counts_its_interfaces_anew_and_may_turn_the_bytes);
  tcase_add_test(tcase, blocks_that_are_not_known_are_passed_over);
  tcase_add_loop_test(tcase, flags_say_who_sent_a_frame, 0, 4);
  tcase_add_loop_test(tcase, time_is_read_in_every_resolution, 0, sizeof TIMES / sizeof TIMES[0]);
  tcase_add_test(tcase, simple_and_old_packets_are_read);
  tcase_add_test(tcase, losses_are_told_once_and_by_interface);
  tcase_add_test(tcase, a_file_cut_anywhere_gives_the_whole_packets_and_says_so);
  tcase_add_loop_test(tcase, what_contradicts_itself_is_refused, 0, sizeof BREAK / sizeof BREAK[0]);
  tcase_add_test(tcase, options_that_lie_about_their_length_end_the_options);
  Suite *suite = suite_create("pcapng");
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
