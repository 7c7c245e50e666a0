/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * A thread sends frames through the laboratory at a steady rate, permitted and forbidden ones in turn, while the
 * scripts of a peer's directory (peers.py) load its policy again and again. The laboratory handles each frame before
 * its write returns, so every single one is accounted for: lost when it was permitted, leaked when it was not.
 *
 * At the end the flow of the live connections is taken out of the policy, and they are tried again.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench.h"

enum {
  TURN = 20,
  PORTS = 20000,
  FIRST_PORT = 30000,
  SEQUENCE = 1000,
  ANSWER_SEQUENCE = 9000,
  RELOADING_MAX = 40000 /* ms */
};

enum kind { KIND_ESTABLISHED, KIND_ANSWER, KIND_NEW, KIND_FORBIDDEN_PORT, KIND_FORBIDDEN_REVERSE, KIND_COUNT };

struct exchange {
  struct lab *lab;
  struct packet udp, tcp; /* openers that the policy permits */
  const char *directory;
  long turn_nanoseconds;
  atomic_bool stop;
  uint64_t sent[KIND_COUNT], came[KIND_COUNT];
};

/* ---- packets ---- */

static struct packet answer_to(struct packet packet) {
  struct packet answer = packet;
  answer.source = packet.destination;
  answer.destination = packet.source;
  answer.source_port = packet.destination_port;
  answer.destination_port = packet.source_port;
  return answer;
}

static struct lab_probe probe_of(const struct exchange *exchange, struct packet packet) {
  struct lab_probe probe = {.recipe = {.packet = packet}};
  probe.recipe.source_mac.bytes[0] = 2;
  probe.interface = lab_interface_of(exchange->lab, &packet.source);
  return probe;
}

static struct packet packet_of(const struct exchange *exchange, enum kind kind, uint64_t number) {
  struct packet packet = exchange->udp;
  if (kind == KIND_ESTABLISHED) {
    return packet;
  }
  if (kind == KIND_ANSWER) {
    return answer_to(packet);
  }
  packet.source_port = (uint16_t)(FIRST_PORT - PORTS + number % PORTS);
  if (kind == KIND_FORBIDDEN_PORT) {
    packet.destination_port = 1;
  } else if (kind == KIND_FORBIDDEN_REVERSE) {
    struct address source = packet.source;
    packet.source = packet.destination;
    packet.destination = source;
  }
  return packet;
}

static bool passes(const struct exchange *exchange, struct lab_probe *probe) {
  if (lab_run(exchange->lab, probe, 1) < 0) {
    bench_fail("a frame cannot be sent");
  }
  return probe->outcome == LAB_FORWARDED;
}

static bool udp_passes(const struct exchange *exchange, struct packet packet) {
  struct lab_probe probe = probe_of(exchange, packet);
  return passes(exchange, &probe);
}

static bool tcp_passes(const struct exchange *exchange, bool forward, uint8_t flags, uint32_t sequence,
                       uint32_t acknowledgement) {
  struct lab_probe probe = probe_of(exchange, forward ? exchange->tcp : answer_to(exchange->tcp));
  probe.recipe.packet.tcp_flags = flags;
  probe.recipe.tcp_sequence = sequence;
  probe.recipe.tcp_acknowledgement = acknowledgement;
  return passes(exchange, &probe);
}

/* Each frame carries the tail of the laboratory, a SYN counts for one more. */
static void open_connections(const struct exchange *exchange) {
  uint32_t next = SEQUENCE + LAB_FRAME_TAIL_SIZE + 1, answered = ANSWER_SEQUENCE + LAB_FRAME_TAIL_SIZE + 1;
  bool open = udp_passes(exchange, exchange->udp) && udp_passes(exchange, answer_to(exchange->udp)) &&
              tcp_passes(exchange, true, TCP_SYN, SEQUENCE, 0) &&
              tcp_passes(exchange, false, TCP_SYN | TCP_ACK, ANSWER_SEQUENCE, next) &&
              tcp_passes(exchange, true, TCP_ACK, next, answered);
  if (!open) {
    bench_fail("%s does not let the permitted connections through", exchange->directory);
  }
}

/* ---- traffic ---- */

static void wait_for(struct timespec *next, long nanoseconds) {
  next->tv_nsec += nanoseconds;
  next->tv_sec += next->tv_nsec / 1000000000;
  next->tv_nsec %= 1000000000;
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, next, NULL);
}

static void *run_traffic(void *context) {
  struct exchange *exchange = context;
  struct lab_probe probes[TURN];
  struct timespec next;
  uint64_t number = 0;
  clock_gettime(CLOCK_MONOTONIC, &next);
  while (!atomic_load(&exchange->stop)) {
    for (size_t i = 0; i < TURN; i++) {
      probes[i] = probe_of(exchange, packet_of(exchange, (enum kind)(i % KIND_COUNT), number++));
    }
    if (lab_run(exchange->lab, probes, TURN) < 0) {
      bench_fail("frames cannot be sent");
    }
    for (size_t i = 0; i < TURN; i++) {
      exchange->sent[i % KIND_COUNT]++;
      exchange->came[i % KIND_COUNT] += probes[i].outcome == LAB_FORWARDED;
    }
    wait_for(&next, exchange->turn_nanoseconds);
  }
  return NULL;
}

/* ---- scripts ---- */

static double run_script(const struct exchange *exchange, const char *name) {
  double start = bench_milliseconds();
  if (lab_command("sh '%s/%s.sh' >&2", exchange->directory, name) != 0) {
    bench_fail("%s/%s.sh failed", exchange->directory, name);
  }
  return bench_milliseconds() - start;
}

static void reload(struct exchange *exchange, long reloads) {
  pthread_t thread;
  struct timespec pause = {.tv_nsec = 20000000};
  if (pthread_create(&thread, NULL, run_traffic, exchange) != 0) {
    bench_fail("no thread");
  }
  printf("{\"reloads\": [");
  double end = bench_milliseconds() + RELOADING_MAX;
  for (long i = 0; i < reloads && bench_milliseconds() < end; i++) {
    printf("%s%.1f", i == 0 ? "" : ", ", run_script(exchange, i % 2 == 0 ? "a" : "b"));
    nanosleep(&pause, NULL);
  }
  atomic_store(&exchange->stop, true);
  pthread_join(thread, NULL);
}

static void print_counts(const struct exchange *exchange) {
  static const char *const names[KIND_COUNT] = {"established", "answer", "new", "forbidden_port", "forbidden_reverse"};
  printf("], ");
  for (size_t i = 0; i < KIND_COUNT; i++) {
    printf("\"%s\": {\"sent\": %llu, \"came\": %llu}, ", names[i], (unsigned long long)exchange->sent[i],
           (unsigned long long)exchange->came[i]);
  }
}

/* What still passes when no flow covers it any more. */
static void revoke(const struct exchange *exchange) {
  uint32_t next = SEQUENCE + LAB_FRAME_TAIL_SIZE + 1, answered = ANSWER_SEQUENCE + LAB_FRAME_TAIL_SIZE + 1;
  struct packet fresh = exchange->udp;
  fresh.source_port = FIRST_PORT + 1;
  double time = run_script(exchange, "revoke");
  bool udp = udp_passes(exchange, exchange->udp), udp_answer = udp_passes(exchange, answer_to(exchange->udp));
  bool tcp = tcp_passes(exchange, true, TCP_ACK, next, answered);
  bool tcp_answer = tcp_passes(exchange, false, TCP_ACK, answered, next);
  printf("\"revoke\": %.1f, \"revoked_udp\": %s, \"revoked_tcp\": %s, \"revoked_new\": %s}\n", time,
         udp || udp_answer ? "true" : "false", tcp || tcp_answer ? "true" : "false",
         udp_passes(exchange, fresh) ? "true" : "false");
}

int bench_exchange(int count, char **arguments) {
  if (count != 4) {
    bench_fail("exchange needs POLICY DIRECTORY RELOADS RATE");
  }
  struct arena *arena = arena_new(0);
  struct error error = {0};
  struct lab_options options = {.no_capture = true};
  const struct policy *policy = bench_policy(arguments[0], arena);
  struct exchange exchange = {.directory = arguments[1],
                              .turn_nanoseconds = 1000000000L / strtol(arguments[3], NULL, 10) * TURN};
  long reloads = strtol(arguments[2], NULL, 10);
  lab_require();
  if (lab_new(policy, &options, &exchange.lab, &error) < 0) {
    bench_fail("%s", error.message);
  }
  bench_choose_packet(policy, exchange.lab, PROTOCOL_UDP, &exchange.udp);
  bench_choose_packet(policy, exchange.lab, PROTOCOL_TCP, &exchange.tcp);
  (void)lab_set("net/netfilter/nf_conntrack_udp_timeout", "5"); /* or the table fills with what is "new" */
  run_script(&exchange, "start");
  open_connections(&exchange);
  reload(&exchange, reloads);
  print_counts(&exchange);
  revoke(&exchange);
  lab_free(exchange.lab);
  arena_free(arena);
  return EXIT_SUCCESS;
}
