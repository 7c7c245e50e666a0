/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef KIDO_WIRE_CAPTURE_H
#define KIDO_WIRE_CAPTURE_H

#include "base/error.h"
#include "wire/filter.h"
#include "wire/frame.h"

/* Frames from an interface or a file, one at a time, without copying. */
struct capture;

enum {
  CAPTURE_SNAP_LENGTH = 384,     /* headers, options and what an ICMP error quotes; never a payload */
  CAPTURE_BUFFER_MEGABYTES = 16, /* 32,768 frames of that length */
};

enum capture_step {
  CAPTURE_FRAME,
  CAPTURE_NOTHING, /* no frame now */
  CAPTURE_END,     /* the file is over */
  CAPTURE_FAILED,  /* *error says why; the capture is of no further use */
};

/* pcap or pcapng; "-": standard input. 0 or a negative errno with *error. */
int capture_open_file(const char *path, struct capture **ret_capture, struct error *error);

/*
 * A live capture on one interface, promiscuous, never blocking; buffer in megabytes. -ENODEV when the interface does
 * not exist.
 */
int capture_open_interface(const char *interface, unsigned buffer, struct capture **ret_capture, struct error *error);
struct capture *capture_close(struct capture *capture);

/* The frame stays valid until the next call. */
enum capture_step capture_next(struct capture *capture, struct captured_frame *ret_frame, struct error *error);

/* Becomes readable when there is a frame, or an error. */
int capture_descriptor(const struct capture *capture);

/*
 * Has the kernel withhold those conversations from now on, and no others; without any, every frame is given. No frame
 * is lost in between. How many of them found room in the kernel's memory for options (net.core.optmem_max). A negative
 * errno with *error when the kernel took no filter at all: the one before stays in force, so close the capture.
 */
int capture_withhold(struct capture *capture, const struct filter_tuple *tuples, size_t count, struct error *error);
size_t capture_withheld(const struct capture *capture);

/* Reads the filter back. 0, or -ESTALE with *error when the kernel runs another one or none. */
int capture_check_filter(const struct capture *capture, struct error *error);

/* Frames that the kernel dropped since the last call of this function. */
uint64_t capture_new_drops(struct capture *capture);

/* ---- what a file says besides its frames ---- */

/* The name of the interface with that number (captured_frame.interface); NULL when the file does not say. */
const char *capture_interface_name(const struct capture *capture, unsigned interface);

/* Frames that the file says were lost on one of its interfaces; false when there is nothing new. */
bool capture_next_loss(struct capture *capture, unsigned *ret_interface, uint64_t *ret_frames);

/* How many bytes of how many were read; of what is no file, 0 of 0. */
void capture_progress(const struct capture *capture, uint64_t *ret_done, uint64_t *ret_size);

#endif
