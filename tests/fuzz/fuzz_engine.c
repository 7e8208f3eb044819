// SPDX-License-Identifier: Apache-2.0
/* fuzz_engine.c - what an engine sends: lists, containers, events in pieces */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "hook/follow/engine.h"
#include "hook/follow/followed.h"
#include "hook/follow/lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PIECE 7

static void event(const char *text, size_t len, void *user_data)
{
	char id[ENGINE_ID_MAX + 1];

	if (text && engine_event_parse(text, len, id) > 0)
		assert(followed_changed(user_data, id) == 0);
}

/* Asks about all, and believes that none of them runs. */
static void answer_all(struct followed *followed)
{
	const char *id;

	while ((id = followed_ask(followed)))
		assert(followed_answered(followed, id, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct lines lines = { .text = NULL };
	struct engine_container container;
	struct followed *followed;
	struct engine_ids ids;

	assert(followed_new(&followed) == 0);
	for (size_t i = 0; i < size; i += PIECE)
		assert(lines_add(&lines, text + i,
				 size - i < PIECE ? size - i : PIECE, event,
				 followed) == 0);
	lines_done(&lines);
	answer_all(followed);
	if (engine_list_parse(text, size, &ids) == 0) {
		assert(followed_listed(followed, &ids) == 0);
		engine_ids_done(&ids);
	}
	answer_all(followed);
	if (engine_container_parse(text, size, "docker", "ab", &container) ==
	    0) {
		assert(container.running == (container.parameters != NULL));
		engine_container_done(&container);
	}
	followed_free(followed);
	return 0;
}
