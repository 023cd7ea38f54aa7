"""Every estimator of this folder by its name, and those that a command line asks for with settings."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from algoprog.ceg import estimator as folder
from algoprog.ceg.estimator.estimate import SETTING, Estimator


def _found() -> dict[str, Estimator]:
    modules = [import_module(f"{folder.__name__}.{module.name}") for module in iter_modules(folder.__path__)]
    classes = {own for module in modules for own in vars(module).values() if _is_estimator(own)}
    return {own.name: own() for own in sorted(classes, key=lambda own: own.rank)}


def _is_estimator(own: Any) -> bool:
    return isinstance(own, type) and issubclass(own, Estimator) and own is not Estimator


ESTIMATORS = _found()
"""Every estimator by its name, in the order of their ranks, with the settings it is documented with."""


def estimator_of(text: str) -> Estimator:
    """The estimator of a name, or of a name and settings: `paper`, `paper:shift=.1,window=4`.

    Raises:
        ValueError: there is no such estimator or setting, or the setting cannot have that value.
    """
    name, _, rest = text.partition(":")
    if name not in ESTIMATORS:
        raise ValueError(f"no estimator is called {name!r}: choose among {', '.join(ESTIMATORS)}")
    found = ESTIMATORS[name]
    return type(found)(**dict(_setting(found, part) for part in rest.split(",") if part))


def help_text() -> str:
    """What each estimator does and which settings it has, for `--help`."""
    return "; ".join(_words(own) for own in ESTIMATORS.values())


def _words(own: Estimator) -> str:
    settings = ", ".join(f"{one.name}={one.default} ({one.metadata[SETTING]})" for one in own.settings())
    return f"{own.name}: {own.summary}" + (f"; set {settings}" if settings else "")


def _like(default: Any, value: str) -> Any:
    return int(value) if isinstance(default, int) else float(value) if isinstance(default, float) else value


def _setting(own: Estimator, part: str) -> tuple[str, Any]:
    key, _, value = part.partition("=")
    known = {one.name: one.default for one in own.settings()}
    if key not in known:
        has = f"it has {', '.join(known)}" if known else "it has none"
        raise ValueError(f"{own.name} has no setting {key!r}: {has}")
    try:
        return key, _like(known[key], value)
    except ValueError as error:
        kind = "a whole number" if isinstance(known[key], int) else "a number"
        raise ValueError(f"{own.name}:{key}={value} is not {kind}, such as {key}={known[key]}") from error
