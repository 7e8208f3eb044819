// SPDX-License-Identifier: Apache-2.0
/* host.c - which names requests may call this server by */
#include "web/host.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

/* Of a name in the DNS, and of an address with its scope. */
#define NAME_MAX_BYTES 253

#define DIGITS "0123456789"
#define NAME_CHARS                             \
	DIGITS "abcdefghijklmnopqrstuvwxyz-_." \
	       "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* Is it nothing, or a colon and digits? */
static bool port_valid(const char *text)
{
	return *text == '\0' ||
	       (*text == ':' && text[1 + strspn(text + 1, DIGITS)] == '\0');
}

static bool ipv6_allowed(const char *host)
{
	char address[INET6_ADDRSTRLEN];
	struct in6_addr ipv6;
	size_t len = strcspn(host + 1, "]");

	if (len >= sizeof(address) || host[1 + len] != ']' ||
	    !port_valid(host + len + 2))
		return false;
	memcpy(address, host + 1, len);
	address[len] = '\0';
	return inet_pton(AF_INET6, address, &ipv6) == 1;
}

static bool name_listed(const char *name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcasecmp(name, names[i]) == 0)
			return true;
	}
	return strcasecmp(name, "localhost") == 0;
}

bool host_allowed(const char *host, const char *const *names, size_t n_names)
{
	char name[NAME_MAX_BYTES + 1];
	struct in_addr ipv4;
	size_t len;

	if (!host)
		return false;
	if (*host == '[')
		return ipv6_allowed(host);
	len = strcspn(host, ":");
	if (len == 0 || len > NAME_MAX_BYTES || !port_valid(host + len))
		return false;
	memcpy(name, host, len);
	name[len] = '\0';
	if (len > 1 && name[len - 1] == '.')
		name[len - 1] = '\0';
	return inet_pton(AF_INET, name, &ipv4) == 1 ||
	       name_listed(name, names, n_names);
}

bool host_name_valid(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= NAME_MAX_BYTES && name[len - 1] != '.' &&
	       strspn(name, NAME_CHARS) == len;
}
