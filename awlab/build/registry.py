"""What is said of a kind that nobody builds."""

from awlab.spec.base import Family


def unregistered(spec: Family, function: str) -> TypeError:
    """Return the error that tells how to register a function for the class of `spec`."""
    name = type(spec).__name__
    return TypeError(
        f"nothing builds {name} (kind {getattr(spec, 'kind', None)!r}): register a function for it "
        f"with @awlab.build.{function}.register in the plugin that declares it"
    )
