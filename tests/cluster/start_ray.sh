#!/usr/bin/env bash
# Start a Ray of two nodes on this host: start_ray.sh FOLDER, then `. FOLDER/env`; stop_ray.sh FOLDER ends it.
# The nodes are raylets on 127.0.0.2 (the head) and 127.0.0.3; 127.0.0.1 would be rewritten to the host's address.
# `ray` comes from PATH, or from the folder of $PYTHON.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1" && folder=$(cd "$1" && pwd)
[ -n "${PYTHON:-}" ] && export PATH="$(dirname "$PYTHON"):$PATH"
port=${RAY_TEST_PORT:-26379}
head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' > "$folder/token"
chmod 600 "$folder/token"
cat > "$folder/env" <<ENV
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$folder/token RAY_ADDRESS=127.0.0.2:$port RAY_USAGE_STATS_ENABLED=0
export PATH=$(dirname "$(command -v ray)"):\$PATH
ENV
. "$folder/env"
# Nodes that die are noticed in seconds here instead of half a minute.
# Ray makes its workers nice; here that would starve them.
export RAY_worker_niceness=0
export RAY_gcs_server_port_wait_time_s=600 RAY_DASHBOARD_STARTUP_TIMEOUT_S=600
export RAY_health_check_period_ms=1000 RAY_health_check_timeout_ms=10000 RAY_health_check_failure_threshold=5
start() { # name, words; every process of a node belongs to one session, whose number stop_ray.sh needs
  local name=$1; shift
  export SESSION="$folder/$name.session"
  for _ in $(seq 20); do  # Ray gives a node 30 seconds to start, which a busy machine may need more of
    setsid -w env -u RAY_ADDRESS bash -c 'echo $$ > "$SESSION"; exec ray start "$@"' - "$@" --num-cpus=1 --num-gpus=0 \
      --object-store-memory=80000000 --disable-usage-stats --temp-dir="$folder/$name" > "$folder/$name.log" 2>&1 && return
    for pid in $(ps -o pid= -s "$(cat "$SESSION")"); do kill -9 "$pid" 2>/dev/null; done
    sleep 2
  done
  tail -n 20 "$folder/$name.log"
  exit 1
}
start head --head --node-ip-address=127.0.0.2 --port="$port" --ray-client-server-port=$((port + 1)) --include-dashboard=false
start node --address="127.0.0.2:$port" --node-ip-address=127.0.0.3
