// SPDX-License-Identifier: Apache-2.0
/* fd_name.c - what a listener is called in the service manager's store
 *
 * The parser takes what looks like a name, and then asks for the name of what
 * it has understood: only if that is the same text does it fit. So there is one
 * name for each listener, without a rule here for each way to write a number.
 */
#include "daemon/fd_name.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/util.h"

#define PREFIX "berth1"

/* systemd's limit for names in its store. */
#define MANAGER_NAME_MAX 255

enum field {
	FIELD_PREFIX,
	FIELD_NETNS,
	FIELD_ID,
	FIELD_PROTOCOL,
	FIELD_ADDRESS,
	FIELD_PORT,
	FIELD_SCOPE, /* may be missing */
	FIELD_COUNT,
};

static size_t addr_len(uint8_t family)
{
	return family == AF_INET6 ? 16 : 4;
}

/* @buffer: 1 + 2 * 16 characters and the end */
static const char *addr_fmt(const struct endpoint *endpoint, char *buffer)
{
	size_t len = addr_len(endpoint->family);
	char *at = buffer + 1;

	if (endpoint->family == AF_UNSPEC)
		return endpoint->multihomed ? "all" : "any";
	buffer[0] = endpoint->family == AF_INET6 ? '6' : '4';
	buffer[1] = '\0';
	if (endpoint_is_wildcard(endpoint))
		return buffer;
	for (size_t i = 0; i < len; i++)
		at += snprintf(at, 3, "%02x", endpoint->addr[i]);
	return buffer;
}

const char *fd_name_fmt(const struct adopt_claim *claim, char *buffer)
{
	const struct endpoint *endpoint = &claim->endpoint;
	char addr[2 + 2 * sizeof(endpoint->addr)], scope[10] = "";

	if (endpoint->scope_id != 0)
		(void)snprintf(scope, sizeof(scope), ".%" PRIx32,
			       endpoint->scope_id); /* fits: 9 */
	(void)snprintf(buffer, FD_NAME_MAX,
		       PREFIX ".%" PRIx64 ".%" PRIx64 ".%s.%s.%x%s",
		       claim->netns_id, claim->id,
		       protocol_name(endpoint->protocol),
		       addr_fmt(endpoint, addr), endpoint->port,
		       scope); /* fits: at most 104 */
	return buffer;
}

/* What is no number is 0, or some number with another name. */
static uint64_t number(const char *text)
{
	return text ? strtoull(text, NULL, 16) : 0;
}

static void addr_parse(const char *text, struct endpoint *endpoint)
{
	char byte[3] = "";

	endpoint->multihomed = strcmp(text, "all") == 0;
	if (text[0] != '4' && text[0] != '6')
		return;
	endpoint->family = text[0] == '6' ? AF_INET6 : AF_INET;
	text++;
	if (strlen(text) != 2 * addr_len(endpoint->family))
		return;
	for (size_t i = 0; i < addr_len(endpoint->family); i++) {
		memcpy(byte, text + 2 * i, 2);
		endpoint->addr[i] = (uint8_t)number(byte);
	}
}

/* Cuts @text at its dots. Return: how many fields it has; 0: too many. */
static size_t split(char *text, char **fields)
{
	size_t n = 0;
	char *field;

	while ((field = strsep(&text, "."))) {
		if (n == FIELD_COUNT)
			return 0;
		fields[n++] = field;
	}
	return n;
}

int fd_name_parse(const char *name, struct adopt_claim *ret_claim)
{
	struct adopt_claim claim = { 0 };
	char *fields[FIELD_COUNT] = { 0 };
	char text[FD_NAME_MAX], again[FD_NAME_MAX];
	size_t len = strlen(name);
	enum protocol protocol;

	if (len >= sizeof(text))
		return -EINVAL;
	memcpy(text, name, len + 1);
	if (split(text, fields) <= FIELD_PORT ||
	    protocol_parse(fields[FIELD_PROTOCOL], &protocol) < 0)
		return -EINVAL;
	claim.netns_id = number(fields[FIELD_NETNS]);
	claim.id = number(fields[FIELD_ID]);
	claim.endpoint.protocol = (uint8_t)protocol;
	claim.endpoint.port = (uint16_t)number(fields[FIELD_PORT]);
	claim.endpoint.scope_id = (uint32_t)number(fields[FIELD_SCOPE]);
	addr_parse(fields[FIELD_ADDRESS], &claim.endpoint);
	if (strcmp(fd_name_fmt(&claim, again), name) != 0)
		return -EINVAL;
	*ret_claim = claim;
	return 0;
}

bool fd_name_is_valid(const char *name)
{
	const char *at;

	for (at = name; *at; at++) {
		if (*at < ' ' || *at > '~' || *at == ':')
			return false;
	}
	return at > name && at - name <= MANAGER_NAME_MAX;
}
