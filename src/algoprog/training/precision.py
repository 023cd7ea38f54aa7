"""In what numbers a model computes, by the names of the setting `precision`."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from algoprog.model.interface.backbone import Backbone

MIXED_BF16 = "bf16-mixed"
"""Weights and what the optimizer keeps in float32, products in bfloat16."""

TRUE_BF16 = "bf16-true"
"""Everything in bfloat16: weights, gradients, what the optimizer keeps; losses alone are added up in float32."""

FP8 = "fp8"
FP8_CAPABILITY = (8, 9)
"""Compute capability of CUDA from which GPUs multiply in float8: Ada and Hopper."""


def cast(model: Backbone, precision: str) -> Backbone:
    """The model with weights as a precision has them; changed in place."""
    return model.bfloat16() if precision == TRUE_BF16 else model


def autocast(device: str, precision: str) -> AbstractContextManager[None]:
    """In which its passes run where no trainer runs them."""
    return torch.autocast(device, torch.bfloat16) if precision == MIXED_BF16 else nullcontext()


def bytes_of_numbers(precision: str) -> int:
    """Of a weight, of its gradient, and of a number that the optimizer keeps."""
    return 2 if precision == TRUE_BF16 else 4
