# SPDX-License-Identifier: MIT OR Apache-2.0
#
# lateness: how late beats leave, and how late lost modules are declared lost.

load "common.gp"
set title "Lateness"
set xlabel "percentile"
set ylabel "microseconds"
set logscale xy
set xrange [1:10000]
set yrange [1:*]
set xtics ("0" 1, "50" 2, "90" 10, "99" 100, "99.9" 1000, "99.99" 10000)
files = "lateness-loop lateness-fleet-protobuf lateness-fleet-json lateness-expiry"
titles = "'beats, one module at 1 ms' 'beats, 1,000 modules at 1 ms, protobuf' 'beats, 1,000 modules at 1 ms, json' 'lost verdicts, 100,000 modules'"
some = ""
do for [i=1:words(files)] { if (there(word(files, i))) { some = some." ".i } }
plot for [i in some] path(word(files, i + 0)) using 1:3 linewidth 2 title word(titles, i + 0)
