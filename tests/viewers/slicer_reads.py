"""What 3D Slicer makes of our files: run by the Python of .venv-slicer, which has Slicer's own code and not ours.

    slicer_reads.py IMAGE ANSWER SEGMENTATION OUT NAME...

IMAGE is a picture, ANSWER a labelmap of /infer with labels NAME..., SEGMENTATION a .seg.nrrd. What Slicer saves goes to
the folder OUT, what it read is printed as JSON. Slicer's readers return None for a file they cannot read, and say no
more; here that ends the program.
"""

import json
import sys
from pathlib import Path

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy


class Slicer:
    """A scene, and the logic that Slicer's modules have behind their panels."""

    def __init__(self):
        self.scene = slicer.vtkMRMLScene()
        self.application = slicer.vtkMRMLApplicationLogic()
        self.application.SetMRMLScene(self.scene)
        self.volumes = self._logic(slicer.vtkSlicerVolumesLogic)
        self.segmentations = self._logic(slicer.vtkSlicerSegmentationsModuleLogic)

    def _logic(self, kind):
        logic = kind()
        logic.SetMRMLApplicationLogic(self.application)
        logic.SetMRMLScene(self.scene)
        return logic

    def open_volume(self, file, *, labels=False):
        node = self.volumes.AddArchetypeVolume(str(file), Path(file).stem, int(labels))
        return node or sys.exit(f"Slicer does not read {file} as a volume")

    def open_segmentation(self, file):
        node = self.segmentations.LoadSegmentationFromFile(str(file))
        return node or sys.exit(f"Slicer does not read {file} as a segmentation")

    def segments_of(self, labelmap, names):
        """Import a labelmap under names, as the MONAI Label extension does with an answer."""
        node = self.scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
        ids = vtk.vtkStringArray()
        for name in names:
            node.GetSegmentation().AddEmptySegment(name, name)
            ids.InsertNextValue(name)
        if not self.segmentations.ImportLabelmapToSegmentationNode(labelmap, node, ids):
            sys.exit("Slicer does not import the labelmap")
        return node

    def labelmap_of(self, segmentation, volume):
        """Export all segments onto the grid of the volume, as the extension does before it submits a label."""
        ids = vtk.vtkStringArray()
        segmentation.GetSegmentation().GetSegmentIDs(ids)
        node = self.scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
        if not self.segmentations.ExportSegmentsToLabelmapNode(segmentation, ids, node, volume):
            sys.exit("Slicer does not export the segments")
        return node

    def save(self, node, file):
        node.AddDefaultStorageNode()
        storage = node.GetStorageNode()
        storage.SetFileName(str(file))
        if storage.IsA("vtkMRMLSegmentationStorageNode"):
            storage.SetCropToMinimumExtent(True)
        if not storage.WriteData(node):
            sys.exit(f"Slicer does not write {file}")


def described(node):
    """Class, size, geometry; the last from MRML (millimetres, RAS), not from the file."""
    ijk_to_ras = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(ijk_to_ras)
    return {
        "class": node.GetClassName(),
        "dimensions": list(node.GetImageData().GetDimensions()),
        "ijk_to_ras": [[ijk_to_ras.GetElement(row, column) for column in range(4)] for row in range(4)],
    }


def voxels(node):
    """The array, (k, j, i)."""
    image = node.GetImageData()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])


def segments(node):
    """Name, value and number of voxels of each segment."""
    found = []
    for index in range(node.GetSegmentation().GetNumberOfSegments()):
        segment = node.GetSegmentation().GetNthSegment(index)
        labels = segment.GetRepresentation("Binary labelmap")
        array = vtk_to_numpy(labels.GetPointData().GetScalars())
        count = int((array == segment.GetLabelValue()).sum())
        found.append({"name": segment.GetName(), "value": segment.GetLabelValue(), "voxels": count})
    return found


def main(image, answer, segmentation, out, *names):
    out = Path(out)
    it = Slicer()
    volume, labels = it.open_volume(image), it.open_volume(answer, labels=True)
    truth = it.open_segmentation(segmentation)
    np.save(out / "volume.npy", voxels(volume))
    np.save(out / "labels.npy", voxels(labels))
    imported = it.segments_of(labels, names)
    it.save(truth, out / "truth.seg.nrrd")
    it.save(imported, out / "answer.seg.nrrd")
    it.save(it.labelmap_of(truth, volume), out / "truth.nii.gz")
    told = {
        "volume": described(volume),
        "labels": described(labels),
        "truth": segments(truth),
        "imported": segments(imported),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
