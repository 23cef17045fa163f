"""The page: one HTML file that needs nothing else, with the answer of a study."""

from awlab.report.page.render import render as render
