/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/publisher.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/message.h"
#include "control/privilege.h"

struct follower {
  struct publisher *publisher;
  int socket; /* -1: a free place */
  sd_event_source *source;
};

struct publisher {
  sd_event *loop;
  sd_event_source *listening;
  int socket;
  struct publication current;
  int policy_fd; /* -1 when the gate is closed */
  struct follower followers[PUBLISHER_FOLLOWER_LIMIT];
};

static void drop_follower(struct follower *follower) {
  if (follower->socket < 0) {
    return;
  }
  follower->source = sd_event_source_disable_unref(follower->source);
  close(follower->socket);
  follower->socket = -1;
}

static void send_current(struct follower *follower) {
  const struct publisher *publisher = follower->publisher;
  if (publication_send(follower->socket, &publisher->current, publisher->policy_fd) < 0) {
    drop_follower(follower);
  }
}

/* A follower only listens: whatever comes from it is its end. */
static int on_follower(sd_event_source *source, int fd, uint32_t events, void *context) {
  (void)source, (void)fd, (void)events;
  drop_follower(context);
  return 0;
}

static struct follower *find_place(struct publisher *publisher) {
  for (size_t i = 0; i < PUBLISHER_FOLLOWER_LIMIT; i++) {
    if (publisher->followers[i].socket < 0) {
      return &publisher->followers[i];
    }
  }
  return NULL;
}

static void admit(struct publisher *publisher, int fd) {
  struct follower *follower = find_place(publisher);
  if (!follower) {
    close(fd);
    return;
  }
  *follower = (struct follower){.publisher = publisher, .socket = fd};
  if (sd_event_add_io(publisher->loop, &follower->source, fd, EPOLLIN, on_follower, follower) < 0) {
    drop_follower(follower);
    return;
  }
  send_current(follower);
}

static int on_listening(sd_event_source *source, int socket, uint32_t events, void *context) {
  (void)source, (void)events;
  int fd = accept4(socket, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    return 0;
  }
  if (privilege_peer_allowed(fd)) {
    admit(context, fd);
  } else {
    close(fd);
  }
  return 0;
}

int publisher_open(sd_event *loop, const char *run_directory, struct publisher **ret_publisher, struct error *error) {
  struct publisher *publisher = calloc(1, sizeof *publisher);
  if (!publisher) {
    return error_set(error, ENOMEM, "no memory");
  }
  *publisher = (struct publisher){
      .loop = loop, .policy_fd = -1, .current = {.magic = PUBLICATION_MAGIC, .phase = PUBLICATION_CLOSED}};
  for (size_t i = 0; i < PUBLISHER_FOLLOWER_LIMIT; i++) {
    publisher->followers[i].socket = -1;
  }
  publisher->socket = message_listen(run_directory, PUBLICATION_SOCKET, error);
  int result = publisher->socket < 0 ? publisher->socket : 0;
  if (result == 0) {
    result = sd_event_add_io(loop, &publisher->listening, publisher->socket, EPOLLIN, on_listening, publisher);
  }
  if (result < 0) {
    publisher_close(publisher);
    return result;
  }
  *ret_publisher = publisher;
  return 0;
}

struct publisher *publisher_close(struct publisher *publisher) {
  if (!publisher) {
    return NULL;
  }
  for (size_t i = 0; i < PUBLISHER_FOLLOWER_LIMIT; i++) {
    drop_follower(&publisher->followers[i]);
  }
  sd_event_source_disable_unref(publisher->listening);
  if (publisher->socket >= 0) {
    close(publisher->socket);
  }
  if (publisher->policy_fd >= 0) {
    close(publisher->policy_fd);
  }
  free(publisher);
  return NULL;
}

/* The policy and behind it the restrictions; a descriptor or a negative errno. */
static int seal_both(const char *policy, size_t size, const char *restrictions, size_t restrictions_size) {
  char *both = malloc(size + restrictions_size + 1);
  if (!both) {
    return -ENOMEM;
  }
  memcpy(both, policy, size);
  if (restrictions_size > 0) {
    memcpy(both + size, restrictions, restrictions_size);
  }
  int fd = sealed_memfd("policy", both, size + restrictions_size);
  free(both);
  return fd;
}

int publisher_publish(struct publisher *publisher, const struct publication *publication, const char *policy,
                      size_t size, const char *restrictions, struct error *error) {
  size_t restrictions_size = policy && restrictions ? strlen(restrictions) : 0;
  int fd = policy ? seal_both(policy, size, restrictions, restrictions_size) : -1;
  if (policy && fd < 0) {
    return error_set(error, -fd, "the policy cannot be published: %s", strerror(-fd));
  }
  if (publisher->policy_fd >= 0) {
    close(publisher->policy_fd);
  }
  publisher->policy_fd = fd;
  publisher->current = *publication;
  publisher->current.magic = PUBLICATION_MAGIC;
  publisher->current.policy_size = policy ? size : 0;
  publisher->current.restrictions_size = restrictions_size;
  for (size_t i = 0; i < PUBLISHER_FOLLOWER_LIMIT; i++) {
    if (publisher->followers[i].socket >= 0) {
      send_current(&publisher->followers[i]);
    }
  }
  return 0;
}
