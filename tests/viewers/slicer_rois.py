"""What 3D Slicer makes of a markups file: run by the Python of .venv-slicer, which has Slicer's own code and not ours.

    slicer_rois.py IN OUT [R,A,S]

Loads IN as the MONAI Label extension does, renames every ROI as it does, removes the first, moves the second by 1 mm
along RAS's first axis, adds one of 4 mm round a place, and saves all as it does: one "markups" list of what Slicer
writes for each node.
Prints what it loaded as JSON.
"""

import json
import sys
from pathlib import Path

import slicer

given, out = map(Path, sys.argv[1:3])
place = [float(part) for part in (sys.argv[3] if len(sys.argv) > 3 else "10,20,30").split(",")]
scene, application = slicer.vtkMRMLScene(), slicer.vtkMRMLApplicationLogic()
application.SetMRMLScene(scene)
logic = slicer.vtkSlicerMarkupsLogic()
logic.SetMRMLApplicationLogic(application)
logic.SetMRMLScene(scene)
logic.LoadMarkups(str(given), given.stem) or sys.exit(f"Slicer does not read {given} as markups")


def nodes():
    found = scene.GetNodesByClass("vtkMRMLMarkupsROINode")
    found.UnRegister(None)
    return [found.GetItemAsObject(number) for number in range(found.GetNumberOfItems())]


told = []
for number, node in enumerate(nodes()):
    node.SetName(f"Detection ROI - {number}")
    centre = [0.0] * 3
    node.GetCenter(centre)
    told.append(
        {
            "centre_ras": centre,
            "size": list(node.GetSize()),
            "label": node.GetNthControlPointLabel(0),
            "description": node.GetNthControlPointDescription(0),
            "shown": node.GetDisplayNode() is not None,
        }
    )
first, second = nodes()[:2]
scene.RemoveNode(first)
centre = [0.0] * 3
second.GetCenter(centre)
second.SetCenter(centre[0] + 1, centre[1], centre[2])
added = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
added.SetCenter(*place)
added.SetSize(4, 4, 4)

markups = []
for node in nodes():
    node.AddDefaultStorageNode()
    storage = node.GetStorageNode()
    storage.SetFileName(str(out.with_suffix(".one.mrk.json")))
    storage.WriteData(node) or sys.exit("Slicer does not save the ROI")
    markups += json.loads(out.with_suffix(".one.mrk.json").read_text())["markups"]
out.write_text(json.dumps({"markups": markups}))
print(json.dumps(told))
