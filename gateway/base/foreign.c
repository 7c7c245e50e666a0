/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/foreign.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* The group writes in the directory too. Root closes the gate at boot by what the user kido wrote: hence its owner. */
int foreign_check_owner(int directory, uid_t owner) {
  struct stat status;
  if (owner == geteuid() || owner == 0)
    return 0;
  if (fstat(directory, &status) < 0)
    return -errno;
  return owner == status.st_uid ? 0 : -EPERM;
}

int foreign_check(int directory, int file) {
  struct stat status;
  return fstat(file, &status) < 0 ? -errno : foreign_check_owner(directory, status.st_uid);
}

int foreign_put_aside(int directory, const char *name) {
  char beside[NAME_MAX + 1];
  uint64_t number = 0;
  if (getrandom(&number, sizeof number, GRND_NONBLOCK) != (ssize_t)sizeof number)
    return -EAGAIN;
  int length = snprintf(beside, sizeof beside, "%s.foreign-%016" PRIx64, name, number);
  if (length < 0 || (size_t)length >= sizeof beside)
    return -ENAMETOOLONG;
  return renameat2(directory, name, directory, beside, RENAME_NOREPLACE) < 0 ? -errno : 0;
}
