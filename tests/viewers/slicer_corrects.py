"""How a reader corrects a classifier's answer in 3D Slicer: run by the Python of .venv-slicer, which has Slicer's code.

    slicer_corrects.py IMAGE ANSWER OUT CLASS LEFT,TOP,RIGHT,BOTTOM NAME...

Imports the labelmap ANSWER of /infer under the names NAME..., as the MONAI Label extension does, renames the first
segment that came to CLASS and draws it anew as a box on the frame it was on, and saves all segments on the grid of
IMAGE to OUT, as the extension does.
Prints the names that came, and what the extension would send as ``label_info``.
"""

import json
import sys
from pathlib import Path

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

sys.path.insert(0, str(Path(__file__).parent))
from slicer_reads import Slicer, voxels


def ids_of(segmentation):
    return [segmentation.GetNthSegmentID(number) for number in range(segmentation.GetNumberOfSegments())]


def main(image, answer, out, wanted, box, *names):
    left, top, right, bottom = map(int, box.split(","))
    it = Slicer()
    volume, labels = it.open_volume(image), it.open_volume(answer, labels=True)
    node = it.scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    asked = vtk.vtkStringArray()
    for name in names:
        asked.InsertNextValue(name)
    frame = int(np.argwhere(voxels(labels))[0, 0])
    if not it.segmentations.ImportLabelmapToSegmentationNode(labels, node, asked):
        sys.exit("Slicer does not import the labelmap")
    segmentation = node.GetSegmentation()
    came = [segmentation.GetSegment(one).GetName() for one in ids_of(segmentation)]

    drawn = np.zeros_like(voxels(labels))
    drawn[frame, top:bottom, left:right] = 1
    labels.GetImageData().GetPointData().SetScalars(
        numpy_to_vtk(drawn.ravel(), deep=True, array_type=labels.GetImageData().GetScalarType())
    )
    first = ids_of(segmentation)[0]
    one = vtk.vtkStringArray()
    one.InsertNextValue(first)
    if not it.segmentations.ImportLabelmapToSegmentationNode(labels, node, one):
        sys.exit("Slicer does not take the new drawing")
    segmentation.GetSegment(first).SetName(wanted)

    saved = it.labelmap_of(node, volume)
    it.save(saved, out)
    info = [
        {"name": segmentation.GetSegment(one).GetName(), "idx": number}
        for number, one in enumerate(ids_of(segmentation), start=1)
    ]
    told = {
        "came": came,
        "label_info": info,
        "drawn": int((vtk_to_numpy(saved.GetImageData().GetPointData().GetScalars()) > 0).sum()),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
