/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watch/passages.h"

#include <stdlib.h>
#include <string.h>

enum { NO_PASSAGE = -1 };

struct passage {
  struct connection_key key;
  struct finding finding; /* count: frames that came in and were not seen to leave */
  int64_t until;
  uint64_t left; /* frames that left before their entry was looked at */
  bool reported;
  int next; /* in the bucket */
};

/* A ring in the order of time, and buckets over it. */
struct passages {
  struct passage *ring;
  int *buckets;
  size_t size, head, used; /* head: the oldest */
  int64_t hold;
  passages_expire *expire;
  void *context;
  struct passage_frame *frames; /* beside the ring */
  const struct passage_frame *handed_out;
};

struct passages *passages_new(size_t count, int64_t hold, passages_expire *expire, void *context) {
  size_t size = 1;
  while (size < count)
    size *= 2;
  struct passages *passages = calloc(1, sizeof *passages);
  struct passage *ring = calloc(size, sizeof *ring);
  int *buckets = calloc(size, sizeof *buckets);
  struct passage_frame *frames = calloc(size, sizeof *frames);
  if (passages == NULL || ring == NULL || buckets == NULL || frames == NULL) {
    free(passages);
    free(frames);
    free(ring);
    free(buckets);
    return NULL;
  }
  for (size_t i = 0; i < size; i++)
    buckets[i] = NO_PASSAGE;
  *passages = (struct passages){ring, buckets, size, 0, 0, hold, expire, context, frames, NULL};
  return passages;
}

struct passages *passages_free(struct passages *passages) {
  if (passages != NULL) {
    free(passages->ring);
    free(passages->buckets);
    free(passages->frames);
  }
  free(passages);
  return NULL;
}

static int *bucket_of(const struct passages *passages, const struct connection_key *key) {
  return &passages->buckets[(key->hash >> 20) & (passages->size - 1)];
}

static bool same_conversation(const struct connection_key *left, const struct connection_key *right) {
  return left->hash == right->hash && left->family == right->family && left->protocol == right->protocol &&
         memcmp(left->ports, right->ports, sizeof left->ports) == 0 &&
         memcmp(left->ends, right->ends, sizeof left->ends) == 0;
}

/* Only packets of one direction are the same packet. */
static struct passage *find(const struct passages *passages, const struct connection_key *key) {
  for (int at = *bucket_of(passages, key); at != NO_PASSAGE; at = passages->ring[at].next)
    if (same_conversation(&passages->ring[at].key, key) && passages->ring[at].key.source_end == key->source_end)
      return &passages->ring[at];
  return NULL;
}

static void unlink_oldest(struct passages *passages) {
  struct passage *oldest = &passages->ring[passages->head];
  int *link = bucket_of(passages, &oldest->key);
  while (*link != (int)passages->head)
    link = &passages->ring[*link].next;
  *link = oldest->next;
  passages->head = (passages->head + 1) & (passages->size - 1);
  passages->used--;
}

static void hand_out_oldest(struct passages *passages) {
  struct passage *oldest = &passages->ring[passages->head];
  struct finding finding = oldest->finding;
  bool tell = !oldest->reported && finding.count > 0;
  passages->handed_out = &passages->frames[passages->head];
  unlink_oldest(passages);
  if (tell)
    passages->expire(passages->context, &finding);
  passages->handed_out = NULL;
}

const struct captured_frame *passages_frame(const struct passages *passages) {
  const struct passage_frame *frame = passages->handed_out;
  return frame != NULL && frame->captured.data != NULL ? &frame->captured : NULL;
}

static struct passage *add(struct passages *passages, const struct connection_key *key, int64_t now) {
  if (passages->used == passages->size)
    hand_out_oldest(passages);
  size_t at = (passages->head + passages->used++) & (passages->size - 1);
  int *bucket = bucket_of(passages, key);
  passages->ring[at] = (struct passage){.key = *key, .until = now + passages->hold, .next = *bucket};
  *bucket = (int)at;
  return &passages->ring[at];
}

struct passage_frame *passages_enter(struct passages *passages, const struct connection_key *key,
                                     const struct finding *finding, bool reported) {
  struct passage *passage = find(passages, key);
  if (passage != NULL && passage->left > 0) {
    passage->left--;
    return NULL;
  }
  if (passage != NULL && passage->finding.count > 0) {
    passage->finding.count += finding->count;
    passage->finding.bytes += finding->bytes;
    return NULL;
  }
  if (passage == NULL)
    passage = add(passages, key, finding->time);
  passage->finding = *finding;
  passage->reported = reported;
  struct passage_frame *frame = &passages->frames[passage - passages->ring];
  frame->captured.data = NULL;
  return frame;
}

int passages_leave(struct passages *passages, const struct connection_key *key, int64_t now) {
  struct passage *passage = find(passages, key);
  if (passage == NULL)
    passage = add(passages, key, now);
  if (passage->finding.count == 0) {
    passage->left++;
    return WIRE_NONE;
  }
  passage->finding.bytes -= passage->finding.bytes / passage->finding.count;
  passage->finding.count--;
  return passage->finding.wire;
}

int passages_look(const struct passages *passages, const struct connection_key *key) {
  const struct passage *passage = find(passages, key);
  return passage != NULL && passage->finding.count > 0 ? passage->finding.wire : WIRE_NONE;
}

bool passages_know(const struct passages *passages, const struct connection_key *key) {
  return find(passages, key) != NULL;
}

void passages_advance(struct passages *passages, int64_t now) {
  while (passages->used > 0 && passages->ring[passages->head].until <= now)
    hand_out_oldest(passages);
}

bool passages_empty(const struct passages *passages) {
  return passages->used == 0;
}
