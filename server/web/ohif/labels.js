// A segmentation of the viewer as a label of hepatic's: read out of cornerstone, written as NRRD, sent.

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
  if (!rowCosines || origins.length < 2 || !origins.every(Boolean)) {
    throw new Error('Only what is drawn on the slices of a volume can be saved here.');
  }
  const step = subtract(origins.at(-1), origins[0]).map(way => way / (origins.length - 1));
  const off = origins.map((origin, k) => length(subtract(origin, origins[0].map((at, axis) => at + k * step[axis]))));
  if (!(Math.max(...off) < 0.05 * length(step))) {
    throw new Error('The slices of this series are not evenly spaced: label it in 3D Slicer.');
  }
  const directions = [
    [...rowCosines].map(cosine => cosine * columnPixelSpacing),
    [...columnCosines].map(cosine => cosine * rowPixelSpacing),
    step,
  ];
  const header = [
    'NRRD0005', 'type: uint8', 'dimension: 3', 'space: left-posterior-superior',
    `sizes: ${columns} ${rows} ${slices.length}`,
    `space directions: ${directions.map(one => `(${one})`).join(' ')}`,
    'kinds: domain domain domain', 'encoding: gzip', `space origin: (${origins[0]})`, '', '',
  ].join('\n');
  return {header, slices: slices.map(slice => slice.voxelManager.getScalarData())};
}

/** Number and name of each segment in which something is drawn. */
function drawn(slices, segments) {
  const there = new Set();
  for (const slice of slices) {
    for (const value of slice) {
      if (value) {
        there.add(value);
      }
    }
  }
  const named = [...there].sort((a, b) => a - b).map(idx => ({name: segments[idx]?.label ?? `Segment ${idx}`, idx}));
  if (!named.length) {
    throw new Error('Nothing is drawn in this segmentation.');
  }
  if (named.at(-1).idx > 255) {
    throw new Error('A label has at most 255 segments.');
  }
  return named;
}

async function gzipped(parts) {
  return new Response(new Blob(parts).stream().pipeThrough(new CompressionStream('gzip'))).blob();
}

async function send(segmentation) {
  const {imageIds} = segmentation.representationData.Labelmap;
  const {header, slices} = labelmap(imageIds);
  const named = drawn(slices, segmentation.segments);
  const {referencedImageId} = cornerstone.cache.getImage(imageIds[0]);
  const {seriesInstanceUID} = cornerstone.metaData.get('generalSeriesModule', referencedImageId);
  const form = new FormData();
  form.append('params', JSON.stringify({label_info: named}));
  form.append('label', new Blob([header, await gzipped(slices.map(slice => new Uint8Array(slice)))]), 'label.nrrd');
  const asked = new URLSearchParams({image: seriesInstanceUID, tag: 'final'});
  const answer = await fetch(new URL(`../datastore/label?${asked}`, import.meta.url), {method: 'PUT', body: form});
  if (!answer.ok) {
    const {detail} = await answer.json().catch(() => ({}));
    throw new Error(typeof detail === 'string' ? detail : `The server answered ${answer.status}.`);
  }
  return named.map(({name}) => name);
}

/** Save a segmentation, the active one by default, as the final label of its series, and say what came of it. */
export async function saveLabel({segmentationService, viewportGridService, uiNotificationService}, segmentationId) {
  const title = 'Save label';
  try {
    const segmentation = segmentationId
      ? segmentationService.getSegmentation(segmentationId)
      : segmentationService.getActiveSegmentation(viewportGridService.getActiveViewportId());
    if (!segmentation) {
      throw new Error('There is no segmentation in this viewport.');
    }
    const names = await send(segmentation);
    uiNotificationService.show({title, message: `Saved in hepatic: ${names.join(', ')}`, type: 'success'});
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
