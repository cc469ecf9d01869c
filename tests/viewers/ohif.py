"""OHIF as it comes in the monailabel wheel, in a real Chromium: opened, clicked, and asked what it shows."""

import base64

import numpy as np
import SimpleITK

READY = """
typeof services !== 'undefined' && cornerstone.getEnabledElements().length >= %d
  && cornerstone.getEnabledElements().every(({viewport}) => viewport.getImageData?.())
  && cornerstone.cache.getVolumes().every(({loadStatus}) => loadStatus?.loaded !== false)
"""
SEGMENTED = """(there => there && cornerstone.metaData.get('generalSeriesModule',
  cornerstone.cache.getImage(there.representationData.Labelmap.imageIds[0]).referencedImageId).seriesInstanceUID)(
  services.segmentationService.getSegmentation('1'))"""
MASK = """(() => {
  const volume = services.segmentationService.getLabelmapVolume('1');
  const bytes = Uint8Array.from(volume.voxelManager.getCompleteScalarDataArray());
  let text = '';
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  const {dimensions, spacing, origin, direction} = volume;
  return {dimensions, spacing, origin, direction: [...direction], text: btoa(text)};
})()"""
STORED = """(async () => {
  const {displaySetService, segmentationService} = services;
  const stored = displaySetService.getActiveDisplaySets().find(one => one.Modality === 'SEG');
  await stored.load({headers: {}});
  const slices = displaySetService.getDisplaySetByUID(stored.referencedDisplaySetInstanceUID).instances;
  const bytes = new Uint8Array(stored.labelmapBufferArray[0]);
  return {
    heights: slices.map(one => one.ImagePositionPatient[2]),
    text: btoa(String.fromCharCode(...bytes)),
    segments: segmentationService.getSegmentations().map(
      one => Object.fromEntries(Object.values(one.segments).map(segment => [segment.segmentIndex, segment.label]))),
  };
})()"""
DRAWN = """services.segmentationService.getActiveSegmentation(
  services.viewportGridService.getActiveViewportId()).representationData.Labelmap.imageIds.map(id => {
    const slice = cornerstone.cache.getImage(id);
    const {imagePositionPatient} = cornerstone.metaData.get('imagePlaneModule', slice.referencedImageId);
    return {height: imagePositionPatient[2], labels: [...slice.voxelManager.getScalarData()]};
  })"""
MIDDLE = """(({left, top, width, height}) => [left + width / 2, top + height / 2])(
  cornerstone.getEnabledElements()[0].viewport.canvas.getBoundingClientRect())"""
LISTEN = """window.told = [];
services.uiNotificationService.show = (show => said => {
  window.told.push(said);
  return show(said);
})(services.uiNotificationService.show.bind(services.uiNotificationService));"""
CATCH = """URL.createObjectURL = (make => blob => {
  const reader = new FileReader();
  reader.onload = () => { window.caught = reader.result.split(',')[1]; };
  reader.readAsDataURL(blob);
  return make(blob);
})(URL.createObjectURL.bind(URL));"""
SEGMENTATIONS = "document.querySelector('[data-cy=panelSegmentationWithTools-btn]')"
STATE = """services.segmentationService.getLabelmapVolume('1').voxelManager.getCompleteScalarDataArray()
  .reduce((sum, label, at) => (31 * sum + label * (at + 1)) % 4294967291, 0)"""
UPLOAD = """(async () => {
  const content = Uint8Array.from(atob('%s'), one => one.charCodeAt(0)), files = new DataTransfer();
  files.items.add(new File([content], 'sent.dcm', {type: 'application/dicom'}));
  const input = document.querySelector('input[type=file]:not([webkitdirectory])');
  input.files = files.files;
  input.dispatchEvent(new Event('change', {bubbles: true}));
})()"""
RECTANGLES = """cornerstoneTools.annotation.state.getAllAnnotations()
  .filter(({metadata}) => metadata.toolName === 'RectangleROI')
  .map(({metadata, data}) => ({on: metadata.referencedImageId, points: data.handles.points}))"""
SET = """(() => {
  const field = document.querySelector(`%s`);
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), 'value').set.call(field, `%s`);
  field.dispatchEvent(new Event('%s', {bubbles: true}));
})()"""


def on_viewer(image, labels):
    """Labels of a SimpleITK image in a viewer's volume, each voxel where it lies in the patient."""
    shown, to_world = labels
    voxels = np.stack(np.meshgrid(*map(np.arange, shown.shape[::-1]), indexing="ij"), axis=-1).reshape(-1, 3)
    world = voxels @ to_world[:3, :3].T + to_world[:3, 3]
    direction = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    there = (world - image.GetOrigin()) @ np.linalg.inv(direction).T
    assert np.abs(there - np.round(there)).max() < 1e-2
    i, j, k = np.round(there).astype(int).T
    found = np.zeros_like(shown)
    found[voxels[:, 2], voxels[:, 1], voxels[:, 0]] = SimpleITK.GetArrayFromImage(image)[k, j, i]
    return found


class Ohif:
    """One page of the viewer that ``address`` serves."""

    def __init__(self, browser, address):
        self.browser, self.address = browser, address

    def list_studies(self, words):
        """Open the list, wait until it shows some words, and return its text."""
        self.browser.open(f"{self.address}/ohif/")
        self.browser.until(f"document.body.innerText.includes(`{words}`)")
        return self.browser.run("document.body.innerText")

    def open(self, study_uid, mode="monai-label", viewports=3):
        """Open a study and wait until every viewport shows an image of it."""
        self.browser.open(f"{self.address}/ohif/{mode}?StudyInstanceUIDs={study_uid}")
        self.until_shown(viewports)

    def until_shown(self, viewports=3):
        self.browser.until(READY % viewports)
        self.browser.run(
            "[...document.querySelectorAll('button')].find(one => one.innerText === 'Confirm and Hide')?.click()"
        )

    def connect(self):
        """Press the panel's button that asks the server what it has; where the server is, it knows already."""
        button = "document.querySelector('.settingsTable button.actionButton')"
        there = f"{SEGMENTED} === '{self.shown_series()}' && !!services.segmentationService.getLabelmapVolume('1')"
        self.click(button)
        try:
            self.browser.until(there, limit_s=20)
        except AssertionError:  # pressed too early for the viewer, which loses that without a word
            self.click(button)
            self.browser.until(there)

    def connect_again(self):
        """Press that button where there is a segmentation already, and return what is refused then."""
        return self._refused("document.querySelector('.settingsTable button.actionButton')")

    def show(self, series_uid):
        """Show another series of the study: double-click its thumbnail."""
        of = f"one => one.SeriesInstanceUID === '{series_uid}'"
        uid = self.browser.until(f"services.displaySetService.getActiveDisplaySets().find({of})?.displaySetInstanceUID")
        there = self.browser.until(f"document.getElementById('thumbnail-{uid}')?.getBoundingClientRect().toJSON()")
        self.browser.click(there["x"] + there["width"] / 2, there["y"] + there["height"] / 2, times=2)
        everywhere = "[...services.viewportGridService.getState().viewports.values()]"
        self.browser.until(f"{everywhere}.every(one => one.displaySetInstanceUIDs[0] === '{uid}')")
        self.until_shown()

    def tab(self, name):
        """Unfold one of the panel's tabs: ``activelearning``, ``segmentation`` or ``pointprompts``."""
        self.click(f"[...document.querySelectorAll('.tab-switch')].find(one => one.defaultValue === '{name}')")

    def choose_model(self, title, model):
        """Choose a model in the tab whose Run button has this title."""
        self.choose(f".tab:has([title='Run {title}']) select", model)

    def run(self, title):
        """Press Run, and wait for the labelmap to change."""
        before = self.browser.run(STATE)
        self.click(f"document.querySelector(`[title='Run {title}']`)")
        self.browser.until(f"{STATE} !== {before}")

    def labelmap(self):
        """What cornerstone holds: labels (k, j, i), and the matrix from voxels (i, j, k) to LPS in mm."""
        told = self.browser.run(MASK)
        labels = np.frombuffer(base64.b64decode(told["text"]), np.uint8).reshape(told["dimensions"][::-1])
        to_world = np.eye(4)
        to_world[:3, :3] = np.reshape(told["direction"], (3, 3)).T * told["spacing"]
        to_world[:3, 3] = told["origin"]
        return labels, to_world

    def use(self, tool, *, panel=True):
        """Drag the brush or the eraser across the middle of the first viewport, and wait for what that changes."""
        if panel:
            self.click(SEGMENTATIONS)
        self.click(f"document.querySelector('[data-cy={tool}]')")
        self.browser.until(f"document.querySelector('[data-cy={tool}]').className.includes('!bg-primary-light')")
        self.browser.run(f"window.before = JSON.stringify({DRAWN})")
        x, y = self.browser.run(MIDDLE)
        self.browser.drag((x, y), (x + 30, y + 20))
        self.browser.until(f"JSON.stringify({DRAWN}) !== window.before")

    def drawn(self):
        """The active segmentation: labels of each slice in a row, by its height in mm."""
        return {one["height"]: one["labels"] for one in self.browser.run(DRAWN)}

    def run_refused(self, title):
        """Press Run, and return what is refused then."""
        return self._refused(f"document.querySelector(`[title='Run {title}']`)")

    def _refused(self, button):
        self.browser.run(LISTEN)
        self.click("document.querySelector('[data-cy=monailabel-btn]')")
        self.click(button)
        return self.browser.until("window.told.find(one => one.duration === 20000)")["message"]

    def save_label(self, segmentation=None):
        """Press the button that saves the active segmentation, or save another; return what the viewer says then."""
        self.browser.run(LISTEN)
        if segmentation is None:
            self.click("document.querySelector('[data-cy=SaveLabel]')")
        else:
            self.browser.run(f"void commandsManager.runCommand('saveLabel', {{segmentationId: '{segmentation}'}})")
        return self.told()

    def export_segmentation(self):
        """Choose Export DICOM SEG in the menu of the segmentation that is shown, and return what the viewer says."""
        self.browser.run(LISTEN)
        self._choose_in_menu("Export & Download", "Export DICOM SEG")
        return self.told()

    def download_segmentation(self):
        """Choose Download DICOM SEG there, and return the file."""
        self.browser.run(CATCH)
        self._choose_in_menu("Export & Download", "Download DICOM SEG")
        return base64.b64decode(self.browser.until("window.caught"))

    def _choose_in_menu(self, *words):
        menu = "document.querySelector('[role=combobox]').parentElement.querySelector('[aria-haspopup=menu]')"
        self.browser.until(f"!!{menu}")
        self.browser.run(f"{menu}.dispatchEvent(new PointerEvent('pointerdown', {{bubbles: true, button: 0}}))")
        for one in words:
            self.click(f"[...document.querySelectorAll('[role=menuitem]')].find(item => item.innerText === '{one}')")

    def told(self):
        """The next notification."""
        return self.browser.until("window.told.shift()")["message"]

    def stored_segmentation(self):
        """What the viewer makes of a small study's SEG object: its slices by height in mm, and its names."""
        told = self.browser.run(STORED)
        voxels = np.frombuffer(base64.b64decode(told["text"]), np.uint8).reshape(len(told["heights"]), -1)
        return dict(zip(told["heights"], voxels, strict=True)), told["segments"]

    def upload(self, file):
        """Send a DICOM file to the PACS from the list of studies, and return the paths it was sent to."""
        self.click("[...document.querySelectorAll('header *, div, span')].find(one => one.textContent === 'Upload')")
        self.browser.until("!!document.querySelector('input[type=file]:not([webkitdirectory])')")
        sent = "performance.getEntriesByType('resource').filter(one => one.initiatorType === 'xmlhttprequest')"
        before = self.browser.run(f"{sent}.length")
        self.browser.run(UPLOAD % base64.b64encode(file.read_bytes()).decode())
        self.browser.until("document.body.innerText.includes('1 file completed')")
        return self.browser.run(f"{sent}.slice({before}).map(one => new URL(one.name).pathname)")

    def load_report(self, description, count):
        """Open a report of the study, take its measurements over, and return so many rectangles that there are then."""
        of = f"one => one.Modality === 'SR' && one.SeriesDescription === `{description}`"
        uid = self.browser.until(f"services.displaySetService.getActiveDisplaySets().find({of})?.displaySetInstanceUID")
        there = self.browser.until(f"document.getElementById('thumbnail-{uid}')?.getBoundingClientRect().toJSON()")
        self.browser.click(there["x"] + there["width"] / 2, there["y"] + there["height"] / 2, times=2)
        self.click("document.querySelector('[data-cy=yes-hydrate-btn]')")
        self.browser.until(f"{RECTANGLES}.length >= {count}")
        return self.browser.run(RECTANGLES)

    def shown_series(self):
        """SeriesInstanceUID of what the active viewport shows."""
        return self.browser.run(
            "(({viewports, activeViewportId}) => services.displaySetService.getDisplaySetByUID("
            "viewports.get(activeViewportId).displaySetInstanceUIDs[0]).SeriesInstanceUID)"
            "(services.viewportGridService.getState())"
        )

    def segments(self):
        """Number of each segment in the labelmap, by name."""
        return self.browser.run(
            "Object.fromEntries(Object.values(Object.values(services.segmentationService.getSegmentations())[0]"
            ".config?.segments ?? Object.values(services.segmentationService.getSegmentations())[0].segments)"
            ".map(one => [one.label, one.segmentIndex]))"
        )

    def click(self, element):
        """Click an element as soon as there is one."""
        self.browser.until(f"(one => one && (one.click(), true))({element})")

    def press(self, words):
        """Press the button that says this."""
        self.click(f"[...document.querySelectorAll('button')].find(one => one.innerText.trim() === '{words}')")

    def click_voxel(self, i, j, k):
        """Click a voxel of slice k in the axial viewport with the mouse."""
        x, y = self.browser.run(
            f"""(async () => {{
              const {{viewport}} = cornerstone.getEnabledElements()[0], {{imageData}} = viewport.getImageData();
              const world = imageData.indexToWorld([{i}, {j}, {k}]);
              viewport.jumpToWorld(world);
              await new Promise(requestAnimationFrame);
              const [x, y] = viewport.worldToCanvas(world), {{left, top}} = viewport.canvas.getBoundingClientRect();
              return [left + x, top + y];
            }})()"""
        )
        self.browser.click(x, y)
        self.browser.until(
            "cornerstoneTools.annotation.state.getAllAnnotations()"
            ".some(({metadata}) => metadata.toolName === 'ProbeMONAILabel')"
        )

    def choose_organ(self, name):
        """Say what the points that follow are on."""
        row = f"[...document.querySelectorAll('.clickable-row')].find(row => row.innerText.trim() === '{name}')"
        self.browser.until(f"({row}).click() ?? ({row}).style.backgroundColor === 'darkblue'")

    def choose(self, selector, value):
        self.browser.run(SET % (selector, value, "change"))

    def type(self, selector, text):
        self.browser.run(SET % (selector, text, "input"))
