/*
 * experiment.h - a container comes to be, and each wall is looked at from inside and from outside.
 *
 * It is the container that `run` makes, by the same code, which waits after each stage. The
 * functions are steps of the experiment, in this order.
 */
#ifndef CONTAINER_EXPERIMENT_H
#define CONTAINER_EXPERIMENT_H

#include "state.h"

/* Before: a root file system, and a network namespace that plays the machine. */
void base_and_network(void);

/* Start, call STAGE after each stage, run to the end. */
void let_it_come_to_be(void (*stage)(const struct container *container, const char *name));

/* What there is to see after a stage. */
void one_call(const struct container *container);
void held_by_limits(const struct container *container);
void names_of_its_own(const struct container *container);
void another_root(const struct container *container);
void less_privileges(const struct container *container);

/* After the end. */
void nothing_is_left(void);

#endif
