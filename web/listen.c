// SPDX-License-Identifier: Apache-2.0
/* listen.c - the socket that viewers connect to */
#include "web/listen.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "common/util.h"

#define UNIX_PREFIX "unix:"
#define PORT_MAX 65535
#define LOOPBACK_NET 127u
#define UNIX_MODE 0660

/* Viewers that connect at the same moment. */
#define BACKLOG 128

static int unix_parse(const char *path, struct listen_address *ret_address)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (*path != '/' || strlen(path) >= sizeof(address.sun_path))
		return -EINVAL;
	memcpy(address.sun_path, path, strlen(path) + 1);
	*ret_address = (struct listen_address){ .len = sizeof(address) };
	memcpy(&ret_address->storage, &address, sizeof(address));
	return 0;
}

static int port_parse(const char *text, in_port_t *ret_port)
{
	char *end;
	unsigned long port;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	port = strtoul(text, &end, 10);
	if (*end || port == 0 || port > PORT_MAX)
		return -EINVAL;
	*ret_port = htons((uint16_t)port);
	return 0;
}

static int ipv4_parse(const char *address, const char *port,
		      struct listen_address *ret_address)
{
	struct sockaddr_in ipv4 = { .sin_family = AF_INET };

	if (inet_pton(AF_INET, address, &ipv4.sin_addr) != 1 ||
	    port_parse(port, &ipv4.sin_port) < 0)
		return -EINVAL;
	*ret_address = (struct listen_address){ .len = sizeof(ipv4) };
	memcpy(&ret_address->storage, &ipv4, sizeof(ipv4));
	return 0;
}

static int ipv6_parse(const char *address, const char *port,
		      struct listen_address *ret_address)
{
	struct sockaddr_in6 ipv6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET6, address, &ipv6.sin6_addr) != 1 ||
	    port_parse(port, &ipv6.sin6_port) < 0)
		return -EINVAL;
	*ret_address = (struct listen_address){ .len = sizeof(ipv6) };
	memcpy(&ret_address->storage, &ipv6, sizeof(ipv6));
	return 0;
}

int listen_address_parse(const char *text, struct listen_address *ret_address)
{
	char address[INET6_ADDRSTRLEN];
	bool bracketed = *text == '[';
	const char *begin = text + (bracketed ? 1 : 0), *end, *port;

	if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
		return unix_parse(text + strlen(UNIX_PREFIX), ret_address);
	end = begin + strcspn(begin, bracketed ? "]" : ":");
	port = *end && bracketed ? end + 1 : end;
	if (*port != ':' || (size_t)(end - begin) >= sizeof(address))
		return -EINVAL;
	memcpy(address, begin, (size_t)(end - begin));
	address[end - begin] = '\0';
	return bracketed ? ipv6_parse(address, port + 1, ret_address)
			 : ipv4_parse(address, port + 1, ret_address);
}

bool listen_is_unix(const struct listen_address *address)
{
	return address->storage.ss_family == AF_UNIX;
}

bool listen_is_local(const struct listen_address *address)
{
	struct sockaddr_in6 ipv6;
	struct sockaddr_in ipv4;

	if (listen_is_unix(address))
		return true;
	memcpy(&ipv4, &address->storage, sizeof(ipv4));
	memcpy(&ipv6, &address->storage, sizeof(ipv6));
	return address->storage.ss_family == AF_INET6
		       ? IN6_IS_ADDR_LOOPBACK(&ipv6.sin6_addr)
		       : ntohl(ipv4.sin_addr.s_addr) >> 24 == LOOPBACK_NET;
}

/* Removes a UNIX socket that nobody listens at. */
static int unix_clear(const struct listen_address *address)
{
	struct sockaddr_un un;
	_cleanup_close_ int fd = -1;
	struct stat info;

	memcpy(&un, &address->storage, sizeof(un));
	if (lstat(un.sun_path, &info) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(info.st_mode))
		return -EADDRINUSE;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&un, sizeof(un)) == 0 ||
	    errno != ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(un.sun_path) < 0 ? -errno : 0;
}

static int listen_bind(int fd, const struct listen_address *address)
{
	static const int on = 1;
	struct sockaddr_un un;
	int r;

	if (!listen_is_unix(address)) {
		if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) <
			    0 ||
		    bind(fd, (const struct sockaddr *)&address->storage,
			 address->len) < 0)
			return -errno;
		return 0;
	}
	r = unix_clear(address);
	if (r < 0)
		return r;
	memcpy(&un, &address->storage, sizeof(un));
	if (bind(fd, (const struct sockaddr *)&un, sizeof(un)) < 0 ||
	    chmod(un.sun_path, UNIX_MODE) < 0)
		return -errno;
	return 0;
}

int listen_open(const struct listen_address *address)
{
	_cleanup_close_ int fd =
		socket(address->storage.ss_family,
		       SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return -errno;
	r = listen_bind(fd, address);
	if (r < 0)
		return r;
	return listen(fd, BACKLOG) < 0 ? -errno : TAKE_FD(fd);
}

int listen_inherited(struct listen_address *ret_address)
{
	int n = sd_listen_fds(/* unset_environment= */ 1), flags;
	struct listen_address address = { .len = sizeof(address.storage) };

	if (n == 0)
		return -ENOENT;
	if (n != 1 || sd_is_socket(SD_LISTEN_FDS_START, AF_UNSPEC, SOCK_STREAM,
				   /* listening= */ 1) <= 0)
		return -EINVAL;
	flags = fcntl(SD_LISTEN_FDS_START, F_GETFL);
	if (flags < 0 ||
	    fcntl(SD_LISTEN_FDS_START, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    getsockname(SD_LISTEN_FDS_START,
			(struct sockaddr *)&address.storage, &address.len) < 0)
		return -errno;
	*ret_address = address;
	return SD_LISTEN_FDS_START;
}
