/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A ruleset from text: what would the kernel hold? The kernel itself is asked. A child moves into a network namespace
 * of its own (with a user namespace where it is not root), has the program nft load the text there, takes the snapshot
 * and leaves it in a memory file; the namespace ends with it.
 *
 *   parent ── child (new namespaces) ── nft -f - < text
 *      ╰─ memory file: a recorded snapshot, or, beginning with another line, the error
 *
 * nft is run as a program and not linked as a library: its parser is large, ends itself on what it did not expect, and
 * would otherwise be part of every daemon that is built on this room.
 */
#include "kernel/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/snapshot_devices.h"

enum { WORDS_MOST = 4096, EXIT_NO_PROGRAM = 127 };

/* ---- files ---- */

static int write_all(int fd, const void *data, size_t length) {
  const char *place = data;
  while (length > 0) {
    ssize_t written = write(fd, place, length);
    if (written < 0 && errno != EINTR) {
      return -errno;
    }
    size_t step = written > 0 ? (size_t)written : 0;
    place += step;
    length -= step;
  }
  return 0;
}

static int memory_file(const void *data, size_t length, int *ret_fd, struct error *error) {
  int fd = memfd_create("kido-ruleset", MFD_CLOEXEC);
  int status = fd < 0 ? -errno : write_all(fd, data, length);
  if (status == 0 && lseek(fd, 0, SEEK_SET) < 0) {
    status = -errno;
  }
  if (status < 0) {
    if (fd >= 0) {
      close(fd);
    }
    return error_set(error, -status, "cannot make a file in memory: %s", strerror(-status));
  }
  *ret_fd = fd;
  return 0;
}

/* ---- in the child: namespaces ---- */

static int write_file(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) {
    return -errno;
  }
  int status = write_all(fd, text, strlen(text));
  close(fd);
  return status;
}

/* Who is not root is root in a user namespace. */
static int enter_user_namespace(void) {
  char users[64], groups[64];
  snprintf(users, sizeof(users), "0 %u 1", (unsigned)geteuid());
  snprintf(groups, sizeof(groups), "0 %u 1", (unsigned)getegid());
  if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
    return -errno;
  }
  int status = write_file("/proc/self/setgroups", "deny");
  status = status < 0 ? status : write_file("/proc/self/uid_map", users);
  return status < 0 ? status : write_file("/proc/self/gid_map", groups);
}

static int enter_namespace(struct error *error) {
  int status = unshare(CLONE_NEWNET) < 0 ? -errno : 0;
  status = status == -EPERM ? enter_user_namespace() : status;
  if (status < 0) {
    error_set(error, EPERM, "a network namespace to load the text into cannot be made here: %s", strerror(-status));
    return -EPERM;
  }
  return 0;
}

/* ---- in the child: nft ---- */

static void run_nft(int input, int output) {
  char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", locale[] = "LC_ALL=C";
  char name[] = "nft", option[] = "-f", from[] = "-";
  char *environment[] = {path, locale, NULL}, *arguments[] = {name, option, from, NULL};
  int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (dup2(input, STDIN_FILENO) < 0 || dup2(nothing, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0) {
    _exit(EXIT_NO_PROGRAM);
  }
  environ = environment; /* whose PATH counts below */
  execvp(name, arguments);
  _exit(EXIT_NO_PROGRAM);
}

/* What nft says begins with "/dev/stdin:12:3-9: Error: …" and shows the line below. */
static int refuse(const char *words, struct error *error) {
  static const char *const places[] = {"/dev/stdin:", "-:", "internal:"};
  const char *start = words;
  for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
    if (strncmp(words, places[i], strlen(places[i])) == 0) {
      start = words + strlen(places[i]);
      break;
    }
  }
  size_t length = strlen(start);
  while (length > 0 && start[length - 1] == '\n') {
    length--;
  }
  const char *line = start != words ? "line " : "";
  return error_set(error, EINVAL, "nft does not take the text: %s%.*s", line, (int)length,
                   length > 0 ? start : "(it does not say why)");
}

/* All that comes, the first of it kept. */
static void read_words(int fd, char words[static WORDS_MOST]) {
  char more[WORDS_MOST];
  size_t used = 0;
  ssize_t length;
  while ((length = read(fd, more, sizeof(more))) > 0 || (length < 0 && errno == EINTR)) {
    size_t room = WORDS_MOST - 1 - used, taken = length > 0 ? (size_t)length : 0;
    taken = taken < room ? taken : room;
    memcpy(words + used, more, taken);
    used += taken;
  }
  words[used] = '\0';
}

static int wait_for(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) {
      return -errno;
    }
  }
  return status;
}

static int load_text(int input, struct error *error) {
  int ends[2];
  char words[WORDS_MOST];
  if (pipe2(ends, O_CLOEXEC) < 0) {
    return error_set(error, errno, "cannot make a pipe");
  }
  pid_t pid = fork();
  if (pid == 0) {
    run_nft(input, ends[1]);
  }
  close(ends[1]);
  read_words(ends[0], words);
  close(ends[0]);
  int status = pid < 0 ? -errno : wait_for(pid);
  if (status < 0) {
    return error_set(error, -status, "cannot run nft: %s", strerror(-status));
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NO_PROGRAM && words[0] == '\0') {
    return error_set(error, ENOENT, "the program nft is not installed; it is needed to read a ruleset from text");
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : refuse(words, error);
}

/* ---- in the child: the answer ---- */

/* Generation and namespace are those of a place that nobody will see. */
static int take_and_write(struct arena *arena, int output, struct error *error) {
  struct snapshot snapshot = {0};
  const uint8_t *bytes = NULL;
  size_t length = 0;
  int status = snapshot_take(arena, &snapshot, error);
  if (status < 0) {
    return status;
  }
  snapshot.network_namespace = 0;
  status = snapshot_write(&snapshot, arena, &bytes, &length);
  status = status < 0 ? status : write_all(output, bytes, length);
  return status < 0 ? error_set(error, -status, "cannot hand over the ruleset: %s", strerror(-status)) : 0;
}

static void answer(const char *text, size_t length, int input, int output) {
  struct error error = {0};
  struct arena *arena = arena_new(0);
  int status = arena == NULL ? error_set(&error, ENOMEM, "no memory") : enter_namespace(&error);
  if (status == 0) {
    snapshot_make_devices(text, length);
    status = load_text(input, &error);
  }
  status = status < 0 ? status : take_and_write(arena, output, &error);
  if (status < 0) {
    (void)!ftruncate(output, 0);
    (void)!pwrite(output, &error, sizeof(error), 0);
  }
  _exit(status < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* ---- in the parent ---- */

static int read_failure(int fd, struct error *error) {
  struct error told;
  if (pread(fd, &told, sizeof(told), 0) != (ssize_t)sizeof(told) || told.code <= 0) {
    return error_set(error, EPROTO, "the child that reads a ruleset from text ended early");
  }
  told.message[sizeof(told.message) - 1] = '\0';
  return error_set(error, told.code, "%s", told.message);
}

static int read_snapshot(int fd, struct arena *arena, struct snapshot *ret_snapshot, struct error *error) {
  struct stat file;
  if (fstat(fd, &file) < 0 || file.st_size <= 0) {
    return error_set(error, EPROTO, "the child that reads a ruleset from text says nothing");
  }
  size_t length = (size_t)file.st_size;
  void *bytes = mmap(NULL, length, PROT_READ, MAP_PRIVATE, fd, 0);
  if (bytes == MAP_FAILED) {
    return error_set(error, errno, "cannot read what the child says: %s", strerror(errno));
  }
  int status = snapshot_parse(bytes, length, arena, ret_snapshot, error);
  munmap(bytes, length);
  return status;
}

static int wait_for_child(pid_t pid, int output, struct arena *arena, struct snapshot *ret_snapshot,
                          struct error *error) {
  int status = pid < 0 ? -errno : wait_for(pid);
  if (status < 0) {
    return error_set(error, -status, "no child to read a ruleset from text: %s", strerror(-status));
  }
  bool well = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
  return well ? read_snapshot(output, arena, ret_snapshot, error) : read_failure(output, error);
}

int snapshot_of_text(const char *text, size_t length, struct arena *arena, struct snapshot *ret_snapshot,
                     struct error *error) {
  int input = -1, output = -1;
  int status = memory_file(text, length, &input, error);
  status = status < 0 ? status : memory_file("", 0, &output, error);
  if (status == 0) {
    pid_t pid = fork();
    if (pid == 0) {
      answer(text, length, input, output);
    }
    status = wait_for_child(pid, output, arena, ret_snapshot, error);
  }
  if (input >= 0) {
    close(input);
  }
  if (output >= 0) {
    close(output);
  }
  return status;
}
