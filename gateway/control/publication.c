/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/publication.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "control/message.h"

int publication_send(int socket, const struct publication *publication, int fd) {
  return message_send(socket, publication, sizeof *publication, fd);
}

static int check_texts(const struct publication *publication, struct error *error) {
  if (!memchr(publication->policy_sha256, '\0', sizeof publication->policy_sha256) ||
      !memchr(publication->policy_number, '\0', sizeof publication->policy_number)) {
    return error_set(error, EPROTO, "a text of the publication has no end");
  }
  return 0;
}

static int check_sizes(const struct publication *publication, int fd, struct error *error) {
  uint64_t size = 0;
  int result = sealed_check(fd, 2 * (size_t)PUBLICATION_POLICY_LIMIT, &size, error);
  if (result < 0) {
    return result;
  }
  bool bounded = publication->policy_size <= PUBLICATION_POLICY_LIMIT &&
                 publication->restrictions_size <= PUBLICATION_POLICY_LIMIT;
  if (!bounded || size != publication->policy_size + publication->restrictions_size) {
    return error_set(error, EPROTO, "the policy has %llu bytes, announced were %llu and %llu", (unsigned long long)size,
                     (unsigned long long)publication->policy_size, (unsigned long long)publication->restrictions_size);
  }
  return 0;
}

static int check_publication(const struct publication *publication, int fd, struct error *error) {
  if (publication->magic != PUBLICATION_MAGIC || publication->phase > PUBLICATION_IN_FORCE) {
    return error_set(error, EPROTO, "magic %08x, phase %u: not a publication", publication->magic, publication->phase);
  }
  if (publication->phase == PUBLICATION_CLOSED) {
    return fd < 0 ? check_texts(publication, error) : error_set(error, EPROTO, "a closed gate comes without a policy");
  }
  if (fd < 0) {
    return error_set(error, EPROTO, "a publication without its policy");
  }
  int result = check_sizes(publication, fd, error);
  return result < 0 ? result : check_texts(publication, error);
}

int publication_receive(int socket, struct publication *ret_publication, int *ret_fd, struct error *error) {
  struct publication publication;
  int fd = -1;
  int result = message_receive(socket, &publication, sizeof publication, &fd, error);
  if (result < 0) {
    return result;
  }
  result = check_publication(&publication, fd, error);
  if (result < 0) {
    if (fd >= 0) {
      close(fd);
    }
    return result;
  }
  *ret_publication = publication;
  *ret_fd = fd;
  return 0;
}
