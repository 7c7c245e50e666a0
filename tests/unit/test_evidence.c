/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames of findings as files: what libpcap reads of them, and how much there is. */
#include <check.h>
#include <errno.h>
#include <glob.h>
#include <pcap/pcap.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "events/evidence.h"

enum { PATH_ROOM = 256, ETHERNET = 1 };
static const int64_t START = 1795482000LL * 1000000000 + 123456789;

static char directory[] = "/tmp/kido-test-evidence-XXXXXX";
static int sockets[2];
static struct evidence *evidence;
static struct error error;

static void open_evidence(uint64_t bytes, unsigned frames) {
  struct evidence_settings settings = {.extent = EVIDENCE_HEADERS, .bytes = bytes, .frames = frames};
  evidence_close(evidence);
  evidence = evidence_open(directory, "kidoban", &settings);
  ck_assert_ptr_nonnull(evidence);
}

static void set_up(void) {
  strcpy(directory, "/tmp/kido-test-evidence-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(directory));
  ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
  evidence = NULL;
  open_evidence(1 << 20, 20);
}

static size_t list(glob_t *ret_found) {
  char pattern[PATH_ROOM];
  snprintf(pattern, sizeof pattern, "%s/evidence/*", directory);
  return glob(pattern, 0, NULL, ret_found) == 0 ? ret_found->gl_pathc : 0;
}

static void tear_down(void) {
  glob_t found = {0};
  char path[PATH_ROOM];
  for (size_t i = list(&found); i-- > 0;)
    unlink(found.gl_pathv[i]);
  globfree(&found);
  snprintf(path, sizeof path, "%s/evidence", directory);
  rmdir(path);
  rmdir(directory);
  evidence = evidence_close(evidence);
  close(sockets[0]);
  close(sockets[1]);
}

static int keep(const char *id, const char *interface, uint32_t size, uint64_t drops) {
  uint8_t bytes[4096];
  memset(bytes, 0xab, sizeof bytes);
  struct evidence_frame frame = {
      .time = START, .captured = size, .length = 1514, .link_type = ETHERNET, .interface_drops = drops};
  snprintf(frame.id, sizeof frame.id, "%s", id);
  snprintf(frame.interface, sizeof frame.interface, "%s", interface);
  ck_assert(evidence_send(sockets[0], &frame, bytes));
  return evidence_take(evidence, sockets[1], &error);
}

static const char *path_of(const char *id, char path[static PATH_ROOM]) {
  snprintf(path, PATH_ROOM, "%s/evidence/%s.pcapng", directory, id);
  return path;
}

/* What libpcap reads of it: the number of frames; -1 when it is no capture. */
static int count_frames(const char *id) {
  char path[PATH_ROOM], reason[PCAP_ERRBUF_SIZE];
  pcap_t *capture = pcap_open_offline_with_tstamp_precision(path_of(id, path), PCAP_TSTAMP_PRECISION_NANO, reason);
  struct pcap_pkthdr *header;
  const u_char *bytes;
  int count = 0, result;
  if (capture == NULL)
    return -1;
  while ((result = pcap_next_ex(capture, &header, &bytes)) == 1) {
    ck_assert_int_eq(header->ts.tv_sec, START / 1000000000);
    ck_assert_int_eq(header->ts.tv_usec, START % 1000000000); /* nanoseconds */
    ck_assert_uint_eq(header->len, 1514);
    ck_assert_uint_eq(bytes[0], 0xab);
    count++;
  }
  pcap_close(capture);
  return result == PCAP_ERROR_BREAK ? count : -1;
}

static bool holds(const char *id, const char *text) {
  char path[PATH_ROOM], data[65536];
  FILE *file = fopen(path_of(id, path), "re");
  size_t size = file != NULL ? fread(data, 1, sizeof data, file) : 0;
  if (file != NULL)
    fclose(file);
  return memmem(data, size, text, strlen(text)) != NULL;
}

START_TEST(an_event_has_a_file_that_libpcap_reads) {
  ck_assert_int_eq(keep("kidoban-1a2b-7", "in0", 60, 0), 1);
  ck_assert_int_eq(keep("kidoban-1a2b-7", "in0", 61, 0), 1);
  ck_assert_int_eq(keep("kidoban-1a2b-7", "out0", 62, 5), 1);
  ck_assert_int_eq(keep("kidoban-1a2b-8", "in0", 63, 0), 1);
  ck_assert_int_eq(count_frames("kidoban-1a2b-7"), 3);
  ck_assert_int_eq(count_frames("kidoban-1a2b-8"), 1);
  ck_assert(holds("kidoban-1a2b-7", "kidoban-1a2b-7"));
  ck_assert(holds("kidoban-1a2b-7", "in0") && holds("kidoban-1a2b-7", "out0"));
  ck_assert(!holds("kidoban-1a2b-8", "out0"));
}
END_TEST

START_TEST(a_file_goes_on_after_a_restart) {
  keep("kidoban-1-1", "in0", 60, 0);
  open_evidence(1 << 20, 20);
  keep("kidoban-1-1", "out0", 60, 0);
  ck_assert_int_eq(count_frames("kidoban-1-1"), 2);
}
END_TEST

START_TEST(an_event_has_no_more_frames_than_was_set) {
  open_evidence(1 << 20, 4);
  for (unsigned i = 0; i < 10; i++)
    keep("kidoban-1-1", "in0", 60, 0);
  ck_assert_int_eq(count_frames("kidoban-1-1"), 4);
}
END_TEST

START_TEST(the_oldest_files_go_first_when_there_are_too_many) {
  char id[40], path[PATH_ROOM];
  glob_t found = {0};
  struct stat status;
  open_evidence(20000, 20);
  for (unsigned i = 0; i < 60; i++) {
    snprintf(id, sizeof id, "kidoban-1-%u", i);
    ck_assert_int_eq(keep(id, "in0", 1000, 0), 1);
    usleep(2000); /* files are told apart by their time */
  }
  uint64_t total = 0;
  size_t count = list(&found);
  for (size_t i = 0; i < count; i++) {
    ck_assert_int_eq(stat(found.gl_pathv[i], &status), 0);
    total += (uint64_t)status.st_size;
  }
  globfree(&found);
  ck_assert_uint_le(total, 20000);
  ck_assert_uint_gt(count, 10);
  ck_assert_int_lt(access(path_of("kidoban-1-0", path), F_OK), 0);
  ck_assert_int_eq(count_frames("kidoban-1-59"), 1);
}
END_TEST

START_TEST(many_events_at_once_are_told_apart) {
  char id[40];
  for (unsigned round = 0; round < 2; round++)
    for (unsigned i = 0; i < 50; i++) {
      snprintf(id, sizeof id, "kidoban-1-%u", i);
      ck_assert_int_eq(keep(id, "in0", 60, 0), 1);
    }
  for (unsigned i = 0; i < 50; i++) {
    snprintf(id, sizeof id, "kidoban-1-%u", i);
    ck_assert_int_eq(count_frames(id), 2);
  }
}
END_TEST

/* A file that cannot grow: what is there stays a whole capture. Nothing is asserted meanwhile: that is a file too. */
START_TEST(what_does_not_fit_is_told_and_leaves_no_half_block) {
  struct rlimit limit = {.rlim_cur = 700, .rlim_max = RLIM_INFINITY};
  uint8_t bytes[300];
  int results[2];
  struct evidence_frame frame = {.time = START, .captured = 300, .length = 1514, .link_type = ETHERNET};
  strcpy(frame.id, "kidoban-1-1");
  strcpy(frame.interface, "in0");
  memset(bytes, 0xab, sizeof bytes);
  signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &limit);
  for (size_t i = 0; i < 2; i++) {
    evidence_send(sockets[0], &frame, bytes);
    results[i] = evidence_take(evidence, sockets[1], &error);
  }
  limit.rlim_cur = RLIM_INFINITY;
  setrlimit(RLIMIT_FSIZE, &limit);
  ck_assert_int_eq(results[0], 1);
  ck_assert_int_lt(results[1], 0);
  ck_assert_str_ne(error.message, "");
  ck_assert_int_eq(count_frames("kidoban-1-1"), 1);
  ck_assert_int_eq(keep("kidoban-1-1", "in0", 300, 0), 1);
  ck_assert_int_eq(count_frames("kidoban-1-1"), 2);
}
END_TEST

START_TEST(an_id_that_is_none_names_no_file) {
  static const char *const ids[] = {"", "../x", "a/b", ".hidden", "A", "kidoban-1-1.pcapng"};
  char name[EVIDENCE_NAME_SIZE];
  glob_t found = {0};
  for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
    ck_assert_str_eq(evidence_name(ids[i], name), "");
    ck_assert_int_eq(keep(ids[i], "in0", 60, 0), 0);
  }
  ck_assert_str_eq(evidence_name("kidoban-1-1", name), "evidence/kidoban-1-1.pcapng");
  ck_assert_uint_eq(list(&found), 0);
  globfree(&found);
}
END_TEST

/* The reader of frames may be in other hands. */
START_TEST(messages_that_are_not_sound_are_passed_over) {
  struct evidence_frame frame = {.captured = 50, .length = 60, .id = "kidoban-1-1", .interface = "in0"};
  ck_assert_int_gt(send(sockets[0], "x", 1, 0), 0);
  ck_assert_int_gt(send(sockets[0], &frame, sizeof frame, 0), 0); /* says more than it has */
  frame.captured = 0;
  memset(frame.interface, 'x', sizeof frame.interface);
  ck_assert_int_gt(send(sockets[0], &frame, sizeof frame, 0), 0);
  ck_assert_int_eq(evidence_take(evidence, sockets[1], &error), 0);
}
END_TEST

START_TEST(who_reads_frames_never_waits) {
  struct evidence_frame frame = {.captured = 1000, .length = 1000, .id = "kidoban-1-1", .interface = "in0"};
  uint8_t bytes[1000] = {0};
  unsigned sent = 0;
  while (sent < 100000 && evidence_send(sockets[0], &frame, bytes))
    sent++;
  ck_assert_uint_lt(sent, 100000);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("evidence");
  TCase *all = tcase_create("evidence");
  tcase_add_checked_fixture(all, set_up, tear_down);
  tcase_add_test(all, an_event_has_a_file_that_libpcap_reads);
  tcase_add_test(all, a_file_goes_on_after_a_restart);
  tcase_add_test(all, an_event_has_no_more_frames_than_was_set);
  tcase_add_test(all, the_oldest_files_go_first_when_there_are_too_many);
  tcase_add_test(all, many_events_at_once_are_told_apart);
  tcase_add_test(all, what_does_not_fit_is_told_and_leaves_no_half_block);
  tcase_add_test(all, an_id_that_is_none_names_no_file);
  tcase_add_test(all, messages_that_are_not_sound_are_passed_over);
  tcase_add_test(all, who_reads_frames_never_waits);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
