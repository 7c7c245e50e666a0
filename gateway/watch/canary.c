/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch/canary.h"

#include <errno.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <pcap/dlt.h>
#include <string.h>
#include <sys/random.h>

#include "base/cursor.h"

enum {
  MACS = 12,
  TAG = 4,
  TAGS = 2,
  SEAL_SIZE = 16,
  SEALED = 6 + 4 + 4 + 8,
  ETHERTYPE_VLAN = 0x8100,
  ETHERTYPE_QINQ = 0x88a8
};

/* To the nearest bridge, which keeps it to itself. */
static const uint8_t destination[6] = {0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e};
static const uint8_t magic[4] = {'K', 'I', 'D', 'O'};

int canary_make_key(struct canary_key *ret_key, struct error *error) {
  struct canary_key key;
  if (getrandom(key.bytes, sizeof key.bytes, 0) != (ssize_t)sizeof key.bytes)
    return error_set(error, EIO, "no random numbers for the canary");
  *ret_key = key;
  return 0;
}

static void put(uint8_t *target, uint64_t value, unsigned bytes) {
  for (unsigned i = 0; i < bytes; i++)
    target[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

/* Over what stands behind the ethertype and who sent it: a tag on the way does not change it. */
static void seal(const struct canary_key *key, const uint8_t sealed[static SEALED],
                 uint8_t ret_seal[static SEAL_SIZE]) {
  struct hmac_sha256_ctx context;
  hmac_sha256_set_key(&context, sizeof key->bytes, key->bytes);
  hmac_sha256_update(&context, SEALED, sealed);
  hmac_sha256_digest(&context, SEAL_SIZE, ret_seal);
}

void canary_write(const struct canary_key *key, const struct canary *canary, const struct mac *source,
                  uint8_t ret_frame[static CANARY_SIZE]) {
  uint8_t *body = ret_frame + MACS + 2, sealed[SEALED];
  memset(ret_frame, 0, CANARY_SIZE);
  memcpy(ret_frame, destination, sizeof destination);
  memcpy(ret_frame + sizeof destination, source->bytes, sizeof source->bytes);
  put(ret_frame + MACS, CANARY_ETHERTYPE, 2);
  memcpy(body, magic, sizeof magic);
  put(body + 4, canary->wire, 4);
  put(body + 8, canary->number, 8);
  memcpy(sealed, source->bytes, sizeof source->bytes);
  memcpy(sealed + 6, body, SEALED - 6);
  seal(key, sealed, body + 16);
}

/* Behind the ethertype of a canary, whatever tags it lies under; false for other frames. */
static bool find_body(struct cursor *cursor) {
  cursor_skip(cursor, MACS);
  uint16_t ethertype = cursor_be16(cursor);
  for (int tag = 0; tag < TAGS && (ethertype == ETHERTYPE_VLAN || ethertype == ETHERTYPE_QINQ); tag++) {
    cursor_skip(cursor, TAG - 2);
    ethertype = cursor_be16(cursor);
  }
  return ethertype == CANARY_ETHERTYPE;
}

/* Most frames are told from a canary by two bytes. */
static bool may_be_canary(const struct captured_frame *captured) {
  if (captured->link_type != DLT_EN10MB || captured->captured < MACS + 2)
    return false;
  uint16_t ethertype = (uint16_t)(captured->data[MACS] << 8 | captured->data[MACS + 1]);
  return ethertype == CANARY_ETHERTYPE || ethertype == ETHERTYPE_VLAN || ethertype == ETHERTYPE_QINQ;
}

enum canary_sight canary_read(const struct canary_key *key, const struct captured_frame *captured,
                              struct canary *ret_canary) {
  struct cursor cursor;
  uint8_t sealed[SEALED], sign[SEAL_SIZE], expected[SEAL_SIZE];
  if (!may_be_canary(captured))
    return CANARY_NONE;
  cursor_init(&cursor, captured->data, captured->captured);
  if (!find_body(&cursor))
    return CANARY_NONE;
  memcpy(sealed, captured->data + sizeof destination, 6);
  cursor_copy(&cursor, sealed + 6, SEALED - 6);
  if (cursor.failed || memcmp(sealed + 6, magic, sizeof magic) != 0)
    return CANARY_NONE;
  cursor_copy(&cursor, sign, sizeof sign);
  seal(key, sealed, expected);
  if (cursor.failed || !memeql_sec(sign, expected, sizeof sign))
    return CANARY_FORGED;
  cursor_init(&cursor, sealed + 6 + sizeof magic, SEALED - 6 - sizeof magic);
  ret_canary->wire = cursor_be32(&cursor);
  ret_canary->number = cursor_be64(&cursor);
  ret_canary->tagged = captured->data[MACS] != CANARY_ETHERTYPE >> 8;
  return CANARY_OWN;
}
