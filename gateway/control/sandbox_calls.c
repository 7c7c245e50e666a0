/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The system calls of the process that reads frames, each with its reason. What is not here fails with EPERM: a library
 * that asks for more goes without, and an intruder finds no program to run, no process to trace, no way out by IP.
 */
#include "control/sandbox_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_bonding.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

struct call {
  int number;
  const char *reason;
};

static const struct call calls[] = {
    /* memory */
    {SCMP_SYS(brk), "allocation: policies, the answers of libraries"},
    {SCMP_SYS(munmap), "allocation; the ring of a capture that is closed"},
    {SCMP_SYS(mremap), "allocation of what grows"},
    {SCMP_SYS(madvise), "the allocator gives memory back"},
    /* captures, sockets that exist, the loop */
    {SCMP_SYS(epoll_wait), "the loop"},
    {SCMP_SYS(epoll_pwait), "the loop, as libraries call it"},
    {SCMP_SYS(epoll_ctl), "captures and connections come and go"},
    {SCMP_SYS(poll), "libpcap asks whether a ring has frames"},
    {SCMP_SYS(ppoll), "the same"},
    {SCMP_SYS(eventfd2), "libpcap makes one for each capture"},
    {SCMP_SYS(bind), "a capture to its interface, a netlink socket"},
    {SCMP_SYS(connect), "kidod's publication, the journal, the local syslog"},
    {SCMP_SYS(accept4), "who asks for the status"},
    {SCMP_SYS(setsockopt), "ring, filter, promiscuous mode, time-outs"},
    {SCMP_SYS(getsockopt), "drops of a capture, the filter read back, who asks"},
    {SCMP_SYS(getsockname), "netlink, who asks"},
    {SCMP_SYS(getpeername), "who asks"},
    {SCMP_SYS(sendto), "canaries, questions by netlink, the answer of the status"},
    {SCMP_SYS(sendmsg), "readiness, journal, netlink"},
    {SCMP_SYS(recvfrom), "netlink, the question of the status"},
    {SCMP_SYS(recvmsg), "kidod's publication brings a descriptor, netlink"},
    {SCMP_SYS(shutdown), "connections that end"},
    {SCMP_SYS(timerfd_settime), "the clock of the loop"},
    {SCMP_SYS(read), "signals, timers, files"},
    {SCMP_SYS(readv), "files"},
    {SCMP_SYS(close), "everything that was opened"},
    /* events and evidence */
    {SCMP_SYS(write), "events, messages, evidence"},
    {SCMP_SYS(writev), "the same, from pieces"},
    {SCMP_SYS(pread64), "the store, the end of a log, a policy that was opened before"},
    {SCMP_SYS(pwrite64), "the store"},
    {SCMP_SYS(lseek), "the end of a log"},
    {SCMP_SYS(fsync), "what is written stays"},
    {SCMP_SYS(fdatasync), "the same"},
    {SCMP_SYS(ftruncate), "a half line after a power loss, the store"},
    {SCMP_SYS(fallocate), "room on the disk before it is needed"},
    {SCMP_SYS(fcntl), "locks of the store, flags of descriptors, seals of what kidod sends"},
    {SCMP_SYS(flock), "one writer of a file"},
    {SCMP_SYS(openat), "files: what may be written is limited by user and Landlock"},
    {SCMP_SYS(open), "the same, as older libraries call it"},
    {SCMP_SYS(rename), "a file that is replaced as a whole"},
    {SCMP_SYS(renameat), "the same"},
    {SCMP_SYS(renameat2), "the same"},
    {SCMP_SYS(unlink), "old evidence, old logs, the journal of the store"},
    {SCMP_SYS(unlinkat), "the same"},
    {SCMP_SYS(mkdir), "directories within its own"},
    {SCMP_SYS(mkdirat), "the same"},
    {SCMP_SYS(fchmod), "files of the store get the rights of the first"},
    {SCMP_SYS(umask), "the rights of new files"},
    /* looking */
    {SCMP_SYS(fstat), "sizes of files"},
    {SCMP_SYS(stat), "the same, by name"},
    {SCMP_SYS(lstat), "the same"},
    {SCMP_SYS(newfstatat), "the same"},
    {SCMP_SYS(statx), "the same"},
    {SCMP_SYS(fstatfs), "room on the disk"},
    {SCMP_SYS(statfs), "room on the disk"},
    {SCMP_SYS(access), "libpcap looks into /sys"},
    {SCMP_SYS(faccessat), "the same"},
    {SCMP_SYS(faccessat2), "the same"},
    {SCMP_SYS(readlink), "libpcap looks into /sys, time zones"},
    {SCMP_SYS(readlinkat), "the same"},
    {SCMP_SYS(getdents64), "evidence and logs that are there"},
    {SCMP_SYS(getcwd), "names of files in full"},
    {SCMP_SYS(uname), "libpcap asks for the kernel"},
    {SCMP_SYS(getuid), "the store asks whether it is root"},
    {SCMP_SYS(geteuid), "the same"},
    {SCMP_SYS(getgid), "the same"},
    {SCMP_SYS(getegid), "the same"},
    {SCMP_SYS(getpid), "ids, readiness, the journal"},
    {SCMP_SYS(gettid), "abort()"},
    {SCMP_SYS(getrandom), "seeds of tables, ids"},
    {SCMP_SYS(getrusage), "how much memory it has"},
    {SCMP_SYS(sysinfo), "the allocator, the store"},
    {SCMP_SYS(sched_getaffinity), "libraries count processors"},
    {SCMP_SYS(clock_gettime), "time"},
    {SCMP_SYS(clock_getres), "time"},
    {SCMP_SYS(gettimeofday), "time"},
    {SCMP_SYS(time), "time"},
    {SCMP_SYS(nanosleep), "the store waits for a lock"},
    {SCMP_SYS(clock_nanosleep), "the same"},
    /* the process itself */
    {SCMP_SYS(futex), "locks within libraries"},
    {SCMP_SYS(sched_yield), "the same"},
    {SCMP_SYS(rt_sigprocmask), "signals come by a descriptor"},
    {SCMP_SYS(rt_sigaction), "abort()"},
    {SCMP_SYS(rt_sigreturn), "after a signal"},
    {SCMP_SYS(sigaltstack), "the same"},
    {SCMP_SYS(wait4), "a child of ours that has ended"},
    {SCMP_SYS(restart_syscall), "goes on after SIGSTOP"},
    {SCMP_SYS(exit), "the end"},
    {SCMP_SYS(exit_group), "the end"},
};

/* Questions about an interface and about descriptors; nothing that changes an interface. */
static const struct {
  unsigned long request;
  const char *reason;
} requests[] = {
    {SIOCGIFINDEX, "libpcap: the number of an interface"},
    {SIOCGIFNAME, "its name"},
    {SIOCGIFHWADDR, "its link layer"},
    {SIOCGIFFLAGS, "whether it is up"},
    {SIOCGIFMTU, "libpcap: the size of frames"},
    {SIOCETHTOOL, "libpcap: offloads, time stamps"},
    {SIOCGSTAMPNS_OLD, "time stamps"},
    {SIOCBONDINFOQUERY, "libpcap: whether it is a bond"},
    {FIONREAD, "how much there is to read"},
    {FIONBIO, "a capture that does not wait"},
    {TCGETS, "whether this is a terminal"},
};

static int allow_calls(scmp_filter_ctx filter) {
  int result = 0;
  for (size_t i = 0; i < sizeof calls / sizeof calls[0] && result == 0; i++)
    result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i].number, 0);
  for (size_t i = 0; i < sizeof requests / sizeof requests[0] && result == 0; i++)
    result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, requests[i].request, 0));
  return result;
}

/* Memory is never made executable; limits may be read; signals go to ourselves only, by abort(). */
static int allow_by_argument(scmp_filter_ctx filter) {
  int result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
  if (result == 0)
    result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
  if (result == 0)
    result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A2(SCMP_CMP_EQ, 0, 0));
  if (result == 0)
    result =
        seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
  return result;
}

/* On this machine only: Unix sockets and rtnetlink. Packet sockets are the opener's to make. */
static int allow_sockets(scmp_filter_ctx filter) {
  int result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0));
  if (result == 0)
    result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, SCMP_A0(SCMP_CMP_EQ, AF_NETLINK, 0),
                              SCMP_A2(SCMP_CMP_EQ, NETLINK_ROUTE, 0));
  if (result == 0)
    result = seccomp_rule_add(filter, SCMP_ACT_NOTIFY, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_PACKET, 0));
  return result;
}

int sandbox_calls_limit(int *ret_listener, struct error *error) {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  if (filter == NULL)
    return error_set(error, ENOMEM, "no memory for the system call filter");
  int result = allow_calls(filter);
  if (result == 0)
    result = allow_by_argument(filter);
  if (result == 0)
    result = allow_sockets(filter);
  if (result == 0)
    result = seccomp_load(filter);
  int listener = result == 0 ? seccomp_notify_fd(filter) : -1; /* the library never closes it */
  seccomp_release(filter);
  if (result < 0 || listener < 0)
    return error_set(error, result < 0 ? -result : EINVAL, "the system call filter: %s",
                     strerror(result < 0 ? -result : EINVAL));
  *ret_listener = listener;
  return 0;
}
