/* SPDX-License-Identifier: Apache-2.0 */
/* bench.h - what the benchmark's programs share
 *
 * These programs are small on purpose: berth is compared with the floor
 * programs, and they make only the system calls that the work itself needs.
 * Each of them ends with a message on the first error; none outlives the
 * driver.
 */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BENCH_NAME_MAX 64 /* of a namespace */
#define BENCH_PATH_MAX 512

/** bench_init() - dies with its parent; remembers the own namespace */
void bench_init(void);

/** bench_die() - prints the text and strerror(errno), exits with 1 */
void bench_die(const char *fmt, ...)
	__attribute__((format(printf, 1, 2), noreturn));

/** bench_now_ns() - the monotonic clock */
uint64_t bench_now_ns(void);

/** bench_number() - a command line argument, or death */
unsigned int bench_number(const char *text);

/** bench_notify() - sd_notify(3)'s READY=1, if somebody wants to know */
void bench_notify(void);

/** bench_raise_files() - as many descriptors as the hard limit allows */
void bench_raise_files(void);

/* netns */

/** bench_netns_new() - moves into a new namespace, with its loopback
 * interface up */
void bench_netns_new(void);

/**
 * bench_netns_make() - moves into a new namespace and gives it a name
 * Its loopback interface is up when the name appears.
 * Return: when mount(2) returned.
 */
uint64_t bench_netns_make(const char *dir, const char *name);

/** bench_netns_make_bare() - the same, with loopback down */
uint64_t bench_netns_make_bare(const char *dir, const char *name);
void bench_netns_remove(const char *dir, const char *name);

/** bench_netns_open() - Return: a descriptor, -1 unless it is a namespace */
int bench_netns_open(const char *dir, const char *name);
void bench_netns_enter(int netns_fd);
void bench_netns_home(void);

/** bench_listen_in() - enters, makes a TCP socket, steps back, listens
 * @addr4:	in network byte order; 0: all addresses of both families */
int bench_listen_in(int netns_fd, uint32_t addr4, uint16_t port);

/** bench_connect_spin() - tries without a pause until it works
 * Return: when it did; dies after ten seconds. The connection is the caller's.
 */
uint64_t bench_connect_spin(uint32_t addr4, uint16_t port, int *ret_fd);

/* rtnetlink */

/** bench_netlink_open() - bound; joined to @group unless that is 0 */
int bench_netlink_open(int group);

/** bench_nsid() - assigns one if there is none */
int bench_nsid(int netlink_fd, int netns_fd);

/** bench_address() - adds to or deletes from an interface of the namespace
 * that @netlink_fd was made in */
void bench_address(int netlink_fd, bool add, unsigned int ifindex,
		   uint32_t addr4);

/** bench_wait_freed() - waits for RTM_DELNSID; Return: when it came */
uint64_t bench_wait_freed(int netlink_fd, int nsid);

#endif
