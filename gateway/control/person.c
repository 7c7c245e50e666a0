/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/person.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NAME_SIZE = 48, ENTRY_SIZE = 4096, NUMBER_SIZE = 16 };

struct person person_none(void) {
  return (struct person){.uid = PERSON_NOBODY, .login_uid = PERSON_NOBODY};
}

/* The kernel says 4294967295 for nobody, which is PERSON_NOBODY. */
static uint32_t login_of(pid_t pid) {
  char path[64], number[NUMBER_SIZE];
  snprintf(path, sizeof path, "/proc/%ld/loginuid", (long)pid);
  int fd = pid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) {
    return PERSON_NOBODY;
  }
  ssize_t length = read(fd, number, sizeof number - 1);
  close(fd);
  if (length <= 0) {
    return PERSON_NOBODY;
  }
  number[length] = '\0';
  unsigned long value = strtoul(number, NULL, 10);
  return value < PERSON_NOBODY ? (uint32_t)value : PERSON_NOBODY;
}

struct person person_of_peer(int socket) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
    return person_none();
  }
  return (struct person){.uid = peer.uid, .login_uid = login_of(peer.pid)};
}

bool person_same(const struct person *left, const struct person *right) {
  if (left->login_uid != PERSON_NOBODY && right->login_uid != PERSON_NOBODY) {
    return left->login_uid == right->login_uid;
  }
  return left->login_uid == right->login_uid && left->uid == right->uid;
}

static const char *name_of(uint32_t uid, char name[static NAME_SIZE]) {
  struct passwd entry, *found = NULL;
  char buffer[ENTRY_SIZE];
  if (getpwuid_r(uid, &entry, buffer, sizeof buffer, &found) == 0 && found) {
    snprintf(name, NAME_SIZE, "%s", found->pw_name);
  } else {
    snprintf(name, NAME_SIZE, "uid %u", uid);
  }
  return name;
}

const char *person_text(const struct person *person, char text[static PERSON_TEXT_SIZE]) {
  char name[NAME_SIZE], login[NAME_SIZE];
  if (person->uid == PERSON_NOBODY) {
    snprintf(text, PERSON_TEXT_SIZE, "kidod");
  } else if (person->login_uid == PERSON_NOBODY || person->login_uid == person->uid) {
    snprintf(text, PERSON_TEXT_SIZE, "%s", name_of(person->uid, name));
  } else {
    snprintf(text, PERSON_TEXT_SIZE, "%s (%s)", name_of(person->login_uid, login), name_of(person->uid, name));
  }
  return text;
}
