/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "wire/pcapfile.h"

/* ---- a file in either order of bytes ---- */

enum { ROOM = 1024 * 1024, FRAME_MOST = 1514, MANY = 2000 };

static struct {
  uint8_t bytes[ROOM];
  size_t length;
  bool big;
} written;

static int descriptor;

static void set_up(void) {
  written.length = 0;
  written.big = false;
  descriptor = memfd_create("capture", 0);
  ck_assert_int_ge(descriptor, 0);
}

static void tear_down(void) {
  close(descriptor);
}

static void put(uint32_t value, unsigned size) {
  for (unsigned i = 0; i < size; i++)
    written.bytes[written.length++] = (uint8_t)(value >> 8 * (written.big ? size - 1 - i : i));
}

static void put_header(uint32_t magic, uint16_t minor, uint32_t link_type) {
  put(magic, 4);
  put(2, 2);
  put(minor, 2);
  put(0, 4);
  put(0, 4);
  put(262144, 4);
  put(link_type, 4);
}

static void put_frame(uint32_t seconds, uint32_t fraction, uint32_t captured, uint32_t length, uint8_t fill) {
  put(seconds, 4);
  put(fraction, 4);
  put(captured, 4);
  put(length, 4);
  memset(written.bytes + written.length, fill, captured);
  written.length += captured;
}

static struct pcapfile *open_written(size_t length) {
  ck_assert_int_eq(ftruncate(descriptor, 0), 0);
  ck_assert_int_eq(pwrite(descriptor, written.bytes, length, 0), (ssize_t)length);
  return pcapfile_new(descriptor, "test");
}

static const struct {
  bool big;
  uint32_t magic;
  int64_t unit;
} FORMS[] = {{false, 0xa1b2c3d4, 1000}, {true, 0xa1b2c3d4, 1000}, {false, 0xa1b23c4d, 1}, {true, 0xa1b23c4d, 1}};

START_TEST(every_byte_order_and_resolution_reads_the_same) {
  struct captured_frame frame;
  struct error error = {0};
  written.big = FORMS[_i].big;
  put_header(FORMS[_i].magic, 4, DLT_EN10MB);
  put_frame(1700000000, 5, 60, 1514, 7);
  put_frame(4000000000, 6, 1, 1, 8);
  struct pcapfile *file = open_written(written.length);
  ck_assert_ptr_nonnull(file);
  ck_assert_int_eq(pcapfile_link_type(file), DLT_EN10MB);
  ck_assert_int_eq(pcapfile_next(file, &frame, &error), 1);
  ck_assert_int_eq(frame.time, 1700000000000000000 + 5 * FORMS[_i].unit);
  ck_assert_uint_eq(frame.captured, 60);
  ck_assert_uint_eq(frame.length, 1514);
  ck_assert_uint_eq(frame.data[59], 7);
  ck_assert_int_eq(pcapfile_next(file, &frame, &error), 1);
  ck_assert_int_eq(frame.time, 4000000000000000000 + 6 * FORMS[_i].unit);
  ck_assert_uint_eq(frame.data[0], 8);
  ck_assert_uint_eq(pcapfile_progress(file), written.length);
  ck_assert_int_eq(pcapfile_next(file, &frame, &error), 0);
  pcapfile_free(file);
}
END_TEST

/* Sizes that make frames lie across every border between two pieces. */
START_TEST(it_reads_what_libpcap_reads) {
  char why[PCAP_ERRBUF_SIZE];
  struct pcap_pkthdr *header;
  const u_char *data;
  struct captured_frame frame;
  struct error error = {0};
  put_header(0xa1b2c3d4, 4, DLT_EN10MB);
  uint32_t random = 1;
  for (uint32_t i = 0; i < MANY && written.length + FRAME_MOST + 16 < ROOM; i++) {
    random = random * 1664525 + 1013904223;
    uint32_t length = (random >> 16) % FRAME_MOST;
    put_frame(1700000000 + i, i, length, length + i % 3, (uint8_t)i);
  }
  struct pcapfile *file = open_written(written.length);
  FILE *stream = fdopen(dup(descriptor), "r");
  rewind(stream);
  pcap_t *pcap = pcap_fopen_offline_with_tstamp_precision(stream, PCAP_TSTAMP_PRECISION_NANO, why);
  ck_assert_ptr_nonnull(file);
  ck_assert_ptr_nonnull(pcap);
  uint32_t frames = 0;
  for (; pcap_next_ex(pcap, &header, &data) == 1; frames++) {
    ck_assert_int_eq(pcapfile_next(file, &frame, &error), 1);
    ck_assert_int_eq(frame.time, (int64_t)header->ts.tv_sec * 1000000000 + header->ts.tv_usec);
    ck_assert_uint_eq(frame.captured, header->caplen);
    ck_assert_uint_eq(frame.length, header->len);
    ck_assert_mem_eq(frame.data, data, header->caplen);
  }
  ck_assert_int_eq(pcapfile_next(file, &frame, &error), 0);
  ck_assert_uint_gt(frames, 1000);
  pcap_close(pcap);
  pcapfile_free(file);
}
END_TEST

START_TEST(a_file_that_ends_anywhere_gives_its_whole_frames_and_a_fault) {
  struct captured_frame frame;
  put_header(0xa1b2c3d4, 4, DLT_EN10MB);
  size_t first = written.length;
  put_frame(1, 1, 20, 20, 1);
  size_t second = written.length;
  put_frame(2, 1, 30, 30, 2);
  for (size_t length = first; length < written.length; length++) {
    struct error error = {0};
    int whole = length >= second ? 1 : 0;
    struct pcapfile *file = open_written(length);
    ck_assert_ptr_nonnull(file);
    for (int i = 0; i < whole; i++)
      ck_assert_int_eq(pcapfile_next(file, &frame, &error), 1);
    int last = pcapfile_next(file, &frame, &error);
    ck_assert_msg(length == first || length == second ? last == 0 : last < 0 && error.code != 0, "of %zu: %d", length,
                  last);
    pcapfile_free(file);
  }
}
END_TEST

START_TEST(a_length_beyond_all_frames_is_a_fault_and_the_longest_is_none) {
  struct captured_frame frame;
  struct error error = {0};
  put_header(0xa1b2c3d4, 4, DLT_EN10MB);
  put_frame(1, 1, 262144, 262144, 9);
  put_frame(2, 1, 262144, 262144, 9);
  put_frame(3, 1, 0, 0, 9);
  written.length -= 8;
  put(262145, 4);
  put(262145, 4);
  struct pcapfile *file = open_written(written.length + 300000);
  ck_assert_int_eq(pcapfile_next(file, &frame, &error), 1);
  ck_assert_int_eq(pcapfile_next(file, &frame, &error), 1);
  ck_assert_uint_eq(frame.data[262143], 9);
  ck_assert_int_lt(pcapfile_next(file, &frame, &error), 0);
  ck_assert_ptr_nonnull(strstr(error.message, "262145"));
  pcapfile_free(file);
}
END_TEST

START_TEST(a_frame_is_never_shorter_than_what_is_there_of_it) {
  struct captured_frame frame;
  struct error error = {0};
  put_header(0xa1b2c3d4, 4, DLT_EN10MB);
  put_frame(1, 1, 60, 10, 9);
  struct pcapfile *file = open_written(written.length);
  ck_assert_int_eq(pcapfile_next(file, &frame, &error), 1);
  ck_assert_uint_eq(frame.captured, 60);
  ck_assert_uint_eq(frame.length, 60);
  pcapfile_free(file);
}
END_TEST

static const struct {
  uint32_t magic, link_type;
  uint16_t minor;
} OTHERS[] = {{0xa1b2cd34, DLT_EN10MB, 4},
              {0xa1b2c3d4, DLT_EN10MB, 3},
              {0xa1b2c3d4, DLT_IEEE802_11, 4},
              {0x0a0d0d0a, DLT_EN10MB, 4},
              {0, 0, 0}};

START_TEST(what_is_older_or_stranger_is_left_to_libpcap) {
  int pipes[2];
  put_header(OTHERS[_i].magic, OTHERS[_i].minor, OTHERS[_i].link_type);
  ck_assert_ptr_null(open_written(written.length));
  ck_assert_ptr_null(open_written(written.length - 1));
  ck_assert_int_eq(lseek(descriptor, 0, SEEK_CUR), 0);
  ck_assert_int_eq(pipe(pipes), 0);
  ck_assert_ptr_null(pcapfile_new(pipes[0], "test"));
  close(pipes[0]);
  close(pipes[1]);
}
END_TEST

START_TEST(damaged_bytes_never_crash) {
  struct captured_frame frame;
  uint32_t random = 7;
  put_header(0xa1b2c3d4, 4, DLT_EN10MB);
  for (uint32_t i = 0; i < 20; i++)
    put_frame(i, i, 60 + i, 60 + i, (uint8_t)i);
  for (int round = 0; round < 2000; round++) {
    struct error error = {0};
    random = random * 1664525 + 1013904223;
    size_t at = (random >> 8) % written.length;
    uint8_t before = written.bytes[at];
    written.bytes[at] = (uint8_t)(random >> 24);
    struct pcapfile *file = open_written(written.length);
    uint64_t sum = 0;
    while (file != NULL && pcapfile_next(file, &frame, &error) > 0) {
      ck_assert_uint_le(frame.captured, frame.length);
      for (uint32_t i = 0; i < frame.captured; i++)
        sum += frame.data[i];
    }
    ck_assert_uint_lt(sum, UINT64_MAX);
    pcapfile_free(file);
    written.bytes[at] = before;
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("pcapfile");
  TCase *tests = tcase_create("pcapfile");
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_loop_test(tests, every_byte_order_and_resolution_reads_the_same, 0, sizeof FORMS / sizeof FORMS[0]);
  tcase_add_test(tests, it_reads_what_libpcap_reads);
  tcase_add_test(tests, a_file_that_ends_anywhere_gives_its_whole_frames_and_a_fault);
  tcase_add_test(tests, a_length_beyond_all_frames_is_a_fault_and_the_longest_is_none);
  tcase_add_test(tests, a_frame_is_never_shorter_than_what_is_there_of_it);
  tcase_add_loop_test(tests, what_is_older_or_stranger_is_left_to_libpcap, 0, sizeof OTHERS / sizeof OTHERS[0]);
  tcase_add_test(tests, damaged_bytes_never_crash);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
