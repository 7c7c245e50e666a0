/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/message.h"
#include "control/privilege.h"
#include "control/publication.h"

enum client_state {
  CLIENT_FREE,
  CLIENT_ASKING,  /* connected, has not asked; may be put out for somebody else */
  CLIENT_WAITING, /* has asked; anything more that it sends ends the connection */
};

struct client {
  struct server *server;
  enum client_state state;
  uint64_t number;
  int socket;
  struct person person;
  sd_event_source *reading, *deadline;
};

struct server {
  sd_event *loop;
  sd_event_source *listening;
  int socket;
  uid_t watchman;
  server_handler *handler;
  void *context;
  uint64_t last_number;
  struct client clients[CONTROL_CLIENT_LIMIT];
};

static void drop_client(struct client *client) {
  if (client->state == CLIENT_FREE) {
    return;
  }
  client->reading = sd_event_source_disable_unref(client->reading);
  client->deadline = sd_event_source_disable_unref(client->deadline);
  close(client->socket);
  client->state = CLIENT_FREE;
}

static struct client *find_client(struct server *server, uint64_t number) {
  for (size_t i = 0; i < CONTROL_CLIENT_LIMIT; i++) {
    if (server->clients[i].state != CLIENT_FREE && server->clients[i].number == number) {
      return &server->clients[i];
    }
  }
  return NULL;
}

static void take_request(struct client *client) {
  struct server *server = client->server;
  struct control_request request;
  int policy_fd = -1;
  int result = control_request_receive(client->socket, &request, &policy_fd, NULL);
  if (result == -EAGAIN) {
    return;
  }
  if (result < 0) {
    drop_client(client);
    return;
  }
  client->state = CLIENT_WAITING;
  client->deadline = sd_event_source_disable_unref(client->deadline);
  server->handler(client->number, &request, policy_fd, server->context);
}

static int on_client(sd_event_source *source, int fd, uint32_t events, void *context) {
  (void)source, (void)fd;
  struct client *client = context;
  if (client->state == CLIENT_ASKING && (events & EPOLLIN) != 0) {
    take_request(client);
  } else {
    drop_client(client);
  }
  return 0;
}

static int on_deadline(sd_event_source *source, uint64_t time, void *context) {
  (void)source, (void)time;
  drop_client(context);
  return 0;
}

/* A free place, else that of the client that has been asking for longest; NULL when all wait for answers. */
static struct client *find_place(struct server *server) {
  struct client *oldest = NULL;
  for (size_t i = 0; i < CONTROL_CLIENT_LIMIT; i++) {
    struct client *client = &server->clients[i];
    if (client->state == CLIENT_FREE) {
      return client;
    }
    if (client->state == CLIENT_ASKING && (!oldest || client->number < oldest->number)) {
      oldest = client;
    }
  }
  if (oldest) {
    drop_client(oldest);
  }
  return oldest;
}

static void admit(struct server *server, int fd) {
  struct client *client = find_place(server);
  if (!client) {
    close(fd);
    return;
  }
  *client = (struct client){.server = server,
                            .state = CLIENT_ASKING,
                            .number = ++server->last_number,
                            .socket = fd,
                            .person = person_of_peer(fd)};
  const uint64_t patience = (uint64_t)CONTROL_REQUEST_SECONDS * 1000000;
  if (sd_event_add_io(server->loop, &client->reading, fd, EPOLLIN, on_client, client) < 0 ||
      sd_event_add_time_relative(server->loop, &client->deadline, CLOCK_MONOTONIC, patience, 0, on_deadline, client) <
          0) {
    drop_client(client);
  }
}

static int on_listening(sd_event_source *source, int socket, uint32_t events, void *context) {
  (void)source, (void)events;
  struct server *server = context;
  int fd = accept4(socket, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    return 0;
  }
  if (privilege_peer_may_command(fd, server->watchman)) {
    admit(server, fd);
  } else {
    close(fd);
  }
  return 0;
}

int server_open(sd_event *loop, const char *run_directory, server_handler *handler, void *context,
                struct server **ret_server, struct error *error) {
  struct server *server = calloc(1, sizeof *server);
  if (!server) {
    return error_set(error, ENOMEM, "no memory");
  }
  *server =
      (struct server){.loop = loop, .handler = handler, .context = context, .watchman = privilege_find_watchman()};
  server->socket = message_listen(run_directory, CONTROL_SOCKET, error);
  int result = server->socket < 0 ? server->socket : 0;
  if (result == 0) {
    result = sd_event_add_io(loop, &server->listening, server->socket, EPOLLIN, on_listening, server);
  }
  if (result < 0) {
    server_close(server);
    return result;
  }
  *ret_server = server;
  return 0;
}

struct server *server_close(struct server *server) {
  if (!server) {
    return NULL;
  }
  for (size_t i = 0; i < CONTROL_CLIENT_LIMIT; i++) {
    drop_client(&server->clients[i]);
  }
  sd_event_source_disable_unref(server->listening);
  if (server->socket >= 0) {
    close(server->socket);
  }
  free(server);
  return NULL;
}

struct person server_person(struct server *server, uint64_t number) {
  const struct client *client = find_client(server, number);
  return client ? client->person : person_none();
}

void server_step(struct server *server, uint64_t number, enum control_step step) {
  struct client *client = find_client(server, number);
  struct control_reply reply = {.magic = CONTROL_MAGIC, .version = CONTROL_VERSION, .step = step};
  if (client && control_reply_send(client->socket, &reply, -1) < 0) {
    drop_client(client);
  }
}

static void send_final(struct client *client, enum control_step step, int code, const char *text) {
  struct control_reply reply = {.magic = CONTROL_MAGIC,
                                .version = CONTROL_VERSION,
                                .final = 1,
                                .step = step,
                                .code = (uint32_t)code,
                                .body_size = strlen(text)};
  int fd = sealed_memfd("answer", text, strlen(text));
  if (fd >= 0) {
    control_reply_send(client->socket, &reply, fd);
    close(fd);
  }
}

void server_reply(struct server *server, uint64_t number, enum control_step step, int code, json_t *body) {
  struct client *client = find_client(server, number);
  char *text = client && body ? json_dumps(body, JSON_COMPACT) : NULL;
  if (text) {
    send_final(client, step, code, text);
  }
  if (client) {
    drop_client(client);
  }
  free(text);
  json_decref(body);
}
