// SPDX-License-Identifier: Apache-2.0
/* test_handover.c - connections on their way from worker to worker, while their
 * listener is withdrawn */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <sys/socket.h>

#include "common/util.h"
#include "relay/core/admission.h"
#include "relay/core/admit.h"
#include "relay/core/flow.h"
#include "relay/core/handover.h"
#include "relay/core/listener.h"
#include "relay/core/outbox.h"
#include "relay/core/protocol.h"
#include "relay/core/serving.h"
#include "relay/core/share.h"
#include "relay/core/worker.h"

static const struct log_about test_about = { .rule = "test",
					     .listener = "tcp *:80",
					     .netns = "one" };

/* The worker that is given a connection, and its share. */
static struct relay {
	struct worker worker;
	struct outbox outbox;
	struct admission_worker netns_worker;
	struct admission netns;
	struct serving serving;
	struct listener *listener;
	struct share *share;
	int fds[2]; /* the client, and its accepted end */
	struct flow *flow;
} relay;

static enum flow_result step(struct worker *worker, struct flow *flow)
{
	(void)worker;
	(void)flow;
	return FLOW_WAITS;
}

static void close_sides(struct worker *worker, struct flow *flow, bool reset)
{
	(void)worker;
	(void)flow;
	(void)reset;
	cleanup_close(&relay.fds[1]);
}

static const struct flow_ops flow_ops = {
	.size = sizeof(struct flow),
	.step = step,
	.close = close_sides,
};

static int accepted(struct worker *worker, struct share *share, int fd,
		    const struct sockaddr_storage *from)
{
	(void)from;
	assert_int_equal(fd, relay.fds[1]);
	relay.flow = flow_new(worker, share, &flow_ops);
	assert_non_null(relay.flow);
	return 0;
}

static const struct relay_protocol protocol = {
	.client_fds = 1,
	.accepted = accepted,
	.abort = flow_share_abort,
};

static int set_up(void **state)
{
	(void)state;
	relay = (struct relay){
		.worker = { .epoll_fd = -1, .outbox = &relay.outbox },
		.serving = { .action = SERVICE_DISCARD, .max_connections = 9 },
	};
	atomic_init(&relay.serving.refs, 2);
	assert_int_equal(admission_init(16, 1), 0);
	relay.netns.workers = &relay.netns_worker;
	assert_int_equal(outbox_init(&relay.outbox), 0);
	assert_int_equal(inbox_init(&relay.worker.inbox), 0);
	assert_int_equal(listener_new(1, -1, PROTOCOL_TCP, &test_about, 1,
				      &relay.listener),
			 0);
	relay.listener->ops = &protocol;
	relay.listener->netns = &relay.netns;
	relay.share = &relay.listener->shares[0];
	relay.share->worker = &relay.worker;
	relay.share->serving = &relay.serving;
	relay.share->attached = true;
	atomic_store(&relay.share->open, true);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, relay.fds), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	worker_free_graves(&relay.worker);
	timers_done(&relay.worker.timers);
	inbox_done(&relay.worker.inbox);
	outbox_done(&relay.outbox);
	relay.listener->netns = NULL;
	relay.listener = listener_free(relay.listener);
	cleanup_close(&relay.fds[0]);
	cleanup_close(&relay.fds[1]);
	return 0;
}

static void give(void)
{
	const struct sockaddr_storage from = { .ss_family = AF_UNSPEC };

	assert_true(admit_take(relay.share, NULL));
	assert_int_equal(handover_give(relay.share, relay.fds[1],
				       admit_fds(relay.share), &from),
			 0);
}

static void withdraw(unsigned int more)
{
	share_apply(&relay.worker, relay.share, SHARE_WITHDRAW | more, NULL);
	share_release_done(&relay.worker);
}

static void assert_client_reset(void)
{
	char byte;

	relay.fds[1] = -1; /* it was taken */
	assert_true(recv(relay.fds[0], &byte, 1, MSG_DONTWAIT) <= 0);
	assert_int_not_equal(errno, EAGAIN);
}

/* A rule that goes lets what was accepted finish. */
static void test_withdrawn_on_its_way(void **state)
{
	(void)state;
	give();
	withdraw(0);
	assert_null(outbox_take(&relay.outbox));
	handover_take(&relay.worker);
	assert_non_null(relay.flow);
	share_release_done(&relay.worker);
	assert_null(outbox_take(&relay.outbox));
	flow_end(&relay.worker, relay.flow, /* reset= */ false);
	share_release_done(&relay.worker);
	assert_ptr_equal(outbox_take(&relay.outbox), relay.listener);
}

/* A namespace that goes does not. */
static void test_aborted_on_its_way(void **state)
{
	(void)state;
	give();
	withdraw(SHARE_ABORT);
	errno = 0;
	handover_take(&relay.worker);
	assert_null(relay.flow);
	assert_client_reset();
	share_release_done(&relay.worker);
	assert_ptr_equal(outbox_take(&relay.outbox), relay.listener);
}

static void test_nothing_is_given_to_a_withdrawn_one(void **state)
{
	const struct sockaddr_storage from = { .ss_family = AF_UNSPEC };

	(void)state;
	withdraw(0);
	assert_ptr_equal(outbox_take(&relay.outbox), relay.listener);
	assert_int_equal(handover_give(relay.share, relay.fds[1], 1, &from),
			 -ESHUTDOWN);
	assert_int_equal(atomic_load(&relay.share->n_coming), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_withdrawn_on_its_way,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_aborted_on_its_way, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(
			test_nothing_is_given_to_a_withdrawn_one, set_up,
			tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
