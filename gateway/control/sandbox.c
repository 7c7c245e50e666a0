/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/sandbox.h"

#include <cap-ng.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <grp.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/identity.h"
#include "control/opener.h"
#include "control/privilege.h"
#include "control/sandbox_calls.h"

enum { DIRECTORIES = 4, FILE_MASK = 0007 };

struct sandbox {
  bool root; /* there is somebody to step down to */
  uid_t uid;
  gid_t gid;
  int directories[DIRECTORIES];
  size_t directory_count;
  struct opener opener;
  bool landlock;
  const char *own_files;
};

/* ---- before ---- */

static int find_user(const char *name, struct sandbox *sandbox, struct error *error) {
  const struct passwd *user = getpwnam(name != NULL ? name : PRIVILEGE_WATCHMAN_USER);
  if (user == NULL && name != NULL)
    return error_set(error, ENOENT, "there is no user '%.60s'", name);
  const struct group *group = user != NULL ? getgrnam(PRIVILEGE_GROUP) : NULL;
  sandbox->uid = user != NULL ? user->pw_uid : PRIVILEGE_NOBODY;
  sandbox->gid = group != NULL ? group->gr_gid : user != NULL ? user->pw_gid : PRIVILEGE_NOBODY;
  return sandbox->uid != 0 ? 0 : error_set(error, EINVAL, "the watchman does not run as root");
}

/* A file with another name elsewhere is not ours, whatever it is called here. */
static void give_file(const struct sandbox *sandbox, int directory, const char *name) {
  struct stat status;
  int file = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (file < 0)
    return;
  if (fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1 && status.st_uid == 0)
    (void)!fchown(file, sandbox->uid, (gid_t)-1);
  close(file);
}

/* What gateway/events/ calls its files, behind the name of the daemon. */
static bool is_own_file(const char *name, const char *daemon) {
  static const char *const patterns[] = {"-events.jsonl",  "-events.[0-9]*.jsonl", "-events.db", "-events.db-wal",
                                         "-events.db-shm", "-events.checkpoint",   "-chain.key", "-*.cursor"};
  size_t length = strlen(daemon);
  if (strncmp(name, daemon, length) != 0)
    return false;
  for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
    if (fnmatch(patterns[i], name + length, 0) == 0)
      return true;
  return false;
}

static void give_files(const struct sandbox *sandbox, int directory, const char *daemon) {
  int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *list = copy >= 0 ? fdopendir(copy) : NULL;
  const struct dirent *entry;
  while (list != NULL && (entry = readdir(list)) != NULL)
    if (is_own_file(entry->d_name, daemon))
      give_file(sandbox, directory, entry->d_name);
  if (list != NULL)
    closedir(list);
}

/* The user comes in by the group; who owned the directory still does. The sticky bit keeps it from the files of
 * others: those of kidod stand in the same directories. */
static void let_in(const struct sandbox *sandbox, int directory) {
  struct stat status;
  if (fstat(directory, &status) < 0 || status.st_uid == sandbox->uid)
    return;
  bool in_group = status.st_gid == sandbox->gid && (status.st_mode & 0070) == 0070;
  mode_t needed = in_group ? S_ISVTX : S_ISVTX | S_ISGID | S_IRWXG;
  if (in_group || fchown(directory, (uid_t)-1, sandbox->gid) == 0)
    (void)!fchmod(directory, (status.st_mode & 07777) | needed);
}

/* One that is not there is not written into. */
static void take_directories(const struct sandbox_options *options, struct sandbox *sandbox) {
  for (size_t i = 0; i < options->directory_count && i < DIRECTORIES; i++) {
    int directory = open(options->directories[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
      continue;
    sandbox->directories[sandbox->directory_count++] = directory;
    if (!sandbox->root)
      continue;
    let_in(sandbox, directory);
    give_files(sandbox, directory, options->own_files);
  }
}

int sandbox_prepare(const struct sandbox_options *options, struct sandbox **ret_sandbox, struct error *error) {
  struct opener_targets targets = {{[OPENER_KIDOD] = options->kidod, [OPENER_POLICY] = options->policy}};
  struct sandbox *sandbox = calloc(1, sizeof *sandbox);
  if (sandbox == NULL)
    return error_set(error, ENOMEM, "no memory");
  sandbox->opener.link = -1;
  sandbox->root = geteuid() == 0;
  sandbox->own_files = options->own_files;
  int result = sandbox->root ? find_user(options->user, sandbox, error) : 0;
  if (result == 0)
    take_directories(options, sandbox);
  if (result == 0)
    result = opener_start(&targets, &sandbox->opener, error);
  if (result < 0)
    sandbox_free(sandbox);
  else
    *ret_sandbox = sandbox;
  return result;
}

struct sandbox *sandbox_free(struct sandbox *sandbox) {
  if (sandbox == NULL)
    return NULL;
  for (size_t i = 0; i < sandbox->directory_count; i++)
    close(sandbox->directories[i]);
  if (sandbox->opener.link >= 0)
    close(sandbox->opener.link);
  free(sandbox);
  return NULL;
}

/* ---- Landlock ---- */

/* Rights that write, by the version of the interface that brought them; reading is left to the rights of the user. */
static const uint64_t writing = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                                LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
                                LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK;
static const uint64_t never = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_FIFO |
                              LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;
enum { REFER_VERSION = 2, TRUNCATE_VERSION = 3, TRUNCATE_RIGHT = 14 };

static uint64_t newer_rights(long version) {
  uint64_t rights = version >= REFER_VERSION ? LANDLOCK_ACCESS_FS_REFER : 0;
  return version >= TRUNCATE_VERSION ? rights | UINT64_C(1) << TRUNCATE_RIGHT : rights;
}

/* False where the kernel has none, or does not let us. */
static bool guard_directories(const struct sandbox *sandbox) {
  long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 1)
    return false;
  struct landlock_ruleset_attr rights = {.handled_access_fs = writing | never | newer_rights(version)};
  int rules = (int)syscall(SYS_landlock_create_ruleset, &rights, sizeof rights, 0);
  if (rules < 0)
    return false;
  bool done = true;
  for (size_t i = 0; i < sandbox->directory_count && done; i++) {
    struct landlock_path_beneath_attr path = {.allowed_access = writing | newer_rights(version),
                                              .parent_fd = sandbox->directories[i]};
    done = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &path, 0) == 0;
  }
  done = done && syscall(SYS_landlock_restrict_self, rules, 0) == 0;
  close(rules);
  return done;
}

/* ---- entering ---- */

static int step_down(const struct sandbox *sandbox, struct error *error) {
  const struct passwd *user = getpwuid(sandbox->uid);
  return identity_step_down(sandbox->uid, sandbox->gid, user != NULL ? user->pw_name : NULL, error);
}

static int drop_capabilities(struct error *error) {
  capng_clear(CAPNG_SELECT_CAPS);
  return capng_apply(CAPNG_SELECT_CAPS) == 0 ? 0 : error_set(error, EPERM, "the capabilities cannot be dropped");
}

/* No process beside it, no memory image on the disk: it would hold what was on the wire. */
static int limit_resources(struct error *error) {
  static const struct rlimit none = {0, 0};
  if (setrlimit(RLIMIT_NPROC, &none) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
    return error_set(error, errno, "setrlimit: %s", strerror(errno));
  umask(FILE_MASK);
  return 0;
}

int sandbox_enter(struct sandbox *sandbox, struct error *error) {
  int listener = -1;
  for (size_t i = 0; sandbox->root && i < sandbox->directory_count; i++)
    give_files(sandbox, sandbox->directories[i], sandbox->own_files);
  int result = sandbox->root ? step_down(sandbox, error) : 0;
  if (result == 0)
    result = drop_capabilities(error);
  if (result == 0 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0))
    result = error_set(error, errno, "no_new_privs: %s", strerror(errno));
  if (result == 0)
    result = limit_resources(error);
  if (result < 0)
    return result;
  sandbox->landlock = guard_directories(sandbox);
  result = sandbox_calls_limit(&listener, error);
  if (result == 0)
    result = opener_give(&sandbox->opener, listener, error);
  if (listener >= 0)
    close(listener);
  return result;
}

void sandbox_user(const struct sandbox *sandbox, uid_t *ret_user, gid_t *ret_group) {
  if (!sandbox->root)
    return;
  *ret_user = sandbox->uid;
  *ret_group = sandbox->gid;
}

bool sandbox_is_nobody(const struct sandbox *sandbox) {
  return sandbox->root && sandbox->uid == PRIVILEGE_NOBODY;
}

int sandbox_connect_kidod(struct sandbox *sandbox) {
  return opener_ask(&sandbox->opener, OPENER_KIDOD);
}

int sandbox_open_policy(struct sandbox *sandbox) {
  return opener_ask(&sandbox->opener, OPENER_POLICY);
}

int sandbox_descriptor(const struct sandbox *sandbox) {
  return sandbox != NULL ? sandbox->opener.link : -1;
}

bool sandbox_opener_lives(const struct sandbox *sandbox) {
  return opener_lives(&sandbox->opener);
}

bool sandbox_has_landlock(const struct sandbox *sandbox) {
  return sandbox->landlock;
}
