/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Live traffic for measuring captures: one lawful connection at a given rate, through a gateway that forwards it, and
 * frames that no policy allows between it, whose alerts are timed. And a capture loop that does nothing.
 *
 *   kido-bench-live describe POLICY
 *   kido-bench-live loop INTERFACE MEGABYTES [EVENTS]
 *   kido-bench-live send IN OUT MAC_IN MAC_OUT SOURCE SOURCE_PORT DESTINATION PORT RATE SECONDS [EVENTS SOURCE ...]
 *
 * IN and OUT are the far ends of the gateway's wires. RATE 0: as fast as possible. EVENTS is where the watchman writes;
 * each SOURCE then appears on the wire of OUT beside the gateway, again and again with other ports. A loop
 * with EVENTS is woken by each frame and writes a line for those, as the least that any alert takes.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "policy/packet.h"
#include "policy/read.h"

enum { BATCH = 32, FRAME = 254, STRANGE_MOST = 8, PORTS_OF_STRANGER = 4, ALERTS = 64, FIRST_PORT = 20000 };

static const struct mac STRANGE = {{0x02, 0x77, 0, 0, 0, 7}}; /* to whom frames go that pass by the gateway */

_Noreturn static void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void bench_fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("kido-bench-live: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(EXIT_FAILURE);
}

static int64_t clock_of(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void rest_until(int64_t when) {
  struct timespec time = {when / 1000000000, when % 1000000000};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

/* ---- what the policy allows ---- */

static const struct flow *choose_flow(const struct policy *policy) {
  for (size_t i = 0; i < policy->flow_count; i++) {
    const struct flow *flow = &policy->flows[i];
    if (flow->from_zone >= 0 && flow->to_zone >= 0 && flow->from[0].kind == ENDPOINT_HOST &&
        flow->to[0].kind == ENDPOINT_HOST && flow->services[0].protocol == PROTOCOL_TCP &&
        flow->from[0].host->addresses[0].range.first.family == FAMILY_IPV4 &&
        policy_flow_force(policy, flow, (struct instant){time(NULL)}, NULL) == FORCE_YES)
      return flow;
  }
  bench_fail("the policy has no TCP flow between two hosts");
}

static void describe(const char *path) {
  struct arena *arena = arena_new(0);
  struct diagnostic_list diagnostics;
  const struct policy *policy = NULL;
  struct error error = {0};
  diagnostic_list_init(&diagnostics, arena, LANGUAGE_ENGLISH);
  if (policy_read(path, arena, true, &policy, &diagnostics, &error) < 0 || policy == NULL)
    bench_fail("%s has errors", path);
  const struct flow *flow = choose_flow(policy);
  char source[ADDRESS_TEXT_SIZE], destination[ADDRESS_TEXT_SIZE];
  printf("{\"from\": %d, \"to\": %d, \"source\": \"%s\", \"destination\": \"%s\", \"port\": %u, \"zones\": [",
         flow->from_zone, flow->to_zone, address_format(&flow->from[0].host->addresses[0].range.first, source),
         address_format(&flow->to[0].host->addresses[0].range.first, destination), flow->services[0].first_port);
  for (size_t z = 0; z < policy->zone_count; z++) {
    printf("%s{\"interfaces\": [", z > 0 ? ", " : "");
    for (size_t i = 0; i < policy->zones[z].interface_count; i++)
      printf("%s\"%s\"", i > 0 ? ", " : "", policy->zones[z].interfaces[i].text);
    printf("], \"network\": \"%s\"}", address_format(&policy->zones[z].networks[0].range.first, source));
  }
  printf("]}\n");
  arena_free(arena);
}

/* ---- a capture that does nothing ---- */

static pcap_t *looping;

static void stop_loop(int signal_number) {
  (void)signal_number;
  pcap_breakloop(looping);
}

struct loop {
  uint64_t count;
  int events; /* -1: none */
};

static void note_stranger(const struct loop *loop, const uint8_t *frame) {
  char line[128];
  int length = snprintf(line, sizeof line, "{\"kind\":\"bypass\",\"dport\":%d}\n", frame[36] << 8 | frame[37]);
  if (write(loop->events, line, (size_t)length) < 0)
    bench_fail("cannot write: %s", strerror(errno));
}

static void take(u_char *user, const struct pcap_pkthdr *header, const u_char *data) {
  struct loop *loop = (struct loop *)(void *)user;
  loop->count++;
  if (loop->events >= 0 && header->caplen >= 38 && memcmp(data, STRANGE.bytes, 6) == 0)
    note_stranger(loop, data);
}

static void run_loop(const char *interface, int megabytes, const char *events) {
  char why[PCAP_ERRBUF_SIZE] = "";
  looping = pcap_create(interface, why);
  if (looping == NULL)
    bench_fail("%s", why);
  pcap_set_snaplen(looping, 384);
  pcap_set_timeout(looping, 1);
  pcap_set_immediate_mode(looping, events != NULL);
  pcap_set_promisc(looping, 1);
  pcap_set_buffer_size(looping, megabytes * 1024 * 1024);
  if (pcap_activate(looping) < 0)
    bench_fail("%s: %s", interface, pcap_geterr(looping));
  struct sigaction action = {.sa_handler = stop_loop};
  sigaction(SIGINT, &action, NULL);
  struct loop loop = {.events = events != NULL ? open(events, O_WRONLY | O_APPEND | O_CLOEXEC) : -1};
  pcap_loop(looping, -1, take, (u_char *)&loop);
  struct pcap_stat statistics = {0};
  pcap_stats(looping, &statistics);
  printf("{\"frames\": %llu, \"dropped\": %u}\n", (unsigned long long)loop.count, statistics.ps_drop);
  pcap_close(looping);
}

/* ---- frames ---- */

struct wire {
  int socket;
  struct mac gateway;
};

static struct wire open_wire(const char *interface, const char *mac) {
  struct wire wire = {.socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)};
  struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(interface)};
  if (wire.socket < 0 || address.sll_ifindex == 0 ||
      bind(wire.socket, (const struct sockaddr *)&address, sizeof address) < 0)
    bench_fail("%s: %s", interface, strerror(errno));
  int yes = 1;
  setsockopt(wire.socket, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof yes);
  if (!mac_parse(mac, &wire.gateway))
    bench_fail("%s is no MAC address", mac);
  return wire;
}

static void put16(uint8_t *bytes, unsigned value) {
  bytes[0] = (uint8_t)(value >> 8);
  bytes[1] = (uint8_t)value;
}

static struct address read_address(const char *text) {
  struct address address;
  if (!address_parse(text, &address) || address.family != FAMILY_IPV4)
    bench_fail("%s is no IPv4 address", text);
  return address;
}

static void put_checksum(uint8_t *header) {
  uint32_t sum = 0;
  put16(header + 10, 0);
  for (size_t i = 0; i < 20; i += 2)
    sum += (uint32_t)(header[i] << 8 | header[i + 1]);
  sum = (sum & 0xffff) + (sum >> 16);
  put16(header + 10, ~(sum + (sum >> 16)) & 0xffff);
}

struct tcp {
  struct address source, destination;
  uint16_t source_port, destination_port;
  uint8_t flags;
};

static void make_frame(const struct mac *to, uint8_t sender, const struct tcp *tcp, uint32_t number, size_t length,
                       uint8_t *frame) {
  memset(frame, 0, length);
  memcpy(frame, to->bytes, 6);
  memcpy(frame + 6, (const uint8_t[]){0x02, 0x11, 0, 0, 0, sender}, 6);
  put16(frame + 12, ETHERTYPE_IP);
  frame[14] = 0x45;
  put16(frame + 16, (unsigned)length - 14);
  put16(frame + 18, number & 0xffff);
  frame[22] = 64;
  frame[23] = PROTOCOL_TCP;
  memcpy(frame + 26, tcp->source.bytes, 4);
  memcpy(frame + 30, tcp->destination.bytes, 4);
  put_checksum(frame + 14);
  put16(frame + 34, tcp->source_port);
  put16(frame + 36, tcp->destination_port);
  put16(frame + 38, number >> 16);
  put16(frame + 40, number & 0xffff);
  frame[46] = 0x50;
  frame[47] = tcp->flags;
}

static void send_one(const struct wire *wire, uint8_t sender, const struct tcp *tcp, const struct mac *to) {
  uint8_t frame[60];
  make_frame(to != NULL ? to : &wire->gateway, sender, tcp, (uint32_t)random(), sizeof frame, frame);
  if (send(wire->socket, frame, sizeof frame, 0) < 0)
    bench_fail("cannot send: %s", strerror(errno));
}

/* ---- alerts ---- */

struct alerts {
  const char *path;
  _Atomic int64_t sent_at[ALERTS]; /* by port; 0: not sent */
  double took[ALERTS];             /* microseconds */
  unsigned count;
  atomic_bool stop;
};

static int number_after(const char *line, const char *key) {
  const char *at = strstr(line, key);
  return at != NULL ? atoi(at + strlen(key)) : -1;
}

static void note_alert(struct alerts *alerts, const char *line, int64_t now) {
  int port = number_after(line, "\"dport\":") - FIRST_PORT;
  if (port < 0 || port >= ALERTS || strstr(line, "\"bypass\"") == NULL)
    return;
  int64_t sent_at = atomic_exchange(&alerts->sent_at[port], 0);
  if (sent_at != 0)
    alerts->took[alerts->count++] = (double)(now - sent_at) / 1000;
}

static void read_alerts(struct alerts *alerts, FILE *stream) {
  char line[8192];
  clearerr(stream);
  while (fgets(line, sizeof line, stream) != NULL)
    note_alert(alerts, line, clock_of(CLOCK_MONOTONIC));
}

static void *listen_to_alerts(void *context) {
  struct alerts *alerts = context;
  FILE *stream = fopen(alerts->path, "r");
  int notify = inotify_init1(IN_CLOEXEC);
  if (stream == NULL || notify < 0 || inotify_add_watch(notify, alerts->path, IN_MODIFY) < 0)
    bench_fail("%s: %s", alerts->path, strerror(errno));
  fseek(stream, 0, SEEK_END);
  char events[4096];
  while (!alerts->stop && read(notify, events, sizeof events) > 0)
    read_alerts(alerts, stream);
  fclose(stream);
  close(notify);
  return NULL;
}

static int compare(const void *left, const void *right) {
  const double *a = left, *b = right;
  return (*a > *b) - (*a < *b);
}

static void print_alerts(struct alerts *alerts) {
  qsort(alerts->took, alerts->count, sizeof alerts->took[0], compare);
  for (unsigned i = 0; i < alerts->count; i++)
    printf("%s%.0f", i > 0 ? ", " : "", alerts->took[i]);
}

/* ---- sending ---- */

struct sending {
  struct wire in, out;
  struct tcp bulk;
  uint64_t rate, sent;
  int64_t start, end;
  struct address strangers[STRANGE_MOST];
  unsigned stranger_count, strange_sent;
  struct alerts alerts;
};

static void open_connection(const struct sending *sending) {
  struct tcp syn = sending->bulk, answer = syn;
  syn.flags = TCP_SYN;
  answer.source = syn.destination;
  answer.destination = syn.source;
  answer.source_port = syn.destination_port;
  answer.destination_port = syn.source_port;
  answer.flags = TCP_SYN | TCP_ACK;
  send_one(&sending->in, 1, &syn, NULL);
  rest_until(clock_of(CLOCK_MONOTONIC) + 20000000);
  send_one(&sending->out, 2, &answer, NULL);
  rest_until(clock_of(CLOCK_MONOTONIC) + 20000000);
}

static void send_stranger(struct sending *sending) {
  unsigned number = sending->strange_sent++;
  struct tcp tcp = {.source = sending->strangers[number % sending->stranger_count],
                    .destination = sending->bulk.destination,
                    .source_port = 40000,
                    .destination_port = (uint16_t)(FIRST_PORT + number),
                    .flags = TCP_SYN};
  sending->alerts.sent_at[number] = clock_of(CLOCK_MONOTONIC);
  send_one(&sending->out, 3, &tcp, &STRANGE);
}

static void send_batch(struct sending *sending, unsigned count) {
  static uint8_t frames[BATCH][FRAME];
  struct iovec parts[BATCH];
  struct mmsghdr messages[BATCH];
  memset(messages, 0, sizeof messages);
  for (unsigned i = 0; i < count; i++) {
    make_frame(&sending->in.gateway, 1, &sending->bulk, (uint32_t)sending->sent + i, FRAME, frames[i]);
    parts[i] = (struct iovec){frames[i], FRAME};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  int sent = sendmmsg(sending->in.socket, messages, count, 0);
  sending->sent += sent > 0 ? (uint64_t)sent : 0;
}

/* How many frames are due, at most BATCH; rests when none is. */
static unsigned due(const struct sending *sending, int64_t now) {
  if (sending->rate == 0)
    return BATCH;
  uint64_t wanted = (uint64_t)(now - sending->start) * sending->rate / 1000000000;
  if (wanted > sending->sent)
    return wanted - sending->sent < BATCH ? (unsigned)(wanted - sending->sent) : BATCH;
  rest_until(now + 200000);
  return 0;
}

static void send_all(struct sending *sending) {
  unsigned strangers = sending->stranger_count * PORTS_OF_STRANGER;
  int64_t length = sending->end - sending->start;
  for (int64_t now = clock_of(CLOCK_MONOTONIC); now < sending->end; now = clock_of(CLOCK_MONOTONIC)) {
    if (sending->strange_sent < strangers &&
        now - sending->start >= length * (int64_t)(sending->strange_sent + 1) / (strangers + 2))
      send_stranger(sending);
    unsigned count = due(sending, now);
    if (count > 0)
      send_batch(sending, count);
  }
}

static void send_traffic(int count, char **arguments) {
  struct sending sending = {.in = open_wire(arguments[0], arguments[2]),
                            .out = open_wire(arguments[1], arguments[3]),
                            .bulk = {.source = read_address(arguments[4]),
                                     .source_port = (uint16_t)atoi(arguments[5]),
                                     .destination = read_address(arguments[6]),
                                     .destination_port = (uint16_t)atoi(arguments[7]),
                                     .flags = TCP_ACK},
                            .rate = strtoull(arguments[8], NULL, 10)};
  pthread_t listener;
  bool listens = count > 10;
  for (int i = 11; i < count && sending.stranger_count < STRANGE_MOST; i++)
    sending.strangers[sending.stranger_count++] = read_address(arguments[i]);
  sending.alerts.path = listens ? arguments[10] : NULL;
  if (listens && pthread_create(&listener, NULL, listen_to_alerts, &sending.alerts) != 0)
    bench_fail("no thread");
  open_connection(&sending);
  sending.start = clock_of(CLOCK_MONOTONIC);
  sending.end = sending.start + (int64_t)(atof(arguments[9]) * 1e9);
  send_all(&sending);
  double seconds = (double)(clock_of(CLOCK_MONOTONIC) - sending.start) / 1e9;
  if (listens)
    rest_until(clock_of(CLOCK_MONOTONIC) + 500000000);
  printf("{\"sent\": %llu, \"seconds\": %.3f, \"strange\": %u, \"microseconds\": [", (unsigned long long)sending.sent,
         seconds, sending.strange_sent);
  print_alerts(&sending.alerts);
  printf("]}\n");
  fflush(stdout);
  _exit(0); /* the listener waits for what does not come */
}

int main(int count, char **arguments) {
  if (count == 3 && strcmp(arguments[1], "describe") == 0)
    describe(arguments[2]);
  else if ((count == 4 || count == 5) && strcmp(arguments[1], "loop") == 0)
    run_loop(arguments[2], atoi(arguments[3]), arguments[4]);
  else if (count >= 12 && strcmp(arguments[1], "send") == 0)
    send_traffic(count - 2, arguments + 2);
  else
    bench_fail(
        "usage: describe POLICY | loop INTERFACE MEGABYTES [EVENTS] | send IN OUT MAC_IN MAC_OUT SOURCE SOURCE_PORT "
        "DESTINATION PORT RATE SECONDS [EVENTS SOURCE ...]");
  return 0;
}
