// SPDX-License-Identifier: Apache-2.0
/* observed.c - keeps the interfaces and addresses of one struct netns
 *
 * Both arrays are sorted, so that two of them are equal when they hold the same
 * elements, in whatever order these were told.
 *
 * The arrays grow by powers of two, and no capacity is kept beside them: when
 * the count is zero or a power of two, the array is full, and is reallocated
 * for twice the count.
 */
#include "watcher/observed.h"

#include <string.h>

#include "common/util.h"

/* Beyond the limit of the array this many elements are counted; then the
 * listing is cut off, because a hostile namespace can have hundreds of
 * thousands. */
#define COUNTED_MAX 8192

static int compare_links(const void *a, const void *b)
{
	const struct netns_interface *x = a, *y = b;

	return (x->ifindex > y->ifindex) - (x->ifindex < y->ifindex);
}

int observed_compare(const struct netns_address *x,
		     const struct netns_address *y)
{
	int order;

	if (x->ifindex != y->ifindex)
		return x->ifindex < y->ifindex ? -1 : 1;
	if (x->addr.family != y->addr.family)
		return x->addr.family < y->addr.family ? -1 : 1;
	order = memcmp(x->addr.bytes, y->addr.bytes, sizeof(x->addr.bytes));
	if (order)
		return order;
	return (int)x->prefix_bits - (int)y->prefix_bits;
}

static int compare_addresses(const void *a, const void *b)
{
	return observed_compare(a, b);
}

/* Return: the index of @key, if *@ret_found; else where it belongs. */
static size_t search(const void *array, size_t n, size_t size, const void *key,
		     int (*compare)(const void *, const void *),
		     bool *ret_found)
{
	size_t low = 0, high = n;

	*ret_found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare(key, (const char *)array + middle * size);

		if (order == 0) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* Makes room for one more. Return: the array, NULL: out of memory. */
static void *grow(void *array, size_t n, size_t size)
{
	if (n & (n - 1))
		return array;
	return reallocarray(array, n ? 2 * n : 1, size);
}

static struct netns_interface *find_link(const struct netns *netns,
					 uint32_t ifindex, size_t *ret_at)
{
	const struct netns_interface key = { .ifindex = ifindex };
	bool found;

	*ret_at = search(netns->interfaces, netns->n_interfaces, sizeof(key),
			 &key, compare_links, &found);
	return found ? &netns->interfaces[*ret_at] : NULL;
}

static struct netns_address *find_address(const struct netns *netns,
					  const struct netns_address *key,
					  size_t *ret_at)
{
	bool found;

	*ret_at = search(netns->addresses, netns->n_addresses, sizeof(*key),
			 key, compare_addresses, &found);
	return found ? &netns->addresses[*ret_at] : NULL;
}

/* After an element went: one that was left out could take its place. Return:
 * bits. */
static unsigned int may_be_stale(const struct netns *netns)
{
	return netns->addresses_omitted ? OBSERVED_OMITTED : 0;
}

static bool same_link(const struct netns_interface *a,
		      const struct netns_interface *b)
{
	return a->ifindex == b->ifindex && a->up == b->up &&
	       strcmp(a->ifname, b->ifname) == 0;
}

unsigned int observed_link(struct netns *netns,
			   const struct netns_interface *link, size_t max)
{
	struct netns_interface *array, *known;
	size_t at;

	known = find_link(netns, link->ifindex, &at);
	if (known) {
		if (same_link(known, link))
			return 0;
		*known = *link;
		return OBSERVED_CHANGED;
	}
	if (netns->n_interfaces >= max)
		return OBSERVED_OMITTED;
	array = grow(netns->interfaces, netns->n_interfaces, sizeof(*array));
	if (!array)
		return OBSERVED_OMITTED;
	netns->interfaces = array;
	memmove(array + at + 1, array + at,
		(netns->n_interfaces - at) * sizeof(*array));
	array[at] = *link;
	netns->n_interfaces++;
	return OBSERVED_CHANGED;
}

unsigned int observed_link_gone(struct netns *netns, uint32_t ifindex)
{
	size_t at, kept = 0;
	bool is_known;

	is_known = find_link(netns, ifindex, &at) != NULL;
	if (is_known) {
		netns->n_interfaces--;
		memmove(&netns->interfaces[at], &netns->interfaces[at + 1],
			(netns->n_interfaces - at) *
				sizeof(*netns->interfaces));
	}
	for (size_t i = 0; i < netns->n_addresses; i++) {
		if (netns->addresses[i].ifindex != ifindex)
			netns->addresses[kept++] = netns->addresses[i];
	}
	if (!is_known && kept == netns->n_addresses)
		return 0;
	netns->n_addresses = kept;
	return OBSERVED_CHANGED | may_be_stale(netns);
}

static bool same_address(const struct netns_address *a,
			 const struct netns_address *b)
{
	return compare_addresses(a, b) == 0 && a->flags == b->flags &&
	       a->scope == b->scope && a->proto == b->proto;
}

unsigned int observed_address(struct netns *netns,
			      const struct netns_address *address, size_t max)
{
	struct netns_address *array, *known;
	size_t at;

	known = find_address(netns, address, &at);
	if (known) {
		if (same_address(known, address))
			return 0;
		*known = *address;
		return OBSERVED_CHANGED;
	}
	if (netns->n_addresses >= max)
		return OBSERVED_OMITTED;
	array = grow(netns->addresses, netns->n_addresses, sizeof(*array));
	if (!array)
		return OBSERVED_OMITTED;
	netns->addresses = array;
	memmove(array + at + 1, array + at,
		(netns->n_addresses - at) * sizeof(*array));
	array[at] = *address;
	netns->n_addresses++;
	return OBSERVED_CHANGED;
}

unsigned int observed_address_gone(struct netns *netns,
				   const struct netns_address *address)
{
	size_t at;

	if (!find_address(netns, address, &at))
		return may_be_stale(netns);
	netns->n_addresses--;
	memmove(&netns->addresses[at], &netns->addresses[at + 1],
		(netns->n_addresses - at) * sizeof(*netns->addresses));
	return OBSERVED_CHANGED | may_be_stale(netns);
}

void observed_forget(struct netns *netns)
{
	free(netns->interfaces);
	free(netns->addresses);
	netns->interfaces = NULL;
	netns->addresses = NULL;
	netns->n_interfaces = 0;
	netns->n_addresses = 0;
	netns->addresses_omitted = 0;
	netns->addresses_known = false;
}

bool observed_listing_link(struct observed_listing *listing,
			   const struct netns_interface *link)
{
	struct netns *fresh = &listing->fresh;
	struct netns_interface *array;

	if (fresh->n_interfaces >= listing->max) {
		listing->cut_off = ++listing->omitted_interfaces > COUNTED_MAX;
		return !listing->cut_off;
	}
	array = grow(fresh->interfaces, fresh->n_interfaces, sizeof(*array));
	if (!array) {
		listing->failed = true;
		return false;
	}
	fresh->interfaces = array;
	array[fresh->n_interfaces++] = *link;
	return true;
}

bool observed_listing_address(struct observed_listing *listing,
			      const struct netns_address *address)
{
	struct netns *fresh = &listing->fresh;
	struct netns_address *array;

	if (fresh->n_addresses >= listing->max) {
		listing->cut_off = ++fresh->addresses_omitted > COUNTED_MAX;
		return !listing->cut_off;
	}
	array = grow(fresh->addresses, fresh->n_addresses, sizeof(*array));
	if (!array) {
		listing->failed = true;
		return false;
	}
	fresh->addresses = array;
	array[fresh->n_addresses++] = *address;
	return true;
}

/* Sorts, and drops elements that are there twice: point-to-point addresses that
 * differ only in the peer, and elements that moved while the kernel listed
 * them. Return: how many are left. */
static size_t sort_unique(void *array, size_t n, size_t size,
			  int (*compare)(const void *, const void *))
{
	char *bytes = array;
	size_t kept = 0;

	if (n == 0)
		return 0;
	qsort(array, n, size, compare);
	for (size_t i = 1; i < n; i++) {
		if (compare(bytes + kept * size, bytes + i * size) == 0)
			continue;
		kept++;
		if (kept != i)
			memcpy(bytes + kept * size, bytes + i * size, size);
	}
	return kept + 1;
}

static bool same(const struct netns *a, const struct netns *b)
{
	if (a->n_interfaces != b->n_interfaces ||
	    a->n_addresses != b->n_addresses ||
	    a->addresses_omitted != b->addresses_omitted)
		return false;
	for (size_t i = 0; i < a->n_interfaces; i++) {
		if (!same_link(&a->interfaces[i], &b->interfaces[i]))
			return false;
	}
	for (size_t i = 0; i < a->n_addresses; i++) {
		if (!same_address(&a->addresses[i], &b->addresses[i]))
			return false;
	}
	return true;
}

bool observed_listing_apply(struct observed_listing *listing,
			    struct netns *netns)
{
	struct netns *fresh = &listing->fresh;

	fresh->n_interfaces =
		sort_unique(fresh->interfaces, fresh->n_interfaces,
			    sizeof(*fresh->interfaces), compare_links);
	fresh->n_addresses = sort_unique(fresh->addresses, fresh->n_addresses,
					 sizeof(*fresh->addresses),
					 compare_addresses);
	if (netns->addresses_known && same(fresh, netns)) {
		observed_listing_done(listing);
		return false;
	}
	free(netns->interfaces);
	free(netns->addresses);
	netns->interfaces = TAKE_PTR(fresh->interfaces);
	netns->addresses = TAKE_PTR(fresh->addresses);
	netns->n_interfaces = fresh->n_interfaces;
	netns->n_addresses = fresh->n_addresses;
	netns->addresses_omitted = fresh->addresses_omitted;
	netns->addresses_known = true;
	observed_listing_done(listing);
	return true;
}

void observed_listing_done(struct observed_listing *listing)
{
	free(listing->fresh.interfaces);
	free(listing->fresh.addresses);
	*listing = (struct observed_listing){ .max = listing->max };
}
