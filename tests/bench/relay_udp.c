// SPDX-License-Identifier: Apache-2.0
/* relay_udp.c - UDP clients inside a namespace: request and reply
 *
 *   relay_udp DIR NAME ADDRESS PORT BYTES CLIENTS WINDOW COUNT
 *
 * Each client is a connected socket and keeps WINDOW requests in flight, a new
 * one for each reply. Datagrams carry a number: a reply that overtakes others
 * says that those are lost, and so does silence. Ends after COUNT replies, or
 * when it takes too long. Prints the replies, the lost ones, and the
 * nanoseconds that all took.
 */
#include "tests/bench/bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>

#define CLIENTS_MAX 1024
#define WINDOW_MAX 64
#define BYTES_MAX 2048
#define SILENCE_MS 200
#define SILENCE_NS (SILENCE_MS * UINT64_C(1000000))
#define TIME_MAX_NS UINT64_C(20000000000)
#define BUFFER_BYTES (4 << 20) /* what is lost is lost by the relay */

struct client {
	int fd;
	uint64_t next; /* number of the next request */
	uint64_t expected; /* number of the next reply */
	uint64_t since_ns; /* last request or reply */
};

static struct client clients[CLIENTS_MAX];
static unsigned int n_clients, window, bytes;
static uint64_t replies, lost;
static char data[WINDOW_MAX][BYTES_MAX];
static struct iovec iov[WINDOW_MAX];
static struct mmsghdr messages[WINDOW_MAX];

static void open_client(struct client *client, struct sockaddr_in *sa)
{
	int size = BUFFER_BYTES;

	client->fd =
		socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	setsockopt(client->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (client->fd < 0 ||
	    connect(client->fd, (struct sockaddr *)sa, sizeof(*sa)) < 0)
		bench_die("connect");
}

/* Fills the window. What the own socket refuses counts as lost, later. */
static void request(struct client *client)
{
	unsigned int n = 0;

	while (client->next < client->expected + window) {
		memcpy(data[n], &client->next, sizeof(client->next));
		iov[n].iov_len = bytes;
		client->next++;
		n++;
	}
	if (n > 0 && sendmmsg(client->fd, messages, n, 0) < 0 &&
	    errno != EAGAIN && errno != ECONNREFUSED && errno != ENOBUFS)
		bench_die("sendmmsg");
}

static void receive(struct client *client)
{
	uint64_t reply;
	int n;

	for (unsigned int i = 0; i < window; i++)
		iov[i].iov_len = BYTES_MAX;
	n = recvmmsg(client->fd, messages, window, 0, NULL);
	for (int i = 0; i < n; i++) {
		memcpy(&reply, data[i], sizeof(reply));
		if (messages[i].msg_len != bytes || reply >= client->next)
			bench_die("a reply that nobody asked for");
		if (reply < client->expected)
			continue; /* late: counted as lost */
		lost += reply - client->expected;
		client->expected = reply + 1;
		replies++;
	}
	request(client);
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
		request(client);
	}
}

static uint64_t run(int epoll_fd, uint64_t count)
{
	struct epoll_event events[64];
	uint64_t begin_ns = bench_now_ns(), now_ns = begin_ns, checked_ns = 0;

	while (replies < count && now_ns - begin_ns < TIME_MAX_NS) {
		int n;

		if (now_ns - checked_ns >= SILENCE_NS / 4) {
			begin_again(now_ns);
			checked_ns = now_ns;
		}
		n = epoll_wait(epoll_fd, events, 64, SILENCE_MS / 4);
		now_ns = bench_now_ns();
		for (int i = 0; i < n; i++) {
			clients[events[i].data.u32].since_ns = now_ns;
			receive(&clients[events[i].data.u32]);
		}
	}
	return now_ns - begin_ns;
}

int main(int argc, char **argv)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	struct epoll_event event = { .events = EPOLLIN };
	uint64_t took_ns;
	int epoll_fd, netns_fd;

	bench_init();
	bench_raise_files();
	if (argc != 9 || inet_pton(AF_INET, argv[3], &sa.sin_addr) != 1)
		bench_die("relay_udp DIR NAME ADDRESS PORT BYTES CLIENTS "
			  "WINDOW COUNT");
	sa.sin_port = htons((uint16_t)bench_number(argv[4]));
	bytes = bench_number(argv[5]);
	n_clients = bench_number(argv[6]);
	window = bench_number(argv[7]);
	if (bytes < sizeof(uint64_t) || bytes > BYTES_MAX ||
	    n_clients > CLIENTS_MAX || window > WINDOW_MAX)
		bench_die("at most %d bytes, %d clients, window %d", BYTES_MAX,
			  CLIENTS_MAX, WINDOW_MAX);
	netns_fd = bench_netns_open(argv[1], argv[2]);
	if (netns_fd < 0)
		bench_die("%s/%s", argv[1], argv[2]);
	bench_netns_enter(netns_fd);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	for (unsigned int i = 0; i < WINDOW_MAX; i++) {
		iov[i].iov_base = data[i];
		messages[i].msg_hdr =
			(struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
	}
	for (unsigned int i = 0; i < n_clients; i++) {
		open_client(&clients[i], &sa);
		event.data.u32 = i;
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, clients[i].fd, &event);
	}
	took_ns = run(epoll_fd, bench_number(argv[8]));
	printf("%llu %llu %llu\n", (unsigned long long)replies,
	       (unsigned long long)lost, (unsigned long long)took_ns);
	return 0;
}
