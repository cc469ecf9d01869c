"""The network both tasks share."""

import torch
from monai.networks.nets import UNet


def liver_network():
    """A very small one, the same every time."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return UNet(spatial_dims=3, in_channels=1, out_channels=2, channels=(4, 8), strides=(2,))
