#!/usr/bin/env bash
# Start a Slurm of two nodes on this host: start_slurm.sh FOLDER, then `. FOLDER/env`; stop_slurm.sh FOLDER ends it.
# Everything lies in FOLDER: configuration, state, logs and process numbers. FOLDER's path must be short (sockets).
# Debian: slurmctld slurmd slurm-client munge. Any user; a system's own Slurm or munge is not touched.
set -euo pipefail
export PATH="$PATH:/usr/sbin:/sbin"
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1" && folder=$(cd "$1" && pwd)
host=$(hostname -s) user=$(id -un)
port=${SLURM_TEST_PORT:-16817}
mkdir -p "$folder"/{state,bin,n1,n2}
chmod 755 "$folder"

dd if=/dev/urandom of="$folder/munge.key" bs=128 count=1 status=none
chmod 600 "$folder/munge.key"
munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
  --log-file="$folder/munged.log" --seed-file="$folder/munge.seed"

# cred_expire: a requeued job waits that long (120 s by default). partition_prio: a job of `high` puts one of `low` back
# in the queue after its grace time. config_overrides: slurmd believes the figures here.
cat > "$folder/slurm.conf" <<CONF
ClusterName=algoprog
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$user
SlurmdUser=$user
SlurmctldPort=$port
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket,cred_expire=10
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd-%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2,sched_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SlurmdTimeout=30
SlurmctldTimeout=30
MinJobAge=86400
KillWait=5
ReturnToService=2
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=2 RealMemory=8000 State=UNKNOWN
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=2 RealMemory=8000 State=UNKNOWN
PartitionName=low Nodes=n1,n2 Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=15 MaxTime=60 State=UP
PartitionName=high Nodes=n1,n2 PriorityTier=10 PreemptMode=OFF MaxTime=60 State=UP
CONF

ln -sf "$here/sacct.sh" "$folder/bin/sacct"  # there is no database of jobs here
cat > "$folder/env" <<ENV
export SLURM_CONF=$folder/slurm.conf PATH=$folder/bin:\$PATH MASTER_ADDR=127.0.0.1
ENV
. "$folder/env"
slurmctld -c
for node in n1 n2; do slurmd -N "$node"; done
for _ in $(seq 60); do
  [ "$(sinfo -h -N -t idle -p low -o %N 2>/dev/null | wc -l)" = 2 ] && exit 0
  sleep 0.5
done
sinfo -N; tail -n 5 "$folder"/*.log
"$here/stop_slurm.sh" "$folder"
exit 1
