"""The command `predict`: gains and losses at a larger model, held out, to come, or forecast formerly."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from algoprog.commands import Commands
from algoprog.sweep.finish.source_command import add_source, curves


def add_predict(commands: Commands) -> argparse.ArgumentParser:
    """Register the command; what it shares with others is added by the caller."""
    predict = commands.add_parser(
        "predict", help="predict the gains at a held-out larger model and score the prediction"
    )
    add_source(predict, "as for ceg")
    predict.add_argument(
        "--holdout",
        type=lambda text: text.removeprefix("model="),
        default="largest",
        help="model=NAME, largest (default), or rolling: every model in turn by those below it",
    )
    predict.add_argument(
        "--law",
        choices=("auto", "compute", "params_data"),
        default="auto",
        help="loss as a function of compute, or of parameters and data, which needs several annealed budgets a model"
        " (default: auto, params_data where it can be fitted)",
    )
    predict.add_argument(
        "--irreducible",
        type=_positive,
        metavar="NATS",
        help="the loss that no compute removes, where it is known (default: any that the losses allow)",
    )
    predict.add_argument(
        "--at",
        type=_positive,
        metavar="COST",
        help="what the baseline's run of a model to come will cost, on the cost axis; all models are fitted",
    )
    files = predict.add_mutually_exclusive_group()
    files.add_argument(
        "--forecast", type=Path, metavar="FILE", help="with --at: write the predictions with their SHA-256"
    )
    files.add_argument("--score", type=Path, metavar="FILE", help="score a forecast by what was run since")
    predict.set_defaults(action=_predict)
    return predict


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} must be a number above 0")
    return value


def _predict(options: argparse.Namespace) -> int:
    from algoprog.ceg.ladder.forecast_file import write_forecast
    from algoprog.ceg.ladder.predict import predict
    from algoprog.ceg.ladder.scale import scale_dependence
    from algoprog.ceg.metric import METRICS, curves_in
    from algoprog.report.tables.prediction import predictions_table
    from algoprog.report.tables.scale import scale_table

    if options.score:
        return _score(options)
    if options.forecast and options.at is None:
        raise ValueError("a forecast is of a model to come: give what its baseline will cost, as --at 1e18")
    runs = curves_in(curves(options), METRICS[options.metric])
    shared = {"cost": options.cost, "baseline": options.baseline, "confidence": options.confidence}
    more = {"law": options.law, "irreducible": options.irreducible, "at": options.at}
    found = predict(runs, holdout=options.holdout, **shared, **more)
    print(predictions_table(found, confidence=options.confidence))
    print(scale_table(scale_dependence(runs, **shared), confidence=options.confidence), end="")
    if options.forecast:
        about = {"confidence": options.confidence, "baseline": options.baseline, "at": options.at}
        digest = write_forecast(options.forecast, found, **about)
        print(f"\n{options.forecast}: sha256 {digest}\nPublish the hash, train, then: --score {options.forecast}")
    return 0


def _score(options: argparse.Namespace) -> int:
    from algoprog.ceg.ladder.forecast_file import read_forecast, score_forecast
    from algoprog.ceg.metric import METRICS, curves_in
    from algoprog.report.tables.prediction import predictions_table

    if options.at is not None or options.irreducible is not None or options.holdout != "largest":
        raise ValueError("a forecast knows what it is of: leave out --at, --irreducible and --holdout")
    stored = read_forecast(options.score)
    found = score_forecast(stored, curves_in(curves(options), METRICS[stored.rows[0].metric]))
    print(f"Forecast of {stored.made}, sha256 {stored.digest}")
    print(predictions_table(found, confidence=stored.confidence), end="")
    return 0
