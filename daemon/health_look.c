// SPDX-License-Identifier: Apache-2.0
/* health_look.c - finds out what the health of a listener is made of
 *
 * Theory of operation: everything is asked for when health is, so that a
 * namespace of whose health nobody asks costs nothing. Its addresses are read
 * at the first question, and kept by events from then on. Interfaces and
 * backlogs are asked for by ioctl(2) and getsockopt(2) on the listening socket,
 * which is in the namespace: the kernel answers without its big lock.
 */
#include "daemon/health_look.h"

#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "binder/listener.h"
#include "common/backend.h"
#include "common/netns.h"
#include "common/util.h"
#include "daemon/consumers/consumers.h"
#include "daemon/privileges.h"
#include "watcher/watcher.h"

/* The next listeners of a list are often in the same namespace, and their
 * backends the same UNIX socket: each is looked at once in this time. */
#define FRESH_US (100 * USEC_PER_MSEC)

#define ACL_ATTRIBUTE "system.posix_acl_access"

/* @interface has its index, and gets its name, "" if it is not there. */
static void ask_interface(const struct listener *listener,
			  struct netns_interface *interface)
{
	struct ifreq request = { .ifr_ifindex = (int)interface->ifindex };

	interface->ifname[0] = '\0';
	if (ioctl(listener->fd, SIOCGIFNAME, &request) < 0)
		return;
	memcpy(interface->ifname, request.ifr_name, IF_NAMESIZE);
	if (ioctl(listener->fd, SIOCGIFFLAGS, &request) < 0)
		interface->ifname[0] = '\0';
	else
		interface->up = (request.ifr_flags & IFF_UP) != 0;
}

static struct netns_interface *known_interface(struct health_view *view,
					       uint32_t ifindex)
{
	for (size_t i = 0; i < view->n_interfaces; i++) {
		if (view->interfaces[i].ifindex == ifindex)
			return &view->interfaces[i];
	}
	return NULL;
}

/* Where there are more than are kept, the last place is taken again. */
static struct netns_interface *new_interface(struct health_view *view,
					     uint32_t ifindex)
{
	struct netns_interface *interface;

	if (view->n_interfaces < HEALTH_INTERFACES)
		view->n_interfaces++;
	interface = &view->interfaces[view->n_interfaces - 1];
	*interface = (struct netns_interface){ .ifindex = ifindex };
	ask_interface(view->facts.listener, interface);
	return interface;
}

static bool find_interface(const struct health_facts *facts, uint32_t ifindex,
			   struct netns_interface *ret_interface)
{
	struct health_view *view =
		container_of((struct health_facts *)(uintptr_t)facts,
			     struct health_view, facts);
	struct netns_interface *interface = known_interface(view, ifindex);

	if (!interface)
		interface = new_interface(view, ifindex);
	*ret_interface = *interface;
	return *interface->ifname != '\0';
}

/* What was asked for another namespace, or long ago, is of no use. */
static void renew_interfaces(struct health_view *view, uint64_t netns_id,
			     bool brief)
{
	uint64_t now_us = brief ? 0 : monotonic_us();

	if (view->netns_id == netns_id && now_us - view->asked_us <= FRESH_US)
		return;
	view->netns_id = netns_id;
	view->asked_us = now_us;
	view->n_interfaces = 0;
}

/* Of a listening socket tcpi_unacked is the length of the backlog, and
 * tcpi_sacked how long it may be. */
static void look_at_backlog(struct health_facts *facts)
{
	const struct listener *listener = facts->listener;
	struct tcp_info info = { .tcpi_state = 0 };
	socklen_t len = sizeof(info);

	facts->backlog = -1;
	if ((listener->endpoint.protocol != PROTOCOL_TCP &&
	     listener->endpoint.protocol != PROTOCOL_MPTCP) ||
	    getsockopt(listener->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ||
	    info.tcpi_state != TCP_LISTEN)
		return;
	facts->backlog = (int)info.tcpi_unacked;
	facts->backlog_max = (int)info.tcpi_sacked;
}

/* May berth-relay, which has no other group and no capability, do what the
 * three bits of each class in @mode are for? An access control list may let it
 * in, or keep it out: then the answer is yes, because it is not known. */
static bool is_admitted(const struct stat *st, const struct relay_user *user,
			const char *path, mode_t bit)
{
	mode_t mode = st->st_mode;

	if (user->uid == st->st_uid)
		mode >>= 6;
	else if (user->gid == st->st_gid)
		mode >>= 3;
	return (mode & bit) || getxattr(path, ACL_ATTRIBUTE, NULL, 0) > 0;
}

static void note_file(struct health_socket *socket, const struct stat *st,
		      const struct relay_user *user, size_t at)
{
	socket->at = at;
	socket->uid = st->st_uid;
	socket->gid = st->st_gid;
	socket->mode = st->st_mode;
	socket->relay_uid = user->uid;
	socket->relay_gid = user->gid;
}

/* Is @dir, the first @at bytes of the path, closed to berth-relay? */
static bool is_closed(struct health_socket *socket, const char *dir,
		      const struct relay_user *user, size_t at)
{
	struct stat st;

	if (stat(dir, &st) < 0 || is_admitted(&st, user, dir, S_IXOTH))
		return false; /* stat(2) of the socket says if it is missing */
	socket->verdict = HEALTH_PATH_DIRECTORY;
	note_file(socket, &st, user, at);
	return true;
}

static void look_at_path(struct health_socket *socket,
			 const struct relay_user *user)
{
	const char *path = socket->path, *slash = path;
	char dir[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	struct stat st;

	socket->verdict = HEALTH_PATH_FINE;
	while ((slash = strchr(slash, '/'))) {
		size_t n = slash == path ? 1 : (size_t)(slash - path);

		memcpy(dir, path, n);
		dir[n] = '\0';
		if (is_closed(socket, dir, user, n))
			return;
		slash++;
	}
	if (stat(path, &st) < 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			socket->verdict = HEALTH_PATH_MISSING;
		return; /* else it is not known */
	}
	if (!S_ISSOCK(st.st_mode))
		socket->verdict = HEALTH_PATH_NO_SOCKET;
	else if (!is_admitted(&st, user, path, S_IWOTH))
		socket->verdict = HEALTH_PATH_SOCKET;
	note_file(socket, &st, user, strlen(path));
}

/* Looks at the UNIX socket of @backend. Return: nothing keeps berth-relay from
 * it, as far as is known. */
static bool is_fine(const struct relay_user *user, const char *text,
		    struct health_view *view)
{
	uint64_t now_us = monotonic_us();
	const struct sockaddr_un *address;
	struct backend backend;

	if (backend_parse(text, &backend, NULL) < 0 ||
	    backend.scheme != SCHEME_UNIX)
		return true;
	address = (const void *)&backend.address;
	if (strcmp(view->path, address->sun_path) != 0 ||
	    now_us - view->looked_us > FRESH_US) {
		(void)snprintf(view->path, sizeof(view->path), "%s",
			       address->sun_path); /* it fits */
		view->socket = (struct health_socket){ .path = view->path };
		look_at_path(&view->socket, user);
		view->looked_us = now_us;
	}
	return view->socket.verdict == HEALTH_PATH_FINE;
}

/* One backend that is fine is enough, if it gets clients. */
static void look_at_sockets(const struct relay_user *user,
			    struct health_view *view)
{
	const struct service *service = view->facts.listener->service;

	if (service->action != SERVICE_FORWARD || service->n_to == 0)
		return;
	for (size_t i = 0; i < service->n_to; i++) {
		if (service_weight(service, i) > 0 &&
		    is_fine(user, service->to[i], view))
			return;
	}
	view->facts.socket = &view->socket;
}

static void look_at_backends(const struct health_source *source,
			     struct health_view *view)
{
	const struct listener *listener = view->facts.listener;
	const struct backend_status *last =
		backends_all_down(source->backends, listener->service,
				  (enum protocol)listener->endpoint.protocol);

	if (!last)
		return;
	view->facts.backends = (struct health_backends){
		.known = true,
		.all_down = true,
		.reason = source->names_backends
				  ? backends_sentence_fmt(last, monotonic_us(),
							  view->sentence)
				  : "none of its backends can be reached",
	};
}

void health_look(const struct health_source *source,
		 const struct listener *listener,
		 const struct berth_counts *counts, struct health_view *view)
{
	struct netns *netns = watcher_find(source->watcher, listener->netns_id);

	view->facts = (struct health_facts){
		.listener = listener,
		.netns = netns,
		.interface = find_interface,
		.delivered = consumers_delivered(listener),
		.counts = counts,
		.backlog = -1,
	};
	if (listener->state != LISTENER_OPEN)
		return;
	if (netns)
		(void)watcher_read_addresses(source->watcher, netns);
	renew_interfaces(view, listener->netns_id, source->brief);
	if (!source->brief)
		look_at_backlog(&view->facts);
	look_at_backends(source, view);
	if (source->relay_user)
		look_at_sockets(source->relay_user, view);
}
