/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/keep.h"
#include "control/publication.h"

enum { SEALS_NEEDED = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK, DESCRIPTOR_LIMIT = 8, LISTEN_BACKLOG = 128 };

int message_send(int socket, const void *data, size_t size, int fd) {
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } ancillary = {{0}};
  struct iovec vector = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
  struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
  if (fd >= 0) {
    message.msg_control = &ancillary;
    message.msg_controllen = sizeof ancillary;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  ssize_t sent;
  do {
    sent = sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent < 0 ? -errno : (size_t)sent == size ? 0 : -EPROTO;
}

/* Takes the first descriptor out of a message and closes all others. Returns how many there were. */
static size_t take_descriptors(struct msghdr *message, int *ret_fd) {
  size_t count = 0;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
      continue;
    }
    size_t descriptors = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < descriptors; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      if (count++ == 0) {
        *ret_fd = fd;
      } else {
        close(fd);
      }
    }
  }
  return count;
}

int message_receive(int socket, void *data, size_t size, int *ret_fd, struct error *error) {
  union {
    char bytes[CMSG_SPACE(DESCRIPTOR_LIMIT * sizeof(int))];
    struct cmsghdr align;
  } ancillary;
  struct iovec vector = {.iov_base = data, .iov_len = size};
  struct msghdr message = {
      .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &ancillary, .msg_controllen = sizeof ancillary};
  ssize_t received;
  do {
    received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  if (received < 0) {
    return -errno;
  }
  int fd = -1;
  size_t count = take_descriptors(&message, &fd);
  if (received == 0 && count == 0) {
    return -ECONNRESET;
  }
  if ((size_t)received != size || count > 1 || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    if (fd >= 0) {
      close(fd);
    }
    return error_set(error, EPROTO, "a message of %zd bytes with %zu descriptors instead of %zu bytes", received, count,
                     size);
  }
  *ret_fd = fd;
  return 0;
}

int memfd_seal(int fd) {
  return fcntl(fd, F_ADD_SEALS, SEALS_NEEDED | F_SEAL_SEAL) < 0 ? -errno : 0;
}

int sealed_memfd(const char *name, const void *data, size_t size) {
  int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) {
    return -errno;
  }
  int result = keep_write_all(fd, data, size);
  if (result == 0) {
    result = memfd_seal(fd);
  }
  if (result < 0) {
    close(fd);
    return result;
  }
  return fd;
}

int sealed_check(int fd, uint64_t limit, uint64_t *ret_size, struct error *error) {
  int seals = fcntl(fd, F_GET_SEALS);
  struct stat status;
  if (seals < 0 || (seals & SEALS_NEEDED) != SEALS_NEEDED) {
    return error_set(error, EPROTO, "the descriptor is not a sealed memfd");
  }
  if (fstat(fd, &status) < 0 || status.st_size < 0) {
    return error_set(error, EPROTO, "the memfd has no size");
  }
  if ((uint64_t)status.st_size > limit) {
    return error_set(error, EPROTO, "the memfd has %lld bytes, the limit is %llu", (long long)status.st_size,
                     (unsigned long long)limit);
  }
  *ret_size = (uint64_t)status.st_size;
  return 0;
}

int sealed_read(int fd, uint64_t limit, struct arena *arena, char **ret_text, size_t *ret_size, struct error *error) {
  uint64_t size = 0;
  int result = sealed_check(fd, limit, &size, error);
  if (result < 0) {
    return result;
  }
  char *text = arena_alloc(arena, (size_t)size + 1);
  if (!text) {
    return error_set(error, ENOMEM, "no memory for %llu bytes", (unsigned long long)size);
  }
  for (size_t position = 0; position < size;) {
    ssize_t got = pread(fd, text + position, (size_t)size - position, (off_t)position);
    if (got == 0 || (got < 0 && errno != EINTR)) {
      return error_set(error, got == 0 ? EPROTO : errno, "the memfd cannot be read");
    }
    position += got > 0 ? (size_t)got : 0;
  }
  *ret_text = text;
  *ret_size = (size_t)size;
  return 0;
}

static int make_address(const char *directory, const char *name, struct sockaddr_un *ret_address, struct error *error) {
  *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
  int length = snprintf(ret_address->sun_path, sizeof ret_address->sun_path, "%s/%s", directory, name);
  if (length < 0 || (size_t)length >= sizeof ret_address->sun_path) {
    return error_set(error, ENAMETOOLONG, "%.200s/%.60s: the path of a socket has at most %zu bytes", directory, name,
                     sizeof ret_address->sun_path - 1);
  }
  return 0;
}

int message_connect(const char *directory, const char *name, struct error *error) {
  struct sockaddr_un address;
  int result = make_address(directory, name, &address, error);
  if (result < 0) {
    return result;
  }
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return error_set(error, errno, "socket: %s", strerror(errno));
  }
  if (connect(fd, (const struct sockaddr *)&address, sizeof address) < 0) {
    result = error_set(error, errno, "%s: %s", address.sun_path, strerror(errno));
    close(fd);
    return result;
  }
  return fd;
}

static int listen_at(int fd, const struct sockaddr_un *address) {
  if (unlink(address->sun_path) < 0 && errno != ENOENT) {
    return -errno;
  }
  if (bind(fd, (const struct sockaddr *)address, sizeof *address) < 0 || chmod(address->sun_path, 0660) < 0 ||
      listen(fd, LISTEN_BACKLOG) < 0) {
    return -errno;
  }
  return 0;
}

int message_listen(const char *directory, const char *name, struct error *error) {
  struct sockaddr_un address;
  int result = make_address(directory, name, &address, error);
  if (result < 0) {
    return result;
  }
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    return error_set(error, errno, "socket: %s", strerror(errno));
  }
  result = listen_at(fd, &address);
  if (result < 0) {
    error_set(error, -result, "%s: %s", address.sun_path, strerror(-result));
    close(fd);
    return result;
  }
  return fd;
}
