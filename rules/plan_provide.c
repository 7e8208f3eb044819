// SPDX-License-Identifier: Apache-2.0
/* plan_provide.c - from the rules that hold to what a namespace is to have */
#include "rules/plan_provide.h"

#include <string.h>

#include "common/util.h"

#define HOST_REFUSAL \
	"it is the host's own namespace, where berth never adds anything"
#define LIMIT_REFUSAL                                                  \
	"the rules want more for one namespace than the limit allows " \
	"(64 provisions)"

_Static_assert(PROVISIONS_MAX == 64, "as the text says");

/* The provision that is to be made of those that are the same. */
static struct provision *find_wanted(struct provision *list, size_t n,
				     const struct provision *provision)
{
	for (size_t i = 0; i < n; i++) {
		if (!list[i].winner && provision_same(&list[i], provision))
			return &list[i];
	}
	return NULL;
}

static int add(struct provision **list, size_t *n,
	       const struct provision *provision, const char *rule, bool host)
{
	struct provision *same = find_wanted(*list, *n, provision);
	const char *winner = same ? same->rule : NULL;
	struct provision *grown;

	if (same && same->prefix_bits == provision->prefix_bits) {
		same->rules++;
		return 0;
	}
	/* One more than the limit says that it was reached. */
	if (*n > PROVISIONS_MAX)
		return 0;
	grown = realloc(*list, (*n + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	*list = grown;
	grown += *n;
	*grown = *provision;
	grown->rule = rule;
	grown->rules = 1;
	grown->winner = winner;
	if (host)
		grown->refusal = HOST_REFUSAL;
	else if (*n == PROVISIONS_MAX)
		grown->refusal = LIMIT_REFUSAL;
	(*n)++;
	return 0;
}

int plan_provide(struct provision **list, size_t *n, const struct rule *rule,
		 const struct netns *netns)
{
	int r = 0;

	for (size_t i = 0; i < rule->n_provisions && r == 0; i++)
		r = add(list, n, &rule->provisions[i], rule->name, netns->host);
	return r;
}
