/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a process can still do that was put into the sandbox of kidoban: a child goes in, in a network namespace of its
 * own, and tries.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "control/privilege.h"
#include "control/sandbox.h"
#include "wire/capture.h"

enum { NO_ROOT = 77, NOBODY = 65534 };

static char inside[32], outside[32];

static void set_up(void) {
  strcpy(inside, "/tmp/kido-sandbox-XXXXXX");
  strcpy(outside, "/tmp/kido-sandbox-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(inside));
  ck_assert_ptr_nonnull(mkdtemp(outside));
  ck_assert_int_eq(chmod(outside, 0777), 0); /* only Landlock keeps it out */
}

static void tear_down(void) {
  char path[80];
  snprintf(path, sizeof path, "rm -rf %s %s", inside, outside);
  ck_assert_int_eq(system(path), 0);
}

static void raise_loopback(void) {
  struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
  int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0 || ioctl(descriptor, SIOCSIFFLAGS, &request) < 0)
    _exit(100);
  close(descriptor);
}

static struct sandbox *enter(void) {
  const char *directories[] = {inside};
  struct sandbox_options options = {.own_files = "kidoban", .directories = directories, .directory_count = 1};
  struct sandbox *sandbox;
  struct error error = {0};
  if (unshare(CLONE_NEWNET) < 0)
    _exit(101);
  raise_loopback();
  if (sandbox_prepare(&options, &sandbox, &error) < 0 || sandbox_enter(sandbox, &error) < 0) {
    fprintf(stderr, "%s\n", error.message);
    _exit(102);
  }
  return sandbox;
}

/* In a child; returns what it ends with. */
static int inside_sandbox(int (*attempt)(struct sandbox *)) {
  int status = 0;
  pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0)
    _exit(attempt(enter()));
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert_msg(WIFEXITED(status), "signal %d", WTERMSIG(status));
  return WEXITSTATUS(status);
}

/* ---- what must fail ---- */

static int read_shadow(void) {
  return open("/etc/shadow", O_RDONLY | O_CLOEXEC);
}

static int open_raw_ip(void) {
  return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

static int open_tcp(void) {
  return socket(AF_INET, SOCK_STREAM, 0);
}

static int open_udp_version6(void) {
  return socket(AF_INET6, SOCK_DGRAM, 0);
}

static int open_netfilter(void) {
  return socket(AF_NETLINK, SOCK_RAW, 12);
}

static int open_strange_packet_socket(void) {
  return socket(AF_PACKET, 10, 0); /* SOCK_PACKET, which no libpcap of today asks for */
}

static int run_program(void) {
  char *arguments[] = {(char *)(uintptr_t) "true", NULL};
  return execve("/bin/true", arguments, NULL);
}

static int make_process(void) {
  pid_t child = fork();
  if (child == 0)
    _exit(0);
  return child;
}

static int trace_parent(void) {
  return (int)ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static int kill_parent(void) {
  return kill(getppid(), SIGUSR1);
}

static int become_root(void) {
  return setuid(0);
}

static int make_namespace(void) {
  return unshare(CLONE_NEWUSER);
}

static int make_code(void) {
  void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? -1 : 0;
}

static int write_elsewhere(void) {
  char path[128];
  snprintf(path, sizeof path, "%s/kidoban-file", outside);
  return open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
}

static int lower_interface(void) {
  struct ifreq request = {.ifr_name = "lo"};
  int descriptor = socket(AF_UNIX, SOCK_DGRAM, 0);
  return ioctl(descriptor, SIOCSIFFLAGS, &request);
}

static const struct {
  const char *name;
  int (*attempt)(void);
} attempts[] = {
    {"open /etc/shadow", read_shadow},
    {"a raw IP socket", open_raw_ip},
    {"a TCP socket", open_tcp},
    {"a UDP socket", open_udp_version6},
    {"a netfilter socket", open_netfilter},
    {"a packet socket that libpcap does not need", open_strange_packet_socket},
    {"execve", run_program},
    {"fork", make_process},
    {"ptrace", trace_parent},
    {"kill another process", kill_parent},
    {"setuid(0)", become_root},
    {"a user namespace", make_namespace},
    {"memory that can be executed", make_code},
    {"set an interface down", lower_interface},
    {"a file outside of its directories", write_elsewhere},
};

static int current;

static int try_one(struct sandbox *sandbox) {
  (void)sandbox;
  return attempts[current].attempt() >= 0 ? 1 : 0;
}

START_TEST(nothing_of_this_succeeds) {
  current = _i;
  ck_assert_msg(inside_sandbox(try_one) == 0, "it may: %s", attempts[_i].name);
}
END_TEST

/* The attempts can succeed: else nothing is shown. */
START_TEST(outside_of_the_sandbox_it_does) {
  static const char *const left_out[] = {"ptrace", "kill another process", "execve",
                                         "a packet socket that libpcap does not need"};
  for (size_t i = 0; i < sizeof left_out / sizeof left_out[0]; i++)
    if (strcmp(left_out[i], attempts[_i].name) == 0)
      return;
  int status;
  pid_t child = fork();
  if (child == 0)
    _exit(unshare(CLONE_NEWNET) == 0 && attempts[_i].attempt() >= 0 ? 0 : 1);
  waitpid(child, &status, 0);
  ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s fails for root too", attempts[_i].name);
}
END_TEST

/* ---- what it is ---- */

static bool status_says(const char *line) {
  char text[256];
  bool found = false;
  FILE *stream = fopen("/proc/thread-self/status", "re");
  while (stream != NULL && !found && fgets(text, sizeof text, stream) != NULL)
    found = strncmp(text, line, strlen(line)) == 0;
  return found;
}

static int look_at_ourselves(struct sandbox *sandbox) {
  static const char *const lines[] = {"Uid:\t65534\t65534\t65534\t65534",
                                      "Gid:\t65534\t65534\t65534\t65534",

                                      "CapInh:\t0000000000000000",
                                      "CapPrm:\t0000000000000000",
                                      "CapEff:\t0000000000000000",
                                      "CapAmb:\t0000000000000000",
                                      "NoNewPrivs:\t1",
                                      "Seccomp:\t2"};
  (void)sandbox;
  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
    if (!status_says(lines[i]))
      return (int)i + 1;
  return status_says("Groups:\t0") ? 99 : 0;
}

START_TEST(it_has_no_capability_and_no_name) {
  if (getpwnam("kidoban") != NULL)
    return; /* then it is that user */
  ck_assert_int_eq(inside_sandbox(look_at_ourselves), 0);
}
END_TEST

/* ---- what it can ---- */

static int write_inside(struct sandbox *sandbox) {
  char path[128];
  (void)sandbox;
  snprintf(path, sizeof path, "%s/kidoban-file", inside);
  int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  return file >= 0 && write(file, "x", 1) == 1 && ftruncate(file, 0) == 0 && unlink(path) == 0 ? 0 : 1;
}

START_TEST(it_writes_in_its_own_directory) {
  ck_assert_int_eq(inside_sandbox(write_inside), 0);
}
END_TEST

static int open_captures(struct sandbox *sandbox) {
  (void)sandbox;
  for (int i = 0; i < 3; i++) {
    struct capture *capture;
    struct error error = {0};
    if (capture_open_interface("lo", 1, &capture, &error) < 0) {
      fprintf(stderr, "%s\n", error.message);
      return 1;
    }
    capture_close(capture);
  }
  return 0;
}

START_TEST(captures_are_opened_for_it_again_and_again) {
  ck_assert_int_eq(inside_sandbox(open_captures), 0);
}
END_TEST

static int open_without_opener(struct sandbox *sandbox) {
  char byte;
  struct capture *capture;
  struct error error = {0};
  shutdown(sandbox_descriptor(sandbox), SHUT_RDWR); /* so the opener believes that we have ended */
  while (read(sandbox_descriptor(sandbox), &byte, 1) > 0)
    ;
  for (int i = 0; i < 100; i++) { /* until it has */
    if (capture_open_interface("lo", 1, &capture, &error) < 0)
      return socket(AF_PACKET, SOCK_RAW, 0) < 0 ? 0 : 2;
    capture_close(capture);
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
  }
  return 1;
}

START_TEST(without_the_opener_there_is_no_packet_socket) {
  ck_assert_int_eq(inside_sandbox(open_without_opener), 0);
}
END_TEST

START_TEST(a_user_that_is_not_there_is_refused) {
  struct sandbox_options options = {.user = "no-such-user-of-kido"};
  struct sandbox *sandbox;
  struct error error = {0};
  ck_assert_int_eq(sandbox_prepare(&options, &sandbox, &error), -ENOENT);
}
END_TEST

/* ---- its own files ---- */

static void make_file(const char *name, char path[static 128]) {
  snprintf(path, 128, "%s/%s", inside, name);
  int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  ck_assert_int_ge(file, 0);
  close(file);
}

static int nothing(struct sandbox *sandbox) {
  (void)sandbox;
  return 0;
}

static int replace_file_of_another(struct sandbox *sandbox) {
  char path[128], mine[128];
  (void)sandbox;
  snprintf(path, sizeof path, "%s/confirmed.conf", inside);
  snprintf(mine, sizeof mine, "%s/kidoban-file", inside);
  int file = open(mine, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  return file >= 0 && rename(mine, path) < 0 && unlink(path) < 0 && errno == EPERM ? 0 : 1;
}

START_TEST(what_stands_beside_its_files_stays_as_it_is) {
  char path[128];
  make_file("confirmed.conf", path);
  ck_assert_int_eq(inside_sandbox(replace_file_of_another), 0);
  ck_assert_int_eq(chmod(inside, 02770), 0); /* the group fits, as an older version left it */
  ck_assert_int_eq(inside_sandbox(replace_file_of_another), 0);
}
END_TEST

START_TEST(only_its_own_files_are_given_to_it) {
  char own[128], other[128], alike[128], linked[128], target[128];
  struct stat status;
  make_file("kidoban-events.jsonl", own);
  make_file("kidod-events.jsonl", other);
  make_file("kidoban-else.conf", alike);
  snprintf(target, sizeof target, "%s/precious", outside);
  snprintf(linked, sizeof linked, "%s/kidoban-events.db", inside);
  int file = open(target, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  close(file);
  ck_assert_int_eq(link(target, linked), 0); /* what somebody in the group might have done */
  ck_assert_int_eq(inside_sandbox(nothing), 0);
  ck_assert(stat(own, &status) == 0 && status.st_uid != 0);
  ck_assert(stat(other, &status) == 0 && status.st_uid == 0);
  ck_assert(stat(alike, &status) == 0 && status.st_uid == 0);
  ck_assert(stat(target, &status) == 0 && status.st_uid == 0);
  ck_assert(stat(inside, &status) == 0 && status.st_uid == 0 && (status.st_mode & 0770) == 0770);
}
END_TEST

/* ---- kidod's control socket ---- */

enum { KIDOBAN_USER = 4711, OPERATOR_USER = 4713, KIDO_GROUP = 4712 };

/* A user and a group that this machine need not have, seen by this process and its children alone. */
static void put_over(const char *target, const char *text) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", outside, strrchr(target, '/') + 1);
  FILE *file = fopen(path, "we");
  ck_assert(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0 && chmod(path, 0644) == 0);
  ck_assert_msg(mount(path, target, NULL, MS_BIND, NULL) == 0, "%s: %s", target, strerror(errno));
}

static void make_users(void) {
  ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
  ck_assert_int_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
  put_over("/etc/passwd", "root:x:0:0::/:/bin/sh\nkidoban:x:4711:4712::/:/bin/false\n");
  put_over("/etc/group", "root:x:0:\nkido:x:4712:\n");
}

static struct sockaddr_un control_address(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s/kidod.sock", inside);
  return address;
}

static int connect_to_control(struct sandbox *sandbox) {
  struct sockaddr_un address = control_address();
  int descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  (void)sandbox;
  return descriptor >= 0 && connect(descriptor, (struct sockaddr *)&address, sizeof address) == 0 ? 0 : 1;
}

static int connect_as_operator(void) {
  return setgroups(0, NULL) == 0 && setresgid(KIDO_GROUP, KIDO_GROUP, KIDO_GROUP) == 0 &&
                 setresuid(OPERATOR_USER, OPERATOR_USER, OPERATOR_USER) == 0
             ? connect_to_control(NULL)
             : 1;
}

static void expect_peer(int listening, bool may_command) {
  int peer = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  ck_assert_int_ge(peer, 0);
  ck_assert(privilege_peer_allowed(peer));
  ck_assert_int_eq(privilege_peer_may_command(peer, privilege_find_watchman()), may_command);
  close(peer);
}

START_TEST(it_follows_kidod_but_does_not_command_it) {
  int status;
  struct sockaddr_un address = control_address();
  make_users();
  ck_assert_uint_eq(privilege_find_watchman(), KIDOBAN_USER);
  int listening = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  ck_assert_int_eq(bind(listening, (struct sockaddr *)&address, sizeof address), 0);
  ck_assert_int_eq(listen(listening, 1), 0);
  ck_assert(chmod(address.sun_path, 0666) == 0 && chmod(inside, 0777) == 0);
  ck_assert_int_eq(inside_sandbox(connect_to_control), 0);
  expect_peer(listening, false);
  pid_t child = fork();
  if (child == 0)
    _exit(connect_as_operator());
  ck_assert(waitpid(child, &status, 0) == child && status == 0);
  expect_peer(listening, true);
  close(listening);
}
END_TEST

static int is_nobody(struct sandbox *sandbox) {
  return sandbox_is_nobody(sandbox) ? 1 : 0;
}

START_TEST(without_a_user_of_its_own_it_is_nobody) {
  ck_assert_int_eq(inside_sandbox(is_nobody), getpwnam(PRIVILEGE_WATCHMAN_USER) == NULL);
  make_users();
  ck_assert_int_eq(inside_sandbox(is_nobody), 0);
}
END_TEST

int main(void) {
  if (geteuid() != 0) {
    printf("skipped: not root\n");
    return NO_ROOT;
  }
  Suite *suite = suite_create("sandbox");
  TCase *all = tcase_create("all");
  int count = (int)(sizeof attempts / sizeof attempts[0]);
  tcase_add_checked_fixture(all, set_up, tear_down);
  tcase_add_loop_test(all, nothing_of_this_succeeds, 0, count);
  tcase_add_loop_test(all, outside_of_the_sandbox_it_does, 0, count);
  tcase_add_test(all, it_has_no_capability_and_no_name);
  tcase_add_test(all, it_writes_in_its_own_directory);
  tcase_add_test(all, captures_are_opened_for_it_again_and_again);
  tcase_add_test(all, without_the_opener_there_is_no_packet_socket);
  tcase_add_test(all, a_user_that_is_not_there_is_refused);
  tcase_add_test(all, what_stands_beside_its_files_stays_as_it_is);
  tcase_add_test(all, only_its_own_files_are_given_to_it);
  tcase_add_test(all, it_follows_kidod_but_does_not_command_it);
  tcase_add_test(all, without_a_user_of_its_own_it_is_nobody);
  suite_add_tcase(suite, all);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
