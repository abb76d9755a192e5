/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * Is it growing, and is that a leak? Pure: series and figures of one run in, a word with its reasons out. It says when
 * it does not know.
 *
 * The word of a series comes from its floor (series.h) after the first tenth of the window, by the last half of it:
 *
 *	rises for certain    Sen's slope above 4 KiB/s at 95 %, and tau above 0.6
 *	... as fast as in the first half (ratio above 0.5)	growing
 *	... slower (at most 0.5), and ever slower		levels off: what is left dies out by the ratio
 *	rose in the first half only				levels off: there
 *	no rise, but falls after rises				saw-tooth, if no site rises straight by itself below it
 *	no rise, and none could hide				flat
 *	else							undecided
 *
 * Measured on 34 programs for 60 s: 21 leaks had ratios of 0.51 to 1.23, filling caches 0.06 to 0.33. All caches rise,
 * so the rise alone is no leak. That word needs two independent kinds of evidence:
 *
 *	straight   the floor rises as fast at the end as at the beginning
 *	windows    the site that makes it grew in each of six separate parts of the window (windows.h)
 *	cohort     what lived of that site early in the window still does, where most blocks of others end
 *	history    that site's rate times the age of the process is about what is in use from before the attach
 *
 *	classes    the objects of a class that outlive collections are more after each of several full ones (class_looks.h)
 *	objects    those that came in the window stay, and no older ones went for them (there); of less than a tenth of the growth's
 *	           bytes they say nothing
 *
 * one of the first two and one that says that it stays (cohort, history, objects), or classes and any other; and
 * nothing that speaks against it: a process too young, older blocks of the same size being freed, losses; that it slows
 * down, or, of a heap that is estimated, that the memory does, as an estimate's halves may be alike by chance. Where no
 * site makes half of the growth, several may do together (at most 16): then each of them has to keep what it had and to
 * grow in each part. Where the memory grows and not the heap, the sites are also those of mappings.
 *
 * In brief bursts there is no series of the heap. Where the memory swings then, sites that keep what they make and of
 * which the heap has as many more at the end grow by that, and whether they do so straight is not known.
 *
 * Frees of older blocks are known only while every call is seen. Where that was not so all the time, what replaces them
 * looks like growth of the heap: then what the heap itself tells of it is taken off (heap_rise.h), and where it does
 * not tell, growth is believed as far as the memory grows too.
 *
 * Where garbage is collected, growth says nothing before three full collections; but a cohort does: the blocks of a
 * site stay where those of others end. A heap that stays resident and is filled anew (the JVM's) tells nothing where
 * its memory stands either, before six; unless what has outlived young ones is no more. And the runtime's memory grows
 * in steps, or is hidden by its garbage. What its full collections leave decides then, unless the memory slows down,
 * levels off or shrinks; the sites are those that keep what they make; and where these do not make half of the growth,
 * it is enough that the objects do. What brief bursts tell of a site's blocks is an estimate: where objects are seen to
 * stay, six in ten of them are a cohort.
 */
#ifndef MEMPROBE_MODEL_VERDICT_H
#define MEMPROBE_MODEL_VERDICT_H

#include "model/class_looks.h"
#include "model/series.h"

enum trend_word {
	TREND_UNDECIDED = 0,
	TREND_FLAT,
	TREND_SAW_TOOTH,
	TREND_LEVELS_OFF,
	TREND_SHRINKING,
	TREND_GROWING,
	TREND_LEAK,
};

const char *trend_name(enum trend_word w); /* "LEVELS OFF" */

/* Why nothing could be decided. */
enum trend_doubt {
	DOUBT_NONE = 0,
	DOUBT_SHORT,     /* the window */
	DOUBT_NOISE,     /* growth could hide in it */
	DOUBT_COLLECTED, /* garbage is collected too seldom to tell */
	DOUBT_HELD,	 /* most of the growth is what idle holders have not collected (holders.h) */
	DOUBT_HIDDEN,	 /* memory that stands may be filled: a runtime keeps its heap resident, and has not collected enough */
};

struct growth {
	enum trend_word word; /* never TREND_LEAK */
	enum trend_doubt doubt;
	double rate, low, high; /* of the floor in the last half, bytes per second, 95 % */
	double ratio;           /* slope of the last half by that of the first; negative: the first did not rise */
	double level, seconds;  /* TREND_LEVELS_OFF: ends near so many bytes, nearly there in so many seconds */
	unsigned int falls;     /* after rises, as collections make them */
	double swing;           /* highest - lowest */
	bool slows;             /* the last half: by far, or for certain (the intervals of the slopes lie apart) */
};

void growth_of(const struct series *s, double window_s, struct growth *g);

/* Its live bytes by themselves, when they rise straight and never fall; all 0: they do not, or it is not known. */
struct site_trend {
	double rate, low, high; /* bytes per second, 95 % */
	double ratio;           /* last half by first; negative: not known, as only the heap at both ends tells of the rise */
};

/* A stack. Bytes, blocks. */
struct verdict_site {
	double net_bytes; /* live, less frees of older blocks of its size */
	double live_bytes, old_freed_bytes;
	double blocks, alive;             /* allocated in the window, and live at its end */
	double early_blocks, early_alive; /* that lived early in the window, and still do */
	unsigned int grew_in;             /* of WINDOWS_NR parts of the window */
	struct site_trend alone;
	bool is_mapping; /* not of the heap */
};

/* Separate parts of a window (windows.h). */
#define WINDOWS_NR 6
/* Growth of more sites than this is nobody's. */
#define VERDICT_SITES 16

struct verdict_input {
	const struct series *heap;   /* live - frees of older blocks; empty: not watched */
	const struct series *memory; /* anonymous + shared + swapped */
	double window_s;
	double uptime_s;     /* of the process, at attach; 0: not known */
	double before_bytes; /* in use from before the attach: anonymous memory then */
	double lost_bytes;
	bool counts_older; /* frees of blocks from before the attach were counted all the time */
	bool knows_replaced;   /* they were not, but the heap tells what came in the place of older ones */
	double replaced_bytes; /* ... throughout the window; it is none of the growth that `heap` shows */
	double net_bytes;      /* what lives of all that was made since, less that */
	double heap_deviation; /* of the live bytes at the end, where they are estimates: one standard deviation */
	const struct verdict_site *sites; /* that grew most for certain (stack_grew_more), most first */
	size_t n_sites;
	double blocks, alive; /* of all sites: allocated in the window, and live at its end */
	bool is_collected;                 /* by a runtime */
	bool is_outside;                   /* the runtime's objects are not the heap's: flat, that tells nothing of them */
	bool hides_growth;		   /* a runtime's heap stays resident, and what it keeps may have grown: no collections tell */
	bool counts_collections;           /* somebody counts them; else the falls of the series stand for them */
	unsigned int collections;          /* full ones that were seen */
	struct class_rise classes;	   /* of what a runtime's collections leave; objects 0: no class grew for certain */
	struct class_stay stays;	   /* and which objects stay; born 0: of none it is known */
};

enum verdict_why { WHY_STRAIGHT = 1, WHY_COHORT = 2, WHY_HISTORY = 4, WHY_WINDOWS = 8, WHY_CLASSES = 16, WHY_OBJECTS = 32 };
/* What keeps a growth that looks like a leak from being called one. */
enum verdict_but {
	BUT_YOUNG = 1,
	BUT_RECENT = 2,
	BUT_REPLACES = 4,
	BUT_LOST = 8,
	BUT_NO_SITE = 16,
	BUT_SLOWS = 32,
	BUT_MEMORY_SLOWS = 64, /* and what decided does not show it: an estimate, or what outlives collections */
};

struct verdict {
	enum trend_word word;
	enum trend_doubt doubt;
	bool is_strong; /* three kinds of evidence */
	bool by_heap;   /* the heap decided, not all of the memory */
	bool by_classes; /* what outlives collections did */
	struct growth heap, memory;
	double rate, low, high, level, seconds; /* of the one that decided */
	double ratio;         /* of the one that decided, as in struct growth */
	double uptime_s;      /* as given */
	double site_share;    /* of the growth, 0 to 1: of the first site, or of as many as make half */
	double history_bytes; /* the sites' rate times the age */
	unsigned int why, but; /* bits */
	double need_s;         /* undecided: a window that would be likely to decide, 0: none is known */
};

void verdict_of(const struct verdict_input *in, struct verdict *v);

/*
 * The first sites that make half of what was judged, of those that it may be about: how many, with their places in
 * `out`. 0 when no VERDICT_SITES of them do, or when the first is not to be believed.
 */
size_t verdict_sites(const struct verdict *v, double window_s, const struct verdict_site *sites, size_t n,
		     size_t out[VERDICT_SITES]);

#endif
