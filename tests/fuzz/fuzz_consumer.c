// SPDX-License-Identifier: Apache-2.0
/* fuzz_consumer.c - any bytes as a message of the consumer protocol, to the
 * relay and to berthd */
#include <stdint.h>
#include <string.h>

#include "common/util.h"
#include "daemon/consumers/consumer_message.h"
#include "daemon/consumers/stats_counts.h"
#include "lib/berth.h"
#include "relay/core/serving.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void to_berthd(const char *text, size_t size)
{
	struct consumer_reply reply;
	struct berth_counts counts, sum = { 0 };
	uint64_t id;

	if (consumer_reply_parse(text, size, &reply) < 0)
		return;
	stats_counts_add(&sum, &reply.counts);
	while (consumer_reply_next(&reply, &id, &counts) > 0)
		stats_counts_add(&sum, &counts);
	json_decref(stats_counts_json(&sum));
	consumer_reply_done(&reply);
}

static void to_relay(const char *text, size_t size)
{
	struct serving *serving = NULL;
	struct berth_message *message;
	const char *problem;

	if (berth_message_parse(text, size, &message) < 0)
		return;
	/* What the relay does with it next. */
	if (message->type == BERTH_LISTENER &&
	    serving_new(&message->listener,
			(enum protocol)(message->id % PROTOCOL_COUNT), &serving,
			&problem) == 0)
		serving = serving_unref(serving);
	message = berth_message_free(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	to_relay((const char *)data, size);
	to_berthd((const char *)data, size);
	return 0;
}
