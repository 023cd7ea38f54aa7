"""The W&B workspace of a project: loss curves, the gains table, CEG against compute."""

from __future__ import annotations

import importlib.util
import json
from typing import TYPE_CHECKING, Any

from algoprog.tracking.session import quiet
from algoprog.tracking.tables import GAINS, SCALE

if TYPE_CHECKING:
    from wandb_workspaces.reports.v2 import Panel
    from wandb_workspaces.workspaces import Workspace

NAME = "algoprog"


def create(path: str) -> str:
    """Save the workspace to `ENTITY/PROJECT`; its address.

    Raises:
        ValueError: the path has another form, the library is missing, or W&B refuses, with the remedy.
    """
    entity, _, project = path.partition("/")
    if not entity or not project or "/" in project:
        raise ValueError(f"{path} is no ENTITY/PROJECT: use for example my-team/algoprog")
    if importlib.util.find_spec("wandb_workspaces") is None:
        raise ValueError("wandb-dashboard needs a package that is not installed: pip install 'algoprog[dashboard]'")
    quiet()
    try:
        return str(workspace(entity, project).save().url)
    except Exception as error:
        reason = " ".join(str(error).split())[:160]
        raise ValueError(
            f"W&B did not take the workspace of {path} ({reason}): check the name and `wandb login`"
        ) from None


def definition() -> dict[str, Any]:
    """The workspace as W&B stores it, for any project."""
    spec = workspace("ENTITY", "PROJECT")._to_model().spec
    found = json.loads(spec.model_dump_json(by_alias=True, exclude_none=True))
    assert isinstance(found, dict)
    return found


def workspace(entity: str, project: str) -> Workspace:
    """The workspace, not saved yet."""
    from wandb_workspaces import expr, workspaces

    made = workspaces.Workspace(
        entity=entity,
        project=project,
        name=NAME,
        auto_generate_panels=False,
        sections=[workspaces.Section(name=name, panels=panels, is_open=True) for name, panels in _panels().items()],
        settings=workspaces.WorkspaceSettings(x_axis="step"),
        runset_settings=workspaces.RunsetSettings(
            groupby=[expr.Config("model"), expr.Config("variant")],
            pinned_columns=["config:variant", "config:model", "config:seed", "config:status", "config:flags"],
        ),
    )
    return _steady(made)


def _panels() -> dict[str, list[Panel]]:
    from wandb_workspaces.reports import v2 as wr

    losses: list[Panel] = [
        wr.LinePlot(title=f"Validation loss against {name}", x=column, y=["val_loss"], log_x=True, log_y=True)
        for name, column in (("training FLOPs", "flops"), ("tokens", "tokens"), ("seconds", "seconds"))
    ]
    fields = {"x": "compute_flops", "y": "ceg", "groupKeys": "variant"}
    query = {"summaryTable": {"tableKey": SCALE}}
    return {
        "Loss curves by model and variant": losses,
        "Gains": [wr.WeavePanelSummaryTable(table_name=GAINS)],
        "CEG against compute": [wr.CustomChart(query=query, chart_name="wandb/scatter/v0", chart_fields=fields)],
        "Runs": [
            wr.ScatterPlot(
                title="Final loss against compute",
                x=wr.SummaryMetric("train_flops"),
                log_x=True,
                y=wr.SummaryMetric("final_val_loss"),
            ),
        ],
    }


def _steady(made: Workspace) -> Workspace:
    """The workspace with identifiers that do not change from call to call: the library draws them at random."""
    for number, panel in enumerate(panel for section in made.sections for panel in section.panels):
        panel._id = f"algoprog{number}"
    return made
