/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "events/channel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <gnutls/gnutls.h>
#include <linux/sockios.h>

enum { PATIENCE_MILLISECONDS = 5000, FAREWELL_MILLISECONDS = 1000, PORT_SIZE = 8, PORT_TCP = 601, PORT_TLS = 6514 };

#define LOCAL_SOCKET "/dev/log"

struct channel {
  enum syslog_transport transport;
  int socket; /* -1: none */
  gnutls_session_t session;
  gnutls_certificate_credentials_t credentials;
};

/* ---- sockets ---- */

static int open_local(struct channel *channel, struct error *error) {
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = LOCAL_SOCKET};
  channel->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (channel->socket < 0 || connect(channel->socket, (const struct sockaddr *)&address, sizeof address) < 0)
    return error_set(error, errno, LOCAL_SOCKET ": %s", strerror(errno));
  return 0;
}

static int finish_connect(int socket) {
  struct pollfd wait = {.fd = socket, .events = POLLOUT};
  int code = 0;
  socklen_t size = sizeof code;
  if (poll(&wait, 1, PATIENCE_MILLISECONDS) <= 0)
    return -ETIMEDOUT;
  if (getsockopt(socket, SOL_SOCKET, SO_ERROR, &code, &size) < 0)
    return -errno;
  return -code;
}

/* A blocking socket whose waiting has an end; data that nobody acknowledges ends it too. */
static int try_address(const struct addrinfo *address, int *ret_socket) {
  int unanswered = 4 * PATIENCE_MILLISECONDS;
  struct timeval patience = {.tv_sec = PATIENCE_MILLISECONDS / 1000};
  int socket_ = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
  if (socket_ < 0)
    return -errno;
  int result = connect(socket_, address->ai_addr, address->ai_addrlen) < 0 ? -errno : 0;
  if (result == -EINPROGRESS)
    result = finish_connect(socket_);
  if (result == 0 &&
      (fcntl(socket_, F_SETFL, 0) < 0 || setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0 ||
       setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 ||
       setsockopt(socket_, IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered, sizeof unanswered) < 0))
    result = -errno;
  if (result < 0) {
    close(socket_);
    return result;
  }
  *ret_socket = socket_;
  return 0;
}

static int open_stream(struct channel *channel, const struct syslog_settings *settings, struct error *error) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_protocol = IPPROTO_TCP}, *addresses = NULL;
  char port[PORT_SIZE];
  unsigned usual = settings->transport == SYSLOG_TLS ? PORT_TLS : PORT_TCP;
  snprintf(port, sizeof port, "%u", settings->port > 0 ? settings->port : usual);
  int found = getaddrinfo(settings->server, port, &hints, &addresses);
  if (found != 0)
    return error_set(error, EHOSTUNREACH, "%s: %s", settings->server, gai_strerror(found));
  int result = -EHOSTUNREACH;
  for (const struct addrinfo *each = addresses; result < 0 && each != NULL; each = each->ai_next)
    result = try_address(each, &channel->socket);
  freeaddrinfo(addresses);
  return result < 0 ? error_set(error, -result, "%s port %s: %s", settings->server, port, strerror(-result)) : 0;
}

/* ---- TLS ---- */

static int fail(const struct syslog_settings *settings, int result, struct error *error) {
  return error_set(error, EPROTO, "TLS with %s: %s", settings->server, gnutls_strerror(result));
}

static int prepare_session(struct channel *channel, const struct syslog_settings *settings) {
  const char *name = settings->name != NULL ? settings->name : settings->server;
  struct in6_addr address;
  bool is_address = inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1;
  int result = gnutls_init(&channel->session, GNUTLS_CLIENT);
  if (result == GNUTLS_E_SUCCESS)
    result = gnutls_priority_set_direct(channel->session, "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2", NULL);
  if (result == GNUTLS_E_SUCCESS)
    result = gnutls_credentials_set(channel->session, GNUTLS_CRD_CERTIFICATE, channel->credentials);
  if (result == GNUTLS_E_SUCCESS && !is_address)
    result = gnutls_server_name_set(channel->session, GNUTLS_NAME_DNS, name, strlen(name));
  if (result != GNUTLS_E_SUCCESS)
    return result;
  gnutls_session_set_verify_cert(channel->session, name, 0);
  gnutls_transport_set_int(channel->session, channel->socket);
  gnutls_handshake_set_timeout(channel->session, PATIENCE_MILLISECONDS);
  return GNUTLS_E_SUCCESS;
}

/* A certificate that is not accepted is told with its reason. */
static int fail_handshake(const struct channel *channel, const struct syslog_settings *settings, int result,
                          struct error *error) {
  gnutls_datum_t reason = {NULL, 0};
  if (result != GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR)
    return fail(settings, result, error);
  gnutls_certificate_verification_status_print(gnutls_session_get_verify_cert_status(channel->session),
                                               gnutls_certificate_type_get(channel->session), &reason, 0);
  int code = error_set(error, EPROTO, "TLS with %s: %s", settings->server,
                       reason.data != NULL ? (const char *)reason.data : "the certificate is not accepted");
  gnutls_free(reason.data);
  return code;
}

static int shake_hands(struct channel *channel, const struct syslog_settings *settings, struct error *error) {
  int result = gnutls_certificate_allocate_credentials(&channel->credentials);
  if (result != GNUTLS_E_SUCCESS)
    return fail(settings, result, error);
  int found = gnutls_certificate_set_x509_trust_file(channel->credentials, settings->authorities, GNUTLS_X509_FMT_PEM);
  if (found <= 0)
    return error_set(error, EINVAL, "%s: %s", settings->authorities,
                     found < 0 ? gnutls_strerror(found) : "no certificate in it");
  result = prepare_session(channel, settings);
  if (result != GNUTLS_E_SUCCESS)
    return fail(settings, result, error);
  do
    result = gnutls_handshake(channel->session);
  while (result < 0 && gnutls_error_is_fatal(result) == 0);
  return result < 0 ? fail_handshake(channel, settings, result, error) : 0;
}

/* ---- the channel ---- */

int channel_open(const struct syslog_settings *settings, struct channel **ret_channel, struct error *error) {
  struct channel *channel = calloc(1, sizeof *channel);
  if (channel == NULL)
    return error_set(error, ENOMEM, "no memory");
  *channel = (struct channel){.transport = settings->transport, .socket = -1};
  int result = settings->transport == SYSLOG_LOCAL ? open_local(channel, error) : open_stream(channel, settings, error);
  if (result == 0 && settings->transport == SYSLOG_TLS)
    result = shake_hands(channel, settings, error);
  if (result < 0) {
    channel_close(channel);
    return result;
  }
  *ret_channel = channel;
  return 0;
}

struct channel *channel_close(struct channel *channel) {
  if (channel == NULL)
    return NULL;
  if (channel->session != NULL) {
    gnutls_bye(channel->session, GNUTLS_SHUT_WR);
    gnutls_deinit(channel->session);
  }
  if (channel->credentials != NULL)
    gnutls_certificate_free_credentials(channel->credentials);
  if (channel->socket >= 0)
    close(channel->socket);
  free(channel);
  return NULL;
}

static ssize_t send_some(struct channel *channel, const char *data, size_t length) {
  if (channel->session == NULL) {
    ssize_t sent = send(channel->socket, data, length, MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
  }
  ssize_t sent = gnutls_record_send(channel->session, data, length);
  return sent == GNUTLS_E_AGAIN ? -ETIMEDOUT : sent < 0 ? -EPROTO : sent;
}

static int send_all(struct channel *channel, const char *data, size_t length, struct error *error) {
  for (size_t sent = 0; sent < length;) {
    ssize_t some = send_some(channel, data + sent, length - sent);
    if (some == -EINTR)
      continue;
    if (some <= 0)
      return error_set(error,
                       some == -EAGAIN ? ETIMEDOUT
                       : some < 0      ? (int)-some
                                       : EPIPE,
                       "the log server: %s",
                       strerror(some == -EAGAIN ? ETIMEDOUT
                                : some < 0      ? (int)-some
                                                : EPIPE));
    sent += (size_t)some;
  }
  return 0;
}

int channel_send(struct channel *channel, const char *message, size_t length, struct error *error) {
  if (channel->transport == SYSLOG_LOCAL)
    return send_all(channel, message, length, error);
  char *counted = NULL;
  int size = asprintf(&counted, "%zu %.*s", length, (int)length, message);
  if (size < 0)
    return error_set(error, ENOMEM, "no memory");
  int result = send_all(channel, counted, (size_t)size, error);
  free(counted);
  return result;
}

bool channel_is_lost(const struct channel *channel) {
  struct pollfd look = {.fd = channel->socket, .events = POLLRDHUP};
  return channel->transport != SYSLOG_LOCAL && poll(&look, 1, 0) > 0 && look.revents != 0;
}

bool channel_is_acknowledged(const struct channel *channel) {
  int waiting = 0;
  return channel->transport == SYSLOG_LOCAL || (ioctl(channel->socket, SIOCOUTQ, &waiting) == 0 && waiting == 0);
}

bool channel_finish(struct channel *channel) {
  char ignored[256];
  struct pollfd wait = {.fd = channel->socket, .events = POLLIN};
  if (channel->transport == SYSLOG_LOCAL)
    return true;
  if (channel->session != NULL)
    gnutls_bye(channel->session, GNUTLS_SHUT_WR);
  shutdown(channel->socket, SHUT_WR);
  while (poll(&wait, 1, FAREWELL_MILLISECONDS) > 0) {
    ssize_t got = recv(channel->socket, ignored, sizeof ignored, MSG_DONTWAIT);
    if (got <= 0)
      return got == 0;
  }
  return false;
}

int channel_descriptor(const struct channel *channel) {
  return channel->socket;
}
