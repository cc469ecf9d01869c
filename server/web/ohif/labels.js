// A segmentation of the viewer as a label of hepatic's: read out of cornerstone, written as NRRD, sent.
import {saving} from './panel.js';
import {belongsTo, shown} from './series.js';

const dot = (a, b) => a.reduce((sum, value, axis) => sum + value * b[axis], 0);
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const subtract = (a, b) => a.map((value, axis) => value - b[axis]);
const length = vector => Math.hypot(...vector);
const planeOf = id =>
  cornerstone.metaData.get('imagePlaneModule', cornerstone.cache.getImage(id).referencedImageId);

/** Values by slice, and what NRRD says of their grid (LPS, mm), as the slices lie in the patient. */
function labelmap(imageIds) {
  const slices = imageIds.map(id => cornerstone.cache.getImage(id));
  const planes = imageIds.map(planeOf);
  const [{rows, columns, rowCosines, columnCosines, rowPixelSpacing, columnPixelSpacing}] = planes;
  const origins = planes.map(({imagePositionPatient}) => imagePositionPatient && [...imagePositionPatient]);
  const way = origins.every(Boolean) ? subtract(origins.at(-1), origins[0]) : [0, 0, 0];
  if (!rowCosines || !length(way)) { // of a cine, OHIF says that all of its frames lie at 0
    throw new Error('Only what is drawn on the slices of a volume can be saved here.');
  }
  let step = way.map(one => one / (origins.length - 1));
  const off = origins.map((origin, k) => length(subtract(origin, origins[0].map((at, axis) => at + k * step[axis]))));
  if (!(Math.max(...off) < 0.05 * length(step))) {
    throw new Error('The slices of this series are not evenly spaced: label it in 3D Slicer.');
  }
  const normal = cross(rowCosines, columnCosines), rise = dot(way, normal);
  const slide = length(subtract(way, normal.map(one => one * rise)));
  if (slide <= 0.5 * Math.min(rowPixelSpacing, columnPixelSpacing)) { // as the image is read
    step = normal.map(one => one * Math.sign(rise) * length(step));
  }
  const origin = rise < 0 ? subtract(origins.at(-1), step.map(one => one * (origins.length - 1))) : origins[0];
  const directions = [
    [...rowCosines].map(cosine => cosine * columnPixelSpacing),
    [...columnCosines].map(cosine => cosine * rowPixelSpacing),
    step,
  ];
  const header = [
    'NRRD0005', 'type: uint8', 'dimension: 3', 'space: left-posterior-superior',
    `sizes: ${columns} ${rows} ${slices.length}`,
    `space directions: ${directions.map(one => `(${one})`).join(' ')}`,
    'kinds: domain domain domain', 'encoding: gzip', `space origin: (${origin})`, '', '',
  ].join('\n');
  return {header, slices: slices.map(slice => slice.voxelManager.getScalarData())};
}

/** Number and name of each structure of which something is drawn, and the slices; segments of one name are one. */
function drawn(slices, segments) {
  const there = new Set();
  for (const slice of slices) {
    for (const value of slice) {
      if (value) {
        there.add(value);
      }
    }
  }
  const values = [...there].sort((a, b) => a - b);
  if (!values.length) {
    throw new Error('Nothing is drawn in this segmentation.');
  }
  if (values.at(-1) > 255) {
    throw new Error('A label has at most 255 segments.');
  }
  const named = new Map(), first = new Uint8Array(256);
  for (const value of values) {
    const name = segments[value]?.label?.trim() || `Segment ${value}`, key = name.toLowerCase();
    if (!named.has(key)) {
      named.set(key, {name, idx: value});
    }
    first[value] = named.get(key).idx;
  }
  return {named: [...named.values()], voxels: slices.map(slice => Uint8Array.from(slice, value => first[value]))};
}

async function gzipped(parts) {
  return new Response(new Blob(parts).stream().pipeThrough(new CompressionStream('gzip'))).blob();
}

async function send(segmentation, seriesInstanceUID) {
  const {header, slices} = labelmap(segmentation.representationData.Labelmap.imageIds);
  const {named, voxels} = drawn(slices, segmentation.segments);
  const form = new FormData();
  form.append('params', JSON.stringify({label_info: named}));
  form.append('label', new Blob([header, await gzipped(voxels)]), 'label.nrrd');
  const asked = new URLSearchParams({image: seriesInstanceUID, tag: 'final'});
  const answer = await fetch(new URL(`../datastore/label?${asked}`, import.meta.url), {method: 'PUT', body: form});
  if (answer.status === 401) {
    throw new Error('Log in again in another tab, and save again; the drawing is kept here.');
  }
  if (!answer.ok) {
    const {detail} = await answer.json().catch(() => ({}));
    throw new Error(typeof detail === 'string' ? detail : `The server answered ${answer.status}.`);
  }
  return named.map(({name}) => name);
}

/** Save a segmentation, the active one by default, as the final label of its series, and say what came of it. */
export async function saveLabel(services, segmentationId) {
  const {segmentationService, viewportGridService, uiNotificationService} = services;
  const title = 'Save label';
  try {
    const segmentation = segmentationId
      ? segmentationService.getSegmentation(segmentationId)
      : segmentationService.getActiveSegmentation(viewportGridService.getActiveViewportId());
    if (!segmentation) {
      throw new Error('There is no segmentation in this viewport.');
    }
    const {SeriesInstanceUID, name} = belongsTo(segmentation, services);
    if (SeriesInstanceUID !== shown(services).SeriesInstanceUID) {
      throw new Error(`This segmentation belongs to ${name}, which is not what is shown: show it, and save again.`);
    }
    const names = await saving(segmentation.segmentationId, () => send(segmentation, SeriesInstanceUID));
    uiNotificationService.show({title, message: `Saved in hepatic: ${names.join(', ')}, on ${name}`, type: 'success'});
  } catch (failure) {
    uiNotificationService.show({title, message: `Not saved. ${failure.message}`, type: 'error', duration: 20000});
  }
}

/** Run what writes a segmentation as DICOM: that takes its slices for ordered against their normal. */
export function withSlicesInOrder(segmentationId, write) {
  const data = cornerstoneTools.segmentation.state.getSegmentation(segmentationId).representationData.Labelmap;
  const {imageIds} = data;
  const along = id => {
    const {imagePositionPatient, rowCosines, columnCosines} = planeOf(id);
    return dot(imagePositionPatient, cross(rowCosines, columnCosines));
  };
  try {
    data.imageIds = [...imageIds].sort((a, b) => along(b) - along(a));
    return write();
  } finally {
    data.imageIds = imageIds;
  }
}
