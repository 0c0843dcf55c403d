# SPDX-License-Identifier: MIT OR Apache-2.0
#
# scale: what a beat costs by the number of modules.

load "common.gp"
set title "Cost of a beat by the number of modules registered"
set xlabel "modules"
set ylabel "nanoseconds of the orchestrator's processor"
set logscale x
set yrange [0:*]
set format y "%g"
set format x "%.0s %c"
plot path("scale") using 1:2 with linespoints linewidth 2 title "so many modules, in random order", \
    path("scale") using 1:3 with linespoints linewidth 2 title "1,000 modules, in the same run"
