/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * How many objects of each class of a managed language have outlived collections, at up to 24 moments, each after
 * another full collection than the one before. What grows from one such look to the next is no garbage: somebody holds
 * it. Pure: no clock, no I/O, no names (a class is a number).
 *
 *	full collections	   3	   8	  15	  21	  26
 *	Hash (leak)		 610	1740	2890	4010	5130	grows as fast at the end as at the beginning
 *	String (cache)		2000	6500	8800	9000	9010	dies out: no evidence
 *	Array (requests)	 300	 280	 310	 290	 300	does not rise
 *
 * A cache that is not full at the end looks as a leak does; so this is one kind of evidence, and the verdict asks for
 * two.
 *
 * Where a look tells which of them the looks before it saw too (number), there is another one: what came in the window
 * is still there, nothing older went for it, and as many stayed of what came late as of what came early.
 *
 *	came until look	   8	  15	  21	  26	of these at the last look
 *	Hash (leak)		1130	1150	1120	1120	1130	1150	1120	1120	stay
 *	String (full cache)	 900	 900	 900	 900	   0	 300	 600	 900	are replaced
 *	Array (cache, slow)	 100	 100	 100	 100	 100	 100	 100	 100	but 400 older ones are gone
 *	Set (cache, fills)	4500	2300	 200	  10	4500	2300	 200	  10	come ever fewer
 */
#ifndef MEMPROBE_MODEL_CLASS_LOOKS_H
#define MEMPROBE_MODEL_CLASS_LOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLASS_LOOKS 24
/* With more classes than this nothing is kept. */
#define CLASS_LOOKS_MOST 20000

struct class_count {
	float objects, bytes;
	float came;   /* of these, since the look before */
	float stayed; /* of what came, what the last look still has */
};

struct class_look {
	double t_s;
	double of_s;   /* what was there then and outlived a collection since; t_s, or the time of the look before */
	uint64_t full; /* collections so far */
	double bytes;  /* of all classes */
	struct class_count *v; /* by class; classes that came later had none */
	size_t n;
	uint32_t number; /* of looks that tell what the ones before them saw; 0: it does not */
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
	uint32_t unit_bytes;	/* not 0: it is no number of objects, but of so many bytes of a heap each */
	double until_s;		/* the last look */
	double rate, low, high; /* of the bytes of all classes, per second, 95 % */
	double ratio;		/* of that: slope of the second half of the looks by that of the first */
};

/* A class whose objects came in the window and stay, as many early as late; born 0: none does. */
struct class_stay {
	size_t class;
	uint64_t born;	      /* in the window, and live at the last look */
	uint64_t early, alive; /* came in the first half of the window; of these at the last look */
	uint64_t full;	      /* collections between first and last look */
	double rate;	      /* of the bytes of all such classes, per second */
	double ratio;	      /* of what stays: of what came in the second half by the first */
};

/* Is there something new to see? Full collections are counted from the attach. */
bool class_looks_is_due(const struct class_looks *l, double t_s, uint64_t full);
/* Takes v (malloc'ed). */
void class_looks_add(struct class_looks *l, const struct class_look *look);
/*
 * Of the last look: how many objects of a class each look saw first, by their numbers, up to the one before it. Of one
 * class it may be called more than once: they add up.
 */
void class_looks_count(struct class_looks *l, size_t class, const uint32_t *since);
/* After the warm-up, and over at least half of the window. */
bool class_looks_rise(const struct class_looks *l, double window_s, struct class_rise *out);
/*
 * Is it enough to say that memory grows, where the memory itself does not tell: enough looks, the last near the end of
 * the window?
 */
bool class_rise_decides(const struct class_rise *r, double window_s);
/* As class_looks_rise, and until near the end of the window: a cache may have become full since. */
bool class_looks_stay(const struct class_looks *l, double window_s, struct class_stay *out);
/* Are there enough looks, over the window, to tell by themselves whether something grows? */
bool class_looks_tell(const struct class_looks *l, double window_s);
void class_looks_release(struct class_looks *l);

#endif
