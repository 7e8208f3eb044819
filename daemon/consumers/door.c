// SPDX-License-Identifier: Apache-2.0
/* door.c - the socket that one consumer connects to
 *
 * Who comes in is looked at again, see socket_access.c.
 */
#include "daemon/consumers/door.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/close_safely.h"
#include "common/log.h"
#include "common/util.h"

#define SUFFIX ".sock"
#define BACKLOG 64

/* Without descriptors accept(2) fails at once and the socket stays readable:
 * look again after this long, instead of spinning. */
#define ACCEPT_PAUSE_US USEC_PER_SEC

/* Connections that are accepted in ACCEPT_PAUSE_US. Each may cost a pass over
 * all listeners of the consumer: one that connects in a circle must not keep
 * berthd from its work. */
#define ACCEPTS_MAX 50

/**
 * struct door - see the file's head
 * @path:	of the socket's file
 * @timer:	set while accepting pauses
 * @since_us, @n_accepted: of the last ACCEPT_PAUSE_US
 */
struct door {
	struct loop *loop;
	char *name;
	struct socket_access access;
	door_handler handler;
	void *user_data;
	int fd;
	struct loop_source *source;
	struct loop_timer *timer;
	uint64_t since_us;
	unsigned int n_accepted;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

static void door_pause(struct door *door)
{
	if (loop_source_set_events(door->source, 0) == 0)
		loop_timer_set(door->timer,
			       loop_now_us(door->loop) + ACCEPT_PAUSE_US);
}

/* The pause is over. */
static void door_timer_handler(void *user_data)
{
	struct door *door = user_data;

	door->n_accepted = 0;
	if (loop_source_set_events(door->source, EPOLLIN) < 0)
		loop_timer_set(door->timer,
			       loop_now_us(door->loop) + ACCEPT_PAUSE_US);
}

static void door_count(struct door *door)
{
	uint64_t now_us = loop_now_us(door->loop);

	if (now_us - door->since_us >= ACCEPT_PAUSE_US) {
		door->since_us = now_us;
		door->n_accepted = 0;
	}
	if (++door->n_accepted >= ACCEPTS_MAX)
		door_pause(door);
}

/* A connection was accepted: who is it? */
static void door_enter(struct door *door, int fd)
{
	static struct log_ratelimit limit = { .interval_us = 10 * USEC_PER_SEC,
					      .burst = 5 };
	struct ucred cred;
	socklen_t len = sizeof(cred);
	struct consumer_peer peer;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0) {
		close_unread(fd);
		return;
	}
	peer = (struct consumer_peer){
		.pid = cred.pid,
		.uid = cred.uid,
		.gid = cred.gid,
	};
	if (socket_access_allows(&door->access, fd, peer.uid, peer.gid)) {
		door->handler(fd, &peer, door->user_data);
		return;
	}
	if (log_ratelimit_ok(&limit))
		log_warning("consumer '%s': pid %d (uid %u) may not be it, and "
			    "is denied",
			    door->name, peer.pid, peer.uid);
	handshake_deny(fd, DENIAL_PERMISSION,
		       "this user may not be the consumer: see its entry in "
		       "berthd.yaml");
}

/* One connection per wake-up: the socket stays readable for the next. */
static void door_ready(uint32_t events, void *user_data)
{
	struct door *door = user_data;
	int fd;

	(void)events;
	fd = accept4(door->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS &&
		    errno != ENOMEM)
			return;
		log_warning_errno(errno,
				  "consumer '%s': cannot accept; retrying in "
				  "1 s",
				  door->name);
		door_pause(door);
		return;
	}
	door_count(door);
	door_enter(door, fd);
}

/* Only a socket: nothing else in the directory is ours. */
static void remove_socket(int dir_fd, const char *name)
{
	size_t len = strlen(name);
	struct stat st;

	if (len >= sizeof(SUFFIX) &&
	    strcmp(name + len + 1 - sizeof(SUFFIX), SUFFIX) == 0 &&
	    fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISSOCK(st.st_mode))
		(void)unlinkat(dir_fd, name, 0); /* bind(2) says what is wrong
						  */
}

int doors_dir_make(const char *path)
{
	const struct dirent *entry;
	DIR *dir;
	int fd;

	/* Whatever the umask: users of consumers must get to their sockets. */
	if (mkdir(path, 0755) == 0)
		(void)chmod(path, 0755); /* it is ours, and new */
	else if (errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		(void)close(fd); /* read only */
		return -ENOMEM;
	}
	while ((entry = readdir(dir)))
		remove_socket(fd, entry->d_name);
	(void)closedir(dir); /* read only */
	return 0;
}

void door_set_access(struct door *door, const struct socket_access *access)
{
	int r = socket_access_set(door->path, access);

	door->access = *access;
	if (r < 0)
		log_error_errno(r,
				"consumer '%s': cannot give '%s' to user %u, "
				"group %u with mode %04o",
				door->name, door->path, access->uid,
				access->gid, access->mode);
}

/* Listens on a file that nobody looks for, and renames it when it is ready. */
static int door_listen(struct door *door, const char *dir)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t size = sizeof(address.sun_path);
	mode_t saved;
	int n, r;

	n = snprintf(address.sun_path, size, "%s/.%s" SUFFIX, dir, door->name);
	if (n < 0 || (size_t)n >= size)
		return -ENAMETOOLONG;
	door->fd = socket(AF_UNIX,
			  SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (door->fd < 0)
		return -errno;
	(void)unlink(address.sun_path); /* bind(2) says what is wrong */
	saved = umask(0177);
	r = bind(door->fd, (const struct sockaddr *)&address, sizeof(address));
	if (r < 0)
		r = -errno;
	(void)umask(saved); /* cannot fail */
	if (r < 0)
		return r;
	memcpy(door->path, address.sun_path, size);
	door_set_access(door, &door->access);
	(void)snprintf(door->path, size, "%s/%s" SUFFIX, dir,
		       door->name); /* fits: shorter */
	if (listen(door->fd, BACKLOG) < 0 ||
	    rename(address.sun_path, door->path) < 0) {
		r = -errno;
		(void)unlink(address.sun_path); /* ours, and of no use */
		door->path[0] = '\0';
	}
	return r;
}

int door_open(struct loop *loop, const char *dir, const char *name,
	      const struct socket_access *access, door_handler handler,
	      void *user_data, struct door **ret_door)
{
	struct door *door = malloc(sizeof(*door));
	int r = -ENOMEM;

	if (!door)
		return -ENOMEM;
	*door = (struct door){
		.loop = loop,
		.name = strdup(name),
		.access = *access,
		.handler = handler,
		.user_data = user_data,
		.fd = -1,
	};
	if (door->name)
		r = loop_timer_new(loop, door_timer_handler, door,
				   &door->timer);
	if (r == 0)
		r = door_listen(door, dir);
	if (r == 0)
		r = loop_add(loop, door->fd, EPOLLIN, door_ready, door,
			     &door->source);
	if (r < 0) {
		door_free(door);
		return r;
	}
	*ret_door = door;
	return 0;
}

struct door *door_free(struct door *door)
{
	if (!door)
		return NULL;
	loop_source_free(door->source);
	loop_timer_free(door->timer);
	if (door->path[0])
		(void)unlink(door->path); /* gone already is as good */
	if (door->fd >= 0)
		close_elsewhere(door->fd); /* not accepted, and unread */
	free(door->name);
	free(door);
	return NULL;
}
