// SPDX-License-Identifier: Apache-2.0
/* news.c - what exactly became different in a namespace */
#include "watcher/news.h"

#include <stdlib.h>
#include <string.h>

#include "common/util.h"
#include "watcher/observed.h"

static bool wanted(const struct news_teller *teller, enum news_kind kind)
{
	return teller->wanted && teller->wanted(kind, teller->user_data);
}

static void tell(const struct news_teller *teller, const struct news *news)
{
	if (wanted(teller, news->kind))
		teller->tell(news, teller->user_data);
}

void news_names(const struct news_teller *teller, const struct netns *netns,
		bool is_new)
{
	const struct news news = {
		.kind = is_new ? NEWS_APPEARED : NEWS_NAMED,
		.netns = netns,
	};

	tell(teller, &news);
}

/* Return: 0 or -ENOMEM. */
static int copy_array(const void *array, size_t n, size_t size, void *ret_copy)
{
	void *copy = NULL;

	if (n > 0) {
		copy = reallocarray(NULL, n, size);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, array, n * size);
	}
	memcpy(ret_copy, &copy, sizeof(copy)); /* of whatever type */
	return 0;
}

static void before_done(struct news_before *before)
{
	free(before->netns.interfaces);
	free(before->netns.addresses);
	*before = (struct news_before){ .wanted = false };
}

void news_addresses_before(const struct news_teller *teller,
			   const struct netns *netns,
			   struct news_before *ret_before)
{
	struct news_before before = {
		.netns = { .n_interfaces = netns->n_interfaces,
			   .n_addresses = netns->n_addresses,
			   .addresses_omitted = netns->addresses_omitted },
		.wanted = wanted(teller, NEWS_ADDRESS_THERE) ||
			  wanted(teller, NEWS_ADDRESS_GONE) ||
			  wanted(teller, NEWS_ADDRESSES_OMITTED),
	};

	if (before.wanted && (copy_array(netns->interfaces, netns->n_interfaces,
					 sizeof(*netns->interfaces),
					 &before.netns.interfaces) < 0 ||
			      copy_array(netns->addresses, netns->n_addresses,
					 sizeof(*netns->addresses),
					 &before.netns.addresses) < 0))
		before_done(&before);
	*ret_before = before;
}

/* @there, @was: NULL, or not usable: it is not there, or was not. */
static void tell_address(const struct news_teller *teller,
			 const struct netns *netns,
			 const struct news_before *before,
			 const struct netns_address *there,
			 const struct netns_address *was)
{
	bool is = there && netns_address_usable(there);
	const struct netns_address *address = is ? there : was;
	const struct netns_interface *interface;

	if (is == (was && netns_address_usable(was)))
		return;
	interface = netns_find_interface(is ? netns : &before->netns,
					 address->ifindex);
	tell(teller,
	     &(const struct news){
		     .kind = is ? NEWS_ADDRESS_THERE : NEWS_ADDRESS_GONE,
		     .netns = netns,
		     .address = address,
		     .ifname = interface ? interface->ifname : "",
	     });
}

/* Both lists have the same order. */
static void compare_addresses(const struct news_teller *teller,
			      const struct netns *netns,
			      const struct news_before *before)
{
	const struct netns *old = &before->netns;
	size_t i = 0, j = 0;

	while (i < netns->n_addresses || j < old->n_addresses) {
		const struct netns_address *there = NULL, *was = NULL;
		int order;

		if (i < netns->n_addresses)
			there = &netns->addresses[i];
		if (j < old->n_addresses)
			was = &old->addresses[j];
		order = there && was ? observed_compare(there, was)
			: there	     ? -1
				     : 1;
		tell_address(teller, netns, before, order <= 0 ? there : NULL,
			     order >= 0 ? was : NULL);
		i += order <= 0;
		j += order >= 0;
	}
}

void news_addresses_after(const struct news_teller *teller,
			  const struct netns *netns, struct news_before *before)
{
	const struct news omitted = {
		.kind = NEWS_ADDRESSES_OMITTED,
		.netns = netns,
	};

	if (before->wanted)
		compare_addresses(teller, netns, before);
	if (before->wanted && netns->addresses_omitted > 0 &&
	    before->netns.addresses_omitted == 0)
		tell(teller, &omitted);
	before_done(before);
}

/* How @container relates to one of another list */
typedef bool (*relation)(const struct container *container,
			 const struct container *other);

static bool is_same(const struct container *container,
		    const struct container *other)
{
	return container == other;
}

static bool has_its_name(const struct container *container,
			 const struct container *other)
{
	return container_compare_names(container, other) == 0;
}

static bool is_among(const struct container *container,
		     const struct container *const *list, size_t n,
		     relation relates)
{
	size_t i = 0;

	while (i < n && !relates(container, list[i]))
		i++;
	return i < n;
}

void news_containers(const struct news_teller *teller,
		     const struct netns *netns,
		     const struct container *const *before, size_t n)
{
	struct news news = { .kind = NEWS_CONTAINER_GONE, .netns = netns };

	for (size_t i = 0; wanted(teller, news.kind) && i < n; i++) {
		news.container = before[i];
		if (!is_among(before[i], netns->containers, netns->n_containers,
			      has_its_name))
			tell(teller, &news);
	}
	news.kind = NEWS_CONTAINER_THERE;
	for (size_t i = 0; wanted(teller, news.kind) && i < netns->n_containers;
	     i++) {
		news.container = netns->containers[i];
		if (!is_among(news.container, before, n, is_same))
			tell(teller, &news);
	}
}
