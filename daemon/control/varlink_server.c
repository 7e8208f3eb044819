// SPDX-License-Identifier: Apache-2.0
/* varlink_server.c - the socket that a Varlink server's clients connect to */
#include "daemon/control/varlink_server.h"

#include <assert.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/log.h"
#include "common/util.h"
#include "daemon/control/varlink_conns.h"

#define BACKLOG 128
/* Without descriptors accept(2) fails at once and the socket stays readable:
 * look again after this long, instead of spinning. */
#define ACCEPT_PAUSE_US USEC_PER_SEC

/**
 * struct varlink_server - see the file's head
 * @path:	of the socket's file; "" without one
 * @access:	whom it serves
 * @timer:	set while accepting pauses
 */
struct varlink_server {
	struct loop *loop;
	struct varlink_conns *conns;
	int listen_fd;
	struct loop_source *listen_source;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	struct socket_access access;
	struct loop_timer *timer;
};

static void server_pause(struct varlink_server *server)
{
	loop_timer_set(server->timer,
		       loop_now_us(server->loop) + ACCEPT_PAUSE_US);
}

/* The pause is over. */
static void server_timer_handler(void *user_data)
{
	struct varlink_server *server = user_data;

	if (loop_source_set_events(server->listen_source, EPOLLIN) < 0)
		server_pause(server);
}

static bool peer_allowed(int fd, void *user_data)
{
	const struct varlink_server *server = user_data;
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	return socket_access_allows(&server->access, fd, peer.uid, peer.gid);
}

/* accept(2) failed for want of something that may come back. */
static void server_stop_accepting(struct varlink_server *server, int error)
{
	log_warning_errno(error, "control: cannot accept; retrying in 1 s");
	if (loop_source_set_events(server->listen_source, 0) == 0)
		server_pause(server);
}

/* One connection per wake-up: the socket stays readable for the next. */
static void server_handler(uint32_t events, void *user_data)
{
	static struct log_ratelimit limit = { .interval_us = 10 * USEC_PER_SEC,
					      .burst = 5 };
	struct varlink_server *server = user_data;
	int fd, r;

	(void)events;
	fd = accept4(server->listen_fd, NULL, NULL,
		     SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM)
			server_stop_accepting(server, errno);
		return;
	}
	if (!peer_allowed(fd, server)) {
		if (log_ratelimit_ok(&limit))
			log_warning("control: ignoring a client whose user may "
				    "not connect");
		(void)close(fd); /* nothing was sent or read */
		return;
	}
	r = varlink_conns_add(server->conns, fd);
	if (r < 0 && log_ratelimit_ok(&limit))
		log_warning_errno(r, "control: ignoring a client");
}

/* Only a socket: a path given by mistake costs nobody a file. */
static void remove_stale(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		(void)unlink(path); /* bind(2) says what is wrong */
}

static int bind_private(int fd, const struct sockaddr_un *address)
{
	mode_t saved = umask(0177);
	int r = bind(fd, (const struct sockaddr *)address, sizeof(*address));

	if (r < 0)
		r = -errno;
	(void)umask(saved); /* cannot fail */
	return r;
}

void varlink_server_set_access(struct varlink_server *server,
			       const struct socket_access *access)
{
	int r = socket_access_set(server->path, access);

	if (r < 0)
		log_error_errno(r,
				"control: cannot give '%s' to user %d, group "
				"%d with mode %04o; only root may connect",
				server->path, (int)access->uid,
				(int)access->gid, access->mode);
	server->access = *access;
	if (r < 0)
		server->access.mode = 0;
	varlink_conns_end_unless(server->conns, peer_allowed, server);
}

int varlink_server_listen(struct varlink_server *server, const char *path,
			  const struct socket_access *access)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;
	int r;

	assert(server->listen_fd < 0);
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	remove_stale(path);
	r = bind_private(fd, &address);
	if (r < 0)
		return r;
	if (listen(fd, BACKLOG) < 0)
		r = -errno;
	else
		r = loop_add(server->loop, fd, EPOLLIN, server_handler, server,
			     &server->listen_source);
	if (r < 0) {
		(void)unlink(path); /* ours, and no use to anyone */
		return r;
	}
	server->listen_fd = TAKE_FD(fd);
	memcpy(server->path, address.sun_path, sizeof(server->path));
	varlink_server_set_access(server, access);
	return 0;
}

int varlink_server_new(struct loop *loop,
		       const struct varlink_interface *interface,
		       void *user_data, struct varlink_server **ret_server)
{
	struct varlink_server *server = malloc(sizeof(*server));
	int r;

	if (!server)
		return -ENOMEM;
	*server = (struct varlink_server){ .loop = loop, .listen_fd = -1 };
	r = varlink_conns_new(loop, interface, user_data, &server->conns);
	if (r == 0)
		r = loop_timer_new(loop, server_timer_handler, server,
				   &server->timer);
	if (r < 0) {
		varlink_server_free(server);
		return r;
	}
	*ret_server = server;
	return 0;
}

struct varlink_server *varlink_server_free(struct varlink_server *server)
{
	if (!server)
		return NULL;
	varlink_conns_free(server->conns);
	loop_source_free(server->listen_source);
	if (server->listen_fd >= 0) {
		(void)close(server->listen_fd); /* only accepts */
		(void)unlink(server->path); /* gone already is as good */
	}
	loop_timer_free(server->timer);
	free(server);
	return NULL;
}
