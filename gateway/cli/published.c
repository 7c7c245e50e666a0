/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/published.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "control/message.h"
#include "control/publication.h"
#include "control/restrictions_json.h"

enum { PATIENCE_SECONDS = 1 };

static const struct restrictions *read_restrictions(const struct invocation *invocation, const struct policy *policy,
                                                    const struct publication *publication, int fd) {
  char *text;
  size_t size;
  struct restrictions *restrictions = ARENA_NEW(invocation->arena, struct restrictions);
  if (restrictions == NULL || publication->phase != PUBLICATION_IN_FORCE || publication->restrictions_size == 0 ||
      strcmp(publication->policy_sha256, policy->sha256) != 0 ||
      sealed_read(fd, 2 * (uint64_t)PUBLICATION_POLICY_LIMIT, invocation->arena, &text, &size, NULL) < 0 ||
      restrictions_from_text(text + publication->policy_size, size - publication->policy_size, policy->flow_count,
                             policy->zone_count, invocation->arena, restrictions, NULL) < 0)
    return NULL;
  return restrictions;
}

const struct restrictions *published_restrictions(const struct invocation *invocation, const struct policy *policy) {
  const struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
  const struct restrictions *restrictions = NULL;
  struct publication publication;
  int fd = -1, socket = message_connect(invocation->run_directory, PUBLICATION_SOCKET, NULL);
  if (socket < 0)
    return NULL;
  (void)setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (publication_receive(socket, &publication, &fd, NULL) == 0 && fd >= 0) {
    restrictions = read_restrictions(invocation, policy, &publication, fd);
    close(fd);
  }
  close(socket);
  return restrictions;
}
