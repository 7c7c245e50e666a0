/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>

#include "kernel/nftables_attributes.h"

enum {
  DATAGRAM_ROOM = 65536, /* the kernel fills at most 32 KiB of a dump at a time, and one message is smaller */
  ANSWER_LIMIT = INT_MAX,
  REPLY_BUFFER = 1024 * 1024, /* for complaints, beside what each message may cause */
  COMPLAINT_ROOM = 1024,      /* that the kernel charges for one of a few hundred bytes */
  PATIENCE_SECONDS = 30,
};

struct netlink {
  struct mnl_socket *socket;
  uint32_t sequence;
};

static void set_option(struct mnl_socket *socket, int option) {
  int on = 1;
  (void)mnl_socket_setsockopt(socket, option, &on, sizeof(on));
}

int netlink_open(int protocol, struct netlink **ret_netlink, struct error *error) {
  struct netlink *netlink = calloc(1, sizeof(*netlink));
  if (netlink == NULL) {
    return error_set(error, ENOMEM, "no memory for a netlink socket");
  }
  netlink->socket = mnl_socket_open2(protocol, SOCK_CLOEXEC);
  if (netlink->socket == NULL || mnl_socket_bind(netlink->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
    int code = errno;
    netlink_close(netlink);
    return error_set(error, code, "cannot open a netlink socket: %s", strerror(code));
  }
  set_option(netlink->socket, NETLINK_CAP_ACK);
  set_option(netlink->socket, NETLINK_EXT_ACK);
  struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
  (void)setsockopt(mnl_socket_get_fd(netlink->socket), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  *ret_netlink = netlink;
  return 0;
}

struct netlink *netlink_close(struct netlink *netlink) {
  if (netlink != NULL) {
    if (netlink->socket != NULL) {
      mnl_socket_close(netlink->socket);
    }
    free(netlink);
  }
  return NULL;
}

uint32_t netlink_port(const struct netlink *netlink) {
  return mnl_socket_get_portid(netlink->socket);
}

void netlink_answer_free(struct netlink_answer *answer) {
  free(answer->data);
  *answer = (struct netlink_answer){0};
}

/* One datagram from the kernel (and nobody else). Returns its length, or a negative errno. */
static ssize_t receive(struct netlink *netlink, void *buffer, size_t room, int flags) {
  struct sockaddr_nl peer = {0};
  struct iovec vector = {.iov_base = buffer, .iov_len = room};
  struct msghdr header = {.msg_name = &peer, .msg_namelen = sizeof(peer), .msg_iov = &vector, .msg_iovlen = 1};
  ssize_t length = recvmsg(mnl_socket_get_fd(netlink->socket), &header, flags);
  if (length < 0) {
    return -errno;
  }
  if (header.msg_flags & MSG_TRUNC) {
    return -EMSGSIZE;
  }
  return header.msg_namelen == sizeof(peer) && peer.nl_pid == 0 ? length : 0;
}

static int make_room(struct netlink_answer *answer, struct error *error) {
  if (answer->capacity - answer->length >= DATAGRAM_ROOM) {
    return 0;
  }
  size_t capacity = answer->capacity * 2 + 2 * (size_t)DATAGRAM_ROOM;
  char *data = capacity <= ANSWER_LIMIT ? realloc(answer->data, capacity) : NULL;
  if (data == NULL) {
    error_set(error, ENOMEM, "no memory for what the kernel answers");
    return -ENOMEM;
  }
  answer->data = data;
  answer->capacity = capacity;
  return 0;
}

enum progress { PROGRESS_MORE, PROGRESS_DONE };

static int code_of(const struct nlmsghdr *message) {
  int code = 0;
  if (message->nlmsg_len >= NLMSG_HDRLEN + sizeof(code)) {
    memcpy(&code, mnl_nlmsg_get_payload(message), sizeof(code));
  }
  return code <= 0 && code > -4096 ? code : -EPROTO;
}

static bool marker_differs(const struct nlmsghdr *message, int marker) {
  const struct nfgenmsg *header = mnl_nlmsg_get_payload(message);
  return marker >= 0 &&
         (message->nlmsg_len < NLMSG_HDRLEN + sizeof(*header) || ntohs(header->res_id) != (uint16_t)marker);
}

/* Looks at one message of an answer. Returns an enum progress, or what the kernel refused with. */
static int judge_message(const struct nlmsghdr *message, int marker) {
  if (message->nlmsg_flags & NLM_F_DUMP_INTR) {
    return -EINTR;
  }
  if (message->nlmsg_type == NLMSG_ERROR || message->nlmsg_type == NLMSG_DONE) {
    int code = code_of(message);
    return code < 0 ? code : PROGRESS_DONE;
  }
  if (marker_differs(message, marker)) {
    return -EINTR;
  }
  return message->nlmsg_flags & NLM_F_MULTI ? PROGRESS_MORE : PROGRESS_DONE;
}

/* Looks at all messages of one datagram. */
static int judge_datagram(const char *data, size_t length, uint32_t sequence, int marker) {
  int progress = PROGRESS_MORE;
  size_t position = 0;
  while (progress == PROGRESS_MORE && length - position >= NLMSG_HDRLEN) {
    const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)(data + position);
    if (message->nlmsg_len < NLMSG_HDRLEN || message->nlmsg_len > length - position) {
      return -EBADMSG;
    }
    if (message->nlmsg_seq == sequence) {
      progress = judge_message(message, marker);
    }
    size_t step = netlink_align(message->nlmsg_len);
    position += step < length - position ? step : length - position;
  }
  return progress;
}

/* Adds one datagram to the answer. */
static int receive_datagram(struct netlink *netlink, struct netlink_answer *answer, const char **ret_data,
                            size_t *ret_length, struct error *error) {
  if (make_room(answer, error) < 0) {
    return -ENOMEM;
  }
  char *place = answer->data + answer->length;
  ssize_t length = receive(netlink, place, DATAGRAM_ROOM, 0);
  if (length < 0) {
    return error_set(error, (int)-length, "no answer over netlink: %s", strerror((int)-length));
  }
  size_t padded = netlink_align((size_t)length);
  memset(place + length, 0, padded - (size_t)length);
  answer->length += padded;
  *ret_data = place;
  *ret_length = (size_t)length;
  return 0;
}

static int receive_answer(struct netlink *netlink, uint32_t sequence, int marker, struct netlink_answer *answer,
                          struct error *error) {
  int progress = PROGRESS_MORE;
  while (progress == PROGRESS_MORE) {
    const char *data = NULL;
    size_t length = 0;
    int status = receive_datagram(netlink, answer, &data, &length, error);
    if (status < 0) {
      return status;
    }
    progress = judge_datagram(data, length, sequence, marker);
  }
  if (progress < 0) {
    return error_set(error, -progress, "the kernel answers over netlink: %s", strerror(-progress));
  }
  return 0;
}

int netlink_request(struct netlink *netlink, struct nlmsghdr *request, int marker, struct netlink_answer *ret_answer,
                    struct error *error) {
  request->nlmsg_seq = ++netlink->sequence;
  request->nlmsg_flags |= NLM_F_REQUEST;
  if (mnl_socket_sendto(netlink->socket, request, request->nlmsg_len) < 0) {
    int code = errno;
    return error_set(error, code, "cannot send over netlink: %s", strerror(code));
  }
  return receive_answer(netlink, request->nlmsg_seq, marker, ret_answer, error);
}

/* ---- several requests at once ---- */

static struct nlmsghdr *message_at(void *data, size_t position) {
  return (struct nlmsghdr *)(void *)((char *)data + position);
}

/* Numbers the requests; returns their length. */
static size_t number_requests(struct netlink *netlink, void *requests, size_t count) {
  size_t length = 0;
  for (size_t i = 0; i < count; i++) {
    struct nlmsghdr *request = message_at(requests, length);
    request->nlmsg_seq = ++netlink->sequence;
    request->nlmsg_flags |= NLM_F_REQUEST;
    length += netlink_align(request->nlmsg_len);
  }
  return length;
}

/* Notes what answers which request. Returns how many were answered, or a negative errno. */
static int note_answers(const char *data, size_t length, uint32_t first, size_t count, int marker, int *codes) {
  int answered = 0;
  size_t position = 0;
  while (length - position >= NLMSG_HDRLEN) {
    const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)(data + position);
    if (message->nlmsg_len < NLMSG_HDRLEN || message->nlmsg_len > length - position) {
      return -EBADMSG;
    }
    uint32_t index = message->nlmsg_seq - first;
    if (index < count) {
      bool refused = message->nlmsg_type == NLMSG_ERROR;
      if (!refused && marker_differs(message, marker)) {
        return -EINTR;
      }
      codes[index] = refused ? code_of(message) : 0;
      answered++;
    }
    size_t step = netlink_align(message->nlmsg_len);
    position += step < length - position ? step : length - position;
  }
  return answered;
}

int netlink_request_many(struct netlink *netlink, void *requests, size_t count, int marker, int *codes,
                         struct netlink_answer *ret_answer, struct error *error) {
  uint32_t first = netlink->sequence + 1;
  size_t length = number_requests(netlink, requests, count);
  if (count > 0 && mnl_socket_sendto(netlink->socket, requests, length) < 0) {
    int code = errno;
    return error_set(error, code, "cannot send over netlink: %s", strerror(code));
  }
  for (size_t left = count; left > 0;) {
    const char *place = NULL;
    size_t size = 0;
    int status = receive_datagram(netlink, ret_answer, &place, &size, error);
    int answered = status < 0 ? status : note_answers(place, size, first, count, marker, codes);
    if (answered < 0) {
      return status < 0 ? status : error_set(error, -answered, "no answer over netlink: %s", strerror(-answered));
    }
    left -= (size_t)answered < left ? (size_t)answered : left;
  }
  return 0;
}

/* ---- batches ---- */

/* Forced where allowed: the kernel takes a batch only as one datagram. */
static void size_buffer(struct netlink *netlink, int forced, int plain, size_t wanted) {
  int size = wanted > INT_MAX / 2 ? INT_MAX / 2 : (int)wanted;
  int fd = mnl_socket_get_fd(netlink->socket);
  if (setsockopt(fd, SOL_SOCKET, forced, &size, sizeof(size)) < 0) {
    (void)setsockopt(fd, SOL_SOCKET, plain, &size, sizeof(size));
  }
}

/* Extended acknowledgement: behind the error and the header of the message that it is about. */
static void read_complaint(const struct nlmsghdr *message, int code, struct netlink_complaint *complaint) {
  const struct nlmsgerr *body = mnl_nlmsg_get_payload(message);
  *complaint = (struct netlink_complaint){.code = -code, .sequence = message->nlmsg_seq};
  if (message->nlmsg_len < NLMSG_HDRLEN + sizeof(*body) || (message->nlmsg_flags & NLM_F_ACK_TLVS) == 0) {
    return;
  }
  size_t echoed = message->nlmsg_flags & NLM_F_CAPPED ? 0 : netlink_align(body->msg.nlmsg_len) - NLMSG_HDRLEN;
  struct attributes attributes;
  attributes_split_message(message, sizeof(*body) + echoed, UINT32_MAX, &attributes);
  const void *offset = NULL;
  size_t size = 0;
  if (attributes_bytes(&attributes, NLMSGERR_ATTR_OFFS, &offset, &size) &&
      size == sizeof(complaint->attribute_offset)) {
    memcpy(&complaint->attribute_offset, offset, size); /* in host order */
  }
  const char *text = attributes_string(&attributes, NLMSGERR_ATTR_MSG);
  snprintf(complaint->message, sizeof(complaint->message), "%s", text != NULL ? text : "");
}

static void read_reply(const struct nlmsghdr *message, uint32_t last_sequence, struct netlink_complaint *complaint,
                       bool *acknowledged) {
  if (message->nlmsg_type != NLMSG_ERROR) {
    return;
  }
  int code = code_of(message);
  if (code == 0) {
    *acknowledged = *acknowledged || message->nlmsg_seq == last_sequence;
  } else if (complaint->code == 0) {
    read_complaint(message, code, complaint);
  }
}

static void read_replies(const char *data, size_t length, uint32_t last_sequence, struct netlink_complaint *complaint,
                         bool *acknowledged) {
  size_t position = 0;
  while (length - position >= NLMSG_HDRLEN) {
    const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)(data + position);
    if (message->nlmsg_len < NLMSG_HDRLEN || message->nlmsg_len > length - position) {
      return;
    }
    read_reply(message, last_sequence, complaint, acknowledged);
    size_t step = netlink_align(message->nlmsg_len);
    position += step < length - position ? step : length - position;
  }
}

/* All that the kernel had to say is queued by now; a full queue (ENOBUFS) lost some of it. */
static int collect_replies(struct netlink *netlink, uint32_t last_sequence, struct netlink_complaint *complaint,
                           bool *acknowledged, struct error *error) {
  struct netlink_answer answer = {0};
  int status = make_room(&answer, error);
  while (status == 0) {
    ssize_t length = receive(netlink, answer.data, DATAGRAM_ROOM, MSG_DONTWAIT);
    if (length == -ENOBUFS) {
      continue;
    }
    if (length < 0) {
      break;
    }
    read_replies(answer.data, (size_t)length, last_sequence, complaint, acknowledged);
  }
  netlink_answer_free(&answer);
  return status;
}

int netlink_send_batch(struct netlink *netlink, const void *data, size_t length, uint32_t last_sequence,
                       struct netlink_complaint *ret_complaint, bool *ret_acknowledged, struct error *error) {
  size_buffer(netlink, SO_SNDBUFFORCE, SO_SNDBUF, length + DATAGRAM_ROOM);
  size_buffer(netlink, SO_RCVBUFFORCE, SO_RCVBUF, REPLY_BUFFER + (size_t)COMPLAINT_ROOM * last_sequence);
  if (mnl_socket_sendto(netlink->socket, data, length) < 0) {
    int code = errno;
    return error_set(error, code, "cannot send %zu bytes over netlink: %s%s", length, strerror(code),
                     code == EMSGSIZE ? " (net.core.wmem_max is too small, and may not be passed over)" : "");
  }
  struct netlink_complaint complaint = {0};
  bool acknowledged = false;
  int status = collect_replies(netlink, last_sequence, &complaint, &acknowledged, error);
  if (status == 0) {
    *ret_complaint = complaint;
    *ret_acknowledged = acknowledged;
  }
  return status;
}
