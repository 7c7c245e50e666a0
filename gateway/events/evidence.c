/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "events/evidence.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "events/files.h"
#include "events/pcapng.h"

enum {
  OPEN_FILES = 32,
  FILE_INTERFACES = 8,
  PATH_SIZE = 4096,
  BUFFER_SIZE = EVIDENCE_BYTES_MAX + 4 * PCAPNG_OVERHEAD,
  DIRECTORY_MODE = 0750,
  FILE_MODE = 0640,
};

#define ENDING ".pcapng"

/* ---- the daemon's side ---- */

static bool is_id(const char *id) {
  size_t length = strnlen(id, EVIDENCE_ID_SIZE);
  return length > 0 && length < EVIDENCE_ID_SIZE && strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

const char *evidence_name(const char *id, char ret_name[static EVIDENCE_NAME_SIZE]) {
  ret_name[0] = '\0';
  if (is_id(id))
    snprintf(ret_name, EVIDENCE_NAME_SIZE, EVIDENCE_DIRECTORY "/%s" ENDING, id);
  return ret_name;
}

bool evidence_send(int socket, const struct evidence_frame *frame, const void *bytes) {
  struct evidence_frame copy = *frame;
  if (copy.captured > EVIDENCE_BYTES_MAX)
    copy.captured = EVIDENCE_BYTES_MAX;
  struct iovec parts[] = {{&copy, sizeof copy}, {(void *)(uintptr_t)bytes, copy.captured}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  return sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

/* ---- the scribe's side ---- */

/* A file that was written to; the longest unused one is forgotten, and goes on with a new section if need be. */
struct kept {
  char id[EVIDENCE_ID_SIZE];
  uint64_t used; /* when, counted in frames */
  unsigned frames;
  unsigned interfaces;
  char interface_names[FILE_INTERFACES][EVIDENCE_INTERFACE_SIZE];
  uint64_t drops[FILE_INTERFACES];
};

struct evidence {
  struct evidence_settings settings;
  char path[PATH_SIZE], daemon[24];
  int directory;  /* -1: not open yet */
  uint64_t total; /* bytes of all files */
  uint64_t frames;
  struct kept kept[OPEN_FILES];
  uint8_t buffer[BUFFER_SIZE], bytes[EVIDENCE_BYTES_MAX];
};

struct evidence *evidence_open(const char *state_directory, const char *daemon,
                               const struct evidence_settings *settings) {
  struct evidence *evidence = calloc(1, sizeof *evidence);
  if (evidence == NULL)
    return NULL;
  evidence->settings = *settings;
  evidence->directory = -1;
  snprintf(evidence->daemon, sizeof evidence->daemon, "%s", daemon);
  snprintf(evidence->path, sizeof evidence->path, "%.*s/" EVIDENCE_DIRECTORY, PATH_SIZE - 16, state_directory);
  return evidence;
}

struct evidence *evidence_close(struct evidence *evidence) {
  if (evidence != NULL && evidence->directory >= 0)
    close(evidence->directory);
  free(evidence);
  return NULL;
}

/* ---- the size of the directory ---- */

struct old_file {
  char name[EVIDENCE_NAME_SIZE];
  struct timespec changed;
  uint64_t size;
};

static int compare_age(const void *left, const void *right) {
  const struct old_file *a = left, *b = right;
  if (a->changed.tv_sec != b->changed.tv_sec)
    return a->changed.tv_sec < b->changed.tv_sec ? -1 : 1;
  return a->changed.tv_nsec < b->changed.tv_nsec ? -1 : a->changed.tv_nsec > b->changed.tv_nsec;
}

static bool describe(const struct evidence *evidence, const char *name, struct old_file *ret_file) {
  struct stat status;
  size_t length = strlen(name);
  if (length < sizeof ENDING || length >= sizeof ret_file->name ||
      strcmp(name + length - (sizeof ENDING - 1), ENDING) != 0 ||
      fstatat(evidence->directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(status.st_mode))
    return false;
  *ret_file = (struct old_file){.changed = status.st_mtim, .size = (uint64_t)status.st_size};
  memcpy(ret_file->name, name, length + 1);
  return true;
}

static size_t list_files(const struct evidence *evidence, struct old_file **ret_files) {
  int copy = openat(evidence->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *listing = copy >= 0 ? fdopendir(copy) : NULL;
  struct old_file *files = NULL, file;
  size_t count = 0;
  if (listing == NULL) {
    if (copy >= 0)
      close(copy);
    return 0;
  }
  for (const struct dirent *entry; (entry = readdir(listing)) != NULL;) {
    struct old_file *grown =
        describe(evidence, entry->d_name, &file) ? realloc(files, (count + 1) * sizeof *files) : NULL;
    if (grown == NULL)
      continue;
    files = grown;
    files[count++] = file;
  }
  closedir(listing);
  *ret_files = files;
  return count;
}

static void forget(struct evidence *evidence, const char *name) {
  for (size_t i = 0; i < OPEN_FILES; i++) {
    char own[EVIDENCE_NAME_SIZE];
    snprintf(own, sizeof own, "%s" ENDING, evidence->kept[i].id);
    if (strcmp(own, name) == 0)
      evidence->kept[i] = (struct kept){.used = 0};
  }
}

/* Counts anew, and removes the oldest files until there is room again. */
static void make_room(struct evidence *evidence, uint64_t wanted) {
  struct old_file *files = NULL;
  size_t count = list_files(evidence, &files);
  evidence->total = 0;
  for (size_t i = 0; i < count; i++)
    evidence->total += files[i].size;
  if (count > 0)
    qsort(files, count, sizeof *files, compare_age);
  for (size_t i = 0; i < count && evidence->total + wanted > evidence->settings.bytes; i++) {
    if (unlinkat(evidence->directory, files[i].name, 0) < 0)
      continue;
    evidence->total -= files[i].size;
    forget(evidence, files[i].name);
  }
  free(files);
}

/* ---- writing ---- */

static int open_directory(struct evidence *evidence) {
  if (evidence->directory >= 0)
    return 0;
  if (mkdir(evidence->path, DIRECTORY_MODE) < 0 && errno != EEXIST)
    return -errno;
  evidence->directory = open(evidence->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (evidence->directory < 0)
    return -errno;
  make_room(evidence, 0);
  return 0;
}

static struct kept *find_kept(struct evidence *evidence, const char *id) {
  struct kept *oldest = &evidence->kept[0];
  for (size_t i = 0; i < OPEN_FILES; i++) {
    if (strcmp(evidence->kept[i].id, id) == 0)
      return &evidence->kept[i];
    if (evidence->kept[i].used < oldest->used)
      oldest = &evidence->kept[i];
  }
  *oldest = (struct kept){.used = 0};
  snprintf(oldest->id, sizeof oldest->id, "%s", id);
  return oldest;
}

static unsigned find_interface(const struct kept *kept, const char *name) {
  unsigned i = 0;
  while (i < kept->interfaces && strcmp(kept->interface_names[i], name) != 0)
    i++;
  return i;
}

/* The blocks that one more frame needs, in evidence->buffer; 0: there is no room for a further interface. */
static size_t format(struct evidence *evidence, struct kept *kept, const struct evidence_frame *frame) {
  uint8_t *buffer = evidence->buffer;
  unsigned interface = find_interface(kept, frame->interface);
  size_t size = kept->interfaces == 0 ? pcapng_section(buffer, BUFFER_SIZE, "kido " KIDO_VERSION) : 0;
  bool news = interface == kept->interfaces || kept->drops[interface] != frame->interface_drops;
  if (interface == FILE_INTERFACES)
    return 0;
  if (interface == kept->interfaces) {
    size += pcapng_interface(buffer + size, BUFFER_SIZE - size, (uint16_t)frame->link_type, frame->interface);
    memcpy(kept->interface_names[kept->interfaces++], frame->interface, EVIDENCE_INTERFACE_SIZE);
  }
  struct pcapng_packet packet = {.interface = interface,
                                 .time = frame->time,
                                 .captured = frame->captured,
                                 .length = frame->length,
                                 .bytes = evidence->bytes,
                                 .comment = frame->id};
  size += pcapng_packet(buffer + size, BUFFER_SIZE - size, &packet);
  if (news)
    size += pcapng_statistics(buffer + size, BUFFER_SIZE - size, interface, frame->time, frame->interface_drops);
  kept->drops[interface] = frame->interface_drops;
  return size;
}

/* All or nothing: a file ends with a whole block. */
static int append(const struct evidence *evidence, const char *id, size_t size) {
  char name[EVIDENCE_NAME_SIZE];
  snprintf(name, sizeof name, "%s" ENDING, id);
  int file = openat(evidence->directory, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
  if (file < 0)
    return -errno;
  off_t before = lseek(file, 0, SEEK_END);
  ssize_t written = before >= 0 ? write(file, evidence->buffer, size) : -1;
  int result = written < 0 ? -errno : (size_t)written < size ? -ENOSPC : 0;
  if (result < 0 && before >= 0 && ftruncate(file, before) < 0)
    result = -errno;
  close(file);
  if (result < 0 && before == 0)
    unlinkat(evidence->directory, name, 0);
  return result;
}

static int keep(struct evidence *evidence, const struct evidence_frame *frame) {
  int result = open_directory(evidence);
  if (result < 0)
    return result;
  struct kept *kept = find_kept(evidence, frame->id);
  if (kept->frames >= evidence->settings.frames)
    return 0;
  kept->used = ++evidence->frames;
  struct kept before = *kept;
  size_t size = format(evidence, kept, frame);
  if (evidence->total + size > evidence->settings.bytes) {
    make_room(evidence, size);
    if (kept->id[0] == '\0') { /* its own file was the oldest */
      kept = find_kept(evidence, frame->id);
      before = *kept;
      size = format(evidence, kept, frame);
    }
  }
  result = size > 0 ? append(evidence, frame->id, size) : 0;
  if (result < 0) {
    *kept = before;
    return result;
  }
  kept->frames++;
  evidence->total += size;
  return 0;
}

static bool is_sound(const struct evidence_frame *frame, size_t size) {
  return frame->captured == size && frame->captured <= frame->length && is_id(frame->id) &&
         strnlen(frame->interface, EVIDENCE_INTERFACE_SIZE) < EVIDENCE_INTERFACE_SIZE && frame->link_type <= UINT16_MAX;
}

int evidence_take(struct evidence *evidence, int socket, struct error *error) {
  int result = 0;
  for (;;) {
    struct evidence_frame frame;
    struct iovec parts[] = {{&frame, sizeof frame}, {evidence->bytes, sizeof evidence->bytes}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t got = recvmsg(socket, &message, MSG_DONTWAIT);
    if (got <= 0)
      return result < 0 ? error_set(error, -result, "%s: %s", evidence->path, strerror(-result)) : result;
    if ((size_t)got < sizeof frame || !is_sound(&frame, (size_t)got - sizeof frame))
      continue;
    int kept = keep(evidence, &frame);
    result = kept < 0 ? kept : result < 0 ? result : 1;
  }
}
