/* SPDX-License-Identifier: Apache-2.0 */
/* questions.h - what single connections of consumers are asked, and answer
 *
 * Which clients a consumer has is asked for part by part, and only when
 * somebody reads on: so nothing of it has to be kept here, however much a
 * consumer has to say.
 */
#ifndef DAEMON_CONSUMERS_QUESTIONS_H
#define DAEMON_CONSUMERS_QUESTIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct consumers;
struct endpoint;
struct questions;
struct service;

/**
 * struct consumer_answer - to a question
 * @error:	0; -ETIMEDOUT: it did not answer; -ENOTCONN: its connection is
 *		over
 * @closed:	there was such a client, and it is reset
 * @connections: an array for consumer_client_parse(), borrowed for the call
 * @next:	where the next part begins; 0: that was all
 */
struct consumer_answer {
	int error;
	bool closed;
	json_t *connections;
	uint64_t next;
};

/**
 * struct consumer_question - the asker's, until it is answered or cancelled
 * @closes:	reset client @number; else list clients
 * @number:	with @closes of the client; else where the part begins, 0 at
 *		first
 * @listener:	list those of this listener only; 0: all
 * @min_age_ms:	list those that are at least so old
 * @answered:	called once from the loop, never from within consumers_ask()
 * @of, @error:	not the asker's
 */
struct consumer_question {
	bool closes;
	uint64_t number;
	uint64_t listener;
	uint64_t min_age_ms;
	void (*answered)(const struct consumer_answer *answer, void *user_data);
	void *user_data;
	struct questions *of;
	int error;
	struct consumer_question *next;
};

/**
 * consumers_ask() - asks one connection
 * @connection:	its number, see consumers_each_connection()
 *
 * A connection is asked one question at a time.
 * Return: 0; -ENOTCONN: it is over; -ETIMEDOUT: it did not answer an earlier
 * question, and is not asked again before it does, or, if it ever answered
 * one, before a while is over.
 */
int consumers_ask(struct consumers *consumers, uint64_t connection,
		  struct consumer_question *question);

/** consumers_cancel() - a question that is not answered is not of interest any
 * more */
void consumers_cancel(struct consumer_question *question);

/**
 * struct consumer_party - a connection of a consumer; borrowed
 * @number:	of no other connection
 */
struct consumer_party {
	const char *consumer;
	pid_t pid;
	uint64_t number;
};

/** consumers_each_connection() - those that get listeners, and those that
 * drain. Return: 0, or what @handler returned. */
int consumers_each_connection(const struct consumers *consumers,
			      int (*handler)(const struct consumer_party *party,
					     void *user_data),
			      void *user_data);

/** consumers_find_connection() - Return: is there one of this number? */
bool consumers_find_connection(const struct consumers *consumers,
			       uint64_t number,
			       struct consumer_party *ret_party);

/**
 * struct consumer_held_listener - a listener that a connection has; borrowed
 * @draining:	berthd closed it, and connections of it may be left
 */
struct consumer_held_listener {
	uint64_t netns_id;
	const struct endpoint *endpoint;
	const struct service *service;
	bool draining;
};

/** consumers_find_held() - the listener @id that connection @number has.
 * Return: does it? */
bool consumers_find_held(const struct consumers *consumers, uint64_t number,
			 uint64_t id, struct consumer_held_listener *ret_held);

#endif
