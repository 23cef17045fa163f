"""What is raised about data."""


class DataError(ValueError):
    """Data that the user gave and can mend; the message is the whole story."""
