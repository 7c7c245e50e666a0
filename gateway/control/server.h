/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_CONTROL_SERVER_H
#define KIDO_CONTROL_SERVER_H

#include <stdint.h>

#include <jansson.h>
#include <systemd/sd-event.h>

#include "base/error.h"
#include "control/person.h"
#include "control/protocol.h"

/*
 * The listening side of protocol.h. A client is named by a number, never by a pointer: it may be gone when its answer
 * is ready, and then the answer goes nowhere. No client makes the loop wait.
 */
struct server;

/*
 * One request that is right in form. policy_fd (-1 for none) belongs to the handler. It answers now or later with
 * server_reply(); until then the connection stands.
 */
typedef void server_handler(uint64_t client, const struct control_request *request, int policy_fd, void *context);

int server_open(sd_event *loop, const char *run_directory, server_handler *handler, void *context,
                struct server **ret_server, struct error *error);
struct server *server_close(struct server *server); /* NULL is allowed; returns NULL */

/* Who is behind a connection, as of when it was made; person_none() when it is gone. */
struct person server_person(struct server *server, uint64_t client);

/* Tells a client which step begins. */
void server_step(struct server *server, uint64_t client, enum control_step step);
/* Sends the final answer, releases body, ends the connection. code: exit code of the client. */
void server_reply(struct server *server, uint64_t client, enum control_step step, int code, json_t *body);

#endif
