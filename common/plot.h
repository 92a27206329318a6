/*
 * plot.h - pictures by gnuplot(1), where it is installed.
 */
#ifndef LAB_PLOT_H
#define LAB_PLOT_H

#include <stdio.h>

#include "lab.h"

/* lab_plot_option() of lab.h takes "--plot FILE.svg" or "--plot=FILE.svg" out of the options of an
 * experiment (up to the first word that is not one of them). It exits with 2 where FILE is missing
 * or cannot be made, with 77 where gnuplot is not installed: before anything was changed. Without
 * the option lab_plot() does nothing. Write the picture: let gnuplot run what WRITE prints to
 * SCRIPT, with terminal, size and font set. Says where the picture is. */
void lab_plot(void (*write)(FILE *script));

#endif
