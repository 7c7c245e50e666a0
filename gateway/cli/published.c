/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/published.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "control/message.h"
#include "control/restrictions_json.h"

enum { PATIENCE_SECONDS = 1 };

/* The policy and the restrictions lie one behind the other; each gets an end of its own. */
static int split(const struct invocation *invocation, struct published *published, int fd) {
  const struct publication *publication = &published->publication;
  char *text;
  size_t size;
  int result = sealed_read(fd, 2 * (uint64_t)PUBLICATION_POLICY_LIMIT, invocation->arena, &text, &size, NULL);
  if (result < 0) {
    return result;
  }
  published->text = arena_strndup(invocation->arena, text, publication->policy_size);
  published->restrictions =
      arena_strndup(invocation->arena, text + publication->policy_size, size - publication->policy_size);
  return published->text && published->restrictions ? 0 : -ENOMEM;
}

static int receive(const struct invocation *invocation, int socket, struct published *ret_published) {
  struct published published = {.text = NULL};
  int fd = -1;
  int result = publication_receive(socket, &published.publication, &fd, NULL);
  if (result == 0 && fd >= 0) {
    result = split(invocation, &published, fd);
  }
  if (fd >= 0) {
    close(fd);
  }
  if (result == 0) {
    *ret_published = published;
  }
  return result;
}

int published_read(const struct invocation *invocation, struct published *ret_published) {
  const struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
  int socket = message_connect(invocation->run_directory, PUBLICATION_SOCKET, NULL);
  if (socket < 0) {
    return socket;
  }
  (void)setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  int result = receive(invocation, socket, ret_published);
  close(socket);
  return result;
}

const struct restrictions *published_restrictions_of(const struct invocation *invocation,
                                                     const struct published *published, const struct policy *policy) {
  struct restrictions *restrictions = ARENA_NEW(invocation->arena, struct restrictions);
  size_t size = published->restrictions ? strlen(published->restrictions) : 0;
  if (!restrictions || size == 0 ||
      restrictions_from_text(published->restrictions, size, policy->flow_count, policy->zone_count, invocation->arena,
                             restrictions, NULL) < 0) {
    return NULL;
  }
  return restrictions;
}

const struct restrictions *published_restrictions(const struct invocation *invocation, const struct policy *policy) {
  struct published published = {0};
  if (published_read(invocation, &published) < 0 || published.publication.phase != PUBLICATION_IN_FORCE ||
      strcmp(published.publication.policy_sha256, policy->sha256) != 0) {
    return NULL;
  }
  return published_restrictions_of(invocation, &published, policy);
}
