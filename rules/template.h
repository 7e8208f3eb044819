/* SPDX-License-Identifier: Apache-2.0 */
/* template.h - ${namespace} and its like in a backend */
#ifndef RULES_TEMPLATE_H
#define RULES_TEMPLATE_H

#include <stddef.h>
#include <stdint.h>

#include "common/ip.h"

/* what a template uses; bits */
enum template_use {
	TEMPLATE_NAMESPACE = 1, /* ${namespace} */
	TEMPLATE_INTERFACE = 2, /* ${interface} */
	TEMPLATE_ADDRESS = 4, /* ${address} */
	TEMPLATE_PORT = 8, /* ${port} */
};

#define TEMPLATE_PROBLEM_MAX 256

/**
 * struct template_values - what stands for the names
 * @namespace, @ifname: as the kernel and the container have them: not trusted
 * @port:	host byte order
 */
struct template_values {
	const char *namespace;
	const char *ifname;
	struct ip_addr addr;
	uint16_t port;
};

/**
 * template_check() - are all the names known?
 * @problem:	of TEMPLATE_PROBLEM_MAX, gets what is wrong on -EINVAL
 *
 * Return: bits of enum template_use, 0 for plain text, or -EINVAL.
 */
int template_check(const char *text, char *problem);

/**
 * template_expand() - writes @text with the values in place of the names
 * @text:	one that template_check() took
 * @size:	of @buffer
 *
 * Where an address and a port stand, an IPv6 address gets its brackets.
 * Return: 0; -EPERM when a name holds '/' or "..", or is empty or "."; -E2BIG
 * when the result does not fit.
 */
int template_expand(const char *text, const struct template_values *values,
		    char *buffer, size_t size);

#endif
