"""Random warps move a picture and its mask alike."""

import torch

from hepatic.transforms.warp_picture import WarpPicture


def test_the_mask_stays_on_what_it_marks():
    image = torch.full((3, 48, 64), -2.0)
    image[:, 20:30, 10:22] = 1.0
    sample = {"image": image, "mask": (image[:1] > 0).float(), "other": "kept"}
    moved = 0
    for seed in range(20):
        warped = WarpPicture()(sample, torch.Generator().manual_seed(seed))
        assert warped["image"].shape == image.shape
        torch.testing.assert_close((warped["image"][:1] + 2) / 3, warped["mask"], atol=1e-5, rtol=0)
        assert warped["image"].amin() >= -2 - 1e-5
        moved += not torch.equal(warped["mask"], sample["mask"])
    assert moved == 20


def test_nothing_asked_is_nothing_done_and_a_mirror_mirrors():
    picture = torch.rand(1, 10, 14, generator=torch.Generator().manual_seed(0))
    still = WarpPicture(zoom=0, aspect=0, shift=0, turn_degrees=0, mirror=0)
    torch.testing.assert_close(still({"image": picture}, torch.Generator())["image"], picture)
    mirror = WarpPicture(zoom=0, aspect=0, shift=0, turn_degrees=0, mirror=1)
    torch.testing.assert_close(mirror({"image": picture}, torch.Generator())["image"], picture.flip(-1))
