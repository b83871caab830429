# Draws one picture, as SVG: gnuplot -e "figures='FILE'; picture='NAME'" tools/pictures.gp
set terminal svg noenhanced size 860,340 font "sans-serif,13" background "white"
set datafile separator "\t"
set border 3 linecolor rgb "#888888"
set tics nomirror textcolor rgb "#333333"
set grid ytics linecolor rgb "#dddddd"
set key top left Left reverse samplen 1.5
set style fill solid noborder
set boxwidth 0.6
set yrange [0:*]
OURS = "#3f51b5"; OTHERS = "#b0b4c4"

if (picture eq "lost-save") {
  set xlabel "hours"; set ylabel "logins that are left"
  set xrange [0:24]; set yrange [0:105]; set xtics 4
  set key bottom left
  plot figures using 1:2 with lines linewidth 3 linecolor rgb OURS title "tokencache", \
       figures using 1:3 with lines linewidth 3 linecolor rgb OTHERS title "spotipy"
}
if (picture eq "stampede") {
  set ylabel "token requests of 64 processes"
  set yrange [0:72]; unset key
  plot figures using 0:2:xtic(1) with boxes linecolor rgb OTHERS, \
       figures using 0:2:2 with labels offset 0,0.7
}
if (picture eq "gateway") {
  set ylabel "requests a second, one worker"; set xtics font ",12"
  unset key
  plot figures using 0:2:xtic(1) with boxes linecolor rgb OTHERS, \
       figures using 0:($0 == 0 ? $2 : 1/0) with boxes linecolor rgb OURS, \
       figures using 0:2:(sprintf("%d", $2)) with labels offset 0,0.7
}
