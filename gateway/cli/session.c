/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/session.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANCESTOR_LIMIT = 32, ENVIRONMENT_LIMIT = 256 * 1024, STATUS_LIMIT = 512 };

static const char VARIABLE[] = "SSH_CONNECTION=";

/* A link-local address comes with its interface, which a policy does not know. */
static bool parse_address(char *text, struct address *ret_address) {
  char *scope = strchr(text, '%');
  if (scope) {
    *scope = '\0';
  }
  return address_parse(text, ret_address);
}

bool session_parse(const char *text, struct session *ret_session) {
  char operator_text[ADDRESS_TEXT_SIZE + 16], gateway_text[ADDRESS_TEXT_SIZE + 16];
  unsigned operator_port, gateway_port;
  struct session session = {0};
  int length = 0;
  if (sscanf(text, "%63s %5u %63s %5u%n", operator_text, &operator_port, gateway_text, &gateway_port, &length) != 4 ||
      text[length] != '\0' || operator_port > UINT16_MAX || gateway_port > UINT16_MAX ||
      !parse_address(operator_text, &session.operator_address) ||
      !parse_address(gateway_text, &session.gateway_address) ||
      session.operator_address.family != session.gateway_address.family) {
    return false;
  }
  session.operator_port = (uint16_t)operator_port;
  session.gateway_port = (uint16_t)gateway_port;
  *ret_session = session;
  return true;
}

const char *session_find_variable(const char *environment, size_t size) {
  for (size_t position = 0; position < size;) {
    const char *entry = environment + position;
    const char *end = memchr(entry, '\0', size - position);
    if (!end) {
      return NULL; /* cut off: what it says cannot be relied on */
    }
    if (strncmp(entry, VARIABLE, sizeof VARIABLE - 1) == 0) {
      return entry + sizeof VARIABLE - 1;
    }
    position += (size_t)(end - entry) + 1;
  }
  return NULL;
}

/* Returns how much was read, 0 when nothing could be. */
static size_t read_process_file(pid_t pid, const char *name, char *buffer, size_t size) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return 0;
  }
  size_t length = 0;
  for (ssize_t got = 1; got > 0 && length < size;) {
    got = read(fd, buffer + length, size - length);
    length += got > 0 ? (size_t)got : 0;
  }
  close(fd);
  return length;
}

/* "1234 (name) S 1000 ...": the name may hold anything, also blanks and brackets. */
static pid_t parent_of(pid_t pid) {
  char status[STATUS_LIMIT];
  size_t length = read_process_file(pid, "stat", status, sizeof status - 1);
  status[length] = '\0';
  const char *name_end = strrchr(status, ')');
  long parent = 0;
  return name_end && sscanf(name_end + 1, " %*c %ld", &parent) == 1 ? (pid_t)parent : 0;
}

static bool find_in(pid_t pid, char *buffer, struct session *ret_session) {
  size_t size = read_process_file(pid, "environ", buffer, ENVIRONMENT_LIMIT);
  const char *value = session_find_variable(buffer, size);
  return value && session_parse(value, ret_session);
}

bool session_find(struct session *ret_session) {
  const char *own = getenv("SSH_CONNECTION");
  if (own && session_parse(own, ret_session)) {
    return true;
  }
  char *buffer = malloc(ENVIRONMENT_LIMIT);
  bool found = false;
  pid_t pid = getppid();
  for (int depth = 0; buffer && !found && pid > 1 && depth < ANCESTOR_LIMIT; depth++) {
    found = find_in(pid, buffer, ret_session);
    pid = parent_of(pid);
  }
  free(buffer);
  return found;
}
