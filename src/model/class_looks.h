/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * How many objects of each class of a managed language have outlived collections, at up to 24 moments, each after another full
 * collection than the one before. What grows from one such look to the next is no garbage: somebody holds it. Pure: no clock, no
 * I/O, no names (a class is a number).
 *
 *	full collections	   3	   8	  15	  21	  26
 *	Hash (leak)		 610	1740	2890	4010	5130	grows as fast at the end as at the beginning
 *	String (cache)		2000	6500	8800	9000	9010	dies out: no evidence
 *	Array (requests)	 300	 280	 310	 290	 300	does not rise
 *
 * A cache that is not full at the end looks as a leak does; so this is one kind of evidence, and the verdict asks for two.
 */
#ifndef MEMPROBE_MODEL_CLASS_LOOKS_H
#define MEMPROBE_MODEL_CLASS_LOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLASS_LOOKS 24
/* With more classes than this nothing is kept. */
#define CLASS_LOOKS_MOST 20000

struct class_look {
	double t_s;
	uint64_t full; /* collections so far */
	double bytes;  /* of all classes */
	float *objects; /* by class; classes that came later had none */
	size_t n;
};

/* Empty: all zeros. */
struct class_looks {
	struct class_look v[CLASS_LOOKS];
	size_t n;
	double every_s;
	size_t n_parts; /* the first so many classes are what others are made of, as strings: told where no other grows */
};

/* The class that grew most, if one grew for certain and straight; objects 0: none did. */
struct class_rise {
	size_t class;
	uint64_t objects; /* more of them at the last look than at the first */
	uint64_t full;	  /* collections between these */
	uint32_t looks;
	double until_s;		/* the last look */
	double rate, low, high; /* of the bytes of all classes, per second, 95 % */
	double ratio;		/* of that: slope of the second half of the looks by that of the first */
};

/* Is there something new to see? Full collections are counted from the attach. */
bool class_looks_is_due(const struct class_looks *l, double t_s, uint64_t full);
/* Takes objects (malloc'ed). */
void class_looks_add(struct class_looks *l, const struct class_look *look);
/* After the warm-up, and over at least half of the window. */
bool class_looks_rise(const struct class_looks *l, double window_s, struct class_rise *out);
/* Is it enough to say that memory grows, where the memory itself does not tell: enough looks, the last near the end of the window? */
bool class_rise_decides(const struct class_rise *r, double window_s);
void class_looks_release(struct class_looks *l);

#endif
