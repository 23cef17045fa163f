"""From an ablation to distinct, checked runs. No torch."""

from awlab.plan.load import load_ablation as load_ablation
from awlab.plan.load import read_ablation as read_ablation
from awlab.plan.load import validate_file as validate_file
from awlab.plan.runs import Cell as Cell
from awlab.plan.runs import Plan as Plan
from awlab.plan.runs import Run as Run
from awlab.plan.runs import plan as plan
