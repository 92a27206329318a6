/*
 * plot.h - pictures by gnuplot(1), where it is installed.
 */
#ifndef LAB_PLOT_H
#define LAB_PLOT_H

#include <stdio.h>

/* Take "--plot FILE.svg" or "--plot=FILE.svg" out of the options of an experiment (ARGV up to the
 * first word that is no option of an experiment). Exits with 2 where FILE is missing or cannot be
 * made, with 77 where gnuplot is not installed: before anything was changed. Without the option
 * lab_plot() does nothing. */
void lab_plot_option(int *argc, char *argv[]);

/* Write the picture: let gnuplot run what WRITE prints to SCRIPT, with terminal, size and font set.
 * Says where the picture is. */
void lab_plot(void (*write)(FILE *script));

#endif
