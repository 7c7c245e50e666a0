/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/publication.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "control/message.h"

int publication_send(int socket, const struct publication *publication, int policy_fd) {
  return message_send(socket, publication, sizeof *publication, policy_fd);
}

static int check_texts(const struct publication *publication, struct error *error) {
  if (!memchr(publication->policy_sha256, '\0', sizeof publication->policy_sha256) ||
      !memchr(publication->policy_number, '\0', sizeof publication->policy_number)) {
    return error_set(error, EPROTO, "a text of the publication has no end");
  }
  return 0;
}

static int check_publication(const struct publication *publication, int policy_fd, struct error *error) {
  if (publication->magic != PUBLICATION_MAGIC || publication->phase > PUBLICATION_IN_FORCE) {
    return error_set(error, EPROTO, "magic %08x, phase %u: not a publication", publication->magic, publication->phase);
  }
  if (publication->phase == PUBLICATION_CLOSED) {
    return policy_fd < 0 ? check_texts(publication, error)
                         : error_set(error, EPROTO, "a closed gate comes without a policy");
  }
  if (policy_fd < 0) {
    return error_set(error, EPROTO, "a publication without its policy");
  }
  uint64_t size = 0;
  int result = sealed_check(policy_fd, PUBLICATION_POLICY_LIMIT, &size, error);
  if (result < 0) {
    return result;
  }
  if (size != publication->policy_size) {
    return error_set(error, EPROTO, "the policy has %llu bytes, announced were %llu", (unsigned long long)size,
                     (unsigned long long)publication->policy_size);
  }
  return check_texts(publication, error);
}

int publication_receive(int socket, struct publication *ret_publication, int *ret_policy_fd, struct error *error) {
  struct publication publication;
  int policy_fd = -1;
  int result = message_receive(socket, &publication, sizeof publication, &policy_fd, error);
  if (result < 0) {
    return result;
  }
  result = check_publication(&publication, policy_fd, error);
  if (result < 0) {
    if (policy_fd >= 0) {
      close(policy_fd);
    }
    return result;
  }
  *ret_publication = publication;
  *ret_policy_fd = policy_fd;
  return 0;
}
