/* SPDX-License-Identifier: Apache-2.0 */
/* fd_name.h - what a listener is called in the service manager's store */
#ifndef DAEMON_FD_NAME_H
#define DAEMON_FD_NAME_H

#include <stdbool.h>

#include "binder/adopt.h"

/* The longest name, and its end: far below the 255 that the manager takes. */
#define FD_NAME_MAX 112

/**
 * fd_name_fmt() - "berth1.4b.1a3f2.tcp.47f000001.50": the version of this
 * form; in hexadecimal the namespace, the id, after the protocol the address
 * and the port; a sixth number is the scope of a link-local address
 * @buffer:	of FD_NAME_MAX, returned
 *
 * The address is `any` or `all`, or '4' or '6' with its bytes, which are left
 * out when all are zero. The name is short because the manager gives all names
 * back in one environment variable, which the kernel limits.
 */
const char *fd_name_fmt(const struct adopt_claim *claim, char *buffer);

/**
 * fd_name_parse() - the reverse of fd_name_fmt()
 * @name:	any text
 *
 * Return: 0; -EINVAL: fd_name_fmt() writes no such name; *@ret_claim is
 * untouched then.
 */
int fd_name_parse(const char *name, struct adopt_claim *ret_claim);

/** fd_name_is_valid() - can the service manager have taken this name? Only then
 * can it be told to forget what has it. */
bool fd_name_is_valid(const char *name);

#endif
