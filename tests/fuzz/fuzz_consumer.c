// SPDX-License-Identifier: Apache-2.0
/* fuzz_consumer.c - any datagram is a message, or is refused as malformed */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/berth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct berth_message *message = NULL;
	int r = berth_message_parse((const char *)data, size, &message);

	assert(r == 0 ? message != NULL : r == -EBADMSG);
	if (r == 0 && message->type == BERTH_LISTENER)
		assert(message->listener.rule && message->listener.port);
	berth_message_free(message);
	return 0;
}
