"""From a spec to a trained, tested, explained and recorded network, on Lightning."""
