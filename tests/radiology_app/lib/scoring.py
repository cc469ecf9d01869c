"""How much is labelled."""

import nibabel
from monailabel.interfaces.datastore import DefaultLabelTag
from monailabel.interfaces.tasks.scoring import ScoringMethod


class LabelVolume(ScoringMethod):
    """Voxels of each final label, into the images' info."""

    def __init__(self):
        super().__init__("Count voxels")

    def __call__(self, request, datastore):
        counts = {}
        for image in datastore.get_labeled_images():
            label = datastore.get_label_uri(image, DefaultLabelTag.FINAL)
            counts[image] = int((nibabel.load(label).get_fdata() > 0).sum())
            datastore.update_image_info(image, {"voxels": counts[image]})
        return counts
