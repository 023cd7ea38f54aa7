#!/usr/bin/env bash
# End what start_slurm.sh FOLDER started: its jobs, then its daemons.
set -u
folder=$(cd "$1" && pwd) || exit 1
. "$folder/env"
timeout 10 scancel --full --signal=KILL -u "$(id -un)" 2>/dev/null
timeout 10 scancel -u "$(id -un)" 2>/dev/null
sleep 1
for name in slurmd-n1 slurmd-n2 slurmctld munged; do
  [ -s "$folder/$name.pid" ] || continue
  pid=$(cat "$folder/$name.pid")
  kill "$pid" 2>/dev/null || continue
  for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.2; done
  kill -9 "$pid" 2>/dev/null
done
exit 0
