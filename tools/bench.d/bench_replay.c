/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The watchman over a capture file against a libpcap loop that does nothing: the same file, read in turn. The capture
 * is lawful traffic of one zone's wire, spread over its flows and many connections. A line of JSON for each round:
 * nanoseconds of processor time a packet.
 *
 *   kido-bench-replay POLICY PACKETS mix|small ROUNDS
 *   kido-bench-replay write POLICY PACKETS mix|small|flood|storm FILE     the capture alone, and what it is
 *   kido-bench-replay loop FILE                                           the loop that does nothing, alone
 *
 * flood: each packet opens a connection of its own. storm: what other zones send to this one, without a flow.
 */
#include <pcap/pcap.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "policy/read.h"
#include "watch/merge.h"
#include "watch/watch.h"

enum { PACKETS_OF_CONNECTION = 60, LARGEST = 1514, SMALLEST = 62 };

static const struct mac GATEWAY = {{0x02, 0, 0x5e, 0, 0, 1}};

_Noreturn static void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void bench_fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("kido-bench-replay: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(EXIT_FAILURE);
}

static double processor_nanoseconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static const struct policy *read_policy(const char *path, struct arena *arena) {
  struct diagnostic_list diagnostics;
  const struct policy *policy = NULL;
  struct error error = {0};
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  if (policy_read(path, arena, true, &policy, &diagnostics, &error) < 0)
    bench_fail("%s", error.message);
  if (diagnostics.errors > 0 || policy == NULL)
    bench_fail("%s has errors", path);
  return policy;
}

/* One conversation that the policy allows, as it lies on the wire. */
struct conversation {
  struct packet opener;
  bool from_here; /* the client is on this wire */
};

struct traffic {
  const struct policy *policy;
  zone_index zone;
  const struct flow **flows;
  size_t flow_count;
  uint8_t *opened; /* by connection */
  uint64_t random;
};

static uint32_t random_below(struct traffic *traffic, uint32_t limit) {
  traffic->random = traffic->random * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(traffic->random >> 33) % limit;
}

static bool usable(const struct policy *policy, const struct flow *flow, zone_index zone, struct instant now) {
  const struct service *service = &flow->services[0];
  return flow->from_zone >= 0 && flow->to_zone >= 0 && (flow->from_zone == zone || flow->to_zone == zone) &&
         (service->protocol == PROTOCOL_TCP || service->protocol == PROTOCOL_UDP) &&
         flow->from[0].kind == ENDPOINT_HOST && flow->to[0].kind == ENDPOINT_HOST &&
         flow->from[0].host->addresses[0].range.first.family == FAMILY_IPV4 &&
         policy_flow_force(policy, flow, now, NULL) == FORCE_YES;
}

static size_t choose_flows(struct traffic *traffic, zone_index zone, struct instant now, const struct flow **flows) {
  size_t count = 0;
  for (size_t i = 0; i < traffic->policy->flow_count; i++)
    if (usable(traffic->policy, &traffic->policy->flows[i], zone, now))
      flows[count++] = &traffic->policy->flows[i];
  return count;
}

/* The zone with most flows. */
static void choose_zone(struct traffic *traffic, struct instant now) {
  for (size_t z = 0; z < traffic->policy->zone_count; z++) {
    const struct flow **flows = calloc(traffic->policy->flow_count + 1, sizeof(struct flow *));
    size_t count = choose_flows(traffic, (zone_index)z, now, flows);
    if (count <= traffic->flow_count) {
      free(flows);
      continue;
    }
    free(traffic->flows);
    traffic->flows = flows;
    traffic->flow_count = count;
    traffic->zone = (zone_index)z;
  }
  if (traffic->flow_count == 0)
    bench_fail("the policy has no flow to make traffic of");
}

static struct conversation make_conversation(struct traffic *traffic, uint32_t number) {
  const struct flow *flow = traffic->flows[number % traffic->flow_count];
  return (struct conversation){.opener = {.source = flow->from[0].host->addresses[0].range.first,
                                          .destination = flow->to[0].host->addresses[0].range.first,
                                          .protocol = flow->services[0].protocol,
                                          .source_port = (uint16_t)(10000 + number / traffic->flow_count),
                                          .destination_port = flow->services[0].first_port},
                               .from_here = flow->from_zone == traffic->zone};
}

static void put16(uint8_t *bytes, unsigned value) {
  bytes[0] = (uint8_t)(value >> 8);
  bytes[1] = (uint8_t)value;
}

static struct mac mac_of(const struct flow *flow, bool client) {
  const struct host *host = client ? flow->from[0].host : flow->to[0].host;
  return host->mac_count > 0 ? host->macs[0] : (struct mac){{0x02, 0x11, 0, 0, 0, 9}};
}

/* A frame of a conversation in one direction. */
static size_t make_frame(const struct conversation *conversation, const struct flow *flow, bool reply, size_t length,
                         bool first, uint32_t number, uint8_t *frame) {
  const struct packet *opener = &conversation->opener;
  bool entering = conversation->from_here != reply;
  struct mac host = mac_of(flow, conversation->from_here);
  memset(frame, 0, length);
  memcpy(frame, entering ? GATEWAY.bytes : host.bytes, 6);
  memcpy(frame + 6, entering ? host.bytes : GATEWAY.bytes, 6);
  put16(frame + 12, 0x0800);
  frame[14] = 0x45;
  put16(frame + 16, (unsigned)length - 14);
  put16(frame + 18, number & 0xffff);
  frame[22] = 64;
  frame[23] = opener->protocol;
  memcpy(frame + 26, (reply ? &opener->destination : &opener->source)->bytes, 4);
  memcpy(frame + 30, (reply ? &opener->source : &opener->destination)->bytes, 4);
  put16(frame + 34, reply ? opener->destination_port : opener->source_port);
  put16(frame + 36, reply ? opener->source_port : opener->destination_port);
  if (opener->protocol == PROTOCOL_TCP) {
    put16(frame + 38, number >> 6 & 0xffff);
    put16(frame + 40, number << 10 & 0xffff);
    frame[46] = 0x50;
    frame[47] = first ? TCP_SYN : TCP_ACK;
  } else {
    put16(frame + 38, (unsigned)length - 34);
  }
  return length;
}

static size_t choose_length(struct traffic *traffic, bool small) {
  uint32_t kind = random_below(traffic, 100);
  if (small)
    return SMALLEST;
  if (kind < 45)
    return SMALLEST + random_below(traffic, 39);
  return kind < 75 ? 100 + random_below(traffic, 900) : 1000 + random_below(traffic, LARGEST - 999);
}

/* The next frame of a capture. */
typedef size_t make_next(struct traffic *traffic, uint32_t number, uint32_t of, uint8_t *frame);

static size_t make_lawful(struct traffic *traffic, uint32_t number, uint32_t of, bool small, uint8_t *frame) {
  uint32_t connections = of / PACKETS_OF_CONNECTION + 1, which = random_below(traffic, connections);
  struct conversation conversation = make_conversation(traffic, which);
  const struct flow *flow = traffic->flows[which % traffic->flow_count];
  if (traffic->opened == NULL)
    traffic->opened = calloc(connections, 1);
  bool first = !traffic->opened[which], reply = !first && random_below(traffic, 2) == 0;
  traffic->opened[which] = 1;
  return make_frame(&conversation, flow, reply, choose_length(traffic, small), first, number, frame);
}

static size_t make_mix(struct traffic *traffic, uint32_t number, uint32_t of, uint8_t *frame) {
  return make_lawful(traffic, number, of, false, frame);
}

static size_t make_small(struct traffic *traffic, uint32_t number, uint32_t of, uint8_t *frame) {
  return make_lawful(traffic, number, of, true, frame);
}

static size_t make_flood(struct traffic *traffic, uint32_t number, uint32_t of, uint8_t *frame) {
  (void)of;
  const struct flow *flow = traffic->flows[0];
  struct conversation conversation = make_conversation(traffic, 0);
  conversation.opener.protocol = PROTOCOL_TCP;
  conversation.opener.source_port = (uint16_t)(number % 60000 + 1024);
  conversation.opener.destination_port = (uint16_t)(number / 60000 + 1);
  return make_frame(&conversation, flow, false, SMALLEST, true, number, frame);
}

static size_t make_storm(struct traffic *traffic, uint32_t number, uint32_t of, uint8_t *frame) {
  (void)of;
  zone_index other = (zone_index)random_below(traffic, (uint32_t)traffic->policy->zone_count);
  if (other == traffic->zone)
    other = other > 0 ? other - 1 : other + 1;
  const struct zone *here = &traffic->policy->zones[traffic->zone], *there = &traffic->policy->zones[other];
  struct conversation conversation = {.opener = {.source = there->networks[0].range.first,
                                                 .destination = here->networks[0].range.first,
                                                 .protocol = PROTOCOL_TCP,
                                                 .source_port = 40000,
                                                 .destination_port = (uint16_t)(60001 + random_below(traffic, 20))}};
  conversation.opener.source.bytes[3] = (uint8_t)(200 + random_below(traffic, 50));
  conversation.opener.destination.bytes[3] = (uint8_t)(200 + random_below(traffic, 12));
  return make_frame(&conversation, traffic->flows[0], false, SMALLEST, true, number, frame);
}

static const struct {
  const char *name;
  make_next *make;
} KINDS[] = {{"mix", make_mix}, {"small", make_small}, {"flood", make_flood}, {"storm", make_storm}};

static make_next *find_kind(const char *name) {
  for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++)
    if (strcmp(KINDS[i].name, name) == 0)
      return KINDS[i].make;
  bench_fail("%s is no kind of capture", name);
}

static void write_capture(struct traffic *traffic, const char *path, uint32_t packets, make_next *make, int64_t start) {
  pcap_t *dead = pcap_open_dead(DLT_EN10MB, 65535);
  pcap_dumper_t *dumper = pcap_dump_open(dead, path);
  if (dumper == NULL)
    bench_fail("%s: %s", path, pcap_geterr(dead));
  uint8_t frame[LARGEST + 1];
  for (uint32_t i = 0; i < packets; i++) {
    size_t length = make(traffic, i, packets, frame);
    struct pcap_pkthdr header = {.ts = {.tv_sec = start + i / 100000, .tv_usec = (i % 100000) * 10},
                                 .caplen = (bpf_u_int32)length,
                                 .len = (bpf_u_int32)length};
    pcap_dump((u_char *)dumper, &header, frame);
  }
  free(traffic->opened);
  traffic->opened = NULL;
  pcap_dump_close(dumper);
  pcap_close(dead);
}

/* ---- measuring ---- */

static void do_nothing(u_char *user, const struct pcap_pkthdr *header, const u_char *data) {
  (void)user, (void)header, (void)data;
}

static double time_empty(const char *path) {
  char why[PCAP_ERRBUF_SIZE];
  pcap_t *pcap = pcap_open_offline(path, why);
  if (pcap == NULL)
    bench_fail("%s", why);
  double start = processor_nanoseconds();
  pcap_loop(pcap, -1, do_nothing, NULL);
  double took = processor_nanoseconds() - start;
  pcap_close(pcap);
  return took;
}

static void count_event(void *context, struct event *event, const struct timezone *zone) {
  (void)zone;
  memcpy(event->id, "x", 2);
  ++*(uint64_t *)context;
}

static double time_watch(struct traffic *traffic, const char *path, uint64_t *ret_events) {
  struct watch_settings settings = {.tell = count_event, .context = ret_events};
  struct watch *watch = watch_new(&settings);
  struct error error = {0};
  struct capture *capture = NULL;
  watch_add_wire(watch, "bench", traffic->policy->zones[traffic->zone].name);
  watch_add_gateway_mac(watch, 0, &GATEWAY);
  if (watch_set_policy(watch, traffic->policy, NULL, false, 0) < 0 || capture_open_file(path, &capture, &error) < 0)
    bench_fail("%s", error.message);
  struct merge_source source = {.capture = capture};
  struct merge merge = {.sources = &source, .count = 1};
  struct captured_frame frame;
  size_t wire;
  double start = processor_nanoseconds();
  while (merge_next(&merge, &wire, &frame, &error) == CAPTURE_FRAME)
    watch_frame(watch, 0, &frame);
  double took = processor_nanoseconds() - start;
  watch_finish(watch, 0);
  watch_free(watch);
  capture_close(capture);
  return took;
}

static struct traffic make_traffic(const char *policy, struct arena *arena, struct instant now) {
  struct traffic traffic = {.policy = read_policy(policy, arena), .random = 1};
  choose_zone(&traffic, now);
  return traffic;
}

static void measure(char **arguments) {
  struct arena *arena = arena_new(0);
  struct instant now = {time(NULL)};
  struct traffic traffic = make_traffic(arguments[0], arena, now);
  uint32_t packets = (uint32_t)strtoul(arguments[1], NULL, 10);
  char path[] = "/dev/shm/kido-bench-XXXXXX";
  int descriptor = mkstemp(path);
  if (descriptor < 0)
    bench_fail("%s", path);
  close(descriptor);
  write_capture(&traffic, path, packets, find_kind(arguments[2]), now.seconds);
  for (long round = strtol(arguments[3], NULL, 10); round > 0; round--) {
    uint64_t events = 0;
    double empty = time_empty(path), watch = time_watch(&traffic, path, &events);
    printf("{\"empty\": %.1f, \"watch\": %.1f, \"events\": %llu}\n", empty / packets, watch / packets,
           (unsigned long long)events);
  }
  unlink(path);
  free(traffic.flows);
  arena_free(arena);
}

static void write_file(char **arguments) {
  struct arena *arena = arena_new(0);
  struct instant now = {time(NULL)};
  struct traffic traffic = make_traffic(arguments[0], arena, now);
  write_capture(&traffic, arguments[3], (uint32_t)strtoul(arguments[1], NULL, 10), find_kind(arguments[2]),
                now.seconds);
  char mac[MAC_TEXT_SIZE];
  printf("{\"zone\": \"%s\", \"gateway_mac\": \"%s\", \"networks\": [", traffic.policy->zones[traffic.zone].name,
         mac_format(&GATEWAY, mac));
  for (size_t z = 0; z < traffic.policy->zone_count; z++) {
    char text[ADDRESS_TEXT_SIZE];
    printf("%s[%s, \"%s/15\"]", z > 0 ? ", " : "", (zone_index)z == traffic.zone ? "true" : "false",
           address_format(&traffic.policy->zones[z].networks[0].range.first, text));
  }
  printf("]}\n");
  free(traffic.flows);
  arena_free(arena);
}

int main(int count, char **arguments) {
  if (count == 6 && strcmp(arguments[1], "write") == 0)
    write_file(arguments + 2);
  else if (count == 3 && strcmp(arguments[1], "loop") == 0)
    (void)time_empty(arguments[2]);
  else if (count == 5)
    measure(arguments + 1);
  else
    bench_fail("usage: POLICY PACKETS mix|small ROUNDS | write POLICY PACKETS mix|small|flood|storm FILE | loop FILE");
  return 0;
}
