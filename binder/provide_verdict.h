/* SPDX-License-Identifier: Apache-2.0 */
/* provide_verdict.h - has a namespace what it is to have? */
#ifndef BINDER_PROVIDE_VERDICT_H
#define BINDER_PROVIDE_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/netns.h"
#include "common/provision.h"

enum provide_verdict {
	PROVIDE_UNKNOWN, /* nothing was observed yet */
	PROVIDE_NO_INTERFACE,
	PROVIDE_ABSENT, /* it lacks it */
	PROVIDE_MARKED, /* it has it, with berth's mark */
	PROVIDE_PRESENT, /* it has it, from somebody else */
	PROVIDE_OTHER_LENGTH, /* it has the address, with another prefix length,
				 from somebody else */
	PROVIDE_MARKED_OTHER_LENGTH, /* the same, with berth's mark */
};

/**
 * provide_judge() - compares what is observed with what is wanted; pure
 * @ifindex:	of the interface; 0: find it by name
 * @ret_ifindex: which one that is; 0 without one
 *
 * Return: the verdict. Loopback that is up is never PROVIDE_MARKED.
 */
enum provide_verdict provide_judge(const struct netns *netns,
				   const struct provision *provision,
				   uint32_t ifindex, uint32_t *ret_ifindex);

#endif
