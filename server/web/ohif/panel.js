// MONAI Label's panel knows one segmentation, called 1, whatever is shown: it is kept to the series that is shown.
import {belongsTo, shown} from './series.js';

const SEGMENTATION = '1';
const PAINTED_FIRST = ['tumour', 'lesion', 'liver'];

const changed = new Set(); // segmentations that are not saved as they are
const note = ({detail}) => changed.add(detail.segmentationId);

/** Note from now on what is drawn. */
export function watch() {
  cornerstone.eventTarget.addEventListener(cornerstoneTools.Enums.Events.SEGMENTATION_DATA_MODIFIED, note);
}

/** Save a segmentation by a function; what is drawn meanwhile is not saved. */
export async function saving(segmentationId, save) {
  const before = changed.delete(segmentationId);
  try {
    return await save();
  } catch (failure) {
    if (before) {
      changed.add(segmentationId);
    }
    throw failure;
  }
}

/** What the panel does when it connects: make its segmentation, of the series that is shown. */
export async function connected(services, options, load) {
  const {segmentationService, uiNotificationService} = services;
  const [{segmentationId, config}] = options.segmentations;
  const there = segmentationService.getSegmentation(segmentationId);
  if (there && belongsTo(there, services).SeriesInstanceUID === shown(services).SeriesInstanceUID) {
    return segmentationId;
  }
  if (there && changed.has(segmentationId)) {
    const message = `The segmentation of ${belongsTo(there, services).name} is not saved. Show that series, save it, `
      + `come back to ${shown(services).name} and press connect again.`;
    uiNotificationService.show({title: 'MONAI Label', message, type: 'error', duration: 20000});
    return segmentationId;
  }
  if (there) {
    segmentationService.remove(segmentationId);
  }
  const loaded = await load(options);
  changed.delete(segmentationId);
  const segments = Object.values(config.segments);
  const first = PAINTED_FIRST.map(name => segments.find(({label}) => label === name)).find(Boolean);
  if (first) {
    segmentationService.setActiveSegment(segmentationId, first.segmentIndex);
  }
  return loaded;
}

/** Let the panel run a model on no series but that of its segmentation, into which it writes every answer. */
export function guard(services) {
  const {open} = XMLHttpRequest.prototype;
  XMLHttpRequest.prototype.open = function (method, url, ...others) {
    const {pathname, searchParams} = new URL(url, document.baseURI);
    const there = services.segmentationService.getSegmentation(SEGMENTATION);
    if (/\/infer\/[^/]+$/.test(pathname) && there) {
      const {SeriesInstanceUID, name} = belongsTo(there, services);
      if (searchParams.get('image') !== SeriesInstanceUID) {
        const message = `Not run. The segmentation is of ${name}. Save it, show the series to be labelled, and press `
          + 'connect again.';
        services.uiNotificationService.show({title: 'MONAI Label', message, type: 'error', duration: 20000});
        throw new Error(message);
      }
    }
    return open.call(this, method, url, ...others);
  };
}
