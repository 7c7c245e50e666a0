/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/child.h"

#include <stdbool.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { DESCRIPTOR_LIMIT = 4096 };

static bool is_kept(int fd, const int *kept, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (kept[i] == fd) {
      return true;
    }
  }
  return false;
}

void child_detach(const int *kept, size_t count) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  signal(SIGPIPE, SIG_DFL);
  long limit = sysconf(_SC_OPEN_MAX);
  for (int fd = STDERR_FILENO + 1; fd < (limit > 0 && limit < DESCRIPTOR_LIMIT ? (int)limit : DESCRIPTOR_LIMIT); fd++) {
    if (!is_kept(fd, kept, count)) {
      close(fd);
    }
  }
}

int child_status(const siginfo_t *info) {
  return info->si_code == CLD_EXITED ? (info->si_status & 0xff) << 8 : info->si_status & 0x7f;
}
