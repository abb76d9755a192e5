/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The budget at work; see budget.h. Time is an argument, except where turning the gate takes it. */
#include "app/budget.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/cpu_clock.h"
#include "app/payers.h"
#include "app/spare.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/roots.h"
#include "base/units.h"
#include "base/xalloc.h"
#include "kern/calibrate.h"
#include "proc/process.h"

/* The cost from outside is read for no more processes than this. */
#define MAX_LOOKED_AT 64

/* The cost is looked at so often; in a burst more often, as a burst is short. */
#define TICK_NS (20 * NS_PER_MS)
#define BURST_TICK_NS (3 * NS_PER_MS)
/* Of all CPUs together, when the whole machine is watched. */
#define MACHINE_BUDGET 0.02
/* Between bursts, frees have emptied the purse so far below what a burst leaves: they cost too much. */
#define FREES_DEBT_SECONDS (-0.04)
/* Open for so long: the load has gone, and every call can be watched again. */
#define CALM_NS (10 * NS_PER_S)
#define CALM_SHARE 0.5
/* So long after the first burst, what bursts cost and what the program does without them is known. */
#define TRIED_NS NS_PER_S
/* What a new process has in its purse: the budget of a CPU for so long. What it uses is not yet known. */
#define START_SECONDS 0.25
/* Less own work beside so much cost cannot be told. */
#define LEAST_WORK_BY_COST 0.01
/* Typical work of ours in a call beside the traps; for predictions, before it has been measured. */
#define EXACT_WORK_S 1.2e-6
#define FREE_WORK_S 0.35e-6
#define ENTRY_WORK_S 0.15e-6

struct budget {
	struct kern *kern;
	struct profile *profile;
	bool is_auto;
	double max_overhead;
	struct kern_trap_cost trap;
	struct payers procs;
	enum rung rung;
	uint64_t armed_ns, last_tick_ns, last_change_ns;
	unsigned int n_changes;
	/* bursts */
	bool is_shut;
	uint64_t since_ns;	/* of the gate's last turn */
	uint64_t first_burst_ns, open_ns; /* when; how long it was open */
	struct ladder_share share;
	double fill;		/* open when the purses are so full, 0.75 to 1: no rhythm of the target's is met */
	/* whole machine: all CPUs as if they were one process, with a budget of their own */
	struct ladder_purse machine;
	double machine_cpus; /* 0: not the whole machine */
	struct spare *spare;
	/* over the run */
	double work_s, cost_s;
	double taken_s; /* by others: what the targets could not have had */
	double cpu_before, delay_before; /* of the targets at arming, per second of their lives */
	bool has_delay;
	char text[128];
};

struct budget *budget_new(struct kern *k, const struct options *o, struct profile *profile)
{
	struct budget *b = xcalloc(1, sizeof(*b));
	struct profile_watch *w = &profile->watch;

	b->kern = k;
	b->profile = profile;
	b->is_auto = o->sample_auto;
	b->max_overhead = o->max_overhead;
	b->rung = o->sample_bytes ? RUNG_SAMPLED : RUNG_EXACT;
	b->fill = 0.9;
	b->machine_cpus = options_whole_machine(o) ? (double)sysconf(_SC_NPROCESSORS_ONLN) : 0;
	b->spare = spare_new(PROC_ROOT);
	kern_calibrate(k, &b->trap);
	kern_set_costs(k, b->trap.entry_ns, b->trap.pair_ns - b->trap.entry_ns,
		       b->trap.stepped_ns - b->trap.entry_ns);
	kern_set_sampling(k, o->sample_bytes);
	kern_count_old_frees(k, !o->sample_bytes);
	*w = (struct profile_watch){
		.rung = b->rung, .interval_bytes = o->sample_bytes, .is_fixed = !o->sample_auto,
		.budget = o->max_overhead, .open_share = 1, .cpu_before = -1, .cpu_armed = -1,
		.delay_before = -1, .delay_armed = -1,
	};
	return b;
}

void budget_free(struct budget *b)
{
	if (!b)
		return;
	payers_release(&b->procs);
	spare_free(b->spare);
	free(b);
}

/* ---- measuring ---- */

static struct payer *payer_of(struct budget *b, uint32_t gen)
{
	return payers_get(&b->procs, b->profile, gen, b->max_overhead * START_SECONDS);
}

struct step {
	struct budget *b;
	uint64_t now_ns;
	double dt;
	struct ladder_step all;
	double allocs;
};

/* The work may be below 0: the clock of a running process lags by up to a tick. */
static void step_figures(struct step *s, struct payer *w, const struct mp_proc_totals *t, double cpu)
{
	struct budget *b = s->b;
	double spent = (double)(t->spent_ns - w->last.spent_ns) * 1e-9;
	double allocs = (double)(t->alloc_calls - w->last.alloc_calls);
	double frees = (double)(t->free_calls - w->last.free_calls);

	ladder_purse_step(&w->purse, b->max_overhead, b->rung, s->dt, cpu, spent);
	w->load = (struct ladder_load){
		.allocs = allocs / s->dt, .frees = frees / s->dt,
		.capped_bytes = (double)(t->capped_bytes - w->last.capped_bytes) / s->dt,
		.work = cpu > spent ? (cpu - spent) / s->dt : 0,
		.waiting = w->purse.waiting, .taken = w->purse.taken,
	};
	s->all.cpu += cpu;
	s->all.spent += spent;
	ladder_step_add_calls(&s->all, allocs + frees, w->last.own_heap_bytes, t->own_heap_bytes);
	s->allocs += allocs;
	s->all.waiting += w->purse.waiting * s->dt;
	s->all.taken += w->purse.taken * s->dt;
	s->all.busy += (cpu + w->purse.waiting * s->dt) * (w->purse.busiest > 0 ? w->purse.busiest : 1);
}

/* One that works little may be one that gets no CPU. */
static void look_at_spare(struct budget *b, struct payer *w, uint64_t now_ns, uint64_t cpu_ns)
{
	struct spare_found f;

	if (!spare_look(b->spare, &w->spare, w->tgid, now_ns, cpu_ns, &f))
		return;
	ladder_purse_waited(&w->purse, f.dt, f.waited, f.taken);
	w->purse.busiest = f.busiest;
	w->load.waiting = w->purse.waiting;
	w->load.taken = w->purse.taken;
}

static void step_process(void *ctx, uint32_t gen, const struct mp_proc_totals *t)
{
	struct step *s = ctx;
	struct payer *w = payer_of(s->b, gen);
	uint64_t cpu_ns;

	if (!w || w->is_forgotten)
		return;
	cpu_ns = cpu_clock_ns(w->tgid);
	if (w->is_known && cpu_ns >= w->last_cpu_ns && s->dt > 0)
		step_figures(s, w, t, (double)(cpu_ns - w->last_cpu_ns) * 1e-9);
	if (s->b->procs.n <= MAX_LOOKED_AT && (!w->is_known || w->purse.work < LADDER_LEAST_WORK))
		look_at_spare(s->b, w, s->now_ns, cpu_ns);
	if (!cpu_ns) /* it has ended: no debt keeps the others waiting */
		ladder_purse_fill(&w->purse, s->b->max_overhead, s->b->rung);
	w->last = *t;
	w->last_cpu_ns = cpu_ns;
	w->is_known = true;
}

static void measure(struct budget *b, uint64_t now_ns)
{
	struct step s = { .b = b, .now_ns = now_ns, .dt = (double)(now_ns - b->last_tick_ns) * 1e-9 };
	double before = b->cost_s, spent;

	kern_read_procs(b->kern, step_process, &s);
	b->work_s += s.all.cpu - s.all.spent;
	b->cost_s += s.all.spent;
	b->taken_s += s.all.taken;
	kern_watched_note(b->kern, s.allocs);
	s.all.dt = s.dt;
	if (b->first_burst_ns)
		ladder_share_step(&b->share, !b->is_shut, &s.all);
	b->last_tick_ns = now_ns;
	spent = b->cost_s - before;
	if (b->machine_cpus > 0)
		ladder_purse_step(&b->machine, MACHINE_BUDGET, b->rung, s.dt, b->machine_cpus * s.dt + spent, spent);
}

void budget_forget(struct budget *b, uint32_t gen)
{
	struct payer *w = payer_of(b, gen);

	if (!w)
		return;
	w->is_forgotten = true;
	w->load = (struct ladder_load){ 0 };
	ladder_purse_fill(&w->purse, b->max_overhead, b->rung);
	if (!b->first_burst_ns && b->is_auto && !b->is_shut && !b->n_changes)
		b->rung = RUNG_EXACT;
}

/* ---- before arming ---- */

void budget_count_begin(struct budget *b, uint64_t now_ns)
{
	measure(b, now_ns);
	kern_count_calls(b->kern);
}

static struct ladder_costs costs_of(const struct budget *b)
{
	return (struct ladder_costs){
		.exact_s = b->trap.pair_ns * 1e-9 + EXACT_WORK_S,
		.not_drawn_s = b->trap.entry_ns * 1e-9 + ENTRY_WORK_S,
		.free_s = b->trap.entry_ns * 1e-9 + FREE_WORK_S,
	};
}

static void describe_choice(struct budget *b, const struct ladder_load *l, double cost)
{
	char rate[32];

	units_format_count(rate, (uint64_t)(l->allocs + l->frees));
	if (rung_is_gated(b->rung))
		snprintf(b->text, sizeof(b->text), "; %s calls/s: watched in bursts, within %.3g %% of its CPU", rate,
			 b->max_overhead * 100);
	else if (l->work < ladder_counted_work(l->work, l->taken))
		snprintf(b->text, sizeof(b->text), "; %s calls/s, est. %.1f %% of one CPU", rate, cost * 100);
	else
		snprintf(b->text, sizeof(b->text), "; %s calls/s%s, est. %.0f %% of its CPU (budget %.0f %%)", rate,
			 b->rung == RUNG_SAMPLED ? ", sampled" : "",
			 cost / (l->work > 0 ? l->work : 1) * 100, b->max_overhead * 100);
}

/* The process that is worst off decides; *all: the sum, for the armed line. */
static void choose_rung(struct budget *b, const struct ladder_costs *c, struct ladder_load *all)
{
	uint32_t interval, most = 0;
	enum rung r;
	size_t i;

	for (i = 0; i < b->procs.n; i++) {
		const struct ladder_load *l = &b->procs.v[i].load;

		all->allocs += l->allocs;
		all->frees += l->frees;
		all->capped_bytes += l->capped_bytes;
		all->work += l->work;
		all->waiting += l->waiting;
		all->taken += l->taken;
		if (!b->is_auto)
			continue;
		r = ladder_choose(l, c, b->max_overhead, &interval);
		b->rung = r > b->rung ? r : b->rung;
		most = interval > most ? interval : most;
	}
	if (b->machine_cpus > 0 && b->is_auto) {
		struct ladder_load machine = *all;

		machine.work = b->machine_cpus;
		r = ladder_choose(&machine, c, MACHINE_BUDGET, &interval);
		b->rung = r > b->rung ? r : b->rung;
		most = interval > most ? interval : most;
	}
	if (b->is_auto)
		b->profile->watch.interval_bytes = b->rung == RUNG_SAMPLED ? most : 0;
}

const char *budget_choose(struct budget *b, uint64_t now_ns)
{
	measure(b, now_ns);
	return budget_choose_again(b);
}

double budget_calls(const struct budget *b, uint32_t gen)
{
	const struct payer *w = payers_find(&b->procs, gen);

	return w ? w->load.allocs + w->load.frees : 0;
}

const char *budget_choose_again(struct budget *b)
{
	const struct ladder_costs c = costs_of(b);
	struct ladder_load all = { 0 };
	struct profile_watch *w = &b->profile->watch;

	choose_rung(b, &c, &all);
	w->rung = b->rung;
	kern_set_sampling(b->kern, w->interval_bytes);
	kern_count_old_frees(b->kern, b->rung == RUNG_EXACT);
	describe_choice(b, &all, ladder_cost(&all, &c, b->rung, w->interval_bytes));
	return b->text;
}

/* What was before counts as a burst: the next ones last about as long, if as much is left for them. */
static void begin_bursts(struct budget *b, uint64_t now_ns)
{
	kern_gate_begin(b->kern);
	if (b->first_burst_ns)
		return;
	b->first_burst_ns = b->since_ns = now_ns; /* the share of the time is that since then */
	b->share.last_burst = (double)(now_ns - b->armed_ns) * 1e-9;
}

/* How the targets did before: since they were started. */
static void look_before(struct budget *b)
{
	struct proc_stat st;
	double age;
	size_t i;

	b->has_delay = b->procs.n > 0;
	for (i = 0; i < b->procs.n; i++) {
		struct payer *w = &b->procs.v[i];

		w->start_cpu_ns = w->last_cpu_ns;
		if (proc_run_delay_read(&w->start_delay_ns, PROC_ROOT, w->tgid))
			b->has_delay = false;
		if (proc_stat_read(&st, PROC_ROOT, w->tgid) || !st.start_age_ns)
			continue;
		age = (double)st.start_age_ns;
		b->cpu_before += (double)w->last_cpu_ns / age;
		b->delay_before += (double)w->start_delay_ns / age;
	}
}

/* The same from outside, while armed; of those that live. */
static void look_after(const struct budget *b, uint64_t now_ns, struct profile_watch *w)
{
	double time = (double)(now_ns - b->armed_ns), cpu = 0, delay = 0;
	uint64_t ns;
	size_t i;

	if (time < (double)NS_PER_S || !b->procs.n || b->procs.n_gone || b->procs.n > MAX_LOOKED_AT || b->cpu_before <= 0)
		return;
	for (i = 0; i < b->procs.n; i++) {
		ns = cpu_clock_ns(b->procs.v[i].tgid);
		if (!ns || !b->procs.v[i].start_cpu_ns)
			return; /* one has come or gone: not the same as before */
		cpu += (double)(ns - b->procs.v[i].start_cpu_ns);
		if (b->has_delay && !proc_run_delay_read(&ns, PROC_ROOT, b->procs.v[i].tgid) &&
		    ns > b->procs.v[i].start_delay_ns)
			delay += (double)(ns - b->procs.v[i].start_delay_ns);
	}
	w->cpu_before = b->cpu_before;
	w->cpu_armed = cpu / time;
	w->delay_before = b->has_delay ? b->delay_before : -1;
	w->delay_armed = b->has_delay ? delay / time : -1;
}

void budget_start(struct budget *b, uint64_t now_ns)
{
	size_t i;

	measure(b, now_ns);
	if (b->procs.n <= MAX_LOOKED_AT)
		look_before(b);
	b->armed_ns = b->since_ns = now_ns;
	/* the probes are there from counting: this is the first burst */
	if (rung_is_gated(b->rung))
		begin_bursts(b, now_ns);
	for (i = 0; i < b->procs.n; i++)
		ladder_purse_fill(&b->procs.v[i].purse, b->max_overhead, b->rung);
	ladder_purse_fill(&b->machine, MACHINE_BUDGET, b->rung);
	b->work_s = b->cost_s = b->taken_s = 0;
}

/* ---- bursts ---- */

/* *seconds: until bursts must end; *least: how full */
static void look_into(const struct ladder_purse *p, double budget, enum rung r, double *least, double *seconds)
{
	double left = p->seconds - (rung_is_gated(r) ? ladder_purse_rest(p, budget, r) : 0);
	double fill = p->seconds / ladder_purse_size(p, budget, r);

	if (fill < *least)
		*least = fill;
	if (left < *seconds)
		*seconds = left;
}

/* How full the emptiest purse is; 1 when nobody pays. */
static double least_fill(const struct budget *b, double *seconds)
{
	double least = 1;
	size_t i;

	*seconds = 1;
	for (i = 0; i < b->procs.n; i++)
		look_into(&b->procs.v[i].purse, b->max_overhead, b->rung, &least, seconds);
	if (b->machine_cpus > 0)
		look_into(&b->machine, MACHINE_BUDGET, b->rung, &least, seconds);
	return least;
}

/* Opening takes milliseconds, in which the target works on: they belong to what was before. */
static void open_gate(struct budget *b)
{
	kern_gate_open(b->kern);
	b->since_ns = clock_monotonic_ns();
	measure(b, b->since_ns);
	kern_set_burst_weight(b->kern, ladder_share_weight(&b->share));
	b->is_shut = false;
}

static void shut_gate(struct budget *b, uint64_t now_ns)
{
	b->is_shut = true;
	b->open_ns += now_ns - b->since_ns;
	b->since_ns = now_ns;
	b->fill = 0.75 + 0.25 * (double)(now_ns / 1000 % 1000) / 1000;
	kern_gate_shut(b->kern, b->rung == RUNG_BRIEF);
}

static void change_rung(struct budget *b, uint64_t now_ns, enum rung to)
{
	struct profile_watch *w = &b->profile->watch;
	double share = b->work_s > 0 ? b->cost_s / b->work_s : 0;

	w->steps[w->n_steps++] = (struct profile_step){ now_ns - b->armed_ns, b->rung, to, 0, share };
	log_info("%s -> %s: the probes cost %s", rung_name(b->rung), rung_name(to),
		 rung_is_gated(to) ? "more than --max-overhead allows" : "little now");
	b->rung = w->rung = to;
	b->n_changes++;
	b->last_change_ns = now_ns;
	if (to == RUNG_AWAY) /* what was seen stays as it is */
		return;
	kern_set_sampling(b->kern, 0);
	kern_set_burst_weight(b->kern, 1);
	kern_count_old_frees(b->kern, to == RUNG_EXACT && !b->first_burst_ns);
	if (rung_is_gated(to))
		begin_bursts(b, now_ns);
}

/* Bursts, if the frees of each process leave room for them. */
static enum rung gated_rung(const struct budget *b)
{
	const struct ladder_costs c = costs_of(b);
	enum rung r, worst = RUNG_BURSTS;
	uint32_t interval;
	size_t i;

	for (i = 0; i < b->procs.n; i++) {
		r = ladder_choose(&b->procs.v[i].load, &c, b->max_overhead, &interval);
		worst = r > worst ? r : worst;
	}
	return worst;
}

static void take_away(struct budget *b, uint64_t now_ns, double least_cost)
{
	log_warn("heap probes taken away: even 1 %% of the time they would cost %.*f %% of its CPU (budget %.3g %%); "
		 "--sample off, or a larger --max-overhead, insists",
		 least_cost < 0.0995 ? 1 : 0, least_cost * 100, b->max_overhead * 100);
	b->profile->watch.least_share = least_cost;
	change_rung(b, now_ns, RUNG_AWAY);
}

static bool is_hopeless(const struct budget *b, uint64_t now_ns, double *least_cost)
{
	*least_cost = ladder_share_least_cost(&b->share);
	return b->rung == RUNG_BRIEF && now_ns - b->first_burst_ns >= TRIED_NS && *least_cost > b->max_overhead &&
	       ladder_may_step_down(b->n_changes);
}

/* What made bursts necessary may have been a compiler that has ended; what comes next need not wait for calm. */
static bool is_anybody_left(const struct budget *b)
{
	const struct profile *p = b->profile;
	size_t i;

	for (i = 0; i < p->n_procs; i++)
		if (p->procs[i].state == PROC_RUNNING && !p->procs[i].end_ns)
			return true;
	return false;
}

static bool is_calm(const struct budget *b, double fill, uint64_t length, uint64_t now_ns)
{
	if (!is_anybody_left(b))
		return ladder_may_step_up(b->n_changes, 0, UINT64_MAX);
	return length >= CALM_NS && fill > CALM_SHARE && ladder_may_step_up(b->n_changes, b->last_change_ns, now_ns);
}

static uint64_t tick_bursts(struct budget *b, uint64_t now_ns)
{
	double seconds, fill = least_fill(b, &seconds), least_cost;
	uint64_t length = now_ns - b->since_ns;

	if (b->is_shut) {
		if (b->rung == RUNG_BURSTS && seconds < FREES_DEBT_SECONDS && ladder_may_step_down(b->n_changes)) {
			change_rung(b, now_ns, RUNG_BRIEF);
			kern_gate_shut(b->kern, true);
		}
		if (is_hopeless(b, now_ns, &least_cost))
			take_away(b, now_ns, least_cost);
		if (fill < b->fill || b->rung == RUNG_AWAY)
			return now_ns + TICK_NS;
		open_gate(b);
		return now_ns + BURST_TICK_NS;
	}
	if (seconds < 0) {
		shut_gate(b, now_ns);
		return now_ns + TICK_NS;
	}
	kern_set_burst_weight(b->kern, ladder_share_weight(&b->share));
	if (is_calm(b, fill, length, now_ns)) {
		b->open_ns += length;
		b->since_ns = now_ns;
		change_rung(b, now_ns, RUNG_EXACT);
	}
	return now_ns + (length < NS_PER_S ? BURST_TICK_NS : TICK_NS);
}

uint64_t budget_tick(struct budget *b, uint64_t now_ns)
{
	double seconds;

	measure(b, now_ns);
	if (!b->is_auto || b->rung == RUNG_AWAY)
		return now_ns + 5 * TICK_NS;
	if (rung_is_gated(b->rung))
		return tick_bursts(b, now_ns);
	least_fill(b, &seconds);
	/* safety first: stepping down waits for nothing */
	if (seconds < 0 && ladder_may_step_down(b->n_changes)) {
		change_rung(b, now_ns, gated_rung(b));
		shut_gate(b, now_ns);
	}
	return now_ns + TICK_NS;
}

/* ---- the report ---- */

void budget_report(struct budget *b, uint64_t now_ns)
{
	struct profile_watch *w = &b->profile->watch;
	uint64_t open = b->open_ns;
	double work;

	/* where probes are nearly all that it does, the rest is not known */
	work = b->work_s > b->cost_s * LEAST_WORK_BY_COST ? b->work_s : b->cost_s * LEAST_WORK_BY_COST;
	w->share = work > 0 ? b->cost_s / work : 0;
	w->work = now_ns > b->armed_ns ? work / ((double)(now_ns - b->armed_ns) * 1e-9) : 0;
	w->taken = now_ns > b->armed_ns ? b->taken_s / ((double)(now_ns - b->armed_ns) * 1e-9) : 0;
	look_after(b, now_ns, w);
	if (!b->first_burst_ns)
		return;
	w->slowdown = ladder_share_is_told(&b->share) ? 0 : ladder_share_slowdown(&b->share);
	if (rung_is_gated(b->rung) && !b->is_shut)
		open += now_ns - b->since_ns;
	if (now_ns > b->first_burst_ns)
		w->open_share = (double)open / (double)(now_ns - b->first_burst_ns);
}
