/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rules/compile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"

/*
 * A flow's mark is the hash of a text that says what the flow means, in a form in which everything that says the same
 * is the same: ranges merged and sorted, services merged and sorted, the pinned hosts sorted. The mark 0 is that of
 * connections without a flow; 0xffffffff is kept for packets that the gateway itself sends in refusal; the
 * highest bit says that a connection is half open (compile_openings.c).
 */
#define MARK_RESERVED (REFUSAL_MARK & FLOW_MARK_MASK)

struct mark_table {
  uint32_t *slots; /* 0: free */
  size_t mask;
};

static void write_ranges(FILE *stream, const struct address_set *set) {
  char text[RANGE_TEXT_SIZE];
  for (size_t i = 0; i < set->count; i++)
    fprintf(stream, " %s", range_format(&set->ranges[i], text));
  fputc('\n', stream);
}

static int compare_services(const void *left, const void *right) {
  const struct service *first = left, *second = right;
  if (first->protocol != second->protocol)
    return first->protocol < second->protocol ? -1 : 1;
  if (first->icmp_type != second->icmp_type)
    return first->icmp_type < second->icmp_type ? -1 : 1;
  return (first->first_port > second->first_port) - (first->first_port < second->first_port);
}

static int write_services(FILE *stream, const struct flow *flow) {
  struct service *services = calloc(flow->service_count + 1, sizeof *services);
  if (services == NULL)
    return -ENOMEM;
  if (flow->service_count > 0) {
    memcpy(services, flow->services, flow->service_count * sizeof *services);
    qsort(services, flow->service_count, sizeof *services, compare_services);
  }
  for (size_t i = 0; i < flow->service_count; i++) {
    struct service merged = services[i];
    while (i + 1 < flow->service_count && services[i + 1].protocol == merged.protocol &&
           services[i + 1].icmp_type == merged.icmp_type && services[i + 1].first_port <= merged.last_port + 1) {
      i++;
      if (services[i].last_port > merged.last_port)
        merged.last_port = services[i].last_port;
    }
    fprintf(stream, " %u:%u:%u-%u", merged.protocol, merged.icmp_type, merged.first_port, merged.last_port);
  }
  fputc('\n', stream);
  free(services);
  return 0;
}

static int compare_macs(const void *left, const void *right) {
  return memcmp(left, right, sizeof(struct mac));
}

static int compare_lines(const void *left, const void *right) {
  const char *const *first = left, *const *second = right;
  return strcmp(*first, *second);
}

/* "10.0.0.1 = 02:00:5e:00:00:01" */
static char *pin_line(const struct host *host, struct arena *arena) {
  struct mac *macs = arena_memdup(arena, host->macs, host->mac_count * sizeof *macs);
  struct address_range *ranges = ARENA_ARRAY(arena, host->address_count, struct address_range);
  struct address_set set;
  if (macs == NULL || ranges == NULL)
    return NULL;
  for (size_t i = 0; i < host->address_count; i++)
    ranges[i] = host->addresses[i].range;
  if (address_set_build(arena, ranges, host->address_count, &set) < 0)
    return NULL;
  qsort(macs, host->mac_count, sizeof *macs, compare_macs);
  char *line = NULL;
  size_t length = 0;
  FILE *stream = open_memstream(&line, &length);
  if (stream == NULL)
    return NULL;
  write_ranges(stream, &set);
  for (size_t i = 0; i < host->mac_count; i++) {
    char text[MAC_TEXT_SIZE];
    fprintf(stream, " %s", mac_format(&macs[i], text));
  }
  char *kept = fclose(stream) == 0 ? arena_strdup(arena, line) : NULL;
  free(line);
  return kept;
}

static int write_pins(FILE *stream, const struct flow *flow, struct arena *arena) {
  const char **lines = ARENA_ARRAY(arena, flow->from_count + flow->to_count, const char *);
  size_t count = 0;
  if (lines == NULL)
    return -ENOMEM;
  for (size_t i = 0; i < flow->from_count + flow->to_count; i++) {
    const struct endpoint *end = i < flow->from_count ? &flow->from[i] : &flow->to[i - flow->from_count];
    if (end->kind != ENDPOINT_HOST || end->host->mac_count == 0 || end->host->mac_scope != MAC_SCOPE_DIRECT)
      continue;
    lines[count] = pin_line(end->host, arena);
    if (lines[count++] == NULL)
      return -ENOMEM;
  }
  if (count > 0)
    qsort(lines, count, sizeof *lines, compare_lines);
  for (size_t i = 0; i < count; i++)
    fprintf(stream, "pin%s\n", lines[i]);
  return 0;
}

static int write_meaning(FILE *stream, const struct policy *policy, const struct flow *flow, struct arena *arena) {
  struct address_set from = {0}, to = {0};
  int status = policy_end_addresses(policy, flow->from, flow->from_count, flow->to_zone, arena, &from);
  if (status == 0)
    status = policy_end_addresses(policy, flow->to, flow->to_count, flow->from_zone, arena, &to);
  if (status < 0)
    return status;
  fprintf(stream, "from %s", policy_zone_name(policy, flow->from_zone));
  write_ranges(stream, &from);
  fprintf(stream, "to %s", policy_zone_name(policy, flow->to_zone));
  write_ranges(stream, &to);
  status = write_services(stream, flow);
  return status < 0 ? status : write_pins(stream, flow, arena);
}

/* The memory of a meaning is needed for one flow; it is given back every so many flows. */
enum { FLOWS_PER_SCRATCH = 256 };

struct mark_writer {
  const struct policy *policy;
  struct arena *scratch;
  size_t scratch_uses;
  FILE *stream; /* writes to text, over and over */
  char *text;
  size_t length;
};

static int refresh_scratch(struct mark_writer *writer) {
  if (writer->scratch_uses++ % FLOWS_PER_SCRATCH == 0) {
    arena_free(writer->scratch);
    writer->scratch = arena_new(0);
  }
  return writer->scratch == NULL ? -ENOMEM : 0;
}

static int hash_meaning(struct mark_writer *writer, const struct flow *flow, uint32_t *ret_mark) {
  int status = refresh_scratch(writer);
  rewind(writer->stream);
  if (status == 0)
    status = write_meaning(writer->stream, writer->policy, flow, writer->scratch);
  long length = ftell(writer->stream);
  if (status == 0 && (length < 0 || fflush(writer->stream) != 0))
    status = -ENOMEM;
  if (status < 0)
    return status;
  uint8_t digest[SHA256_SIZE];
  sha256(writer->text, (size_t)length, digest);
  *ret_mark = (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 | (uint32_t)digest[2] << 8 | digest[3];
  return 0;
}

/* The mark itself, or the next one that no earlier flow has. */
static uint32_t claim_mark(struct mark_table *table, uint32_t mark) {
  for (;; mark++) {
    mark &= FLOW_MARK_MASK;
    if (mark == 0 || mark == MARK_RESERVED)
      continue;
    uint32_t hash = mark * UINT32_C(2654435761);
    size_t slot = hash & table->mask;
    while (table->slots[slot] != 0 && table->slots[slot] != mark)
      slot = (slot + 1) & table->mask;
    if (table->slots[slot] == mark)
      continue;
    table->slots[slot] = mark;
    return mark;
  }
}

static int fill_marks(const struct policy *policy, struct mark_table *table, uint32_t *marks) {
  struct mark_writer writer = {.policy = policy};
  writer.stream = open_memstream(&writer.text, &writer.length);
  int status = writer.stream == NULL ? -ENOMEM : 0;
  for (size_t i = 0; i < policy->flow_count && status == 0; i++) {
    uint32_t mark = 0;
    status = hash_meaning(&writer, &policy->flows[i], &mark);
    marks[i] = claim_mark(table, mark);
  }
  if (writer.stream != NULL)
    fclose(writer.stream);
  free(writer.text);
  arena_free(writer.scratch);
  return status;
}

int flow_marks(const struct policy *policy, struct arena *arena, uint32_t **ret_marks) {
  size_t room = 16;
  while (room < policy->flow_count * 2)
    room *= 2;
  struct mark_table table = {.slots = calloc(room, sizeof *table.slots), .mask = room - 1};
  uint32_t *marks = ARENA_ARRAY(arena, policy->flow_count, uint32_t);
  int status = table.slots == NULL || marks == NULL ? -ENOMEM : fill_marks(policy, &table, marks);
  free(table.slots);
  if (status == 0)
    *ret_marks = marks;
  return status;
}
