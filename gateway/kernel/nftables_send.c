/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One phase is one datagram and one transaction, with the generation that the difference was computed against (the
 * kernel refuses it when another has committed since). Nothing is acknowledged but the last message; complaints come
 * for each message that fails, and lead back to the operation by sequence number and to the element by attribute
 * offset.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kernel/nftables_parts.h"
#include "kernel/nftables_watch.h"

enum { LOUD_BYTES = 64 * 1024 }; /* of a batch: some hundred elements */

static bool origin_known(const struct origin *origin) {
  return origin->subject != NULL && origin->subject[0] != '\0';
}

/* From the smallest part to the largest: the first that has an origin. */
static struct origin blamed_origin(const struct batch_blame *blame) {
  const struct operation *operation = blame->operation;
  const struct origin *origins[] = {
      blame->element != NULL ? &blame->element->origin : NULL,
      operation->rule != NULL ? &operation->rule->origin : NULL,
      operation->set != NULL ? &operation->set->origin : NULL,
      operation->chain != NULL ? &operation->chain->origin : NULL,
      operation->counter != NULL ? &operation->counter->origin : NULL,
  };
  for (size_t i = 0; i < sizeof(origins) / sizeof(origins[0]); i++) {
    if (origins[i] != NULL && origin_known(origins[i])) {
      return *origins[i];
    }
  }
  return (struct origin){.subject = ""};
}

static void describe_blame(struct nftables *nftables, const struct batch_blame *blame) {
  const struct operation *operation = blame->operation;
  const char *kind = "table";
  const char *name = "";
  if (operation->set != NULL) {
    kind = operation->elements == NULL ? "set" : blame->element != NULL ? "element of set" : "elements of set";
    name = operation->set->name;
  } else if (operation->chain != NULL) {
    kind = operation->rule != NULL ? "rule of chain" : "chain";
    name = operation->chain->name;
  } else if (operation->counter != NULL) {
    kind = "counter";
    name = operation->counter->name;
  }
  snprintf(nftables->what, sizeof(nftables->what), "%s '%s'", kind, name);
}

static void note_refusal(struct nftables *nftables, const struct nftables_batch *batch,
                         const struct netlink_complaint *complaint, struct refusal *refusal) {
  struct batch_blame blame;
  *refusal = (struct refusal){.origin = {.subject = ""}};
  if (nftables_batch_find(batch, complaint->sequence, complaint->attribute_offset, &blame)) {
    describe_blame(nftables, &blame);
    refusal->what = nftables->what;
    refusal->origin = blamed_origin(&blame);
    refusal->known = origin_known(&refusal->origin);
  }
}

static int report_complaint(struct nftables *nftables, const struct nftables_batch *batch,
                            const struct netlink_complaint *complaint, struct refusal *ret_refusal,
                            struct error *error) {
  if (complaint->code == ERESTART) {
    return error_set(error, ERESTART, "the kernel's ruleset changed in between");
  }
  struct refusal refusal;
  note_refusal(nftables, batch, complaint, &refusal);
  if (ret_refusal != NULL) {
    *ret_refusal = refusal;
  }
  return error_set(error, complaint->code, "the kernel refuses the %s%s%s%s: %s%s%s",
                   refusal.what != NULL ? refusal.what : "transaction", refusal.known ? " of " : "",
                   refusal.known ? refusal.origin.subject : "", "", strerror(complaint->code),
                   complaint->message[0] != '\0' ? ": " : "", complaint->message);
}

static int send_batch(struct nftables *nftables, const struct nftables_batch *batch, struct refusal *ret_refusal,
                      struct error *error) {
  int status = nftables_need(&nftables->sender, error);
  if (status != 0) {
    return status;
  }
  struct netlink_complaint complaint = {0};
  bool acknowledged = false;
  struct listener *listener = &nftables->listener;
  bool spare = listener->fd >= 0 && batch->length > LOUD_BYTES;
  if (spare) {
    listener->spared = true;
    nftables_watch_listen(listener->fd, false);
  }
  status = netlink_send_batch(nftables->sender, batch->data, batch->length, nftables_batch_last_sequence(batch),
                              &complaint, &acknowledged, error);
  if (spare) {
    nftables_watch_listen(listener->fd, true);
  }
  if (status == 0 && complaint.code != 0) {
    status = report_complaint(nftables, batch, &complaint, ret_refusal, error);
  }
  return status;
}

static int build_batch(const struct nftables *nftables, struct nftables_batch *batch, const struct delta *delta,
                       enum phase phase, int64_t now, uint32_t generation, struct error *error) {
  const struct phase_operations *operations = &delta->phases[phase];
  int status = nftables_batch_begin(batch, delta->table, now, generation, 1, error);
  batch->table_flags = nftables->ownership == OWNERSHIP_HELD ? NFT_TABLE_F_OWNER | NFTABLES_TABLE_PERSIST : 0;
  for (size_t i = 0; status == 0 && i < operations->count; i++) {
    status = nftables_batch_add(batch, &operations->items[i], error);
  }
  return status == 0 ? nftables_batch_end(batch, error) : status;
}

int nftables_send_at(struct nftables *nftables, const struct delta *delta, enum phase phase, int64_t now,
                     uint32_t generation, struct refusal *ret_refusal, struct error *error) {
  if (delta->phases[phase].count == 0) {
    return 0;
  }
  struct nftables_batch batch;
  int status = build_batch(nftables, &batch, delta, phase, now, generation, error);
  if (status == 0) {
    status = send_batch(nftables, &batch, ret_refusal, error);
  }
  nftables_batch_free(&batch);
  return status;
}

int nftables_send(struct nftables *nftables, const struct delta *delta, enum phase phase, struct instant now,
                  uint32_t generation, struct refusal *ret_refusal, struct error *error) {
  return nftables_send_at(nftables, delta, phase, instant_milliseconds(now), generation, ret_refusal, error);
}
