// SPDX-License-Identifier: Apache-2.0
/* heap.c - the smallest of many keys, O(log n) for each change
 *
 * A binary heap: the children of slot i are in 2i and 2i + 1, and no child's
 * key is smaller than its parent's. Each node knows its slot, so that it can be
 * moved and removed from the middle.
 */
#include "common/heap.h"

#include <assert.h>
#include <stdlib.h>

#include "common/util.h"

#define HEAP_MIN 64

void heap_done(struct heap *heap)
{
	free(heap->nodes);
	*heap = (struct heap){ 0 };
}

int heap_reserve(struct heap *heap)
{
	struct heap_node **nodes;
	size_t size;

	if (heap->reserved + 1 >= heap->size) {
		size = heap->size ? heap->size * 2 : HEAP_MIN;
		nodes = reallocarray(heap->nodes, size,
				     sizeof(struct heap_node *));
		if (!nodes)
			return -ENOMEM;
		heap->nodes = nodes;
		heap->size = size;
	}
	heap->reserved++;
	return 0;
}

void heap_unreserve(struct heap *heap, struct heap_node *node)
{
	heap_remove(heap, node);
	assert(heap->reserved > 0);
	heap->reserved--;
}

static void heap_put(struct heap *heap, size_t slot, struct heap_node *node)
{
	heap->nodes[slot] = node;
	node->slot = (uint32_t)slot;
}

static void heap_up(struct heap *heap, size_t slot, struct heap_node *node)
{
	while (slot > 1 && heap->nodes[slot / 2]->key > node->key) {
		heap_put(heap, slot, heap->nodes[slot / 2]);
		slot /= 2;
	}
	heap_put(heap, slot, node);
}

static void heap_down(struct heap *heap, size_t slot, struct heap_node *node)
{
	size_t child;

	while ((child = slot * 2) <= heap->n) {
		if (child < heap->n &&
		    heap->nodes[child + 1]->key < heap->nodes[child]->key)
			child++;
		if (heap->nodes[child]->key >= node->key)
			break;
		heap_put(heap, slot, heap->nodes[child]);
		slot = child;
	}
	heap_put(heap, slot, node);
}

void heap_set(struct heap *heap, struct heap_node *node, uint64_t key)
{
	uint64_t old_key = node->key;

	node->key = key;
	if (node->slot == 0) {
		assert(heap->n < heap->reserved);
		heap_up(heap, ++heap->n, node);
	} else if (key < old_key) {
		heap_up(heap, node->slot, node);
	} else {
		heap_down(heap, node->slot, node);
	}
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
	struct heap_node *last;
	size_t slot = node->slot;

	if (slot == 0)
		return;
	node->slot = 0;
	last = heap->nodes[heap->n--];
	if (last == node)
		return;
	if (slot > 1 && heap->nodes[slot / 2]->key > last->key)
		heap_up(heap, slot, last);
	else
		heap_down(heap, slot, last);
}
