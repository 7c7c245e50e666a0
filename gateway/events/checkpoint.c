/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "events/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>
#include <nettle/eddsa.h>

#include "events/files.h"

enum { CHECKPOINT_SIZE = 4096, STATEMENT_SIZE = 256, KEY_MODE = 0600, CHECKPOINT_MODE = 0640 };

/* ---- bytes as text ---- */

static void to_hex(const uint8_t *bytes, size_t size, char *ret_text) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < size; i++) {
    ret_text[2 * i] = digits[bytes[i] >> 4];
    ret_text[2 * i + 1] = digits[bytes[i] & 15];
  }
  ret_text[2 * size] = '\0';
}

static int digit_value(char digit) {
  if (digit >= '0' && digit <= '9')
    return digit - '0';
  return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static bool from_hex(const char *text, size_t size, uint8_t *ret_bytes) {
  if (text == NULL || strlen(text) != 2 * size)
    return false;
  for (size_t i = 0; i < size; i++) {
    int high = digit_value(text[2 * i]), low = digit_value(text[2 * i + 1]);
    if (high < 0 || low < 0)
      return false;
    ret_bytes[i] = (uint8_t)(high * 16 + low);
  }
  return true;
}

/* ---- files ---- */

/* Beside, flushed, renamed, and the directory flushed. Never into a file that is there: whoever left it would read the
 * key. */
static int write_file(int directory, const char *name, mode_t mode, const void *data, size_t size) {
  char beside[EVENT_NAME_SIZE + 8];
  snprintf(beside, sizeof beside, ".%s.new", name);
  unlinkat(directory, beside, 0);
  int file = openat(directory, beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
  if (file < 0)
    return -errno;
  ssize_t written = write(file, data, size);
  int result = written < 0 ? -errno : (size_t)written < size ? -ENOSPC : 0;
  if (result == 0 && (fsync(file) < 0 || renameat(directory, beside, directory, name) < 0 || fsync(directory) < 0))
    result = -errno;
  close(file);
  if (result < 0)
    unlinkat(directory, beside, 0);
  return result;
}

static ssize_t read_file(int directory, const char *name, bool ours, void *data, size_t size) {
  int file = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (file < 0)
    return -errno;
  ssize_t got = ours && event_file_is_foreign(directory, file) ? -EPERM : 0;
  if (got == 0) {
    got = read(file, data, size);
    got = got < 0 ? -errno : got;
  }
  close(file);
  return got;
}

/* ---- the key ---- */

static ssize_t make_key(int directory, const char *name, uint8_t secret[static CHAIN_KEY_SIZE]) {
  if (getrandom(secret, CHAIN_KEY_SIZE, 0) != CHAIN_KEY_SIZE)
    return -EIO;
  int result = write_file(directory, name, KEY_MODE, secret, CHAIN_KEY_SIZE);
  return result < 0 ? result : CHAIN_KEY_SIZE;
}

static int take_key(ssize_t got, const char *name, struct chain_key *key, struct error *error) {
  if (got == -EPERM)
    return error_set(error, EPERM, "%s: it belongs to another user: remove it as root", name);
  if (got != CHAIN_KEY_SIZE)
    return error_set(error, got < 0 ? (int)-got : EBADMSG, "%s: %s", name,
                     got < 0 ? strerror((int)-got) : "it is no key");
  ed25519_sha512_public_key(key->open, key->secret);
  to_hex(key->open, sizeof key->open, key->text);
  return 0;
}

int chain_key_load(int directory, const char *daemon, struct chain_key *ret_key, struct error *error) {
  char name[EVENT_NAME_SIZE];
  struct chain_key key;
  snprintf(name, sizeof name, CHAIN_KEY_NAME, daemon);
  ssize_t got = read_file(directory, name, true, key.secret, sizeof key.secret);
  if (got == -ENOENT)
    got = make_key(directory, name, key.secret);
  int result = take_key(got, name, &key, error);
  if (result == 0)
    *ret_key = key;
  return result;
}

int chain_key_read(int directory, const char *daemon, struct chain_key *ret_key, struct error *error) {
  char name[EVENT_NAME_SIZE];
  struct chain_key key;
  snprintf(name, sizeof name, CHAIN_KEY_NAME, daemon);
  int result = take_key(read_file(directory, name, false, key.secret, sizeof key.secret), name, &key, error);
  if (result == 0)
    *ret_key = key;
  return result;
}

/* ---- the checkpoint ---- */

/* What is signed. */
static size_t statement(const char *daemon, const struct checkpoint *checkpoint, char text[static STATEMENT_SIZE]) {
  int length = snprintf(text, STATEMENT_SIZE, "kido.checkpoint/1\n%.24s\n%" PRIu64 "\n%s\n%" PRId64 "\n", daemon,
                        checkpoint->sequence, checkpoint->hash, checkpoint->time);
  return (size_t)length;
}

int checkpoint_write(int directory, const char *daemon, const struct chain_key *key,
                     const struct checkpoint *checkpoint, struct error *error) {
  char name[EVENT_NAME_SIZE], text[STATEMENT_SIZE], signature_text[2 * CHAIN_SIGNATURE_SIZE + 1];
  uint8_t signature[CHAIN_SIGNATURE_SIZE];
  ed25519_sha512_sign(key->open, key->secret, statement(daemon, checkpoint, text), (const uint8_t *)text, signature);
  to_hex(signature, sizeof signature, signature_text);
  snprintf(name, sizeof name, CHECKPOINT_NAME, daemon);
  json_t *object = json_pack("{s:s, s:s, s:I, s:s, s:I, s:s, s:s}", "schema", "kido.checkpoint/1", "daemon", daemon,
                             "sequence", (json_int_t)checkpoint->sequence, "hash", checkpoint->hash, "time",
                             (json_int_t)checkpoint->time, "key", key->text, "signature", signature_text);
  char *line = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
  int result = line != NULL ? write_file(directory, name, CHECKPOINT_MODE, line, strlen(line)) : -ENOMEM;
  free(line);
  json_decref(object);
  return result < 0 ? error_set(error, -result, "%s: %s", name, strerror(-result)) : 0;
}

static bool take(json_t *object, const char *daemon, struct checkpoint *ret_checkpoint) {
  const char *schema, *whose, *hash, *key, *signature_text;
  json_int_t sequence, time;
  uint8_t open[CHAIN_KEY_SIZE], signature[CHAIN_SIGNATURE_SIZE];
  char text[STATEMENT_SIZE];
  if (json_unpack(object, "{s:s, s:s, s:I, s:s, s:I, s:s, s:s}", "schema", &schema, "daemon", &whose, "sequence",
                  &sequence, "hash", &hash, "time", &time, "key", &key, "signature", &signature_text) < 0 ||
      strcmp(schema, "kido.checkpoint/1") != 0 || strcmp(whose, daemon) != 0 || sequence < 0 ||
      strlen(hash) != SHA256_TEXT_SIZE - 1 || !from_hex(key, sizeof open, open) ||
      !from_hex(signature_text, sizeof signature, signature))
    return false;
  *ret_checkpoint = (struct checkpoint){.sequence = (uint64_t)sequence, .time = time};
  snprintf(ret_checkpoint->hash, sizeof ret_checkpoint->hash, "%s", hash);
  snprintf(ret_checkpoint->key, sizeof ret_checkpoint->key, "%s", key);
  ret_checkpoint->genuine =
      ed25519_sha512_verify(open, statement(daemon, ret_checkpoint, text), (const uint8_t *)text, signature) == 1;
  return true;
}

int checkpoint_read(int directory, const char *daemon, struct checkpoint *ret_checkpoint, struct error *error) {
  char name[EVENT_NAME_SIZE], data[CHECKPOINT_SIZE];
  snprintf(name, sizeof name, CHECKPOINT_NAME, daemon);
  ssize_t got = read_file(directory, name, false, data, sizeof data);
  if (got < 0)
    return error_set(error, (int)-got, "%s: %s", name, strerror((int)-got));
  json_t *object = json_loadb(data, (size_t)got, 0, NULL);
  bool taken = object != NULL && take(object, daemon, ret_checkpoint);
  json_decref(object);
  return taken ? 0 : error_set(error, EBADMSG, "%s: it is no checkpoint", name);
}
