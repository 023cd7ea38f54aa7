#!/usr/bin/env bash
# End what start_ray.sh FOLDER started: the processes of its nodes' sessions.
set -u
folder=$(cd "$1" && pwd) || exit 1
for signal in TERM KILL; do
  for session in "$folder"/*.session; do
    for pid in $(ps -o pid= -s "$(cat "$session")"); do kill -$signal "$pid" 2>/dev/null; done
  done
  sleep 2
done
exit 0
