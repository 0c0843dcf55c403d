# SPDX-License-Identifier: MIT OR Apache-2.0
#
# latency: distributions of one blocking round trip, corrected for coordinated omission.

load "common.gp"
set title "One blocking sign of life, TCP unless said otherwise; corrected for coordinated omission"
set xlabel "percentile"
set ylabel "microseconds"
set logscale xy
set xrange [1:10000]
set xtics ("0" 1, "50" 2, "90" 10, "99" 100, "99.9" 1000, "99.99" 10000)
files = "latency-beat-tcp-protobuf latency-beat-tcp-json latency-beat-unix-protobuf latency-echo-tcp-protobuf latency-redis latency-etcd latency-nats"
titles = "'heartbeat, protobuf' 'heartbeat, json' 'heartbeat, protobuf, Unix socket' 'raw echo' 'Redis EXPIRE' 'etcd lease keep-alive' 'NATS request'"
some = ""
do for [i=1:words(files)] { if (there(word(files, i))) { some = some." ".i } }
plot for [i in some] path(word(files, i + 0)) using 1:3 linewidth 2 title word(titles, i + 0)
