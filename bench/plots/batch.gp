# SPDX-License-Identifier: MIT OR Apache-2.0
#
# batch: signs of life a second by how many are under way or in a message.

load "common.gp"
set title "Throughput by batch size"
set xlabel "beats under way, or in one message"
set ylabel "beats or commands per second"
set logscale xy
set format x "%.0s %c"
files = "batch-pipelined-protobuf batch-pipelined-json batch-coalesced-protobuf batch-coalesced-json batch-redis-expire"
titles = "'pipelined, protobuf' 'pipelined, json' 'coalesced, protobuf' 'coalesced, json' 'Redis EXPIRE, 50 connections'"
some = ""
do for [i=1:words(files)] { if (there(word(files, i))) { some = some." ".i } }
plot for [i in some] path(word(files, i + 0)) using 1:2 with linespoints linewidth 2 title word(titles, i + 0)
