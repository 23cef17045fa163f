"""What the runs of a study show: paired comparison, main effects, power. No torch, no spec."""

from awlab.statistics.comparison import CellSummary as CellSummary
from awlab.statistics.comparison import Comparison as Comparison
from awlab.statistics.comparison import Difference as Difference
from awlab.statistics.comparison import Direction as Direction
from awlab.statistics.comparison import Verdict as Verdict
from awlab.statistics.comparison import compare as compare
from awlab.statistics.main_effects import Effect as Effect
from awlab.statistics.main_effects import main_effects as main_effects
from awlab.statistics.significance import Paired as Paired
from awlab.statistics.significance import Sample as Sample
