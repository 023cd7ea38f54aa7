"""How `train.py` begins and ends: every mistake is one sentence, whoever finds it, and no secret is printed."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence

from hydra._internal.utils import get_args_parser
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from algoprog.overrides import refuse_odd_choices
from algoprog.refusals.by_hydra import hydra_sentence
from algoprog.runs.failure import unexpected
from algoprog.runs.mistake import FAULT, MISTAKE, exit_code, sentence, visible
from algoprog.runs.secrets import guarded_terminal

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells count."""


def start(main: Callable[[], object]) -> int:
    """Run a program of Hydra's; the exit code.

    Args:
        main: what `hydra.main` made of a function.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # then Hydra raises what it would print
    logging.raiseExceptions = False  # a log that cannot be written, on a full disk, is no reason for a traceback
    with guarded_terminal():
        try:
            sys.argv[1:] = hydra_words(sys.argv[1:])
            main()
        except KeyboardInterrupt:
            return INTERRUPTED  # whoever could say more has done so
        except (HydraException, OmegaConfBaseException) as error:
            return _told(hydra_sentence(error), MISTAKE)
        except (OSError, ValueError) as error:
            cause = error.__cause__ if isinstance(error.__cause__, OSError) else error  # as where logs cannot be opened
            return _told(sentence(cause), exit_code(cause))
        except Exception as error:
            return _told(unexpected(error), FAULT)
    return 0


def hydra_words(words: Sequence[str]) -> list[str]:
    """The words of the command line with `--key=value`, as agents of W&B sweeps write it, as `key=value`.

    Raises:
        ValueError: a word cannot be written down, for it is no text, or lists what there is one of.
    """
    flags = [flag for action in get_args_parser()._actions for flag in action.option_strings]
    for word in words:
        if not _is_text(word):
            raise ValueError(f"{word!a} is no UTF-8: type it in UTF-8")
        if word.startswith("--") and "=" not in word and not _is_flag(word, flags):
            raise ValueError(f"{word} is no option: settings are written as KEY=VALUE, and --help shows all")
    plain = [word if _is_flag(word, flags) else word.removeprefix("--") for word in words]
    refuse_odd_choices([word for word in plain if not word.startswith("-")])
    return plain


def _is_flag(word: str, flags: Sequence[str]) -> bool:
    name = word.partition("=")[0]
    return not word.startswith("--") or any(flag.startswith(name) for flag in flags)


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _told(words: str, code: int) -> int:
    print(f"error: {visible(words)}", file=sys.stderr)
    return code
