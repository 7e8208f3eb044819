/* SPDX-License-Identifier: Apache-2.0 */
/* news.h - what exactly became different in a namespace, for who wants to know
 *
 * The rules are applied to namespaces as they are, and whatever changed, only
 * that something did is told. People want to know what. To find out costs
 * something, so it is done only while somebody listens.
 */
#ifndef WATCHER_NEWS_H
#define WATCHER_NEWS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/netns.h"

struct container;

/** enum news_kind - what became different */
enum news_kind {
	NEWS_APPEARED, /* the namespace is new */
	NEWS_NAMED, /* its names are others */
	NEWS_ADDRESS_THERE, /* an address that can be used is there now */
	NEWS_ADDRESS_GONE, /* it is not, or cannot be used any more */
	NEWS_CONTAINER_THERE, /* a container is in it, or was told of anew */
	NEWS_CONTAINER_GONE,
	NEWS_ADDRESSES_OMITTED, /* it has more addresses than are kept */
};

/**
 * struct news - one of these
 * @address, @ifname: of NEWS_ADDRESS_*
 * @container:	of NEWS_CONTAINER_*
 */
struct news {
	enum news_kind kind;
	const struct netns *netns;
	const struct netns_address *address;
	const char *ifname;
	const struct container *container;
};

/**
 * struct news_teller - who wants to know; zero: nobody does
 * @wanted:	does anybody want this kind now?
 * @tell:	borrows all that it is given. Nothing may be changed meanwhile.
 * @user_data:	of watcher_new(); set there
 */
struct news_teller {
	bool (*wanted)(enum news_kind kind, void *user_data);
	void (*tell)(const struct news *news, void *user_data);
	void *user_data;
};

/** news_names() - the namespace is new, or has other names */
void news_names(const struct news_teller *teller, const struct netns *netns,
		bool is_new);

/**
 * struct news_before - the interfaces and addresses of a namespace as they were
 * @wanted:	somebody wants to know; else there is nothing in it
 */
struct news_before {
	struct netns netns;
	bool wanted;
};

/** news_addresses_before() - before they change; without memory nothing is told
 * @ret_before:	for news_addresses_after() */
void news_addresses_before(const struct news_teller *teller,
			   const struct netns *netns,
			   struct news_before *ret_before);

/** news_addresses_after() - tells what became different, and frees @before */
void news_addresses_after(const struct news_teller *teller,
			  const struct netns *netns,
			  struct news_before *before);

/** news_containers() - tells which containers came or were told of anew, and
 * which are gone. @before: the @n that @netns had, which still exist. */
void news_containers(const struct news_teller *teller,
		     const struct netns *netns,
		     const struct container *const *before, size_t n);

#endif
