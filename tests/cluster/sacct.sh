#!/usr/bin/env bash
# What submitit asks of `sacct`, answered from the controller's memory: JobID|State|NodeList.
set -euo pipefail
echo "JobID|State|NodeList"
scontrol show job -o | awk '{
  delete field
  for (i = 1; i <= NF; i++) { at = index($i, "="); field[substr($i, 1, at - 1)] = substr($i, at + 1) }
  id = field["JobId"]
  if ("ArrayJobId" in field) {
    task = field["ArrayTaskId"]
    id = field["ArrayJobId"] "_" (task ~ /^[0-9]+$/ ? task : "[" task "]")
  }
  if (id != "") print id "|" field["JobState"] "|" field["NodeList"]
}'
