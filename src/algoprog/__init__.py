"""Measure the compute-equivalent gain of algorithmic changes to language models."""


def __getattr__(name: str) -> str:
    """`__version__`, once somebody asks for it: to look it up takes as long as most commands."""
    from importlib.metadata import version

    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    return version("algoprog")
