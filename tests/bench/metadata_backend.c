// SPDX-License-Identifier: Apache-2.0
/* metadata_backend.c - a metadata service that costs next to nothing
 *
 *   metadata_backend SOCKET
 *
 * listens on the UNIX socket and answers each request as Neutron's agent does:
 * it reads once, writes once, and closes. A request without the two headers
 * that a proxy is to set is answered by 400, so that a client notices.
 */
#include "tests/bench/bench.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define REQUEST_BYTES 4096 /* what the agent reads */

static const char good[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
			   "Content-Length: 7\r\nConnection: close\r\n\r\n"
			   "i-0123\n";
static const char bad[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 4\r\n"
			  "Connection: close\r\n\r\nbad\n";

static int listen_on(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(sa.sun_path))
		bench_die("%s is too long", path);
	strcpy(sa.sun_path, path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    chmod(path, 0666) < 0 || listen(fd, SOMAXCONN) < 0)
		bench_die("%s", path);
	return fd;
}

static void serve(int fd)
{
	char request[REQUEST_BYTES + 1];
	ssize_t n = recv(fd, request, REQUEST_BYTES, 0);
	const char *answer = bad;

	request[n > 0 ? n : 0] = '\0';
	if (strcasestr(request, "\r\nX-OVN-Network-ID: ") &&
	    strcasestr(request, "\r\nX-Forwarded-For: "))
		answer = good;
	(void)send(fd, answer, strlen(answer),
		   MSG_NOSIGNAL); /* it may be gone */
	close(fd);
}

int main(int argc, char **argv)
{
	int listen_fd, fd;

	bench_init();
	if (argc != 2)
		bench_die("metadata_backend SOCKET");
	listen_fd = listen_on(argv[1]);
	bench_notify();
	while ((fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		serve(fd);
	bench_die("accept4");
}
