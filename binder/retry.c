// SPDX-License-Identifier: Apache-2.0
/* retry.c - the binder's waiting rows, the earliest attempt first
 *
 * A binary heap; each row knows its place, so that it can be moved and removed
 * in O(log n) as well.
 */
#include "binder/binder_internal.h"
#include "common/util.h"

#define HEAP_MIN 16

int binder_heap_reserve(struct binder_heap *heap, size_t n)
{
	size_t allocated = heap->allocated ? heap->allocated : HEAP_MIN;
	struct binder_row **rows;

	if (n <= heap->allocated)
		return 0;
	while (allocated < n)
		allocated *= 2;
	rows = reallocarray(heap->rows, allocated, sizeof(struct binder_row *));
	if (!rows)
		return -ENOMEM;
	heap->rows = rows;
	heap->allocated = allocated;
	return 0;
}

static bool heap_earlier(const struct binder_row *a, const struct binder_row *b)
{
	return a->listener.next_attempt_us < b->listener.next_attempt_us;
}

static void heap_set(struct binder_heap *heap, size_t i, struct binder_row *row)
{
	heap->rows[i] = row;
	row->heap_index = i;
}

static void heap_up(struct binder_heap *heap, size_t i)
{
	struct binder_row *row = heap->rows[i];

	while (i > 0 && heap_earlier(row, heap->rows[(i - 1) / 2])) {
		heap_set(heap, i, heap->rows[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	heap_set(heap, i, row);
}

static void heap_down(struct binder_heap *heap, size_t i)
{
	struct binder_row *row = heap->rows[i];
	size_t child;

	while ((child = 2 * i + 1) < heap->n) {
		if (child + 1 < heap->n &&
		    heap_earlier(heap->rows[child + 1], heap->rows[child]))
			child++;
		if (!heap_earlier(heap->rows[child], row))
			break;
		heap_set(heap, i, heap->rows[child]);
		i = child;
	}
	heap_set(heap, i, row);
}

void binder_heap_put(struct binder_heap *heap, struct binder_row *row)
{
	if (row->heap_index == BINDER_NOT_QUEUED)
		heap_set(heap, heap->n++, row);
	heap_up(heap, row->heap_index);
	heap_down(heap, row->heap_index);
}

void binder_heap_remove(struct binder_heap *heap, struct binder_row *row)
{
	size_t i = row->heap_index;

	if (i == BINDER_NOT_QUEUED)
		return;
	row->heap_index = BINDER_NOT_QUEUED;
	if (i == --heap->n)
		return;
	heap_set(heap, i, heap->rows[heap->n]);
	heap_up(heap, i);
	heap_down(heap, heap->rows[i]->heap_index);
}
