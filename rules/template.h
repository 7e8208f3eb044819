/* SPDX-License-Identifier: Apache-2.0 */
/* template.h - ${namespace} and its like in a backend */
#ifndef RULES_TEMPLATE_H
#define RULES_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/ip.h"

struct container;
struct match;

/* what a template uses; bits */
enum template_use {
	TEMPLATE_NAMESPACE = 1, /* ${namespace} */
	TEMPLATE_INTERFACE = 2, /* ${interface} */
	TEMPLATE_ADDRESS = 4, /* ${address} */
	TEMPLATE_PORT = 8, /* ${port} */
	TEMPLATE_CONTAINER = 16, /* ${container} */
	TEMPLATE_POD_NAMESPACE = 32, /* ${pod_namespace} */
	TEMPLATE_LABEL = 64, /* ${label.KEY} */
	TEMPLATE_NAMESPACE_GROUP = 128, /* ${namespace.NAME} */
	TEMPLATE_CONTAINER_GROUP = 256, /* ${container.NAME} */
	TEMPLATE_RULE = 512, /* ${rule}; only in headers, as those below */
	TEMPLATE_CLIENT = 1024, /* ${client} */
	TEMPLATE_CLIENT_PORT = 2048, /* ${client_port} */
	TEMPLATE_LOCAL = 4096, /* ${local} */
};

/* those that only the relay knows, for each client */
#define TEMPLATE_OF_CLIENT \
	(TEMPLATE_CLIENT | TEMPLATE_CLIENT_PORT | TEMPLATE_LOCAL)

/* those that can differ between the listeners of one rule in one namespace */
#define TEMPLATE_OF_LISTENER \
	(TEMPLATE_INTERFACE | TEMPLATE_ADDRESS | TEMPLATE_PORT)

/* those that only a rule with conditions on containers knows */
#define TEMPLATE_OF_CONTAINER                                           \
	(TEMPLATE_CONTAINER | TEMPLATE_POD_NAMESPACE | TEMPLATE_LABEL | \
	 TEMPLATE_CONTAINER_GROUP)

#define TEMPLATE_PROBLEM_MAX 320
#define TEMPLATE_KEY_MAX 320 /* of a label: as Kubernetes allows, and NUL */

/** struct template_ref - one ${name} or ${name.key}; @key is "" without one */
struct template_ref {
	enum template_use use;
	char key[TEMPLATE_KEY_MAX];
};

/**
 * struct template_values - what stands for the names
 * @namespace, @ifname: as the kernel and the container have them: not trusted
 * @port:	host byte order
 * @container:	the one that made the rule match, not trusted either; or NULL
 * @match:	of the rule, whose expressions have the groups; NULL: a harmless
 *		value stands for each group, and for all that is of a container
 * @rule:	name of the rule, for a header
 * @plain:	the text is no backend: a name may be any text, also an empty
 *		one, and an IPv6 address has no brackets
 * @header:	with @plain: the text is the value of a header, and the result
 *		one of the consumer protocol, see service_http.h
 */
struct template_values {
	const char *namespace;
	const char *ifname;
	struct ip_addr addr;
	uint16_t port;
	const struct container *container;
	const struct match *match;
	const char *rule;
	bool plain;
	bool header;
};

/**
 * template_check() - are all the names known?
 * @problem:	of TEMPLATE_PROBLEM_MAX, gets what is wrong on -EINVAL
 *
 * Return: bits of enum template_use, 0 for plain text, or -EINVAL.
 */
int template_check(const char *text, char *problem);

/** template_check_header() - the same for the value of a header, where there
 * are more names */
int template_check_header(const char *text, char *problem);

/**
 * template_next() - the next reference in a text
 * @text:	one that template_check() took, or its rest
 *
 * Return: the rest behind it; NULL: there is none.
 */
const char *template_next(const char *text, struct template_ref *ret_ref);

/**
 * template_expand() - writes @text with the values in place of the names
 * @text:	one that template_check() took
 * @size:	of @buffer
 *
 * Where an address and a port stand, an IPv6 address gets its brackets.
 * Return: 0; -EPERM when a name holds '/' or "..", or is empty or "." (not with
 * values->plain); -ENOKEY when the container has no such label, or no pod
 * namespace; -ENODATA when a group matched nothing; -E2BIG when the result does
 * not fit; -ENOMEM (with values->header).
 */
int template_expand(const char *text, const struct template_values *values,
		    char *buffer, size_t size);

#endif
