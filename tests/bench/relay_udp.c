// SPDX-License-Identifier: Apache-2.0
/* relay_udp.c - UDP clients inside a namespace: request and reply
 *
 *   relay_udp DIR NAME ADDRESS PORT BYTES FIRST CLIENTS WINDOW COUNT
 *
 * Each client has an address of its own, from FIRST on, and keeps WINDOW
 * requests in flight, a new one for each reply. All of them share one socket
 * and its system calls, so that they cost little beside the relay. Datagrams
 * carry their client and a number: a reply that overtakes others says that
 * those are lost, and so does silence. Ends after COUNT replies, or when it
 * takes too long. Prints the replies, the lost ones, and the nanoseconds that
 * all took.
 */
#include "tests/bench/bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/time.h>

#define CLIENTS_MAX 128
#define BATCH 64
#define BYTES_MAX 2048
#define SILENCE_NS UINT64_C(200000000)
#define WAIT_US 50000
#define TIME_MAX_NS UINT64_C(20000000000)
#define BUFFER_BYTES (4 << 20) /* what is lost is lost by the relay */

struct label {
	uint64_t client;
	uint64_t number;
};

struct client {
	uint64_t next; /* number of the next request */
	uint64_t expected; /* number of the next reply */
	uint64_t since_ns; /* last reply */
};

/* A batch of datagrams, each with its own source address. */
struct batch {
	char data[BATCH][BYTES_MAX];
	char control[BATCH][CMSG_SPACE(sizeof(struct in_pktinfo))]
		__attribute__((aligned(8)));
	struct iovec iov[BATCH];
	struct mmsghdr messages[BATCH];
	unsigned int n;
};

static struct sockaddr_in server = { .sin_family = AF_INET };
static struct client clients[CLIENTS_MAX];
static struct batch requests, answers;
static unsigned int n_clients, window, bytes;
static uint32_t first_addr; /* host byte order */
static uint64_t replies, lost;
static int fd;

static void init_batch(struct batch *batch, bool control)
{
	for (unsigned int i = 0; i < BATCH; i++) {
		batch->iov[i] = (struct iovec){ batch->data[i], BYTES_MAX };
		batch->messages[i].msg_hdr.msg_iov = &batch->iov[i];
		batch->messages[i].msg_hdr.msg_iovlen = 1;
		if (!control)
			continue;
		batch->iov[i].iov_len = bytes;
		batch->messages[i].msg_hdr.msg_name = &server;
		batch->messages[i].msg_hdr.msg_namelen = sizeof(server);
		batch->messages[i].msg_hdr.msg_control = batch->control[i];
		batch->messages[i].msg_hdr.msg_controllen =
			sizeof(batch->control[i]);
	}
}

/* What the own socket refuses counts as lost, later. */
static void flush(void)
{
	if (requests.n > 0 &&
	    sendmmsg(fd, requests.messages, requests.n, 0) < 0 &&
	    errno != EAGAIN && errno != ECONNREFUSED && errno != ENOBUFS)
		bench_die("sendmmsg");
	requests.n = 0;
}

static void request(uint64_t index)
{
	struct client *client = &clients[index];
	struct label label = { index, client->next++ };
	unsigned int n = requests.n++;
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&requests.messages[n].msg_hdr);
	struct in_pktinfo info = {
		.ipi_spec_dst.s_addr = htonl(first_addr + (uint32_t)index),
	};

	cmsg->cmsg_level = IPPROTO_IP;
	cmsg->cmsg_type = IP_PKTINFO;
	cmsg->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(cmsg), &info, sizeof(info));
	memcpy(requests.data[n], &label, sizeof(label));
	if (requests.n == BATCH)
		flush();
}

static void fill_window(uint64_t index)
{
	while (clients[index].next < clients[index].expected + window)
		request(index);
}

static void receive(uint64_t now_ns)
{
	struct client *client;
	struct label label;
	int n = recvmmsg(fd, answers.messages, BATCH, MSG_WAITFORONE, NULL);

	for (int i = 0; i < n; i++) {
		memcpy(&label, answers.data[i], sizeof(label));
		if (answers.messages[i].msg_len != bytes ||
		    label.client >= n_clients ||
		    label.number >= clients[label.client].next)
			bench_die("a reply that nobody asked for");
		client = &clients[label.client];
		client->since_ns = now_ns;
		if (label.number < client->expected)
			continue; /* late: counted as lost */
		lost += label.number - client->expected;
		client->expected = label.number + 1;
		replies++;
		fill_window(label.client);
	}
}

/* Nothing came for long: all that these clients have in flight is lost. */
static void begin_again(uint64_t now_ns)
{
	for (unsigned int i = 0; i < n_clients; i++) {
		struct client *client = &clients[i];

		if (now_ns - client->since_ns < SILENCE_NS)
			continue;
		lost += client->next - client->expected;
		client->expected = client->next;
		client->since_ns = now_ns;
		fill_window(i);
	}
}

static uint64_t run(uint64_t count)
{
	uint64_t begin_ns = bench_now_ns(), now_ns = begin_ns, checked_ns = 0;

	while (replies < count && now_ns - begin_ns < TIME_MAX_NS) {
		if (now_ns - checked_ns >= SILENCE_NS / 4) {
			begin_again(now_ns);
			checked_ns = now_ns;
		}
		flush();
		receive(now_ns);
		now_ns = bench_now_ns();
	}
	return now_ns - begin_ns;
}

static void open_socket(const char *dir, const char *name)
{
	const struct timeval wait = { .tv_usec = WAIT_US };
	int netns_fd = bench_netns_open(dir, name), size = BUFFER_BYTES;

	if (netns_fd < 0)
		bench_die("%s/%s", dir, name);
	bench_netns_enter(netns_fd);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		bench_die("socket");
}

int main(int argc, char **argv)
{
	struct in_addr first;
	uint64_t took_ns;

	bench_init();
	if (argc != 10 || inet_pton(AF_INET, argv[3], &server.sin_addr) != 1 ||
	    inet_pton(AF_INET, argv[6], &first) != 1)
		bench_die("relay_udp DIR NAME ADDRESS PORT BYTES FIRST "
			  "CLIENTS WINDOW COUNT");
	server.sin_port = htons((uint16_t)bench_number(argv[4]));
	bytes = bench_number(argv[5]);
	first_addr = ntohl(first.s_addr);
	n_clients = bench_number(argv[7]);
	window = bench_number(argv[8]);
	if (bytes < sizeof(struct label) || bytes > BYTES_MAX ||
	    n_clients > CLIENTS_MAX)
		bench_die("at most %d bytes, %d clients", BYTES_MAX,
			  CLIENTS_MAX);
	open_socket(argv[1], argv[2]);
	init_batch(&requests, /* control= */ true);
	init_batch(&answers, /* control= */ false);
	took_ns = run(bench_number(argv[9]));
	printf("%llu %llu %llu\n", (unsigned long long)replies,
	       (unsigned long long)lost, (unsigned long long)took_ns);
	return 0;
}
