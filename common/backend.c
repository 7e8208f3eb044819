// SPDX-License-Identifier: Apache-2.0
/* backend.c - where a rule forwards to, as text and as addresses */
#include "common/backend.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "common/ip.h"
#include "common/util.h"

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
	if (ip_port_parse(close + 2, &addrs.port) < 0) {
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

	if (ip_addr_port_parse(text, &addrs.addrs[0], &addrs.port, problem) < 0)
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
