// SPDX-License-Identifier: Apache-2.0
/* fuzz_sctp.c - messages in parts and notifications, from one side to the other
 *
 * The input says what each sctp_recvv(3) brings and what becomes of each
 * attempt to send; both are replaced here, so no SCTP is needed. What is sent
 * on are the messages that came, whole, in order and with their labels; what
 * is too large fails and is not cut; what waits is bounded, and freed.
 */
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/util.h"
#include "relay/core/admission.h"
#include "relay/sctp/sctp_internal.h"
#include "relay/core/worker.h"
#include "tests/fuzz/input.h"

#define EVENTS_MAX 200 /* an input that makes no end is cut off */
#define EXPECTED_MAX EVENTS_MAX
#define PERIOD 65521u /* a prime: no part begins as another */
#define FD_SRC 1000 /* never used */
#define FD_DST 1001

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct relay;
static void check(const struct relay *relay);

/* Their bytes count up, from @first over all that came. */
struct expected {
	struct sctp_label label;
	uint32_t first;
	size_t len;
};

/* The peers, and what they know. */
static struct {
	struct expected messages[EXPECTED_MAX];
	size_t n_came, n_sent;
	struct expected partial;
	bool is_partial;
	bool ended; /* no more may be read */
	bool closed; /* the receiver takes nothing, and is not asked */
	size_t begun; /* bytes of the next message that are sent */
	uint64_t n_dropped;
	uint32_t next;
	unsigned int n_events;
	const struct relay *relay;
} peers;

static uint8_t scratch[BUFFER_MAX_BYTES] __attribute__((aligned(16)));
static char listener_label[] = "fuzz";

/* What the receiver grants. */
static uint16_t streams;
static uint32_t max_bytes;

/* Return: the bytes from byte @i of all that comes, at most *@len. */
static const uint8_t *bytes_at(uint32_t i, size_t *len)
{
	static uint8_t pattern[PERIOD];

	if (pattern[1] == 0) {
		for (uint32_t at = 0; at < PERIOD; at++)
			pattern[at] = (uint8_t)(at * 167 >> 3);
	}
	i %= PERIOD;
	if (*len > PERIOD - i)
		*len = PERIOD - i;
	return pattern + i;
}

/* The sender */

static void partial_drop(void)
{
	peers.n_dropped += peers.is_partial;
	peers.is_partial = false;
}

/* Is the field there? Later ones some kernels do not have. */
#define HAS(len, type, field) \
	((len) >=             \
	 offsetof(struct type, field) + sizeof(((struct type *)0)->field))

static void change_expect(uint16_t state)
{
	switch (state) {
	case SCTP_SHUTDOWN_COMP:
		partial_drop();
		peers.ended = true;
		break;
	case SCTP_RESTART:
	case SCTP_COMM_LOST:
	case SCTP_CANT_STR_ASSOC:
		peers.ended = true;
		break;
	default:
		break;
	}
}

/* What a notification means to what is on its way. */
static void note_expect(const uint8_t *bytes, size_t len)
{
	union sctp_notification note;

	memset(&note, 0, sizeof(note));
	memcpy(&note, bytes, len < sizeof(note) ? len : sizeof(note));
	if (len < sizeof(note.sn_header) || len < note.sn_header.sn_length)
		return;
	switch (note.sn_header.sn_type) {
	case SCTP_PARTIAL_DELIVERY_EVENT:
		if (HAS(len, sctp_pdapi_event, pdapi_assoc_id))
			partial_drop();
		break;
	case SCTP_SHUTDOWN_EVENT:
		if (!HAS(len, sctp_shutdown_event, sse_assoc_id))
			break;
		partial_drop();
		peers.ended = true;
		break;
	case SCTP_ASSOC_CHANGE:
		if (HAS(len, sctp_assoc_change, sac_assoc_id))
			change_expect(note.sn_assoc_change.sac_state);
		break;
	default:
		break;
	}
}

static int give_note(const struct iovec *iov, int *flags)
{
	uint8_t len = input_byte();

	if (len == 0)
		len = 1; /* 0 is the end */
	input_take(iov->iov_base, len);
	note_expect(iov->iov_base, len);
	*flags = MSG_NOTIFICATION | (input_byte() & 1 ? MSG_EOR : 0);
	return len;
}

static void part_expect(const struct sctp_label *label, size_t len, bool last)
{
	if (!peers.is_partial)
		peers.partial = (struct expected){
			.label = *label,
			.first = peers.next,
		};
	peers.partial.len += len;
	peers.next += (uint32_t)len;
	peers.is_partial = !last;
	if (last)
		peers.messages[peers.n_came++] = peers.partial;
}

static int give_part(const struct iovec *iov, struct sctp_rcvinfo *info,
		     int *flags)
{
	uint8_t *bytes = iov->iov_base;
	struct sctp_label label;
	const uint8_t *from;
	size_t n;
	uint16_t len;
	uint8_t how;

	input_take(&len, sizeof(len));
	if (len == 0)
		len = 1; /* 0 is the end */
	assert(len <= iov->iov_len);
	input_take(info, sizeof(*info));
	how = input_byte();
	info->rcv_sid %= 8;
	label = (struct sctp_label){
		.ppid = info->rcv_ppid,
		.sid = info->rcv_sid,
		.unordered = info->rcv_flags & SCTP_UNORDERED,
	};
	for (uint32_t i = 0; i < len; i += (uint32_t)n) {
		n = len - i;
		from = bytes_at(peers.next + i, &n);
		memcpy(bytes + i, from, n);
	}
	part_expect(&label, len, how & 1);
	*flags = how & 1 ? MSG_EOR : 0;
	return len;
}

/* Of either family, or none, as of an association that is gone. */
static void give_address(struct sockaddr *from, socklen_t *len, uint8_t what)
{
	static const sa_family_t families[] = { AF_UNSPEC, AF_INET, AF_INET6,
						AF_UNIX };
	sa_family_t family = families[what >> 6];

	*len = 0;
	if (family == AF_UNSPEC)
		return;
	*len = family == AF_INET ? sizeof(struct sockaddr_in)
				 : sizeof(struct sockaddr_in6);
	memset(from, what, *len);
	from->sa_family = family;
}

int sctp_recvv(int fd, const struct iovec *iov, int n_iov,
	       struct sockaddr *from, socklen_t *from_len, void *info,
	       socklen_t *info_len, unsigned int *info_type, int *flags)
{
	uint8_t what = input_byte();

	assert(fd == FD_SRC && n_iov == 1);
	assert(*from_len == sizeof(struct sockaddr_storage));
	give_address(from, from_len, what);
	assert(iov->iov_base == scratch && iov->iov_len == sizeof(scratch));
	assert(*info_len == sizeof(struct sctp_rcvinfo));
	assert(!peers.ended);
	check(peers.relay);
	if (++peers.n_events >= EVENTS_MAX || input.left == 0) {
		errno = EAGAIN;
		return -1;
	}
	switch (what % 16) {
	case 0:
		partial_drop();
		peers.ended = true;
		return 0;
	case 1:
		errno = what & 16 ? ECONNRESET : EAGAIN;
		return -1;
	case 2:
	case 3:
	case 4:
		return give_note(iov, flags);
	default:
		*info_type = what == 5 ? SCTP_RECVV_NOINFO : SCTP_RECVV_RCVINFO;
		return give_part(iov, info, flags);
	}
}

/* The receiver */

/* Is it what came next, from byte @peers.begun on? */
static void check_bytes(const struct expected *expected, size_t begin,
			const uint8_t *bytes, size_t len)
{
	const uint8_t *right;
	size_t n;

	assert(begin + len == expected->len);
	for (size_t i = 0; i < len; i += n) {
		n = len - i;
		right = bytes_at(expected->first + (uint32_t)(begin + i), &n);
		assert(memcmp(bytes + i, right, n) == 0);
	}
}

static int send_error(void)
{
	static const int errors[] = { 0, EAGAIN, EPIPE, ECONNRESET, EAGAIN };
	uint8_t which = input_byte();

	return which < ARRAY_SIZE(errors) ? errors[which] : 0;
}

int sctp_sendv(int fd, const struct iovec *iov, int n_iov, struct sockaddr *to,
	       int n_to, void *data, socklen_t data_len, unsigned int type,
	       int flags)
{
	const struct expected *expected = &peers.messages[peers.n_sent];
	const struct sctp_sndinfo *info = data;

	assert((fd == FD_SRC || fd == FD_DST) && !to && n_to == 0);
	assert(type == SCTP_SENDV_SNDINFO && data_len == sizeof(*info));
	assert(flags == MSG_NOSIGNAL && n_iov == 1);
	assert(!peers.closed && peers.n_sent < peers.n_came);
	assert(iov->iov_len <= max_bytes && info->snd_sid < streams);
	assert(info->snd_sid == expected->label.sid);
	assert(info->snd_ppid == expected->label.ppid);
	assert(!(info->snd_flags & SCTP_UNORDERED) ==
	       !expected->label.unordered);
	check_bytes(expected, 0, iov->iov_base, iov->iov_len);
	errno = send_error();
	if (errno && errno != EPIPE)
		return -1;
	peers.n_sent++;
	if (errno == 0)
		return (int)iov->iov_len;
	peers.n_dropped++;
	return -1;
}

ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
	const struct expected *expected = &peers.messages[peers.n_sent];
	uint8_t keep;

	assert(fd == FD_DST && flags == MSG_NOSIGNAL);
	assert(!peers.closed && peers.n_sent < peers.n_came);
	check_bytes(expected, peers.begun, bytes, len);
	errno = send_error();
	peers.closed = errno == EPIPE;
	if (errno)
		return -1;
	keep = input_byte();
	if (keep < len && len > 1)
		len -= keep;
	peers.begun += len;
	if (peers.begun == expected->len) {
		peers.begun = 0;
		peers.n_sent++;
	}
	return (ssize_t)len;
}

/* The relay */

enum mode {
	MODE_MESSAGES,
	MODE_STREAM,
	MODE_ECHO,
	MODE_DISCARD,
	MODE_COUNT,
};

struct relay {
	struct worker worker;
	struct counters counters;
	struct listener *listener;
	struct admission_worker netns_worker;
	struct admission netns;
	struct share share;
	struct sctp_conn conn;
	enum mode mode;
};

static void relay_init(struct relay *relay)
{
	static struct listener listener;
	const struct sctp_limits limits = {
		.streams = streams,
		.in_streams = streams,
		.max_bytes = max_bytes,
	};
	struct sctp_conn *conn = &relay->conn;

	/* For what the limit of log lines holds back. */
	if (timers_reserve(&relay->worker.timers) < 0)
		abort();
	relay->worker.scratch = scratch;
	relay->listener = &listener;
	relay->worker.messages.limit_bytes = (size_t)input_byte() << 12;
	relay->listener->label = listener_label;
	relay->listener->netns = &relay->netns;
	relay->netns.workers = &relay->netns_worker;
	relay->share.listener = relay->listener;
	relay->share.worker = &relay->worker;
	atomic_init(&relay->share.counters, &relay->counters);
	conn->flow.share = &relay->share;
	conn->client = (struct sctp_side){ .fd = FD_SRC, .limits = limits };
	conn->backend = (struct sctp_side){ .fd = FD_DST, .limits = limits };
	if (relay->mode == MODE_STREAM)
		conn->backend.kind = SCTP_SIDE_STREAM;
}

static struct sctp_side *relay_dst(struct relay *relay)
{
	if (relay->mode == MODE_DISCARD)
		return NULL;
	return relay->mode == MODE_ECHO ? &relay->conn.client
					: &relay->conn.backend;
}

static uint64_t count_of(const struct relay *relay, enum counter which)
{
	return atomic_load(&relay->counters.values[which]);
}

/* Return: bytes of memory. */
static size_t check_queue(const struct sctp_queue *queue, size_t limit_bytes)
{
	const struct sctp_message *message = queue->first;
	size_t n = 0, len = 0, size = 0;

	for (; message; message = message->next, n++)
		len += message->len;
	assert(len == queue->bytes);
	assert(peers.closed || n == peers.n_came - peers.n_sent);
	for (message = queue->first; message; message = message->next, n--) {
		const struct expected *expected =
			&peers.messages[peers.n_came - n];
		size_t waits = message->len - message->begin;

		assert(message->begin < message->len);
		assert(message->len <= message->size);
		assert(message->len <= limit_bytes);
		assert(message->label.sid == expected->label.sid);
		check_bytes(expected, expected->len - waits,
			    message->data + message->begin, waits);
		size += message->size;
	}
	return size;
}

static void check(const struct relay *relay)
{
	const struct budget *budget = &relay->netns_worker.messages;
	const struct budget *all = &relay->worker.messages;
	const struct sctp_side *src = &relay->conn.client;
	size_t limit_bytes = relay->mode == MODE_STREAM ? SCTP_MESSAGE_MAX
							: max_bytes;
	size_t size;

	assert(count_of(relay, COUNTER_BYTES_IN) == peers.next);
	assert(count_of(relay, COUNTER_MESSAGES_IN) == peers.n_came);
	if (relay->mode == MODE_DISCARD) {
		assert(!src->partial && !src->queue.first);
		assert(budget->bytes == 0);
		return;
	}
	size = check_queue(&src->queue, limit_bytes);
	assert(!src->partial == !peers.is_partial);
	if (src->partial) {
		assert(src->partial->len == peers.partial.len);
		assert(src->partial->len <= src->partial->size);
		assert(src->partial->size <= limit_bytes);
		assert(src->partial->label.ppid == peers.partial.label.ppid);
		size += src->partial->size;
	}
	assert(budget->bytes == size && all->bytes == size);
	assert(size <= all->limit_bytes / 2);
	assert(peers.closed ||
	       count_of(relay, COUNTER_DROPPED) == peers.n_dropped);
}

/* Return: does it go on? */
static bool step(struct relay *relay)
{
	struct sctp_side *src = &relay->conn.client, *dst = relay_dst(relay);
	enum flow_result result;

	relay->worker.turn++;
	src->readable = true;
	if (dst)
		dst->writable = true;
	result = sctp_pump(&relay->worker, &relay->conn, src, dst);
	if (result == FLOW_FAILED)
		return false;
	if (dst == src && src->eof)
		peers.closed = true;
	check(relay);
	assert(!src->eof || !src->partial);
	if (sctp_side_done(src))
		return false;
	if (dst && dst != src && input_byte() == UINT8_MAX) {
		dst->eof = dst->broken = true;
		peers.closed = true;
	}
	return input.left > 0;
}

static void run(void)
{
	struct relay relay = { .mode = input_byte() % MODE_COUNT };
	struct sctp_side *src = &relay.conn.client;

	streams = input_byte() % 9;
	max_bytes = (uint32_t)input_byte() << 10;
	relay_init(&relay);
	peers.relay = &relay;
	while (step(&relay))
		;
	src->partial =
		sctp_message_free(sctp_conn_budget(&relay.conn), src->partial);
	(void)sctp_queue_clear(sctp_conn_budget(&relay.conn), &src->queue);
	assert(relay.netns_worker.messages.bytes == 0);
	assert(relay.worker.messages.bytes == 0);
	timers_done(&relay.worker.timers);
	free(atomic_load(&relay.counters.reasons));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	log_init("fuzz_sctp", LOG_LEVEL_ERROR);
	memset(&peers, 0, sizeof(peers));
	input.data = data;
	input.left = size;
	run();
	return 0;
}
