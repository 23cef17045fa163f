"""Images in batches whose order and changes are a function of the position in training."""
