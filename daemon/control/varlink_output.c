// SPDX-License-Identifier: Apache-2.0
/* varlink_output.c - what one client is still to be sent
 *
 * A short reply is dumped whole. A list is dumped in pieces, each made when the
 * one before is sent: neither the arrays nor their text ever exist as a whole,
 * and the loop never waits for ten thousand elements.
 *
 * For a client that takes several replies, each piece is a reply of its own
 * that parses alone. For one that does not, the pieces are one long reply.
 * Where each element is to be a reply, a piece has several; the last element is
 * kept back, because only the next one tells that it was not the last of all.
 */
#include "daemon/control/varlink_output.h"

#include <string.h>

#include "common/util.h"
#include "daemon/control/json_write.h"

/* One piece of a list: some 40 listeners, a quarter of a millisecond of work.
 * Half as much costs a tenth more for the system calls, and twice as much
 * delays every event by as much again. */
#define PIECE_BYTES (16 * 1024)

/* Room that is tried first for one element. */
#define ELEMENT_BYTES 1024

static int output_reserve(struct varlink_output *output, size_t len)
{
	size_t capacity = output->capacity ? output->capacity : 512;
	char *data;

	while (capacity - output->len < len)
		capacity *= 2;
	if (capacity == output->capacity)
		return 0;
	data = realloc(output->data, capacity);
	if (!data)
		return -ENOMEM;
	output->data = data;
	output->capacity = capacity;
	return 0;
}

static int output_bytes(struct varlink_output *output, const char *text,
			size_t len)
{
	if (output_reserve(output, len) < 0)
		return -ENOMEM;
	memcpy(output->data + output->len, text, len);
	output->len += len;
	return 0;
}

static int output_text(struct varlink_output *output, const char *text)
{
	return output_bytes(output, text, strlen(text));
}

/* A message ends with a NUL. */
static int output_end(struct varlink_output *output)
{
	return output_bytes(output, "", 1);
}

/* @write: json_write() or json_write_members(). */
static int output_json(struct varlink_output *output, const json_t *json,
		       size_t (*write)(const json_t *json, char *buffer,
				       size_t size))
{
	size_t len = ELEMENT_BYTES, room;

	do {
		if (output_reserve(output, len) < 0)
			return -ENOMEM;
		room = output->capacity - output->len;
		len = write(json, output->data + output->len, room);
	} while (len > room);
	output->len += len;
	return 0;
}

bool varlink_output_pending(const struct varlink_output *output)
{
	return output->sent < output->len ||
	       (output->list_active && !output->list_waits);
}

bool varlink_output_waits(const struct varlink_output *output)
{
	return output->deferred || (output->list_active && output->list_waits &&
				    output->sent == output->len);
}

int varlink_output_reply(struct varlink_output *output, const char *error,
			 json_t *parameters)
{
	json_t *reply = json_pack("{s:s*, s:o}", "error", error, "parameters",
				  parameters);
	int r = reply ? output_json(output, reply, json_write) : -ENOMEM;

	json_decref(reply);
	return r < 0 ? r : output_end(output);
}

static void output_list_done(struct varlink_output *output)
{
	if (output->list_active)
		output->list.free(output->list.state);
	json_decref(output->head);
	json_decref(output->last);
	output->head = output->last = NULL;
	output->list_active = output->list_waits = output->open = false;
}

void varlink_output_done(struct varlink_output *output)
{
	output_list_done(output);
	free(output->data);
	*output = (struct varlink_output){
		.deferred = output->deferred,
		.wake = output->wake,
	};
}

int varlink_output_list(struct varlink_output *output, json_t *head,
			const struct varlink_list *list, bool more)
{
	if (!head) {
		list->free(list->state);
		return -ENOMEM;
	}
	output->list = *list;
	output->head = head;
	output->array = 0;
	output->list_active = true;
	output->list_waits = output->open = output->replied = false;
	output->patient = list->patient;
	output->more = more;
	return 0;
}

/* Begins the array at @output->array. */
static int output_array(struct varlink_output *output, const char *before)
{
	const char *member = output->list.arrays[output->array].member;

	output->first = true;
	if (output_text(output, before) < 0 || output_text(output, "\"") < 0 ||
	    output_text(output, member) < 0)
		return -ENOMEM;
	return output_text(output, "\":[");
}

/* The arrays from @begin to before @end have nothing in this reply. */
static int output_empty_arrays(struct varlink_output *output, size_t begin,
			       size_t end, const char *before,
			       const char *after)
{
	for (size_t i = begin; i < end; i++) {
		if (output_text(output, before) < 0 ||
		    output_text(output, "\"") < 0 ||
		    output_text(output, output->list.arrays[i].member) < 0 ||
		    output_text(output, "\":[]") < 0 ||
		    output_text(output, after) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int output_open(struct varlink_output *output)
{
	if (output_text(output, "{\"parameters\":{") < 0)
		return -ENOMEM;
	if (json_object_size(output->head) > 0 &&
	    (output_json(output, output->head, json_write_members) < 0 ||
	     output_text(output, ",") < 0))
		return -ENOMEM;
	if (output_empty_arrays(output, 0, output->array, "", ",") < 0)
		return -ENOMEM;
	output->open = true;
	return output_array(output, "");
}

/* What the first reply had of other arrays, the next ones do not repeat. */
static int head_drop_arrays(json_t *head)
{
	const char *key;
	json_t *value;

	json_object_foreach (head, key, value) {
		if (json_array_size(value) > 0 &&
		    json_object_set_new(head, key, json_array()) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int output_close(struct varlink_output *output, bool continues)
{
	if (output_text(output, "]") < 0 ||
	    output_empty_arrays(output, output->array + 1,
				output->list.n_arrays, ",", "") < 0 ||
	    output_text(output, continues ? "},\"continues\":true}" : "}}") < 0)
		return -ENOMEM;
	output->open = false;
	output->replied = true;
	if (continues && head_drop_arrays(output->head) < 0)
		return -ENOMEM;
	return output_end(output);
}

static int output_comma(struct varlink_output *output)
{
	bool first = output->first;

	output->first = false;
	return first ? 0 : output_text(output, ",");
}

/* Return: as @next of the array. */
static int output_next_json(struct varlink_output *output)
{
	const struct varlink_array *array = &output->list.arrays[output->array];
	json_t *element = NULL;
	int r = array->next(output->list.state, &element);

	if (r > 0 && (output_comma(output) < 0 ||
		      output_json(output, element, json_write) < 0))
		r = -ENOMEM;
	json_decref(element);
	return r;
}

static int output_next_text(struct varlink_output *output)
{
	const char *text;
	size_t len;
	int r = output->list.next_text(output->list.state, &text, &len);

	if (r > 0 &&
	    (output_comma(output) < 0 || output_bytes(output, text, len) < 0))
		r = -ENOMEM;
	return r;
}

/* Return: 1; 0: all arrays are complete; -EAGAIN; -EOVERFLOW; -ENOMEM. */
static int output_element(struct varlink_output *output)
{
	int r = output->list.next_text ? output_next_text(output)
				       : output_next_json(output);

	if (r == 0 && output->array + 1 < output->list.n_arrays) {
		output->array++;
		return output_array(output, "],") < 0 ? -ENOMEM : 1;
	}
	return r;
}

/* Return: as output_element(), of the last one that was tried. */
static int output_elements(struct varlink_output *output)
{
	int r = 1;

	while (r > 0 && output->len < PIECE_BYTES)
		r = output_element(output);
	return r;
}

/* The list has nothing more for this piece, for now. */
static int output_pause(struct varlink_output *output, size_t begin)
{
	if (!output->more)
		return 0;
	/* The first reply tells a client that its call is heard. */
	if (output->len > begin || !output->replied)
		return output_close(output, /* continues= */ true);
	output->len = 0;
	output->open = false;
	return 0;
}

/* Writes the element that was kept back, as a reply of its own. */
static int output_last(struct varlink_output *output, bool continues)
{
	json_t *last = TAKE_PTR(output->last);
	int r = output_text(output, "{\"parameters\":");

	if (r == 0)
		r = last ? output_json(output, last, json_write)
			 : output_text(output, "{}");
	json_decref(last);
	if (r == 0)
		r = output_text(output,
				continues ? ",\"continues\":true}" : "}");
	return r == 0 ? output_end(output) : r;
}

/* A piece of a list whose elements are replies. */
static int output_fill_alone(struct varlink_output *output)
{
	const struct varlink_array *array = &output->list.arrays[0];
	json_t *element = NULL;
	int r = 1;

	while (r > 0 && output->len < PIECE_BYTES) {
		r = array->next(output->list.state, &element);
		if (r > 0 && output->last &&
		    output_last(output, /* continues= */ true) < 0) {
			json_decref(element);
			return -ENOMEM;
		}
		if (r > 0)
			output->last = element;
	}
	output->list_waits = r == -EAGAIN;
	if (r != 0)
		return r == -ENOMEM ? r : 0;
	r = output_last(output, /* continues= */ false);
	output_list_done(output);
	return r;
}

/* The list ends with an error, behind what it had. */
static int output_break(struct varlink_output *output, size_t begin)
{
	const char *error = NULL;
	json_t *parameters;
	int r = 0;

	if (!output->more)
		return -ENOMEM; /* half a reply cannot become an error */
	if (output->len > begin)
		r = output_close(output, /* continues= */ true);
	else
		output->len = 0;
	parameters = output->list.broken(output->list.state, &error);
	if (r == 0)
		r = varlink_output_reply(output, error, parameters);
	else
		json_decref(parameters);
	output_list_done(output);
	return r;
}

int varlink_output_fill(struct varlink_output *output)
{
	size_t begin;
	int r;

	if (!output->list_active || output->sent < output->len)
		return 0;
	output->len = output->sent = 0;
	if (output->list.each_alone)
		return output_fill_alone(output);
	if (!output->open && output_open(output) < 0)
		return -ENOMEM;
	begin = output->len;
	r = output_elements(output);
	if (r == 0) {
		r = output_close(output, /* continues= */ false);
		output_list_done(output);
		return r;
	}
	if (r == -EOVERFLOW)
		return output_break(output, begin);
	output->list_waits = r == -EAGAIN;
	return r == -ENOMEM ? r : output_pause(output, begin);
}

void varlink_output_wake(struct varlink_output *output)
{
	if (!output->list_active || !output->list_waits)
		return;
	output->list_waits = false;
	if (output->sent == output->len)
		output->wake(output, 0);
}
