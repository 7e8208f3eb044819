// SPDX-License-Identifier: Apache-2.0
/* backend.c - where a rule forwards to, and from where, as text and as
 * addresses */
#include "common/backend.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "common/ip.h"
#include "common/util.h"

#define ADDRESS_PORT "ADDRESS:PORT or [IPV6]:PORT"

/* Reads a port, 1 to 65535: digits only, at most five of them. */
static int backend_port_parse(const char *text, uint16_t *ret_port)
{
	unsigned int port = 0;

	if (!*text || strlen(text) > 5)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		port = port * 10 + (unsigned int)(*text - '0');
	}
	if (port < 1 || port > UINT16_MAX)
		return -EINVAL;
	*ret_port = (uint16_t)port;
	return 0;
}

static int backend_unix_parse(const char *path, struct backend *backend,
			      const char **problem)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&backend->address;
	size_t len = strlen(path);

	if (path[0] != '/') {
		*problem = "an absolute path after 'unix:'";
		return -EINVAL;
	}
	if (len >= sizeof(un->sun_path)) {
		*problem = "a socket path of at most 107 bytes";
		return -EINVAL;
	}
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, len + 1);
	backend->address_len = sizeof(*un);
	return 0;
}

/* Splits "a:p" and "[a]:p"; @host has room for INET6_ADDRSTRLEN. */
static const char *backend_split(const char *text, char *host, size_t size)
{
	const char *end, *port;
	size_t len;

	if (text[0] == '[') {
		text++;
		end = strchr(text, ']');
		if (!end || end[1] != ':')
			return NULL;
		port = end + 2;
	} else {
		end = strchr(text, ':');
		/* A second colon means IPv6 without brackets: nobody can tell
		 * where the port begins. */
		if (!end || strchr(end + 1, ':'))
			return NULL;
		port = end + 1;
	}
	len = (size_t)(end - text);
	if (len >= size)
		return NULL;
	memcpy(host, text, len);
	host[len] = '\0';
	return port;
}

/* "a:p" and "[a]:p". */
static int address_port_parse(const char *text, struct ip_addr *ret_addr,
			      uint16_t *ret_port, const char **problem)
{
	char host[46];
	const char *port_text = backend_split(text, host, sizeof(host));

	*problem = ADDRESS_PORT;
	if (!port_text)
		return -EINVAL;
	if (ip_addr_parse(host, ret_addr) < 0 ||
	    (ret_addr->family == AF_INET6) != (text[0] == '[')) {
		*problem = "a literal address (names are not resolved), IPv6 "
			   "in brackets";
		return -EINVAL;
	}
	if (backend_port_parse(port_text, ret_port) < 0) {
		*problem = "a port from 1 to 65535";
		return -EINVAL;
	}
	return 0;
}

/* Adds the address whose text stands from @begin to @end. Return: 0 or
 * -EINVAL. */
static int backend_addr_add(struct sctp_addrs *addrs, const char *begin,
			    const char *end)
{
	char host[46];
	size_t len = (size_t)(end - begin);
	struct ip_addr addr;

	if (len >= sizeof(host) || addrs->n == SCTP_ADDRS_MAX)
		return -EINVAL;
	memcpy(host, begin, len);
	host[len] = '\0';
	if (ip_addr_parse(host, &addr) < 0)
		return -EINVAL;
	for (size_t i = 0; i < addrs->n; i++) {
		if (ip_addr_equal(&addrs->addrs[i], &addr))
			return -EINVAL;
	}
	addrs->addrs[addrs->n++] = addr;
	return 0;
}

/* "[A,B]:PORT": one peer that has several addresses. */
static int backend_addrs_parse(const char *text, struct sctp_addrs *ret_addrs,
			       const char **problem)
{
	struct sctp_addrs addrs = { .n = 0 };
	const char *begin = text + 1, *close = strchr(text, ']'), *end;

	*problem = "sctp://[ADDRESS,ADDRESS]:PORT, with 2 to 8 literal "
		   "addresses that differ";
	if (!close || close[1] != ':')
		return -EINVAL;
	for (; begin <= close; begin = end + 1) {
		end = memchr(begin, ',', (size_t)(close - begin));
		if (!end)
			end = close;
		if (backend_addr_add(&addrs, begin, end) < 0)
			return -EINVAL;
	}
	if (backend_port_parse(close + 2, &addrs.port) < 0) {
		*problem = "a port from 1 to 65535";
		return -EINVAL;
	}
	*ret_addrs = addrs;
	return 0;
}

static bool has_several(const char *text)
{
	return text[0] == '[' && strchr(text, ',');
}

static void backend_set_addrs(struct backend *backend,
			      const struct sctp_addrs *addrs)
{
	int family = sctp_addrs_family(addrs);
	size_t i = 0;

	while (addrs->addrs[i].family != family)
		i++;
	backend->addrs = *addrs;
	backend->address_len = ip_addr_to_sockaddr(
		&addrs->addrs[i], addrs->port, 0, &backend->address);
}

static int backend_ip_parse(const char *text, struct backend *backend,
			    const char **problem)
{
	struct sctp_addrs addrs = { .n = 1 };

	if (address_port_parse(text, &addrs.addrs[0], &addrs.port, problem) < 0)
		return -EINVAL;
	backend_set_addrs(backend, &addrs);
	return 0;
}

/* Parses the addresses and the port of a backend. Several addresses are
 * accepted only where SCTP is possible: with its scheme, or without one. */
static int backend_peer_parse(const char *text, struct backend *backend,
			      const char **problem)
{
	struct sctp_addrs addrs;
	int r;

	if (!has_several(text))
		return backend_ip_parse(text, backend, problem);
	if (backend->scheme != SCHEME_SCTP) {
		*problem = "sctp:// in front of several addresses";
		return -EINVAL;
	}
	r = backend_addrs_parse(text, &addrs, problem);
	if (r == 0)
		backend_set_addrs(backend, &addrs);
	return r;
}

int backend_parse(const char *text, struct backend *ret,
		  const char **ret_problem)
{
	struct backend backend = { .scheme = scheme_parse(text, &text) };
	const char *problem;
	int r;

	if (backend.scheme == SCHEME_UNIX)
		r = backend_unix_parse(text, &backend, &problem);
	else
		r = backend_peer_parse(text, &backend, &problem);
	if (r < 0) {
		if (ret_problem)
			*ret_problem = problem;
		return r;
	}
	*ret = backend;
	return 0;
}

static bool is_v4_mapped(const struct ip_addr *addr)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	return addr->family == AF_INET6 &&
	       memcmp(addr->bytes, prefix, sizeof(prefix)) == 0;
}

/* Is it the address of a multicast group, or in IPv4 one above those: reserved
 * or broadcast? */
static bool is_multicast(const struct ip_addr *addr)
{
	return addr->bytes[0] >= (addr->family == AF_INET ? 0xe0 : 0xff);
}

static const char *source_problem(const struct ip_addr *addr)
{
	if (ip_addr_is_any(addr))
		return "one address; without \"from\" the kernel chooses it";
	if (is_v4_mapped(addr))
		return "plain IPv4";
	if (is_multicast(addr))
		return "an address that one host has";
	if (ip_addr_is_link_local(addr))
		return "an address that is no link-local one, which says "
		       "nothing without its interface";
	return NULL;
}

int backend_source_parse(const char *text, struct backend_source *ret,
			 const char **ret_problem)
{
	struct backend_source source = { .port = 0 };
	const char *problem;
	int r = ip_addr_parse(text, &source.addr);

	if (r < 0)
		r = address_port_parse(text, &source.addr, &source.port,
				       &problem);
	if (r < 0 && !strchr(text, ':'))
		problem = "a literal address (names are not resolved)";
	else if (r < 0 && strcmp(problem, ADDRESS_PORT) == 0)
		problem = "ADDRESS, or " ADDRESS_PORT;
	if (r == 0) {
		problem = source_problem(&source.addr);
		r = problem ? -EINVAL : 0;
	}
	if (r < 0) {
		if (ret_problem)
			*ret_problem = problem;
		return r;
	}
	*ret = source;
	return 0;
}

const char *backend_source_fmt(const struct backend_source *source,
			       char *buffer)
{
	bool brackets = source->addr.family == AF_INET6;
	char text[IP_TEXT_MAX];

	(void)ip_addr_fmt(&source->addr, text); /* returns the buffer */
	if (source->port == 0)
		(void)snprintf(buffer, BACKEND_SOURCE_TEXT_MAX, "%.45s",
			       text); /* fits */
	else
		(void)snprintf(buffer, BACKEND_SOURCE_TEXT_MAX, "%s%.45s%s:%u",
			       brackets ? "[" : "", text, brackets ? "]" : "",
			       source->port); /* fits */
	return buffer;
}
