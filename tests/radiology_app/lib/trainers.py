"""Training by MONAI Label's basic task: SupervisedTrainer, validation, published where inference looks."""

import os

import torch
from monai.inferers import SimpleInferer
from monai.losses import DiceCELoss
from monai.transforms import (
    Activationsd,
    AsDiscreted,
    EnsureChannelFirstd,
    LoadImaged,
    ResizeWithPadOrCropd,
    ScaleIntensityRanged,
)
from monailabel.tasks.train.basic_train import BasicTrainTask

from lib.networks import liver_network


class TrainLiver(BasicTrainTask):
    """Liver."""

    def __init__(self, model_dir):
        super().__init__(
            model_dir,
            "Train liver",
            config={"max_epochs": 1, "val_split": 0.34},
            publish_path=os.path.join(model_dir, "liver.pt"),
            labels=["liver"],
        )

    def network(self, context):
        return liver_network()

    def optimizer(self, context):
        return torch.optim.Adam(context.network.parameters(), 1e-2)

    def loss_function(self, context):
        return DiceCELoss(to_onehot_y=True, softmax=True)

    def train_pre_transforms(self, context):
        return [
            LoadImaged(keys=("image", "label")),
            EnsureChannelFirstd(keys=("image", "label")),
            ScaleIntensityRanged(keys="image", a_min=0, a_max=100, b_min=0, b_max=1, clip=True),
            ResizeWithPadOrCropd(keys=("image", "label"), spatial_size=(32, 32, 16)),
        ]

    def train_post_transforms(self, context):
        return [
            Activationsd(keys="pred", softmax=True),
            AsDiscreted(keys=("pred", "label"), argmax=(True, False), to_onehot=2),
        ]

    def val_inferer(self, context):
        return SimpleInferer()
