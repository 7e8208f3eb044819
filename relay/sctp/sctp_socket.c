// SPDX-License-Identifier: Apache-2.0
/* sctp_socket.c - all contact with the kernel's SCTP
 *
 * SCTP_EVENT subscribes event by event: the older SCTP_EVENTS takes a structure
 * whose size changes with kernels and headers.
 */
#include "relay/sctp/sctp_socket.h"

#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <string.h>
#include <sys/socket.h>

#include "common/service.h"
#include "common/util.h"

/* Linux 5.0; a one-to-many socket's setting and its present associations. */
#ifndef SCTP_FUTURE_ASSOC
#define SCTP_FUTURE_ASSOC 0
#endif

/* Is @field part of a notification of @len bytes? Older kernels' end sooner. */
#define NOTE_HAS(len, field)                                 \
	((len) >= offsetof(union sctp_notification, field) + \
			  sizeof(((union sctp_notification *)0)->field))

/* Room for associations that begin after they were counted and before they are
 * listed. */
#define LIST_EXTRA 16

/* For a message that a backend does not acknowledge: the longest time between
 * two retransmissions, and how many there are. With the kernel's values, a
 * minute and ten, its client would wait for minutes. */
#define RETRANSMIT_MAX_MS 8000
#define RETRANSMISSIONS_MAX 5

/* How many bits sctp_status.sstat_unackdata has. */
#define UNACKED_BITS 16

static int socket_option(int fd, int name, int value)
{
	if (setsockopt(fd, IPPROTO_SCTP, name, &value, sizeof(value)) < 0)
		return -errno;
	return 0;
}

static int socket_subscribe(int fd, int32_t assoc_id, uint16_t type)
{
	struct sctp_event event = {
		.se_assoc_id = assoc_id,
		.se_type = type,
		.se_on = 1,
	};

	if (setsockopt(fd, IPPROTO_SCTP, SCTP_EVENT, &event, sizeof(event)) < 0)
		return -errno;
	return 0;
}

int sctp_socket_prepare(int fd, int32_t assoc_id, bool one_to_many)
{
	int r;

	r = socket_subscribe(fd, assoc_id, SCTP_ASSOC_CHANGE);
	if (r == 0)
		r = socket_subscribe(fd, assoc_id, SCTP_PARTIAL_DELIVERY_EVENT);
	if (r == 0 && one_to_many) {
		r = socket_subscribe(fd, assoc_id, SCTP_SHUTDOWN_EVENT);
		if (r == 0)
			r = socket_subscribe(fd, assoc_id,
					     SCTP_SENDER_DRY_EVENT);
	}
	if (r < 0 || (one_to_many && assoc_id != SCTP_FUTURE_ASSOC))
		return r;
	r = socket_option(fd, SCTP_RECVRCVINFO, 1);
	if (r == 0)
		r = socket_option(fd, SCTP_NODELAY, 1);
	/* One client's endless message does not hold up the others'. */
	if (r == 0 && one_to_many)
		r = socket_option(fd, SCTP_FRAGMENT_INTERLEAVE, 1);
	return r;
}

static void received_change(const struct sctp_assoc_change *change,
			    struct sctp_received *received)
{
	received->assoc_id = change->sac_assoc_id;
	switch (change->sac_state) {
	case SCTP_COMM_UP:
		received->kind = SCTP_KIND_UP;
		break;
	case SCTP_SHUTDOWN_COMP:
		received->kind = SCTP_KIND_CLOSED;
		break;
	case SCTP_RESTART:
		received->kind = SCTP_KIND_RESTARTED;
		break;
	case SCTP_COMM_LOST:
	case SCTP_CANT_STR_ASSOC:
		received->kind = SCTP_KIND_LOST;
		break;
	default:
		break;
	}
}

static void received_notification(const void *buffer, size_t len,
				  struct sctp_received *received)
{
	const union sctp_notification *note = buffer;

	received->kind = SCTP_KIND_OTHER;
	if (len < sizeof(note->sn_header) || len < note->sn_header.sn_length)
		return;
	switch (note->sn_header.sn_type) {
	case SCTP_ASSOC_CHANGE:
		if (NOTE_HAS(len, sn_assoc_change.sac_assoc_id))
			received_change(&note->sn_assoc_change, received);
		break;
	case SCTP_SHUTDOWN_EVENT:
		if (!NOTE_HAS(len, sn_shutdown_event.sse_assoc_id))
			break;
		received->kind = SCTP_KIND_EOF;
		received->assoc_id = note->sn_shutdown_event.sse_assoc_id;
		break;
	case SCTP_PARTIAL_DELIVERY_EVENT:
		if (!NOTE_HAS(len, sn_pdapi_event.pdapi_assoc_id))
			break;
		received->kind = SCTP_KIND_ABANDONED;
		received->assoc_id = note->sn_pdapi_event.pdapi_assoc_id;
		break;
	case SCTP_SENDER_DRY_EVENT:
		if (!NOTE_HAS(len, sn_sender_dry_event.sender_dry_assoc_id))
			break;
		received->kind = SCTP_KIND_DRY;
		received->assoc_id =
			note->sn_sender_dry_event.sender_dry_assoc_id;
		break;
	default:
		break;
	}
}

static void received_data(const struct sctp_rcvinfo *info,
			  struct sctp_received *received)
{
	received->kind = SCTP_KIND_DATA;
	received->assoc_id = info->rcv_assoc_id;
	received->label = (struct sctp_label){
		.ppid = info->rcv_ppid,
		.sid = info->rcv_sid,
		.unordered = info->rcv_flags & SCTP_UNORDERED,
	};
}

int sctp_socket_receive(int fd, void *buffer, size_t size,
			struct sctp_received *ret_received)
{
	struct iovec iov = { .iov_base = buffer, .iov_len = size };
	struct sctp_received received = { .kind = SCTP_KIND_NOTHING };
	struct sctp_rcvinfo info = { 0 };
	/* The kernel may tell no address. */
	struct sockaddr_storage from = { .ss_family = AF_UNSPEC };
	socklen_t from_len = sizeof(from), info_len = sizeof(info);
	unsigned int info_type = SCTP_RECVV_NOINFO;
	int flags = 0;
	ssize_t n;

	/* No signal comes to the workers that could interrupt it. */
	n = sctp_recvv(fd, &iov, 1, (struct sockaddr *)&from, &from_len, &info,
		       &info_len, &info_type, &flags);
	if (n < 0 && errno != EAGAIN)
		return -errno;
	if (n == 0) {
		received.kind = SCTP_KIND_EOF;
	} else if (n > 0 && (flags & MSG_NOTIFICATION)) {
		received_notification(buffer, (size_t)n, &received);
		/* When the association is gone nothing else tells its peer. */
		if (received.kind == SCTP_KIND_UP)
			(void)ip_addr_from_sockaddr(&from, &received.from,
						    NULL);
	} else if (n > 0) {
		/* Without the label a message must not go on. */
		if (info_type != SCTP_RECVV_RCVINFO)
			return -EPROTO;
		received_data(&info, &received);
		received.len = (size_t)n;
		received.last = flags & MSG_EOR;
	}
	*ret_received = received;
	return 0;
}

static int socket_send(int fd, struct sctp_sndinfo *info, const void *data,
		       size_t len)
{
	struct iovec iov = { .iov_base = (void *)data, .iov_len = len };

	if (sctp_sendv(fd, &iov, len > 0 ? 1 : 0, NULL, 0, info, sizeof(*info),
		       SCTP_SENDV_SNDINFO, MSG_NOSIGNAL) < 0)
		return -errno;
	return 0;
}

int sctp_socket_send(const struct sctp_target *target,
		     const struct sctp_label *label, const void *data,
		     size_t len)
{
	struct sctp_sndinfo info = {
		.snd_sid = label->sid,
		.snd_ppid = label->ppid,
		.snd_assoc_id = target->assoc_id,
	};

	if (label->unordered)
		info.snd_flags |= SCTP_UNORDERED;
	if (target->ack_at_once)
		info.snd_flags |= SCTP_SACK_IMMEDIATELY;
	return socket_send(target->fd, &info, data, len);
}

void sctp_socket_shut(int fd, int32_t assoc_id)
{
	struct sctp_sndinfo info = {
		.snd_flags = SCTP_EOF,
		.snd_assoc_id = assoc_id,
	};

	(void)socket_send(fd, &info, NULL, 0); /* it is gone: the same */
}

void sctp_socket_abort(int fd, int32_t assoc_id)
{
	struct sctp_sndinfo info = {
		.snd_flags = SCTP_ABORT,
		.snd_assoc_id = assoc_id,
	};

	(void)socket_send(fd, &info, NULL, 0); /* it is gone: the same */
}

static int socket_status(int fd, int32_t assoc_id,
			 struct sctp_status *ret_status)
{
	socklen_t len = sizeof(*ret_status);

	memset(ret_status, 0, sizeof(*ret_status));
	ret_status->sstat_assoc_id = assoc_id;
	if (getsockopt(fd, IPPROTO_SCTP, SCTP_STATUS, ret_status, &len) < 0)
		return -errno;
	return 0;
}

int sctp_socket_limits(int fd, int32_t assoc_id, struct sctp_limits *ret_limits)
{
	struct sctp_status status;
	socklen_t len = sizeof(int);
	int send_buffer = 0;
	int r;

	r = socket_status(fd, assoc_id, &status);
	if (r < 0)
		return r;
	if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, &len) < 0)
		return -errno;
	*ret_limits = (struct sctp_limits){
		.streams = status.sstat_outstrms,
		.in_streams = status.sstat_instrms,
		.max_bytes = (uint32_t)send_buffer < SCTP_MESSAGE_MAX
				     ? (uint32_t)send_buffer
				     : SCTP_MESSAGE_MAX,
	};
	return 0;
}

int sctp_socket_peer(int fd, int32_t assoc_id, struct ip_addr *ret_peer)
{
	struct sockaddr_storage primary;
	struct sctp_status status;
	int r;

	r = socket_status(fd, assoc_id, &status);
	if (r < 0)
		return r;
	/* Its structure is packed. */
	memcpy(&primary, &status.sstat_primary.spinfo_address, sizeof(primary));
	return ip_addr_from_sockaddr(&primary, ret_peer, NULL);
}

/* Of @n packed addresses, @max at most. Return: how many were understood. */
static size_t read_ends(const struct sockaddr *list, int n,
			struct ip_addr *addrs, size_t max, uint16_t *ret_port)
{
	const char *at = (const char *)list;
	size_t found = 0;

	for (int i = 0; i < n && found < max; i++) {
		sa_family_t family = ((const struct sockaddr *)at)->sa_family;
		size_t len = family == AF_INET6 ? sizeof(struct sockaddr_in6)
						: sizeof(struct sockaddr_in);
		struct sockaddr_storage sa = { 0 };

		memcpy(&sa, at, len);
		at += len;
		if (ip_addr_from_sockaddr(&sa, &addrs[found], ret_port) == 0)
			found++;
	}
	return found;
}

size_t sctp_socket_peers(int fd, int32_t assoc_id,
			 struct ip_addr ret_addrs[SCTP_ENDS_MAX],
			 uint16_t *ret_port)
{
	struct sockaddr *list;
	int n = sctp_getpaddrs(fd, assoc_id, &list);
	size_t found;

	if (n <= 0)
		return 0;
	found = read_ends(list, n, ret_addrs, SCTP_ENDS_MAX, ret_port);
	sctp_freepaddrs(list);
	return found;
}

size_t sctp_socket_locals(int fd, int32_t assoc_id,
			  struct ip_addr ret_addrs[SCTP_ENDS_MAX])
{
	struct sockaddr *list;
	int n = sctp_getladdrs(fd, assoc_id, &list);
	size_t found;

	if (n <= 0)
		return 0;
	found = read_ends(list, n, ret_addrs, SCTP_ENDS_MAX, NULL);
	sctp_freeladdrs(list);
	return found;
}

ssize_t sctp_socket_addrs(int fd, struct ip_addr **ret_addrs)
{
	struct ip_addr *addrs = NULL;
	struct sockaddr *list;
	int n = sctp_getladdrs(fd, 0, &list);
	size_t found = 0;

	if (n < 0)
		return -errno;
	if (n == 0)
		return 0;
	addrs = calloc((size_t)n, sizeof(*addrs));
	if (addrs)
		found = read_ends(list, n, addrs, (size_t)n, NULL);
	sctp_freeladdrs(list);
	if (!addrs)
		return -ENOMEM;
	*ret_addrs = addrs;
	return (ssize_t)found;
}

/* New chunks are sent only into a window that the peer opened, or once, to
 * probe a closed one. So the counter of sent chunks, and the number of chunks
 * that wait for an acknowledgement, stand still together only if the peer
 * acknowledges nothing. */
uint64_t sctp_socket_taken(int fd, int32_t assoc_id)
{
	struct sctp_assoc_stats stats = { .sas_assoc_id = assoc_id };
	socklen_t len = sizeof(stats);
	struct sctp_status status;

	if (socket_status(fd, assoc_id, &status) < 0 ||
	    getsockopt(fd, IPPROTO_SCTP, SCTP_GET_ASSOC_STATS, &stats, &len) <
		    0)
		return 0;
	return (stats.sas_oodchunks + stats.sas_ouodchunks) << UNACKED_BITS |
	       status.sstat_unackdata;
}

bool sctp_socket_holds(int fd)
{
	uint32_t memory[SK_MEMINFO_VARS];
	socklen_t len = sizeof(memory);

	return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &len) == 0 &&
	       memory[SK_MEMINFO_WMEM_QUEUED] > 0;
}

bool sctp_socket_is_gone(int fd)
{
	struct sctp_status status;

	return socket_status(fd, 0, &status) < 0 ||
	       status.sstat_state == SCTP_CLOSED;
}

/* The streams of a client that is gone already are not known. */
static uint16_t streams_or_default(uint16_t streams)
{
	return streams ? streams : SERVICE_STREAMS;
}

int sctp_socket_mirror(int fd, const struct sctp_limits *client)
{
	struct sctp_initmsg init = {
		.sinit_num_ostreams = streams_or_default(client->in_streams),
		.sinit_max_instreams = streams_or_default(client->streams),
	};
	int send_buffer = SCTP_MESSAGE_MAX;

	if (setsockopt(fd, IPPROTO_SCTP, SCTP_INITMSG, &init, sizeof(init)) < 0)
		return -errno;
	/* As much as the system allows: messages up to half of it fit. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer,
			 sizeof(send_buffer));
	return sctp_socket_prepare(fd, 0, /* one_to_many= */ false);
}

/* Each retransmission waits twice as long, from net.sctp.rto_min (1 s) on: with
 * these the last of them has failed after 1 + 2 + 4 + 8 + 8 + 8 seconds. */
static int give_up_sooner(int fd)
{
	struct sctp_assocparams params = { .sasoc_assoc_id = 0 };
	socklen_t len = sizeof(params);

	if (getsockopt(fd, IPPROTO_SCTP, SCTP_ASSOCINFO, &params, &len) < 0)
		return -errno;
	if (params.sasoc_asocmaxrxt <= RETRANSMISSIONS_MAX)
		return 0;
	/* The kernel leaves alone what is zero. */
	params = (struct sctp_assocparams){
		.sasoc_asocmaxrxt = RETRANSMISSIONS_MAX,
	};
	if (setsockopt(fd, IPPROTO_SCTP, SCTP_ASSOCINFO, &params,
		       sizeof(params)) < 0)
		return -errno;
	return 0;
}

int sctp_socket_hasten(int fd, size_t n, uint64_t timeout_us)
{
	/* Time for the answer from the last one, too. */
	uint64_t each_ms = timeout_us / (n + 1) / USEC_PER_MSEC;
	struct sctp_rtoinfo info = { .srto_assoc_id = 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, IPPROTO_SCTP, SCTP_RTOINFO, &info, &len) < 0)
		return -errno;
	/* Zero would mean: as it is. */
	if (n > 1 && each_ms < info.srto_initial)
		info.srto_initial = each_ms > 0 ? (uint32_t)each_ms : 1;
	if (info.srto_max > RETRANSMIT_MAX_MS &&
	    info.srto_min <= RETRANSMIT_MAX_MS)
		info.srto_max = RETRANSMIT_MAX_MS;
	if (setsockopt(fd, IPPROTO_SCTP, SCTP_RTOINFO, &info, sizeof(info)) < 0)
		return -errno;
	return give_up_sooner(fd);
}

/* The context of an association is ours to set, and survives the process as
 * long as berthd has the socket. */
bool sctp_socket_mark(int fd, int32_t assoc_id)
{
	struct sctp_assoc_value value = { .assoc_id = assoc_id };
	socklen_t len = sizeof(value);

	if (getsockopt(fd, IPPROTO_SCTP, SCTP_CONTEXT, &value, &len) == 0 &&
	    value.assoc_value != 0)
		return true;
	value.assoc_value = 1;
	/* Fails if the association is gone; we are told of its end soon. */
	(void)setsockopt(fd, IPPROTO_SCTP, SCTP_CONTEXT, &value, sizeof(value));
	return false;
}

ssize_t sctp_socket_list(int fd, int32_t **ret_ids)
{
	_cleanup_free_ struct sctp_assoc_ids *ids = NULL;
	socklen_t len = sizeof(uint32_t);
	uint32_t n = 0;

	if (getsockopt(fd, IPPROTO_SCTP, SCTP_GET_ASSOC_NUMBER, &n, &len) < 0)
		return -errno;
	len = (socklen_t)(sizeof(*ids) +
			  (n + LIST_EXTRA) * sizeof(ids->gaids_assoc_id[0]));
	ids = malloc(len);
	if (!ids)
		return -ENOMEM;
	if (getsockopt(fd, IPPROTO_SCTP, SCTP_GET_ASSOC_ID_LIST, ids, &len) < 0)
		return -errno;
	n = ids->gaids_number_of_ids;
	*ret_ids = malloc((n + 1) * sizeof(**ret_ids));
	if (!*ret_ids)
		return -ENOMEM;
	memcpy(*ret_ids, ids->gaids_assoc_id, n * sizeof(**ret_ids));
	return (ssize_t)n;
}
