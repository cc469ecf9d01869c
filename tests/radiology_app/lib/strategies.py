"""Which image is next."""

import os

from monailabel.interfaces.tasks.strategy import Strategy


class SmallestFirst(Strategy):
    """The smallest file without a label."""

    def __init__(self):
        super().__init__("Smallest first")

    def __call__(self, request, datastore):
        images = datastore.get_unlabeled_images(label_tag=request.get("label_tag"))
        if not images:
            return None
        image = min(images, key=lambda image_id: (os.path.getsize(datastore.get_image_uri(image_id)), image_id))
        datastore.update_image_info(image, {"chosen": True})
        return {"id": image}
