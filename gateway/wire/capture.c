/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libpcap, and what must be known about it on Linux:
 *
 * Immediate mode takes a ring of slots of equal size (TPACKET_V2), so the snap length decides how many frames the ring
 * holds. Filters are set on the bare socket: pcap_setfilter() on a live handle loses frames uncounted, while the kernel
 * exchanges the filter of a socket without losing any. There always is one, so that the kernel cuts frames to the snap
 * length itself; what it withholds is decided by whoever reads the capture (filter.c says how it is written).
 * pcap_setdirection() filters behind the ring and is not used; nor is the interface "any", which hides the link layer.
 * A tag that the network card took off is put back by libpcap.
 *
 * An interface that goes down makes the descriptor report an error and gives no frames; one that is deleted or renamed
 * fails for ever. Both are seen here or by whoever watches the interface, and answered by opening again.
 */
#include "wire/capture.h"

#include <errno.h>
#include <linux/filter.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "wire/pcapng.h"

enum { STREAM_ROOM = 256 * 1024 };

struct capture {
  pcap_t *pcap;
  struct pcapng *pcapng; /* instead, for files of that format */
  FILE *stream;          /* of either, for the place in the file */
  char *stream_room;     /* that it is read into */
  int link_type;
  bool live;
  char *path;           /* of a file */
  uint32_t drops;       /* as last read; a counter of 32 bits */
  struct filter filter; /* what the kernel runs */
  size_t filter_room;   /* instructions that it was seen to have memory for */
};

static int failed(struct capture *capture, struct error *error, int code, const char *name) {
  const char *why = capture->pcap != NULL ? pcap_geterr(capture->pcap) : strerror(code);
  int result = error_set(error, code, "%s: %s", name, why);
  capture_close(capture);
  return result;
}

/* ---- files ---- */

/* The first bytes tell the format; they are put back. */
static bool is_pcapng(FILE *stream) {
  uint8_t magic[4];
  size_t got = fread(magic, 1, sizeof magic, stream);
  for (size_t i = got; i > 0; i--)
    ungetc(magic[i - 1], stream);
  return got == sizeof magic && pcapng_begins_with(magic);
}

static int open_pcap(struct capture *capture, const char *path, struct error *error) {
  char why[PCAP_ERRBUF_SIZE] = "";
  capture->pcap = pcap_fopen_offline_with_tstamp_precision(capture->stream, PCAP_TSTAMP_PRECISION_NANO, why);
  if (capture->pcap == NULL) {
    fclose(capture->stream);
    return error_set(error, EIO, "%s: %s", path, why);
  }
  capture->link_type = pcap_datalink(capture->pcap);
  if (frame_link_type_known(capture->link_type))
    return 0;
  return error_set(error, EPROTONOSUPPORT, "%s: captures of link type %d cannot be read", path, capture->link_type);
}

/* Large pieces: a file is read as fast as its bytes can be copied, not as the kernel can be asked. */
static void widen_stream(struct capture *capture) {
  __fsetlocking(capture->stream, FSETLOCKING_BYCALLER); /* nobody else reads it */
  if (capture->stream == stdin)
    return;
  capture->stream_room = malloc(STREAM_ROOM);
  if (capture->stream_room != NULL)
    setvbuf(capture->stream, capture->stream_room, _IOFBF, STREAM_ROOM);
}

static int open_stream(struct capture *capture, const char *path, struct error *error) {
  widen_stream(capture);
  if (!is_pcapng(capture->stream))
    return open_pcap(capture, path, error);
  capture->pcapng = pcapng_new(capture->stream, path);
  return capture->pcapng != NULL ? 0 : error_set(error, ENOMEM, "%s: no memory", path);
}

int capture_open_file(const char *path, struct capture **ret_capture, struct error *error) {
  struct capture *capture = calloc(1, sizeof *capture);
  if (capture == NULL)
    return error_set(error, ENOMEM, "%s: no memory", path);
  capture->path = strdup(path);
  capture->stream = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
  int result = capture->stream != NULL ? open_stream(capture, path, error)
                                       : error_set(error, errno, "%s: %s", path, strerror(errno));
  if (result < 0) {
    capture_close(capture);
    return result;
  }
  *ret_capture = capture;
  return 0;
}

/* ---- the filter ---- */

static int attach(const struct capture *capture, struct filter *filter) {
  struct sock_fprog program = {.len = filter->count, .filter = filter->instructions};
  int socket = pcap_fileno(capture->pcap);
  return setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0 ? -errno : 0;
}

int capture_withhold(struct capture *capture, const struct filter_tuple *tuples, size_t count, struct error *error) {
  if (!capture->live)
    return 0;
  struct filter filter;
  for (;; capture->filter_room = filter.count / 2) {
    filter_build(tuples, count, CAPTURE_SNAP_LENGTH, capture->filter_room, &filter);
    int result = attach(capture, &filter);
    if (result == 0)
      break;
    if (result != -ENOMEM || filter.tuples == 0)
      return error_set(error, -result, "the kernel refuses the filter: %s", strerror(-result));
  }
  capture->filter = filter;
  return (int)filter.tuples;
}

size_t capture_withheld(const struct capture *capture) {
  return capture->filter.tuples;
}

int capture_check_filter(const struct capture *capture, struct error *error) {
  struct sock_filter instructions[FILTER_ROOM];
  socklen_t count = FILTER_ROOM; /* for this option, of instructions */
  if (!capture->live)
    return 0;
  if (getsockopt(pcap_fileno(capture->pcap), SOL_SOCKET, SO_GET_FILTER, instructions, &count) < 0)
    return error_set(error, ESTALE, "the filter cannot be read back: %s", strerror(errno));
  if (count != capture->filter.count ||
      memcmp(instructions, capture->filter.instructions, count * sizeof instructions[0]) != 0)
    return error_set(error, ESTALE, "the kernel runs another filter than the watchman's");
  return 0;
}

/* ---- opening ---- */

static int activate(struct capture *capture, unsigned buffer, char *why) {
  pcap_t *pcap = capture->pcap;
  pcap_set_snaplen(pcap, CAPTURE_SNAP_LENGTH);
  pcap_set_promisc(pcap, 1);
  pcap_set_immediate_mode(pcap, 1);
  pcap_set_buffer_size(pcap, (int)(buffer < 1024 ? buffer * 1024 * 1024 : INT32_MAX));
  pcap_set_tstamp_precision(pcap, PCAP_TSTAMP_PRECISION_NANO);
  int result = pcap_activate(pcap);
  if (result < 0)
    return result == PCAP_ERROR_NO_SUCH_DEVICE ? -ENODEV : result == PCAP_ERROR_PERM_DENIED ? -EPERM : -EIO;
  if (pcap_setnonblock(pcap, 1, why) < 0)
    return -EIO;
  capture->filter_room = FILTER_ROOM;
  filter_build(NULL, 0, CAPTURE_SNAP_LENGTH, FILTER_ROOM, &capture->filter);
  return attach(capture, &capture->filter);
}

int capture_open_interface(const char *interface, unsigned buffer, struct capture **ret_capture, struct error *error) {
  if (if_nametoindex(interface) == 0)
    return error_set(error, ENODEV, "%s: no such interface", interface);
  struct capture *capture = calloc(1, sizeof *capture);
  if (capture == NULL)
    return error_set(error, ENOMEM, "%s: no memory", interface);
  char why[PCAP_ERRBUF_SIZE] = "";
  capture->pcap = pcap_create(interface, why);
  int result = capture->pcap != NULL ? activate(capture, buffer, why) : -EIO;
  if (result < 0)
    return failed(capture, error, -result, interface);
  capture->live = true;
  capture->link_type = pcap_datalink(capture->pcap);
  if (!frame_link_type_known(capture->link_type)) {
    capture_close(capture);
    return error_set(error, EPROTONOSUPPORT, "%s: not an Ethernet interface", interface);
  }
  *ret_capture = capture;
  return 0;
}

struct capture *capture_close(struct capture *capture) {
  if (capture != NULL && capture->pcap != NULL)
    pcap_close(capture->pcap);
  if (capture != NULL) {
    pcapng_free(capture->pcapng);
    free(capture->stream_room); /* the stream is closed */
    free(capture->path);
  }
  free(capture);
  return NULL;
}

static enum capture_step next_of_pcapng(struct capture *capture, struct captured_frame *ret_frame,
                                        struct error *error) {
  int result = pcapng_next(capture->pcapng, ret_frame, error);
  return result > 0 ? CAPTURE_FRAME : result == 0 ? CAPTURE_END : CAPTURE_FAILED;
}

enum capture_step capture_next(struct capture *capture, struct captured_frame *ret_frame, struct error *error) {
  if (capture->pcapng != NULL)
    return next_of_pcapng(capture, ret_frame, error);
  struct pcap_pkthdr *header;
  const u_char *data;
  int result = pcap_next_ex(capture->pcap, &header, &data);
  if (result == 1) {
    *ret_frame = (struct captured_frame){.time = (int64_t)header->ts.tv_sec * 1000000000 + header->ts.tv_usec,
                                         .data = data,
                                         .captured = header->caplen,
                                         .length = header->len,
                                         .link_type = capture->link_type};
    return CAPTURE_FRAME;
  }
  if (result == 0)
    return CAPTURE_NOTHING;
  if (result == PCAP_ERROR_BREAK && !capture->live)
    return CAPTURE_END;
  bool named = capture->path != NULL;
  error_set(error, EIO, "%s%s%s", named ? capture->path : "", named ? ": " : "", pcap_geterr(capture->pcap));
  return CAPTURE_FAILED;
}

int capture_descriptor(const struct capture *capture) {
  return pcap_get_selectable_fd(capture->pcap);
}

uint64_t capture_new_drops(struct capture *capture) {
  struct pcap_stat statistics;
  if (!capture->live || pcap_stats(capture->pcap, &statistics) < 0)
    return 0;
  uint32_t since = statistics.ps_drop - capture->drops;
  capture->drops = statistics.ps_drop;
  return since;
}

/* ---- what a file says besides ---- */

const char *capture_interface_name(const struct capture *capture, unsigned interface) {
  return capture->pcapng != NULL ? pcapng_interface_name(capture->pcapng, interface) : NULL;
}

bool capture_next_loss(struct capture *capture, unsigned *ret_interface, uint64_t *ret_frames) {
  struct pcapng_loss loss;
  if (capture->pcapng == NULL || !pcapng_next_loss(capture->pcapng, &loss))
    return false;
  *ret_interface = loss.interface;
  *ret_frames = loss.frames;
  return true;
}

void capture_progress(const struct capture *capture, uint64_t *ret_done, uint64_t *ret_size) {
  struct stat file = {.st_size = 0};
  off_t place = capture->stream != NULL ? ftello(capture->stream) : -1;
  if (place < 0 || fstat(fileno(capture->stream), &file) < 0)
    place = 0;
  *ret_done = (uint64_t)place;
  *ret_size = (uint64_t)file.st_size;
}
