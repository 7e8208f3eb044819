/* SPDX-License-Identifier: Apache-2.0 */
/* udp.h - datagrams: a session for each client, answers from where it asked
 *
 * The files: udp.c, the listening sockets; udp_forward.c, the sessions between
 * clients and backends; udp_connect.c, their sockets; udp_ask.c, those that
 * wait for one of berthd's, and udp_held.c, what waits with them;
 * udp_session.c, the sessions' table; udp_batch.c, receiving and sending;
 * udp_address.c, who spoke to whom.
 */
#ifndef RELAY_UDP_UDP_H
#define RELAY_UDP_UDP_H

#include <stdbool.h>
#include <stdint.h>

struct admission;
struct pollable;
struct serving;
struct share;
struct udp_worker;
struct worker;

/** udp_worker_new() - what a worker with UDP listeners needs. NULL: no memory.
 */
struct udp_worker *udp_worker_new(void);
struct udp_worker *udp_worker_free(struct udp_worker *udp);

/** udp_share_open() - Return: 0 or -ENOMEM. */
int udp_share_open(struct worker *worker, struct share *share);

/** udp_share_close() - ends all its sessions */
void udp_share_close(struct worker *worker, struct share *share);

/** udp_share_changed() - share.serving is another one than @old: sessions end
 * unless both name the same backends, to which they are connected alike */
void udp_share_changed(struct worker *worker, struct share *share,
		       const struct serving *old);

/** udp_shed() - ends a session of the namespace that has most of the worker's.
 * Return: false: there is none. */
bool udp_shed(struct worker *worker);

/** udp_shed_netns() - ends an eighth of the sessions that namespace @netns has
 * in this worker, one at least */
void udp_shed_netns(struct worker *worker, const struct admission *netns);

/** udp_flush() - sends the answers that sessions received; to be called after
 * each batch of events. worker.udp must be there. */
void udp_flush(struct worker *worker);

/** udp_listener_handler() - a struct share's handler: receives */
void udp_listener_handler(struct worker *worker, struct pollable *pollable,
			  uint32_t events);

#endif
