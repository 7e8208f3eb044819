// SPDX-License-Identifier: Apache-2.0
/* consumers_questions.c - what single connections of consumers are asked, and
 * answer
 *
 * Theory of operation: one question of a connection is on its way at a time,
 * the first of its list; the others wait. A consumer that does not answer in
 * time has one message to read, however often somebody asks: what waits fails
 * then. An answer that comes late only tells that the consumer may be asked
 * again.
 *
 * Who asked is told from the loop: a question that fails is moved to
 * consumers.failed until the timer runs.
 */
#include "daemon/consumers/consumers_internal.h"

#include <assert.h>
#include <errno.h>
#include <utlist.h>

#include "common/util.h"

/* As for counts, see stats.c. */
#define ANSWER_TIMEOUT_US (2 * USEC_PER_SEC)

/* After this a consumer that does not answer is asked again, if it ever did. */
#define ASK_AGAIN_US (10 * USEC_PER_SEC)

static struct consumer_connection *
find_connection(const struct consumers *consumers, uint64_t number)
{
	struct consumer_connection *conn;

	for (conn = connection_first(consumers); conn;
	     conn = connection_next(conn)) {
		if (conn->number == number)
			return conn;
	}
	return NULL;
}

static void put(struct questions *questions, struct consumer_question *question)
{
	question->of = questions;
	LL_APPEND(questions->list, question);
}

static void take(struct consumer_question *question)
{
	struct questions *questions = question->of;

	assert(questions); /* it was put */
	if (questions->asked == question)
		questions->asked = NULL;
	LL_DELETE(questions->list, question);
	question->of = NULL;
}

/* Has the first that waits sent, if no answer is awaited. */
static void ask_next(struct consumer_connection *conn)
{
	struct questions *questions = &conn->questions;

	if (questions->since_us || !questions->list)
		return;
	questions->asked = questions->list;
	questions->request++;
	questions->since_us = monotonic_us();
	questions->queued = true;
	loop_timer_set_earlier(conn->consumer->all->timer,
			       questions->since_us + ANSWER_TIMEOUT_US);
}

static bool is_late(const struct questions *questions, uint64_t now_us)
{
	return questions->since_us &&
	       questions->since_us + ANSWER_TIMEOUT_US <= now_us;
}

/* Return: may the consumer be asked, although it owes an answer for long? */
static bool may_be_asked_again(const struct questions *questions,
			       uint64_t now_us)
{
	return questions->answers && !questions->queued &&
	       questions->since_us + ASK_AGAIN_US <= now_us;
}

int consumers_ask(struct consumers *consumers, uint64_t connection,
		  struct consumer_question *question)
{
	struct consumer_connection *conn =
		find_connection(consumers, connection);
	uint64_t now_us = monotonic_us();

	if (!conn)
		return -ENOTCONN;
	if (is_late(&conn->questions, now_us)) {
		if (!may_be_asked_again(&conn->questions, now_us))
			return -ETIMEDOUT;
		conn->questions.since_us = 0;
	}
	put(&conn->questions, question);
	ask_next(conn);
	return 0;
}

void consumers_cancel(struct consumer_question *question)
{
	take(question);
}

/* Failures */

static void fail_all(struct consumer_connection *conn, int error)
{
	struct consumers *consumers = conn->consumer->all;
	struct consumer_question *question;

	while ((question = conn->questions.list)) {
		take(question);
		question->error = error;
		put(&consumers->failed, question);
		loop_timer_set_earlier(consumers->timer,
				       loop_now_us(consumers->loop));
	}
}

void questions_lost(struct consumer_connection *conn)
{
	fail_all(conn, -ENOTCONN);
}

void questions_timeout(struct consumer_connection *conn)
{
	const struct questions *questions = &conn->questions;

	if (is_late(questions, monotonic_us()))
		fail_all(conn, -ETIMEDOUT);
	else if (questions->since_us)
		loop_timer_set_earlier(conn->consumer->all->timer,
				       questions->since_us + ANSWER_TIMEOUT_US);
}

void questions_tell_failed(struct consumers *consumers)
{
	struct consumer_question *question;

	while ((question = consumers->failed.list)) {
		const struct consumer_answer answer = {
			.error = question->error,
		};

		take(question);
		question->answered(&answer, question->user_data);
	}
}

/* What is sent, and comes back */

bool questions_fmt(struct consumer_connection *conn,
		   char buffer[static CONSUMER_QUESTION_MAX])
{
	struct questions *questions = &conn->questions;
	const struct consumer_question *asked = questions->asked;

	if (!asked) { /* it was cancelled */
		questions->queued = false;
		questions->since_us = 0;
		ask_next(conn);
		asked = questions->asked;
	}
	if (!asked)
		return false;
	if (asked->closes)
		consumer_close_fmt(questions->request, asked->number, buffer);
	else
		consumer_connections_fmt(questions->request, asked->number,
					 asked->min_age_ms, asked->listener,
					 buffer);
	return true;
}

void questions_answered(struct consumer_connection *conn,
			struct consumer_reply *reply)
{
	struct questions *questions = &conn->questions;
	struct consumer_question *asked = questions->asked;
	const struct consumer_answer answer = {
		.closed = reply->closed,
		.connections = reply->connections,
		.next = reply->cursor,
	};
	bool closes = reply->type == CONSUMER_REPLY_CLOSED;

	if (!questions->since_us || questions->queued ||
	    reply->request != questions->request ||
	    (asked && asked->closes != closes) ||
	    (asked && closes && asked->number != reply->cursor))
		return; /* nobody asked that */
	questions->since_us = 0;
	questions->answers = true;
	if (asked)
		take(asked);
	ask_next(conn);
	if (asked)
		asked->answered(&answer, asked->user_data);
}

/* Connections, and what they have */

static struct consumer_party party_of(const struct consumer_connection *conn)
{
	return (struct consumer_party){
		.consumer = conn->consumer->name,
		.pid = conn->peer.pid,
		.number = conn->number,
	};
}

int consumers_each_connection(const struct consumers *consumers,
			      int (*handler)(const struct consumer_party *party,
					     void *user_data),
			      void *user_data)
{
	const struct consumer_connection *conn;
	int r = 0;

	for (conn = connection_first(consumers); conn && r == 0;
	     conn = connection_next(conn)) {
		const struct consumer_party party = party_of(conn);

		r = handler(&party, user_data);
	}
	return r;
}

bool consumers_find_connection(const struct consumers *consumers,
			       uint64_t number,
			       struct consumer_party *ret_party)
{
	const struct consumer_connection *conn =
		find_connection(consumers, number);

	if (conn)
		*ret_party = party_of(conn);
	return conn;
}

bool consumers_find_held(const struct consumers *consumers, uint64_t number,
			 uint64_t id, struct consumer_held_listener *ret_held)
{
	const struct consumer_connection *conn =
		find_connection(consumers, number);
	const struct withdrawal *withdrawal;
	const struct delivery *delivery;

	if (!conn)
		return false;
	withdrawal = withdrawals_find(&conn->withdrawals, id);
	if (withdrawal) {
		*ret_held = (struct consumer_held_listener){
			.netns_id = withdrawal->netns_id,
			.endpoint = &withdrawal->endpoint,
			.service = withdrawal->service,
			.draining = true,
		};
		return true;
	}
	delivery = consumer_delivery(conn, id);
	if (!delivery || !delivery->sent)
		return false;
	*ret_held = (struct consumer_held_listener){
		.netns_id = delivery->listener->netns_id,
		.endpoint = &delivery->listener->endpoint,
		.service = delivery->listener->service,
	};
	return true;
}
