// SPDX-License-Identifier: Apache-2.0
/* fuzz_consumer.c - any bytes as a message of the consumer protocol */
#include <stdint.h>
#include <string.h>

#include "common/util.h"
#include "lib/berth.h"
#include "relay/serving.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct serving *serving = NULL;
	struct berth_message *message;
	const char *problem;

	if (berth_message_parse((const char *)data, size, &message) < 0)
		return 0;
	/* What the relay does with it next. */
	if (message->type == BERTH_LISTENER &&
	    serving_new(&message->listener,
			(enum protocol)(message->id % PROTOCOL_COUNT), &serving,
			&problem) == 0)
		serving = serving_unref(serving);
	message = berth_message_free(message);
	return 0;
}
