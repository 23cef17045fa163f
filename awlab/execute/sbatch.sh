#!/bin/bash
# Executes the study {{ study }}: each task takes runs that nobody else has, until none is left.
{% for option in options %}
#SBATCH {{ option }}
{% endfor %}
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@120

# USR1 comes two minutes before the time is up: the runs write checkpoints, awlab ends with code 75,
# and the task goes back into the queue. TERM means that Slurm has decided: it was cancelled, or
# preempted and is put back by Slurm.
trap 'kill -TERM $awlab' USR1
trap 'decided=1; kill -TERM $awlab' TERM
{{ command }} --task "$((SLURM_ARRAY_TASK_ID + 1))/{{ tasks }}" &
awlab=$!
while kill -0 $awlab 2>/dev/null; do wait $awlab; done  # A signal interrupts it.
wait $awlab
code=$?
# 143: it was asked before it could listen.
if [ -z "$decided" ] && { [ $code = 75 ] || [ $code = 143 ]; }; then
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID"
fi
exit $code
