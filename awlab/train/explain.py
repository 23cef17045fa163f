"""What a trained network looks at: Grad-CAM on test images or on any folder of images."""

from dataclasses import dataclass
from pathlib import Path

SHEET = "contact_sheet.png"
"""File with all images of an explanation, beside their own files."""


@dataclass(frozen=True)
class Explanation:
    """One explained image.

    Attributes:
        image: Picture of the input.
        overlay: Picture of the evidence for the prediction, laid over the input.
        prediction: Name of the predicted class.
        truth: Name of the true class; None where it is not known.
        confidence: Probability of the predicted class.
    """

    image: Path
    overlay: Path
    prediction: str
    truth: str | None
    confidence: float
