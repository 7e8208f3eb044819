// SPDX-License-Identifier: Apache-2.0
/* backend.c - where a rule forwards to, as text and as a socket address */
#include "common/backend.h"

#include <string.h>
#include <sys/un.h>

#include "common/ip.h"
#include "common/util.h"

/* A port without sign, space or leading zeros' excess: 1 to 65535. */
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
		/* A second colon: IPv6 without brackets, where the port is
		 * anyone's guess. */
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

static int backend_ip_parse(const char *text, struct backend *backend,
			    const char **problem)
{
	char host[46];
	const char *port_text = backend_split(text, host, sizeof(host));
	struct ip_addr addr;
	uint16_t port;

	*problem = "ADDRESS:PORT or [IPV6]:PORT";
	if (!port_text)
		return -EINVAL;
	if (ip_addr_parse(host, &addr) < 0 ||
	    (addr.family == AF_INET6) != (text[0] == '[')) {
		*problem = "a literal address (names are not resolved), IPv6 "
			   "in brackets";
		return -EINVAL;
	}
	if (backend_port_parse(port_text, &port) < 0) {
		*problem = "a port from 1 to 65535";
		return -EINVAL;
	}
	backend->address_len =
		ip_addr_to_sockaddr(&addr, port, 0, &backend->address);
	return 0;
}

int backend_parse(const char *text, struct backend *ret,
		  const char **ret_problem)
{
	static const struct {
		const char *prefix;
		enum backend_scheme scheme;
	} schemes[] = {
		{ "tcp://", BACKEND_TCP },
		{ "udp://", BACKEND_UDP },
		{ "sctp://", BACKEND_SCTP },
		{ "unix:", BACKEND_UNIX },
	};
	struct backend backend = { .scheme = BACKEND_SAME };
	const char *problem;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		size_t len = strlen(schemes[i].prefix);

		if (strncmp(text, schemes[i].prefix, len) == 0) {
			backend.scheme = schemes[i].scheme;
			text += len;
			break;
		}
	}
	if (backend.scheme == BACKEND_UNIX)
		r = backend_unix_parse(text, &backend, &problem);
	else
		r = backend_ip_parse(text, &backend, &problem);
	if (r < 0) {
		if (ret_problem)
			*ret_problem = problem;
		return r;
	}
	*ret = backend;
	return 0;
}
