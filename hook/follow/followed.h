/* SPDX-License-Identifier: Apache-2.0 */
/* followed.h - the containers of one engine: what to ask it, what to tell
 * berthd
 *
 * Pure: events, lists and answers go in, questions and things to tell come out.
 */
#ifndef HOOK_FOLLOW_FOLLOWED_H
#define HOOK_FOLLOW_FOLLOWED_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct engine_ids;
struct followed;

/**
 * struct followed_telling - what berthd is to be told next
 * @id:		of the container
 * @parameters:	of io.berth.Register; NULL: io.berth.Unregister. Borrowed,
 *		until the next call
 */
struct followed_telling {
	const char *id;
	const json_t *parameters;
};

/** followed_new() - Return: 0 or -ENOMEM. */
int followed_new(struct followed **ret_followed);

/** followed_free() - Return: NULL. NULL is fine. */
struct followed *followed_free(struct followed *followed);

/**
 * followed_changed() - an event says that a container may have changed
 *
 * It is asked about before those that a list told of.
 * Return: 0; -ENOMEM; -E2BIG: there are ENGINE_CONTAINERS_MAX already.
 */
int followed_changed(struct followed *followed, const char *id);

/**
 * followed_listed() - these are all the containers that run now
 *
 * All of them are to be asked about; what berthd was told of others is to be
 * taken back, unless an event says that one has changed since.
 * Return: 0; -ENOMEM, -E2BIG: some containers were left out.
 */
int followed_listed(struct followed *followed, const struct engine_ids *ids);

/**
 * followed_ask() - which container is to be asked about next?
 *
 * It is under way then, until followed_answered(), followed_unanswered() or
 * followed_ask_again().
 * Return: its id, borrowed until the next call; NULL: none.
 */
const char *followed_ask(struct followed *followed);

/**
 * followed_answered() - a container is as the engine says now
 * @wanted:	what berthd is to know, taken; NULL: nothing
 *
 * Return: 0; -ENOENT: it was not under way.
 */
int followed_answered(struct followed *followed, const char *id,
		      json_t *wanted);

/** followed_unanswered() - there is no answer of use: a container stays as it
 * was
 */
void followed_unanswered(struct followed *followed, const char *id);

/** followed_ask_again() - all that is under way will have no answer */
void followed_ask_again(struct followed *followed);

/** followed_tell() - Return: is there something to tell? */
bool followed_tell(const struct followed *followed,
		   struct followed_telling *ret_telling);

/**
 * followed_told() - berthd was told what followed_tell() said
 *
 * Also if it refuses: it is not told the same again, unless the container is
 * asked about anew.
 */
void followed_told(struct followed *followed, bool refused);

/** followed_forgotten() - berthd may know nothing any more: all is to be told
 */
void followed_forgotten(struct followed *followed);

/** followed_count() - Return: of how many containers berthd is to know. */
size_t followed_count(const struct followed *followed);

#endif
