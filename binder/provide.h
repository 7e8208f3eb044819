/* SPDX-License-Identifier: Apache-2.0 */
/* provide.h - gives namespaces what rules want them to have, and takes it away
 * again
 */
#ifndef BINDER_PROVIDE_H
#define BINDER_PROVIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"
#include "common/netns.h"
#include "common/provision.h"

struct provider;

enum provided_state {
	PROVIDED_ADDED, /* berth has made it */
	PROVIDED_FOUND, /* it is there, and is somebody else's */
	PROVIDED_WAITING, /* it is not there: see the reason */
	PROVIDED_LEAVING, /* berth has made it, and no rule wants it any more */
};

/**
 * struct provided - one thing that a namespace has, or is to have
 * @what:	its names of rules are NULL
 * @ifindex:	0: there is no such interface
 * @ours:	berth has made it, or is about to, and takes it away
 * @error:	positive errno of the last attempt; 0: none failed
 * @reason:	static text: why it waits, or has not left; NULL: it does
 *		neither
 * @next_attempt_us: monotonic; 0: none is due
 */
struct provided {
	struct provision what;
	enum provided_state state;
	uint32_t ifindex;
	bool ours;
	int error;
	const char *reason;
	uint64_t next_attempt_us;
};

/**
 * struct provider_ops - what the provider asks and tells
 * @open_netns:	as of struct binder_ops; -1 in *@ret_fd is refused
 * @note:	writes down, for the next berthd, which addresses of a namespace
 *		are berth's or are about to be; @n may be 0. Return: 0 or
 *		-errno: then nothing is added.
 * @in_use:	does a listener that was closed still have connections on the
 *		address?
 * @due:	something in the namespace is to be tried again:
 *provider_apply() and provider_sweep() are to be called soon
 * @label:	how log lines name the namespace; borrowed
 */
struct provider_ops {
	int (*open_netns)(uint64_t netns_id, int *ret_fd, void *user_data);
	int (*note)(uint64_t netns_id, const struct provided *const *list,
		    size_t n, void *user_data);
	bool (*in_use)(uint64_t netns_id, const struct ip_addr *addr,
		       void *user_data);
	void (*due)(uint64_t netns_id, void *user_data);
	const char *(*label)(uint64_t netns_id, void *user_data);
};

/**
 * provider_new() - has added nothing yet
 * @ops:	borrowed, and so is @user_data: both outlive the provider
 *
 * Return: 0 or -ENOMEM.
 */
int provider_new(struct loop *loop, const struct provider_ops *ops,
		 void *user_data, struct provider **ret_provider);

/** provider_free() - what was added stays in the namespaces. NULL is fine.
 * Return: NULL. */
struct provider *provider_free(struct provider *provider);

/**
 * provider_remember() - an earlier berthd has noted that an address is berth's
 *
 * It is believed only if the kernel says so, too. Return: 0 or -ENOMEM.
 */
int provider_remember(struct provider *provider, uint64_t netns_id,
		      const struct provision *what, uint32_t ifindex);

/** provider_has() - is there anything about the namespace, so that its
 * addresses are to be observed? */
bool provider_has(const struct provider *provider, uint64_t netns_id);

/**
 * provider_apply() - adds what the namespace lacks of @wanted
 * @wanted:	copied; those that are not wanted (provision_is_wanted()) are
 *		passed over
 *
 * To be called before the listeners of the namespace are opened. What failed is
 * tried again, see @due.
 * Return: 0 or -ENOMEM.
 */
int provider_apply(struct provider *provider, const struct netns *netns,
		   const struct provision *wanted, size_t n);

/** provider_sweep() - takes away what berth has added and the last
 * provider_apply() did not want; to be called after the listeners were closed
 */
void provider_sweep(struct provider *provider, const struct netns *netns);

/** provider_forget() - the namespace is gone, and all that is in it */
void provider_forget(struct provider *provider, uint64_t netns_id);

/** provider_forget_others() - forgets all namespaces for which @exists says no
 */
void provider_forget_others(struct provider *provider,
			    bool (*exists)(uint64_t netns_id, void *user_data),
			    void *user_data);

/** provider_next_in() - iterates over what one namespace has or is to have.
 * @previous: NULL to begin. Return: the next one, borrowed; NULL at the end. */
const struct provided *provider_next_in(const struct provider *provider,
					uint64_t netns_id,
					const struct provided *previous);

/** provider_find_in() - what became of @wanted. Return: as above; NULL: nothing
 * yet. */
const struct provided *provider_find_in(const struct provider *provider,
					uint64_t netns_id,
					const struct provision *wanted);

/** provided_state_name() - "added", "found", "waiting", "leaving" */
const char *provided_state_name(enum provided_state state);

#endif
