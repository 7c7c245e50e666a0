/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/privilege.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/identity.h"

#ifndef __has_feature
#define __has_feature(feature) 0
#endif

/* AddressSanitizer reserves terabytes of address space: a limit on memory would end it at once. */
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define PRIVILEGE_SANITIZED 1
#else
#define PRIVILEGE_SANITIZED 0
#endif

enum { READER_SECONDS = 60, READER_FILES = 32, GROUP_LIMIT = 256 };
static const rlim_t reader_memory = 4UL << 30;

int privilege_keep_network(struct error *error) {
  capng_get_caps_process();
  if (!capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN)) {
    return error_set(error, EPERM, "CAP_NET_ADMIN is missing: start as root or through its unit");
  }
  bool root = geteuid() == 0;
  capng_clear(CAPNG_SELECT_CAPS);
  capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_NET_ADMIN);
  if (root) {
    capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_SETUID);
    capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_SETGID);
  }
  if (capng_apply(CAPNG_SELECT_CAPS) != 0) {
    return error_set(error, EPERM, "the other capabilities cannot be dropped");
  }
  return 0;
}

static int step_down(struct error *error) {
  const struct passwd *user = getpwnam(PRIVILEGE_READER_USER);
  uid_t uid = user ? user->pw_uid : PRIVILEGE_NOBODY;
  gid_t gid = user ? user->pw_gid : PRIVILEGE_NOBODY;
  return identity_step_down(uid, gid, NULL, error);
}

static int drop_capabilities(struct error *error) {
  capng_clear(CAPNG_SELECT_CAPS);
  if (capng_apply(CAPNG_SELECT_CAPS) != 0) {
    return error_set(error, EPERM, "the capabilities cannot be dropped");
  }
  return 0;
}

static int limit_resources(struct error *error) {
  const struct {
    __rlimit_resource_t resource;
    rlim_t value;
  } limits[] = {{RLIMIT_CPU, READER_SECONDS},
                {RLIMIT_NOFILE, READER_FILES},
                {RLIMIT_CORE, 0},
                {RLIMIT_DATA, PRIVILEGE_SANITIZED ? RLIM_INFINITY : reader_memory}};
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    struct rlimit limit = {limits[i].value, limits[i].value};
    if (limits[i].value != RLIM_INFINITY && setrlimit(limits[i].resource, &limit) < 0) {
      return error_set(error, errno, "setrlimit: %s", strerror(errno));
    }
  }
  alarm(READER_SECONDS);
  return 0;
}

static int allow_calls(scmp_filter_ctx filter) {
  static const int calls[] = {
      SCMP_SYS(read),           SCMP_SYS(write),        SCMP_SYS(pread64),        SCMP_SYS(close),
      SCMP_SYS(fstat),          SCMP_SYS(newfstatat),   SCMP_SYS(statx),          SCMP_SYS(lseek),
      SCMP_SYS(mmap),           SCMP_SYS(munmap),       SCMP_SYS(mremap),         SCMP_SYS(mprotect),
      SCMP_SYS(madvise),        SCMP_SYS(brk),          SCMP_SYS(futex),          SCMP_SYS(getrandom),
      SCMP_SYS(clock_gettime),  SCMP_SYS(gettimeofday), SCMP_SYS(getpid),         SCMP_SYS(gettid),
      SCMP_SYS(sched_yield),    SCMP_SYS(sigaltstack),  SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
      SCMP_SYS(exit),           SCMP_SYS(exit_group),   SCMP_SYS(readlink),       SCMP_SYS(readlinkat),
      SCMP_SYS(restart_syscall)};
  int result = 0;
  for (size_t i = 0; i < sizeof calls / sizeof calls[0] && result == 0; i++) {
    result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
  }
  return result;
}

/* Files may be opened for reading only. */
static int allow_reading(scmp_filter_ctx filter) {
  const scmp_datum_t forbidden = O_ACCMODE | O_CREAT | O_TRUNC;
  int result =
      seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, forbidden, O_RDONLY));
  if (result == 0) {
    result =
        seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(open), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, forbidden, O_RDONLY));
  }
  return result;
}

static int filter_calls(struct error *error) {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  if (!filter) {
    return error_set(error, ENOMEM, "no memory for the system call filter");
  }
  int result = allow_calls(filter);
  if (result == 0) {
    result = allow_reading(filter);
  }
  if (result == 0) {
    result = seccomp_load(filter);
  }
  seccomp_release(filter);
  return result < 0 ? error_set(error, -result, "the system call filter: %s", strerror(-result)) : 0;
}

int privilege_drop_all(struct error *error) {
  int result = step_down(error);
  if (result == 0) {
    result = drop_capabilities(error);
  }
  if (result == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
    result = error_set(error, errno, "no_new_privs: %s", strerror(errno));
  }
  if (result == 0) {
    result = limit_resources(error);
  }
  return result < 0 ? result : filter_calls(error);
}

static bool peer_in_group(int socket, gid_t own_group, gid_t group) {
  gid_t groups[GROUP_LIMIT];
  socklen_t size = sizeof groups;
  if (own_group == group) {
    return true;
  }
  if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0) {
    return false;
  }
  for (size_t i = 0; i < size / sizeof groups[0]; i++) {
    if (groups[i] == group) {
      return true;
    }
  }
  return false;
}

bool privilege_peer_allowed(int socket) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
    return false;
  }
  if (peer.uid == 0 || peer.uid == geteuid()) {
    return true;
  }
  const struct group *group = getgrnam(PRIVILEGE_GROUP);
  return group && peer_in_group(socket, peer.gid, group->gr_gid);
}

uid_t privilege_find_watchman(void) {
  const struct passwd *user = getpwnam(PRIVILEGE_WATCHMAN_USER);
  return user ? user->pw_uid : PRIVILEGE_NOBODY;
}

bool privilege_peer_may_command(int socket, uid_t watchman) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
    return false;
  }
  return (peer.uid != watchman || peer.uid == geteuid()) && privilege_peer_allowed(socket);
}

void privilege_share_with_group(const char *path) {
  const struct group *group = getgrnam(PRIVILEGE_GROUP);
  if (group && chown(path, (uid_t)-1, group->gr_gid) < 0) {
    return; /* then only root and our own user come in */
  }
}
