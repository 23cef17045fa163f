"""What libraries say while a run is executed goes to its `log.txt`."""

import logging
import os
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

TALKERS = ("lightning", "lightning.pytorch", "lightning.fabric", "awlab", "py.warnings")
"""Loggers whose messages belong to a run. Lightning gives its own a handler for the terminal."""

KNOWN_NOISE = (
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # Its own use of torch.
    r"The `srun` command is available",  # On every machine of a cluster.
)
"""Beginnings of Lightning's warnings that tell nobody anything."""
ADVERTISEMENT = "\N{ELECTRIC LIGHT BULB} Tip: For seamless cloud"
"""Beginning of messages of Lightning that recommend other products."""


@contextmanager
def logged(path: Path | None) -> Generator[None]:
    """Send log messages and warnings to a file; to nowhere when there is none."""
    handler = logging.NullHandler() if path is None else logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(lambda record: not record.getMessage().startswith(ADVERTISEMENT))
    loggers = [logging.getLogger(name) for name in TALKERS]
    before = [(logger, logger.handlers, logger.propagate, logger.level) for logger in loggers]
    with warnings.catch_warnings():
        for beginning in KNOWN_NOISE:
            warnings.filterwarnings("ignore", beginning, module=r"lightning\b")
        logging.captureWarnings(True)  # noqa: FBT003 the only way to call it
        for logger in loggers:
            logger.handlers, logger.propagate = [handler], False
            logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logging.captureWarnings(False)  # noqa: FBT003
            for logger, handlers, propagate, level in before:
                logger.handlers, logger.propagate = handlers, propagate
                logger.setLevel(level)
            handler.close()


@contextmanager
def deterministic() -> Generator[None]:
    """Use deterministic algorithms where torch has them; it warns where it has none."""
    enabled = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    settings: Any = torch.utils.deterministic
    fill = settings.fill_uninitialized_memory
    benchmark = torch.backends.cudnn.benchmark
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # Asked for by cuBLAS.
    torch.use_deterministic_algorithms(True, warn_only=True)  # noqa: FBT003
    settings.fill_uninitialized_memory = False  # Costs time, finds bugs only.
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        settings.fill_uninitialized_memory = fill
        torch.backends.cudnn.benchmark = benchmark
