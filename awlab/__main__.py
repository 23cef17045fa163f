"""`python -m awlab`, which is also what torchrun and srun start."""

from awlab.cli import main

main()
