"""The precision of matrix products on a GPU: a switch of the process, as torch's own is."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

MatmulPrecision = Literal["float32", "tf32", "bfloat16"]

_operands: torch.dtype | None = None  # what layers round their operands to; None: as they are


def set_matmul_precision(precision: MatmulPrecision, device: torch.device) -> None:
    """Set what products compute with on a GPU; on a CPU they stay in float32 whatever is asked for.

    tf32 rounds the operands of every product to ten bits of mantissa; bfloat16 those of the layers to seven, beside
    TF32 for the composition of matrices. Sums are in float32 in either case.
    """
    global _operands
    _operands = None
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = precision != "float32"
        _operands = torch.bfloat16 if precision == "bfloat16" else None


def batched_product(x: Tensor, matrices: Tensor, out: Tensor) -> None:
    """Write x @ matrices, with operands rounded as set."""
    if _operands is None:
        torch.bmm(x, matrices, out=out)
    else:
        out.copy_(torch.bmm(x.to(_operands), matrices.to(_operands), out_dtype=torch.float32))
