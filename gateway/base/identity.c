/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/identity.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <unistd.h>

int identity_step_down(uid_t user, gid_t group, const char *groups_of, struct error *error) {
  if (geteuid() != 0)
    return 0;
  if ((groups_of != NULL ? initgroups(groups_of, group) : setgroups(0, NULL)) < 0 && errno != EPERM)
    return error_set(error, errno, "setgroups: %s", strerror(errno));
  if (setresgid(group, group, group) < 0 && errno != EINVAL)
    return error_set(error, errno, "setresgid: %s", strerror(errno));
  if (setresuid(user, user, user) < 0 && errno != EINVAL)
    return error_set(error, errno, "setresuid: %s", strerror(errno));
  return 0;
}
