"""DSA-LTDNet: tumour segmentation guided by a learnt temporal difference and the liver (paper 000, section 2.4)."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import nn

from hepatic.networks.unet import Features, unet


class LTDOutput(NamedTuple):
    """What the three sub-networks give; every map is (B, 1, H, W).

    Attributes:
        tumour: logits of the fusion network (FFS).
        liver: logits of the liver branch (LRS); None where the network has no such branch.
        difference: the learnt temporal difference (TDL), linear; None likewise.
    """

    tumour: torch.Tensor
    liver: torch.Tensor | None
    difference: torch.Tensor | None


class LTDNet(nn.Module):
    """Three U-Nets: TDL on ``frames`` frames, LRS and FFS on the key frame.

    FFS sees the key frame, and where they exist the learnt difference, the liver probability, and the plain frame
    difference FD = f_k - f_(k-frames+1). Leaving branches out gives the rows of the paper's tables 1 and 2.

    Args:
        frames: length of the window that ends with the key frame (10 in the paper).
        fusion: channels of FFS.
        branch: channels of TDL and LRS.
        learnt_difference: with TDL.
        liver: with LRS.
        frame_difference: FFS also sees FD.
        foreground_logit: initial output bias of FFS.
    """

    def __init__(
        self,
        *,
        frames: int = 10,
        fusion: Features,
        branch: Features,
        learnt_difference: bool = True,
        liver: bool = True,
        frame_difference: bool = False,
        foreground_logit: float = 0.0,
    ) -> None:
        super().__init__()
        self.tdl = unet(frames, 1, features=branch) if learnt_difference else None
        self.lrs = unet(1, 1, features=branch) if liver else None
        self.frame_difference = frame_difference
        cues = 1 + int(learnt_difference) + int(liver) + int(frame_difference)
        self.ffs = unet(cues, 1, features=fusion, foreground_logit=foreground_logit)

    def difference(self, frames: torch.Tensor) -> torch.Tensor:
        """Run TDL alone: (B, T, H, W) to (B, 1, H, W); used to initialise it on FD."""
        if self.tdl is None:
            raise TypeError("this LTDNet was built without its temporal-difference branch")
        return cast(torch.Tensor, self.tdl(frames))

    def forward(self, frames: torch.Tensor) -> LTDOutput:
        """Segment the last of ``frames``, shape (B, T, H, W)."""
        key = frames[:, -1:]
        cues = [key]
        difference = liver = None
        if self.frame_difference:
            cues.append(key - frames[:, :1])
        if self.tdl is not None:
            difference = self.tdl(frames)
            cues.append(difference)
        if self.lrs is not None:
            liver = self.lrs(key)
            cues.append(torch.sigmoid(liver))
        return LTDOutput(self.ffs(torch.cat(cues, dim=1)), liver, difference)


def ltd_probabilities(output: LTDOutput) -> torch.Tensor:
    """Tumour and, where there is one, liver probability: (B, 1 or 2, H, W)."""
    maps = [output.tumour] if output.liver is None else [output.tumour, output.liver]
    return torch.sigmoid(torch.cat(maps, dim=1).float())
