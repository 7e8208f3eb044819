/* SPDX-License-Identifier: Apache-2.0 */
/* varlink_output.h - what one client is still to be sent */
#ifndef DAEMON_CONTROL_VARLINK_OUTPUT_H
#define DAEMON_CONTROL_VARLINK_OUTPUT_H

#include "daemon/control/varlink.h"

/**
 * struct varlink_output - the text, and the list that makes more of it
 * @data:	@len bytes, of which @sent are on their way already
 * @list:	valid while @list_active
 * @head:	of the list: the reply's parameters that are not its arrays
 * @last:	of a list with @each_alone: the element that was made last, and
 *		is not written yet; or NULL
 * @array:	which array the next element comes from
 * @more:	the client takes several replies to the call
 * @open:	the text has the beginning of a reply, and not its end
 * @replied:	of several replies the first is made
 * @first:	the array of that reply is empty so far
 * @list_waits:	the list said -EAGAIN
 * @patient:	what is left of such a list may be read at any time
 * @deferred:	a call whose reply comes later, or NULL
 * @extra_us:	how much longer than others that reply may take
 * @wake:	called when there is something to send after a wait; with
 *		-ENOMEM when there cannot be: the connection is to be ended
 */
struct varlink_output {
	char *data;
	size_t len;
	size_t sent;
	size_t capacity;
	struct varlink_list list;
	json_t *head;
	json_t *last;
	size_t array;
	bool list_active;
	bool more;
	bool open;
	bool replied;
	bool first;
	bool list_waits;
	bool patient;
	struct varlink_call *deferred;
	uint64_t extra_us;
	void (*wake)(struct varlink_output *output, int result);
};

/** varlink_output_pending() - Return: is there something to send now? */
bool varlink_output_pending(const struct varlink_output *output);

/** varlink_output_waits() - Return: is there nothing to send now, although the
 * reply is not complete? */
bool varlink_output_waits(const struct varlink_output *output);

/**
 * varlink_output_reply() - adds one whole reply
 * @error:	the full name, or NULL
 * @parameters:	taken; NULL is out of memory
 * Return: 0 or -ENOMEM.
 */
int varlink_output_reply(struct varlink_output *output, const char *error,
			 json_t *parameters);

/**
 * varlink_output_list() - has a list follow
 * @head:	taken; NULL is out of memory
 * @list:	copied; its state is taken, and freed also on failure
 * @more:	as several replies
 * Return: 0 or -ENOMEM.
 */
int varlink_output_list(struct varlink_output *output, json_t *head,
			const struct varlink_list *list, bool more);

/**
 * varlink_output_fill() - makes the next piece of the list, if all before is
 * sent
 * Return: 0, also without a list; -ENOMEM: the reply cannot be finished.
 */
int varlink_output_fill(struct varlink_output *output);

/** varlink_output_done() - frees what is to be sent; a deferred call stays */
void varlink_output_done(struct varlink_output *output);

#endif
