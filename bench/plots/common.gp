# SPDX-License-Identifier: MIT OR Apache-2.0
#
# What all plots share. scripts/bench sets: data (a folder), name (of the picture, without its ending)
# and kind (svg or png).

if (kind eq "svg") set terminal svg size 900,540 dynamic enhanced background rgb "white"
if (kind eq "png") set terminal pngcairo size 900,540 enhanced background rgb "white"
set output sprintf("%s.%s", name, kind)
set grid linecolor rgb "#d0d0d0"
set key outside above
set style data lines
set format y "%.0s %c"

# Data that is missing is a peer that could not be had, or a subject that did not run.
path(file) = sprintf("%s/%s.dat", data, file)
there(file) = int(system(sprintf("test -s '%s' && echo 1 || echo 0", path(file))))
