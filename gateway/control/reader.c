/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "control/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "control/approval.h"
#include "control/child.h"
#include "control/diagnostic_json.h"
#include "control/keep.h"
#include "control/message.h"
#include "control/privilege.h"
#include "control/protocol.h"
#include "policy/check.h"
#include "policy/print.h"
#include "policy/read.h"

enum { REPORT_LIMIT = 64 * 1024 * 1024 };

/* ---- in the child ---- */

struct child {
  const struct reader_request *request;
  struct arena *arena;
  char *text; /* the bytes, read while we still may; NULL: the path is read with @include, stepped down */
  size_t size;
  const struct policy *policy;
  const char *answer; /* the canonical form of an order */
  struct diagnostic_list diagnostics;
};

/* @include needs the file system, and then the reader's own user must be allowed to read. */
static bool has_include(const char *text, size_t size) {
  return memmem(text, size, "@include", strlen("@include")) != NULL;
}

static int read_descriptor(int fd, struct child *child, struct error *error) {
  struct stat status;
  if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || status.st_size > CONTROL_POLICY_LIMIT) {
    return error_set(error, EINVAL, "%s: not a regular file of at most %d bytes", child->request->path,
                     CONTROL_POLICY_LIMIT);
  }
  child->text = arena_alloc(child->arena, (size_t)status.st_size + 1);
  if (!child->text) {
    return error_set(error, ENOMEM, "no memory");
  }
  while (child->size < (size_t)status.st_size) {
    ssize_t got = pread(fd, child->text + child->size, (size_t)status.st_size - child->size, (off_t)child->size);
    if (got <= 0) {
      return error_set(error, got < 0 ? errno : EIO, "%s: %s", child->request->path, "cannot be read");
    }
    child->size += (size_t)got;
  }
  return 0;
}

/* Fetches the bytes without looking at them. */
static int fetch(struct child *child, struct error *error) {
  if (child->request->policy_fd >= 0) {
    return read_descriptor(child->request->policy_fd, child, error);
  }
  int fd = open(child->request->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    return error_set(error, errno, "%s: %s", child->request->path, strerror(errno));
  }
  int result = read_descriptor(fd, child, error);
  close(fd);
  return result;
}

static int judge_policy(struct child *child, struct error *error) {
  const struct reader_request *request = child->request;
  bool by_path = request->policy_fd < 0 && has_include(child->text, child->size);
  int result = by_path ? policy_read(request->path, child->arena, request->language_forced, &child->policy,
                                     &child->diagnostics, error)
                       : policy_read_text(request->path, child->text, child->size, child->arena,
                                          request->language_forced, &child->policy, &child->diagnostics, error);
  if (result == 0 && child->policy) {
    struct check_options options = {.now = request->now};
    policy_check(child->policy, &options, &child->diagnostics);
    if (request->confirmed) {
      result = approval_check(request->confirmed, child->policy, request->now, &child->diagnostics);
    }
    diagnostic_sort(&child->diagnostics);
  }
  return result;
}

/* ---- an order ---- */

static bool is_name_character(char character) {
  return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
         (character >= '0' && character <= '9') || character == '_' || character == '-' || character == '.';
}

static bool is_control_character(uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

static bool is_reason(const char *text, size_t length) {
  while (length > 0) {
    uint32_t code = 0;
    size_t bytes = text_decode(text, length, &code);
    if (bytes == 0 || is_control_character(code)) {
      return false;
    }
    text += bytes;
    length -= bytes;
  }
  return true;
}

/* The names with one blank between them; NULL when one is none. */
static char *join_names(struct arena *arena, const char *line, size_t length) {
  char *names = arena_alloc(arena, length + 1);
  size_t used = 0;
  for (size_t i = 0; names && i < length; i++) {
    if (is_name_character(line[i])) {
      if (used > 0 && line[i - 1] == ' ') {
        names[used++] = ' ';
      }
      names[used++] = line[i];
    } else if (line[i] != ' ') {
      return NULL;
    }
  }
  return names;
}

static int judge_order(struct child *child, struct error *error) {
  const char *end = memchr(child->text, '\n', child->size);
  if (child->size > CONTROL_ORDER_LIMIT || !end) {
    return error_set(error, EINVAL, "an order is a line with names and a line with the reason");
  }
  const char *reason = end + 1;
  size_t length = child->size - (size_t)(reason - child->text);
  length -= length > 0 && reason[length - 1] == '\n' ? 1 : 0;
  const char *names = join_names(child->arena, child->text, (size_t)(end - child->text));
  if (!names) {
    return error_set(error, EINVAL, "the first line of an order holds names with blanks between them");
  }
  if (!is_reason(reason, length)) {
    return error_set(error, EINVAL, "the reason must be one line of UTF-8 without control characters");
  }
  child->answer = arena_printf(child->arena, "%s\n%.*s", names, (int)length, reason);
  return child->answer ? 0 : error_set(error, ENOMEM, "no memory");
}

static int write_json(int fd, json_t *object) {
  char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
  int result = text ? keep_write_all(fd, text, strlen(text)) : -ENOMEM;
  free(text);
  json_decref(object);
  return result;
}

static int judge(struct child *child, struct error *error) {
  diagnostic_list_init(&child->diagnostics, child->arena, child->request->language);
  return child->request->matter == READER_ORDER ? judge_order(child, error) : judge_policy(child, error);
}

static bool is_good(const struct child *child) {
  return (child->policy || child->answer) && child->diagnostics.errors == 0 && !child->diagnostics.out_of_memory;
}

static int write_answer(struct child *child, const struct policy_reader *reader) {
  json_t *report = json_pack("{s:n, s:o}", "message", "diagnostics", diagnostics_to_json(&child->diagnostics));
  int result = write_json(reader->report_fd, report);
  if (result < 0 || !is_good(child)) {
    return result;
  }
  if (child->answer) {
    return keep_write_all(reader->policy_fd, child->answer, strlen(child->answer));
  }
  size_t size;
  char *text = policy_print(child->policy, child->arena, &size);
  return text ? keep_write_all(reader->policy_fd, text, size) : -ENOMEM;
}

static enum reader_verdict run_child(const struct reader_request *request, const struct policy_reader *reader) {
  struct child child = {.request = request, .arena = arena_new(0)};
  struct error error = {0};
  int result = child.arena ? fetch(&child, &error) : error_set(&error, ENOMEM, "no memory");
  if (result == 0) {
    result = privilege_drop_all(&error);
  }
  if (result == 0) {
    result = judge(&child, &error);
  }
  if (result == 0 && write_answer(&child, reader) < 0) {
    result = error_set(&error, ENOMEM, "the answer could not be written");
  }
  if (result < 0) {
    write_json(reader->report_fd, json_pack("{s:s, s:[]}", "message", error.message, "diagnostics"));
    return READER_FAILED;
  }
  return is_good(&child) ? READER_GOOD : READER_ERRORS;
}

/* ---- in kidod ---- */

void policy_reader_close(struct policy_reader *reader) {
  if (reader->policy_fd >= 0) {
    close(reader->policy_fd);
  }
  if (reader->report_fd >= 0) {
    close(reader->report_fd);
  }
  *reader = (struct policy_reader){.pid = -1, .policy_fd = -1, .report_fd = -1};
}

int policy_reader_start(const struct reader_request *request, struct policy_reader *ret_reader, struct error *error) {
  struct policy_reader reader = {.pid = -1,
                                 .policy_fd = memfd_create("policy", MFD_CLOEXEC | MFD_ALLOW_SEALING),
                                 .report_fd = memfd_create("report", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  if (reader.policy_fd >= 0 && reader.report_fd >= 0) {
    reader.pid = fork();
  }
  if (reader.pid < 0) {
    int code = errno;
    policy_reader_close(&reader);
    return error_set(error, code, "the reader cannot be started: %s", strerror(code));
  }
  if (reader.pid == 0) {
    const int kept[] = {request->policy_fd, reader.policy_fd, reader.report_fd};
    child_detach(kept, sizeof kept / sizeof kept[0]);
    _exit((int)run_child(request, &reader));
  }
  *ret_reader = reader;
  return 0;
}

static json_t *load_report(const struct policy_reader *reader, struct arena *arena) {
  char *text;
  size_t size;
  if (memfd_seal(reader->report_fd) < 0 ||
      sealed_read(reader->report_fd, REPORT_LIMIT, arena, &text, &size, NULL) < 0) {
    return NULL;
  }
  return json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
}

static void take_report(const struct policy_reader *reader, struct arena *arena, struct reader_result *result) {
  json_t *report = load_report(reader, arena);
  json_t *diagnostics = json_object_get(report, "diagnostics");
  const char *message = json_string_value(json_object_get(report, "message"));
  result->message = message ? arena_strdup(arena, message) : NULL;
  if (json_is_array(diagnostics)) {
    result->diagnostics = json_incref(diagnostics);
  } else {
    result->verdict = READER_FAILED;
  }
  json_decref(report);
}

static const char *describe_end(int wait_status, struct arena *arena) {
  if (WIFSIGNALED(wait_status)) {
    return arena_printf(arena, "the reader of the policy was ended by signal %d; the policy is refused",
                        WTERMSIG(wait_status));
  }
  return "the reader of the policy gave no answer";
}

void policy_reader_finish(struct policy_reader *reader, int wait_status, struct arena *arena,
                          struct reader_result *ret_result) {
  struct reader_result result = {.verdict = READER_FAILED};
  bool ended = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) <= READER_FAILED;
  if (ended) {
    result.verdict = (enum reader_verdict)WEXITSTATUS(wait_status);
    take_report(reader, arena, &result);
  }
  struct error error = {0};
  if (result.verdict == READER_GOOD &&
      (memfd_seal(reader->policy_fd) < 0 ||
       sealed_read(reader->policy_fd, CONTROL_POLICY_LIMIT, arena, &result.text, &result.size, &error) < 0)) {
    result.verdict = READER_FAILED;
  }
  if (result.verdict == READER_FAILED && !result.message) {
    result.message = ended && error.message[0] ? arena_strdup(arena, error.message) : describe_end(wait_status, arena);
  }
  if (!result.diagnostics) {
    result.diagnostics = json_array();
  }
  policy_reader_close(reader);
  *ret_result = result;
}
