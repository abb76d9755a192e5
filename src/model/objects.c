/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Objects by class and line: a bounded list in order; see objects.h. Pure. */
#include "model/objects.h"

#include <string.h>

void objects_reset(struct objects *o)
{
	memset(o->rows, 0, sizeof(o->rows));
	o->n_rows = 0;
	o->births = o->kinds = 0;
	o->is_share = false;
}

void objects_add(struct objects *o, const struct object_row *row)
{
	size_t at = o->n_rows;

	o->births += row->births;
	o->kinds++;
	while (at && o->rows[at - 1].births < row->births)
		at--;
	if (at == OBJECTS_ROWS)
		return;
	if (o->n_rows < OBJECTS_ROWS)
		o->n_rows++;
	memmove(&o->rows[at + 1], &o->rows[at], (o->n_rows - at - 1) * sizeof(o->rows[0]));
	o->rows[at] = *row;
}
